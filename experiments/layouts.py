"""Files as they are published: calorimeter showers laid out as dataset 1 of the CaloChallenge
(arXiv:2410.21611) and jets as in JetNet (arXiv:2106.11535), two generators of each, and what
`amplify compare` says of them.

Showers and jets are toys whose latent numbers have tails and correlations. The first generator
learns one Gaussian of the latent numbers, the second a mixture of four. Both are then written to
files of the published layouts and compared in the physics that the shipped functions make of them.
Run `python -m experiments.layouts --preset full`. Nothing was chosen by what it shows.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import h5py
import numpy as np
from sklearn.mixture import GaussianMixture

from amplify.analysis.compare import compare
from amplify.devices import use_all_cores
from experiments import study

_VOXELS = (8, 160, 190, 5, 5)  # of layers 0, 1, 2, 3 and 12
_PARTICLES = 30
_COMPONENTS = {"Gaussian": 1, "mixture": 4}


@dataclass(frozen=True)
class Config:
    """Events that generators learn from, make, and are compared with."""

    n_train: int = 2000
    n_gen: int = 5000
    n_holdout: int = 5000
    statistics: tuple[str, ...] = (
        "mean_ks",
        "sliced_wasserstein",
        "separation",
        "frechet",
        "quartic_mmd",
        "auc",
    )
    permutations: int = 200
    seed: int = 1


PRESETS = {
    "smoke": Config(200, 400, 400, statistics=("mean_ks",), permutations=19),
    "quick": Config(n_gen=2000, n_holdout=2000, permutations=100),
    "full": Config(),
}


class Layout(NamedTuple):
    """A kind of file.

    Attributes:
        title: for figures.
        latent: rng, n -> true latent numbers [n, k], real ones.
        write: path, latent numbers, rng -> a file of that layout.
        observables: the shipped function that reads it.
    """

    title: str
    latent: Callable[[np.random.Generator, int], np.ndarray]
    write: Callable[[Path, np.ndarray, np.random.Generator], None]
    observables: str


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick and full a minute on one core.
        out: default amplify-runs/layouts-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"layouts-{preset}"
    study.claim(out, config)
    found = {}
    for name in LAYOUTS:
        path = out / "parts" / f"{name}.npz"
        rows = study.cached(path, partial(_columns, config, name, out))
        found[name] = [
            {key: _plain(value) for key, value in zip(rows, row, strict=True)}
            for row in zip(*(values.tolist() for values in rows.values()), strict=True)
        ]
        print(name, f"{found[name][0]['seconds']:.0f} s")
        for row in found[name]:
            print("  ", row)
    path = out / "results.json"
    command = f"python -m experiments.layouts --preset {preset}"
    study.record(path, command, config, found, [])
    print(path)
    return path


def _columns(config: Config, name: str, out: Path) -> dict[str, np.ndarray]:
    """The records of both generators in all statistics, as columns; files are left in OUT/files."""
    started = time.process_time()
    layout, files = LAYOUTS[name], out / "files" / name
    files.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([config.seed, len(name)])
    layout.write(files / "holdout.hdf5", layout.latent(rng, config.n_holdout), rng)
    training = layout.latent(rng, config.n_train)
    for generator, components in _COMPONENTS.items():
        model = GaussianMixture(components, random_state=config.seed, reg_covar=1e-5)
        latent = rng.permutation(model.fit(training).sample(config.n_gen)[0])
        layout.write(files / f"{generator}.hdf5", latent, rng)
    result = compare(
        {generator: files / f"{generator}.hdf5" for generator in _COMPONENTS},
        files / "holdout.hdf5",
        n_train=config.n_train,
        statistics=config.statistics,
        observables=layout.observables,
        permutations=config.permutations,
        local=False,
        seed=config.seed,
    )
    rows = [_row(record) for record in result.records]
    seconds = time.process_time() - started
    return {key: np.array([row[key] for row in rows]) for key in rows[0]} | {
        "seconds": np.full(len(rows), seconds)
    }


def _row(record: dict[str, Any]) -> dict[str, Any]:
    low, high = record["n_equiv_interval"]
    numbers = {name: record[name] for name in ("value", "p", "n_equiv")}
    numbers |= {"low": low, "high": high}
    known = {key: np.nan if x is None else float(x) for key, x in numbers.items()}
    return {"generator": record["generator"], "statistic": record["statistic"]} | known


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _showers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Log of the incident energy, of the response, and of the sharing among layers."""
    energy = rng.uniform(np.log(2.0**12), np.log(2.0**15), n)
    width = 0.05 + 2 / np.exp(energy / 2)
    response = np.log(0.9) + width * (rng.gamma(8, 1, n) - 8) / np.sqrt(8)
    depth = 0.5 * (energy - np.log(4096))[:, None] * [-1, -1, 0.5, 0.5]
    ratios = depth + [1, 2, 3, 0] + 0.4 * rng.standard_t(6, (n, 4))
    return np.column_stack([energy, response, ratios])


def _write_showers(path: Path, latent: np.ndarray, rng: np.random.Generator) -> None:
    """`incident_energies` [n, 1] and `showers` [n, 368], layer by layer."""
    energy, n = np.exp(latent[:, 0]), len(latent)
    shares = np.exp(np.column_stack([latent[:, 2:], np.zeros(n)]))
    shares *= (energy * np.exp(latent[:, 1]) / shares.sum(axis=1))[:, None]
    layers = []
    for share, voxels in zip(shares.T, _VOXELS, strict=True):
        cells = rng.exponential(np.exp(-3 * np.arange(voxels) / voxels), (n, voxels))
        cells[cells < 0.1] = 0  # below the threshold of a cell
        sums = np.maximum(cells.sum(axis=1), 1e-9)
        layers.append((share / sums)[:, None] * cells)
    with h5py.File(path, "w") as file:
        file["incident_energies"] = energy[:, None]
        file["showers"] = np.concatenate(layers, axis=1).astype(np.float32)


def _jets(rng: np.random.Generator, n: int) -> np.ndarray:
    """Number of particles, log of the angle between two prongs, logit of their sharing."""
    count = rng.poisson(18, n) + rng.poisson(4, n) + rng.uniform(-0.5, 0.5, n)
    opening = np.log(0.15) + 0.15 * rng.standard_t(5, n)
    share = rng.beta(4, 4, n)
    return np.column_stack([count, opening, np.log(share / (1 - share))])


def _write_jets(path: Path, latent: np.ndarray, rng: np.random.Generator) -> None:
    """`particle_features` [n, 30, 4]: eta and phi relative to the jet, share of pT, mask."""
    n = len(latent)
    count = np.clip(np.round(latent[:, 0]), 3, _PARTICLES)[:, None]
    opening, share = np.exp(latent[:, 1:2]), 1 / (1 + np.exp(-latent[:, 2:3]))
    angle = rng.uniform(-np.pi, np.pi, (n, 1))
    second = rng.random((n, _PARTICLES)) < share
    along = opening * np.where(second, 1 - share, -share)
    there = np.arange(_PARTICLES) < count
    eta, phi = (along * f(angle) + rng.normal(0, 0.02, second.shape) for f in (np.cos, np.sin))
    pt = rng.exponential(1, second.shape) * there
    columns = [eta * there, phi * there, pt / pt.sum(axis=1, keepdims=True), there]
    with h5py.File(path, "w") as file:
        file["particle_features"] = np.stack(columns, axis=-1).astype(np.float32)


LAYOUTS = {
    "calochallenge": Layout(
        "showers", _showers, _write_showers, "amplify.examples.calorimeter:shower_features"
    ),
    "jetnet": Layout("jets", _jets, _write_jets, "amplify.examples.jets:substructure"),
}


if __name__ == "__main__":
    study.run(main)
