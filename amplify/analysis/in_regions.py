"""What results.json keeps of members together, so that their covariance is known: the fractions of
each in each region, and what part of the events is in two regions at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.types import Events

MOST_REGIONS = 250  # of more the matrix is large, and no fit has as many bins
EVENTS = 50_000  # that tell how regions overlap
_ROWS = 4096  # of them at once
_DIGITS = 6


def members_in_regions(
    integral: np.ndarray, in_both: np.ndarray, condition: np.ndarray | None = None
) -> dict[str, Any]:
    """The view for results.json.

    Args:
        integral: fraction of each member's events in each region [member, region].
        in_both: fraction of events in each pair of regions [region, region].
        condition: number of the condition that each region belongs to, or None.
    """
    lower = in_both[np.tril_indices(len(in_both))]
    at = np.zeros(len(in_both), int) if condition is None else condition
    return {
        "integral": integral.tolist(),
        "in_both": [float(f"{value:.{_DIGITS}g}") for value in lower],
        "condition": at.tolist(),
    }


def overlaps(regions: rg.Regions, chosen: np.ndarray, events: Events) -> np.ndarray:
    """Fraction of these events in each pair of the chosen regions [region, region].

    >>> halves = rg.bins(rg.column(0), [0, 1, 2], "x")
    >>> overlaps(halves, np.arange(2), Events(np.array([[0.5], [1.5]]))).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    total, size = 0.0, len(chosen)
    in_both = np.zeros((size, size))
    for start in range(0, len(events.x), _ROWS):
        rows = events.take(slice(start, start + _ROWS))
        inside = np.asarray(regions.contains(rows.x))[:, chosen].astype(float)
        w = np.ones(len(rows.x)) if rows.weight is None else rows.weight
        in_both += inside.T @ (w[:, None] * inside)
        total += float(w.sum())
    return in_both / total


def together(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Overlaps of regions at different conditions, which share no events, as one table."""
    size = sum(len(part) for part in parts)
    table, start = np.zeros((size, size)), 0
    for part in parts:
        stop = start + len(part)
        table[start:stop, start:stop] = part
        start = stop
    return table
