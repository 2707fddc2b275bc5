"""Progress of long work, for whoever watches: a bar on a terminal, a line now and then in a log,
or nothing.

Functions that take long have a parameter `progress`, called with a label and a total: `silent` by
default, `progress_bar` for commands.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from amplify.distributed import is_first
from amplify.text import harmless, number, span

_FIRST = 10.0  # seconds before the first line; each waits twice as long as the one before
_LONGEST = 600.0  # seconds between lines at most


class Silent:
    """Hears how far something is, and says nothing."""

    def losses(
        self, step: int, steps: int, losses: np.ndarray, acceptance: np.ndarray | None = None
    ) -> None:
        """Of a training: the loss of every member after some steps, and of truncated generators the
        share of candidates that pass.
        """

    def count(self, done: int, total: int | None = None, note: str = "") -> None:
        """Of anything countable."""

    def advance(self, done: int) -> None:
        """Of anything countable that comes in parts."""


Progress = Callable[..., AbstractContextManager[Silent]]

_beside: ContextVar[Callable[[], str]] = ContextVar("beside", default=str)


@contextmanager
def beside(words: Callable[[], str]) -> Iterator[None]:
    """Bars and lines that start in the block also say this, asked anew each time: such as how the
    workers of a cluster are.
    """
    token = _beside.set(words)
    try:
        yield
    finally:
        _beside.reset(token)


class Bar(Silent):
    """A bar of the package rich."""

    def __init__(self, bars: Any, label: str) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=None, note="compiling")

    def losses(
        self, step: int, steps: int, losses: np.ndarray, acceptance: np.ndarray | None = None
    ) -> None:
        """The mean loss of all members, and of the worst one."""
        self.count(step, steps, _said_of_losses(losses, acceptance))

    def count(self, done: int, total: int | None = None, note: str = "") -> None:
        """The bar as far as this."""
        self._bars.update(self._task, completed=done, total=total, note=harmless(note))

    def advance(self, done: int) -> None:
        """The bar farther by this."""
        self._bars.update(self._task, advance=done)


class Lines(Silent):
    """A line on standard error after ten seconds, and then ever more rarely: for logs."""

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label, self._total, self._done, self._note = label, total, 0, ""
        self._start = time.monotonic()
        self._wait = _FIRST
        self._next = self._start + _FIRST
        self._beside = _beside.get()

    def losses(
        self, step: int, steps: int, losses: np.ndarray, acceptance: np.ndarray | None = None
    ) -> None:
        """The mean loss of all members, and of the worst one."""
        self.count(step, steps, _said_of_losses(losses, acceptance))

    def count(self, done: int, total: int | None = None, note: str = "") -> None:
        """As far as this."""
        self._done, self._note = done, note
        self._total = self._total if total is None else total
        self._say_if_time()

    def advance(self, done: int) -> None:
        """Farther by this."""
        self._done += done
        self._say_if_time()

    def finish(self) -> None:
        """The last line, where there was a first."""
        if self._wait > _FIRST:
            _say(f"{self._label}: done after {span(time.monotonic() - self._start)}")

    def _say_if_time(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._wait = min(2 * self._wait, _LONGEST)
        self._next = now + self._wait
        passed, done = now - self._start, self._done
        far = number(done)
        if self._total:
            share = min(done / self._total, 1.0)
            far = f"{far} of {number(self._total)} ({share:.0%})"
            left = f", about {span(passed * (1 / share - 1))} left" if share > 0 else ""
            far += f" after {span(passed)}{left}"
        else:
            far += f" after {span(passed)}"
        _say("; ".join(filter(None, (f"{self._label}: {far}", self._note, self._beside()))))


def _say(line: str) -> None:
    print(harmless(" ".join(line.split())), file=sys.stderr, flush=True)


def _said_of_losses(losses: np.ndarray, acceptance: np.ndarray | None) -> str:
    note = f"loss {np.mean(losses):.3f}, worst {np.max(losses):.3f}"
    if acceptance is not None:
        note += f", {np.mean(acceptance):.1%} pass, least {np.min(acceptance):.1%}"
    return note


@contextmanager
def silent(label: str, total: int | None = None) -> Iterator[Silent]:
    """Nobody watches."""
    yield Silent()


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Silent]:
    """A bar on standard error while the block runs; plain lines, and few of them, where standard
    error is no terminal; of several processes the first says it.
    """
    if not is_first():
        yield Silent()
        return
    if not sys.stderr.isatty():
        lines = Lines(label, total)
        yield lines
        lines.finish()
        return
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    words = _beside.get()

    class Beside(progress.ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(harmless(words()))

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[note]}", markup=False),
        Beside(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bars:
        bar = Bar(bars, harmless(label))
        if total is not None:
            bar.count(0, total)
        yield bar
