"""Statistics beside their physical floors, measured in the same run on one core: `python -m
experiments.benchmarks.statistic_floors`.

The floor of a KS distance is one sort of the smaller sample and one count of the other one in
equal bins; of pseudo-experiments a cumulative sum over a byte for eight events, and the drawing of
the bits; of a stream that is counted between the values of a holdout a sort of each chunk; of a
sketch the same; of a learned ratio its product of matrices, its exponentials, and one pass over
the bumps for each of those it tries. CPU time, the best of several rounds that take turns.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.estimators.kolmogorov import count_between, ks_distance
from amplify.estimators.pseudo_experiments import null_distances
from amplify.estimators.sketches import Sketch, condensed, groups_for
from amplify.summaries import OnTrue
from amplify.summaries.default import learned_ratio
from experiments import study

_COLUMNS = 5
_TERMS, _BUMPS, _STEPS, _WIDTHS = 125, 192, 18, 3  # of the default learner in five columns
_IN_BUMPS = 20_000  # generated events
_BINS = 1 << 12


class Item(NamedTuple):
    """What is timed.

    Attributes:
        run: the item, `count` of them.
        floor: what it cannot do without.
        count: of what is reported, one.
        unit: of that.
    """

    run: Callable[[], Any]
    floor: Callable[[], Any]
    count: int
    unit: str


def main(
    values: int = 1_000_000, taught: int = 100_000, repetitions: int = 7, out: Path | None = None
) -> None:
    """Prints microseconds of each item, of its floor, and their ratio.

    Args:
        values: of each sample.
        taught: generated events of the learned ratio, with a twentieth of true ones.
        repetitions: the best of so many.
        out: JSON file for the numbers.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # before JAX starts its threads
    try:
        result = _timed(_statistics(values) | _learned(taught), repetitions)
    finally:
        os.sched_setaffinity(0, allowed)
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _timed(items: dict[str, Item], repetitions: int) -> dict[str, Any]:
    """The best times of the items and of their floors."""
    best: dict[str, list[float]] = {name: [np.inf, np.inf] for name in items}
    for item in items.values():
        item.run()  # compiles
    for _ in range(repetitions):
        for name, item in items.items():
            for k, work in enumerate((item.run, item.floor)):
                started = time.process_time()
                work()
                best[name][k] = min(best[name][k], time.process_time() - started)
    result: dict[str, Any] = {"command": "python -m experiments.benchmarks.statistic_floors"}
    for name, item in items.items():
        took, floor = (1e6 * seconds / item.count for seconds in best[name])
        ratio = took / floor
        result[name] = {f"us of {item.unit}": took, "floor": floor, "ratio": ratio}
        print(f"{name:40s} {took:12.4g} us, floor {floor:10.4g} us of {item.unit}: {ratio:6.2f}")
    return result


def _statistics(values: int) -> dict[str, Item]:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=values).astype(np.float32) for _ in range(2))
    grid = np.sort(rng.normal(size=max(values // 10, 1)).astype(np.float32))
    n, experiments, chunk = max(values // 100, 8), 200, max(values // 4, 1)
    groups = groups_for(1e-4, 4)
    steps = np.ones((experiments, n // 4), np.int32)

    def counted_once() -> None:
        np.sort(x)
        step = np.float32(_BINS / 12)
        np.bincount(((np.clip(y, -6, 6) + 6) * step).astype(np.intp), minlength=_BINS)

    def drawn() -> None:
        np.random.default_rng(0).bytes(experiments * n // 4)
        np.cumsum(steps, axis=1, dtype=np.int32)

    def sketched() -> None:
        sketch = Sketch(groups)
        for start in range(0, values, chunk):
            sketch = sketch.plus(condensed(x[start : start + chunk], None, groups))
        sketch.finished()

    def sorted_chunks() -> None:
        for start in range(0, values, chunk):
            np.sort(x[start : start + chunk])

    return {
        "KS of two samples": Item(lambda: ks_distance(x, y), counted_once, 1, "two samples"),
        "KS pseudo-experiments": Item(
            lambda: null_distances(n, n, experiments), drawn, experiments, "an experiment"
        ),
        "counts between a tenth as many values": Item(
            lambda: count_between(grid, x), lambda: np.sort(x), values, "a value"
        ),
        "quantile sketch, error 1e-4": Item(sketched, sorted_chunks, values, "a value"),
    }


def _learned(taught: int) -> dict[str, Item]:
    rng = np.random.default_rng(1)
    gen = rng.normal(0.05, 1, (taught, _COLUMNS))
    true = rng.normal(size=(taught // 20, _COLUMNS))
    learner: Any = learned_ratio()
    again: OnTrue = learner.on_generated(gen, None)
    again(true)
    in_bumps = min(taught, _IN_BUMPS)
    features = rng.normal(size=(_TERMS, taught))
    exponents = -rng.random((in_bumps, _BUMPS * _WIDTHS), np.float32)
    vector = rng.random(in_bumps).astype(np.float32)
    events = rng.normal(size=(taught, _COLUMNS))
    summary = again(true)

    def of_bumps(share: float) -> None:
        np.exp(exponents[: int(share * in_bumps)])
        for _ in range(_STEPS):
            np.matmul(vector, exponents)

    def everything() -> None:
        np.matmul(features, features.T)
        of_bumps(1.0)

    def evaluated() -> None:
        np.exp(events[:, :3].astype(np.float32))
        for _ in range(_TERMS // 8):
            np.add(events[:, 0], events[:, 1])

    return {
        "learned ratio": Item(lambda: learner(gen, true), everything, 1, "a fit"),
        "learned ratio, other true events": Item(
            lambda: again(true), lambda: of_bumps(0.5), 1, "a fit"
        ),
        "learned ratio of events": Item(lambda: summary(events), evaluated, taught, "an event"),
    }


if __name__ == "__main__":
    study.run(main)
