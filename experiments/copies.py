"""Are generators caught that copy their training events, and honest ones left alone?

Copying ones: a bootstrap of the training events, kernel densities of small widths, a generator of
which every fourth event is a copy. Honest ones: true events, a mixture of Gaussians, wrong
densities that know nothing of the training events, a smooth fit of a wrong family, a kernel density
of its best width, a normalising flow. Beside it the power against the width of a kernel density,
and the rate of boxes that the local test names where there is no difference.

Run `python -m experiments.copies --preset full`. Shares and thresholds were chosen on seeds from
900 on.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.mixture import GaussianMixture

import amplify
from amplify.devices import use_all_cores
from amplify.estimators.copies import Copies, copies
from amplify.estimators.local import local_test
from amplify.generators.affine_flow import affine_flow
from amplify.types import Generator
from experiments import study
from experiments.problems import PROBLEMS

Draw = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]
_BATCH = 50  # runs of one part


@dataclass(frozen=True)
class Config:
    """Runs of each generator, sizes, and widths in units of the best one of a Gaussian."""

    problems: tuple[str, ...] = ("correlated5", "shell3")
    runs: int = 300
    width_runs: int = 40
    flow_runs: int = 12
    null_runs: int = 250
    n_train: int = 1000
    n_holdout: int = 1000
    n_gen: int = 1000
    widths: tuple[float, ...] = (1.5, 1.0, 0.75, 0.5, 0.35, 0.25, 0.1, 0.05, 0.01)
    level: float = 0.05
    seed: int = 1


PRESETS = {
    "smoke": Config(
        problems=("banana",),
        runs=2,
        width_runs=2,
        flow_runs=0,
        null_runs=2,
        n_train=200,
        n_holdout=200,
        n_gen=300,
        widths=(1.0, 0.1),
    ),
    "quick": Config(runs=50, width_runs=10, flow_runs=0, null_runs=50),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick two minutes, full ten on one core.
        out: default amplify-runs/copies-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"copies-{preset}"
    study.claim(out, config)
    found: dict[str, Any] = {"flagged": {}, "widths": {}, "local": {}}
    for problem in config.problems:
        found["flagged"][problem] = {
            name: _flagged(config, out, problem, name, draw, config.runs)
            for name, draw in GENERATORS.items()
        }
        found["widths"][problem] = [
            {"width": width}
            | _flagged(config, out, problem, f"width-{width}", _kernel(width), config.width_runs)
            for width in config.widths
        ]
        print(problem, {name: case["flagged"] for name, case in found["flagged"][problem].items()})
    if config.flow_runs:
        found["flagged"]["correlated5"]["flow"] = _flagged(
            config, out, "correlated5", "flow", _flow, config.flow_runs
        )
    found["local"] = _null_of_local_test(config, out)
    path = out / "results.json"
    study.record(path, f"python -m experiments.copies --preset {preset}", config, found, [])
    print(path)
    return path


def _flagged(
    config: Config, out: Path, problem: str, name: str, draw: Draw, runs: int
) -> dict[str, float]:
    """How often a generator is said to copy, with a holdout and without."""

    def part(start: int) -> dict[str, np.ndarray]:
        numbers = range(start, min(start + _BATCH, runs))
        return _columns([_one(config, problem, name, draw, k) for k in numbers])

    parts = [
        study.cached(out / "parts" / f"{problem}-{name}-{k}.npz", lambda k=k: part(k))
        for k in range(0, runs, _BATCH)
    ]
    columns = {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
    return {
        "runs": runs,
        "flagged": float(columns["copies"].mean()),
        "flagged_without_holdout": float(columns["copies_alone"].mean()),
        "share": float(columns["share"].mean()),
        "share_without_holdout": float(columns["share_alone"].mean()),
        "share_spread": float(columns["share"].std()),
        "error": float(columns["error"].mean()),
        "nearer": float(columns["nearer"].mean()),
        "distance_ratio": float(columns["ratio"].mean()),
        **{
            f"p_below_{level}": float((columns["p"] <= level).mean()) for level in (0.01, 0.05, 0.1)
        },
        "p_nearer_below_0.05": float((columns["p_nearer"] <= 0.05).mean()),
    }


def _one(config: Config, problem: str, name: str, draw: Draw, number: int) -> dict[str, float]:
    rng = np.random.default_rng([config.seed, number, zlib.crc32(f"{problem} {name}".encode())])
    true = PROBLEMS[problem].draw(rng, config.n_train + config.n_holdout)
    train, holdout = true[: config.n_train], true[config.n_train :]
    known = PROBLEMS[problem].draw(rng, config.n_gen) if name in _OF_TRUTH else train
    x = draw(rng, known, config.n_gen)
    with_holdout = copies(x, train, holdout, seed=number)
    alone = copies(x, train, seed=number)
    return _numbers(with_holdout) | {f"{k}_alone": v for k, v in _numbers(alone).items()}


def _numbers(found: Copies) -> dict[str, float]:
    names = ("share", "error", "p", "nearer", "p_nearer", "ratio")
    return {"copies": float(found.copies)} | {name: getattr(found, name) for name in names}


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _bootstrap(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    return train[rng.integers(len(train), size=n)]


def _quarter(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    """A mixture of Gaussians of whose events every fourth is replaced by a copy."""
    x = _mixture(rng, train, n)
    return np.where(rng.random((n, 1)) < 0.25, _kernel(0.02)(rng, train, n), x)


def _kernel(width: float) -> Draw:
    """A Gaussian kernel density of this width, in units of the best one for a Gaussian (Silverman,
    1986).
    """

    def draw(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
        dim = train.shape[1]
        best = (4 / (dim + 2) / len(train)) ** (1 / (dim + 4))
        root = np.linalg.cholesky(np.cov(train.T))
        noise = rng.normal(size=(n, dim)) @ root.T
        return _bootstrap(rng, train, n) + width * best * noise

    return draw


def _mixture(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    seed = int(rng.integers(1 << 31))
    # tol: not to be told of fits that have not converged
    fitted = GaussianMixture(5, random_state=seed, tol=0.01, max_iter=200).fit(train)
    return rng.permutation(fitted.sample(n)[0])


def _gaussian(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    return rng.multivariate_normal(train.mean(axis=0), np.cov(train.T), n)


def _as_it_is(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    return train


def _too_narrow(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    return train.mean(axis=0) + 0.5 * (train - train.mean(axis=0))


def _lost_half(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    return train[train[:, 0] > np.median(train[:, 0])]


def _flow(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    """A normalising flow of affine couplings, with the training that amplify has by default."""
    import jax

    key = jax.random.key(int(rng.integers(1 << 31)))
    trained = amplify.fit(key, _flow_of_five_columns(), train)
    return np.asarray(trained.sample(key, n), np.float64)


@cache
def _flow_of_five_columns() -> Generator:
    """Compiled once: coordinates are those of events that serve for nothing else."""
    return affine_flow(PROBLEMS["correlated5"].draw(np.random.default_rng(0), 2000))


GENERATORS: dict[str, Draw] = {
    "bootstrap": _bootstrap,
    "narrow kernels": _kernel(0.05),
    "a quarter copied": _quarter,
    "true events": _as_it_is,
    "too narrow": _too_narrow,
    "half lost": _lost_half,
    "Gaussian": _gaussian,
    "mixture of Gaussians": _mixture,
    "best kernels": _kernel(1.0),
}
_OF_TRUTH = ("true events", "too narrow", "half lost")  # made of true events of their own


def _null_of_local_test(config: Config, out: Path) -> dict[str, float]:
    """How often the local test names a box where there is no difference; unequal samples of five
    correlated columns.
    """

    def part(start: int) -> dict[str, np.ndarray]:
        p, named = [], []
        for number in range(start, min(start + _BATCH, config.null_runs)):
            rng = np.random.default_rng([config.seed, number, 77])
            true = PROBLEMS["correlated5"].draw(rng, 500)
            settings: dict[str, Any] = {"permutations": 199, "level": config.level}
            found = local_test(true[:300], true[300:], seed=number, **settings)
            p.append(found.p)
            named.append(len(found.boxes) > 0)
        return {"p": np.array(p), "named": np.array(named)}

    parts = [
        study.cached(out / "parts" / f"local-{k}.npz", lambda k=k: part(k))
        for k in range(0, config.null_runs, _BATCH)
    ]
    p = np.concatenate([each["p"] for each in parts])
    named = np.concatenate([each["named"] for each in parts])
    rates = {f"p_below_{level}": float((p <= level).mean()) for level in (0.01, 0.05, 0.1)}
    return {"runs": len(p), "level": config.level, "named": float(named.mean())} | rates


if __name__ == "__main__":
    study.run(main)
