"""Worker processes: start, look, kill with all their children, and say how they ended."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from amplify.external.job import log_file
from amplify.text import one_line

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# As `python -m amplify.external.worker`, but a worker also finds the package where only this
# process knew the way to it, such as a notebook beside the checkout. The way comes last on the
# path: nothing is found there that the user's environment has.
_PACKAGES = str(Path(__file__).parents[2])
_PROGRAM = (
    "import os, sys; packages, *arguments = sys.argv[1:];"
    " sys.path = [*(entry or os.getcwd() for entry in sys.path), packages];"
    " from amplify.external.worker import main; sys.exit(main(arguments))"
)


class Process(NamedTuple):
    """A worker and when it was started (monotonic seconds)."""

    popen: subprocess.Popen
    started: float


def start(directory: Path, member: int, lifeline: int, workers: int) -> Process:
    """Starts a worker, the leader of a process group of its own so that its children can be killed
    with it.

    Args:
        directory: of the job.
        member: which to train.
        lifeline: reading end of a pipe. When its other end closes the worker kills itself.
        workers: how many there are at a time, to share the cores with.
    """
    threads = max(1, _cores() // workers)
    ours = {name: str(threads) for name in _THREADS}
    ours["PYTHONUNBUFFERED"] = "1"  # else a crash takes the last words along
    if workers > 1:
        ours["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # else the first JAX process takes the GPU
    arguments = [str(directory), str(member), str(lifeline)]
    command = [sys.executable, "-c", _PROGRAM, _PACKAGES, *arguments]
    with open(log_file(directory, member), "wb") as log:
        popen = subprocess.Popen(  # noqa: S603  our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ours | dict(os.environ),
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    return Process(popen, time.monotonic())


def ended(process: Process) -> bool:
    """Whether it is over, well or not."""
    return process.popen.poll() is not None


def kill(process: Process) -> None:
    """Ends it and its children, whether it has ended or not."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, signal.SIGKILL)
    process.popen.wait()


def last_words(process: Process, log: Path) -> str:
    """How a process ended that left no word of its own, and the end of what it printed."""
    code = process.popen.returncode
    if code < 0:
        name = signal.Signals(-code).name
        guess = ", perhaps for want of memory" if name == "SIGKILL" else ""
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
