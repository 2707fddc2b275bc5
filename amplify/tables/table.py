"""A table: named columns of numbers, read by ranges of rows. Readers of formats make them;
several files join to one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.text import listed


class Part(NamedTuple):
    """One file of a table: what the user called it, where it is, and its rows."""

    source: str
    path: Path
    n: int


class Array(NamedTuple):
    """Several numbers per event: axes of fixed size, or a first one that differs between events.

    Attributes:
        shape: of an event's values; a first axis that differs between events is None.
        dtype: of the values.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype


class Jagged(NamedTuple):
    """Rows of an array whose first axis differs between events.

    Attributes:
        values: of all rows, one after the other, [sum of count, ...].
        count: how many belong to each row, [row].
    """

    values: np.ndarray
    count: np.ndarray


class Table(NamedTuple):
    """Columns of numbers. `read(start, stop, names)` gives these columns of the rows [start, stop),
    one array each.

    Columns that are no numbers, or several per event without a fixed size, are in `refused`, with
    what they are. An array in memory has no `parts`, and a `digest` of its own. Columns in `index`
    are labels of rows, as the file itself says.

    Several numbers per event are in `arrays`, for expressions that make one number of them. `read`
    takes their names too, and gives [row, ...] of those with a fixed shape, `Jagged` of the others.
    The elements of a fixed shape are columns as well, `name[3]`; a jagged array is `refused` as a
    column. Columns that a user's function makes of the others are `made`: they are looked at where
    none are named. Other files that those of `parts` point to are in `points_to`.
    """

    source: str
    columns: tuple[str, ...]
    dtypes: tuple[np.dtype, ...]
    n: int
    read: Callable[[int, int, Sequence[str]], list[Any]]
    parts: tuple[Part, ...]
    close: Callable[[], None] = lambda: None
    refused: Mapping[str, str] = {}
    digest: Callable[[], str] | None = None
    index: tuple[str, ...] = ()
    arrays: Mapping[str, Array] = {}
    made: tuple[str, ...] = ()
    points_to: tuple[Path, ...] = ()

    def dtype(self, name: str) -> np.dtype:
        """float32 where that holds every value of a column or an array, else float64."""
        if name in self.columns:
            return read_as(self.dtypes[self.columns.index(name)])
        return read_as(self.arrays[name].dtype)

    def all_single(self, names: Sequence[str]) -> bool:
        """Whether float32 holds every value of these columns."""
        kinds = dict(zip(self.columns, self.dtypes, strict=True))
        return all(read_as(kinds[name]) == np.float32 for name in names)


def read_as(dtype: np.dtype) -> np.dtype:
    """float32 where that holds every value, else float64."""
    kind = dtype.newbyteorder("=")
    return np.dtype(np.float32 if kind in (np.float16, np.float32) else np.float64)


def numbers(dtype: np.dtype) -> bool:
    """Real numbers: floats, integers and booleans."""
    return dtype.kind in "fiub"


def elements(name: str, shape: tuple[int, ...]) -> list[str]:
    """Names of the elements of a column with a fixed number of values per event.

    >>> elements("p", (2, 2))
    ['p[0,0]', 'p[0,1]', 'p[1,0]', 'p[1,1]']
    """
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, place))}]" for place in np.ndindex(*shape)]


def joined(source: str, tables: Sequence[Table]) -> Table:
    """Several files as one sample, in their order.

    Raises:
        InputError: the files have different columns.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    arrays = _common_arrays(tables)
    index = {name for table in tables for name in table.index}
    # columns that are elements of what is jagged in another file
    loose = {
        column
        for name, array in arrays.items()
        for table in tables
        for column in table.columns
        if None in array.shape and column.startswith(f"{name}[")
    }
    for table in tables[1:]:
        differ = sorted((set(table.columns) ^ set(first.columns)) - index - loose)
        if differ:
            raise InputError(
                table.source,
                f"the columns of {first.source}",
                f"a difference in {listed(differ)}",
                "files of one sample are alike",
            )
    ends = np.cumsum([table.n for table in tables])

    def read(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        pieces = []
        for table, end in zip(tables, ends, strict=True):
            begin = int(end) - table.n
            if start < end and stop > begin:
                pieces.append(table.read(max(start - begin, 0), min(stop - begin, table.n), names))
        whole = [_together(piece) for piece in zip(*pieces, strict=True)]
        jagged = [name in arrays and None in arrays[name].shape for name in names]
        return [_as_jagged(x) if j else x for x, j in zip(whole, jagged, strict=True)]

    def close() -> None:
        for table in tables:
            table.close()

    # some files may have labels of rows that others lack
    everywhere = set.intersection(*(set(table.columns) for table in tables)) - loose
    columns = tuple(c for c in first.columns if c in everywhere)
    # a file in single and another in double precision are read in double
    kinds = [dict(zip(table.columns, table.dtypes, strict=True)) for table in tables]
    dtypes = tuple(np.result_type(*(read_as(kind[name]) for kind in kinds)) for name in columns)
    refused = {name: why for table in reversed(tables) for name, why in table.refused.items()}
    return Table(
        source,
        columns,
        dtypes,
        int(ends[-1]),
        read,
        tuple(p for t in tables for p in t.parts),
        close,
        refused,
        index=tuple(name for name in columns if name in index),
        arrays=arrays,
        points_to=tuple(dict.fromkeys(path for table in tables for path in table.points_to)),
    )


def _common_arrays(tables: Sequence[Table]) -> dict[str, Array]:
    """Arrays that all tables have; an axis whose size differs between files is jagged."""
    common = {}
    for name, array in tables[0].arrays.items():
        if not all(name in table.arrays for table in tables):
            continue
        versions = [table.arrays[name] for table in tables]
        shapes = {version.shape for version in versions}
        if len({shape[1:] for shape in shapes}) == 1:
            first = array.shape[0] if len(shapes) == 1 else None
            dtype = np.result_type(*(version.dtype for version in versions))
            common[name] = Array((first, *array.shape[1:]), dtype)
    return common


def _together(pieces: Sequence[Any]) -> Any:
    """Rows of several files, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    if not any(isinstance(piece, Jagged) for piece in pieces) and (
        len({piece.shape[1:] for piece in pieces}) == 1
    ):
        return np.concatenate(pieces)
    jagged = [_as_jagged(piece) for piece in pieces]
    return Jagged(*(np.concatenate(both) for both in zip(*jagged, strict=True)))


def _as_jagged(values: Any) -> Jagged:
    """Rows [row, k, ...] as rows whose number of values happens to be the same."""
    if isinstance(values, Jagged):
        return values
    count = np.full(len(values), values.shape[1])
    return Jagged(values.reshape(-1, *values.shape[2:]), count)


def locate(table: Table, row: int) -> tuple[str, int]:
    """The file of a row, and the row in it; an array is its own file."""
    if not table.parts:
        return table.source, row
    for part in table.parts:
        if row < part.n:
            return part.source, row
        row -= part.n
    raise IndexError(row)
