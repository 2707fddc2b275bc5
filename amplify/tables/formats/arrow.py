"""What readers of Parquet, Feather and CSV share: fields of an Arrow schema, rows that come in
batches, and their values as arrays of NumPy. Needs the extra [io].
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.layout import JAGGED, table_of_fields
from amplify.tables.table import Array, Jagged, Table

BATCH = 1 << 18  # rows decoded at once
_NUMBERS = 1 << 22  # of many columns

# (first group of rows, names of fields) -> batches of Arrow, to the end
Batches = Callable[[int, list[str]], Iterator[Any]]


def arrow_table(
    source: str,
    path: Path,
    fields: Mapping[str, Array | str],
    sizes: Sequence[int],
    batches: Batches,
    close: Callable[[], None],
    index: Sequence[str] = (),
) -> Table:
    """A table of rows that come in batches.

    Args:
        source: what the user called it.
        path: the file.
        fields: by name.
        sizes: rows of each group that reading may start at.
        batches: decodes from a group on.
        close: closes the file.
        index: columns that are labels of rows.
    """
    rows = _Rows(sizes, batches)

    def read(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        if stop <= start:
            return [_none_of(fields[name]) for name in names]
        block = rows.read(start, stop, list(names))
        return [_values(source, name, block.column(name), fields[name]) for name in names]

    table = table_of_fields(source, path, int(sum(sizes)), fields, read, close, index)
    return table._replace(starts=rows.starts[:-1], batch=rows_of_batch)


def field_of(kind: Any) -> Array | str:
    """Numbers of an Arrow type, or why they are none."""
    import pyarrow as pa

    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return Array((), np.dtype(kind.to_pandas_dtype()))
    if pa.types.is_decimal(kind):
        return Array((), np.dtype(np.float64))
    if pa.types.is_dictionary(kind):
        inner = field_of(kind.value_type)
        return inner if isinstance(inner, Array) and inner.shape == () else str(kind)
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else None
    if size is None and not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return str(kind)
    inner = field_of(kind.value_type)
    if isinstance(inner, Array) and None not in inner.shape:
        return Array((size, *inner.shape), inner.dtype)
    return JAGGED if size is None else str(kind)


def index_of(schema: Any) -> tuple[str, ...]:
    """The columns that pandas keeps the labels of rows in."""
    said = (schema.pandas_metadata or {}).get("index_columns", [])
    return tuple(name for name in said if isinstance(name, str))


def rows_of_batch(columns: int) -> int:
    """Fewer rows of many columns."""
    return min(BATCH, max(_NUMBERS // max(columns, 1), 1024))


class _Rows:
    """Rows in ascending order are decoded once: the place in the file is kept between calls."""

    def __init__(self, sizes: Sequence[int], batches: Batches) -> None:
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self.open_at = batches
        self.fields: list[str] | None = None
        self.batches: Iterator[Any] = iter(())
        self.place, self.left = 0, None

    def read(self, start: int, stop: int, fields: list[str]) -> Any:
        """An Arrow table of these rows."""
        import pyarrow as pa

        group = int(np.searchsorted(self.starts, start, side="right")) - 1
        if fields != self.fields or start < self.place or self.starts[group] > self.place:
            self.fields, self.place, self.left = fields, int(self.starts[group]), None
            self.batches = self.open_at(group, fields)
        pieces = []
        while self.place < stop:
            batch = self.left if self.left is not None else next(self.batches)
            border = start if self.place < start else stop
            taken = min(len(batch), border - self.place)
            if self.place >= start:
                pieces.append(batch.slice(0, taken))
            self.left = batch.slice(taken) if taken < len(batch) else None
            self.place += taken
        return pa.Table.from_batches(pieces)


def _values(source: str, name: str, column: Any, kind: Array | str) -> Any:
    """Values [row, ...] of a column, `Jagged` where they are; what is missing is nan."""
    import pyarrow as pa

    assert isinstance(kind, Array)
    if not kind.shape:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        # what is in one piece is not copied
        one = column.num_chunks == 1
        return column.chunk(0).to_numpy(zero_copy_only=False) if one else column.to_numpy()
    parts = [_lists(chunk, kind) for chunk in column.chunks]
    values = np.concatenate([values for values, _ in parts])
    count = np.concatenate([count for _, count in parts])
    if kind.shape[0] is None:
        return Jagged(values, count)
    if (count != kind.shape[0]).any():
        raise InputError(
            f"{source} column {name}",
            f"{kind.shape[0]} values in every event, as in the first ones",
            f"{int(count[count != kind.shape[0]][0])}",
            "write it with a first event of another length: it is read as jagged then",
        )
    return values.reshape(-1, *kind.shape)


def _none_of(kind: Array | str) -> Any:
    """The values of no rows."""
    assert isinstance(kind, Array)
    values = np.empty((0, *(n for n in kind.shape if n is not None)), kind.dtype)
    return Jagged(values, np.empty(0, np.int64)) if None in kind.shape else values


def _lists(chunk: Any, kind: Array) -> tuple[np.ndarray, np.ndarray]:
    """Values of all events, one after the other, and how many belong to each.

    A list of a fixed size that is missing is nan; one of any size is without values.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_fixed_size_list(chunk.type):
        size = chunk.type.list_size
        values = chunk.values.slice(chunk.offset * size, len(chunk) * size)
        x = _flat(values, kind).reshape(len(chunk), size, *kind.shape[1:])
        if chunk.null_count:
            gone = chunk.is_null().to_numpy(zero_copy_only=False)
            x = np.where(gone.reshape(-1, *[1] * (x.ndim - 1)), np.nan, x)
        return x.reshape(-1, *x.shape[2:]), np.full(len(chunk), size)
    lengths = pc.call_function("list_value_length", [chunk]).fill_null(0)
    count = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    return _flat(chunk.flatten(), kind), count


def _flat(values: Any, kind: Array) -> np.ndarray:
    """Values inside lists, [value, ...]."""
    inner = [n for n in kind.shape[1:] if n is not None]
    for size in inner:
        values = values.values.slice(values.offset * size, len(values) * size)
    return values.to_numpy(zero_copy_only=False).reshape(-1, *inner)
