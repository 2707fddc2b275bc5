"""Bulk and tails in many columns. With hundreds of columns every event has some of them in a tail,
so what counts is how many.
"""

from typing import Any

import numpy as np

from amplify.regions.shapes import Regions

_PLACING = 5000  # events that place the edges of columns
_BLOCK = 1 << 20  # numbers looked at at once


def bulk_and_unusual(
    x: np.ndarray, weight: np.ndarray | None = None, share: float = 0.1
) -> Regions:
    """Two regions: the events with the most columns outside their central part, and all others.

    >>> x = np.random.default_rng(0).normal(size=(1000, 50))
    >>> inside = bulk_and_unusual(x).contains(x)
    >>> bool((inside.sum(axis=1) == 1).all()), bool(30 < inside[:, 1].sum() <= 100)
    (True, True)

    Args:
        x: events that place the edges [n, dim]; columns after the first dim are not looked at.
        weight: of these events [n], or None.
        share: of the values of each column that are outside, and of the events that are unusual.
    """
    some = x[:: max(len(x) // _PLACING, 1)]
    ends = [np.quantile(np.asarray(column), [share / 2, 1 - share / 2]) for column in some.T]
    low, high = np.array(ends).T.astype(x.dtype)

    def outside(events: Any) -> np.ndarray:
        """How many columns are [n]."""
        size = max(_BLOCK // len(low), 1)
        counts = [np.zeros(0, int)]
        for start in range(0, len(events), size):
            block = events[start : start + size, : len(low)]
            counts.append(((block < low) | (block > high)).sum(axis=1))
        return np.concatenate(counts)

    most = _most(outside(x), weight, share)

    def contains(events: Any) -> Any:
        unusual = outside(events) > most
        return np.stack([~unusual, unusual], axis=-1)

    central, tenth = f"{1 - share:.0%}", f"{share:.0%}"
    usual = f"bulk (up to {most} columns outside their central {central})"
    return Regions(contains, (usual, f"tails (more columns outside: about {tenth} of the events)"))


def _most(counts: np.ndarray, weight: np.ndarray | None, share: float) -> int:
    """The smallest number that no more than this share of the events, or weights, exceeds."""
    of_number = np.bincount(counts, weight)
    below = np.cumsum(of_number) / of_number.sum()
    return int(np.argmax(below >= 1 - share))
