"""A user's files as tables: named columns, read in chunks, checked. NumPy (.npy, .npz) and HDF5 (.h5, .hdf5).

`FILE:path/inside` picks an array of an .npz or a data set or group of an HDF5 file. Two-dimensional arrays have columns x0, x1, ...; structured arrays, groups
of one-dimensional data sets and several one-dimensional arrays have columns by their names. Nothing in a file is executed: pickles are refused.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.types import Events

CHUNK = 1 << 18  # rows read at once

Read = Callable[[int, int], np.ndarray]  # rows [start, stop) -> [rows, column]


class Table(NamedTuple):
    """A table on disk. `read(start, stop)` gives those rows of all columns."""

    source: str
    path: Path
    columns: tuple[str, ...]
    n: int
    read: Read
    close: Callable[[], None] = lambda: None


class Selection(NamedTuple):
    """The columns of a table that are looked at, and the one that holds weights."""

    table: Table
    columns: tuple[int, ...]
    weight: int | None


def open_table(source: str) -> Table:
    """Opens FILE or FILE:path/inside.

    Raises:
        InputError: one line with what was expected, what came and what to do.
    """
    path, inside = _split(source)
    if path.is_dir():
        raise InputError(source, "a file", "a directory", "name the file in it")
    if not path.is_file():
        raise InputError(source, "a file", "no such file", "check the path")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(source, f"one of {', '.join(_READERS)}", f"'{path.suffix}'", "convert it")
    try:
        table = reader(source, path, inside)
    except InputError:
        raise
    except Exception as error:  # a broken file can raise anything; what it is matters less than which file
        reason = str(error).splitlines()[0] if str(error) else error.__class__.__name__
        raise InputError(source, f"a readable {path.suffix} file", reason, "write it again; pickled objects are refused") from None
    if table.n == 0 or not table.columns:
        raise InputError(source, "at least one event", f"{table.n} rows and {len(table.columns)} columns", "give a sample with events")
    return table


def select(table: Table, columns: Sequence[str] | None = None, weight_column: str | None = None) -> Selection:
    """Chooses columns by name; all but the weight where none are named.

    Raises:
        InputError: a column that the table does not have.
    """
    for name in [*(columns or ()), *([weight_column] if weight_column else [])]:
        if name not in table.columns:
            raise InputError(f"column {name}", f"one of {', '.join(table.columns)}", f"no such column in {table.source}", "choose another")
    chosen = tuple(columns) if columns else tuple(c for c in table.columns if c != weight_column)
    weight = table.columns.index(weight_column) if weight_column else None
    return Selection(table, tuple(table.columns.index(c) for c in chosen), weight)


def chunks(selection: Selection, size: int = CHUNK, *, start: int = 0, stop: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Blocks of events [rows, column] and their weights [rows] or None, of the rows from start to stop.

    Raises:
        InputError: a value that is not finite, with its row and column.
    """
    table = selection.table
    stop = table.n if stop is None else stop
    for first in range(start, stop, size):
        block = table.read(first, min(first + size, stop))
        used = [*selection.columns, *([] if selection.weight is None else [selection.weight])]
        values = block[:, used]
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            got = f"{values[row, column]} in row {first + row}, column {table.columns[used[column]]}"
            raise InputError(table.source, "finite numbers", got, "remove such events or repair the column")
        yield block[:, list(selection.columns)], None if selection.weight is None else np.asarray(block[:, selection.weight], np.float64)


def load(selection: Selection, *, start: int = 0, stop: int | None = None) -> Events:
    """The events of the rows from start to stop, or all, in memory; float64."""
    blocks = list(chunks(selection, start=start, stop=stop))
    if not blocks:
        return Events(np.zeros((0, len(selection.columns))))
    weights = [w for _, w in blocks if w is not None]
    return Events(np.concatenate([x for x, _ in blocks]).astype(np.float64), np.concatenate(weights) if weights else None)


def spread_rows(selection: Selection, limit: int) -> np.ndarray:
    """At most about `limit` events [rows, column], evenly spread over the table: enough for the edges of bins."""
    step = max(1, -(-selection.table.n // limit))
    return np.concatenate([block[-(start * CHUNK) % step :: step] for start, (block, _) in enumerate(chunks(selection))])


def describe(selection: Selection) -> dict[str, Any]:
    """What results.json says of an input."""
    digest = hashlib.sha256()
    with open(selection.table.path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    names = [selection.table.columns[c] for c in selection.columns]
    return {
        "path": selection.table.source,
        "sha256": digest.hexdigest(),
        "events": selection.table.n,
        "columns": names,
        "weighted": selection.weight is not None,
    }


def _split(source: str) -> tuple[Path, str]:
    """FILE and path/inside; a colon belongs to the name of a file that exists with it."""
    if Path(source).exists() or ":" not in source:
        return Path(source), ""
    name, inside = source.rsplit(":", 1)
    return Path(name), inside.strip("/")


def _npy(source: str, path: Path, inside: str) -> Table:
    if inside:
        raise InputError(source, "FILE.npy", f"a path {inside} inside", ".npy files hold one array; drop the part after the colon")
    return _array(source, path, np.load(path, mmap_mode="r", allow_pickle=False))


def _npz(source: str, path: Path, inside: str) -> Table:
    with np.load(path, allow_pickle=False) as file:
        names = list(file.files)
        if inside and inside not in names:
            raise InputError(source, f"one of the arrays {', '.join(names)}", inside, "choose one of them")
        arrays = {name: file[name] for name in ([inside] if inside else names)}
    return _arrays(source, path, arrays)


def _hdf5(source: str, path: Path, inside: str) -> Table:
    import h5py

    file = h5py.File(path, "r")
    try:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        if inside and inside not in file:
            raise InputError(source, f"one of the data sets {', '.join(found)}", f"no {inside}", f"give {path.name}:NAME")
        item: Any = file[inside] if inside else file
        if isinstance(item, h5py.Dataset):
            return _array(source, path, item)._replace(close=file.close)
        datasets = {name: value for name, value in item.items() if isinstance(value, h5py.Dataset)}
        if not datasets:
            raise InputError(source, "a data set", f"a group; data sets in the file: {', '.join(found) or 'none'}", f"give {path.name}:NAME")
        return _arrays(source, path, datasets)._replace(close=file.close)
    except BaseException:
        file.close()
        raise


def _arrays(source: str, path: Path, arrays: dict[str, Any]) -> Table:
    """One array, or one-dimensional arrays of the same length as columns."""
    if len(arrays) == 1:
        name, array = next(iter(arrays.items()))
        table = _array(source, path, array)
        return table._replace(columns=(name,)) if array.ndim == 1 and array.dtype.names is None else table
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
        raise InputError(source, "one array, or one-dimensional ones of the same length", str(shapes)[:200], f"pick one with {path.name}:NAME")
    for name, array in arrays.items():
        _check_type(f"{source} column {name}", array.dtype)
    n = next(iter(shapes.values()))[0]
    return Table(source, path, tuple(arrays), n, lambda start, stop: np.stack([np.asarray(a[start:stop], np.float64) for a in arrays.values()], axis=1))


def _array(source: str, path: Path, array: Any) -> Table:
    """A structured array, or numbers [n] or [n, column]."""
    if array.dtype.names is not None:
        names = array.dtype.names
        for name in names:
            _check_type(f"{source} column {name}", array.dtype[name])
        if array.ndim != 1:
            raise InputError(source, "a structured array of one dimension", f"shape {array.shape}", "flatten it")

        def fields(start: int, stop: int) -> np.ndarray:
            block = array[start:stop]
            return np.stack([np.asarray(block[name], np.float64) for name in names], axis=1)

        return Table(source, path, names, len(array), fields)
    _check_type(source, array.dtype)
    if array.ndim not in (1, 2):
        raise InputError(source, "shape [event, column]", f"shape {array.shape}", "flatten each event into columns")
    width = 1 if array.ndim == 1 else array.shape[1]
    columns = tuple(f"x{i}" for i in range(width))
    return Table(source, path, columns, array.shape[0], lambda start, stop: np.asarray(array[start:stop]).reshape(stop - start, width))


def _check_type(what: str, dtype: np.dtype) -> None:
    if dtype.kind not in "fiub":
        raise InputError(what, "real numbers", str(dtype), "store it as float32 or float64")


_READERS = {".npy": _npy, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}
