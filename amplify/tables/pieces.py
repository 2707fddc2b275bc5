"""Rows of a table with arrays, in pieces that keep small what is made of them: expressions of
arrays need several times the memory of the array.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from amplify.tables.table import Array, Jagged, Table

_READ = 1 << 24  # numbers that are read at once
_MADE = 1 << 19  # numbers of which an expression is made at once
_GUESS = 64  # numbers per event of a jagged array, before the first rows tell


def in_pieces(
    table: Table, start: int, stop: int, names: Sequence[str], at_once: int = _MADE
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows from start to stop in pieces: how many they are, and columns and arrays by name.

    Without arrays pieces are what is decoded at once.

    Args:
        table: the sample.
        start: the first row.
        stop: the row behind the last.
        names: of columns and arrays.
        at_once: numbers of a piece.
    """
    arrays = {name: table.arrays[name] for name in names if name in table.arrays}
    if not arrays:
        for first, last in pairwise(table.batches(start, stop, len(names))):
            yield last - first, dict(zip(names, table.read(first, last, names), strict=True))
        return
    width = _width(arrays, {})
    while start < stop:
        n = min(max(_READ // width, 1), stop - start)
        values = dict(zip(names, table.read(start, start + n, names), strict=True))
        width = _width(arrays, values)
        size = max(at_once // width, 1)
        offsets = {
            name: np.concatenate([[0], np.cumsum(value.count)])
            for name, value in values.items()
            if isinstance(value, Jagged)
        }
        for first in range(0, n, size):
            last = min(first + size, n)
            yield (
                last - first,
                {
                    name: _rows(value, first, last, offsets.get(name))
                    for name, value in values.items()
                },
            )
        start += n


def _rows(value: Any, first: int, last: int, offsets: np.ndarray | None) -> Any:
    if offsets is None:
        return value[first:last]
    return Jagged(value.values[offsets[first] : offsets[last]], value.count[first:last])


def _width(arrays: Mapping[str, Array], values: Mapping[str, Any]) -> int:
    """Numbers per event of all arrays together."""
    total = 1
    for name, array in arrays.items():
        fixed = int(np.prod([size for size in array.shape if size is not None], dtype=int))
        value = values.get(name)
        several = 1 if None not in array.shape else _GUESS
        if isinstance(value, Jagged) and len(value.count):
            several = max(int(value.count.mean()), 1)
        total += fixed * several
    return total
