"""Reader of Feather, which is Arrow's own file format. Needs the extra [io]."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amplify.tables.formats.arrow import arrow_table, field_of, index_of
from amplify.tables.formats.common import missing, refuse_inside, refuse_twins
from amplify.tables.table import Table


def feather(source: str, path: Path, inside: str) -> Table:
    """Batch by batch, the columns that are needed only."""
    try:
        import pyarrow as pa
    except ImportError:
        raise missing("Feather", "pyarrow") from None
    refuse_inside(source, path, inside, "one table")
    stream = pa.memory_map(str(path))
    try:
        file = pa.ipc.open_file(stream)
        names = file.schema.names
        refuse_twins(source, names)
        sizes = _sizes(pa, stream, file)
    except BaseException:
        stream.close()
        raise

    def batches(group: int, wanted: list[str]) -> Iterator[Any]:
        places = [names.index(name) for name in wanted]
        options = pa.ipc.IpcReadOptions(included_fields=places)
        part = pa.ipc.open_file(stream, options=options)
        return (part.get_batch(i) for i in range(group, part.num_record_batches))

    fields = {f.name: field_of(f.type) for f in file.schema}
    return arrow_table(source, path, fields, sizes, batches, stream.close, index_of(file.schema))


def _sizes(pa: Any, stream: Any, file: Any) -> list[int]:
    """Rows of each batch, which its first column tells."""
    first = pa.ipc.open_file(stream, options=pa.ipc.IpcReadOptions(included_fields=[0]))
    return [first.get_batch(i).num_rows for i in range(file.num_record_batches)]
