"""Distances of distribution functions along random directions: sliced Kolmogorov-Smirnov and sliced
Wasserstein.

Directions see what columns hide: correlations. The same hundred directions serve observation and
pseudo-experiments. Columns are taken in the units they come in, as in arXiv:2409.16336: a column
with large values decides, so give columns of comparable spread.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.kolmogorov import ks_distance
from amplify.estimators.statistics.columns import each, effective, root_of, scaled, wasserstein
from amplify.estimators.statistics.lines import in_threads, ks_along, wasserstein_along
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.namespace import namespace

DIRECTIONS = 100
_AT_ONCE = 4  # directions that events are projected on together


def directions(dim: int, number: int = DIRECTIONS, seed: int = 0) -> Float[np.ndarray, "line dim"]:
    """Unit vectors, uniform on the sphere; in one dimension there is only one."""
    if dim == 1:
        return np.ones((1, 1))
    v = np.random.default_rng([seed, dim]).normal(size=(number, dim))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def sliced_ks(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
    *,
    number: int = DIRECTIONS,
    seed: int = 0,
) -> Any:
    """sqrt(n m / (n + m)) times the mean over directions of the KS distance (arXiv:2409.16336).

    Args:
        x: events.
        y: other events.
        weight_x: event weights, or None.
        weight_y: the same of y.
        number: of directions.
        seed: of the directions.
    """
    distance = _mean(ks_distance, x, y, weight_x, weight_y, number, seed)
    return root_of(effective(len(x), weight_x), effective(len(y), weight_y)) * distance


def sliced_wasserstein(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
    *,
    number: int = DIRECTIONS,
    seed: int = 0,
) -> Any:
    """sqrt(n m / (n + m) / dim) times the mean over directions of the Wasserstein-1 distance
    (arXiv:2409.16336). Arguments as of `sliced_ks`.
    """
    distance = _mean(wasserstein, x, y, weight_x, weight_y, number, seed)
    root = root_of(effective(len(x), weight_x), effective(len(y), weight_y))
    return root / x.shape[1] ** 0.5 * distance


def projected(
    xp: Any, lines: Float[np.ndarray, "line dim"], x: Float[Any, "event dim"]
) -> Float[Any, "line event"]:
    """Positions of events along lines, in single precision: equal events stay equal, in whatever
    order their columns were added up. Give them around a common centre.
    """
    return (xp.asarray(lines, x.dtype) @ x.T).astype(xp.float32)


def _mean(
    distance: Any, x: Any, y: Any, weight_x: Any, weight_y: Any, number: int, seed: int
) -> Any:
    """Of the distance of projected events, over directions."""
    xp = namespace(x, y, weight_x, weight_y)
    centre = y.mean(axis=0, keepdims=True)
    x, y = x - centre, y - centre
    v = directions(x.shape[1], number, seed)

    def some(these: np.ndarray) -> Any:
        lines = projected(xp, these, x), projected(xp, these, y)
        return each(xp, lambda a, b: distance(a, b, weight_x, weight_y), *lines)

    if xp is not np:
        return some(v).mean()
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    starts = range(0, len(v), _AT_ONCE)
    return float(np.concatenate(in_threads(lambda i: some(v[i : i + _AT_ONCE]), starts)).mean())


def _along(pool: Pooled, seed: int) -> np.ndarray:
    centred = np.asarray(pool.x, np.float64) - pool.x.mean(axis=0, dtype=np.float64)
    return projected(np, directions(centred.shape[1], seed=seed), centred)


def _sliced_ks(pool: Pooled, seed: int) -> Distances:
    of_lines = ks_along(_along(pool, seed), pool)
    return lambda difference: of_lines(difference).mean(axis=1)


def _sliced_wasserstein(pool: Pooled, seed: int) -> Distances:
    of_lines = wasserstein_along(_along(pool, seed), pool)
    return lambda difference: of_lines(difference).mean(axis=1)


def _scaled_by_dim(distance: float, pool: Pooled) -> float:
    return scaled(distance, pool) / float(np.sqrt(pool.x.shape[1]))


SLICED_KS = Statistic("sliced_ks", "sliced KS", 1, _sliced_ks, scaled, most=100_000)
"""The mean over 100 directions, times sqrt(n m / (n + m))."""

SLICED_WASSERSTEIN = Statistic(
    "sliced_wasserstein", "sliced Wasserstein", 1, _sliced_wasserstein, _scaled_by_dim, most=100_000
)
"""The mean over 100 directions, times sqrt(n m / (n + m) / dim)."""
