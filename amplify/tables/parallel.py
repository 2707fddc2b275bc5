"""Work on chunks in threads, results in the order of the chunks: NumPy and the readers let go of
Python's lock.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def in_order(
    function: Callable[..., T], items: Iterable[tuple[Any, ...]], threads: int | None = None
) -> Iterator[T]:
    """function(*item) for each item, while the next items are being read; at most a few at a time
    are in memory.
    """
    count = threads or min(os.cpu_count() or 1, 4)
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(count) as pool:
        for item in items:
            waiting.append(pool.submit(function, *item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
