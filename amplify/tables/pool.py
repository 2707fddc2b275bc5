"""Tables of many files, of which only some are open at a time: a process may have a few hundred
open files, and a sample may have thousands.

A file is open once for each thread that reads it, so that threads read at the same time, each at
its own place; once for all where its table `is_shared`.
"""

import os
import resource
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from threading import RLock, Thread, current_thread
from typing import Any, NamedTuple

from amplify.errors import InputError
from amplify.tables.opening import Opening, current_opening, opening
from amplify.tables.table import Table

_MOST = 64  # open files that nobody reads, where the process may have four times as many
_MOST_KNOWN = 256  # files that a worker keeps in mind between tasks


class _Place(NamedTuple):
    """A file that is open, and the thread that read it last, if any did."""

    table: Table
    thread: Callable[[], Thread | None]

    def is_free(self) -> bool:
        """Whether nobody will go on reading here."""
        thread = self.thread()
        return thread is None or not thread.is_alive()


_idle: OrderedDict[int, _Place] = OrderedDict()  # by number; what was read last comes last
_numbers = count()
_lock = RLock()


def pooled(source: str, path: Path, reader: Callable[..., Table], *given: Any) -> Table:
    """The table of a file that is closed when many others are read, and opened again when it is
    read. It closes with its last reader, too.

    It pickles as the name of the file, with how it was opened, and is opened again where it is
    read.

    Args:
        source: what the user called it.
        path: the file.
        reader: opens it, of (source, path, *given).
        given: what else the reader takes.
    """
    handle = _Reopened(source, path, partial(reader, source), given, current_opening())
    return handle.first()._replace(read=handle.read, close=handle.close)


def open_now() -> int:
    """How many are open and not being read."""
    return len(_idle)


class _Reopened:
    """A file that is open while it is read, and may be closed between."""

    def __init__(
        self,
        source: str,
        path: Path,
        reader: Callable[..., Table],
        given: tuple[Any, ...],
        how: Opening,
        signature: tuple[int, int] | None = None,
    ) -> None:
        self.source, self.path, self.reader, self.given = source, path, reader, given
        self.how = how
        self.signature = _signature(path) if signature is None else signature
        self.keys: list[int] = []  # of its open places
        # no lock, no waiting: the collector may run in any thread, that of a reader included
        weakref.finalize(self, _forget, self.keys).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        path = Path(os.path.abspath(self.path))  # noqa: PTH100  links stay what they are
        return _again, (self.source, path, self.reader, self.given, self.how, self.signature)

    def read(self, start: int, stop: int, names: Sequence[str]) -> list[Any]:
        """Rows of the file, from a place of this thread."""
        table = self._taken()
        try:
            values = table.read(start, stop, names)
        except BaseException:
            table.close()  # who knows at which place it is
            raise
        self._put_back(table, weakref.ref(current_thread()))
        return values

    def first(self) -> Table:
        """The file as it is when it is opened."""
        table = self._opened()
        self._put_back(table, lambda: None)
        return table

    def _taken(self) -> Table:
        """The place where this thread read last, one that nobody reads at any more, or another."""
        with _lock:
            self.keys[:] = [key for key in self.keys if key in _idle]
            mine = [(key, _idle[key]) for key in self.keys]
            me = current_thread()
            if mine and mine[0][1].table.is_shared:
                return mine[0][1].table
            free = [key for key, place in mine if place.thread() is me]
            free += [key for key, place in mine if place.is_free()]
            if free:
                self.keys.remove(free[0])
                return _idle.pop(free[0]).table
        return self._opened()

    def _put_back(self, table: Table, thread: Callable[[], Thread | None]) -> None:
        with _lock:
            if table.is_shared and any(key in _idle for key in self.keys):
                return
            key = next(_numbers)
            self.keys.append(key)
            _idle[key] = _Place(table, thread)
            while len(_idle) > _most():
                _idle.popitem(last=False)[1].table.close()

    def _opened(self) -> Table:
        try:
            signature = _signature(self.path)
        except OSError:
            got, fix = f"no file {self.path}", "keep files where all who read them see them"
            raise InputError(self.source, "the file that was opened", got, fix) from None
        if signature != self.signature:
            raise InputError(
                self.source,
                "a file that stays as it is",
                "another one since it was opened",
                "start again when it is complete",
            )
        with opening(**self.how._asdict()):
            return self.reader(self.path, *self.given)

    def close(self) -> None:
        """Closes it until it is read again."""
        with _lock:
            for place in [_idle.pop(key, None) for key in self.keys]:
                if place is not None:
                    place.table.close()
            self.keys.clear()


_known: OrderedDict[Any, _Reopened] = OrderedDict()  # files of tasks, which come one after another


def _again(
    source: str,
    path: Path,
    reader: Callable[..., Table],
    given: tuple[Any, ...],
    how: Opening,
    signature: tuple[int, int],
) -> _Reopened:
    """The file of a task, which stays open for the next one."""
    key = (source, path, given, how, signature)
    with _lock:
        if key not in _known:
            _known[key] = _Reopened(source, path, reader, given, how, signature)
        _known.move_to_end(key)
        while len(_known) > _MOST_KNOWN:
            _known.popitem(last=False)
        return _known[key]


def _forget(keys: list[int]) -> None:
    for key in keys:
        _idle.pop(key, None)


def _signature(path: Path) -> tuple[int, int]:
    """What changes when a file is written."""
    said = path.stat()
    return said.st_size, said.st_mtime_ns


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(min(_MOST, soft // 4), 1) if soft > 0 else _MOST
