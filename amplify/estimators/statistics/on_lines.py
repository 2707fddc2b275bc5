"""What a chunk of events adds to the state of a stream (see `streamed`), with NumPy: each line is
sorted once, in the precision in which its values came, for all that is counted on it.
"""

from typing import NamedTuple

import numpy as np

from amplify.regions.places import number_up_to, places_among


class Sorted(NamedTuple):
    """Values along a line in double precision [n], sorted, with their weights or None."""

    t: np.ndarray
    weight: np.ndarray | None


def sorted_line(values: np.ndarray, weight: np.ndarray | None, centre: float = 0.0) -> Sorted:
    """The values relative to a centre."""
    if weight is None:
        return Sorted(np.sort(values).astype(np.float64) - centre, None)
    order = np.argsort(values)
    return Sorted(values[order].astype(np.float64) - centre, weight[order])


def counted(grid: np.ndarray, line: Sorted, *, areas: bool) -> tuple[np.ndarray, ...]:
    """Weight below each value of the sorted grid, weight at or below it, and where areas are asked
    for the sum of weight times position at or below each value, and of all.
    """
    t, w = line
    below = np.searchsorted(t, grid)
    up_to = number_up_to(t, grid, below)
    terms = t if w is None else w * t
    sums = _cumulative(terms)[np.append(up_to, len(t))] if areas else grid[:0]
    if w is not None:
        weights = _cumulative(w)
        below, up_to = weights[below], weights[up_to]
    return below, up_to, sums


def in_bins(edges: np.ndarray, line: Sorted) -> np.ndarray:
    """Weight in each bin between inner edges."""
    t, w = line
    if w is None:
        return np.diff(np.searchsorted(t, edges), prepend=0, append=len(t)).astype(float)
    return np.bincount(places_among(t, edges), w, len(edges) + 1)


def moments(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of each column of events [n, dim], sums of |w|, |w| x and |w| x^2 [3, dim]."""
    if weight is None:
        return np.array([[float(len(c)), c.sum(), c @ c] for c in x.T]).T
    size = np.abs(weight)
    return np.array([[size.sum(), size @ c, (size * c) @ c] for c in x.T]).T


def products(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Sum of w (1, x) (1, x)^T [dim + 1, dim + 1]."""
    total = float(len(x)) if weight is None else weight.sum()
    scaled = x if weight is None else x * weight[:, None]
    first = scaled.sum(axis=0)
    second = scaled.T @ x
    return np.block([[np.full((1, 1), total), first[None]], [first[:, None], second]])


def _cumulative(terms: np.ndarray) -> np.ndarray:
    """Sums of the first k terms [n + 1]."""
    sums = np.zeros(len(terms) + 1)
    np.cumsum(terms, out=sums[1:])
    return sums
