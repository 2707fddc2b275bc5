"""Which statistic sees what: a generator that is wrong by a known total variation distance, in six
ways and in 2 to 100 dimensions, and what each two-sample statistic says it is worth.

By the exact ratio all of these generators are worth (K1 / TV)^2 true events. A statistic that looks
elsewhere, or dilutes what it sees, claims more: the study records the ratio. It also records the
smallest distance of the same kind that a test at .05 notices in half and in nine tenths of the
cases, with 10 000 generated and 10 000 true events.

Both densities are known, so nothing has to be estimated from small samples: events are drawn from
the middle of the two densities, and each carries the part of the difference that belongs to it.
What noise that leaves is told by the same parts with random signs, and taken off where distances
add in squares. Run `python -m experiments.what_sees_what --preset full`. Nothing was chosen by what
it shows.
"""

import time
import zlib
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from amplify.devices import use_all_cores
from amplify.estimators.differences import of_labels
from amplify.estimators.kolmogorov import K1
from amplify.estimators.statistics import STATISTICS, Pooled, Statistic
from amplify.estimators.statistics.protocol import Distances
from experiments import study
from experiments.known_differences import distance_of, generators, middle, truth

_SIZE = 0.05  # of the test


@dataclass(frozen=True)
class Config:
    """Half of the events are one sample, half the other."""

    dims: tuple[int, ...] = (2, 5, 20, 100)
    statistics: tuple[str, ...] = (
        "mean_ks",
        "max_ks",
        "sliced_ks",
        "mean_wasserstein",
        "sliced_wasserstein",
        "energy",
        "chi_squared",
        "frechet",
        "quartic_mmd",
        "gaussian_mmd",
        "nplm",
        "auc",
    )
    distance: float = 0.03
    n: int = 10_000
    relabellings: int = 200
    scales: tuple[float, ...] = (0.15, 0.35, 0.8, 2.0, 5.0)
    noticed: int = 20
    signs: int = 10
    seed: int = 1


PRESETS = {
    "smoke": Config(
        dims=(2,), statistics=("mean_ks",), n=1000, relabellings=40, noticed=5, signs=3
    ),
    "quick": Config(dims=(2, 5), n=3000, relabellings=100),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick a minute, full ten minutes on one core.
        out: default amplify-runs/what_sees_what-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"what_sees_what-{preset}"
    study.claim(out, config)
    cells = []
    for dim in config.dims:
        for name in config.statistics:
            rows = []
            for kind in generators(dim):
                part = out / "parts" / f"{name}-{dim}-{kind}.npz"
                found = study.cached(part, partial(_cell, config, name, dim, kind))
                numbers = {key: float(value) for key, value in found.items()}
                rows.append({"statistic": name, "dim": dim, "difference": kind} | numbers)
            seconds = sum(row["seconds"] for row in rows)
            worth = {row["difference"]: round(row["claimed_over_true"], 2) for row in rows}
            print(name, dim, f"{seconds:.0f} s", worth, flush=True)
            cells += rows
    path = out / "results.json"
    command = f"python -m experiments.what_sees_what --preset {preset}"
    study.record(path, command, config, {"cells": cells}, [])
    print(path)
    return path


def _cell(config: Config, name: str, dim: int, kind: str) -> dict[str, np.ndarray]:
    """One statistic on one difference, in so many dimensions."""
    pool = _pool(config, kind, dim)
    started = time.process_time()
    distances = STATISTICS[name].prepare(pool, config.seed)
    row = _looked(config, STATISTICS[name], pool, distances)
    row["seconds"] = time.process_time() - started
    return {key: np.asarray(value) for key, value in row.items()}


@lru_cache(maxsize=6)  # the kinds of one dimension
def _pool(config: Config, kind: str, dim: int) -> Pooled:
    """Events, and the difference of the densities at the distance that is asked for."""
    rng = np.random.default_rng([config.seed, dim, zlib.crc32(kind.encode())])
    pool = middle(rng, truth(dim), generators(dim)[kind], config.n)
    return pool._replace(difference=pool.difference * config.distance / distance_of(pool))


def _looked(
    config: Config, statistic: Statistic, pool: Pooled, distances: Distances
) -> dict[str, float]:
    """What the statistic claims, and which distances it notices."""
    rng = np.random.default_rng([config.seed, 1])
    size = len(pool.x)
    labels = np.zeros((config.relabellings, size), bool)
    for row in labels:
        row[rng.permutation(size)[: config.n]] = True
    relabelled = of_labels(pool.weight, labels)
    noise_on_top = relabelled[: config.noticed]
    signs = rng.choice([-1.0, 1.0], (config.signs, size)) * pool.difference
    signs -= signs.mean(axis=1, keepdims=True)
    scaled = [scale * pool.difference + noise_on_top for scale in (1.0, *config.scales)]
    # one call: some statistics make all pairs of events in each
    together = np.concatenate([relabelled, *scaled, signs, pool.difference[None]])
    found = np.asarray(distances(together), np.float64)
    cuts = np.cumsum([len(relabelled), *(len(noise_on_top) for _ in scaled), len(signs)])
    values, at_one, *at_scales, of_signs, of_all = np.split(found, cuts)
    centre = values.mean() if statistic.signed else 0.0

    def seen(values: np.ndarray) -> np.ndarray:
        return np.abs(values - centre) if statistic.signed else values

    null = seen(values)
    if statistic.signed or statistic.name == "nplm":
        # they need two samples: what a difference adds in the mean over their noise
        added = at_one - values[: config.noticed]
        distance = float(np.abs(added.mean()))
        noise = float(added.std(ddof=1) / np.sqrt(config.noticed))
        cleaned = max(distance, noise)
    else:
        noise, distance = float(of_signs.mean()), float(of_all[0])
        cleaned = max(distance - noise, noise / 10) if statistic.degree == 2 else distance
    constant = null.mean() * pool.n ** (statistic.degree / 2)
    claimed = float((constant / cleaned) ** (2 / statistic.degree))
    threshold = float(np.quantile(null, 1 - _SIZE))
    half, most = (np.quantile(seen(np.array(at_scales)), q, axis=1) for q in (0.5, 0.1))
    return {
        "claimed": claimed,
        "claimed_over_true": claimed * (config.distance / K1) ** 2,
        "noise": noise / distance,
        "noticed_50": _noticed(config, half, threshold),
        "noticed_90": _noticed(config, most, threshold),
    }


def _noticed(config: Config, values: np.ndarray, threshold: float) -> float:
    """The total variation distance at which the values [scale] cross the threshold, or infinite."""
    rising = np.maximum.accumulate(values)
    above = np.flatnonzero(rising > threshold)
    if not len(above):
        return float("inf")
    k = max(int(above[0]), 1)
    scales = np.log(config.scales)
    place = np.interp(threshold, rising[k - 1 : k + 1], scales[k - 1 : k + 1])
    return float(config.distance * np.exp(place))


if __name__ == "__main__":
    study.run(main)
