"""Differential amplification in hundreds and thousands of columns: what is seen, whether what is
claimed is true, and what it costs.

Toy showers (`experiments.showers`) of 368 and 6480 voxels with 2 % more response, 3 % more depth
(also with the voxels in random order) or 3 % more width: efficiency D_learned / D, against the
distance D of the latent numbers, which no voxels exceed. Log-normal columns with common factors,
whose distance is known in closed form: how often the claim n_equiv < X is true, and how often it is
made where there is no difference. And seconds and memory of the command beside its forecast. Run
`python -m experiments.many_columns --preset full`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr

from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import learned_amplification, split
from amplify.progress import progress_bar
from amplify.summaries.default import learned_ratio
from amplify.types import Events
from experiments import showers, study

LIMIT_LEVEL = 0.9  # of the claim n_equiv < X, one-sided
TINY = showers.Detector(6, 3, 3)  # 54 voxels, for many repetitions
PROBLEMS = {  # generator, and whether the voxels come in random order
    "response + 2 %": (showers.Change(response=0.02), False),
    "depth + 3 %": (showers.Change(depth=0.03), False),
    "depth + 3 %, voxels shuffled": (showers.Change(depth=0.03), True),
    "width + 3 %": (showers.Change(width=0.03), False),
}
FACTORS, SHIFT = 3, 0.5  # of the log-normal columns; their distance is 2 Phi(SHIFT / 2) - 1


# the command, and what it took: getrusage would tell the memory of this process, which forks
_MEASURED = """
import resource, sys
from pathlib import Path
from amplify.cli import main
main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.is_file() else []
peaks = [1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(used.ru_utime + used.ru_stime, *peaks or [used.ru_maxrss])
"""


@dataclass(frozen=True)
class Config:
    """Sizes and repetitions. Settings of the learner were chosen with other seeds."""

    small_holdouts: tuple[int, ...] = (1_000, 10_000, 100_000)
    small_repetitions: int = 1
    large_holdouts: tuple[int, ...] = (10_000,)
    large_repetitions: int = 1
    large_problems: tuple[str, ...] = ("response + 2 %", "depth + 3 %")
    small_gen: int = 100_000
    large_gen: int = 40_000
    small_measuring: int = 100_000
    large_measuring: int = 40_000
    claims: int = 200
    claim_columns: int = 60
    claim_holdout: int = 1_500
    claim_gen: int = 8_000
    cost_columns: tuple[int, ...] = (5, 368, 6480)
    cost_events: int = 100_000
    seed: int = 1


PRESETS = {
    "smoke": Config(
        small_holdouts=(1_500,),
        small_repetitions=1,
        large_holdouts=(),
        small_gen=6_000,
        small_measuring=4_000,
        claims=4,
        cost_columns=(5,),
        cost_events=2_000,
    ),
    "full": Config(),
}


def main(preset: Literal["smoke", "full"] = "smoke", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes half a minute, full half an hour and 10 GB of disk.
        out: default amplify-runs/many_columns-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"many_columns-{preset}"
    study.claim(out, config)
    parts = out / "parts"
    problems = tuple(PROBLEMS)
    small = showers.SMALL, config.small_gen, config.small_measuring, config.small_holdouts
    efficiency = _efficiency(config, parts, *small, config.small_repetitions, problems)
    claims = {
        name: _summarised(
            study.cached(parts / f"claims-{name}.npz", partial(_claims, config, name))
        )
        for name in CASES
    }
    costs = [
        {
            name: float(value)
            for name, value in study.cached(
                parts / f"cost-{columns}.npz", partial(_cost, config, out, columns)
            ).items()
        }
        for columns in config.cost_columns
    ]
    large = showers.LARGE, config.large_gen, config.large_measuring, config.large_holdouts
    repetitions = config.large_repetitions
    efficiency += _efficiency(config, parts, *large, repetitions, config.large_problems)
    result = {"efficiency": efficiency, "claims": claims, "cost": costs}
    path = out / "results.json"
    command = f"python -m experiments.many_columns --preset {preset}"
    study.record(path, command, config, result, [])
    print(path)
    return path


def _efficiency(
    config: Config,
    parts: Path,
    detector: showers.Detector,
    n_gen: int,
    n_measuring: int,
    holdouts: tuple[int, ...],
    repetitions: int,
    problems: tuple[str, ...],
) -> list[dict[str, Any]]:
    """A row for each problem and size of the holdout: mean over repetitions, and its error from
    the events that measure.
    """
    rows = []
    for name in problems if holdouts else ():
        path = parts / f"efficiency-{detector.voxels}-{name}.npz".replace(" ", "")
        compute = partial(
            _distances, config, detector, (n_gen, n_measuring), name, holdouts, repetitions
        )
        distances = study.cached(path, compute)["distances"]
        bound = PROBLEMS[name][0].distance
        error = np.sqrt(0.5 / n_measuring / repetitions) / bound
        for n_holdout, found in zip(holdouts, distances, strict=True):
            row = {
                "problem": name,
                "columns": detector.voxels,
                "n_holdout": n_holdout,
                "n_equiv": (K1 / bound) ** 2,
                "efficiency": found.mean() / bound,
                "error": error,
                "repetitions": repetitions,
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def _distances(
    config: Config,
    detector: showers.Detector,
    sizes: tuple[int, int],
    name: str,
    holdouts: tuple[int, ...],
    repetitions: int,
) -> dict[str, np.ndarray]:
    """D of summaries that a third of the holdout taught, on fresh events [holdout, repetition]."""
    change, shuffled = PROBLEMS[name]
    n_gen, n_measuring = sizes
    distances = np.zeros((len(holdouts), repetitions))
    for repetition in range(repetitions):
        key = [config.seed, detector.voxels, list(PROBLEMS).index(name), repetition]
        rng = np.random.default_rng(key)
        order = np.arange(detector.voxels)
        if shuffled:
            rng.shuffle(order)

        def draw(
            n: int,
            change: showers.Change = showers.Change(),
            rng: np.random.Generator = rng,
            order: np.ndarray = order,
        ) -> np.ndarray:
            return showers.showers(rng, n, detector, change)[:, order]

        generated, true = draw(n_gen, change), draw(max(holdouts))
        summaries = [
            split(learned_ratio(), Events(generated), Events(true[:n]), seed=repetition).summary
            for n in holdouts
        ]
        del generated, true
        low = np.zeros((len(holdouts), 2))
        rows = max((1 << 26) // detector.voxels, 1)
        for start in range(0, n_measuring, rows):
            n = min(rows, n_measuring - start)
            for which, x in enumerate((draw(n, change), draw(n))):
                low[:, which] += [(summary(x) <= 0).sum() for summary in summaries]
        distances[:, repetition] = (low[:, 1] - low[:, 0]) / n_measuring
    return {"distances": distances}


def lognormal(rng: np.random.Generator, n: int, columns: int, shift: float) -> np.ndarray:
    """Columns whose logarithms have common factors and a mean off by `shift` standard deviations
    in a direction that no single column has [n, column], float32.
    """
    fixed = np.random.default_rng(columns)
    loading = fixed.normal(size=(FACTORS, columns)) * 0.5
    direction = fixed.normal(size=columns)
    covariance = loading.T @ loading + np.eye(columns)
    size = np.sqrt(direction @ np.linalg.solve(covariance, direction))
    common, own = rng.normal(size=(n, FACTORS)), rng.normal(size=(n, columns))
    logarithms = common @ loading + own + shift / size * direction
    return np.exp(0.5 * logarithms).astype(np.float32)


def _of_lognormal(config: Config, shift: float) -> tuple[Callable, Callable]:
    def draw(rng: np.random.Generator, n: int, shift: float = shift) -> np.ndarray:
        return lognormal(rng, n, config.claim_columns, shift)

    return draw, partial(draw, shift=0.0)


def _of_showers(config: Config) -> tuple[Callable, Callable]:
    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return showers.showers(rng, n, TINY)

    return draw, draw


# samplers of generated and true events, and the distance of both
CASES: dict[str, tuple[Callable[[Config], tuple[Callable, Callable]], float]] = {
    "log-normal": (lambda config: _of_lognormal(config, SHIFT), float(2 * ndtr(SHIFT / 2) - 1)),
    "log-normal, no difference": (lambda config: _of_lognormal(config, 0.0), 0.0),
    "showers, no difference": (_of_showers, 0.0),
}


def _claims(config: Config, name: str) -> dict[str, np.ndarray]:
    """Which repetitions claim n_equiv < X, and which of these claims are true."""
    samplers, distance = CASES[name]
    generate, true = samplers(config)
    limit = np.zeros(config.claims)
    with progress_bar(name, total=config.claims) as bar:
        for repetition in range(config.claims):
            rng = np.random.default_rng([config.seed, list(CASES).index(name), repetition])
            estimate, _ = learned_amplification(
                learned_ratio(),
                Events(generate(rng, config.claim_gen)),
                Events(true(rng, config.claim_holdout)),
                n_train=1000,
                seed=repetition,
                limit_level=LIMIT_LEVEL,
            )
            limit[repetition] = estimate.n_equiv.high[0]
            bar.count(repetition + 1, config.claims)
    n_equiv = (K1 / distance) ** 2 if distance else np.inf
    return {"limit": limit, "n_equiv": np.asarray(n_equiv)}


def _summarised(measured: dict[str, np.ndarray]) -> dict[str, Any]:
    """Rates with binomial errors; the statement is true where nothing is claimed."""
    limit, n_equiv = measured["limit"], float(measured["n_equiv"])
    claimed, holds = np.isfinite(limit), limit >= n_equiv
    n = len(limit)
    return {
        "repetitions": n,
        "n_equiv": n_equiv,
        "claimed": claimed.mean(),
        "claimed_error": np.sqrt(claimed.mean() * (1 - claimed.mean()) / n),
        "true": holds.mean(),
        "true_error": np.sqrt(holds.mean() * (1 - holds.mean()) / n),
        "median_limit": float(np.median(limit)),
    }


def _cost(config: Config, out: Path, columns: int) -> dict[str, np.ndarray]:
    """Seconds, processor time and memory of the command, page and all, and its forecast."""
    detectors = {d.voxels: d for d in (showers.SMALL, showers.LARGE)}
    detector = detectors.get(columns, showers.Detector(columns, 1, 1))
    paths = [out / f"{name}-{columns}.npy" for name in ("generated", "true")]
    for path, change in zip(paths, (showers.Change(depth=0.03), showers.Change()), strict=True):
        rng = np.random.default_rng([config.seed, columns, len(path.name)])
        shape = (config.cost_events, columns)
        stored = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        for start in range(0, len(stored), 10_000):
            block = stored[start : start + 10_000]
            block[:] = showers.showers(rng, len(block), detector, change)
        stored.flush()
        del stored
    given = ["differential", "--generated", str(paths[0]), "--holdout", str(paths[1])]
    more = ["--n-train", "10000"]
    dry_run = [sys.executable, "-m", "amplify", *given, *more, "--dry-run", "--json", "-"]
    plan = subprocess.run(dry_run, capture_output=True, check=True)  # noqa: S603  our own
    forecast = json.loads(plan.stdout)
    started = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        _MEASURED,
        *given,
        *more,
        "--out",
        str(out / f"cost-{columns}"),
    ]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  our own
    seconds = time.perf_counter() - started
    processor_seconds, peak = map(float, done.stdout.split())
    for path in paths:
        path.unlink()
    measured = {
        "columns": columns,
        "events": config.cost_events,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "gigabytes": peak / 1e9,
        "forecast_seconds": forecast["seconds"],
        "forecast_gigabytes": forecast["bytes"] / 1e9,
    }
    return {name: np.asarray(value) for name, value in measured.items()}


if __name__ == "__main__":
    study.run(main)
