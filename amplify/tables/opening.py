"""How files are opened: whether those that a file points to are read as well, and how much a small
file may claim to hold.

A setting of the block that opens files, `with opening(follow_links=True): ...`, not of each call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from amplify.errors import InputError

MAX_GB = 2.0
_TIMES_SMALLER = 100  # than its numbers is a file that is looked at twice


class Opening(NamedTuple):
    """Settings of opened files.

    Attributes:
        follow_links: read files that an HDF5 file points to.
        max_gb: numbers in GB that a file may claim which is a hundred times smaller itself.
    """

    follow_links: bool = False
    max_gb: float = MAX_GB


_current: ContextVar[Opening | None] = ContextVar("opening", default=None)


def current_opening() -> Opening:
    """The settings of the block."""
    return _current.get() or Opening()


@contextmanager
def opening(*, follow_links: bool = False, max_gb: float = MAX_GB) -> Iterator[None]:
    """Files that are opened in the block are opened so.

    Raises:
        InputError: a limit that is none.
    """
    if not max_gb > 0:
        raise InputError("--max-gb", "more than 0", f"{max_gb:g}", f"{MAX_GB:g} is usual")
    token = _current.set(Opening(follow_links, max_gb))
    try:
        yield
    finally:
        _current.reset(token)


def refuse_too_much(source: str, path: Path, rows: int, columns: int, size: float) -> None:
    """Refuses a file that claims far more numbers than it has bytes: reading what is compressed so
    well, or not there at all, would take hours.

    Args:
        source: what the user called it.
        path: the file.
        rows: that it claims.
        columns: that it claims.
        size: bytes of all numbers.

    Raises:
        InputError: rows and columns, and how to read it all the same.
    """
    on_disk, limit = path.stat().st_size, current_opening().max_gb
    if size <= limit * 1e9 or size <= _TIMES_SMALLER * on_disk:
        return
    raise InputError(
        source,
        f"at most {limit:g} GB of numbers from a file of {_bytes(on_disk)}",
        f"{rows:,} rows of {columns:,} columns, {_bytes(size)}",
        f"if that is what it holds, give --max-gb {_rounded(size / 1e9)}",
    )


def _bytes(size: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} bytes"


def _rounded(size: float) -> int:
    """A whole number that is not smaller."""
    return int(size) + 1
