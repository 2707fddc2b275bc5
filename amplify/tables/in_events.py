"""What belongs to one event, in arrays with fixed axes or of any length, made to one number per
event: the operations behind `sum(showers[0:8])` and `count(Jet_pt > 30)`.

Arrays with fixed axes are [row, ...], of NumPy or of JAX, and may have more axes in front. Those
whose first axis differs between events are `Jagged`, of NumPy. Shapes are those of one event, known
before anything is read.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.table import Jagged

Shape = tuple[int | None, ...]
Index = tuple[int | slice, ...]

REDUCTIONS = ("sum", "mean", "std", "min", "max", "count", "any", "all")
_SEGMENTS = {
    "sum": (np.add, 0.0),
    "min": (np.minimum, np.nan),
    "max": (np.maximum, np.nan),
    "any": (np.logical_or, False),
    "all": (np.logical_and, True),
}  # of Jagged: the operation, and what no value at all gives


def varies(shape: Shape) -> bool:
    """Whether events differ in how many they have."""
    return bool(shape) and shape[0] is None


def shape_of_all(shapes: Sequence[Shape]) -> Shape:
    """The shape of what is made element by element; one number goes with each element.

    Raises:
        ValueError: shapes that do not fit.
    """
    several = [shape for shape in shapes if shape]
    if not any(map(varies, several)):
        return np.broadcast_shapes(*several)  # pyright: ignore[reportArgumentType,reportCallIssue]
    if not all(map(varies, several)) or len({len(shape) for shape in several}) > 1:
        raise ValueError("of a fixed size and of any size")
    return (None, *np.broadcast_shapes(*(shape[1:] for shape in several)))  # pyright: ignore[reportArgumentType,reportCallIssue]


def elementwise(
    function: Callable[..., Any], values: Sequence[Any], shapes: Sequence[Shape], what: str
) -> Any:
    """The function of each element; one number per event goes with each element of the event.

    Args:
        function: of arrays.
        values: [row, *shape], Jagged, or numbers.
        shapes: of each of the values in an event.
        what: how errors name the place.

    Raises:
        InputError: arrays of different lengths in an event.
    """
    depth = max(map(len, shapes))
    if depth == 0:
        return function(*values)
    if not any(map(varies, shapes)):
        return function(*(_aligned(v, s, depth) for v, s in zip(values, shapes, strict=True)))
    counts = [v.count for v, shape in zip(values, shapes, strict=True) if varies(shape)]
    for other in counts[1:]:
        if other is not counts[0] and not np.array_equal(other, counts[0]):
            row = int(np.argmin(other == counts[0]))
            got = f"{counts[0][row]} and {other[row]} in one event"
            fix = "combine arrays that list the same things"
            raise InputError(what, "arrays of the same length in each event", got, fix)
    flat = [
        v.values if varies(shape) else _repeated(v, counts[0], depth - 1)
        for v, shape in zip(values, shapes, strict=True)
    ]
    return Jagged(function(*flat), counts[0])


def _aligned(value: Any, shape: Shape, depth: int) -> Any:
    """With axes of length one in front of those of the event, so that `depth` are there."""
    if len(shape) == depth or not getattr(value, "ndim", 0):
        return value
    front = value.shape[: value.ndim - len(shape)]
    return value.reshape(*front, *[1] * (depth - len(shape)), *shape)


def _repeated(value: Any, count: np.ndarray, axes: int) -> Any:
    """One number per event for each element of the event."""
    if not getattr(value, "ndim", 0):
        return value
    return np.repeat(value, count).reshape(-1, *[1] * axes)


def reduced(xp: Any, name: str, value: Any, shape: Shape) -> Any:
    """One of `REDUCTIONS` over all axes of an event; of none at all the mean, std, min and max are
    nan.
    """
    if not varies(shape):
        axes = tuple(range(-len(shape), 0))
        if name == "count" and xp is np:
            return np.asarray(np.count_nonzero(value, axis=axes), np.float64)
        if name == "count":
            return xp.asarray(value, float).sum(axis=axes)
        return getattr(xp, name)(value, axis=axes)
    size = value.count * int(np.prod(value.values.shape[1:]))
    flat = Jagged(value.values.reshape(-1), size)
    if name == "mean":
        return _segments("sum", flat) / size
    if name == "std":
        mean = _segments("sum", flat) / size
        squares = (flat.values - np.repeat(mean, size)) ** 2
        return np.sqrt(_segments("sum", Jagged(squares, size)) / size)
    return _segments("sum" if name == "count" else name, flat)


def _segments(name: str, flat: Jagged) -> np.ndarray:
    """Of values one after the other, [row]."""
    operation, of_nothing = _SEGMENTS[name]
    kind = bool if name in ("any", "all") else float
    result = np.full(len(flat.count), of_nothing, kind)
    filled = flat.count > 0
    if filled.any():
        # empty events hold no values: the next one begins where they do
        starts = (np.cumsum(flat.count) - flat.count)[filled]
        result[filled] = operation.reduceat(flat.values, starts)
    return result


def shape_of_part(shape: Shape, index: Index) -> Shape:
    """The shape of a part of the event.

    Raises:
        ValueError: more indices than axes, or one behind the end.
    """
    if len(index) > len(shape):
        raise ValueError(f"{len(index)} indices")
    rest = list(shape[len(index) :])
    for axis, at in reversed(list(zip(shape, index, strict=False))):
        if isinstance(at, slice):
            rest.insert(0, None if axis is None else len(range(*at.indices(axis))))
        elif axis is not None and not -axis <= at < axis:
            raise ValueError(f"index {at}")
    return tuple(rest)


def part(value: Any, shape: Shape, index: Index, none: Any = np.nan) -> Any:
    """Elements of each event by their places; `none` where an event has no such element."""
    if not varies(shape):
        return value[(Ellipsis, *index, *[slice(None)] * (len(shape) - len(index)))]
    first, *others = index
    inner = (slice(None), *others)
    if isinstance(first, slice):
        chosen = _slice(value, first)
        return Jagged(chosen.values[inner], chosen.count)
    values, count = value.values[inner], value.count
    place = first if first >= 0 else count + first
    there = (place >= 0) & (place < count)
    result = np.full((len(count), *values.shape[1:]), np.nan, np.float64)
    result.T[:] = none
    result[there] = values[(np.cumsum(count) - count + place)[there]]
    return result


def _slice(value: Jagged, chosen: slice) -> Jagged:
    """The same slice of each event."""
    count = value.count
    starts, stops = (
        None if end is None else np.where(end < 0, count + end, end)
        for end in (chosen.start, chosen.stop)
    )
    place = np.arange(len(value.values)) - np.repeat(np.cumsum(count) - count, count)
    begin = 0 if starts is None else np.repeat(np.maximum(starts, 0), count)
    keep = place >= begin
    if stops is not None:
        keep &= place < np.repeat(stops, count)
    if chosen.step not in (None, 1):
        keep &= (place - begin) % chosen.step == 0
    return _kept(value.values, keep, count)


def masked(value: Any, mask: Any, shape: Shape) -> Jagged:
    """The elements of each event for which the condition holds; `shape` is that of the mask.

    Raises:
        ValueError: a condition on another number of things than there are.
    """
    if varies(shape):
        if mask.count is not value.count and not np.array_equal(mask.count, value.count):
            raise ValueError("another length")
        return _kept(value.values, mask.values, value.count)
    rows = len(value)
    held = np.broadcast_to(mask, (rows, *shape))  # pyright: ignore[reportArgumentType,reportCallIssue]
    return Jagged(value[held], held.reshape(rows, -1).sum(axis=1))


def _kept(values: np.ndarray, keep: np.ndarray, count: np.ndarray) -> Jagged:
    return Jagged(values[keep], _segments("sum", Jagged(keep, count)).astype(np.int64))
