"""Parts of an expression: what they give, and how they are computed.

A part is a function of a namespace, NumPy or that of JAX, and of what is held: columns and arrays
by name, and under other keys what was made of them already.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.tables import in_events
from amplify.tables.in_events import Index, Shape
from amplify.tables.table import Jagged

Held = dict[Any, Any]
Value = Callable[[Any, Held], Any]


class Read(NamedTuple):
    """A part of an expression.

    Attributes:
        value: its function.
        condition: whether it gives booleans.
        shape: of what it gives for one event.
    """

    value: Value
    condition: bool = False
    shape: Shape = ()


def constant(number: float) -> Read:
    """A number."""
    return Read(lambda xp, held: number)


def as_number(read: Read) -> Read:
    """Conditions count as 0 and 1."""
    if not read.condition:
        return read
    value, shape = read.value, read.shape
    if in_events.varies(shape):
        return Read(lambda xp, held: floats(value(xp, held)), shape=shape)
    return Read(lambda xp, held: xp.asarray(value(xp, held), float), shape=shape)


def folded(
    xp: Any, operations: Sequence[str], values: Sequence[Any], shapes: Sequence[Shape], what: str
) -> Any:
    """((a + b) - c), of values with these shapes in an event."""
    result, shape = values[0], shapes[0]
    for operation, value, its_shape in zip(operations, values[1:], shapes[1:], strict=True):
        pair, of_pair = [result, value], [shape, its_shape]
        result = in_events.elementwise(getattr(xp, operation), pair, of_pair, what)
        shape = its_shape if not shape else in_events.shape_of_all(of_pair)
    return result


def held_as(xp: Any, held: Held, name: str, index: Index, shape: Shape = ()) -> Any:
    """A column or a part of an array in double precision, or in that of JAX, made once."""
    key = (name, *(repr(each) for each in index))
    if key not in held:
        value = in_events.part(held[name], shape, index) if index else held[name]
        if xp is np:
            held[key] = floats(value)
        else:
            # numbers that have fractions in their precision, whole ones and conditions in JAX's own
            fractions = xp.issubdtype(value.dtype, xp.floating)
            held[key] = value if fractions else xp.asarray(value, float)
    return held[key]


def floats(value: Any) -> Any:
    """In double precision."""
    if isinstance(value, Jagged):
        return Jagged(np.asarray(value.values, np.float64), value.count)
    return np.asarray(value, np.float64)


def times(shape: Shape) -> str:
    """A shape in words: 30 x 4."""
    return " x ".join("any number" if size is None else str(size) for size in shape) or "one"
