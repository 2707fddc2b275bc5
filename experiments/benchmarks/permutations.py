"""Seconds of a permutation test with every statistic: `python -m experiments.benchmarks
.permutations`. Wall-clock time on the cores of this process, of the statistics one after the other
and of all together, their combination included; and of what makes equivalent true events of them.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from amplify.estimators.combined import combined
from amplify.estimators.equivalent import equivalent_events
from amplify.estimators.null_curve import null_curve
from amplify.estimators.permutations import permute
from amplify.estimators.statistics import STATISTICS
from experiments import study


def main(
    events: int = 10_000,
    dim: int = 5,
    permutations: int = 1000,
    experiments: int = 0,
    out: Path | None = None,
) -> None:
    """Prints seconds.

    Args:
        events: of each of the two samples.
        dim: columns.
        permutations: of the labels.
        experiments: for equivalent true events; 0 leaves them out.
        out: JSON file for the numbers.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, events, dim))
    x[:, 0] += 0.03
    result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0))}
    nulls, began = {}, time.perf_counter()
    for name, statistic in STATISTICS.items():
        started = time.perf_counter()
        nulls |= permute([statistic], x, y, permutations=permutations)
        result[f"{name}, s"] = time.perf_counter() - started
    p = combined(nulls)["minimum"].p
    result[f"all {len(nulls)}, {permutations} permutations, s"] = time.perf_counter() - began
    result["p of the smallest p"] = p
    for name, null in nulls.items() if experiments else ():
        started = time.perf_counter()
        curve = null_curve(null, experiments=experiments)
        result[f"{name}, curve, s"] = time.perf_counter() - started
        started = time.perf_counter()
        equivalent_events(null, curve, experiments=experiments)
        result[f"{name}, equivalent events, s"] = time.perf_counter() - started
    for name, value in result.items():
        print(f"{name:40s} {value:10.4g}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    study.run(main)
