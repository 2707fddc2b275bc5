"""Which of several generators is nearest to the truth: one classifier of all of them.

It learns to tell the generators apart, with the same prior for each, and is shown the holdout. The
mean of log p(generator | true event) is largest for the generator whose density is nearest: the
difference of two of them is that of their divergences KL(true, generator) (arXiv:2211.11765;
CaloChallenge, arXiv:2410.21611). Generators that are alike have the log of one over their number.
It ranks, and says nothing of how near the nearest is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.errors import InputError
from amplify.estimators.statistics.classifier import boosted_trees, features
from amplify.estimators.statistics.protocol import Pooled
from amplify.estimators.statistics.shares import standardised
from amplify.types import Events

RIDGE = 0.01  # of the variance of a feature
_MOST = 50_000  # events of a generator, and of the holdout
_EVENTS_PER_FEATURE = 20
_FEWEST = 20  # of a generator, and of the holdout


class LogPosteriors(NamedTuple):
    """Mean log posterior of each generator at the true events.

    Attributes:
        mean: of each generator; the largest is that of the nearest.
        covariance: of these means, from the chance of the holdout and of the events that teach; of
            the holdout alone for boosted trees.
    """

    mean: Float[np.ndarray, " generator"]
    covariance: Float[np.ndarray, "generator generator"]

    @property
    def error(self) -> Float[np.ndarray, " generator"]:
        """Standard error of each mean."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def nearest(self) -> int:
        """Which generator is nearest."""
        return int(self.mean.argmax())

    def nearer(self, a: int, b: int) -> tuple[float, float]:
        """By how much a is nearer than b in KL(true, generator), in nats, and the standard
        error.
        """
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return float(self.mean[a] - self.mean[b]), float(np.sqrt(max(variance, 0.0)))


def multiclass_log_posterior(
    generated: Sequence[Events],
    holdout: Events,
    *,
    learner: str = "softmax",
    ridge: float = RIDGE,
    seed: int = 0,
) -> LogPosteriors:
    """Mean log posterior of each of several generators at the true events.

    >>> rng = np.random.default_rng(0)
    >>> near, far = (Events(rng.normal(mean, 1, (5000, 1))) for mean in (0.1, 0.5))
    >>> found = multiclass_log_posterior([near, far], Events(rng.normal(0, 1, (5000, 1))))
    >>> by, error = found.nearer(0, 1)  # (.5^2 - .1^2) / 2 = .12
    >>> bool(abs(by - 0.12) < 3 * error < 0.06)
    True

    Args:
        generated: a sample of each of two or more generators.
        holdout: true events.
        learner: "softmax" regression on the features of the classifier test, or the boosted "trees"
            of scikit-learn.
        ridge: penalty of the former.
        seed: of features and subsamples (50 000 events of each at most).

    Raises:
        InputError: fewer than two generators, another learner, or too few events.
        MissingExtraError: trees without scikit-learn.
    """
    if len(generated) < 2:
        fix = "give the events of each generator"
        raise InputError("generators", "two or more", str(len(generated)), fix)
    if learner not in ("softmax", "trees"):
        raise InputError("learner", '"softmax" or "trees"', learner, "choose one of these")
    fewest = min(len(events.x) for events in (*generated, holdout))
    if fewest < _FEWEST:
        expected = f"at least {_FEWEST} of each"
        raise InputError("events to tell generators apart", expected, str(fewest), "give more")
    rng = np.random.default_rng([seed, 16])
    some = [_some(events, rng) for events in generated]
    true = _some(holdout, rng)
    of = np.repeat(np.arange(len(some)), [len(events.x) for events in some])
    x = np.concatenate([events.x for events in some])
    # shares of one over all, the same sum for each generator
    weight = np.concatenate([_share(events) for events in some]) / len(some)
    share = _share(true)
    if learner == "trees":
        model = boosted_trees(seed).fit(x, of, sample_weight=weight * len(x))
        log_p = np.log(np.maximum(model.predict_proba(true.x), 1e-12))
        taught = np.zeros((1, len(some)))
    else:
        log_p, taught = _softmax(x, of, weight, true.x, share, ridge, rng)
    mean = share @ log_p
    tested = share[:, None] * (log_p - mean)
    return LogPosteriors(mean, tested.T @ tested + taught.T @ taught)


def _some(events: Events, rng: np.random.Generator) -> Events:
    if len(events.x) <= _MOST:
        return events
    return events.take(np.sort(rng.choice(len(events.x), _MOST, replace=False)))


def _share(events: Events) -> Float[np.ndarray, " event"]:
    if events.weight is None:
        return np.full(len(events.x), 1 / len(events.x))
    return np.asarray(events.weight, np.float64) / events.weight.sum()


def _softmax(
    x: Float[np.ndarray, "event dim"],
    of: Int[np.ndarray, " event"],
    weight: Float[np.ndarray, " event"],
    x_true: Float[np.ndarray, "true dim"],
    share: Float[np.ndarray, " true"],
    ridge: float,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "true generator"], Float[np.ndarray, "event generator"]]:
    """Log posteriors at the true events, and how much each event that teaches moves their means."""
    from scipy.optimize import minimize
    from scipy.sparse.linalg import LinearOperator, cg

    classes, n = int(of.max()) + 1, len(x)
    # features are those of all events, the weight of true ones next to nothing
    every = np.concatenate([x, x_true])
    all_weights = np.concatenate([weight, np.full(len(x_true), 1e-12)])
    pool = Pooled(every, all_weights, all_weights, n, n)
    table = features(standardised(pool), all_weights, n // (classes * _EVENTS_PER_FEATURE), rng)
    phi, scale = _whitened(table.astype(np.float64), weight, n, ridge)
    shape = (phi.shape[1], classes)
    is_of = np.eye(classes)[of]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = flat.reshape(shape)
        log_p = _log_softmax(phi[:n] @ coefficients)
        push = weight[:, None] * (np.exp(log_p) - is_of)
        gradient = phi[:n].T @ push + scale[:, None] * coefficients
        value = -(weight * log_p[np.arange(n), of]).sum()
        return value + 0.5 * (scale @ coefficients**2).sum(), gradient.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", tol=1e-9)
    log_p = _log_softmax(phi @ found.x.reshape(shape))
    p, p_true = np.exp(log_p[:n]), np.exp(log_p[n:])

    def curvature(flat: np.ndarray) -> np.ndarray:
        change = phi[:n] @ flat.reshape(shape)
        change = weight[:, None] * p * (change - (p * change).sum(axis=1, keepdims=True))
        return (phi[:n].T @ change + scale[:, None] * flat.reshape(shape)).ravel()

    size = shape[0] * shape[1]
    linear: Any = LinearOperator
    operator = linear((size, size), matvec=curvature, dtype=np.float64)
    moved = np.empty((n, classes))
    for k in range(classes):
        slope = phi[n:].T @ (share[:, None] * (np.eye(classes)[k] - p_true))
        answer = cg(operator, slope.ravel(), rtol=1e-4, maxiter=200)[0].reshape(shape)
        moved[:, k] = ((is_of - p) * (phi[:n] @ answer)).sum(axis=1)
    # a generator has as many events as it has: only what differs within it is chance
    means = is_of.T @ (weight[:, None] * moved) * classes
    return log_p[n:], weight[:, None] * (moved - means[of])


def _whitened(
    table: np.ndarray, weight: np.ndarray, n: int, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Features with about the same curvature in all directions, and the penalty of each; one
    that is constant comes last.
    """
    value, vector = np.linalg.eigh(table[:n].T @ (weight[:, None] * table[:n]))
    value = np.maximum(value, 0) + ridge
    white = np.concatenate([table @ (vector / np.sqrt(value)), np.ones((len(table), 1))], axis=1)
    # half a unit of curvature, as of the square of a label that is 0 or 1
    return white, np.append(ridge / value, 1e-6) / 4


def _log_softmax(score: np.ndarray) -> np.ndarray:
    score = score - score.max(axis=1, keepdims=True)
    return score - np.log(np.exp(score).sum(axis=1, keepdims=True))
