"""Reader of Parquet, columns by name: flat ones and lists with a fixed number of values per event.
Needs the extra [io].
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.formats.common import JAGGED, missing
from amplify.tables.table import Part, Table, elements

_BATCH = 1 << 17  # rows decoded at once
_NUMBERS = 1 << 22  # of many columns


def parquet(source: str, path: Path, inside: str) -> Table:
    """Decoded in batches, so that a single row group may exceed memory."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing("Parquet", "pyarrow") from None
    if inside:
        raise InputError(
            source,
            "FILE.parquet",
            f"a path {inside} inside",
            ".parquet files hold one table; drop the part after the colon",
        )
    file = pq.ParquetFile(
        path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
    )
    places: dict[str, tuple[str, int | None]] = {}  # of a column: its field, and element in it
    dtypes, refused = [], {}
    for field in file.schema_arrow:
        kind, size = field.type, ()
        if pa.types.is_fixed_size_list(kind):
            kind, size = kind.value_type, (kind.list_size,)
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            for i, name in enumerate(elements(field.name, size)):
                places[name] = (field.name, i if size else None)
                dtypes.append(np.dtype(kind.to_pandas_dtype()))
        else:
            is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            refused[field.name] = JAGGED if is_list else str(kind)
    rows = _Rows(file)

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        fields = list(dict.fromkeys(places[name][0] for name in names))
        block = rows.read(start, stop, fields)
        return [_values(block.column(places[name][0]), places[name][1]) for name in names]

    n = file.metadata.num_rows
    return Table(
        source,
        columns=tuple(places),
        dtypes=tuple(dtypes),
        n=n,
        read=read,
        parts=(Part(source, path, n),),
        close=file.close,
        refused=refused,
        index=_index(file.schema_arrow),
    )


def _index(schema: Any) -> tuple[str, ...]:
    """The columns that pandas keeps the labels of rows in."""
    said = (schema.pandas_metadata or {}).get("index_columns", [])
    return tuple(name for name in said if isinstance(name, str))


class _Rows:
    """Rows in ascending order are decoded once: the place in the file is kept between calls."""

    def __init__(self, file: Any) -> None:
        self.file = file
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self.fields: list[str] | None = None
        self.batches: Iterator[Any] = iter(())
        self.place, self.left = 0, None

    def read(self, start: int, stop: int, fields: list[str]) -> Any:
        """A pyarrow table of these rows."""
        import pyarrow as pa

        group = int(np.searchsorted(self.starts, start, side="right")) - 1
        if fields != self.fields or start < self.place or self.starts[group] > self.place:
            self.fields, self.place, self.left = fields, int(self.starts[group]), None
            groups = list(range(group, len(self.starts) - 1))
            self.batches = self.file.iter_batches(
                batch_size=_rows_of_batch(len(fields)), row_groups=groups, columns=fields
            )
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


def _rows_of_batch(columns: int) -> int:
    """Fewer rows of many columns."""
    return min(_BATCH, max(_NUMBERS // max(columns, 1), 1024))


def _values(column: Any, element: int | None) -> np.ndarray:
    """The values of a column, or of one element of its lists; what is missing is nan."""
    import pyarrow.compute as pc

    if element is not None:
        column = pc.call_function("list_element", [column, element])
    return column.to_numpy()
