"""The process of a member, attended until it is over: looked at, told to go on where it was
stopped, ended when it is late; and why there are no events, where there are none.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from amplify.external.job import clear, is_finished, log_file, outcome
from amplify.external.process import (
    OUT_OF_SPACE,
    Process,
    ended,
    kill,
    last_words,
    shorten,
    start,
    wake,
)

LOOK = 0.05  # seconds between two looks at the processes
_LEAVING = 2.0  # seconds that a process may take to end when its member is there
_STOPS = 5  # times that a process is told to go on when it was stopped


class Failure(NamedTuple):
    """Why a member has no events. `of_all` holds the parts of an error that is no matter of one
    member.
    """

    expected: str
    got: str
    fix: str
    of_all: tuple[str, str, str, str] | None = None


class Attended:
    """A member in a process of its own."""

    def __init__(
        self,
        directory: Path,
        member: int,
        lifeline: int,
        workers: int,
        timeout: float | None,
        wishes: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> None:
        """Starts it; see `process.start`. `timeout` in seconds, from now."""
        clear(directory, member)
        self._directory, self._member, self._timeout = directory, member, timeout
        self._process: Process = start(directory, member, lifeline, workers, wishes, home)
        self._stops = 0  # times that it was stopped
        self._there: float | None = None  # since when its member is there, though it goes on

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._process.started

    def is_over(self) -> bool:
        """Whether it has ended, or has to be."""
        shorten(log_file(self._directory, self._member))
        self._stops += wake(self._process)
        if self._there is None and is_finished(self._directory, self._member):
            self._there = time.monotonic()
        lingers = self._there is not None and time.monotonic() - self._there > _LEAVING
        return self._is_late() or lingers or self._stops > _STOPS or ended(self._process)

    def put_away(self) -> Failure | None:
        """Ends it; why there is no member, if there is none."""
        late = self._is_late()
        kill(self._process)
        # one that finished may have crashed or hung afterwards, on its way out
        if is_finished(self._directory, self._member):
            return None
        failure = self._failure(late=late)
        clear(self._directory, self._member)
        return failure

    def _is_late(self) -> bool:
        return self._timeout is not None and self.seconds > self._timeout

    def _failure(self, *, late: bool) -> Failure:
        if late:
            return Failure(
                "events",
                f"none, it ran longer than --timeout {self._timeout:g} s",
                "give it longer or make the training shorter",
            )
        known = outcome(self._directory, self._member)
        if "error" in known:
            what, expected, got, fix = known["error"]
            of_all = (what, expected, got, fix) if known["of_all"] else None
            return Failure(expected, got, fix, of_all)
        if self._process.popen.returncode == OUT_OF_SPACE:
            expected, got, fix = "space to write", "a full disk", "make room and start again"
            return Failure(expected, got, fix, (str(self._directory), expected, got, fix))
        if self._stops > _STOPS:
            got = f"none, its process was stopped {self._stops} times"
            return Failure("events", got, "let nothing stop it, its own code included")
        words = last_words(self._process, log_file(self._directory, self._member))
        return Failure("events", f"none, its process {words}", "correct the generator")


def members_here(
    directory: Path,
    members: Sequence[int],
    *,
    timeout: float | None,
    workers: int,
    note: Callable[[str], None],
) -> Generator[tuple[int, Failure | None], None, None]:
    """Members as they end, and why those failed that did; `workers` processes at a time."""
    waiting = deque(members)
    running: dict[int, Attended] = {}
    lifeline, other_end = os.pipe()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                member = waiting.popleft()
                running[member] = Attended(directory, member, lifeline, workers, timeout)
            time.sleep(LOOK)
            for member, attended in list(running.items()):
                if attended.is_over():
                    del running[member]
                    yield member, attended.put_away()
            note(", ".join(f"member {m}: {a.seconds:.0f} s" for m, a in running.items()))
    finally:
        for attended in running.values():
            attended.put_away()
        os.close(lifeline)
        os.close(other_end)
