"""Seconds of a call, of the wall clock and of the processor."""

import time
from collections.abc import Callable
from typing import Any


def wall_seconds(run: Callable[[], Any]) -> float:
    """Until it returns."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Of all threads of this process."""
    started = time.process_time()
    run()
    return time.process_time() - started
