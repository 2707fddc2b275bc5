"""The energy distance of two samples in any number of columns, exact.

E = 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo, doi:10.1016/j.jspi.2013.03.018). With the
difference d of the two measures it is -sum d_i d_j |x_i - x_j|, and, as the d_i sum to zero, also
d K d with the kernel k(x, y) = |x| + |y| - |x - y| (arXiv:1207.6076) of centred events: its small
entries keep the digits that single precision has. Tiles of K are made from events and forgotten.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.columns import units
from amplify.estimators.statistics.lines import SMALL, in_threads, precision
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic, pooled
from amplify.namespace import namespace

_TILE = 700  # events: a tile of the kernel stays in the cache
_AT_ONCE = 1000  # differences: what they need beside a tile of the kernel stays small


def energy(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """The energy distance E, biased as of the two empirical measures; scipy.stats.energy_distance
    of one column is its root. For JAX the whole matrix of distances is made.

    >>> round(float(energy(np.array([[0.0], [1.0]]), np.array([[3.0]]))), 6)
    4.5

    Args:
        x: events, in columns of comparable units.
        y: other events.
        weight_x: event weights, or None.
        weight_y: the same of y.
    """
    xp = namespace(x, y, weight_x, weight_y)
    if xp is np:
        pool = pooled(x, y, weight_x, weight_y)
        return float(_of_differences(pool.x)(pool.difference[None])[0])
    steps = [
        xp.full(len(a), sign / len(a)) if w is None else sign * w / w.sum()
        for a, w, sign in ((x, weight_x, 1.0), (y, weight_y, -1.0))
    ]
    difference, events = xp.concatenate(steps), xp.concatenate([x, y])
    square = ((events[:, None] - events[None]) ** 2).sum(axis=-1)
    apart = xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, 1.0)), 0.0)
    return -difference @ apart @ difference


def _of_differences(x: np.ndarray) -> Distances:
    """Differences of measures [experiment, event] over these events to their energy distances."""
    n, dtype = len(x), precision(len(x))
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)
    length = np.sqrt((x**2).sum(axis=1))
    kept = (n // _TILE + 1) ** 2 if n <= SMALL else 0
    made = lru_cache(kept)(lambda i, j: _kernel(x, length, i, j))

    def distances(difference: np.ndarray) -> np.ndarray:
        return np.concatenate([some(d) for d in _blocks(difference)])

    def some(difference: np.ndarray) -> np.ndarray:
        d = difference.astype(dtype, copy=False)

        def of_rows(i: int) -> np.ndarray:
            rows = np.zeros((len(d), min(_TILE, n - i)), dtype)
            for j in range(i, n, _TILE):
                part = d[:, j : j + _TILE] @ made(i, j)
                # pairs inside the first tile are met twice, others once
                rows += part if j == i else 2 * part
            # in double precision: terms of both signs
            return np.einsum("er,er->e", rows, d[:, i : i + _TILE], dtype=np.float64)

        return np.sum(in_threads(of_rows, range(0, n, _TILE)), axis=0)

    return distances


def _blocks(difference: np.ndarray) -> Iterator[np.ndarray]:
    return (difference[i : i + _AT_ONCE] for i in range(0, len(difference), _AT_ONCE))


def _kernel(x: np.ndarray, length: np.ndarray, i: int, j: int) -> np.ndarray:
    """Kernel of events from j on with events from i on: [event, row]."""
    rest, rows = slice(j, j + _TILE), slice(i, i + _TILE)
    apart = x[rest] @ (-2 * x[rows].T)
    apart += (length[rest] ** 2)[:, None]
    apart += length[rows] ** 2
    np.sqrt(np.maximum(apart, 0, out=apart), out=apart)
    if i == j:
        np.fill_diagonal(apart, 0.0)
    np.subtract(length[rest, None], apart, out=apart)
    apart += length[rows]
    return apart.astype(precision(len(x)), copy=False)


def _prepare(pool: Pooled, seed: int) -> Distances:
    return _of_differences(pool.x / units(pool.x, pool.weight))


ENERGY = Statistic("energy", "energy distance", 2, _prepare, most=10_000)
"""E of columns in units of their pooled standard deviation."""
