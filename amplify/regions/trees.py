"""Boxes that hold the same share of the events each, by quantiles of one observable after the
other: bins of a resolution in several columns.

GANplification (arXiv:2008.06545) counts in such boxes of radius and angles. They are counted
without a table of booleans, so that ten thousand of them cost little more than ten.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.regions.binning import bins as bins_of
from amplify.regions.binning import ends_like, equiprobable_edges
from amplify.regions.shapes import Observable, Regions, column

_LABELLED = 20_000  # boxes; more are slow to name, and nobody reads them


def quantile_tree(
    x: np.ndarray,
    bins: int | Sequence[int],
    columns: Sequence[int | Observable] | None = None,
    *,
    names: Sequence[str] | None = None,
    weight: np.ndarray | None = None,
) -> Regions:
    """Equiprobable boxes: bins of the first observable, each cut into bins of the second by the
    quantiles of its own events, and so on. The last one runs fastest.

    >>> rng = np.random.default_rng(0)
    >>> boxes = quantile_tree(rng.normal(size=(400, 2)), 2)
    >>> boxes.labels[0]
    'x0 < -0.1158 and x1 < 0.05103'
    >>> from amplify.regions import count
    >>> count(boxes, rng.normal(size=(8000, 2))).n_inside.round(-2).tolist()
    [1900, 1700, 2200, 2200]

    Args:
        x: events that place the edges [n, dim].
        bins: of each observable, or one number for all of them; the boxes are their product.
        columns: places of columns, or observables; default all columns.
        names: of the observables in labels; default those of the functions, x0 for column 0.
        weight: of the events [n]; boxes then hold the same share of it.

    Raises:
        InputError: numbers of bins that are not one each, at least 1 and together at least 2, more
            than 20000 boxes, values that repeat too often, or columns and weights of other events.
    """
    _check_events(x, columns, weight)
    places = range(np.shape(x)[-1]) if columns is None else columns
    observables = [c if callable(c) else column(int(c)) for c in places]
    words = names or [getattr(o, "__name__", f"t{i}") for i, o in enumerate(observables)]
    numbers = [bins] * len(observables) if isinstance(bins, int | np.integer) else list(bins)
    _check(numbers, observables, words)
    node = np.zeros(len(x), np.int64)
    edges: list[np.ndarray] = []
    labels = [""]
    for observable, n_bins, name in zip(observables, numbers, words, strict=True):
        values = np.asarray(observable(np.asarray(x)))
        of_nodes = [_edges(values[p], _of(weight, p), n_bins, name) for p in _by(node, len(labels))]
        edges.append(np.stack(of_nodes)[:, 1:-1])
        labels = [
            f"{parent} and {label}" if parent and label else parent or label
            for parent, ends in zip(labels, of_nodes, strict=True)
            for label in (bins_of(observable, ends, name).labels if n_bins > 1 else [""])
        ]
        node = node * n_bins + _place(np, edges[-1], node, values)
    return _regions(observables, edges, tuple(labels))


def _check_events(x: np.ndarray, columns: Sequence[int | Observable] | None, weight: Any) -> None:
    if np.ndim(x) != 2:
        fix = "one row per event, one column per observable"
        raise InputError("events of a quantile tree", "shape [n, dim]", str(np.shape(x)), fix)
    dim = np.shape(x)[1]
    for place in columns or ():
        if not callable(place) and not (
            isinstance(place, int | np.integer) and -dim <= place < dim
        ):
            expected = f"observables, or places below {dim}"
            raise InputError("columns of a quantile tree", expected, repr(place), "correct it")
    if weight is not None and np.shape(weight) != (len(x),):
        got, fix = str(np.shape(weight)), "give one weight per event"
        raise InputError("weights of a quantile tree", f"shape ({len(x)},)", got, fix)


def _check(numbers: list[int], observables: list[Observable], names: Sequence[str]) -> None:
    boxes = int(np.prod(numbers))
    fits = len(numbers) == len(observables) == len(names) and min(numbers, default=0) >= 1
    if not fits or not 2 <= boxes <= _LABELLED:
        expected = f"one number and one name for each column, 2 to {_LABELLED} boxes in all"
        got = f"{numbers} for {len(observables)} columns called {', '.join(names)}"
        raise InputError("bins of a quantile tree", expected, got, "correct bins, columns or names")


def _of(weight: np.ndarray | None, places: np.ndarray) -> np.ndarray | None:
    return None if weight is None else np.asarray(weight)[places]


def _by(node: np.ndarray, nodes: int) -> list[np.ndarray]:
    """Places of the events of each node."""
    order = np.argsort(node, kind="stable")
    return np.split(order, np.searchsorted(node[order], np.arange(1, nodes)))


def _edges(values: np.ndarray, weight: np.ndarray | None, n_bins: int, name: str) -> np.ndarray:
    if n_bins == 1:
        return np.array([-np.inf, np.inf])
    if len(values) < n_bins:
        got = f"{len(values)} events in a box that is to have {n_bins} bins of {name}"
        fix = "use fewer bins or more events"
        raise InputError("quantile tree", "an event for every box", got, fix)
    return equiprobable_edges(values, weight, n_bins, name)


def _place(xp: Any, edges: np.ndarray, node: Any, values: Any) -> Any:
    """How many edges of its node lie at or below each value, by bisection, in NumPy and JAX.

    Args:
        xp: numpy or jax.numpy.
        edges: increasing [node, edge].
        node: of each event [n].
        values: of each event [n].
    """
    count = edges.shape[1]
    typed = xp.asarray(ends_like(edges, values.dtype))
    low, high = xp.zeros_like(node), xp.full_like(node, count)
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        above = (low < high) & (values >= typed[node, xp.minimum(middle, count - 1)])
        low, high = xp.where(above, middle + 1, low), xp.where(above, high, middle)
    return low


def _regions(
    observables: Sequence[Observable], edges: list[np.ndarray], labels: tuple[str, ...]
) -> Regions:
    """Boxes of these edges [node, edge] of each observable."""
    boxes = len(labels)

    def cell(x: Any) -> Any:
        """The box of each event [n]; their number where a value is nan, or infinite upwards, which
        bins do not hold either.
        """
        xp = x.__array_namespace__()
        node = xp.zeros(x.shape[:-1], int)
        nowhere = xp.zeros(x.shape[:-1], bool)
        for observable, of_nodes in zip(observables, edges, strict=True):
            values = observable(x)
            nowhere = nowhere | ~(values < xp.inf)
            node = node * (of_nodes.shape[1] + 1) + _place(xp, of_nodes, node, values)
        return xp.where(nowhere, boxes, node)

    def contains(x: Any) -> Any:
        numbered = x.__array_namespace__().arange(boxes)
        return cell(x)[..., None] == numbered.reshape((1,) * (x.ndim - 1) + (boxes,))

    def inside(x: np.ndarray, summed: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        cells = cell(np.asarray(x))
        return [np.bincount(cells, numbers, boxes + 1)[:boxes] for numbers in summed]

    return Regions(contains, labels, inside)
