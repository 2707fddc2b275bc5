"""What a user names, opened as tables: FILE, FILE:path/inside (an array of an .npz, a data set or
group of HDF5, a tree of ROOT), a glob of them, or - for standard input.

Several sources are one sample, in their order. Nothing in a file is executed.
"""

import atexit
import glob
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from amplify.errors import InputError, MissingExtraError
from amplify.tables.formats import MAGIC, READERS
from amplify.tables.table import Table, joined

T = TypeVar("T")


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
            tables += [open_table(file) for file in _expanded(source)]
        places = [part.source for table in tables for part in table.parts]
        refuse_twice(places, "files of one sample")
        name = given[0] if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
        return joined(name, tables)
    except BaseException:
        for table in tables:
            table.close()
        raise


def refuse_twice(sources: Sequence[str], what: str) -> None:
    """Refuses a file, or a place in one, that is named twice: its events would count twice.

    Raises:
        InputError: which is named twice.
    """
    on_disk = [source for source in sources if source != "-"]
    places = [Path(source).resolve() for source in on_disk]
    for source, place in zip(on_disk, places, strict=True):
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
        example = f"name the files in it, e.g. '{path / '*.npy'}'"
        raise InputError(source, "a file", "a directory", example)
    if not path.is_file():
        raise InputError(source, "a file", "no such file", "check the path")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(source, f"one of {', '.join(READERS)}", f"'{path.suffix}'", "convert it")
    table = _guarded(source, path, lambda: reader(source, path, inside))
    try:
        refuse_no_events(table)
    except InputError:
        table.close()
        raise
    return table._replace(
        read=lambda start, stop, names: _guarded(
            source, path, lambda: table.read(start, stop, names)
        )
    )


def refuse_no_events(table: Table) -> None:
    """Refuses a sample without rows or without columns.

    Raises:
        InputError: how many rows and columns there are.
    """
    if table.n == 0 or not (table.columns or table.refused):
        raise InputError(
            table.source,
            "at least one event",
            f"{table.n} rows and {len(table.columns)} columns",
            "give a sample with events",
        )


def _guarded(source: str, path: Path, action: Callable[[], T]) -> T:
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
        first_line = str(error).splitlines()[0] if str(error) else error.__class__.__name__
        reason = " ".join(first_line.split())[:200]
        raise InputError(
            source, f"a readable {path.suffix} file", reason, "write it again"
        ) from None


def _expanded(source: str) -> list[str]:
    """The files of a glob, sorted; anything else as it is."""
    path, inside = _split(source)
    if source == "-" or path.exists() or not glob.has_magic(str(path)):
        return [source]
    names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  the pattern may be absolute
    if not names:
        raise InputError(source, "files that match", "none", "check the pattern")
    return [f"{name}:{inside}" if inside else name for name in names]


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
    suffix = next((suffix for magic, suffix in MAGIC.items() if head.startswith(magic)), None)
    if suffix is None:
        known = ", ".join(sorted(set(MAGIC.values())))
        raise InputError(
            "-",
            f"a file as {known} on standard input",
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
