"""Stored arrays as tables: one array [event, column], one with named fields, or several arrays with
a row per event, each a column or an array of its own.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.layout import MOST_COLUMNS, Fields, by_name, table_of_fields
from amplify.tables.table import Array, Part, Table, numbers

_NAMELESS = "x"  # what an array is called that has no name


class Stored(NamedTuple):
    """An array on disk or in memory: `read(start, stop)` gives rows of it, [row, ...], or `Jagged`
    where an event's number of values differs.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    read: Callable[[int, int], Any]
    is_jagged: bool = False
    columns: tuple[str, ...] | None = None  # names of the columns of an array [event, column]


def _nothing() -> None:
    """Closes what needs no closing."""


def table_of(
    source: str,
    path: Path,
    arrays: Mapping[str, Stored],
    close: Callable[[], None] = _nothing,
) -> Table:
    """One array [event, column] or [event, k, l], or one with named fields, or several arrays with
    the same number of rows.

    Args:
        source: what the user called it.
        path: the file.
        arrays: by name; `""` where a single array has none.
        close: closes the file.

    Raises:
        InputError: arrays that are no columns of numbers.
    """
    if not arrays:
        raise InputError(source, "an array", "none", "write the events into it")
    if len(arrays) > 1:
        return _several(source, path, arrays, close)
    name, stored = next(iter(arrays.items()))
    if stored.dtype.names is not None:
        return _records(source, path, stored, close)
    if not numbers(stored.dtype):
        raise InputError(
            source, "real numbers", str(stored.dtype), "store it as float32 or float64"
        )
    if len(stored.shape or ()) == 2 and not stored.is_jagged:
        return _matrix(source, path, name or _NAMELESS, stored, close)
    if not stored.shape:  # of nothing at all it is None
        raise InputError(source, "shape [event, column]", "shape ()", "store one row per event")
    if len(stored.shape) == 1:
        name = name or "x0"
    return _several(source, path, {name or _NAMELESS: stored}, close)


def _matrix(source: str, path: Path, name: str, stored: Stored, close: Callable[[], None]) -> Table:
    """Columns x0, x1, ... where the file has no names for them, and the array as it is."""
    n, width = stored.shape
    if width > MOST_COLUMNS:
        raise InputError(
            source,
            f"at most {MOST_COLUMNS} columns",
            str(width),
            "events are rows: transpose it",
        )
    columns = stored.columns or tuple(f"x{i}" for i in range(width))
    places: dict[str, tuple[str, int | None]] = {c: ("", i) for i, c in enumerate(columns)}
    name = name if name not in places else _NAMELESS
    return Table(
        source,
        columns,
        (stored.dtype,) * width,
        n,
        by_name(places | {name: ("", None)}, lambda start, stop, _: [stored.read(start, stop)]),
        (Part(source, path, n),),
        close,
        arrays={name: Array((width,), stored.dtype)},
    )


def _several(
    source: str, path: Path, arrays: Mapping[str, Stored], close: Callable[[], None]
) -> Table:
    """Arrays [event, ...] by their names. What has another number of rows than most is no column:
    edges of bins, say, or what was written once for the whole file.
    """
    lengths = Counter(stored.shape[0] for stored in arrays.values() if stored.shape)
    if not lengths:
        raise InputError(source, "an array with a row per event", "none", "pick another")
    n = max(lengths, key=lambda length: (lengths[length], length))
    fields = {name: _field(stored, n) for name, stored in arrays.items()}

    def read(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        values = [(arrays[name], arrays[name].read(start, stop)) for name in names]
        return [x[:, 0] if _is_thin(stored) else x for stored, x in values]

    table = table_of_fields(source, path, n, fields, read, close)
    # nobody asked for all of these: their elements are columns for those who name them
    wide = {
        name: _advice(path, (n, *array.shape), alone=len(arrays) == 1)
        for name, array in table.arrays.items()
        if None not in array.shape
    }
    return table._replace(refused={**table.refused, **wide})


def _advice(path: Path, shape: Sequence[int | None], *, alone: bool) -> str:
    if alone:
        return f"shape {tuple(shape)}"
    return f"shape {tuple(shape)}: pick one with {path.name}:NAME"


def _field(stored: Stored, n: int) -> Array | str:
    """One number per event or several, or why it is neither."""
    if not stored.shape or stored.shape[0] != n:
        return f"shape {stored.shape}, where others have {n} rows"
    if not numbers(stored.dtype):
        return str(stored.dtype)
    if stored.is_jagged:
        return Array((None, *stored.shape[1:]), stored.dtype)
    return Array(() if _is_thin(stored) else stored.shape[1:], stored.dtype)


def _is_thin(stored: Stored) -> bool:
    """Whether it is written as [event, 1], which is one number per event."""
    return stored.shape[1:] == (1,) and not stored.is_jagged


def _records(source: str, path: Path, stored: Stored, close: Callable[[], None]) -> Table:
    """Fields as columns; a field with a fixed number of values gives name[0], name[1], ..."""
    if len(stored.shape) != 1:
        raise InputError(
            source, "a structured array of one dimension", f"shape {stored.shape}", "flatten it"
        )
    fields: Fields = {
        name: Array(kind.shape, kind.base) if numbers(kind.base) else str(kind)
        for name, (kind, *_) in (stored.dtype.fields or {}).items()
    }

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        block = stored.read(start, stop)
        return [block[name] for name in names]

    return table_of_fields(source, path, stored.shape[0], fields, read, close)
