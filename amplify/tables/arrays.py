"""Readers of .npy, .npz and HDF5. Arrays are never mapped or loaded whole, and pickles are refused
before anything of them is read.
"""

import ast
import math
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.table import Part, Table, elements, numbers
from amplify.text import listed

_MOST_COLUMNS = 100_000


class Stored(NamedTuple):
    """An array on disk: `read(start, stop)` gives rows of it."""

    dtype: np.dtype
    shape: tuple[int, ...]
    read: Callable[[int, int], np.ndarray]


def npy(source: str, path: Path, inside: str) -> Table:
    """One array. `inside` names nothing here."""
    if inside:
        raise InputError(
            source,
            "FILE.npy",
            f"a path {inside} inside",
            ".npy files hold one array; drop the part after the colon",
        )
    with open(path, "rb") as stream:
        header = _header(stream, source)
    expected = math.prod(header.shape) * header.dtype.itemsize
    if path.stat().st_size - header.end < expected:
        got = f"{path.stat().st_size - header.end}"
        raise InputError(
            source, f"{expected} bytes of numbers", got, "the file is truncated, write it again"
        )
    return table_of(
        source,
        path,
        {
            "": _stored(
                header,
                lambda offset, count: np.fromfile(
                    path, header.dtype, count, offset=header.end + offset
                ),
            )
        },
    )


def npz(source: str, path: Path, inside: str) -> Table:
    """One array, or one-dimensional arrays as columns; compressed ones are read as they come."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if inside and inside not in names:
            raise InputError(
                source, f"one of the arrays {listed(names)}", inside, "choose one of them"
            )
        headers = {}
        for name in [inside] if inside else names:
            with archive.open(f"{name}.npy") as stream:
                headers[name] = _header(stream, f"{source} array {name}")
    members = {name: _Member(path, name, header) for name, header in headers.items()}

    def close() -> None:
        for member in members.values():
            member.close()

    return table_of(
        source,
        path,
        {name: _stored(headers[name], member.take) for name, member in members.items()},
        close,
    )


def hdf5(source: str, path: Path, inside: str) -> Table:
    """A data set, or a group of one-dimensional data sets as columns."""
    import h5py

    file = h5py.File(path, "r")
    try:
        found: list[str] = []
        file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
        if inside and inside not in file:
            raise InputError(
                source,
                f"one of the data sets {listed(found)}",
                f"no {inside}",
                f"give {path.name}:NAME",
            )
        item: Any = file[inside] if inside else file
        if isinstance(item, h5py.Dataset):
            return table_of(source, path, {"": _dataset(item)}, file.close)
        datasets = {
            name: _dataset(value) for name, value in item.items() if isinstance(value, h5py.Dataset)
        }
        if not datasets:
            raise InputError(
                source,
                "a data set",
                f"a group; data sets in the file: {listed(found) or 'none'}",
                f"give {path.name}:NAME",
            )
        return table_of(source, path, datasets, file.close)
    except BaseException:
        file.close()
        raise


def table_of(
    source: str, path: Path, arrays: dict[str, Stored], close: Callable[[], None] = lambda: None
) -> Table:
    """One array [event, column] or with named fields, or one-dimensional arrays of the same
    length.
    """
    if not arrays:
        raise InputError(source, "an array", "none", "write the events into it")
    if len(arrays) > 1:
        shapes = {name: stored.shape for name, stored in arrays.items()}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
            raise InputError(
                source,
                "one array, or one-dimensional ones of the same length",
                str(shapes)[:200],
                f"pick one with {path.name}:NAME",
            )
        return _named(
            source,
            path,
            arrays,
            lambda start, stop, names: [arrays[name].read(start, stop) for name in names],
            close,
        )
    name, stored = next(iter(arrays.items()))
    if stored.dtype.names is not None:
        return _structured(source, path, stored, close)
    if not numbers(stored.dtype):
        raise InputError(
            source, "real numbers", str(stored.dtype), "store it as float32 or float64"
        )
    if len(stored.shape) not in (1, 2):
        raise InputError(
            source,
            "shape [event, column]",
            f"shape {stored.shape}",
            "flatten each event into columns",
        )
    if len(stored.shape) == 1:
        columns = (name or "x0",)
        return Table(
            source,
            columns,
            (stored.dtype,),
            stored.shape[0],
            lambda start, stop, _: [stored.read(start, stop)],
            _part(source, path, stored),
            close,
        )
    if stored.shape[1] > _MOST_COLUMNS:
        raise InputError(
            source,
            f"at most {_MOST_COLUMNS} columns",
            str(stored.shape[1]),
            "events are rows: transpose it",
        )
    columns = tuple(f"x{i}" for i in range(stored.shape[1]))

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        block = stored.read(start, stop)
        return [block[:, columns.index(name)] for name in names]

    return Table(
        source,
        columns,
        (stored.dtype,) * len(columns),
        stored.shape[0],
        read,
        _part(source, path, stored),
        close,
    )


def _named(
    source: str,
    path: Path,
    arrays: dict[str, Stored],
    read: Callable[..., list[np.ndarray]],
    close: Callable[[], None],
) -> Table:
    good = {name: stored for name, stored in arrays.items() if numbers(stored.dtype)}
    refused = {name: str(stored.dtype) for name, stored in arrays.items() if name not in good}
    some = next(iter(arrays.values()))
    return Table(
        source,
        tuple(good),
        tuple(s.dtype for s in good.values()),
        some.shape[0],
        read,
        _part(source, path, some),
        close,
        refused,
    )


def _structured(source: str, path: Path, stored: Stored, close: Callable[[], None]) -> Table:
    """Fields as columns; a field with a fixed number of values gives name[0], name[1], ..."""
    if len(stored.shape) != 1:
        raise InputError(
            source, "a structured array of one dimension", f"shape {stored.shape}", "flatten it"
        )
    places: dict[str, tuple[str, int | None]] = {}
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
        picked = []
        for name in names:
            field, element = places[name]
            picked.append(
                block[field]
                if element is None
                else block[field].reshape(len(block), -1)[:, element]
            )
        return picked

    return Table(
        source,
        tuple(places),
        tuple(dtypes),
        stored.shape[0],
        read,
        _part(source, path, stored),
        close,
        refused,
    )


def _part(source: str, path: Path, stored: Stored) -> tuple[Part, ...]:
    return (Part(source, path, stored.shape[0]),)


def _dataset(item: Any) -> Stored:
    return Stored(item.dtype, item.shape, lambda start, stop: item[start:stop])


class Header(NamedTuple):
    """What the head of an .npy file says, and where the numbers begin."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    end: int


def _header(stream: Any, source: str) -> Header:
    """Reads the head of the format,
    https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
    """
    if stream.read(6) != b"\x93NUMPY":
        raise InputError(
            source, "a file in the .npy format", "other bytes", "write it with numpy.save"
        )
    try:
        major, _ = stream.read(2)
        code, encoding = {1: ("<H", "latin1"), 2: ("<I", "latin1"), 3: ("<I", "utf8")}[major]
        length = struct.unpack(code, stream.read(struct.calcsize(code)))[0]
        header = ast.literal_eval(stream.read(min(length, 1 << 20)).decode(encoding))
        dtype, shape, fortran = (
            np.lib.format.descr_to_dtype(header["descr"]),
            tuple(header["shape"]),
            bool(header["fortran_order"]),
        )
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        raise InputError(
            source, "the head of an .npy file", "something else", "write it again with numpy.save"
        ) from None
    if dtype.hasobject:
        raise InputError(
            source,
            "numbers",
            "pickled objects",
            "they could run code and are refused; store float32 or float64",
        )
    if not shape or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise InputError(
            source, "shape [event, column]", f"shape {shape}", "store one row per event"
        )
    return Header(dtype, shape, fortran, stream.tell())


class _Member:
    """An array in an archive. Its bytes come in their order, so the place is kept; going back means
    to start again. Closed at its end.
    """

    def __init__(self, path: Path, name: str, header: Header) -> None:
        self.path, self.name, self.header = path, name, header
        self.archive: zipfile.ZipFile | None = None
        self.stream: Any = None

    def take(self, offset: int, count: int) -> np.ndarray:
        """`count` items from a place in bytes."""
        if self.stream is None or self.stream.tell() > self.header.end + offset:
            self.close()
            self.archive = zipfile.ZipFile(self.path)
            self.stream = self.archive.open(f"{self.name}.npy")
        self.stream.seek(self.header.end + offset)
        block = np.empty(count, self.header.dtype)
        read = self.stream.readinto(block.view(np.uint8).data) if block.nbytes else 0
        if read != block.nbytes:
            raise InputError(
                f"{self.path} array {self.name}",
                f"{block.nbytes} more bytes of numbers",
                "the end",
                "the file is truncated, write it again",
            )
        if offset + block.nbytes >= math.prod(self.header.shape) * self.header.dtype.itemsize:
            self.close()
        return block

    def close(self) -> None:
        """Closes the file until it is read again."""
        for part in (self.stream, self.archive):
            if part is not None:
                part.close()
        self.stream = self.archive = None


def _stored(header: Header, take: Callable[[int, int], np.ndarray]) -> Stored:
    """Rows of an array from `take(offset in bytes, number of items)`, in either order of
    storage.
    """
    dtype, shape = header.dtype, header.shape
    items = math.prod(shape[1:])

    def rows(start: int, stop: int) -> np.ndarray:
        return take(start * items * dtype.itemsize, (stop - start) * items).reshape(
            stop - start, *shape[1:]
        )

    def fortran_rows(start: int, stop: int) -> np.ndarray:
        columns = [
            take((c * shape[0] + start) * dtype.itemsize, stop - start) for c in range(items)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((stop - start, 0), dtype)

    return Stored(dtype, shape, fortran_rows if header.fortran and len(shape) == 2 else rows)
