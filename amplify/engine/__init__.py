"""Where tasks run: here, one after the other, or on the workers of a cluster.

A task is a pure function of its arguments, and results come in the order of the tasks: whoever adds
them up gets the same bits from every engine. The engine is a setting of the block, `with
using(engine): ...`, not of each call.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Engine(NamedTuple):
    """Workers for tasks.

    Attributes:
        name: for people.
        workers: tasks that run at a time.
        in_order: (function, items) -> function(*item) of each item, in the order of the items; a
            few more tasks than workers are under way, and items are taken as they are needed.
            Function, items and results go to other machines: functions of modules, closures over
            arrays and numbers, and files by their names.
        remote: tasks run in other processes, which see the files of this one under the same names.
    """

    name: str
    workers: int
    in_order: Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
    remote: bool = False


def here() -> Engine:
    """One task after the other, in this thread."""
    return Engine("this process", 1, lambda function, items: (function(*item) for item in items))


_current: ContextVar[Engine | None] = ContextVar("engine", default=None)


def current_engine() -> Engine:
    """The engine of the block."""
    return _current.get() or here()


@contextmanager
def using(engine: Engine) -> Iterator[Engine]:
    """Tasks that are given out in the block run there."""
    token = _current.set(engine)
    try:
        yield engine
    finally:
        _current.reset(token)


def unwanted() -> bool:
    """Whether nobody waits any more for the task that asks: long ones ask now and then, and end."""
    if "distributed" not in sys.modules:  # this is no worker
        return False
    from amplify.engine import tasks

    return tasks.unwanted()
