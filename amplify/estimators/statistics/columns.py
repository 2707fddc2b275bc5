"""Distances of distribution functions, column by column: Kolmogorov-Smirnov and Wasserstein-1."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.kolmogorov import ks_distance
from amplify.estimators.statistics.lines import ks_along, wasserstein_along
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.namespace import namespace


def ks(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Float[Any, " dim"]:
    """Two-sided KS distance of each column, of NumPy and of JAX."""
    xp = namespace(x, y, weight_x, weight_y)
    return each(xp, lambda a, b: ks_distance(a, b, weight_x, weight_y), x.T, y.T)


def mean_ks(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """sqrt(n m / (n + m)) times the mean over columns of the KS distance (arXiv:2409.16336)."""
    n = effective(len(x), weight_x), effective(len(y), weight_y)
    return root_of(*n) * ks(x, y, weight_x, weight_y).mean()


def max_ks(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """sqrt(n m / (n + m)) times the KS distance of the column in which it is largest."""
    n = effective(len(x), weight_x), effective(len(y), weight_y)
    return root_of(*n) * ks(x, y, weight_x, weight_y).max()


def wasserstein(
    x: Float[Any, " n"],
    y: Float[Any, " m"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """Wasserstein-1 distance of two samples of one number: the area between their distribution
    functions; for NumPy and, under jit and vmap, for JAX.

    Without weights the area is that between the quantile functions, and sorting is all there is to
    do.

    >>> round(float(wasserstein(np.array([0.0, 1.0]), np.array([0.5, 1.5, 2.5]))), 6)
    1.0
    """
    xp = namespace(x, y, weight_x, weight_y)
    n, m = len(x), len(y)
    if weight_x is None and weight_y is None:
        x, y = xp.sort(x), xp.sort(y)
        if n == m:
            return xp.abs(x - y).mean()
        of_x, of_y, width = _levels(n, m)
        return xp.abs(x[of_x] - y[of_y]) @ width
    values = xp.concatenate([x, y])
    steps = xp.concatenate([_shares(xp, weight_x, n), -_shares(xp, weight_y, m)])
    order = xp.argsort(values)
    return xp.abs(xp.cumsum(steps[order])[:-1]) @ xp.diff(values[order])


def mean_wasserstein(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """Mean over columns of the Wasserstein-1 distance, each column in units of its standard
    deviation in the pool: which units the columns have decides nothing.
    """
    xp = namespace(x, y, weight_x, weight_y)
    unit = units(
        xp.concatenate([x, y]),
        xp.concatenate([_counts(xp, weight_x, len(x)), _counts(xp, weight_y, len(y))]),
    )
    x, y = (x / unit[None]).T, (y / unit[None]).T
    return each(xp, lambda a, b: wasserstein(a, b, weight_x, weight_y), x, y).mean()


def units(x: Float[Any, "event dim"], weight: Float[Any, " event"]) -> Float[Any, " dim"]:
    """Standard deviation of each column; 1 where a column is constant. Of negative weights the
    absolute value counts.
    """
    xp = namespace(x, weight)
    share = xp.abs(weight) / xp.abs(weight).sum()
    # about an event, so that a large common offset costs no digits
    centred = x - x[:1]
    spread = xp.sqrt(share @ (centred - (share @ centred)[None]) ** 2)
    return xp.where(spread > 0, spread, 1.0)


def each(xp: Any, function: Callable[..., Any], *lines: Any) -> Any:
    """Stacked results of a function of each line (leading axis): a loop, or vmap of JAX."""
    if xp is not np:
        import jax

        return jax.vmap(function)(*lines)
    found = [function(*line) for line in zip(*lines, strict=True)]
    if isinstance(found[0], tuple):
        return tuple(np.stack(parts) for parts in zip(*found, strict=True))
    return np.stack(found)


def effective(n: int, weight: Any) -> Any:
    """Events: (sum w)^2 / sum w^2."""
    return float(n) if weight is None else weight.sum() ** 2 / (weight**2).sum()


def root_of(n: Any, m: Any) -> Any:
    """sqrt(n m / (n + m))."""
    return (1 / (1 / n + 1 / m)) ** 0.5


@lru_cache(maxsize=2)
def _levels(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where either of two quantile functions steps: which value of each is there, and the width of
    the step.
    """
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / (n * m)


def _shares(xp: Any, weight: Any, n: int) -> Any:
    return xp.full(n, 1 / n) if weight is None else weight / weight.sum()


def _counts(xp: Any, weight: Any, n: int) -> Any:
    """Of each event, as the pool counts it: weights that sum up to the effective events."""
    return _shares(xp, weight, n) * effective(n, weight)


def _mean_ks(pool: Pooled, seed: int) -> Distances:
    of_columns = ks_along(pool.x.T, pool)
    return lambda difference: of_columns(difference).mean(axis=1)


def _max_ks(pool: Pooled, seed: int) -> Distances:
    of_columns = ks_along(pool.x.T, pool)
    return lambda difference: of_columns(difference).max(axis=1)


def _mean_wasserstein(pool: Pooled, seed: int) -> Distances:
    of_columns = wasserstein_along((pool.x / units(pool.x, pool.weight)).T, pool)
    return lambda difference: of_columns(difference).mean(axis=1)


def scaled(distance: float, pool: Pooled) -> float:
    """sqrt(n m / (n + m)) times the distance."""
    return float(np.sqrt(pool.n)) * distance


MEAN_KS = Statistic("mean_ks", "mean KS", 1, _mean_ks, scaled)
"""sqrt(n m / (n + m)) times the mean over columns of the KS distance (arXiv:2409.16336)."""

MAX_KS = Statistic("max_ks", "largest KS", 1, _max_ks, scaled)
"""The same of the column in which it is largest."""

MEAN_WASSERSTEIN = Statistic("mean_wasserstein", "mean Wasserstein", 1, _mean_wasserstein)
"""Mean over columns of the Wasserstein-1 distance in units of the pooled standard deviation."""
