"""Speed of KS distances, side by side with scipy in one run: `python -m
experiments.benchmarks.kolmogorov`. CPU time of one thread unless it says otherwise.

Two samples of 1e6 float32 values; 1000 null pseudo-experiments of 1e4 events; 1e9 generated values
streamed against a holdout of 1e5 in little memory. Measure on an idle machine.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import ks_2samp

from amplify.estimators.kolmogorov import (
    count_between,
    distance_between,
    ks_distance,
)
from amplify.estimators.pseudo_experiments import null_distances
from experiments import study


def main(
    values: int = 1_000_000,
    null: int = 1000,
    n: int = 10_000,
    streamed: int = 1_000_000_000,
    repetitions: int = 5,
    out: Path | None = None,
) -> None:
    """Prints times and ratios; the best of `repetitions`, which alternate between the two.

    Args:
        values: of each of two samples.
        null: pseudo-experiments.
        n: events of each sample of a pseudo-experiment.
        streamed: generated values; 0 leaves the stream out.
        repetitions: of everything but the stream.
        out: JSON file for the numbers.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=values).astype(np.float32) for _ in range(2))
    on_device = jnp.asarray(x), jnp.asarray(y)
    jitted = jax.jit(ks_distance)
    runs: dict[str, Callable[[], Any]] = {
        "scipy ks_2samp, s": lambda: ks_2samp(x, y, method="asymp").statistic,
        "amplify ks_distance, s": lambda: ks_distance(x, y),
        "amplify ks_distance in jit, s": lambda: float(jitted(*on_device)),
        "scipy null loop, s": lambda: [
            ks_2samp(rng.normal(size=n), rng.normal(size=n), method="asymp").statistic
            for _ in range(null)
        ],
        "amplify null_distances, s": lambda: null_distances(n, n, null),
    }
    found = [run() for run in list(runs.values())[:3]]
    np.testing.assert_allclose(found, found[0], atol=3e-7)
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "command": "python -m experiments.benchmarks.kolmogorov",
    }
    for _ in range(repetitions):
        for name, run in runs.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            for clock, spent in (
                ("CPU", time.process_time() - cpu),
                ("wall", time.perf_counter() - wall),
            ):
                key = f"{name} {clock}"
                result[key] = min(result.get(key, np.inf), spent)
    for clock in ("CPU", "wall"):
        result[f"ratio of two samples, {clock}"] = (
            result[f"scipy ks_2samp, s {clock}"] / result[f"amplify ks_distance, s {clock}"]
        )
        result[f"ratio of two samples in jit, {clock}"] = (
            result[f"scipy ks_2samp, s {clock}"] / result[f"amplify ks_distance in jit, s {clock}"]
        )
        result[f"ratio of null experiments, {clock}"] = (
            result[f"scipy null loop, s {clock}"] / result[f"amplify null_distances, s {clock}"]
        )
    if streamed:
        code = f"from experiments.benchmarks.kolmogorov import stream; stream({streamed})"
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        lines = run.stdout.splitlines()
        result |= json.loads(lines[-1])
    for name, value in result.items():
        print(f"{name:45s} {value:12.4f}" if isinstance(value, float) else f"{name:45s} {value}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def stream(values: int, holdout: int = 100_000, chunk: int = 1 << 22) -> None:
    """Counts `values` generated float32 numbers against a holdout, in a process of its own, and
    prints time and memory as JSON.
    """
    rng = np.random.default_rng(1)
    grid = np.sort(rng.normal(size=holdout).astype(np.float32))
    of_holdout = count_between(grid, grid)
    total, counting, started = None, 0.0, time.perf_counter()
    for start in range(0, values, chunk):
        t = rng.standard_normal(min(chunk, values - start), np.float32)
        before = time.perf_counter()
        part = count_between(grid, t)
        total = part if total is None else total.plus(part)
        counting += time.perf_counter() - before
    assert total is not None and int(total.total) == values
    print(
        json.dumps(
            {
                "streamed values": values,
                "stream, s wall": time.perf_counter() - started,
                "counting alone, s wall": counting,
                "KS distance of the stream": float(distance_between(total, of_holdout)),
                "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            }
        )
    )


if __name__ == "__main__":
    study.run(main)
