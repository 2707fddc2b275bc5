"""What ends a run from outside, as errors of one line: signals, full disks, files that are cut
short while they are read.
"""

import ctypes
import errno
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ENDING = ("SIGTERM", "SIGHUP", "SIGINT")
_FINALIZERS = {"__del__", "_xla_gc_callback"}  # the second is JAX's, at garbage collections
_LATER = 0.05  # seconds
_FULL = {errno.ENOSPC: "a full disk", errno.EDQUOT: "a quota that is used up"}
_BUS = (
    b"error: memory: expected files and memory that stay while they are used, got SIGBUS;"
    b" a file was cut short while it was read, or a disk is full or broken: start again\n"
)


class StoppedError(KeyboardInterrupt):
    """A signal asked the run to end. It ends as after Ctrl-C: workers are stopped, temporary files
    are removed.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """In this block SIGTERM and SIGHUP raise `StoppedError`, and SIGINT `KeyboardInterrupt`, unless
    they are ignored or somebody else's; a bus error is said in one line before it ends the process
    with exit code 2.

    Signals are for the main thread; in others nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = (signal.SIG_DFL, signal.default_int_handler)
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    ours = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in usual}
    for number in ours:
        signal.signal(number, _stop)
    before = _on_bus_error(_BUS_HANDLER)
    try:
        yield
    finally:
        _on_bus_error(before)
        for number, handler in ours.items():
            signal.signal(number, handler)


def said(error: OSError) -> str:
    """What the operating system refused: what, expected, got, and what to do.

    >>> said(OSError(28, "No space left on device", "run/results.json"))
    'run/results.json: expected space to write, got a full disk; make room and start again'
    """
    where, number = error.filename or "file system", _number(error)
    if number in _FULL:
        return f"{where}: expected space to write, got {_FULL[number]}; make room and start again"
    fix = "check the path, the rights and the space"
    return f"{where}: expected to read or write, got '{error.strerror or error}'; {fix}"


def is_full(error: OSError) -> bool:
    """Whether there was no space left."""
    return _number(error) in _FULL


def _number(error: OSError) -> int:
    inner = re.search(r"errno = (\d+)", str(error))  # HDF5 hides it in its words
    return error.errno or (int(inner[1]) if inner else 0)


def interrupted(error: KeyboardInterrupt) -> tuple[str, int]:
    """What to say of it, and the exit code."""
    stop = isinstance(error, StoppedError)
    got = f"{error} from outside" if stop else "an interruption"
    code = error.exit_code if isinstance(error, StoppedError) else 130
    return f"run: expected to finish, got {got}; start it again", code


def _stop(number: int, frame: Any) -> None:
    """Raises, but not where it would be lost: Python drops what finalizers raise."""
    if _is_lost(frame):
        threading.Timer(_LATER, os.kill, (os.getpid(), number)).start()
        return
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_IGN)  # once is enough: what follows is putting things away
    raise StoppedError(number)


def _is_lost(frame: Any) -> bool:
    """Whether an exception raised in this frame reaches nobody."""
    while frame is not None:
        if frame.f_code.co_name in _FINALIZERS:
            return True
        frame = frame.f_back
    return False


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _BUS_HANDLER(number: int) -> None:
    """In C's own handler: one of Python would wait for the instruction that can never end."""
    os.write(2, _BUS)
    os._exit(2)


def _on_bus_error(handler: Any) -> Any:
    """Sets what is done, and returns what was done before."""
    try:
        install = ctypes.CDLL(None).signal
    except (OSError, AttributeError):
        return None
    install.restype, install.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    return install(signal.SIGBUS, handler)
