"""Two choices behind the Frechet distance and the Gaussian MMD.

"extrapolation": published values of the unbiased Frechet distance come from a fit to 20 random
subsamples of ten sizes, ours from the second derivative of the distance. Both for the same pairs of
samples without a difference, on the mixtures of arXiv:2409.16336: how much the subsamples add to
the spread, and to the threshold that 95 % of all pairs stay below.

"bandwidths": how often each way of joining several bandwidths sees a difference at p <= .05, beside
single bandwidths and unbiased values over their null spread, as MMD-FUSE (arXiv:2306.08777) joins
them. These seeds, 900 and above, and these problems served for the choice.

Run `python -m experiments.kernels --preset full`.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from amplify.devices import use_all_cores
from amplify.estimators.statistics.gaussian import nystrom, squared_mmd
from amplify.estimators.statistics.moments import frechet
from amplify.estimators.statistics.protocol import Pooled, pooled
from experiments import study
from experiments.gaussian_mixtures import mixture
from experiments.published_thresholds import THRESHOLDS

_SIZES, _SUBSAMPLES = 10, 20  # of the published fit
_PROBLEMS = ("none", "shift", "width", "bump", "waves")


@dataclass(frozen=True)
class Config:
    """Pairs of samples, by dimension, and repetitions of each problem."""

    dims: tuple[int, ...] = (5, 20)
    n: int = 10_000
    pairs: tuple[int, ...] = (400, 100)
    population: int = 100_000
    limit: int = 100_000
    problem_dims: tuple[int, ...] = (2, 5)
    repetitions: int = 100
    events: int = 1000
    permutations: int = 99
    seed: int = 1


PRESETS = {
    "smoke": Config(
        dims=(5,),
        n=200,
        pairs=(4,),
        population=1000,
        limit=1000,
        problem_dims=(2,),
        repetitions=1,
        events=100,
    ),
    "quick": Config(dims=(5,), pairs=(40,), repetitions=10),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick half a minute, full five minutes on one core.
        out: default amplify-runs/kernels-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"kernels-{preset}"
    study.claim(out, config)
    found: dict[str, Any] = {"extrapolation": [], "bandwidths": []}
    for dim, pairs in zip(config.dims, config.pairs, strict=True):
        part = study.cached(out / "parts" / f"fit-{dim}.npz", partial(_fits, config, dim, pairs))
        found["extrapolation"].append(_extrapolated(dim, part))
        print(found["extrapolation"][-1], flush=True)
    for dim in config.problem_dims:
        part = study.cached(out / "parts" / f"powers-{dim}.npz", partial(_powers, config, dim))
        for way, values in part.items():
            powers = dict(zip(_PROBLEMS, (values <= 0.05).mean(axis=0).tolist(), strict=True))
            found["bandwidths"].append({"dim": dim, "way": way} | powers)
            print(found["bandwidths"][-1], flush=True)
    path = out / "results.json"
    study.record(path, f"python -m experiments.kernels --preset {preset}", config, found, [])
    print(path)
    return path


def _fits(config: Config, dim: int, pairs: int) -> dict[str, np.ndarray]:
    """Of pairs of samples: our value, and that of the fit; and values of the limit of many events,
    in which the distance is a sum of squares of normal numbers.
    """
    model, ours, fitted = mixture(dim), [], []
    for number in range(pairs):
        rng = np.random.default_rng([config.seed, dim, number])
        x, y = model.draw(rng, config.n), model.draw(rng, config.n)
        ours.append(frechet(x, y))
        fitted.append(_fit_to_subsamples(x, y, rng))
    rng = np.random.default_rng([config.seed, dim])
    variances = _principal_variances(model.draw(rng, config.population))
    squares = rng.chisquare(1, (config.limit, len(variances))) - 1
    arrays = {"ours": ours, "fitted": fitted, "limit": 2 / config.n * squares @ variances}
    return {key: np.asarray(value) for key, value in arrays.items()}


def _principal_variances(x: np.ndarray) -> np.ndarray:
    """Near equal samples are apart by |difference of the means of f|^2, f being x and all x_j x_k
    over the root of 2 (l_j + l_k), in columns with the covariance diag(l).
    """
    x = x - x.mean(axis=0)
    value, vector = np.linalg.eigh(np.cov(x.T))
    x = x @ vector
    j, k = np.triu_indices(len(value))
    often = np.where(j == k, 0.5, 1.0)
    moments = np.concatenate(
        [x, x[:, j] * x[:, k] * np.sqrt(often / (value[j] + value[k]))], axis=1
    )
    return np.linalg.eigvalsh(np.cov(moments.T))


def _fit_to_subsamples(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> float:
    """What a fit a + s / N finds for a: to 20 subsamples of each of ten sizes N from n / 3 to n,
    drawn without replacement (the code of arXiv:2409.16336).
    """
    n = min(len(x), len(y))
    sizes = np.repeat((1 / np.linspace(3 / n, 1 / n, _SIZES)).astype(int), _SUBSAMPLES)
    means, covariances = zip(*(_moments(s, sizes, rng) for s in (x, y)), strict=True)
    roots = []
    for covariance in covariances:
        value, vector = np.linalg.eigh(covariance)
        roots.append((vector * np.sqrt(np.maximum(value, 0))[:, None]) @ vector.swapaxes(1, 2))
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum(axis=1)
    traces = sum(np.trace(c, axis1=1, axis2=2) for c in covariances)
    values = ((means[0] - means[1]) ** 2).sum(axis=1) + traces - 2 * overlap
    return float(np.polyfit(1 / sizes, values, 1)[1])


def _moments(
    x: np.ndarray, sizes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of random subsamples of these sizes."""
    first, second = np.triu_indices(x.shape[1])
    near = x - x.mean(axis=0)
    features = np.concatenate([near, near[:, first] * near[:, second]], axis=1)
    chosen = np.zeros((len(sizes), len(x)))
    for row, size in zip(chosen, sizes, strict=True):
        row[rng.permutation(len(x))[:size]] = 1 / size
    sums = chosen @ features
    dim = x.shape[1]
    mean, covariance = sums[:, :dim], np.empty((len(sizes), dim, dim))
    covariance[:, first, second] = covariance[:, second, first] = sums[:, dim:]
    covariance -= mean[:, :, None] * mean[:, None]
    return mean + x.mean(axis=0), covariance * (sizes / (sizes - 1))[:, None, None]


def _extrapolated(dim: int, part: dict[str, np.ndarray]) -> dict[str, Any]:
    """Thresholds without and with the spread that subsamples add, which grows with the value."""
    ours, limit, added = part["ours"], part["limit"], part["fitted"] - part["ours"]
    spread = np.sqrt(np.maximum(np.polyval(np.polyfit(ours, added**2, 1), limit), 0))
    published, rng = THRESHOLDS["frechet"][dim], np.random.default_rng(0)
    exact = float(np.quantile(limit, 0.95))
    with_fits = float(np.quantile(limit + spread * rng.normal(size=limit.size), 0.95))
    return {
        "dim": dim,
        "pairs": len(ours),
        "mean_difference": float(added.mean()),
        "its_error": float(added.std(ddof=1) / np.sqrt(len(added))),
        "spread": float(ours.std(ddof=1)),
        "spread_of_limit": float(limit.std()),
        "added_spread": float(added.std(ddof=1)),
        "threshold": exact,
        "threshold_with_subsamples": with_fits,
        "published": published,
        "ratio": exact / published,
        "ratio_with_subsamples": with_fits / published,
    }


def _powers(config: Config, dim: int) -> dict[str, np.ndarray]:
    """p-values [repetition, problem] of each way."""
    found: dict[str, list[list[float]]] = {}
    for number in range(config.repetitions):
        rows: dict[str, list[float]] = {}
        for problem in _PROBLEMS:
            rng = np.random.default_rng([900, dim, number])
            pool = pooled(*_samples(problem, rng, config.events, dim))
            differences = np.concatenate(
                [pool.difference[None], _relabelled(rng, pool, config.permutations)]
            )
            for way, values in _ways(pool, number, differences).items():
                p = (values >= values[0] * (1 - 1e-9)).mean()
                rows.setdefault(way, []).append(float(p))
        for way, row in rows.items():
            found.setdefault(way, []).append(row)
    return {way: np.array(values) for way, values in found.items()}


def _samples(
    problem: str, rng: np.random.Generator, n: int, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true events, which are normal numbers."""
    x, y = rng.normal(size=(2, n, dim))
    if problem == "shift":
        x[:, 0] += 0.12
    elif problem == "width":
        x *= 1.06
    elif problem == "bump":
        some = slice(round(0.03 * n))
        x[some] = 1.0 + 0.15 * x[some]
    elif problem == "waves":
        x[:, 0] += 0.12 * np.sin(8 * x[:, 0])
    return x, y


def _relabelled(rng: np.random.Generator, pool: Pooled, number: int) -> np.ndarray:
    return rng.permuted(np.repeat(pool.difference[None], number, axis=0), axis=1)


def _ways(pool: Pooled, seed: int, differences: np.ndarray) -> dict[str, np.ndarray]:
    """What each way makes of the squared MMD in six bandwidths [experiment]."""
    of = nystrom(pool, seed)
    squared = squared_mmd(of, differences)
    norms, traces, diagonal = [], [], []
    for features in of.features:
        covariance = features.T @ (pool.weight[:, None].astype("f4") * features)
        traces.append(np.trace(covariance))
        norms.append(np.sqrt((covariance**2).sum()))
        diagonal.append(differences**2 @ (features**2).sum(axis=1))
    unbiased = (squared - np.stack(diagonal, axis=1)) / norms
    names = ("smallest bandwidth", "second", "third", "fourth", "fifth", "largest bandwidth")
    return {
        "largest over quantile": (squared / of.quantile).max(axis=1),
        "largest over mean": (squared / traces).max(axis=1),
        "mean over mean": (squared / traces).mean(axis=1),
        "unbiased, largest over spread": unbiased.max(axis=1),
        "unbiased, fourth powers": (np.maximum(unbiased, 0) ** 4).mean(axis=1),
    } | {name: squared[:, k] for k, name in enumerate(names)}


if __name__ == "__main__":
    study.run(main)
