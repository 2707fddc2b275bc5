"""Speed of the sliced Wasserstein distance beside POT in one run: `python -m
experiments.benchmarks.sliced`, with POT (the package `ot`) installed; without it our times alone.
Then permutations of each statistic of columns, slices and distances of events.

Both project on the same hundred directions, and their numbers are compared. POT keeps everything in
memory: 1e6 events twice and hundred directions are more than 22 GB, so it gets ten of them at a
time. Measure on an idle machine.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from amplify.estimators.statistics import STATISTICS, pooled
from amplify.estimators.statistics.slices import directions, sliced_wasserstein
from experiments import study

_BLOCKS = 10  # of directions, for POT
_PERMUTED = (
    "mean_ks max_ks sliced_ks mean_wasserstein sliced_wasserstein energy separation chi_squared"
)


def main(
    events: int = 1_000_000,
    others: int = 1_000_000,
    dim: int = 20,
    repetitions: int = 1,
    permutations: int = 1000,
    permuted: int = 10_000,
    out: Path | None = None,
) -> None:
    """Prints seconds, wall and CPU, and ratios.

    Args:
        events: of one sample.
        others: events of the other one.
        dim: columns.
        repetitions: of both libraries; the best counts.
        permutations: of each statistic; 0 leaves them out.
        permuted: events of each sample, in five columns.
        out: JSON file for the numbers.
    """
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "command": "python -m experiments.benchmarks.sliced",
    }
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.01, 1, (events, dim)), rng.normal(0, 1, (others, dim))
    result |= _side_by_side(x, y, repetitions)
    if permutations:
        result |= _permutations(permuted, permutations)
    for name, value in result.items():
        print(f"{name:48s} {value:12.5g}" if isinstance(value, float) else f"{name:48s} {value}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _side_by_side(x: np.ndarray, y: np.ndarray, repetitions: int) -> dict[str, Any]:
    """Times of both, and by how much their numbers differ."""
    ns = len(x) * len(y) / (len(x) + len(y))
    factor = np.sqrt(ns / x.shape[1])
    runs: dict[str, Callable[[], float]] = {"amplify": lambda: sliced_wasserstein(x, y) / factor}
    v = directions(x.shape[1]).T
    blocks = np.split(v, _BLOCKS, axis=1)
    try:
        import ot
    except ImportError:
        print("POT is not installed: our times alone")
    else:
        runs["POT"] = lambda: np.mean(
            [ot.sliced_wasserstein_distance(x, y, projections=part, p=1) for part in blocks]
        )
    result: dict[str, Any] = {}
    found = {}
    for _ in range(repetitions):
        for name, run in runs.items():
            found[name], wall, cpu = _timed(run)
            for clock, spent in (("wall", wall), ("CPU", cpu)):
                key = f"{name}, s {clock}"
                result[key] = min(result.get(key, np.inf), spent)
                print(f"{key}: {spent:.3f}", flush=True)
    if "POT" in runs:
        for clock in ("wall", "CPU"):
            theirs, ours = (result[f"{name}, s {clock}"] for name in ("POT", "amplify"))
            result[f"POT / amplify, {clock}"] = theirs / ours
        result["relative difference"] = abs(found["amplify"] / found["POT"] - 1)
    return result


def _permutations(events: int, permutations: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    pool = pooled(rng.normal(size=(events, 5)), rng.normal(size=(events, 5)))
    differences = np.stack([rng.permutation(pool.difference) for _ in range(permutations)])
    result = {}
    for name in _PERMUTED.split():
        _, wall, cpu = _timed(lambda n=name: STATISTICS[n].prepare(pool, 0)(differences))
        result[f"{permutations} permutations of {name}, s wall"] = wall
        result[f"{permutations} permutations of {name}, s CPU"] = cpu
    return result


def _timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, wall and CPU seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    return found, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    study.run(main)
