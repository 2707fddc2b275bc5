"""Any statistic in equivalent true events: do intervals and limits of n_equiv(T) cover, do p-values
and their combinations have the size they state, and is a comparison of two generators on one
holdout honest?

Truth and generators are densities that can be drawn at will: a generator shifts and stretches the
true events. What n_equiv(T) is in truth follows from samples far larger than those tested, and from
pairs of true samples (`experiments.one_scale_truth`). Run `python -m experiments.one_scale --preset
full`. Rules and constants of the estimate were chosen with a shifted Gaussian of one column, seed
900; problems and deformations of this study were chosen before it was run and served for nothing.
"""

import time
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from amplify.estimators.combined import COMBINATIONS, combined
from amplify.estimators.equivalent import EquivalentEstimate, equivalent_events
from amplify.estimators.null_curve import null_curve
from amplify.estimators.paired import ranking
from amplify.estimators.permutations import Null, permute
from amplify.estimators.statistics import STATISTICS
from amplify.types import Status
from experiments import cells, study
from experiments.one_scale_truth import DIRECTIONS, STRENGTHS, deformed, truth_of, weighted
from experiments.problems import PROBLEMS

LEVELS = (0.01, 0.05, 0.1)
_BLOCK = 10  # repetitions of coverage that are kept together
_SIZE_BLOCK = 100  # of p-values
_PAIR_BLOCK = 25  # of pairs


@dataclass(frozen=True)
class Config:
    """What is repeated how often."""

    problems: tuple[str, ...] = ("mixture", "shell3", "mog4", "mog16")
    statistics: tuple[str, ...] = (
        "mean_ks",
        "mean_wasserstein",
        "sliced_wasserstein",
        "energy",
        "frechet",
        "quartic_mmd",
        "gaussian_mmd",
        "nplm",
        "auc",
    )
    n_gen: int = 600
    n_holdout: int = 400
    repetitions: int = 100
    experiments: int = 200
    level: float = 0.68
    limit_level: float = 0.9
    truth_events: int = 100_000
    truth_pools: int = 3
    curve_pools: int = 25
    size_events: int = 60
    size_permutations: int = 99
    size_repetitions: int = 2000
    weighted_repetitions: int = 500
    pair_statistics: tuple[str, ...] = ("mean_ks", "quartic_mmd")
    pair_events: int = 300
    pair_experiments: int = 100
    pair_repetitions: int = 150
    seed: int = 1


PRESETS = {
    "smoke": Config(
        problems=("mixture",),
        statistics=("mean_ks", "quartic_mmd"),
        n_gen=60,
        n_holdout=60,
        repetitions=1,
        experiments=12,
        truth_events=2000,
        truth_pools=1,
        curve_pools=3,
        size_events=20,
        size_permutations=9,
        size_repetitions=1,
        weighted_repetitions=1,
        pair_statistics=("mean_ks",),
        pair_events=50,
        pair_experiments=12,
        pair_repetitions=1,
    ),
    "quick": Config(
        repetitions=10,
        truth_pools=1,
        size_repetitions=200,
        weighted_repetitions=200,
        pair_repetitions=50,
    ),
    "full": Config(),
}
Part = Literal["size", "pairs", "coverage"]


def main(
    preset: Literal["smoke", "quick", "full"] = "quick",
    out: Path | None = None,
    parts: tuple[Part, ...] = ("size", "pairs", "coverage"),
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick five minutes, full half an hour on one core.
        out: default amplify-runs/one_scale-PRESET; finished parts found there are used again.
        parts: which of the questions.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"one_scale-{preset}"
    study.claim(out, config)
    found: dict[str, Any] = {}
    for part in parts:
        found[part] = {"size": _size, "pairs": _pairs, "coverage": _coverage}[part](config, out)
    path = out / "results.json"
    study.record(path, f"python -m experiments.one_scale --preset {preset}", config, found, [])
    print(path)
    return path


def _blocks(
    out: Path, name: str, repetitions: int, block: int, one: Any
) -> tuple[dict[str, np.ndarray], float]:
    """Arrays of all repetitions, one(number) each, and seconds of each; computed in blocks."""
    parts = []
    for start in range(0, repetitions, block):
        compute = partial(_block, one, start, min(start + block, repetitions))
        parts.append((out / "parts" / f"{name}-{start}.npz", compute))
    computed = list(cells.cached(parts))
    joined = {key: np.concatenate([part[key] for part in computed]) for key in computed[0]}
    return joined, float(joined.pop("s").sum() / repetitions)


def _block(one: Any, start: int, stop: int) -> dict[str, np.ndarray]:
    began = time.process_time()
    rows = [one(number) for number in range(start, stop)]
    spent = np.array([time.process_time() - began])
    return {key: np.array([row[key] for row in rows]) for key in rows[0]} | {"s": spent}


def _rng(config: Config, number: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([config.seed, number, *(zlib.crc32(n.encode()) for n in names)])


def _size(config: Config, out: Path) -> dict[str, Any]:
    """How often p is at or below a level without a difference: with and without weights."""
    found = {}
    for has_weights in (False, True):
        name = "weighted" if has_weights else "unweighted"

        def one(number: int, has_weights: bool = has_weights) -> dict[str, float]:
            rng = _rng(config, number, "size", str(has_weights))
            # every problem of few columns in its turn
            problem = PROBLEMS[config.problems[number % min(3, len(config.problems))]]
            n, weight = config.size_events, None
            x, y = problem.draw(rng, n), problem.draw(rng, n)
            if has_weights:
                x, weight = weighted(problem, rng, n)
            nulls = permute(
                STATISTICS.values(),
                x,
                y,
                weight_gen=weight,
                permutations=config.size_permutations,
                seed=number,
            )
            of_all = {f"combined_{key}": p.p for key, p in combined(nulls).items()}
            return {key: null.p for key, null in nulls.items()} | of_all

        number = config.weighted_repetitions if has_weights else config.size_repetitions
        p, seconds = _blocks(out, f"size-{name}", number, _SIZE_BLOCK, one)
        found[name] = {key: _rates(values) for key, values in p.items()} | {"seconds": seconds}
        for key in (*STATISTICS, *(f"combined_{key}" for key in COMBINATIONS)):
            print(name, key, found[name][key], flush=True)
    return found


def _rates(p: np.ndarray) -> list[float]:
    return [float((p <= level + 1e-9).mean()) for level in LEVELS]


def _pairs(config: Config, out: Path) -> dict[str, Any]:
    """How often one of two samples of the same generator is called closer to the truth."""
    problem, found = PROBLEMS[config.problems[0]], {}
    for statistic in config.pair_statistics:
        for strength in ("none", "seen"):

            def one(number: int, name: str = statistic, s: str = strength) -> dict[str, float]:
                rng, n = _rng(config, number, "pairs", s), config.pair_events
                few = config.pair_experiments
                holdout = problem.draw(rng, n)
                made = [
                    _judged(config, name, deformed(problem, s, rng, n), holdout, number, few)
                    for _ in range(2)
                ]
                nulls, estimates = zip(*made, strict=True)
                order = ranking(nulls, estimates, experiments=few, seed=number)
                return {"sigma": order.sigma[0, 1], "first": order.first[0]}

            cell = f"pairs-{statistic}-{strength}"
            drawn, seconds = _blocks(out, cell, config.pair_repetitions, _PAIR_BLOCK, one)
            size = np.abs(drawn["sigma"])
            rates = [float((size >= z).mean()) for z in (2.5758, 1.96, 1.6449)]
            found[f"{statistic} {strength}"] = {
                "rates": rates,
                "spread": float(drawn["sigma"].std()),
                "seconds": seconds,
            }
            print(cell, found[f"{statistic} {strength}"], flush=True)
    return found


def _judged(
    config: Config, name: str, generated: np.ndarray, holdout: np.ndarray, seed: int, number: int
) -> tuple[Null, EquivalentEstimate]:
    """One statistic between two samples, from so many experiments."""
    settings: dict[str, Any] = {"permutations": number, "seed": seed}
    null = permute([STATISTICS[name]], generated, holdout, **settings)[name]
    curve = null_curve(null, experiments=number // 2, seed=seed)
    levels = {"level": config.level, "limit_level": config.limit_level}
    return null, equivalent_events(null, curve, **levels, experiments=number)


def _coverage(config: Config, out: Path) -> dict[str, Any]:
    """How often intervals and limits of n_equiv hold."""
    found = {}
    for problem in config.problems:
        for strength in STRENGTHS:
            for statistic in config.statistics:
                cell = f"{problem}-{strength}-{statistic}"
                true = study.cached(
                    out / "parts" / f"truth-{cell}.npz",
                    lambda p=problem, s=strength, t=statistic: truth_of(config, p, s, t),
                )

                def one(
                    number: int, p: str = problem, s: str = strength, t: str = statistic
                ) -> dict[str, float]:
                    rng = _rng(config, number, p, s)
                    holdout = PROBLEMS[p].draw(rng, config.n_holdout)
                    generated = deformed(PROBLEMS[p], s, rng, config.n_gen)
                    # what a sample is worth depends on the directions: they are those of the truth
                    seed = DIRECTIONS if t.startswith("sliced") else number
                    estimate = _judged(config, t, generated, holdout, seed, config.experiments)[1]
                    value, low, high = estimate.n_equiv
                    return {
                        "value": value,
                        "low": low,
                        "high": high,
                        "bound_low": estimate.bounds.low,
                        "bound_high": estimate.bounds.high,
                        "distance": estimate.found,
                        "resolved": estimate.status == Status.RESOLVED,
                    }

                drawn, seconds = _blocks(out, cell, config.repetitions, _BLOCK, one)
                found[cell] = _covered(drawn, true) | {"seconds": seconds}
                print(cell, {k: np.round(v, 3) for k, v in found[cell].items()}, flush=True)
    return found | {"together": _together(config, found)}


def _together(config: Config, found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Means over problems, of each statistic and strength."""
    keys = ("resolved", "inside", "limits_hold", "low_bounds_hold", "high_bounds_hold")
    together = {}
    for name in config.statistics:
        for strength in STRENGTHS:
            cells = [found[f"{problem}-{strength}-{name}"] for problem in config.problems]
            row = {key: float(np.mean([cell[key] for cell in cells])) for key in keys}
            share = np.array([cell["resolved"] for cell in cells])
            inside = np.array([cell["inside_of_resolved"] for cell in cells])
            weight = share / max(share.sum(), 1e-9)
            row["inside_of_resolved"] = float(np.nansum(weight * inside))
            together[f"{name} {strength}"] = row
            print(name, strength, {key: round(value, 3) for key, value in row.items()})
    return together


def _covered(drawn: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> dict[str, float]:
    """Shares of repetitions in which statements are true."""
    n, resolved = float(true["n_equiv"]), drawn["resolved"].astype(bool)
    inside = (drawn["low"] <= n) & (n <= drawn["high"])
    values = drawn["value"][resolved]
    return {
        "n_equiv": n,
        "resolved": float(resolved.mean()),
        "inside": float(inside.mean()),
        "inside_of_resolved": float(inside[resolved].mean()) if resolved.any() else np.nan,
        "limits_hold": float((resolved | inside).mean()),
        "low_bounds_hold": float((drawn["bound_low"] <= n).mean()),
        "high_bounds_hold": float((drawn["bound_high"] >= n).mean()),
        "median_over_true": float(np.median(values) / n) if resolved.any() else np.nan,
        "distance_over_true": float(np.mean(drawn["distance"]) / true["distance"]),
    }


if __name__ == "__main__":
    study.run(main, has_tasks=True)
