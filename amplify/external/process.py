"""Worker processes: start, look, kill with all their children, and say how they ended."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from amplify.external.job import log_file
from amplify.text import one_line

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

MARK = "AMPLIFY_WORKER"  # in the environment of a worker and of everything that it starts
OUT_OF_SPACE = 74  # exit code of a worker that could not even write what went wrong
_LOG = 4 << 20  # bytes, and the quarter of it that stays when there are more

# As `python -m amplify.external.worker`, but a worker also finds the package where only this
# process knew the way to it, such as a notebook beside the checkout. The way comes last on the
# path: nothing is found there that the user's environment has. With -P the working directory is
# not on it until the user's module is loaded, and then after the standard library: a numbers.py
# there harms nothing.
_PACKAGES = str(Path(__file__).parents[2])
_PROGRAM = (
    "import os, sys; packages, *arguments = sys.argv[1:];"
    " sys.path = [*(entry or os.getcwd() for entry in sys.path), packages];"
    " from amplify.external.worker import main; sys.exit(main(arguments))"
)


class Process(NamedTuple):
    """A worker, when it was started (monotonic seconds), and the mark that its children carry."""

    popen: subprocess.Popen
    started: float
    mark: str


def start(
    directory: Path,
    member: int,
    lifeline: int,
    workers: int,
    wishes: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Process:
    """Starts a worker, the leader of a process group of its own so that its children can be killed
    with it.

    Args:
        directory: of the job.
        member: which to train.
        lifeline: reading end of a pipe. When its other end closes the worker kills itself.
        workers: how many there are at a time, to share the cores with.
        wishes: environment that goes before that of this process.
        home: its working directory; default that of this process.
    """
    threads = max(1, _cores() // workers)
    ours = {name: str(threads) for name in THREADS}
    ours["PYTHONUNBUFFERED"] = "1"  # else a crash takes the last words along
    if workers > 1:
        ours["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # else the first JAX process takes the GPU
    arguments = [str(directory), str(member), str(lifeline)]
    command = [sys.executable, "-P", "-c", _PROGRAM, _PACKAGES, *arguments]
    mark = f"{os.getpid()}-{secrets.token_hex(8)}"
    path = log_file(directory, member)
    path.unlink(missing_ok=True)
    with open(path, "ab") as log:  # to go on at its end when it was made shorter
        popen = subprocess.Popen(  # noqa: S603  our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ours | dict(os.environ) | dict(wishes or {}) | {MARK: mark},
            cwd=home,
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    return Process(popen, time.monotonic(), mark)


def ended(process: Process) -> bool:
    """Whether it is over, well or not."""
    return process.popen.poll() is not None


def wake(process: Process) -> bool:
    """Lets a process go on that was stopped; whether it had to."""
    if not hasattr(os, "waitid"):  # macOS, with an older Python
        return False
    try:
        stopped = os.waitid(os.P_PID, process.popen.pid, os.WSTOPPED | os.WNOHANG)
    except ChildProcessError:
        return False
    if stopped is None:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, signal.SIGCONT)
    return True


def kill(process: Process) -> None:
    """Ends it and its children, whether it has ended or not."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, signal.SIGKILL)
    process.popen.wait()
    kill_marked(process.mark)


def kill_marked(mark: str) -> None:
    """Ends what carries the mark of a worker, but for this process: children that left its group.
    They are found on Linux only.
    """
    entry = f"{MARK}={mark}".encode()
    for pid in _processes() if mark else ():
        with suppress(OSError, ValueError):
            if entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)


def _processes() -> Iterator[int]:
    """Other processes."""
    with suppress(OSError):
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != os.getpid():
                yield int(path.name)


def shorten(log: Path) -> None:
    """Keeps the end of a log that has grown too long; what is written meanwhile may be lost."""
    with suppress(OSError):
        size = log.stat().st_size
        if size <= _LOG:
            return
        with open(log, "r+b") as file:
            file.seek(-(_LOG // 4), os.SEEK_END)
            end = file.read()
            file.seek(0)
            file.truncate()
            file.write(f"... the first {(size - len(end)) >> 20} MiB were left out\n".encode())
            file.write(end)


_GUESSES = {
    "SIGKILL": ", perhaps for want of memory",
    "SIGBUS": ", as where a file is cut short while it is read, or a disk is full",
}


def last_words(process: Process, log: Path) -> str:
    """How a process ended that left no word of its own, and the end of what it printed."""
    code = process.popen.returncode
    if code < 0:
        name = signal.Signals(-code).name
        guess = _GUESSES.get(name, "")
        how = f"was killed by {name}{guess}"
    else:
        how = f"ended with exit code {code}"
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        text = file.read().decode(errors="replace")
    lines = [line for line in text.splitlines() if any(map(str.isalnum, line))]
    printed = one_line(" / ".join(lines[-2:]), 200)
    return f"{how}, printing last: {printed}" if printed else f"{how}, printing nothing"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
