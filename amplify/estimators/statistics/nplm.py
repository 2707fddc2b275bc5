"""NPLM: the log of the density ratio as a kernel machine, taught by the likelihood ratio itself.

f minimises sum_holdout w (e^f - 1) - sum_generated f, and t = -2 min is twice the log likelihood
ratio of the best density that the machine knows against the holdout's (arXiv:1806.02350). The
machine is a sum of Gaussian kernels at sqrt(N) events, penalised by lambda times its norm
(arXiv:2204.02317, 2305.14137). The published one minimises the logistic loss and evaluates t
there; here t is the minimum.

The pool stays as it is when labels change, so the features are rotated once such that curvature and
penalty at f = 0 are diagonal and add up to one. Every experiment then needs a few steps along its
own gradient, which are matrix products for all of them together.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic, pooled
from amplify.estimators.statistics.shares import (
    choose,
    column_scales,
    in_blocks,
    standardised,
    two_samples,
)

PENALTY = 1e-6  # lambda of arXiv:2204.02317, of the loss per pooled event
WIDTH_QUANTILE = 0.9  # of the distances between events, as there
_STEPS = 200  # at most
_CLOSE = 1e-6  # a step would change t by less than this part of it
_SHORTEST = 1e-7  # a step that is not made shorter
_LARGEST = 30.0  # f, which exp does not follow beyond: it ends at 88 in single precision
_PAIRS = 1000  # events whose distances tell the width
_FLAT = 1e-10  # eigenvalues of the kernel matrix below this part of the largest are rounding


class Machine(NamedTuple):
    """Kernel features of the pool, rotated.

    Attributes:
        features: of the pooled events, float32.
        penalty: of each feature: b in f^2 b / 2; its curvature at f = 0 is 1 - b.
        centres: standardised events at which kernels sit.
        width: of the kernel exp(-r^2 / (2 width^2)), in pooled standard deviations.
        rotation: kernels to features.
    """

    features: Float[np.ndarray, "event feature"]
    penalty: Float[np.ndarray, " feature"]
    centres: Float[np.ndarray, "centre dim"]
    width: float
    rotation: Float[np.ndarray, "centre feature"]


def machine(
    pool: Pooled,
    seed: int = 0,
    *,
    width: float | None = None,
    penalty: float = PENALTY,
    centres: int | None = None,
) -> Machine:
    """What is computed once for a pool.

    Args:
        pool: both samples.
        seed: of the centres.
        width: of the kernel, in pooled standard deviations of a column; by default the 90 %
            quantile of the distances between events.
        penalty: lambda, of the squared norm of f against the mean loss of a pooled event.
        centres: number of kernels, sqrt(N) by default.
    """
    rng = np.random.default_rng([seed, 11])
    z = standardised(pool)
    some = z[choose(pool.weight, _PAIRS, rng)]
    if width is None:
        width = kernel_width(some)
    at = z[choose(pool.weight, centres or int(np.ceil(np.sqrt(len(z)))), rng)]
    value, vector = np.linalg.eigh(kernel(at, at, width))
    kept = value > _FLAT * value[-1]
    whitened = vector[:, kept] / np.sqrt(value[kept])
    features = kernel(z, at, width) @ whitened
    weight = pool.weight / pool.weight.sum()
    curvature, turn = np.linalg.eigh(features.T @ (weight[:, None] * features))
    # samples have shares of one here: the mean loss of a pooled event is as much smaller
    own = 2 * penalty / pool.share
    scale = 1 / np.sqrt(np.maximum(curvature, 0) + own)
    features = np.ascontiguousarray((features @ turn) * scale, np.float32)
    return Machine(features, own * scale**2, at, width, (whitened @ turn) * scale)


def kernel(x: np.ndarray, y: np.ndarray, width: float) -> Float[np.ndarray, "n m"]:
    """exp(-|x - y|^2 / (2 width^2)) of events [n, dim] and [m, dim]."""
    square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.exp(-np.maximum(square, 0) / (2 * width**2))


def kernel_width(x: np.ndarray) -> float:
    """The 90 % quantile of the distances between events; one where they are all alike."""
    from scipy.spatial.distance import pdist

    apart = np.quantile(pdist(x), WIDTH_QUANTILE) if len(x) > 1 else 0.0
    return float(apart) if apart > 0 else 1.0


def fitted(
    of: Machine, difference: Float[np.ndarray, "experiment event"]
) -> tuple[Float[np.ndarray, "experiment feature"], Float[np.ndarray, " experiment"]]:
    """Coefficients of the features for each difference, and -2 loss per generated event, which is
    extrapolated as a square beyond samples without a common event.
    """
    generated, holdout, larger = two_samples(difference)
    towards = generated @ of.features
    # all experiments begin at the solution for their mean, and take its curvature for theirs
    start, inverse = _newton(of, towards.mean(axis=0), holdout.mean(axis=0))
    beta = np.repeat(start[None], len(difference), axis=0)
    step, loss = np.zeros_like(beta), np.zeros(len(beta))
    penalised = np.full(len(beta), np.inf)
    active = np.arange(len(beta))
    for _ in range(_STEPS):
        trial = beta[active] + step[active]
        now, gradient = _loss(of, trial, towards[active], holdout[active])
        with_penalty = now + 0.5 * (trial**2 @ of.penalty)
        better = with_penalty <= penalised[active]
        done, again = active[better], active[~better]
        beta[done], loss[done], penalised[done] = trial[better], now[better], with_penalty[better]
        step[done] = -gradient[better] @ inverse
        gain = -(gradient[better] * step[done]).sum(axis=1)
        further = done[gain > _CLOSE * np.maximum(-loss[done], 1e-9)]
        step[again] /= 2
        active = np.concatenate([further, again[np.abs(step[again]).max(axis=1) > _SHORTEST]])
        if not active.size:
            break
    return beta, -2 * loss * larger**2


def _loss(
    of: Machine, beta: np.ndarray, towards: np.ndarray, holdout: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each experiment, and its gradient with that of the penalty."""
    f = beta @ of.features.T
    growth = np.expm1(np.minimum(f, _LARGEST, out=f), out=f)
    growth *= holdout
    loss = growth.sum(axis=1, dtype=np.float64) - (beta * towards).sum(axis=1)
    growth += holdout
    return loss, growth @ of.features - towards + beta * of.penalty.astype(np.float32)


def _newton(of: Machine, towards: np.ndarray, holdout: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The solution for one experiment, and the inverse of its curvature."""
    beta = np.zeros(len(of.penalty))
    features, best = of.features, np.inf
    step, inverse = np.zeros_like(beta), np.eye(len(beta))
    for _ in range(100):
        f = (beta + step).astype(np.float32) @ features.T
        if f.max() < _LARGEST:
            growth = np.exp(f) * holdout
            loss = growth.sum() - (beta + step) @ towards
            loss += 0.5 * of.penalty @ (beta + step) ** 2
            if loss <= best:
                gain, best, beta = best - loss, loss, beta + step
                curvature = features.T @ (growth[:, None] * features) + np.diag(of.penalty)
                inverse = np.linalg.inv(curvature.astype(np.float64))
                gradient = growth @ features - towards + of.penalty * beta
                step = -inverse @ gradient
                if gain < 1e-7:
                    break
                continue
        step = step / 2
    return beta.astype(np.float32), inverse.astype(np.float32)


def _prepare(pool: Pooled, seed: int) -> Distances:
    of = machine(pool, seed)
    return lambda difference: in_blocks(lambda some: fitted(of, some)[1], difference)


def log_ratio(
    pool: Pooled, x: Float[np.ndarray, "n dim"], seed: int = 0, **settings: Any
) -> Float[np.ndarray, " n"]:
    """The learned log of the density ratio, generated over true, at events x: the witness of the
    test.

    Args:
        pool: both samples.
        x: where.
        seed: of the centres.
        settings: `width`, `penalty` and `centres` of `machine`.
    """
    of = machine(pool, seed, **settings)
    beta = fitted(of, pool.difference[None])[0][0]
    mean, scale = column_scales(pool)
    return kernel((x - mean) / scale, of.centres, of.width) @ (of.rotation @ beta)


def nplm(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
    *,
    seed: int = 0,
    **settings: Any,
) -> float:
    """Twice the log likelihood ratio, t, of the generated events x against the holdout y.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(0.5, 1, (2000, 1)), rng.normal(0, 1, (2000, 1))
    >>> bool(400 < nplm(x, y) < 600)  # 2 n KL = 500, and about one for each of the features
    True

    Args:
        x: generated events.
        y: events of the holdout.
        weight_x: event weights, or None.
        weight_y: the same of y.
        seed: of the centres.
        settings: `width`, `penalty` and `centres` of `machine`.
    """
    pool = pooled(x, y, weight_x, weight_y)
    of = machine(pool, seed, **settings)
    return pool.n_gen * float(fitted(of, pool.difference[None])[1][0])


NPLM = Statistic(
    "nplm",
    "NPLM",
    2,
    _prepare,
    lambda distance, pool: pool.n_gen * distance,
    most=50_000,
    in_sample=True,
)
"""-2 min loss per generated event, twice the divergence KL(generated, true) as far as the machine
sees it; quoted for the sample, t = -2 min loss (arXiv:2204.02317).
"""
