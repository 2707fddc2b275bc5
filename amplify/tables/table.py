"""A table: named columns of numbers, read by ranges of rows. Readers of formats make them;
several files join to one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.text import listed


class Part(NamedTuple):
    """One file of a table: what the user called it, where it is, and its rows."""

    source: str
    path: Path
    n: int


class Table(NamedTuple):
    """Columns of numbers. `read(start, stop, names)` gives these columns of the rows [start, stop),
    one array each.

    Columns that are no numbers, or several per event without a fixed size, are in `refused`, with
    what they are. An array in memory has no `parts`, and a `digest` of its own. Columns in `index`
    are labels of rows, as the file itself says.
    """

    source: str
    columns: tuple[str, ...]
    dtypes: tuple[np.dtype, ...]
    n: int
    read: Callable[[int, int, Sequence[str]], list[np.ndarray]]
    parts: tuple[Part, ...]
    close: Callable[[], None] = lambda: None
    refused: Mapping[str, str] = {}
    digest: Callable[[], str] | None = None
    index: tuple[str, ...] = ()

    def dtype(self, column: str) -> np.dtype:
        """float32 where that holds every value, else float64."""
        return _read_as(self.dtypes[self.columns.index(column)])

    def all_single(self, names: Sequence[str]) -> bool:
        """Whether float32 holds every value of these columns."""
        kinds = dict(zip(self.columns, self.dtypes, strict=True))
        return all(_read_as(kinds[name]) == np.float32 for name in names)


def _read_as(dtype: np.dtype) -> np.dtype:
    kind = dtype.newbyteorder("=")
    return np.dtype(np.float32 if kind in (np.float16, np.float32) else np.float64)


def numbers(dtype: np.dtype) -> bool:
    """Real numbers: floats, integers and booleans."""
    return dtype.kind in "fiub"


def elements(name: str, shape: tuple[int, ...]) -> list[str]:
    """Names of the elements of a column with a fixed number of values per event."""
    return [name] if not shape else [f"{name}[{i}]" for i in range(int(np.prod(shape)))]


def joined(source: str, tables: Sequence[Table]) -> Table:
    """Several files as one sample, in their order.

    Raises:
        InputError: the files have different columns.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    index = {name for table in tables for name in table.index}
    for table in tables[1:]:
        differ = sorted((set(table.columns) ^ set(first.columns)) - index)
        if differ:
            raise InputError(
                table.source,
                f"the columns of {first.source}",
                f"a difference in {listed(differ)}",
                "files of one sample are alike",
            )
    ends = np.cumsum([table.n for table in tables])

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        pieces = []
        for table, end in zip(tables, ends, strict=True):
            begin = int(end) - table.n
            if start < end and stop > begin:
                pieces.append(table.read(max(start - begin, 0), min(stop - begin, table.n), names))
        return (
            [np.concatenate(columns) for columns in zip(*pieces, strict=True)]
            if len(pieces) > 1
            else pieces[0]
        )

    def close() -> None:
        for table in tables:
            table.close()

    # some files may have labels of rows that others lack
    columns = tuple(c for c in first.columns if all(c in table.columns for table in tables))
    # a file in single and another in double precision are read in double
    dtypes = tuple(np.result_type(*(table.dtype(name) for table in tables)) for name in columns)
    return Table(
        source,
        columns,
        dtypes,
        int(ends[-1]),
        read,
        tuple(p for t in tables for p in t.parts),
        close,
        first.refused,
        index=tuple(name for name in columns if name in index),
    )


def locate(table: Table, row: int) -> tuple[str, int]:
    """The file of a row, and the row in it; an array is its own file."""
    if not table.parts:
        return table.source, row
    for part in table.parts:
        if row < part.n:
            return part.source, row
        row -= part.n
    raise IndexError(row)
