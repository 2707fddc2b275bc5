"""Where values lie among sorted ends, exactly and without a search for each value: a search in a
few dozen ends takes twenty times as long as a comparison with one of them.
"""

from typing import NamedTuple

import numpy as np

BLOCK = 1 << 16  # values that stay in the cache
_COMPARED = 28  # ends up to which comparisons take less time than sorting
_SUMMED = 18  # ends up to which they take less time than a table
_TABLE = 1 << 12  # steps of a table
_CORRECTED = 6  # ends in one step, at most


def number_below(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many of the values [n] are below each of the sorted ends [end]; nan is below none.

    >>> number_below(np.array([3.0, 1.0, 2.0]), np.array([2.0, np.inf])).tolist()
    [1, 3]
    """
    if len(ends) > _COMPARED:
        return np.searchsorted(np.sort(values), ends)
    counts = np.zeros(len(ends), int)
    is_below = np.empty(min(len(values), BLOCK), bool)
    for start in range(0, len(values), BLOCK):
        block = np.ascontiguousarray(values[start : start + BLOCK])
        for i, end in enumerate(ends):
            found = np.less(block, end, out=is_below[: len(block)])
            counts[i] += np.count_nonzero(found)
    return counts


def number_up_to(ordered: np.ndarray, grid: np.ndarray, below: np.ndarray) -> np.ndarray:
    """How many of the sorted values [n] are at or below each value of the grid [k], of which it is
    known how many are below; searched only where a value is equal.

    >>> number_up_to(np.array([1.0, 2.0, 2.0]), np.array([0.5, 2.0]), np.array([0, 1])).tolist()
    [0, 3]
    """
    up_to = below.copy()
    if len(ordered):
        tied = np.flatnonzero(ordered[np.minimum(below, len(ordered) - 1)] == grid)
        up_to[tied] = np.searchsorted(ordered, grid[tied], side="right")
    return up_to


def places_among(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many of the sorted ends [end] are at or below each of the values [n]: its place between
    them, from 0 to the number of ends. That of nan is one of these two.

    >>> places_among(np.array([3.0, 1.0, 2.0]), np.array([2.0, np.inf])).tolist()
    [1, 0, 1]
    """
    if len(ends) <= _SUMMED:
        return _compared(values, ends)
    steps = _steps(ends) if values.dtype == ends.dtype else None
    if steps is None or np.isnan(values).any():
        return np.searchsorted(ends, values, side="right")
    return _looked_up(values, ends, steps)


def _compared(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A comparison with each end."""
    places = np.zeros(len(values), np.uint8)
    is_above = np.empty(min(len(values), BLOCK), bool)
    for start in range(0, len(values), BLOCK):
        block = np.ascontiguousarray(values[start : start + BLOCK])
        found, place = is_above[: len(block)], places[start : start + BLOCK]
        for end in ends:
            np.add(place, np.greater_equal(block, end, out=found).view(np.uint8), out=place)
    return places.astype(np.intp)


class _Steps(NamedTuple):
    """Steps of equal width from the lowest finite end to the highest.

    Attributes:
        low: the lowest finite end.
        scale: steps per unit.
        first: how many ends are in the steps before each [step].
        most: ends in one step.
    """

    low: np.floating
    scale: np.floating
    first: np.ndarray
    most: int

    def of(self, values: np.ndarray) -> np.ndarray:
        """The step of each value. It never falls when the value rises, however it is rounded: an
        end in another step is on the side on which that step is.
        """
        step = np.subtract(values, self.low)
        step *= self.scale
        step += 1  # what is below the lowest finite end has a step of its own
        np.clip(step, 0, _TABLE - 1, out=step)
        return step.astype(np.intp)


def _steps(ends: np.ndarray) -> _Steps | None:
    """None where too many ends share a step."""
    finite = ends[np.isfinite(ends)]
    if ends.dtype.kind != "f" or len(finite) < 2:
        return None
    with np.errstate(over="ignore", divide="ignore"):
        scale = ends.dtype.type(_TABLE - 3) / (finite[-1] - finite[0])
    if not (np.isfinite(scale) and scale > 0):
        return None
    steps = _Steps(finite[0], scale, np.zeros(0), 0)
    with np.errstate(over="ignore"):
        of_ends = steps.of(ends)
    counts = np.bincount(of_ends, minlength=_TABLE)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
    most = int(counts.max())
    return steps._replace(first=first, most=most) if most <= _CORRECTED else None


def _looked_up(values: np.ndarray, ends: np.ndarray, steps: _Steps) -> np.ndarray:
    """From the ends in the steps before, one after the other in its own."""
    places = np.empty(len(values), np.intp)
    next_end = np.append(ends, ends.dtype.type(np.nan))  # at or below nothing
    with np.errstate(over="ignore"):
        for start in range(0, len(values), BLOCK):
            block = np.ascontiguousarray(values[start : start + BLOCK])
            place = steps.first.take(steps.of(block), mode="clip")
            for _ in range(steps.most):
                place += block >= next_end.take(place, mode="clip")
            places[start : start + BLOCK] = place
    return places
