"""Reader of CSV, packed or not: the first line names the columns. Needs the extra [io]."""

import csv as quoted
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from amplify.errors import InputError
from amplify.tables.formats.arrow import arrow_table, field_of
from amplify.tables.formats.common import missing, once, refuse_inside, refuse_twins
from amplify.tables.opening import current_opening, refuse_too_much
from amplify.tables.table import Array, Table

_BLOCK = 1 << 22  # bytes parsed at once
_LONGEST_LINE = 1 << 24
_INDEX = "index"  # what a column without a name is called, as pandas writes labels of rows


class _Head(NamedTuple):
    """What the first line says."""

    names: list[str]
    delimiter: str
    skipped: int  # lines that are no rows
    index: tuple[str, ...]


def csv(source: str, path: Path, inside: str) -> Table:
    """Numbers are read in double precision: whether a column is whole the first rows cannot
    tell.
    """
    try:
        import pyarrow as pa
        from pyarrow import csv as pcsv
    except ImportError:
        raise missing("CSV", "pyarrow") from None
    refuse_inside(source, path, inside, "one table")
    head = _head(source, path)
    reading = pcsv.ReadOptions(
        use_threads=False, block_size=_BLOCK, column_names=head.names, skip_rows=head.skipped
    )
    parsing = pcsv.ParseOptions(delimiter=head.delimiter)

    def opened(kinds: dict[str, Any] | None = None, names: list[str] | None = None) -> Any:
        converting = pcsv.ConvertOptions(column_types=kinds, include_columns=names)
        return pcsv.open_csv(path, reading, parsing, converting)

    with opened() as stream:
        kinds = {
            f.name: pa.float64() if pa.types.is_integer(f.type) else f.type for f in stream.schema
        }
    numbers = {name: kind for name, kind in kinds.items() if pa.types.is_floating(kind)}

    def counted() -> int:
        with opened(kinds) as stream:
            return _counted(source, path, stream, len(numbers))

    n = once(path, f"rows at {current_opening().max_gb}", counted)
    fields: dict[str, Array | str] = {name: field_of(kind) for name, kind in kinds.items()}

    def batches(_: int, names: list[str]) -> Iterator[Any]:
        yield from opened(kinds, names)

    return arrow_table(source, path, fields, [n], batches, lambda: None, head.index)


def _counted(source: str, path: Path, stream: Any, columns: int) -> int:
    """Rows, all of which are parsed once: one that does not fit is found before anything is
    computed.
    """
    n = 0
    for batch in stream:
        n += batch.num_rows
        refuse_too_much(source, path, n, columns, 8.0 * n * columns)
    return n


def _head(source: str, path: Path) -> _Head:
    """Names and what separates them, from the first line that is not empty."""
    packed = path.suffix.lower() == ".gz"
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        skipped, line = 0, b"\n"
        while line and not line.strip():
            line = file.readline(_LONGEST_LINE)
            skipped += 1
    try:
        text = line.decode("utf-8-sig").strip("\r\n").removeprefix("#").strip(" ")
    except UnicodeDecodeError:
        raise InputError(source, "a text", "other bytes", "write it as UTF-8") from None
    delimiter = max(",;\t", key=text.count)
    words = [word.strip() for word in next(quoted.reader([text], delimiter=delimiter), [])]
    if text and all(map(_is_number, words)):
        return _Head([f"x{i}" for i in range(len(words))], delimiter, skipped - 1, ())
    names = [word or _INDEX for word in words]
    refuse_twins(source, names)
    return _Head(names, delimiter, skipped, (_INDEX,) if "" in words else ())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
