"""Progress of long work, for whoever watches: a bar on standard error, or nothing.

Functions that take long have a parameter `progress`, called with a label and a total: `silent` by
default, `progress_bar` for a terminal.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np


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


class Bar(Silent):
    """A bar of the package rich."""

    def __init__(self, bars: Any, label: str) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=None, note="compiling")

    def losses(
        self, step: int, steps: int, losses: np.ndarray, acceptance: np.ndarray | None = None
    ) -> None:
        """The mean loss of all members, and of the worst one."""
        note = f"loss {np.mean(losses):.3f}, worst {np.max(losses):.3f}"
        if acceptance is not None:
            note += f", {np.mean(acceptance):.1%} pass, least {np.min(acceptance):.1%}"
        self._bars.update(self._task, completed=step, total=steps, note=note)

    def count(self, done: int, total: int | None = None, note: str = "") -> None:
        """The bar as far as this."""
        self._bars.update(self._task, completed=done, total=total, note=note)

    def advance(self, done: int) -> None:
        """The bar farther by this."""
        self._bars.update(self._task, advance=done)


@contextmanager
def silent(label: str, total: int | None = None) -> Iterator[Silent]:
    """Nobody watches."""
    yield Silent()


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Silent]:
    """A bar on standard error while the block runs; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[note]}"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bars:
        bar = Bar(bars, label)
        if total is not None:
            bar.count(0, total)
        yield bar
