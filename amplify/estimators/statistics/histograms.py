"""Differences of the histograms of columns: separation power and chi^2.

Bins hold equal shares of the pool, so that no range has to be chosen and none is empty. A pool of
few events has fewer bins.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.namespace import namespace

BINS = 20
_EVENTS_PER_BIN = 10  # at least


def separation(
    x: Float[Any, " n"],
    y: Float[Any, " m"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
    *,
    edges: Float[Any, " edge"],
) -> Any:
    """Separation power 1/2 sum (p - q)^2 / (p + q) of two histograms of one column (CaloChallenge,
    arXiv:2410.21611): 0 for equal ones, 1 for such without a common bin.

    >>> float(separation(np.array([0.1, 0.2]), np.array([0.7]), edges=np.array([0, 0.5, 1])))
    1.0

    Args:
        x: values.
        y: other values.
        weight_x: event weights, or None.
        weight_y: the same of y.
        edges: of the bins; p and q are shares of the events inside.
    """
    xp = namespace(x, y)
    return separation_of(xp, _shares(x, weight_x, edges), _shares(y, weight_y, edges))


def chi_squared(
    x: Float[Any, " n"],
    y: Float[Any, " m"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
    *,
    edges: Float[Any, " edge"],
) -> Any:
    """chi^2 of the homogeneity of two histograms per degree of freedom; 1 is expected where there
    is no difference. Weighted events count as (sum w)^2 / sum w^2.

    Arguments as of `separation`.
    """
    xp = namespace(x, y)
    n, m = _inside(x, weight_x, edges), _inside(y, weight_y, edges)
    p, q = _shares(x, weight_x, edges), _shares(y, weight_y, edges)
    return chi_squared_of(xp, p - q, (n * p + m * q) / (n + m)) / (1 / n + 1 / m)


def separation_of(xp: Any, p: Float[Any, "... bin"], q: Float[Any, "... bin"]) -> Any:
    """Separation power of shares. Negative ones, of negative weights or of a difference that is no
    sample's, never make more of a bin than two samples without a common event would.
    """
    both = xp.maximum(p + q, xp.abs(p - q))
    return 0.5 * _quotient(xp, (p - q) ** 2, both).sum(axis=-1)


def chi_squared_of(xp: Any, difference: Float[Any, "... bin"], pool: Float[Any, "... bin"]) -> Any:
    """The sum of (p - q)^2 / pool over filled bins, per degree of freedom: chi^2 of that is
    n m / (n + m) times as much.
    """
    freedom = xp.maximum((pool > 0).sum(axis=-1) - 1, 1)
    return _quotient(xp, difference**2, pool).sum(axis=-1) / freedom


def equal_bins(
    x: Float[np.ndarray, "event dim"], weight: Float[np.ndarray, " event"]
) -> Float[np.ndarray, "dim edge"]:
    """Inner edges of bins that hold equal shares of the events, infinite ones where values are tied
    and there are fewer bins.
    """
    bins = int(np.clip(len(x) / _EVENTS_PER_BIN, 2, BINS))
    edges = np.full((x.shape[1], bins - 1), np.inf)
    for row, column in zip(edges, x.T, strict=True):
        order = np.argsort(column, kind="stable")
        up_to = np.cumsum(np.abs(weight)[order])
        at = np.searchsorted(up_to, up_to[-1] * np.arange(1, bins) / bins)
        inner = np.unique(column[order][np.minimum(at, len(x) - 1)])
        inner = inner[inner > column[order[0]]]
        row[: len(inner)] = inner
    return edges


def _shares(x: Any, weight: Any, edges: Any) -> Any:
    counts = namespace(x).histogram(x, edges, weights=weight)[0]
    return counts / counts.sum()


def _inside(x: Any, weight: Any, edges: Any) -> Any:
    """Effective events between the first edge and the last."""
    w = ((x >= edges[0]) & (x <= edges[-1])) * (1.0 if weight is None else weight)
    return w.sum() ** 2 / (w**2).sum()


def _quotient(xp: Any, numerator: Any, denominator: Any) -> Any:
    """0 where the denominator is not positive."""
    filled = denominator > 0
    return xp.where(filled, numerator / xp.where(filled, denominator, 1.0), 0.0)


def _binned(pool: Pooled) -> Callable[[np.ndarray], np.ndarray]:
    """Measures [experiment, event] to their sums in bins [experiment, dim, bin]."""
    from scipy.sparse import csr_array

    edges = equal_bins(pool.x, pool.weight)
    dim, bins = len(edges), edges.shape[1] + 1
    inside = [np.searchsorted(e, x, side="right") for e, x in zip(edges, pool.x.T, strict=True)]
    rows = np.stack(inside) + bins * np.arange(dim)[:, None]
    events = np.broadcast_to(np.arange(len(pool.x)), rows.shape)
    shape = dim * bins, len(pool.x)
    indicator = csr_array((np.ones(rows.size), (rows.ravel(), events.ravel())), shape=shape)
    return lambda measure: (indicator @ measure.T).T.reshape(-1, dim, bins)


def _prepare_separation(pool: Pooled, seed: int) -> Distances:
    binned, share = _binned(pool), pool.share
    weight = binned(pool.weight[None])

    def distances(difference: np.ndarray) -> np.ndarray:
        d = binned(difference)
        return separation_of(np, weight + (1 - share) * d, weight - share * d).mean(axis=1)

    return distances


def _prepare_chi_squared(pool: Pooled, seed: int) -> Distances:
    binned = _binned(pool)
    weight = binned(pool.weight[None])
    return lambda difference: chi_squared_of(np, binned(difference), weight).mean(axis=1)


SEPARATION = Statistic("separation", "separation power", 2, _prepare_separation)
"""Mean over columns of 1/2 sum (p - q)^2 / (p + q), in 20 bins of equal shares of the pool."""

CHI_SQUARED = Statistic(
    "chi_squared",
    "chi^2 of histograms",
    2,
    _prepare_chi_squared,
    lambda distance, pool: pool.n * distance,
)
"""Mean over columns of chi^2 per degree of freedom, in the same bins."""
