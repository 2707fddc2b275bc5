"""A table: named columns of numbers, read by ranges of rows. Readers of formats make them."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """One file of a table: what the user called it, where it is, and its rows."""

    source: str
    path: Path
    n: int

    def __reduce__(self) -> tuple[Any, ...]:
        # where it is also for processes that run elsewhere
        return Part, (self.source, Path(os.path.abspath(self.path)), self.n)  # noqa: PTH100


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
    none are named. Other files that those of `parts` point to are in `points_to`. Reading begins at
    the rows `starts`, in ascending order, and decodes what is between; None is anywhere. From a
    start on, `batch(columns)` rows are decoded at once: asked for alone they need not be put
    together.

    `bounds(start, stop, name)` are the least and the largest number that a column may have in these
    rows, where the file says it; what is no number there is not within. Where only some rows of the
    files are events, `row_of` an event is its row in the files. What is too large to be sent to
    other machines `is_here`; what threads may read at once from one open file `is_shared`.
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
    starts: np.ndarray | None = None
    batch: Callable[[int], int] | None = None
    bounds: Callable[[int, int, str], tuple[float, float] | None] | None = None
    row_of: Callable[[int], int] | None = None
    is_here: bool = False
    is_shared: bool = False

    def batches(self, start: int, stop: int, columns: int) -> list[int]:
        """Borders of what is decoded at once of these rows, their ends included."""
        if self.batch is None or self.starts is None:
            return [start, stop]
        rows = self.batch(columns)
        group = int(np.searchsorted(self.starts, start, side="right")) - 1
        borders = [start]
        while borders[-1] < stop:
            begin = int(self.starts[group])
            group += 1
            end = int(self.starts[group]) if group < len(self.starts) else self.n
            first = begin + rows * ((borders[-1] - begin) // rows + 1)
            borders += [*range(first, min(end, stop), rows), min(end, stop)]
        return borders

    def is_movable(self) -> bool:
        """Whether other machines may read it themselves: files that have names, and nothing that a
        function of this process makes.
        """
        named = all(part.source != "-" for part in self.parts)
        return bool(self.parts) and named and not self.made and not self.is_here

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


def locate(table: Table, row: int) -> tuple[str, int]:
    """The file of a row, and the row in it; an array is its own file."""
    if table.row_of is not None:
        row = table.row_of(row)
    if not table.parts:
        return table.source, row
    for part in table.parts:
        if row < part.n:
            return part.source, row
        row -= part.n
    raise IndexError(row)
