"""Several files as one table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.table import Array, Jagged, Table, read_as
from amplify.text import listed


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
    files = _Files(tuple(tables), arrays)

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
        int(files.ends[-1]),
        files.read,
        tuple(p for t in tables for p in t.parts),
        files.close,
        refused,
        index=tuple(name for name in columns if name in index),
        arrays=arrays,
        points_to=tuple(dict.fromkeys(path for table in tables for path in table.points_to)),
        starts=files.starts(),
        bounds=files.bounds,
        is_here=any(table.is_here for table in tables),
        row_of=None if all(table.row_of is None for table in tables) else files.row_of,
        batch=first.batch if len({table.batch for table in tables}) == 1 else None,
    )


class _Files:
    """Several tables, one after the other."""

    def __init__(self, tables: tuple[Table, ...], arrays: Mapping[str, Array]) -> None:
        self.tables = tables
        self.jagged = {name for name, array in arrays.items() if None in array.shape}
        self.ends = np.cumsum([table.n for table in tables])

    def read(self, start: int, stop: int, names: Sequence[str]) -> list[Any]:
        """Rows of one file or of several."""
        pieces = []
        first = int(np.searchsorted(self.ends, start, side="right"))
        for i in range(first, len(self.tables)):
            table = self.tables[i]
            begin = int(self.ends[i]) - table.n
            if begin >= stop:
                break
            pieces.append(table.read(max(start - begin, 0), min(stop - begin, table.n), names))
        whole = [together(piece) for piece in zip(*pieces, strict=True)]
        pairs = zip(whole, names, strict=True)
        return [as_jagged(x) if name in self.jagged else x for x, name in pairs]

    def close(self) -> None:
        """Closes all."""
        for table in self.tables:
            table.close()

    def bounds(self, start: int, stop: int, name: str) -> tuple[float, float] | None:
        """The least and the largest number of a column in these rows, if each file says it."""
        found = []
        for i in range(int(np.searchsorted(self.ends, start, side="right")), len(self.tables)):
            table = self.tables[i]
            begin = int(self.ends[i]) - table.n
            if begin >= stop:
                break
            rows = max(start - begin, 0), min(stop - begin, table.n)
            found.append(None if table.bounds is None else table.bounds(*rows, name))
        known = [pair for pair in found if pair is not None]
        if not known or len(known) < len(found):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def row_of(self, row: int) -> int:
        """The row in all files of an event."""
        i = int(np.searchsorted(self.ends, row, side="right"))
        table = self.tables[i]
        inside = row - (int(self.ends[i]) - table.n)
        before = sum(part.n for each in self.tables[:i] for part in each.parts)
        return before + (inside if table.row_of is None else table.row_of(inside))

    def starts(self) -> np.ndarray | None:
        """Rows at which reading may begin."""
        if all(table.starts is None for table in self.tables):
            return None
        begins = self.ends - [table.n for table in self.tables]
        # anywhere in a file is more than its beginning, and that is enough
        each = [
            begin + np.asarray([0] if table.starts is None else table.starts)
            for begin, table in zip(begins, self.tables, strict=True)
        ]
        return np.concatenate(each)


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


def together(pieces: Sequence[Any]) -> Any:
    """Rows of several files, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    if not any(isinstance(piece, Jagged) for piece in pieces) and (
        len({piece.shape[1:] for piece in pieces}) == 1
    ):
        return np.concatenate(pieces)
    jagged = [as_jagged(piece) for piece in pieces]
    return Jagged(*(np.concatenate(both) for both in zip(*jagged, strict=True)))


def as_jagged(values: Any) -> Jagged:
    """Rows [row, k, ...] as rows whose number of values happens to be the same."""
    if isinstance(values, Jagged):
        return values
    count = np.full(len(values), values.shape[1])
    return Jagged(values.reshape(-1, *values.shape[2:]), count)
