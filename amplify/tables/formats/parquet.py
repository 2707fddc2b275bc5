"""Reader of Parquet, columns by name: flat ones, lists with a fixed number of values per event and
such with any number. Needs the extra [io].
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.tables.formats.arrow import BATCH, arrow_table, field_of, index_of, rows_of_batch
from amplify.tables.formats.common import missing, once, refuse_inside, refuse_twins
from amplify.tables.table import Array, Table

_LOOKED_AT = 1 << 24  # values of lists that tell whether all have one length


def parquet(source: str, path: Path, inside: str) -> Table:
    """Decoded in batches, so that a single row group may exceed memory."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise missing("Parquet", "pyarrow") from None
    refuse_inside(source, path, inside, "one table")
    file = pq.ParquetFile(
        path, pre_buffer=False, buffer_size=1 << 18, page_checksum_verification=True
    )
    refuse_twins(source, file.schema_arrow.names)
    fields: dict[str, Array | str] = {f.name: field_of(f.type) for f in file.schema_arrow}
    lengths = once(path, "lengths of lists", lambda: _constant_lengths(file, fields))
    for name, size in lengths.items():
        field = fields[name]
        assert isinstance(field, Array)
        fields[name] = field._replace(shape=(size, *field.shape[1:]))
    groups = file.metadata.num_row_groups
    sizes = [file.metadata.row_group(i).num_rows for i in range(groups)]

    def batches(group: int, names: list[str]) -> Iterator[Any]:
        return file.iter_batches(
            batch_size=rows_of_batch(len(names)),
            row_groups=list(range(group, groups)),
            columns=names,
        )

    index = index_of(file.schema_arrow)
    table = arrow_table(source, path, fields, sizes, batches, file.close, index)
    flat = [name for name, field in fields.items() if isinstance(field, Array) and not field.shape]
    assert table.starts is not None
    return table._replace(bounds=_Statistics(file.metadata, table.starts, flat).bounds)


class _Statistics:
    """The least and the largest value of columns in each group of rows, as the file says. It leaves
    out what is no number, which no comparison is true of.
    """

    def __init__(self, metadata: Any, starts: np.ndarray, names: Sequence[str]) -> None:
        self.metadata, self.starts = metadata, starts
        paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
        self.leaves = {name: paths.index(name) for name in names if paths.count(name) == 1}
        self.known: dict[str, np.ndarray] = {}

    def bounds(self, start: int, stop: int, name: str) -> tuple[float, float] | None:
        """Of a column in these rows."""
        if name not in self.leaves:
            return None
        if name not in self.known:
            groups = range(self.metadata.num_row_groups)
            self.known[name] = np.array([self._of_group(group, name) for group in groups])
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right")
        low, high = self.known[name][first - 1 : last].T
        if np.isnan(low).any() or np.isnan(high).any():
            return None
        return float(low.min()), float(high.max())

    def _of_group(self, group: int, name: str) -> tuple[float, float]:
        """Of a group of rows; nan where the file does not say."""
        said = self.metadata.row_group(group).column(self.leaves[name]).statistics
        if said is None or not said.has_min_max:
            return np.nan, np.nan
        # whole numbers that are no date, decimals neither
        plain = isinstance(said.min, int | float) and isinstance(said.max, int | float)
        return (float(said.min), float(said.max)) if plain else (np.nan, np.nan)


def _constant_lengths(file: Any, fields: Mapping[str, Array | str]) -> dict[str, int]:
    """Lists of numbers that have the same length in all events, though their type does not say so,
    and that length. What the file counts of each group of rows tells nearly all that have not.
    """
    found = {}
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    filled = [group for group in groups if group.num_rows]
    leaves = [metadata.schema.column(i).path.split(".")[0] for i in range(metadata.num_columns)]
    for name, field in fields.items():
        if not isinstance(field, Array) or field.shape != (None,) or leaves.count(name) != 1:
            continue
        leaf = leaves.index(name)
        ratios = {group.column(leaf).num_values / group.num_rows for group in filled}
        size = ratios.pop() if len(ratios) == 1 else 0.0
        if size >= 1 and size.is_integer() and _all_of_length(file, name, int(size)):
            found[name] = int(size)
    return found


def _all_of_length(file: Any, name: str, size: int) -> bool:
    """Whether the first events, or all of a file that is not large, have lists of this length."""
    import pyarrow.compute as pc

    looked_at = 0
    for batch in file.iter_batches(batch_size=BATCH, columns=[name]):
        lengths = pc.call_function("list_value_length", [batch.column(0)])
        if lengths.null_count or (lengths.to_numpy(zero_copy_only=False) != size).any():
            return False
        looked_at += len(batch) * size
        if looked_at > _LOOKED_AT:
            break
    return True
