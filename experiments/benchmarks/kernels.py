"""Speed of the kernel statistics, side by side in one run: `python -m experiments.benchmarks
.kernels`. Wall-clock time, the best of `repetitions` that alternate.

The quartic MMD of `pairs` against `pairs` events through features, against the three matrices of
the kernel, written as jetnet and GMetrics write them, at the size that fits into memory (2.4 GB at
10,000); a matrix of larger samples would take the square of their ratio as long, and that is the
time it is compared with. Beside it the same matrix by blocks, with squares for the fourth power, as
this package does it where columns are too many for features. And 1000 relabelled differences at
once, of each statistic.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from amplify.estimators.statistics import STATISTICS
from amplify.estimators.statistics.pairs import mean_kernel
from amplify.estimators.statistics.protocol import pooled
from amplify.estimators.statistics.quartic import quartic_kernel, quartic_mmd
from experiments import study


def main(
    pairs: int = 100_000,
    matrix: int = 10_000,
    dim: int = 20,
    null: int = 1000,
    dims: tuple[int, ...] = (5, 20),
    repetitions: int = 3,
    out: Path | None = None,
) -> None:
    """Prints times and ratios.

    Args:
        pairs: events of each sample that features compare.
        matrix: events of each sample for the matrix.
        dim: columns of both.
        null: relabelled differences of `matrix` against `matrix` events; 0 leaves them out.
        dims: columns of these.
        repetitions: of everything but the relabelled differences.
        out: JSON file for the numbers.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, pairs, dim))
    y[:, 0] *= 1.02
    some = x[:matrix], y[:matrix]
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "command": "python -m experiments.benchmarks.kernels",
    }
    runs: dict[str, Callable[[], float]] = {
        f"features, {pairs} + {pairs}": lambda: quartic_mmd(x, y),
        f"features, {matrix} + {matrix}": lambda: quartic_mmd(*some),
        f"matrix, {matrix} + {matrix}": lambda: _of_matrices(*some),
        f"blocks of it, {matrix} + {matrix}": lambda: _of_blocks(*some),
    }
    for _ in range(repetitions):
        for name, run in runs.items():
            started = time.perf_counter()
            result[f"value of {name}"] = run()
            key = f"{name}, s"
            result[key] = min(result.get(key, np.inf), time.perf_counter() - started)
    fast, alike, matrices, blocks = (result[f"{name}, s"] for name in runs)
    values = [result[f"value of {name}"] for name in list(runs)[1:]]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)
    scaled = (pairs / matrix) ** 2
    result[f"matrix at {pairs} + {pairs}, scaled by pairs, s"] = matrices * scaled
    result["ratio to the matrix"] = matrices * scaled / fast
    result["ratio to its blocks"] = blocks * scaled / fast
    result["ratio at the same size"] = matrices / alike
    for d in dims if null else ():
        pool = pooled(*rng.normal(size=(2, matrix, d)))
        relabelled = np.stack([rng.permutation(pool.difference) for _ in range(null)])
        for name in ("frechet", "quartic_mmd", "gaussian_mmd"):
            started = time.perf_counter()
            STATISTICS[name].prepare(pool, 0)(relabelled)
            key = f"{null} differences, {matrix} + {matrix}, d = {d}, {name}, s"
            result[key] = time.perf_counter() - started
    for name, value in result.items():
        print(f"{name:60s} {value:12.5g}" if isinstance(value, float) else f"{name:60s} {value}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _of_matrices(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD^2 from the three matrices."""
    n, m = len(x), len(y)
    xx, yy, xy = ((a @ b.T * (1 / x.shape[1]) + 1.0) ** 4 for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def _of_blocks(x: np.ndarray, y: np.ndarray) -> float:
    """The same by blocks."""
    of_x, of_y = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    value = -2 * mean_kernel(quartic_kernel, x, y, of_x, of_y)
    for s, share in ((x, of_x), (y, of_y)):
        diagonal = (((s**2).sum(axis=1) / s.shape[1] + 1) ** 4).mean()
        n = len(s)
        value += (mean_kernel(quartic_kernel, s, s, share, share) - diagonal / n) * n / (n - 1)
    return float(value)


if __name__ == "__main__":
    study.run(main)
