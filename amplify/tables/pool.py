"""Tables of many files, of which only some are open at a time: a process may have a few hundred
open files, and a sample may have thousands.
"""

import resource
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from amplify.errors import InputError
from amplify.tables.opening import current_opening, opening
from amplify.tables.table import Table

_MOST = 64  # open files, where the process may have four times as many
_open: OrderedDict[int, Table] = OrderedDict()  # by id of the handle; what was read last comes last
_lock = RLock()


def pooled(source: str, path: Path, open_it: Callable[[], Table]) -> Table:
    """The table of a file that is closed when many others are read, and opened again when it is
    read. It closes with its last reader, too.

    Args:
        source: what the user called it.
        path: the file.
        open_it: opens it.
    """
    handle = _Reopened(source, path, open_it)
    # no lock, no waiting: the collector may run in any thread, that of a reader included
    weakref.finalize(handle, _open.pop, id(handle), None).atexit = False
    return handle.table()._replace(read=handle.read, close=handle.close)


def open_now() -> int:
    """How many are open."""
    return len(_open)


class _Reopened:
    """A file that is open while it is read, and may be closed between."""

    def __init__(self, source: str, path: Path, open_it: Callable[[], Table]) -> None:
        self.source, self.path, self.open_it = source, path, open_it
        self.opening = current_opening()
        self.signature = _signature(path)

    def read(self, start: int, stop: int, names: Sequence[str]) -> list[Any]:
        with _lock:
            return self.table().read(start, stop, names)

    def table(self) -> Table:
        """The open file."""
        with _lock:
            if id(self) not in _open:
                _open[id(self)] = self._opened()
            _open.move_to_end(id(self))
            while len(_open) > _most():
                _close(next(iter(_open)))
            return _open[id(self)]

    def _opened(self) -> Table:
        if _signature(self.path) != self.signature:
            raise InputError(
                self.source,
                "a file that stays as it is",
                "another one since it was opened",
                "start again when it is complete",
            )
        with opening(**self.opening._asdict()):
            return self.open_it()

    def close(self) -> None:
        """Closes it until it is read again."""
        _close(id(self))


def _close(handle: int) -> None:
    with _lock:
        table = _open.pop(handle, None)
        if table is not None:
            table.close()


def _signature(path: Path) -> tuple[int, int]:
    """What changes when a file is written."""
    said = path.stat()
    return said.st_size, said.st_mtime_ns


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(min(_MOST, soft // 4), 1) if soft > 0 else _MOST
