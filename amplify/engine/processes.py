"""Processes of this machine, one thread each, as an engine."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from amplify.devices import usable_cores
from amplify.engine import Engine
from amplify.errors import InputError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def processes(count: int | None = None) -> Iterator[Engine]:
    """So many processes, one per core by default; they end with the block, or with this process.

    They are spawned, as forked ones would inherit the threads of JAX; functions are pickled, so
    they belong to modules or are a `functools.partial` of such.

    Raises:
        InputError: one of them was killed.
    """
    workers = usable_cores() if count is None else count
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    with _one_thread_each():
        try:
            yield Engine(f"{workers} processes", workers, partial(_in_order, pool, 2 * workers))
        except BrokenProcessPool:
            expected, got = "processes that finish", "one that was killed"
            fix = "start it again: what is finished is kept"
            raise InputError("tasks", expected, got, fix) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor,
    ahead: int,
    function: Callable[..., Any],
    items: Iterable[tuple[Any, ...]],
) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(function, *item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started in the block have one thread, unless the environment has a wish of
    its own: libraries read it when they are loaded.
    """
    ours = {name: "1" for name in _THREADS if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _end_with_parent() -> None:
    """A killed parent cannot say so, and a worker would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
