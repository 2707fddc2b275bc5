"""Work on chunks in threads, results in the order of the chunks: NumPy and the readers let go of
Python's lock.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from amplify.devices import usable_cores

T = TypeVar("T")


class Stop(Event):
    """What long work looks at between its steps: whether anybody still waits for it."""


def in_order(
    function: Callable[..., T],
    items: Iterable[tuple[Any, ...]],
    threads: int | None = None,
    halt: Stop | None = None,
) -> Generator[T, None, None]:
    """function(*item) for each item, while the next items are being read; at most a few at a time
    are in memory.

    Args:
        function: of an item.
        items: taken as they are needed, in the thread that asks for results.
        threads: how many.
        halt: is set where nobody waits for the rest: of an error, or of a stop.
    """
    count = threads or min(usable_cores(), 4)
    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(count)
    try:
        for item in items:
            waiting.append(pool.submit(function, *item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if halt is not None:
            halt.set()
        pool.shutdown(cancel_futures=True)
