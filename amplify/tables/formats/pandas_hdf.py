"""Frames that pandas wrote to HDF5, both of its layouts, by the names of their columns. What pandas
pickles is not unpickled: names of columns are read from the steps of a pickle that makes a list of
names, and of nothing else.
"""

import json
import pickletools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.layout import MOST_COLUMNS, table_of_fields
from amplify.tables.table import Array, Table, elements, numbers

INDEX = "index"  # what pandas calls the labels of rows
# steps of a pickle that make a list of texts and whole numbers, with nothing to run
_LIST_STEPS = {"PROTO", "FRAME", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "STOP"}
_MEMO_STEPS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_VALUE_STEPS = {
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
}

# name in the group -> data set, whose place was checked
Get = Callable[[str], Any]


def kind_of(group: Any) -> str:
    """What pandas says that a group is: frame, frame_table, or nothing."""
    said = group.attrs.get("pandas_type", b"")
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def fixed_frame(source: str, path: Path, group: Any, get: Get, close: Callable[[], None]) -> Table:
    """A frame in blocks of columns of one type.

    Raises:
        InputError: names of columns that are not plain ones.
    """
    blocks = [get(f"block{i}_values") for i in range(int(group.attrs.get("nblocks", 0)))]
    places: dict[str, tuple[int, int]] = {}
    fields: dict[str, Array | str] = {}
    n = len(get("axis1")) if group.attrs.get("axis1_variety") in (b"regular", "regular") else None
    for i, block in enumerate(blocks):
        names = _names(source, path, group, get, f"block{i}_items")
        said = block.attrs.get("value_type", b"")
        for j, name in enumerate(names):
            places[name] = (i, j)
            dated = (
                said.startswith((b"datetime", b"timedelta")) if isinstance(said, bytes) else said
            )
            is_number = numbers(block.dtype) and not dated
            fields[name] = Array((), block.dtype) if is_number else str(said or block.dtype)
        if n is None and block.ndim == 2:
            n = block.shape[0] if _rows_first(block) else block.shape[1]
    order = _names(source, path, group, get, "axis0")
    fields = {name: fields[name] for name in order if name in fields}

    def read(start: int, stop: int, wanted: Sequence[str]) -> list[np.ndarray]:
        needed = {places[name][0] for name in wanted}
        values = {i: _rows(blocks[i], start, stop) for i in needed}
        return [values[places[name][0]][:, places[name][1]] for name in wanted]

    return table_of_fields(source, path, n or 0, fields, read, close)


def frame_table(source: str, path: Path, dataset: Any, close: Callable[[], None]) -> Table:
    """A frame in records, whose columns of one type are a field together."""
    places: dict[str, tuple[str, int | None]] = {}
    fields: dict[str, Array | str] = {}
    for field in dataset.dtype.names or ():
        kind = dataset.dtype[field]
        said = dataset.attrs.get(f"{field}_kind")
        names = elements(field, kind.shape)
        if kind.shape and said is not None:
            names = _names_of_kind(said)
        if names is None or (kind.shape and len(names) != kind.shape[0]):
            raise _unreadable(source, path, dataset.parent.name)
        for j, name in enumerate(names):
            places[name] = (field, j if kind.shape else None)
            fields[name] = Array((), kind.base) if numbers(kind.base) else str(kind.base)

    def read(start: int, stop: int, wanted: Sequence[str]) -> list[np.ndarray]:
        block = dataset[start:stop]
        return [
            block[field] if j is None else block[field][:, j]
            for field, j in (places[name] for name in wanted)
        ]

    index = (INDEX,) if INDEX in fields else ()
    return table_of_fields(source, path, dataset.shape[0], fields, read, close, index)


def _rows_first(block: Any) -> bool:
    return bool(block.attrs.get("transposed", 0))


def _rows(block: Any, start: int, stop: int) -> np.ndarray:
    """Rows of a block, [row, column]."""
    return block[start:stop] if _rows_first(block) else block[:, start:stop].T


def _names(source: str, path: Path, group: Any, get: Get, axis: str) -> list[str]:
    if group.attrs.get(f"{axis}_variety") not in (b"regular", "regular"):
        raise _unreadable(source, path, group.name)
    values = get(axis)
    if values.ndim != 1 or len(values) > MOST_COLUMNS or values.dtype.kind not in "SOiu":
        raise _unreadable(source, path, group.name)
    return [_name(value) for value in values[:]]


def _name(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else f"x{value}"


def _names_of_kind(said: Any) -> list[str] | None:
    """The names in a pickled list of names; None of anything else."""
    if not isinstance(said, bytes):
        return None
    names: list[str] = []
    try:
        for step, value, _ in pickletools.genops(bytes(said)):
            if step.name in _VALUE_STEPS:
                names.append(_name(value))
            elif step.name not in _LIST_STEPS | _MEMO_STEPS:
                return None
    except ValueError:
        return None
    return names


def _unreadable(source: str, path: Path, name: str) -> InputError:
    """With the one command that converts it."""
    of_file, key = json.dumps(str(path)), json.dumps(name.strip("/"))
    target = json.dumps(str(path.with_suffix(".parquet")))
    code = f"import pandas as pd; pd.read_hdf({of_file}, {key}).to_parquet({target})"
    return InputError(
        source,
        "a frame of pandas with plain names of columns",
        "another kind",
        f"convert it: python -c {shlex.quote(code)}",
    )
