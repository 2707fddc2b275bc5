"""Means and covariances of weighted samples, and the Frechet distance of the Gaussians that have
them (FGD, FPD).

A finite sample lies away from its own density: E of the distance of n events to their truth is
about s / n. The field's number takes that out by a fit of a + s / N to subsamples of N events
(arXiv:2211.10295). Here s follows from the events themselves, by the second derivative of the
distance in both covariances: what the fit gives with infinitely many subsamples, without their
noise. Subsamples have to be drawn without replacement for it; with replacement, as `jetnet.fpd`
draws them, the fit ends at the distance of the two samples, s / n included.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.pairs import in_double, shares
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.estimators.statistics.shares import standardised
from amplify.namespace import namespace

_BLOCK = 1 << 24  # numbers of a block of features
_SINGULAR = 1e-7  # of the largest singular value: what is no direction of both samples


class Moments(NamedTuple):
    """Sums over a weighted sample. Additive: `plus`, or a sum over devices.

    Attributes:
        total: sum of weights.
        square: sum of squared weights.
        first: sum of w (x - origin) [dim].
        second: sum of w (x - origin) (x - origin)^T [dim, dim].
        origin: a value of each column near its mean [dim], the same in all parts of a sample.
    """

    total: Any
    square: Any
    first: Any
    second: Any
    origin: Any

    def plus(self, other: "Moments") -> "Moments":
        """Sums over both samples together, of one origin."""
        total, square, first, second = (a + b for a, b in zip(self[:4], other[:4], strict=True))
        return Moments(total, square, first, second, self.origin)

    @property
    def mean(self) -> Any:
        """Of each column [dim]."""
        return self.first / self.total + self.origin

    @property
    def covariance(self) -> Any:
        """[dim, dim], unbiased: divided by 1 - sum w^2 / (sum w)^2, n - 1 without weights."""
        return self.spread / (1 - self.square / self.total**2)

    @property
    def spread(self) -> Any:
        """[dim, dim], the covariance of these events, divided by sum w."""
        mean = self.first / self.total
        return self.second / self.total - mean[:, None] * mean[None]


def moments(
    x: Float[Any, "n dim"], weight: Float[Any, " n"] | None = None, origin: Any = 0.0
) -> Moments:
    """The sums of a sample, or of a part of one that is larger than memory.

    >>> round(float(moments(np.array([[0.0], [2.0], [4.0]])).covariance[0, 0]), 9)
    4.0

    Args:
        x: events; NumPy, or JAX under jit and vmap.
        weight: event weights, or None.
        origin: near the means, where they are large compared with the spread.
    """
    xp = namespace(x, weight)
    x = in_double(x)
    of_event: Any = xp.ones(len(x), x.dtype) if weight is None else xp.asarray(weight)
    near = xp.broadcast_to(xp.asarray(origin, x.dtype), x.shape[1:])
    x = x - near[None]
    weighted = of_event[:, None] * x
    return Moments(of_event.sum(), (of_event**2).sum(), weighted.sum(axis=0), weighted.T @ x, near)


def frechet_distance(
    mean_x: Float[Any, " dim"],
    covariance_x: Float[Any, "dim dim"],
    mean_y: Float[Any, " dim"],
    covariance_y: Float[Any, "dim dim"],
) -> Any:
    """|mean_x - mean_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)) of two Gaussians, squared as the
    field quotes it.

    >>> float(frechet_distance(np.zeros(1), 4 * np.eye(1), np.ones(1), np.eye(1)))
    2.0
    """
    xp = namespace(mean_x, covariance_x, mean_y, covariance_y)
    root = _root(xp, covariance_y)
    square = xp.linalg.eigvalsh(root @ covariance_x @ root)
    return _apart(xp, mean_x - mean_y, covariance_x, covariance_y, square)


def frechet(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """Frechet distance of two samples, extrapolated to infinitely many events (unbiased FGD, FPD;
    arXiv:2211.10295, arXiv:2409.16336): a where the distance of N + N events is a + s / N.

    It may be negative. Columns are taken as they are; `jetnet` divides each by its largest |x|.

    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> round(frechet(x[:500], x[500:] + 1.0), 2)  # 1 + 1, and chance
    2.17

    Args:
        x: events of one sample; NumPy, or JAX under jit and vmap.
        y: events of the other.
        weight_x: event weights, or None.
        weight_y: the same of y.
    """
    xp = namespace(x, y, weight_x, weight_y)
    origin = xp.asarray(y).mean(axis=0)
    a, b = moments(x, weight_x, origin), moments(y, weight_y, origin)
    value, excess_x, excess_y = _with_excess(xp, a, b, (x, weight_x), (y, weight_y))
    value = value - excess_x - excess_y
    return float(value) if xp is np else value


def streamed_frechet(
    generated: Moments, holdout: Moments, y: np.ndarray, weight_y: np.ndarray | None = None
) -> tuple[float, float]:
    """The distance of FRECHET, and the extrapolated one that it quotes, of a generated sample of
    which only the sums are known. What its chance adds is taken to be that of as many events of the
    holdout.

    Args:
        generated: sums of the generated sample.
        holdout: those of the holdout.
        y: events of the holdout.
        weight_y: their weights, or None.
    """
    n, m = (float(s.total) ** 2 / float(s.square) for s in (generated, holdout))
    both = ((n / (n + m), generated), (m / (n + m), holdout))
    mean = sum(share * s.mean for share, s in both)
    variance = sum(share * (np.diag(s.spread) + (s.mean - mean) ** 2) for share, s in both)
    scale = np.sqrt(np.maximum(variance, 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    a, b = (
        s._replace(
            first=s.first / scale,
            second=s.second / scale / scale[:, None],
            origin=s.origin / scale,
        )
        for s in (generated, holdout)
    )
    distance = frechet_distance(a.mean, a.spread, b.mean, b.spread)
    events = y / scale, weight_y
    value, _, excess = _with_excess(np, a, b, events, events)
    return float(distance), float(value - excess * (1 + m / n))


def _root(xp: Any, matrix: Any) -> Any:
    """Symmetric square roots of matrices [..., dim, dim]; eigenvalues below zero count as zero."""
    values, vectors = xp.linalg.eigh(matrix)
    values = xp.sqrt(xp.maximum(values, 0.0))
    return (vectors * values[..., None, :]) @ xp.swapaxes(vectors, -1, -2)


def _apart(xp: Any, mean: Any, covariance_x: Any, covariance_y: Any, square: Any) -> Any:
    """The distance, with the eigenvalues of C_x C_y."""
    overlap = xp.sqrt(xp.maximum(square, 0.0)).sum()
    return (mean**2).sum() + xp.trace(covariance_x) + xp.trace(covariance_y) - 2 * overlap


def _with_excess(xp: Any, a: Moments, b: Moments, *samples: Any) -> list[Any]:
    """The distance, and what the chance of each sample adds to it, to first order in 1 / n.

    The second derivative of -2 tr (C_x C_y)^(1/2) in C_x, in the basis in which C_y^(1/2) C_x
    C_y^(1/2) is diag(s^2), is sum_jk E_jk^2 / (s_j s_k (s_j + s_k)); events z change C_x by
    (z z^T - diag(s^2)) / n there. The same in C_y, in the other basis of the singular values s of
    C_x^(1/2) C_y^(1/2).
    """
    root = _root(xp, b.covariance)
    square, basis = xp.linalg.eigh(root @ a.covariance @ root)
    found = [_apart(xp, a.mean - b.mean, a.covariance, b.covariance, square)]
    s = xp.sqrt(xp.maximum(square, 0.0))
    inside = s > _SINGULAR * s[-1]
    s = xp.where(inside, s, 1.0)
    row, column = s[:, None], s[None]
    curvature = inside[:, None] * inside[None] / (2 * row * column * (row + column))
    basis_x = basis.T @ root
    bases = basis_x, (basis_x @ a.covariance) / row
    for sums, turn, (x, weight) in zip((a, b), bases, samples, strict=True):
        share = shares(x, weight)
        centred = xp.asarray(x) - sums.mean[None]
        z2 = (centred @ turn.T) ** 2
        pairs = (share[:, None] ** 2 * z2).T @ z2
        diagonal = s**4 * (share**2).sum() - 2 * s**2 * ((share**2) @ z2)
        of_mean = (share**2) @ (centred**2).sum(axis=1)
        found.append(of_mean + (curvature * (pairs + xp.diag(diagonal))).sum())
    return found


def _prepared(x: np.ndarray, pool: Pooled) -> Distances:
    """Moments are linear in the measure: those of the pool, and of the differences."""
    n, dim = x.shape
    x = x - pool.weight @ x
    rows, columns = np.triu_indices(dim)
    covariance = (pool.weight[:, None] * x).T @ x
    share = pool.share
    events = max(1, _BLOCK // (dim + len(rows)))

    def distances(difference: Float[np.ndarray, "experiment event"]) -> np.ndarray:
        sums = np.zeros((len(difference), dim + len(rows)))
        for start in range(0, n, events):
            block = x[start : start + events]
            features = np.concatenate([block, block[:, rows] * block[:, columns]], axis=1)
            sums += difference[:, start : start + events] @ features
        at_once = max(1, _BLOCK // dim**2)
        parts = [sums[i : i + at_once] for i in range(0, len(sums), at_once)]
        return np.concatenate([of_sums(part) for part in parts])

    def of_sums(sums: np.ndarray) -> np.ndarray:
        mean = sums[:, :dim]
        second = np.empty((len(sums), dim, dim))
        second[:, rows, columns] = second[:, columns, rows] = sums[:, dim:]
        outer = mean[:, :, None] * mean[:, None]
        # the pool has mean zero, so the samples have (1 - share) mean and -share mean
        of_x = covariance + (1 - share) * second - (1 - share) ** 2 * outer
        of_y = covariance - share * second - share**2 * outer
        root = _root(np, of_x)
        overlap = np.linalg.eigvalsh(root @ of_y @ root)
        trace = np.trace(of_x, axis1=1, axis2=2) + np.trace(of_y, axis1=1, axis2=2)
        return (mean**2).sum(axis=1) + trace - 2 * np.sqrt(np.maximum(overlap, 0)).sum(axis=1)

    return distances


def frechet_statistic(*, standardise: bool = True) -> Statistic:
    """Frechet distance of the two samples, which falls as 1 / n for true events; quoted is the
    extrapolated one, `frechet`.

    Args:
        standardise: columns in units of their standard deviation in the pool, so that no unit
            decides. False is the definition of arXiv:2409.16336, for columns as they are.
    """

    def columns(pool: Pooled) -> np.ndarray:
        return standardised(pool) if standardise else pool.x

    def quoted(distance: float, pool: Pooled) -> float:
        x = columns(pool)
        return frechet(x, x, *pool.measures(pool.difference))

    name, title = ("frechet", "Frechet") if standardise else ("raw_frechet", "Frechet, raw columns")
    prepare = lambda pool, seed: _prepared(columns(pool), pool)  # noqa: E731
    return Statistic(name, title, 2, prepare, quoted, most=100_000)


FRECHET = frechet_statistic()
"""Of standardised columns."""
