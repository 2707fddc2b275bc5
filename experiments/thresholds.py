"""Thresholds and powers of arXiv:2409.16336, and what they mean in equivalent true events.

That work draws 10 000 true events twice, ten thousand times, from a mixture of Gaussians in 5, 20
and 100 dimensions; 95 % of its statistics lie below a threshold. Then it deforms one sample, and
quotes the size eps of the deformation at which the mean statistic reaches the threshold. Here the
thresholds come from relabelled events of a few pairs of samples, as in every comparison of this
package, and the statistics are measured at the sizes that were published. Beside each stands what
the generator of that size is worth: in the statistic, and by the exact ratio.

Run `python -m experiments.thresholds --preset full`. Nothing was chosen here.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from amplify.devices import use_all_cores
from amplify.estimators.differences import of_labels
from amplify.estimators.kolmogorov import K1
from amplify.estimators.statistics import STATISTICS, Statistic, pooled
from amplify.estimators.statistics.lines import AlongLines, ks_along, wasserstein_along
from amplify.estimators.statistics.moments import frechet, frechet_statistic
from amplify.estimators.statistics.protocol import Distances, Pooled
from amplify.estimators.statistics.quartic import quartic_mmd, quartic_statistic
from experiments import cells, study
from experiments.gaussian_mixtures import Deformation, deformations, mixture
from experiments.published_thresholds import SIZES, THRESHOLDS

_BLOCK = 500  # differences at a time
_LEVEL = 0.95
_DRAWN = 10_000  # statistics behind a published threshold


@dataclass(frozen=True)
class Config:
    """So many true events against as many of a generator; pools and repetitions by dimension."""

    dims: tuple[int, ...] = (5, 20, 100)
    n: int = 10_000
    pools: tuple[int, ...] = (6, 3, 2)
    relabellings: tuple[int, ...] = (1000, 1000, 500)
    repetitions: tuple[int, ...] = (20, 10, 4)
    coupled: int = 2
    seed: int = 1


PRESETS = {
    "smoke": Config(dims=(5,), n=200, pools=(1,), relabellings=(20,), repetitions=(2,), coupled=1),
    "quick": Config(dims=(5,), pools=(2,), relabellings=(1000,), repetitions=(5,)),
    "full": Config(),
}


class Measured(NamedTuple):
    """A statistic as that work defines it, for columns as they are.

    Attributes:
        statistic: for thousands of differences at once.
        unbiased: x, y -> the number without what finite samples add, or None where the distance
            itself is quoted.
    """

    statistic: Statistic
    unbiased: Callable[[np.ndarray, np.ndarray], float] | None = None


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick a minute, full ten minutes on one core.
        out: default amplify-runs/thresholds-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"thresholds-{preset}"
    study.claim(out, config)
    found: dict[str, list[dict[str, Any]]] = {"thresholds": [], "deformations": []}
    sizes = zip(config.dims, config.pools, config.relabellings, config.repetitions, strict=True)
    for dim, pools, relabellings, repetitions in sizes:
        parts = [
            (
                out / "parts" / f"null-{dim}-{name}.npz",
                partial(_null, config, dim, name, pools, relabellings),
            )
            for name in THRESHOLDS
        ]
        for name, null in zip(THRESHOLDS, cells.cached(parts), strict=True):
            row = _threshold(dim, name, null)
            found["thresholds"].append(row)
            print({key: row[key] for key in ("dim", "statistic", "ratio", "seconds")}, flush=True)
            powers = study.cached(
                out / "parts" / f"deformed-{dim}-{name}.npz",
                partial(_deformed, config, row, repetitions),
            )
            found["deformations"] += list(_rows(dim, name, powers))
    path = out / "results.json"
    command = f"python -m experiments.thresholds --preset {preset}"
    study.record(path, command, config, found, [])
    print(path)
    return path


def measured(dim: int) -> dict[str, Measured]:
    """The five statistics by name; sliced ones along the directions of that work."""
    directions = np.random.RandomState(0).standard_normal((100, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def along(of_lines: Callable[[Any, Pooled], AlongLines], pool: Pooled, seed: int) -> Distances:
        distances = of_lines(directions @ pool.x.T, pool)
        return lambda difference: distances(difference).mean(axis=1)

    sliced = {
        name: STATISTICS[name]._replace(prepare=partial(along, of_lines))
        for name, of_lines in (("sliced_ks", ks_along), ("sliced_wasserstein", wasserstein_along))
    }
    return {
        "mean_ks": Measured(STATISTICS["mean_ks"]),
        "sliced_ks": Measured(sliced["sliced_ks"]),
        "sliced_wasserstein": Measured(sliced["sliced_wasserstein"]),
        "frechet": Measured(frechet_statistic(standardise=False), frechet),
        "quartic_mmd": Measured(quartic_statistic(standardise=False), quartic_mmd),
    }


def _null(
    config: Config, dim: int, name: str, pools: int, relabellings: int
) -> dict[str, np.ndarray]:
    """The threshold of each pool; that of all of them with the error that 10 000 draws leave on it;
    and c of c n^(-degree / 2), the mean distance of n true events to the truth.
    """
    started = time.process_time()
    each, model = measured(dim)[name], mixture(dim)
    every, means = [], []
    for number in range(pools):
        rng = np.random.default_rng([config.seed, dim, number])
        pool = pooled(model.draw(rng, config.n), model.draw(rng, config.n))
        distances = each.statistic.prepare(pool, 0)
        values = _relabelled(rng, distances, pool, relabellings)
        means.append(values.mean())
        above = _excess(each, pool, distances)
        every.append([_quoted(each, value - above, pool) for value in values])
    quoted = np.array(every)
    by_chance = np.sqrt(_LEVEL * (1 - _LEVEL) / _DRAWN)
    ends = np.quantile(quoted, [_LEVEL - by_chance, _LEVEL + by_chance])
    found = {
        "thresholds": np.quantile(quoted, _LEVEL, axis=1),
        "threshold": np.quantile(quoted, _LEVEL),
        "published_error": (ends[1] - ends[0]) / 2,
        "constant": np.mean(means) * (config.n / 2) ** (each.statistic.degree / 2),
        "seconds": time.process_time() - started,
    }
    return {key: np.asarray(value) for key, value in found.items()}


def _relabelled(
    rng: np.random.Generator, distances: Distances, pool: Pooled, number: int
) -> np.ndarray:
    size, values = len(pool.x), []
    for start in range(0, number, _BLOCK):
        labels = np.zeros((min(_BLOCK, number - start), size), bool)
        for row in labels:
            row[rng.permutation(size)[: size // 2]] = True
        values.append(distances(of_labels(pool.weight, labels)))
    return np.concatenate(values).astype(np.float64)


def _excess(each: Measured, pool: Pooled, distances: Distances) -> float:
    """What the distance of these two samples lies above the unbiased number."""
    if each.unbiased is None:
        return 0.0
    first = pool.difference > 0
    return float(distances(pool.difference[None])[0]) - each.unbiased(pool.x[first], pool.x[~first])


def _quoted(each: Measured, distance: float, pool: Pooled) -> float:
    """Unbiased numbers are quoted as they are, others with their factor."""
    return distance if each.unbiased else each.statistic.quoted(distance, pool)


def _threshold(dim: int, name: str, null: dict[str, np.ndarray]) -> dict[str, Any]:
    each, threshold = null["thresholds"], float(null["threshold"])
    published = THRESHOLDS[name][dim]
    alone = len(each) < 2
    error = None if alone else float(each.std(ddof=1) / np.sqrt(len(each)) / published)
    return {
        "dim": dim,
        "statistic": name,
        "threshold": threshold,
        "published": published,
        "ratio": threshold / published,
        "error": error,
        "published_error": float(null["published_error"]) / published,
        "constant": float(null["constant"]),
        "pools": len(each),
        "seconds": float(null["seconds"]),
    }


def _deformed(config: Config, null: dict[str, Any], repetitions: int) -> dict[str, np.ndarray]:
    """At the published size of each deformation: the statistic, and what such a generator is worth
    in it and by the exact ratio.
    """
    rows = list(_each_deformation(config, null, repetitions))
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _each_deformation(
    config: Config, null: dict[str, Any], repetitions: int
) -> Iterator[dict[str, float]]:
    dim, name, threshold = null["dim"], null["statistic"], null["threshold"]
    each, model = measured(dim)[name], mixture(dim)
    for number, (kind, deformation) in enumerate(deformations(dim).items()):
        eps = SIZES[kind][name][dim]
        rng = np.random.default_rng([config.seed, dim, 100 + number])
        found = np.empty(repetitions)
        for k in range(repetitions):
            generated = deformation.apply(model.draw(rng, config.n), eps, rng)
            found[k] = _once(each, generated, model.draw(rng, config.n))
        distance = _apart(config, each, dim, deformation, eps, rng)
        yield {
            "eps": eps,
            "mean_over_threshold": float(found.mean() / threshold),
            "error": float(found.std(ddof=1) / np.sqrt(repetitions) / threshold),
            "power": float((found > threshold).mean()),
            "claimed": float((null["constant"] / distance) ** (2 / each.statistic.degree)),
            "true": _truly(config, dim, deformation, eps, rng),
        }


def _apart(
    config: Config,
    each: Measured,
    dim: int,
    deformation: Deformation,
    eps: float,
    rng: np.random.Generator,
) -> float:
    """The distance of the densities: of true events and the same events deformed, which share most
    of their noise.
    """
    found = []
    for _ in range(config.coupled):
        x = mixture(dim).draw(rng, config.n)
        pool = pooled(deformation.apply(x, eps, rng), x)
        found.append(each.statistic.prepare(pool, 0)(pool.difference[None])[0])
    return float(np.mean(found))


def _truly(
    config: Config, dim: int, deformation: Deformation, eps: float, rng: np.random.Generator
) -> float:
    """N_equiv by the exact ratio, (K1 / TV)^2; not a number where the density is not known."""
    if deformation.log_prob is None:
        return float("nan")
    true = mixture(dim)
    x = true.draw(rng, 2 * config.n)
    y = deformation.apply(true.draw(rng, 2 * config.n), eps, rng)
    ratios = [deformation.log_prob(events, eps) - true.log_prob(events) for events in (x, y)]
    distance = np.tanh(np.abs(np.concatenate(ratios)) / 2).mean()  # |q - p| / (q + p)
    return float((K1 / distance) ** 2)


def _once(each: Measured, generated: np.ndarray, holdout: np.ndarray) -> float:
    if each.unbiased is not None:
        return each.unbiased(generated, holdout)
    pool = pooled(generated, holdout)
    distance = each.statistic.prepare(pool, 0)(pool.difference[None])[0]
    return each.statistic.quoted(float(distance), pool)


def _rows(dim: int, name: str, powers: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    lists = {key: values.tolist() for key, values in powers.items()}
    for kind, row in zip(deformations(dim), zip(*lists.values(), strict=True), strict=True):
        known = {
            key: None if np.isnan(value) else value for key, value in zip(lists, row, strict=True)
        }
        yield {"dim": dim, "statistic": name, "deformation": kind} | known


if __name__ == "__main__":
    study.run(main, has_tasks=True)
