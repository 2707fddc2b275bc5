"""Regions of phase space, and those of any shape: boxes, conditions, masks, and several together.
Intervals of an observable are in `binning`.

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
    """Some regions, and how events are counted in them.

    Attributes:
        contains: events [n, dim] -> [n, region] booleans.
        labels: one per region.
        inside: where there is one, sums ones, weights or squared weights over the events in each
            region without that table: (events, list of values [n], None for ones) -> list of sums
            [region].
    """

    contains: Callable[[Any], Any]
    labels: tuple[str, ...]
    inside: Callable[[np.ndarray, Sequence[np.ndarray | None]], list[np.ndarray]] | None = None


def column(index: int) -> Observable:
    """The observable that is a column of the events.

    >>> column(1)(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.0, 4.0]
    """

    def value(x: Any) -> Any:
        return x[..., index]

    value.__name__ = f"x{index}"
    return value


def radius(x: Any) -> Any:
    """Distance from the origin.

    >>> float(radius(np.array([3.0, 4.0])))
    5.0
    """
    return (x * x).sum(axis=-1) ** 0.5


def box(
    low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray, label: str = "box"
) -> Regions:
    """The box low <= x < high in all dimensions.

    >>> box([0, 0], [1, 2]).contains(np.array([[0.0, 1.9], [0.5, 2.0]])).tolist()
    [[True], [False]]

    Args:
        low: corner [dim]; infinite where the box is open.
        high: the other corner [dim].
        label: of the region.

    Raises:
        InputError: a side that is empty, or corners of different dimensions.
    """
    lower, upper = np.asarray(low, float), np.asarray(high, float)
    if lower.shape != upper.shape or lower.ndim != 1 or not (lower < upper).all():
        expected = "low < high in every dimension"
        got = f"{lower.tolist()} and {upper.tolist()}"
        raise InputError(f"box {label}", expected, got, "correct the corners")

    def contains(x: Any) -> Any:
        shape = (1,) * (x.ndim - 1) + lower.shape
        above, below = x >= lower.reshape(shape), x < upper.reshape(shape)
        return (above & below).all(axis=-1)[..., None]

    return Regions(contains, (label,))


def mask(inside: Callable[[Any], Any], label: str) -> Regions:
    """A region of one's own.

    >>> upper = mask(lambda x: x[:, 1] > x[:, 0], "x1 > x0")
    >>> upper.contains(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [[True], [False]]

    Args:
        inside: events [n, dim] -> [n] booleans.
        label: of the region.
    """
    return Regions(lambda x: inside(x)[..., None], (label,))


def condition(
    text: str, names: Sequence[str], *, label: str | None = None, what: str = "region"
) -> Regions:
    """A region that is an expression of the columns of the events, such as pt > 400 and abs(eta) <
    2.5.

    >>> between = condition("x > 1 and x < 3", ["x"])
    >>> between.contains(np.array([[2.0], [4.0]])).tolist()
    [[True], [False]]

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

    def inside(x: Any) -> Any:
        return expression.value({name: x[..., place] for name, place in places.items()})

    return mask(inside, label or text)


def join(*several: Regions) -> Regions:
    """All the regions, one after the other; they may overlap.

    >>> both = join(box([0], [1], "low"), box([0.5], [2], "high"))
    >>> both.labels, both.contains(np.array([[0.7]])).tolist()
    (('low', 'high'), [[True, True]])
    """

    def contains(x: Any) -> Any:
        tables = [regions.contains(x) for regions in several]
        return tables[0].__array_namespace__().concatenate(tables, axis=-1)

    def inside(x: np.ndarray, values: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        sums = [sums_inside(regions, x, values) for regions in several]
        return [np.concatenate(of_value) for of_value in zip(*sums, strict=True)]

    labels = tuple(label for regions in several for label in regions.labels)
    return Regions(contains, labels, inside)


def sums_inside(
    regions: Regions, x: np.ndarray, values: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    """Sums over the events in each region.

    Args:
        regions: where.
        x: events [n, dim].
        values: what is summed, [n] each; None for ones.

    Returns:
        Sums [region], one for each of the values.
    """
    if regions.inside is not None:
        return regions.inside(x, values)
    table = np.asarray(regions.contains(x))
    return [table.sum(axis=0) if value is None else value @ table for value in values]
