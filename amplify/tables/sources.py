"""What a user names, opened as tables: FILE, FILE:path/inside (an array of an .npz, a data set or
group of HDF5, a tree of ROOT), a glob of them, a folder, @LIST.txt with such names, or - for
standard input; all but the last may have a condition, FILES where CONDITION.

Several sources are one sample, in their order. Nothing in a file is executed.
"""

import atexit
import glob
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from amplify.errors import InputError, MissingExtraError
from amplify.tables.folders import Key, files_in, with_keys
from amplify.tables.formats import MAGIC, READERS
from amplify.tables.formats.unread import HOW_TO
from amplify.tables.joined import joined
from amplify.tables.layout import shown
from amplify.tables.opening import refuse_too_much
from amplify.tables.pool import pooled
from amplify.tables.table import Table
from amplify.tables.where import where

T = TypeVar("T")
_LONGEST_LIST = 1 << 24  # bytes of a list of files


def open_sample(sources: str | Sequence[str]) -> Table:
    """Opens one source or several that are one sample.

    Raises:
        InputError: one line with what was expected, what came and what to do.
    """
    given = [sources] if isinstance(sources, str) else list(sources)
    if not given:
        raise InputError("input", "at least one file", "none", "name a file")
    opened: list[Table] = []
    try:
        samples = [_sample(source, opened) for source in listed_sources(given)]
        refuse_twice(
            [part.source for table in opened for part in table.parts], "files of one sample"
        )
        name = given[0] if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
        # what the files say of their values has done its work
        return joined(name, samples)._replace(bounds=None)
    except BaseException:
        for table in opened:
            table.close()
        raise


def _sample(source: str, opened: list[Table]) -> Table:
    """The events of FILES, or of FILES where CONDITION; `opened` are the tables of its files."""
    files, condition = split_condition(source)
    tables: list[Table] = []
    for path, keys in _expanded(files):
        opened.append(open_table(path))
        table = with_keys(opened[-1], keys)
        tables.append(_sharing(table, tables[0] if tables else opened[0]))
    table = joined(files, tables)
    return where(table, condition, source) if condition else table


def split_condition(source: str) -> tuple[str, str]:
    """FILES and CONDITION; a file may be called so."""
    said = re.fullmatch(r"(.*?\S)\s+where\s+(.*\S)\s*", source, re.DOTALL)
    if said is None or is_there(source):
        return source, ""
    return said[1], said[2]


def listed_sources(sources: Sequence[str]) -> list[str]:
    """The same with each @LIST.txt replaced by the names in that file, one a line, as they would
    stand on the command line; empty lines and those after # are comments.

    Raises:
        InputError: no such list, nothing in it, or a list in a list.
    """
    every: list[str] = []
    for source in sources:
        if not source.startswith("@") or is_there(source):
            every.append(source)
            continue
        names = _names_in(source)
        if not names or any(name.startswith("@") for name in names):
            got = "another list" if names else "none"
            raise InputError(source, "names of files, one a line", got, "write them into it")
        every += names
    return every


def _names_in(source: str) -> list[str]:
    path = Path(source[1:])
    if not path.is_file():
        raise InputError(source, "a list of files", f"no file {path}", "check the path")
    if path.stat().st_size > _LONGEST_LIST or path.suffix.lower() in READERS:
        raise InputError(source, "a text with names of files", "data", "drop the @")
    lines = path.read_text(errors="surrogateescape").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def _sharing(table: Table, first: Table) -> Table:
    """The table with the names of another where they are the same: thousands of files would keep
    them thousands of times.
    """
    if table.columns != first.columns or table.dtypes != first.dtypes:
        return table
    return table._replace(columns=first.columns, dtypes=first.dtypes)


def refuse_twice(sources: Sequence[str], what: str) -> None:
    """Refuses a file, or a place in one, that is named twice: its events would count twice.

    Raises:
        InputError: which is named twice.
    """
    seen: set[Path] = set()
    for source in sources:
        place = Path(source).resolve()
        if source != "-" and place in seen:
            raise InputError(what, "different files", f"{source} named twice", "name it once")
        seen.add(place)


def open_table(source: str) -> Table:
    """Opens FILE or FILE:path/inside.

    Raises:
        InputError: one line with what was expected, what came and what to do.
        MissingExtraError: a format without the packages that read it.
    """
    _refuse_remote(source)
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
    suffix = _suffix(path)
    if suffix not in READERS:
        raise _unread(source, path, suffix)

    table = pooled(source, path, _opened, inside)
    # not the table itself, which would keep what it is made of
    return table._replace(read=partial(_read, source, path, table.read))


def _opened(source: str, path: Path, inside: str) -> Table:
    """The table of a file."""
    reader = READERS[_suffix(path)]
    table = _guarded(source, path, lambda: reader(source, path, inside))
    try:
        refuse_no_events(table)
        size = table.n * float(sum(dtype.itemsize for dtype in table.dtypes))
        refuse_too_much(source, path, table.n, len(table.columns), size)
    except InputError:
        table.close()
        raise
    return table


def _read(
    source: str, path: Path, read: Callable[..., list[Any]], start: int, stop: int, names: Any
) -> list[Any]:
    """Rows of a file, which may turn out to be broken only now."""
    return _guarded(source, path, lambda: read(start, stop, names))


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


def _suffix(path: Path) -> str:
    """How a name ends, with what was done to the file before: .csv.gz, say."""
    last = path.suffix.lower()
    both = "".join(path.suffixes[-2:]).lower()
    return both if last in (".gz", ".bz2", ".xz", ".zst") else last


def _unread(source: str, path: Path, suffix: str) -> InputError:
    """What to do about a file of another format."""
    known = HOW_TO.get(suffix) or HOW_TO.get(f".*{path.suffix.lower()}")
    if known is not None:
        got, fix = known(path)
        return InputError(source, "a format that is read without running anything", got, fix)
    return InputError(source, f"one of {', '.join(READERS)}", f"'{suffix}'", "convert it")


def _refuse_remote(source: str) -> None:
    """Files on other machines are not read."""
    if re.match(r"[A-Za-z][\w+.-]*://", source):
        fix = "copy it to this machine and name the copy"
        raise InputError(source, "a file on this machine", "a remote path", fix)


def _guarded(source: str, path: Path, action: Callable[[], T]) -> T:
    """What a broken file raises as one line; it can be anything, and what it is matters less than
    which file.
    """
    try:
        return action()
    except InputError as error:
        raise InputError(*map(shown, error.args)) from None  # names of a file may be anything
    except MissingExtraError:
        raise
    except PermissionError:
        raise InputError(
            source, "a file that may be read", "no permission", "check the rights of the file"
        ) from None
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else error.__class__.__name__
        reason = shown(" ".join(first_line.split())[:200])
        raise InputError(
            source, f"a readable {path.suffix} file", reason, "write it again"
        ) from None


def _expanded(source: str) -> list[tuple[str, Mapping[str, Key]]]:
    """The files of a glob or a folder, sorted, with what their folders say of them; anything else
    as it is.
    """
    _refuse_remote(source)
    path, inside = _split(source)
    if path.is_dir():
        return [
            (f"{name}:{inside}" if inside else str(name), keys)
            for name, keys in files_in(path, tuple(READERS))
        ]
    if source == "-" or path.exists() or not glob.has_magic(str(path)):
        return [(source, {})]
    names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  the pattern may be absolute
    if not names:
        raise InputError(source, "files that match", "none", "check the pattern")
    return [(f"{name}:{inside}" if inside else name, {}) for name in names]


def is_there(name: str) -> bool:
    """Whether there is such a file; a long condition is no name of one."""
    try:
        return Path(name).exists()
    except OSError:
        return False


def _split(source: str) -> tuple[Path, str]:
    """FILE and path/inside; a colon belongs to the name of a file that exists with it."""
    if is_there(source) or ":" not in source:
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
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)  # also of a run that is stopped meanwhile
        file.write(head)
        while block := sys.stdin.buffer.read(1 << 20):
            file.write(block)
    return path
