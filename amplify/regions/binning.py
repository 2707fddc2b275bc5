"""Regions that are intervals of an observable: bins, shells, tails, cells of a grid, and edges that
share out the events equally. They are counted without a table of booleans.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.regions.places import BLOCK, number_below, places_among
from amplify.regions.shapes import Observable, Regions, radius
from amplify.text import edge_words

_FEW_VALUES = 64  # of a column whose bins may be fewer than asked for


def bins(observable: Observable, edges: Sequence[float] | np.ndarray, name: str) -> Regions:
    """Bins low <= observable < high between consecutive edges; infinite edges make tails.

    >>> from amplify.regions import column
    >>> bins(column(0), [0, 1, float("inf")], "x").labels
    ('0 <= x < 1', 'x >= 1')

    Args:
        observable: events [n, dim] -> one number per event [n].
        edges: two or more, increasing.
        name: of the observable in labels.

    Raises:
        InputError: edges that do not increase.
    """
    values = np.asarray(edges, np.float64)
    if values.ndim != 1 or len(values) < 2 or not (np.diff(values) > 0).all():
        expected, got = "two or more increasing numbers", str(values.tolist())
        fix = "sort them and remove repeated ones"
        raise InputError(f"edges of {name}", expected, got, fix)
    return intervals(observable, values[:-1], values[1:], name)


def intervals(
    observable: Observable,
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    name: str,
) -> Regions:
    """Any intervals low <= observable < high of one observable, overlapping or not: all of them are
    counted together.

    >>> from amplify.regions import column
    >>> intervals(column(0), [0, 0], [1, 2], "x").contains(np.array([[1.5]])).tolist()
    [[False, True]]

    Args:
        observable: events [n, dim] -> one number per event [n].
        low: ends [interval].
        high: the other ends [interval].
        name: of the observable in labels.

    Raises:
        InputError: an interval that is empty.
    """
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if lower.shape != upper.shape or lower.ndim != 1 or not (lower < upper).all():
        got = f"{lower.tolist()} and {upper.tolist()}"
        raise InputError(f"intervals of {name}", "low < high", got, "correct the ends")
    ends = np.unique(np.concatenate([lower, upper]))
    first, last = np.searchsorted(ends, lower), np.searchsorted(ends, upper)

    def contains(x: Any) -> Any:
        values = observable(x)[..., None]
        shape = (1,) * (values.ndim - 1) + lower.shape
        above, below = (ends_like(end, values.dtype).reshape(shape) for end in (lower, upper))
        return (values >= above) & (values < below)

    def inside(x: np.ndarray, summed: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        values = np.asarray(observable(x))
        typed_ends = ends_like(ends, values.dtype)
        if all(numbers is None for numbers in summed):
            below = number_below(values, typed_ends)
            return [below[last] - below[first]] * len(summed)
        cell = places_among(values, typed_ends)
        in_cells = [np.bincount(cell, numbers, len(ends) + 1) for numbers in summed]
        return [_sums_between(sums, first, last) for sums in in_cells]

    words = dict(zip(ends.tolist(), edge_words(ends.tolist()), strict=True))
    labels = tuple(
        _interval_label(name, a, b, words)
        for a, b in zip(lower.tolist(), upper.tolist(), strict=True)
    )
    return Regions(contains, labels, inside)


def cells(
    first: Observable, second: Observable, edges: Sequence[np.ndarray], names: tuple[str, str]
) -> Regions:
    """The cells of a grid of two observables, low <= observable < high in both; the second runs
    fastest.

    >>> from amplify.regions import column
    >>> edges = np.array([0, 1, 2]), np.array([0, 5])
    >>> cells(column(0), column(1), edges, ("x", "y")).labels
    ('0 <= x < 1 and 0 <= y < 5', '1 <= x < 2 and 0 <= y < 5')

    Args:
        first: events [n, dim] -> one number per event [n].
        second: the same.
        edges: of both, increasing.
        names: of both in labels.
    """
    observables = first, second
    rows, columns = (bins(*each) for each in zip(observables, edges, names, strict=True))

    def contains(x: Any) -> Any:
        in_row, in_column = rows.contains(x), columns.contains(x)
        in_cell = in_row[..., :, None] & in_column[..., None, :]
        return in_cell.reshape(*in_row.shape[:-1], -1)

    # one cell more on each side, for what lies outside
    shape = tuple(len(e) + 1 for e in edges)

    def cell_of(x: np.ndarray) -> np.ndarray:
        places = []
        for observable, ends in zip(observables, edges, strict=True):
            values = np.asarray(observable(x))
            places.append(places_among(values, ends_like(ends, values.dtype)))
        return places[0] * shape[1] + places[1]

    def inside(x: np.ndarray, summed: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        size = shape[0] * shape[1]
        if all(numbers is None for numbers in summed):
            blocks = (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))
            counts = sum((np.bincount(cell_of(b), None, size) for b in blocks), np.zeros(size, int))
            in_cells = [counts] * len(summed)
        else:
            cell = cell_of(x)
            in_cells = [np.bincount(cell, numbers, size) for numbers in summed]
        return [sums.reshape(shape)[1:-1, 1:-1].ravel() for sums in in_cells]

    labels = tuple(f"{row} and {column}" for row in rows.labels for column in columns.labels)
    return Regions(contains, labels, inside)


def quantile_edges(x: Any, weight: Any, n_bins: int) -> np.ndarray:
    """Edges of n_bins bins, open at both ends, that hold the same share of the events or weights;
    fewer where values repeat.

    The inner ones are values of x: at least the asked share lies at or below each, as
    numpy.quantile's inverted_cdf. A sum of weights that falls because of a negative one is taken as
    its maximum so far.

    >>> quantile_edges(np.arange(6.0), None, 3).tolist()
    [-inf, 1.0, 3.0, inf]

    Args:
        x: values [n].
        weight: of them [n], or None.
        n_bins: bins that are asked for.

    Returns:
        Edges [n_bins + 1], or fewer.

    Raises:
        InputError: weights without a positive sum.
    """
    values, shares = np.asarray(x, np.float64), np.arange(1, n_bins) / n_bins
    order = np.argsort(values, kind="stable")
    if weight is None:
        # .14 * 100 is more than 14 in floating point
        events_below = np.ceil(shares * len(values) - 1e-9).astype(int)
        places = np.maximum(events_below - 1, 0)
    else:
        total = np.maximum.accumulate(np.cumsum(np.asarray(weight, np.float64)[order]))
        if not total[-1] > 0:
            fix = "check the weight column"
            raise InputError("weights", "a positive sum", f"{total[-1]:g}", fix)
        places = np.searchsorted(total, shares * total[-1] * (1 - 1e-12))
    inner, lowest = values[order][places], values[order[0]]
    return np.concatenate([[-np.inf], np.unique(inner[inner > lowest]), [np.inf]])


def equiprobable_edges(x: Any, weight: Any, n_bins: int, name: str) -> np.ndarray:
    """Edges of n_bins bins, open at both ends, that hold the same share of the events x [n] or of
    their weights; there must be that many.

    Raises:
        InputError: fewer than two bins, or values that repeat too often.
    """
    if n_bins < 2:
        raise InputError("number of bins", "at least 2", str(n_bins), "one bin holds everything")
    edges = quantile_edges(x, weight, n_bins)
    if len(edges) <= n_bins:
        what = f"{n_bins} equiprobable bins of {name}"
        fix = "use fewer bins or name regions yourself"
        raise InputError(what, "distinct edges", "repeated values", fix)
    return edges


def equiprobable_or_fewer(x: Any, weight: Any, n_bins: int, name: str) -> np.ndarray:
    """The same, but fewer bins where there are only few values, as of booleans and small counts.

    >>> equiprobable_or_fewer(np.array([False, True, True]), None, 4, "tag").tolist()
    [-inf, 1.0, inf]
    """
    if n_bins >= 2:
        edges = quantile_edges(x, weight, n_bins)
        if 3 <= len(edges) <= n_bins and len(np.unique(x)) <= _FEW_VALUES:
            return edges
    return equiprobable_edges(x, weight, n_bins, name)


def equiprobable(
    x: Any, observable: Observable, n_bins: int, name: str | None = None, weight: Any = None
) -> Regions:
    """Bins of an observable, open at both ends, that hold the same fraction of the events each.

    >>> from amplify.regions import column
    >>> x = np.linspace(0, 1, 1001)[:, None]
    >>> equiprobable(x, column(0), 4).labels
    ('x0 < 0.25', '0.25 <= x0 < 0.5', '0.5 <= x0 < 0.75', 'x0 >= 0.75')

    Args:
        x: events [n, dim] that place the edges.
        observable: one number per event.
        n_bins: at least 2.
        name: of the observable in labels; default that of the function.
        weight: of the events [n]; the bins then hold the same share of it.

    Raises:
        InputError: fewer than two bins, values that repeat too often, or weights without a positive
            sum.
    """
    label = getattr(observable, "__name__", "observable") if name is None else name
    return bins(observable, equiprobable_edges(observable(x), weight, n_bins, label), label)


def tail(observable: Observable, threshold: float, name: str) -> Regions:
    """Observable >= threshold.

    >>> from amplify.regions import column
    >>> tail(column(0), 3, "pt").labels
    ('pt >= 3',)
    """
    return bins(observable, [threshold, np.inf], name)


def shells(edges: Sequence[float] | np.ndarray) -> Regions:
    """Shells low <= |x| < high around the origin.

    >>> rings = shells([0, 1, 2])
    >>> rings.labels, rings.contains(np.array([[0.6, 0.8]])).tolist()
    (('0 <= r < 1', '1 <= r < 2'), [[False, True]])
    """
    return bins(radius, edges, "r")


def bulk_and_tails(x: np.ndarray, weight: np.ndarray | None = None, share: float = 0.1) -> Regions:
    """Two regions: events whose columns all lie between the quantiles share / 2 and 1 - share / 2
    of the events x [n, dim], and all others.

    Columns after the first dim are not looked at, nor those with few values, whose quantiles are
    their ends.

    >>> x = np.arange(100.0)[:, None]
    >>> bulk_and_tails(x).contains(x).sum(axis=0).tolist()
    [90, 10]

    Args:
        x: events that place the edges [n, dim].
        weight: of these events [n], or None.
        share: of the events that each column has in its two tails.
    """
    inner_edges = [quantile_edges(values, weight, round(2 / share))[1:-1] for values in x.T]
    used = [(i, e[0], e[-1]) for i, e in enumerate(inner_edges) if len(e) > 2]

    def contains(events: Any) -> Any:
        in_bulk = np.ones(len(events), bool)
        for i, low, high in used:
            in_bulk &= (events[:, i] >= low) & (events[:, i] < high)
        return np.stack([in_bulk, ~in_bulk], axis=-1)

    labels = f"bulk (all columns in their central {1 - share:.0%})", "tails (any column outside it)"
    return Regions(contains, labels)


def _sums_between(
    in_cells: np.ndarray, first: Sequence[int] | np.ndarray, last: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Sums over the cells between the ends number `first` and `last` of each interval; cell k lies
    below end k.
    """
    return np.array([in_cells[a + 1 : b + 1].sum() for a, b in zip(first, last, strict=True)])


def ends_like(ends: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Ends in single precision that part the same single-precision values, so that those need no
    conversion, and JAX, which would round the ends, agrees with NumPy.
    """
    if dtype != np.float32:
        return ends
    with np.errstate(over="ignore"):
        near = ends.astype(np.float32)
    return np.where(near < ends, np.nextafter(near, np.float32(np.inf)), near)


def _interval_label(name: str, low: float, high: float, words: Mapping[float, str]) -> str:
    """An interval, its ends in these words."""
    if np.isinf(low) and np.isinf(high):
        return f"all {name}"
    if np.isinf(high):
        return f"{name} >= {words[low]}"
    if np.isinf(low):
        return f"{name} < {words[high]}"
    return f"{words[low]} <= {name} < {words[high]}"
