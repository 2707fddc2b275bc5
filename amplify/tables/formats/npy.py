"""Reader of .npy. Arrays are never mapped or loaded whole, and pickles are refused before anything
of them is read.
"""

import ast
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import Stored, table_of
from amplify.tables.table import Table

# what a head that is none may raise while it is read as a Python literal and as a type of numbers
_NOT_A_HEAD = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
_LENGTHS = {1: ("<H", "latin1"), 2: ("<I", "latin1"), 3: ("<I", "utf8")}  # by version
_LONGEST_HEAD = 1 << 20  # bytes
_LARGEST = 1 << 63  # size of an axis that no computer holds


class Header(NamedTuple):
    """What the head of an .npy file says, and where the numbers begin."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    end: int

    @property
    def size(self) -> int:
        """Bytes of numbers that should follow."""
        return math.prod(self.shape) * self.dtype.itemsize


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
        header = read_header(stream, source)
    available = path.stat().st_size - header.end
    if available < header.size:
        raise InputError(
            source,
            f"{header.size} bytes of numbers",
            f"{available}",
            "the file is truncated, write it again",
        )

    def take(offset: int, count: int) -> np.ndarray:
        return np.fromfile(path, header.dtype, count, offset=header.end + offset)

    table = table_of(source, path, {"": stored(header, take)})
    return table._replace(is_shared=True)  # each reading opens the file


def read_header(stream: Any, source: str) -> Header:
    """Reads the head of the format,
    https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.

    Args:
        stream: bytes, at their beginning.
        source: how errors name it.

    Raises:
        InputError: no such head, or one of an array that holds no numbers per row.
    """
    if stream.read(6) != b"\x93NUMPY":
        raise InputError(
            source, "a file in the .npy format", "other bytes", "write it with numpy.save"
        )
    try:
        major, _ = stream.read(2)
        code, encoding = _LENGTHS[major]
        length = struct.unpack(code, stream.read(struct.calcsize(code)))[0]
        text = stream.read(min(length, _LONGEST_HEAD)).decode(encoding)
        header = ast.literal_eval(text)
        dtype = np.lib.format.descr_to_dtype(header["descr"])
        shape = tuple(header["shape"])
        fortran = bool(header["fortran_order"])
    except _NOT_A_HEAD:
        raise InputError(
            source, "the head of an .npy file", "something else", "write it again with numpy.save"
        ) from None
    if dtype.hasobject:
        raise InputError(
            source,
            "numbers",
            "pickled objects",
            "they could run code and are refused; numpy.save(path, x.astype(float)) is safe",
        )
    if not shape or not all(type(n) is int and 0 <= n < _LARGEST for n in shape):
        got = f"shape {str(shape)[:80]}"
        raise InputError(source, "shape [event, column]", got, "store one row per event")
    return Header(dtype, shape, fortran, stream.tell())


def stored(header: Header, take: Callable[[int, int], np.ndarray]) -> Stored:
    """Rows of an array from `take(offset in bytes, number of items)`, in either order of
    storage.
    """
    dtype, shape = header.dtype, header.shape
    items = math.prod(shape[1:])

    def rows(start: int, stop: int) -> np.ndarray:
        block = take(start * items * dtype.itemsize, (stop - start) * items)
        return block.reshape(stop - start, *shape[1:])

    def fortran_rows(start: int, stop: int) -> np.ndarray:
        offsets = [(column * shape[0] + start) * dtype.itemsize for column in range(items)]
        columns = [take(offset, stop - start) for offset in offsets]
        if not columns:
            return np.empty((stop - start, *shape[1:]), dtype)
        block = np.stack(columns, axis=1).reshape(stop - start, *shape[:0:-1])
        return block.transpose(0, *range(len(shape) - 1, 0, -1))

    return Stored(dtype, shape, fortran_rows if header.fortran and len(shape) > 1 else rows)
