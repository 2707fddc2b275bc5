"""Parts of an expression that are arrays of several numbers per event, and what makes one of them;
`amplify.tables.syntax` reads the rest.
"""

import ast
from typing import TYPE_CHECKING, Any

import numpy as np

from amplify.tables import in_events, parts
from amplify.tables.in_events import Index
from amplify.tables.parts import Held, Read

if TYPE_CHECKING:
    from amplify.tables.syntax import Reader

EXAMPLES = {"at": "at(Jet_pt, 0, -1)", "where": "where(count(Jet_pt) > 0, max(Jet_pt), -1)"}
_OF_TWO = {"sum": "write a + b", "max": "write maximum(a, b)", "min": "write minimum(a, b)"}


def array(reader: "Reader", name: str, index: Index) -> Read:
    """Several numbers per event, or some of them."""
    shape = reader.names.arrays[name]
    if not index and set(shape) == {1}:  # one number per event, stored with an axis
        reader.needs.append(name)
        reader.pieces.append(name)
        return Read(lambda xp, held: parts.held_as(xp, held, name, (0,) * len(shape), shape))
    if name in reader.names.stacked:
        columns = reader.names.stacked[name]
        reader.needs += columns

        def value(xp: Any, held: Held) -> Any:
            each = [parts.held_as(xp, held, column, ()) for column in columns]
            stacked = xp.stack(each, axis=-1)
            return in_events.part(stacked.reshape(*stacked.shape[:-1], *shape), shape, index)
    else:
        reader.needs.append(name)

        def value(xp: Any, held: Held) -> Any:
            return parts.held_as(xp, held, name, index, shape)

    return Read(value, shape=in_events.shape_of_part(shape, index))


def subscripted(reader: "Reader", node: ast.Subscript) -> Read:
    """Elements of each event, by their places or by a condition."""
    place = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    index = tuple(_place(each) for each in place)
    base = None
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    name = reader.quoted.get(name, name)
    if name not in reader.names.arrays or None in index:
        base = reader.number(node.value)
    shape = reader.names.arrays[name] if base is None else base.shape
    if not shape:
        got = f"'{reader.said(node)}', one number per event in front of ["
        raise reader.wrong("an array of several numbers per event", got, "leave the [] out")
    if base is not None and index == (None,):
        return _chosen(reader, node, base)
    places = tuple(each for each in index if each is not None)
    try:
        if len(places) < len(index):
            raise ValueError("something else")
        if base is None:
            return array(reader, name, places)
        part = in_events.shape_of_part(shape, places)
    except ValueError as error:
        expected = f"places in {parts.times(shape)} numbers per event"
        got = f"{error} in '{reader.said(node)}'"
        raise reader.wrong(expected, got, "count from 0; name[0:8] is a part") from None
    inner = base.value
    return Read(lambda xp, held: in_events.part(inner(xp, held), shape, places), shape=part)


def _chosen(reader: "Reader", node: ast.Subscript, base: Read) -> Read:
    """Those elements of each event for which a condition holds."""
    mask = reader.condition(node.slice)
    if not mask.shape or mask.shape != base.shape[: len(mask.shape)]:
        got = f"{parts.times(mask.shape)} for {parts.times(base.shape)} in '{reader.said(node)}'"
        fix = "compare the array itself, or another of the same length"
        raise reader.wrong("a condition for each element", got, fix)

    def value(xp: Any, held: Held) -> Any:
        if xp is not np:
            got = f"arrays of JAX in '{reader.said(node)}'"
            raise reader.wrong("columns of NumPy", got, "multiply by the condition instead")
        try:
            return in_events.masked(base.value(xp, held), mask.value(xp, held), mask.shape)
        except ValueError as error:
            got = f"{error} in '{reader.said(node)}'"
            fix = "choose among arrays that list the same things"
            raise reader.wrong("a condition for each element", got, fix) from None

    return Read(value, shape=(None, *base.shape[len(mask.shape) :]))


def reduction(reader: "Reader", node: ast.Call) -> Read:
    """One number of all that belong to an event."""
    name, given = node.func.id, node.args  # pyright: ignore[reportAttributeAccessIssue]
    if len(given) != 1:
        fix = _OF_TWO.get(name, "give it an array") + f"; {name} is of one array in each event"
        raise reader.wrong(f"{name} of one array", f"'{reader.said(node)}'", fix)
    read = reader.condition(given[0]) if name in ("any", "all") else reader.read(given[0])
    if not read.shape:
        got = f"one number in '{reader.said(node)}'"
        raise reader.wrong(f"{name} of several numbers per event", got, f"leave {name} out")
    if name == "count" and not read.condition:
        if in_events.varies(read.shape):
            inner = read.value
            return Read(lambda xp, held: np.asarray(inner(xp, held).count, np.float64))
        got = f"'{reader.said(node)}', which is {parts.times(read.shape)} in every event"
        fix = f"compare with a number: count({reader.said(given[0])} > 0)"
        raise reader.wrong("count of a condition", got, fix)
    if 0 in read.shape:
        got = f"none in '{reader.said(node)}'"
        raise reader.wrong("some numbers per event", got, "correct the slice")
    if read.condition and name not in ("any", "all", "count"):
        read = parts.as_number(read)
    value, shape = read.value, read.shape
    return Read(
        lambda xp, held: in_events.reduced(xp, name, value(xp, held), shape),
        name in ("any", "all"),
    )


def element(reader: "Reader", node: ast.Call) -> Read:
    """at(array, place, what stands there where an event has no such element)."""
    base, place, none = reader.number(node.args[0]), _place(node.args[1]), node.args[2]
    instead = reader.number(none)
    if not (isinstance(place, int) and base.shape and not instead.shape):
        got, expected = f"'{reader.said(node)}'", "at(array, place, number)"
        raise reader.wrong(expected, got, f"write it like {EXAMPLES['at']}")
    try:
        shape = in_events.shape_of_part(base.shape, (place,))
    except ValueError as error:
        got = f"{error} in '{reader.said(node)}'"
        expected = f"one of {parts.times(base.shape)} places"
        raise reader.wrong(expected, got, "count from 0") from None
    return Read(
        lambda xp, held: in_events.part(
            base.value(xp, held), base.shape, (place,), instead.value(xp, held)
        ),
        shape=shape,
    )


def _place(node: ast.AST) -> int | slice | None:
    """An index or a slice of whole numbers; None for anything else."""
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(ast.USub(), ast.Constant(value=int() as number)):
            return -number
        case ast.Slice(lower, upper, step):
            ends = [None if end is None else _place(end) for end in (lower, upper, step)]
            given = [end for end in (lower, upper, step) if end is not None]
            is_whole = sum(isinstance(end, int) for end in ends) == len(given)
            if is_whole and (step is None or (isinstance(ends[2], int) and ends[2] > 0)):
                return slice(*ends)
    return None
