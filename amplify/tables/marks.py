"""One 64-bit number for each event, and a search for events by these numbers."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

_BLOCK = 1 << 14  # events marked at once: they stay in the cache
# constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)
_ODD = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))
_HALF, _LATER = np.uint64(32), np.uint64(27)

_KEPT = 2_000_000  # events of a large sample whose repeats are counted
_FEWEST_BITS, _MOST_BITS = 22, 26  # that tell whether an event may be one that is looked for
_SPARSE = 16  # values of these bits for each event that is looked for


def marks_of(x: np.ndarray, single: Sequence[bool]) -> np.ndarray:
    """One number per event [n] of events [n, column], the same for the same event.

    Two numbers of single precision, or one of double, are mixed in at a time: a product that wraps
    around, whose upper half then changes the lower one.

    Args:
        x: events; columns count in double precision unless they are `single`.
        single: columns that are compared in single precision, as all of `x` are that are no more.
    """
    marks = np.zeros(len(x), np.uint64)
    two, one = np.zeros((_BLOCK, 2), np.float32), np.empty(_BLOCK, np.float64)
    shifted = np.empty(_BLOCK, np.uint64)
    groups = _words(single)
    for start in range(0, len(x), _BLOCK):
        mark = marks[start : start + _BLOCK]  # a view: all that follows is in place
        n = len(mark)
        spare, block = shifted[:n], x[start : start + _BLOCK].T
        for columns in groups:
            if single[columns[0]]:
                word = two[:n]
                word[:, 1] = 0
                with np.errstate(over="ignore"):
                    for place, i in enumerate(columns):  # -0 becomes 0
                        np.add(block[i], 0.0, out=word[:, place], casting="same_kind")
                mark ^= word.view(np.uint64)[:, 0]
            else:
                np.add(block[columns[0]], 0.0, out=one[:n])
                mark ^= one[:n].view(np.uint64)
            mark *= _ODD[0]
            np.right_shift(mark, _HALF, out=spare)
            mark ^= spare
        mark *= _ODD[1]
        np.right_shift(mark, _LATER, out=spare)
        mark ^= spare
        mark *= _ODD[2]
    return marks


def _words(single: Sequence[bool]) -> list[list[int]]:
    """Columns that are mixed in together: two of single precision, or one of double."""
    shorts = [i for i, is_single in enumerate(single) if is_single]
    longs = [[i] for i, is_single in enumerate(single) if not is_single]
    return [shorts[k : k + 2] for k in range(0, len(shorts), 2)] + longs


class Met(NamedTuple):
    """Events of a chunk that are among those that are looked for.

    Attributes:
        n: events of the chunk.
        places: which of the different ones, each as often as it was met.
        marks: of all events of the chunk; only of the first chunks.
    """

    n: int
    places: np.ndarray
    marks: np.ndarray | None


class Search:
    """Events that are looked for in another sample, chunk by chunk.

    Args:
        marks: one number per event.
        single: columns that are compared in single precision.
    """

    def __init__(self, marks: np.ndarray, single: Sequence[bool]) -> None:
        self.marks, self.single = marks, tuple(single)
        self.known, self.counts = np.unique(marks, return_counts=True)

    def __getstate__(self) -> dict[str, Any]:
        """What other processes need of it."""
        return {"single": self.single, "known": self.known}

    def chunk(self, first: int, x: np.ndarray, weight: np.ndarray | None) -> Met:
        """Which of them are among the events x [row, column] that begin at the row `first`."""
        return self.among(marks_of(x, self.single), keep=first < _KEPT)

    def among(self, marks: np.ndarray, *, keep: bool) -> Met:
        """Which of them are among these; nearly all others are told by a few bits."""
        if not len(self.known):
            return Met(len(marks), np.zeros(0, int), None)
        blocks = [marks[start : start + _BLOCK] for start in range(0, len(marks), _BLOCK)]
        rest = np.concatenate([np.zeros(0, np.uint64), *map(self._candidates, blocks)])
        place = np.minimum(np.searchsorted(self.known, rest), len(self.known) - 1)
        met = place[self.known[place] == rest]
        return Met(len(marks), met, marks if keep else None)

    def _candidates(self, marks: np.ndarray) -> np.ndarray:
        """Those of the marks whose bits some event has."""
        for bits, is_likely in self._likely.items():
            marks = marks.compress(is_likely.take(_part(marks, *bits), mode="clip"))
        return marks

    @cached_property
    def _likely(self) -> dict[tuple[int, int], np.ndarray]:
        """By some bits of a mark, (the first, how many), whether any event has them."""
        wanted = int(np.log2(_SPARSE * len(self.known)))
        count = min(max(wanted, _FEWEST_BITS), _MOST_BITS)
        tables = {(first, count): np.zeros(1 << count, bool) for first in (0, 64 - count)}
        for bits, table in tables.items():
            table[_part(self.known, *bits)] = True
        return tables


def _part(marks: np.ndarray, first: int, count: int) -> np.ndarray:
    """So many bits of each mark, from one on, as a number."""
    return (marks >> np.uint64(first) & np.uint64((1 << count) - 1)).view(np.int64)
