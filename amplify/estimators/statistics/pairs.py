"""Means of a kernel over pairs of weighted events, by blocks of its matrix; NumPy or JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.lines import in_threads
from amplify.namespace import namespace

_ROWS = 2048  # of a block of the kernel

Kernel = Callable[[Any, Any], Any]


def in_double(x: Any) -> Any:
    """NumPy in double precision; JAX as it is."""
    return np.asarray(x, np.float64) if namespace(x) is np else x


def shares(x: Float[Any, "n dim"], weight: Any | None) -> Float[Any, " n"]:
    """Of each event in its sample."""
    xp = namespace(x, weight)
    if weight is None:
        return xp.full(len(x), 1 / len(x), x.dtype)
    of_event: Any = xp.asarray(weight)
    return of_event / of_event.sum()


def mean_kernel(kernel: Kernel, x: Any, y: Any, share_x: Any, share_y: Any) -> Any:
    """Over all pairs of an event of x and one of y.

    Args:
        kernel: events [n, dim] and [m, dim] to [n, m].
        x: events.
        y: other events, or the same.
        share_x: of each event of x.
        share_y: of each event of y.
    """

    def part(start: int) -> Any:
        rows = slice(start, start + _ROWS)
        return (share_x[rows] @ (kernel(x[rows], y) @ share_y))[None]

    starts = range(0, len(x), _ROWS)
    parts = in_threads(part, starts) if namespace(x, y) is np else map(part, starts)
    return sum(p[0] for p in parts)


def of_different_events(mean: Any, share: Float[Any, " n"], itself: Any) -> Any:
    """Mean over pairs of different events of one sample (U-statistic).

    Args:
        mean: over all pairs.
        share: of each event.
        itself: kernel of each event with itself.
    """
    square = share**2
    return (mean - (square * itself).sum()) / (1 - square.sum())
