"""One run at a time writes to a place. The lock is the kernel's, on a small file in that place: it
ends with the process, however that ends, so that no lock is ever stale.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from amplify.errors import InputError

NAME = ".amplify.lock"
_PATIENCE = 5.0  # seconds until a directory stays that others make and remove


class LockedError(InputError):
    """Another run writes there."""


@contextmanager
def directory_lock(directory: Path, what: str = "--out") -> Iterator[None]:
    """Holds a directory for this run; made where it is missing, and removed again where nothing was
    written into it.

    Args:
        directory: what to hold.
        what: the option that named it.

    Raises:
        LockedError: another run has it, with the process and the host of that run.
        OSError: it cannot be made.
    """
    with _lock(directory / NAME, f"{what} {directory}"):
        yield


@contextmanager
def file_lock(path: Path, what: str = "--out") -> Iterator[None]:
    """The same for a file that will be written."""
    with _lock(path.with_name(f".{path.name}{NAME}"), f"{what} {path}"):
        yield


@contextmanager
def _lock(path: Path, what: str) -> Iterator[None]:
    made = [place for place in path.parents if not place.exists()]
    place = _held(path, what)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(place)
        for directory in made:  # the innermost comes first
            with suppress(OSError):
                directory.rmdir()


def _held(path: Path, what: str) -> int:
    """The lock file, open, ours, and under its name."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except (FileNotFoundError, FileExistsError):
            # The run that made the directory has just removed it, perhaps between the two looks of
            # `mkdir`, which then takes what stood there for a file.
            if path.parent.is_file() or time.monotonic() > end:  # no file can be made here
                raise
            time.sleep(0.001)
            continue
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(place, 200).decode(errors="replace")
            os.close(place)
            raise _locked(what, holder) from None
        except OSError:
            pass  # a file system without locks: as it was before there were any
        if _is_at(place, path):
            os.ftruncate(place, 0)
            os.write(place, _holder().encode())
            return place
        os.close(place)  # of a run that has just ended


def _is_at(place: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(place), path.stat())
    except FileNotFoundError:
        return False


def _holder() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"


def _locked(what: str, holder: str) -> LockedError:
    words = " ".join(holder.split()) or "a process that has just started"
    expected, fix = "a place that no other run writes to", "wait for it, or choose another place"
    return LockedError(what, expected, f"one that is held by {words}", fix)
