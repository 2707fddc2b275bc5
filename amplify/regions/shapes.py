"""Regions of phase space: shells, boxes, bins of any observable, conditions, masks.

A Regions is a function from events to a table of booleans, with a label for each column. It works
on NumPy and JAX arrays alike.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.expressions import parse

Observable = Callable[[Any], Any]  # events [n, dim] -> one number per event [n]


class Regions(NamedTuple):
    """contains: events [n, dim] -> [n, region] booleans; labels: one per region.

    `inside`, where there is one, sums ones, weights or squared weights over the events in each
    region without that table: (events, list of values [n], None for ones) -> list of sums [region].
    """

    contains: Callable[[Any], Any]
    labels: tuple[str, ...]
    inside: Callable[[np.ndarray, Sequence[np.ndarray | None]], list[np.ndarray]] | None = None


def column(index: int) -> Observable:
    """The observable that is a column of the events."""

    def value(x: Any) -> Any:
        return x[..., index]

    value.__name__ = f"x{index}"
    return value


def radius(x: Any) -> Any:
    """Distance from the origin."""
    return (x * x).sum(axis=-1) ** 0.5


def bins(observable: Observable, edges: Sequence[float] | np.ndarray, name: str) -> Regions:
    """Bins low <= observable < high between consecutive edges; infinite edges make tails.

    >>> bins(column(0), [0, 1, float("inf")], "x").labels
    ('0 <= x < 1', 'x >= 1')
    """
    values = np.asarray(edges, np.float64)
    if values.ndim != 1 or len(values) < 2 or not (np.diff(values) > 0).all():
        raise InputError(
            f"edges of {name}",
            "two or more increasing numbers",
            str(values.tolist()),
            "sort them and remove repeated ones",
        )
    return intervals(observable, values[:-1], values[1:], name)


def intervals(
    observable: Observable,
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    name: str,
) -> Regions:
    """Any intervals low <= observable < high of one observable, overlapping or not: all of them are
    counted by sorting its values once.
    """
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if lower.shape != upper.shape or lower.ndim != 1 or not (lower < upper).all():
        raise InputError(
            f"intervals of {name}",
            "low < high",
            f"{lower.tolist()} and {upper.tolist()}",
            "correct the ends",
        )
    ends = np.unique(np.concatenate([lower, upper]))
    first, last = np.searchsorted(ends, lower), np.searchsorted(ends, upper)

    def contains(x: Any) -> Any:
        v = observable(x)[..., None]
        shape = (1,) * (v.ndim - 1) + lower.shape
        return (v >= lower.reshape(shape)) & (v < upper.reshape(shape))

    def inside(x: np.ndarray, values: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        v = np.asarray(observable(x))
        places = _ends_like(ends, v.dtype)
        if all(value is None for value in values):
            below = np.searchsorted(np.sort(v), places)
            return [below[last] - below[first]] * len(values)
        cell = np.searchsorted(places, v, side="right")
        sums = [np.bincount(cell, value, len(ends) + 1) for value in values]
        return [
            np.array([s[a + 1 : b + 1].sum() for a, b in zip(first, last, strict=True)])
            for s in sums
        ]

    return Regions(
        contains,
        tuple(_interval_label(name, a, b) for a, b in zip(lower, upper, strict=True)),
        inside,
    )


def cells(
    first: Observable, second: Observable, edges: Sequence[np.ndarray], names: tuple[str, str]
) -> Regions:
    """The cells of a grid of two observables, low <= observable < high in both; the second runs
    fastest.
    """
    a, b = (
        bins(observable, e, name)
        for observable, e, name in zip((first, second), edges, names, strict=True)
    )

    def contains(x: Any) -> Any:
        rows, columns = a.contains(x), b.contains(x)
        return (rows[..., :, None] & columns[..., None, :]).reshape(*rows.shape[:-1], -1)

    def inside(x: np.ndarray, values: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        shape = tuple(len(e) + 1 for e in edges)
        place = [
            np.searchsorted(_ends_like(e, v.dtype), v, side="right")
            for e, v in zip(edges, (np.asarray(o(x)) for o in (first, second)), strict=True)
        ]
        index = np.ravel_multi_index(place, shape)
        return [
            np.bincount(index, value, shape[0] * shape[1]).reshape(shape)[1:-1, 1:-1].ravel()
            for value in values
        ]

    return Regions(contains, tuple(f"{p} and {q}" for p in a.labels for q in b.labels), inside)


def quantile_edges(x: Any, weight: Any, n_bins: int) -> np.ndarray:
    """Edges of n_bins bins, open at both ends, that hold the same share of the events or weights;
    fewer where values repeat.

    The inner ones are values of x: at least the asked share lies at or below each, as
    numpy.quantile's inverted_cdf. A sum of weights that falls because of a negative one is taken as
    its maximum so far.
    """
    values, shares = np.asarray(x, np.float64), np.arange(1, n_bins) / n_bins
    order = np.argsort(values, kind="stable")
    if weight is None:
        inner = values[order][np.maximum(np.ceil(shares * len(values) - 1e-9).astype(int) - 1, 0)]
    else:
        total = np.maximum.accumulate(np.cumsum(np.asarray(weight, np.float64)[order]))
        if not total[-1] > 0:
            raise InputError(
                "weights", "a positive sum", f"{total[-1]:g}", "check the weight column"
            )
        inner = values[order][np.searchsorted(total, shares * total[-1] * (1 - 1e-12))]
    return np.concatenate([[-np.inf], np.unique(inner[inner > values[order[0]]]), [np.inf]])


def equiprobable_edges(x: Any, weight: Any, n_bins: int, name: str) -> np.ndarray:
    """Edges of n_bins bins, open at both ends, that hold the same share of the events x [n] or of
    their weights; there must be that many.
    """
    if n_bins < 2:
        raise InputError("number of bins", "at least 2", str(n_bins), "one bin holds everything")
    edges = quantile_edges(x, weight, n_bins)
    if len(edges) <= n_bins:
        raise InputError(
            f"{n_bins} equiprobable bins of {name}",
            "distinct edges",
            "repeated values",
            "use fewer bins or name regions yourself",
        )
    return edges


def equiprobable(
    x: Any, observable: Observable, n_bins: int, name: str | None = None, weight: Any = None
) -> Regions:
    """Bins of an observable, open at both ends, that hold the same fraction of the events each.

    >>> x = np.arange(8.0).reshape(8, 1)
    >>> equiprobable(x, column(0), 4).labels
    ('x0 < 2', '2 <= x0 < 4', '4 <= x0 < 6', 'x0 >= 6')

    Args:
        x: events [n, dim] that place the edges.
        observable: one number per event.
        n_bins: at least 2.
        name: of the observable in labels; default that of the function.
        weight: of the events [n]; the bins then hold the same share of it.
    """
    label = getattr(observable, "__name__", "observable") if name is None else name
    return bins(observable, equiprobable_edges(observable(x), weight, n_bins, label), label)


def tail(observable: Observable, threshold: float, name: str) -> Regions:
    """Observable >= threshold."""
    return bins(observable, [threshold, np.inf], name)


def shells(edges: Sequence[float] | np.ndarray) -> Regions:
    """Shells low <= |x| < high around the origin."""
    return bins(radius, edges, "r")


def box(
    low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray, label: str = "box"
) -> Regions:
    """The box low <= x < high in all dimensions."""
    lower, upper = np.asarray(low, float), np.asarray(high, float)
    if lower.shape != upper.shape or lower.ndim != 1 or not (lower < upper).all():
        raise InputError(
            f"box {label}",
            "low < high in every dimension",
            f"{lower.tolist()} and {upper.tolist()}",
            "correct the corners",
        )

    def contains(x: Any) -> Any:
        ends = (1,) * (x.ndim - 1) + lower.shape
        return ((x >= lower.reshape(ends)) & (x < upper.reshape(ends))).all(axis=-1)[..., None]

    return Regions(contains, (label,))


def bulk_and_tails(x: np.ndarray, weight: np.ndarray | None = None, share: float = 0.1) -> Regions:
    """Two regions: events whose columns all lie between the quantiles share / 2 and 1 - share / 2
    of the events x [n, dim], and all others.

    Columns after the first dim are not looked at, nor those with few values, whose quantiles are
    their ends.
    """
    edges = [quantile_edges(column, weight, round(2 / share))[1:-1] for column in x.T]
    used = [(i, e[0], e[-1]) for i, e in enumerate(edges) if len(e) > 2]

    def bulk(events: Any) -> Any:
        inside = np.ones(len(events), bool)
        for i, low, high in used:
            inside &= (events[:, i] >= low) & (events[:, i] < high)
        return inside

    labels = f"bulk (all columns in their central {1 - share:.0%})", "tails (any column outside it)"
    return Regions(lambda events: np.stack([inside := bulk(events), ~inside], axis=-1), labels)


def mask(inside: Callable[[Any], Any], label: str) -> Regions:
    """A region of one's own: events [n, dim] -> [n] booleans."""
    return Regions(lambda x: inside(x)[..., None], (label,))


def condition(
    text: str, names: Sequence[str], *, label: str | None = None, what: str = "region"
) -> Regions:
    """A region that is an expression of the columns of the events, such as pt > 400 and abs(eta) <
    2.5.

    >>> bool(condition("x > 1 and x < 3", ["x"]).contains(np.array([[2.0]]))[0, 0])
    True

    Args:
        text: a condition; see `amplify.tables.expressions`.
        names: of the columns of the events.
        label: of the region; default the text.
        what: how errors name the place.

    Raises:
        InputError: no condition, or an unknown column.
    """
    expression = parse(text, names, what)
    if not expression.condition:
        raise InputError(what, "a condition like pt > 400", f"'{text}'", "compare it with a number")
    places = {name: list(names).index(name) for name in expression.needs}
    return mask(
        lambda x: np.asarray(expression.value({name: x[..., i] for name, i in places.items()})),
        label or text,
    )


def join(*several: Regions) -> Regions:
    """All the regions, one after the other; they may overlap."""

    def contains(x: Any) -> Any:
        tables = [r.contains(x) for r in several]
        return tables[0].__array_namespace__().concatenate(tables, axis=-1)

    def inside(x: np.ndarray, values: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        parts = [sums_inside(r, x, values) for r in several]
        return [np.concatenate(sums) for sums in zip(*parts, strict=True)]

    return Regions(contains, tuple(label for r in several for label in r.labels), inside)


def sums_inside(
    regions: Regions, x: np.ndarray, values: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    """Sums over the events in each region."""
    if regions.inside is not None:
        return regions.inside(x, values)
    table = np.asarray(regions.contains(x))
    return [table.sum(axis=0) if value is None else value @ table for value in values]


def _ends_like(ends: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Ends in single precision that part the same single-precision values, so that those need no
    conversion.
    """
    if dtype != np.float32:
        return ends
    near = ends.astype(np.float32)
    return np.where(near < ends, np.nextafter(near, np.float32(np.inf)), near)


def _interval_label(name: str, low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return f"all {name}"
    if np.isinf(high):
        return f"{name} >= {low:.6g}"
    if np.isinf(low):
        return f"{name} < {high:.6g}"
    return f"{low:.6g} <= {name} < {high:.6g}"
