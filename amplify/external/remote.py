"""Members as tasks on the workers of a cluster: each in a process of its own there, attended as
here, with its files in the directory of the run, which every worker sees under the same name.
"""

import os
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from amplify.engine import current_engine, unwanted
from amplify.errors import InputError
from amplify.external.attended import LOOK, Attended, Failure
from amplify.external.job import Job, is_finished, read_job
from amplify.external.process import THREADS

_SETTLES = 30.0  # seconds that a shared file system may take to show what another machine wrote
_APPEARS = 2.0  # the same for the directory, which is older


def members_there(
    directory: Path, job: Job, members: Sequence[int], *, timeout: float | None
) -> Generator[tuple[int, Failure | None], None, None]:
    """Members in their order, and why those failed that did.

    A process there has the threads that this environment says (OMP_NUM_THREADS and its like), else
    those of its worker.

    Raises:
        InputError: a worker does not see the directory, or it is not seen here what one wrote.
    """
    home = Path.cwd()
    wishes = {name: os.environ[name] for name in THREADS if name in os.environ}
    items = ((directory, job, member, home, timeout, wishes) for member in members)
    trained = current_engine().in_order(train_member, items)
    for member, failure in zip(members, trained, strict=True):
        if failure is None:
            _await(directory, member)
        yield member, failure


def train_member(
    directory: Path,
    job: Job,
    member: int,
    home: Path,
    timeout: float | None,
    wishes: Mapping[str, str],
) -> Failure | None:
    """A task: trains the member.

    Args:
        directory: of the job.
        job: which was written there.
        member: its number.
        home: where the command was called; the generator is imported from there, too.
        timeout: in seconds.
        wishes: environment of its process.
    """
    _check_place(directory, job, home)
    lifeline, other_end = os.pipe()
    try:
        attended = Attended(directory, member, lifeline, 1, timeout, wishes, home)
        try:
            while not attended.is_over():
                time.sleep(LOOK)
                if unwanted():
                    break
        finally:
            failure = attended.put_away()
        return failure
    finally:
        os.close(lifeline)
        os.close(other_end)


def _check_place(directory: Path, job: Job, home: Path) -> None:
    """Raises InputError where this machine does not see what the command sees."""
    for path in (directory / "job.json", home):
        if not _appears(path, _APPEARS):
            got = f"nothing there on worker {socket.gethostname()}"
            fix = "start the command, with its --out, on a file system that all machines share"
            raise InputError(str(path), "what the command has there", got, fix)
    if read_job(directory) != job:
        got = f"another run's on worker {socket.gethostname()}"
        fix = "start the command, with its --out, on a file system that all machines share"
        raise InputError(str(directory), "the directory of this run", got, fix)


def _await(directory: Path, member: int) -> None:
    """Waits until the files of a member are seen here, too.

    Raises:
        InputError: they do not appear.
    """
    end = time.monotonic() + _SETTLES
    while not is_finished(directory, member):
        if time.monotonic() > end:
            got, what = f"none within {_SETTLES:.0f} s", f"member {member} in {directory}"
            fix = "start the command, with its --out, on a file system that all machines share"
            raise InputError(what, "the events that a worker wrote", got, fix)
        time.sleep(LOOK)


def _appears(path: Path, seconds: float) -> bool:
    """Whether it is there, at once or after a moment."""
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK)
    return True
