"""Stored arrays as tables: one array [event, column], one with named fields, or one-dimensional
ones that are columns.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.table import Part, Table, elements, numbers

_MOST_COLUMNS = 100_000


class Stored(NamedTuple):
    """An array on disk or in memory: `read(start, stop)` gives rows of it."""

    dtype: np.dtype
    shape: tuple[int, ...]
    read: Callable[[int, int], np.ndarray]


def _nothing() -> None:
    """Closes what needs no closing."""


def table_of(
    source: str,
    path: Path,
    arrays: Mapping[str, Stored],
    close: Callable[[], None] = _nothing,
) -> Table:
    """One array [event, column] or with named fields, or one-dimensional arrays of the same
    length.

    Args:
        source: what the user called it.
        path: the file.
        arrays: by name; the name of a single array matters where it has one dimension.
        close: closes the file.

    Raises:
        InputError: arrays that are no columns of numbers.
    """
    if not arrays:
        raise InputError(source, "an array", "none", "write the events into it")
    if len(arrays) > 1:
        return _columns(source, path, arrays, close)
    name, stored = next(iter(arrays.items()))
    if stored.dtype.names is not None:
        return _fields(source, path, stored, close)
    if not numbers(stored.dtype):
        raise InputError(
            source, "real numbers", str(stored.dtype), "store it as float32 or float64"
        )
    if len(stored.shape) == 1:
        return _vector(source, path, name or "x0", stored, close)
    if len(stored.shape) == 2:
        return _matrix(source, path, stored, close)
    raise InputError(
        source,
        "shape [event, column]",
        f"shape {stored.shape}",
        "flatten each event into columns",
    )


def _vector(source: str, path: Path, name: str, stored: Stored, close: Callable[[], None]) -> Table:
    return Table(
        source,
        columns=(name,),
        dtypes=(stored.dtype,),
        n=stored.shape[0],
        read=lambda start, stop, _: [stored.read(start, stop)],
        parts=_parts(source, path, stored),
        close=close,
    )


def _matrix(source: str, path: Path, stored: Stored, close: Callable[[], None]) -> Table:
    n, width = stored.shape
    if width > _MOST_COLUMNS:
        raise InputError(
            source,
            f"at most {_MOST_COLUMNS} columns",
            str(width),
            "events are rows: transpose it",
        )
    columns = tuple(f"x{i}" for i in range(width))
    places = {name: i for i, name in enumerate(columns)}

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        block = stored.read(start, stop)
        return [block[:, places[name]] for name in names]

    dtypes = (stored.dtype,) * width
    return Table(source, columns, dtypes, n, read, _parts(source, path, stored), close)


def _columns(
    source: str, path: Path, arrays: Mapping[str, Stored], close: Callable[[], None]
) -> Table:
    """Arrays [event] as columns by their names."""
    shapes = {name: stored.shape for name, stored in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
        raise InputError(
            source,
            "one array, or one-dimensional ones of the same length",
            str(shapes)[:200],
            f"pick one with {path.name}:NAME",
        )
    good = {name: stored.dtype for name, stored in arrays.items() if numbers(stored.dtype)}
    refused = {name: str(stored.dtype) for name, stored in arrays.items() if name not in good}
    first = next(iter(arrays.values()))

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        return [arrays[name].read(start, stop) for name in names]

    return Table(
        source,
        columns=tuple(good),
        dtypes=tuple(good.values()),
        n=first.shape[0],
        read=read,
        parts=_parts(source, path, first),
        close=close,
        refused=refused,
    )


def _fields(source: str, path: Path, stored: Stored, close: Callable[[], None]) -> Table:
    """Fields as columns; a field with a fixed number of values gives name[0], name[1], ..."""
    if len(stored.shape) != 1:
        raise InputError(
            source, "a structured array of one dimension", f"shape {stored.shape}", "flatten it"
        )
    places: dict[str, tuple[str, int | None]] = {}  # of a column: its field, and element in it
    dtypes, refused = [], {}
    for field in stored.dtype.names or ():
        kind = stored.dtype[field]
        if not numbers(kind.base):
            refused[field] = str(kind)
            continue
        for i, name in enumerate(elements(field, kind.shape)):
            places[name] = (field, i if kind.shape else None)
            dtypes.append(kind.base)

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        block = stored.read(start, stop)
        return [element_of(block[places[name][0]], places[name][1]) for name in names]

    return Table(
        source,
        columns=tuple(places),
        dtypes=tuple(dtypes),
        n=stored.shape[0],
        read=read,
        parts=_parts(source, path, stored),
        close=close,
        refused=refused,
    )


def element_of(values: np.ndarray, element: int | None) -> np.ndarray:
    """One element [event] of values [event, ...]; the values themselves where none is named."""
    return values if element is None else values.reshape(len(values), -1)[:, element]


def _parts(source: str, path: Path, stored: Stored) -> tuple[Part, ...]:
    return (Part(source, path, stored.shape[0]),)
