"""Progress on standard error, silent when nobody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A bar that understands the progress callbacks of `fit_ensemble` and `member_integrals`."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._task = (
            progress,
            progress.add_task(label, total=None, note="compiling"),
        )

    def losses(self, step: int, steps: int, losses: np.ndarray) -> None:
        """Of a training: the mean loss of all members, and of the worst one."""
        self._progress.update(
            self._task,
            completed=step,
            total=steps,
            note=f"loss {np.mean(losses):.3f}, worst {np.max(losses):.3f}",
        )

    def count(self, done: int, total: int | None = None, note: str = "") -> None:
        """Of anything countable."""
        self._progress.update(self._task, completed=done, total=total, note=note)

    def advance(self, done: int) -> None:
        """Of anything countable that comes in parts."""
        self._progress.update(self._task, advance=done)


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Bar]:
    """A bar on standard error while the block runs; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        bar = Bar(progress, label)
        if total is not None:
            bar.count(0, total)
        yield bar
