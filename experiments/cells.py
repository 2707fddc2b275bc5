"""Cells of a study: computed by the engine of the block, here one after the other or as tasks of a
cluster, and each stored by this process when it comes.

A cell is a pure function of its arguments, which draws from seeds of its own: its arrays do not
depend on where it was computed, nor on what was computed before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from amplify.distributed import agreed
from amplify.engine import current_engine, using
from amplify.engine.processes import processes
from amplify.progress import progress_bar
from amplify.sealed import load_arrays
from experiments import study

Arrays = dict[str, np.ndarray]


def cached(parts: Sequence[tuple[Path, Callable[[], Arrays]]]) -> Iterator[Arrays]:
    """`study.cached` of several parts: those that are missing, or damaged, are tasks, once each."""
    missing = {path: (compute,) for path, compute in parts if not _is_there(path)}
    computed = current_engine().in_order(_called, missing.values())
    for path, _ in parts:
        yield study.cached(path, lambda: next(computed))


def repetitions(
    experiment: Callable[[int], Any], number: int, label: str, at_once: int = 25
) -> list[Any]:
    """What experiment(0), experiment(1), ... gave, `at_once` of them a task."""
    blocks = [(start, min(start + at_once, number)) for start in range(0, number, at_once)]
    found: list[Any] = []
    with progress_bar(label, total=number) as bar:
        for rows in current_engine().in_order(partial(_several, experiment), blocks):
            found += rows
            bar.count(len(found), number)
    return found


@contextmanager
def on_all_cores() -> Iterator[None]:
    """Tasks of the block run in a process per core, unless they have an engine already."""
    engine = current_engine()
    if engine.remote or engine.workers > 1:
        yield
        return
    with processes() as engine, using(engine):
        yield


def _is_there(path: Path) -> bool:
    """As the first of several processes sees it, which writes meanwhile."""
    return agreed(load_arrays(path) is not None)


def _called(compute: Callable[[], Arrays]) -> Arrays:
    return compute()


def _several(experiment: Callable[[int], Any], start: int, stop: int) -> list[Any]:
    return [experiment(number) for number in range(start, stop)]
