"""The fitted Gaussian: how integrals over a generated sample approach the truth as it grows
(figures 1 and 2 of the series).

Many experiments: draw n_train true events, fit mean and width, draw ever larger samples from the
fit, and compare integrals with the truth. The analytic curve is sigma_model^2 + I (1 - I) / n_gen
with the closed form of docs/method, Reference numbers, 5b.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from amplify import regions as rg
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.sampling import uniform_latents
from amplify.truth import gaussian
from experiments import study


@dataclass(frozen=True)
class Config:
    """Experiments with n_train events each, and samples of n_gen events from each fit."""

    n_train: int = 100
    experiments: int = 50
    bins: int = 10
    n_gen: tuple[int, ...] = tuple(int(n) for n in np.geomspace(10, 1e6, 26))
    seed: int = 0


PRESETS = {
    "smoke": Config(experiments=5, n_gen=(10, 100, 1000)),
    "quick": Config(experiments=20),
    "full": Config(),
    "paper": Config(n_gen=tuple(int(n) for n in np.geomspace(10, 1e7, 31))),
}


def main(
    preset: Literal["smoke", "quick", "full", "paper"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json; full takes about a minute.

    Args:
        preset: size of the study.
        out: default amplify-runs/gaussian-PRESET.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"gaussian-{preset}"
    study.claim(out, config)
    edges = np.concatenate([[-np.inf], norm.ppf(np.arange(1, config.bins) / config.bins), [np.inf]])
    regions = rg.bins(rg.column(0), edges, "z")
    truth = np.full(config.bins, 1 / config.bins)
    key_data, key_sample = jax.random.split(jax.random.key(config.seed))
    generator = fitted_gaussian()
    squared = np.empty((config.experiments, len(config.n_gen), config.bins))
    true_squared = np.empty_like(squared)
    for e in range(config.experiments):
        x = gaussian.sample(jax.random.fold_in(key_data, e), gaussian.Gaussian(), n=config.n_train)
        params = maximum_likelihood(x)
        u = uniform_latents(jax.random.fold_in(key_sample, e), max(config.n_gen), 1)
        key = jax.random.fold_in(key_sample, 10**6 + e)
        fresh = gaussian.sample(key, gaussian.Gaussian(), n=max(config.n_gen))
        n = np.asarray(config.n_gen)
        for sample, errors in ((generator.sample(params, u), squared), (fresh, true_squared)):
            inside = np.asarray(regions.contains(np.asarray(sample)))
            counted = inside.cumsum(axis=0, dtype=np.int32)
            errors[e] = (counted[n - 1] / n[:, None] - truth) ** 2
    low, high = jnp.asarray(edges[:-1]), jnp.asarray(edges[1:])
    model = np.asarray(gaussian.fit_variance(low, high), float) / config.n_train
    result = {
        "n_train": config.n_train,
        "n_gen": config.n_gen,
        "regions": regions.labels,
        "truth": truth,
        "sigma_model_squared": model,
        "generated": squared.mean(axis=(0, 2)),
        "generated_error": _error_of_mean(squared.mean(axis=2)),
        "true": true_squared.mean(axis=(0, 2)),
        "true_error": _error_of_mean(true_squared.mean(axis=2)),
        "generated_per_region": squared.mean(axis=0),
        "amplification": np.asarray(gaussian.amplification(low, high), float),
    }
    path = out / "results.json"
    study.record(path, f"python -m experiments.gaussian --preset {preset}", config, result, [])
    print(path)
    return path


def _error_of_mean(values: np.ndarray) -> np.ndarray:
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    study.run(main)
