"""Distances along lines: columns, or projections, of pooled events. Each line is sorted once; then
thousands of differences of measures are summed up along all of them.

What is summed up is cut into runs: the first of all runs, the second of all runs, and so on lie
side by side in memory, so that the sum goes over long vectors, in single precision without loss:
no sum is longer than about sqrt(N) terms.
"""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.devices import usable_cores
from amplify.estimators.statistics.protocol import Pooled

_AT_ONCE = 16  # differences side by side: one cache line of float32
SMALL = 5000  # events of a pool whose distances are often equal: double precision


class Line(NamedTuple):
    """The order of events along a line, as [step, run]: the pool is cut into runs of consecutive
    events. What is missing in the last run is event N, which is nobody.

    Attributes:
        order: indices of events.
        tied: where in `order` a value is that the next event has, too.
        gaps: to the next value; 0 after the last.
    """

    order: np.ndarray
    tied: np.ndarray
    gaps: np.ndarray


Reduced = Callable[[np.ndarray, Line], np.ndarray]
AlongLines = Callable[[Float[np.ndarray, "experiment event"]], Float[np.ndarray, "experiment line"]]


def precision(events: int) -> type[np.floating]:
    """Of numbers that are worked with, for a pool of so many events."""
    return np.float64 if events <= SMALL else np.float32


def line(values: Float[np.ndarray, " event"]) -> Line:
    """Sorts the events along one line."""
    n = len(values)
    runs = max(1, round(np.sqrt(n)))
    steps = -(-n // runs)

    def laid_out(a: np.ndarray, missing: float) -> np.ndarray:
        padded = np.full(runs * steps, missing, a.dtype)
        padded[: len(a)] = a
        return np.ascontiguousarray(padded.reshape(runs, steps).T)

    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    tied = np.flatnonzero(laid_out(gaps == 0, False))
    return Line(laid_out(order.astype(np.int32), n), tied, laid_out(gaps.astype(precision(n)), 0.0))


def ks_along(values: Iterable[Float[np.ndarray, " event"]], pool: Pooled) -> AlongLines:
    """Two-sided Kolmogorov-Smirnov distance along each line, evaluated at the last of each group of
    tied values; those of relabelled events without weights tie exactly.
    """
    return _along(values, _largest, _unit(pool))


def wasserstein_along(values: Iterable[Float[np.ndarray, " event"]], pool: Pooled) -> AlongLines:
    """Wasserstein-1 distance along each line, the area between the distribution functions."""
    return _along(values, _area, _unit(pool))


def in_threads(function: Callable[[int], Any], starts: Iterable[int]) -> list[Any]:
    """The results of function(start), in order. NumPy lets other threads work meanwhile."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(function, starts))


def _unit(pool: Pooled) -> float:
    """What makes whole numbers of shares 1 / n and 1 / m, which single precision adds exactly."""
    n, m = (int(s) for s in ((pool.difference > 0).sum(), (pool.difference < 0).sum()))
    equal = np.allclose(np.where(pool.difference > 0, n, -m) * pool.difference, 1.0)
    return float(math.lcm(n, m)) if equal else 1.0


def _along(values: Iterable[np.ndarray], reduced: Reduced, unit: float) -> AlongLines:
    lines = [line(v) for v in values]

    def distances(difference: np.ndarray) -> np.ndarray:
        def some(start: int) -> np.ndarray:
            return _accumulated(difference[start : start + _AT_ONCE] * unit, lines, reduced)

        return np.concatenate(in_threads(some, range(0, len(difference), _AT_ONCE))) / unit

    return distances


def _accumulated(difference: np.ndarray, lines: list[Line], reduced: Reduced) -> np.ndarray:
    """Of a few differences [k, event], along every line: [k, line]."""
    k, n = difference.shape
    events = np.zeros((n + 1, k), precision(n))  # the last one is nobody
    events[:n] = difference.T
    steps, runs = lines[0].order.shape
    sums = np.empty((steps, runs * k), events.dtype)
    found = np.empty((len(lines), k))
    for i, each in enumerate(lines):
        np.take(events, each.order.ravel(), axis=0, out=sums.reshape(-1, k), mode="clip")
        for step in range(1, steps):
            sums[step] += sums[step - 1]
        of_runs = sums[-1].reshape(runs, k).cumsum(axis=0, dtype=np.float64)
        sums[:, k:] += of_runs[:-1].ravel().astype(events.dtype)
        found[i] = reduced(sums, each)
    return found.T


def _largest(sums: np.ndarray, line: Line) -> np.ndarray:
    k = sums.size // line.order.size
    sums.reshape(-1, k)[line.tied] = 0
    high, low = sums.max(axis=0).reshape(-1, k), sums.min(axis=0).reshape(-1, k)
    return np.maximum(high.max(axis=0), -low.min(axis=0))


def _area(sums: np.ndarray, line: Line) -> np.ndarray:
    k = sums.size // line.order.size
    return line.gaps.ravel() @ np.abs(sums, out=sums).reshape(-1, k)
