"""A user's files as samples: named columns or expressions of them, read in chunks, checked. .npy,
.npz, HDF5, Parquet and ROOT.

A source is FILE, FILE:path/inside (an array of an .npz, a data set or group of HDF5, a tree of
ROOT), a glob of them, or - for standard input; several sources are one sample, in their order.
Two-dimensional arrays have columns x0, x1, ..., everything else has columns by their names. Nothing
in a file is executed.

Rows come in chunks of a fixed size, counted through all files: the same sums are added in the same
order however a sample is split over files.
"""

import atexit
import glob
import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError, MissingExtraError
from amplify.tables import arrays, trees
from amplify.tables.expressions import Expression, parse
from amplify.tables.parallel import in_order
from amplify.tables.table import Table, joined, locate
from amplify.text import listed
from amplify.types import Events

CHUNK = 1 << 18  # rows read at once

_READERS: dict[str, Callable[[str, Path, str], Table]] = {
    ".npy": arrays.npy,
    ".npz": arrays.npz,
    ".h5": arrays.hdf5,
    ".hdf5": arrays.hdf5,
    ".parquet": trees.parquet,
    ".root": trees.root,
}
_MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"\x89HDF": ".h5",
    b"PAR1": ".parquet",
    b"root": ".root",
}


class Selection(NamedTuple):
    """The columns of a sample that are looked at, and the one that holds weights; `dropped` rows
    that are not finite are left out.

    Columns in `rounded` are read in single precision, because another sample has no more of them.
    """

    table: Table
    columns: tuple[Expression, ...]
    weight: Expression | None
    drop: bool = False
    dropped: int = 0
    rounded: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [column.label for column in self.columns]

    @property
    def n(self) -> int:
        """Events that are left."""
        return self.table.n - self.dropped


def open_sample(sources: str | Sequence[str]) -> Table:
    """Opens one source or several that are one sample.

    Raises:
        InputError: one line with what was expected, what came and what to do.
    """
    given = [sources] if isinstance(sources, str) else list(sources)
    if not given:
        raise InputError("input", "at least one file", "none", "name a file")
    tables: list[Table] = []
    try:
        for source in given:
            tables += [open_table(found) for found in _expanded(source)]
        refuse_twice(
            [part.source for table in tables for part in table.parts], "files of one sample"
        )
        return joined(
            given[0] if len(given) == 1 else f"{given[0]} and {len(given) - 1} more", tables
        )
    except BaseException:
        for table in tables:
            table.close()
        raise


def refuse_twice(sources: Sequence[str], what: str) -> None:
    """Refuses a file, or a place in one, that is named twice: its events would count twice."""
    places = [Path(source).resolve() for source in sources if source != "-"]
    for source, place in zip(sources, places, strict=False):
        if places.count(place) > 1:
            raise InputError(what, "different files", f"{source} named twice", "name it once")


def open_table(source: str) -> Table:
    """Opens FILE or FILE:path/inside.

    Raises:
        InputError: one line with what was expected, what came and what to do.
        MissingExtraError: Parquet or ROOT without the packages that read them.
    """
    path, inside = _split(source)
    if str(path) == "-":
        path = _standard_input()
    if path.is_fifo():
        raise InputError(source, "a file", "a pipe", "give - and pipe into standard input")
    if path.is_dir():
        raise InputError(
            source, "a file", "a directory", f"name the files in it, e.g. '{path / '*.npy'}'"
        )
    if not path.is_file():
        raise InputError(source, "a file", "no such file", "check the path")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(source, f"one of {', '.join(_READERS)}", f"'{path.suffix}'", "convert it")
    table = _guarded(source, path, lambda: reader(source, path, inside))
    if table.n == 0 or not (table.columns or table.refused):
        table.close()
        raise InputError(
            source,
            "at least one event",
            f"{table.n} rows and {len(table.columns)} columns",
            "give a sample with events",
        )
    return table._replace(
        read=lambda start, stop, names: _guarded(
            source, path, lambda: table.read(start, stop, names)
        )
    )


def select(
    table: Table,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    *,
    drop_nonfinite: bool = False,
) -> Selection:
    """Chooses columns, or expressions of columns, NAME=EXPRESSION to give one a name; all but the
    weight where none are named.

    Args:
        table: the sample.
        columns: names or expressions.
        weight_column: a name or an expression.
        drop_nonfinite: leave out events with a value that is not finite, instead of refusing them;
            `counted` then says how many.

    Raises:
        InputError: a column that the sample does not have, or one that is no column of numbers.
    """
    weight = None if weight_column is None else _expression(table, weight_column)
    if columns is None and table.refused:
        what = f"{len(table.refused)} that are not, such as {next(iter(table.refused))} ({next(iter(table.refused.values()))})"
        raise InputError(
            table.source,
            "columns with one number per event",
            what,
            f"name columns with --columns; flat ones are {listed(_flat(table)) or 'none'}",
        )
    names = (
        list(columns)
        if columns
        else [name for name in table.columns if weight is None or name not in weight.needs]
    )
    chosen = tuple(_expression(table, name) for name in names)
    labels = [column.label for column in chosen]
    if len(set(labels)) < len(labels):
        raise InputError(
            "columns",
            "different ones",
            f"{next(name for name in labels if labels.count(name) > 1)} twice",
            "name each once",
        )
    for part in chosen:
        if part.condition:
            raise InputError(
                f"column {part.label}",
                "a number per event",
                "a condition",
                "conditions belong into --regions",
            )
    return Selection(table, chosen, weight, drop_nonfinite)


def same_precision(selections: Sequence[Selection]) -> list[Selection]:
    """Samples whose columns agree: .7 in single precision is less than .7, so a value that recurs
    would fall on either side of an edge.
    """
    rounded = set()
    for column in range(len(selections[0].columns)):
        single = [
            all(s.table.dtype(name) == np.float32 for name in s.columns[column].needs)
            for s in selections
        ]
        if any(single) and not all(single):
            rounded |= {s.columns[column].label for s in selections}
    return [s._replace(rounded=frozenset(rounded)) for s in selections]


def counted(selection: Selection) -> Selection:
    """Counts the rows that are dropped, by reading the sample once; a selection that drops nothing
    is what it was.

    Raises:
        InputError: no row is left.
    """
    if not selection.drop:
        return selection
    dropped = selection.table.n - sum(len(block) for block, _ in chunks(selection))
    if dropped == selection.table.n:
        raise InputError(
            selection.table.source,
            "events with finite values",
            "none",
            "repair the columns or leave them out with --columns",
        )
    return selection._replace(dropped=dropped)


def has_column(table: Table, text: str) -> bool:
    """Whether a column, or one that an expression needs, is in the sample, be it of numbers or
    not.
    """
    names = {text, *re.findall(r"`([^`]*)`", text), *re.findall(r"[^\W\d]\w*", text)}
    return any(name in table.columns or name in table.refused for name in names)


def refuse_no_numbers(table: Table, text: str, what: str) -> None:
    """Refuses an expression of columns that are not one number per event, and names flat ones that
    may serve.
    """
    for name in dict.fromkeys(
        [text.strip(), *re.findall(r"`([^`]*)`", text), *re.findall(r"[^\W\d]\w*", text)]
    ):
        if name in table.refused and name not in table.columns:
            fix = f"choose among the flat ones of {table.source}: {listed(_flat(table, name.split('_')[0]))}"
            raise InputError(
                what, "columns with one number per event", f"{name}, {table.refused[name]}", fix
            )


def chunks(
    selection: Selection, size: int | None = None, *, start: int = 0, stop: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Blocks of events [rows, column] and their weights [rows] or None, of the rows from start to
    stop; columns are contiguous.

    Values are float32 where all columns are, else float64; weights are float64.

    Raises:
        InputError: values that are not finite: how many, the first with its file, row and column.
    """
    stop = selection.table.n if stop is None else stop
    size = CHUNK if size is None else size
    for first in range(start, stop, size):
        block, weight = _read(selection, first, min(first + size, stop))
        finite = np.isfinite(block).all() and (weight is None or np.isfinite(weight).all())
        if not finite and not selection.drop:
            raise _nonfinite(selection)
        if not finite:
            good = _finite_rows(block, weight)
            block, weight = block[good], None if weight is None else weight[good]
        yield block, weight


def load(selection: Selection, *, start: int = 0, stop: int | None = None) -> Events:
    """The events of the rows from start to stop, or all, in memory; float64."""
    blocks = list(chunks(selection, start=start, stop=stop))
    if not blocks:
        return Events(np.zeros((0, len(selection.columns))))
    weights = [w for _, w in blocks if w is not None]
    return Events(
        np.concatenate([x for x, _ in blocks]).astype(np.float64),
        np.concatenate(weights) if weights else None,
    )


def spread(selection: Selection, limit: int, blocks: int = 64) -> Events:
    """At most `limit` events in blocks that are evenly spread over the sample, in memory: enough
    for the edges of bins, and soon read.
    """
    n = selection.table.n
    if n <= limit:
        return load(selection)
    starts = [k * n // blocks for k in range(blocks)]
    parts = [load(selection, start=start, stop=start + limit // blocks) for start in starts]
    weights = [part.weight for part in parts if part.weight is not None]
    return Events(
        np.concatenate([part.x for part in parts]), np.concatenate(weights) if weights else None
    )


def describe(selection: Selection) -> dict[str, Any]:
    """What results.json says of an input."""
    parts = selection.table.parts
    digests = in_order(_digest, [(part.path,) for part in parts])
    files = [
        {"path": part.source, "sha256": digest, "events": part.n}
        for part, digest in zip(parts, digests, strict=True)
    ]
    one = {"path": selection.table.source, "sha256": files[0]["sha256"]}
    if len(files) > 1:  # of several, the digest of their digests
        one |= {
            "sha256": hashlib.sha256(
                "".join(str(file["sha256"]) for file in files).encode()
            ).hexdigest(),
            "files": files,
        }
    counted = {
        "events": selection.n,
        "columns": selection.names,
        "weighted": selection.weight is not None,
    }
    return one | counted | ({"dropped": selection.dropped} if selection.drop else {})


def _flat(table: Table, stem: str = "") -> list[str]:
    """The columns of numbers, those first that belong to the stem of a name, then floating ones."""
    kinds = dict(zip(table.columns, table.dtypes, strict=True))
    return sorted(
        table.columns,
        key=lambda name: (not stem or stem.lower() not in name.lower(), kinds[name].kind != "f"),
    )


def _read(selection: Selection, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
    table, columns = selection.table, selection.columns
    wanted = [*columns, *([] if selection.weight is None else [selection.weight])]
    needs = list(dict.fromkeys(name for part in wanted for name in part.needs))
    values = dict(zip(needs, table.read(start, stop, needs), strict=True))
    single = all(part.plain and table.dtype(part.needs[0]) == np.float32 for part in columns)
    block = np.empty((len(columns), stop - start), np.float32 if single else np.float64)
    for row, part in zip(block, columns, strict=True):
        row[:] = part.value(values)
        if part.label in selection.rounded:
            row[:] = row.astype(np.float32)
    weight = (
        None
        if selection.weight is None
        else np.array(np.broadcast_to(selection.weight.value(values), stop - start), np.float64)
    )
    return block.T, weight


def _finite_rows(block: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    good = np.asarray(np.isfinite(block).all(axis=1))
    return good if weight is None else np.logical_and(good, np.isfinite(weight))


def _nonfinite(selection: Selection) -> InputError:
    """Counts what is not finite in the whole sample, and finds the first."""
    table, events, place = selection.table, 0, ""
    for start in range(0, table.n, CHUNK):
        block, weight = _read(selection, start, min(start + CHUNK, table.n))
        good = _finite_rows(block, weight)
        events += int((~good).sum())
        if not place and not good.all():
            row = int(np.argmin(good))
            values = [*block[row], *([] if weight is None else [weight[row]])]
            labels = [
                *selection.names,
                *([] if selection.weight is None else [selection.weight.label]),
            ]
            column = next(i for i, value in enumerate(values) if not np.isfinite(value))
            source, inside = locate(table, start + row)
            place = f"{values[column]} in row {inside}, column {labels[column]}" + (
                f" of {source}" if len(table.parts) > 1 else ""
            )
    more = f", and {events - 1} more such events" if events > 1 else ""
    return InputError(
        table.source,
        "finite numbers",
        place + more,
        "repair the column, or leave such events out with --drop-nonfinite",
    )


def _expression(table: Table, text: str) -> Expression:
    """A column, an expression, or NAME=EXPRESSION."""
    if text in table.columns:
        return parse(text, table.columns)
    name, _, formula = (
        text.partition("=") if re.match(r"\s*[A-Za-z_]\w*\s*=(?!=)", text) else ("", "", text)
    )
    what = f"column {text}"
    refuse_no_numbers(table, formula, what)
    if re.fullmatch(r"\s*[A-Za-z_]\w*\s*", formula) and formula.strip() not in table.columns:
        raise InputError(
            what,
            f"one of {listed(table.columns)}",
            f"no such column in {table.source}",
            "choose another",
        )
    part = parse(formula.strip(), table.columns, what)
    return part._replace(label=name.strip() or text)


def _guarded(source: str, path: Path, action: Callable[[], Any]) -> Any:
    """What a broken file raises as one line; it can be anything, and what it is matters less than
    which file.
    """
    try:
        return action()
    except (InputError, MissingExtraError):
        raise
    except PermissionError:
        raise InputError(
            source, "a file that may be read", "no permission", "check the rights of the file"
        ) from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else error.__class__.__name__
        raise InputError(
            source,
            f"a readable {path.suffix} file",
            " ".join(reason.split())[:200],
            "write it again",
        ) from None


def _expanded(source: str) -> list[str]:
    """The files of a glob, sorted; anything else as it is."""
    path, inside = _split(source)
    if source == "-" or path.exists() or not glob.has_magic(str(path)):
        return [source]
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  the pattern may be absolute
    if not found:
        raise InputError(source, "files that match", "none", "check the pattern")
    return [f"{name}:{inside}" if inside else name for name in found]


def _split(source: str) -> tuple[Path, str]:
    """FILE and path/inside; a colon belongs to the name of a file that exists with it."""
    if Path(source).exists() or ":" not in source:
        return Path(source), ""
    name, inside = source.rsplit(":", 1)
    return Path(name), inside.strip("/")


def _standard_input() -> Path:
    """Standard input in a temporary file, named after its first bytes; samples are read more than
    once.
    """
    head = sys.stdin.buffer.read(8)
    suffix = next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), None)
    if suffix is None:
        raise InputError(
            "-",
            f"a file as {', '.join(sorted(set(_MAGIC.values())))} on standard input",
            "other bytes" if head else "nothing",
            "pipe a file",
        )
    with tempfile.NamedTemporaryFile(prefix="amplify-", suffix=suffix, delete=False) as file:
        file.write(head)
        while block := sys.stdin.buffer.read(1 << 20):
            file.write(block)
    path = Path(file.name)
    atexit.register(path.unlink, missing_ok=True)
    return path


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
