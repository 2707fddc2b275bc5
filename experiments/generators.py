"""Which generator when: every generator of the package on densities that are known, in 2 to 64
dimensions, and on observables of top pairs.

For each, from a few training sets: means over columns of the Wasserstein-1 distance and of the
Kolmogorov-Smirnov distance, and the Frobenius norm of the difference of correlation matrices
(arXiv:2302.12024), beside those of true events; what a member is worth, in bins of observables and
event by event; and its time. Run `python -m experiments.generators --preset full --data events.h5`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from amplify import regions as rg
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import learned_amplification
from amplify.generators.affine_flow import AffineConfig, affine_flow
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.diffusion import diffusion
from amplify.generators.flow_matching import vector_flow
from amplify.generators.gan import GANConfig, gan
from amplify.generators.gaussian_mixture import gaussian_mixture
from amplify.generators.kernel_density import kernel_density
from amplify.generators.masked_autoregressive_flow import (
    MaskedFlowConfig,
    masked_autoregressive_flow,
)
from amplify.generators.mixture_density import MixtureDensityConfig, mixture_density
from amplify.generators.runge_kutta import Solver
from amplify.generators.vae import VAEConfig, vae
from amplify.sampling import sample_members
from amplify.summaries.default import learned_ratio
from amplify.training.fit import FitConfig, fit_members
from amplify.training.trained import Ensemble
from amplify.types import Events, Generator
from experiments import study
from experiments.problems import PROBLEMS, Problem, top_pairs

LIMIT_LEVEL = 0.95  # of the claim G < X where the density is not known
TRUTH = "true events"  # the row of what a perfect generator would have
TOP_PAIRS = "top_pairs"
FLOW_STEPS = 10  # of Runge-Kutta
_MOST_DIM = 16  # beyond, the exact divergence of a velocity costs too much


class Kind(NamedTuple):
    """A generator as it is compared.

    Attributes:
        make: (training events, hidden layers) -> Generator.
        training: what its training has else than the others.
        integrates: its density costs a flow's integration.
    """

    make: Callable[[np.ndarray, tuple[int, ...]], Generator]
    training: dict[str, Any] = {}
    integrates: bool = False


# learning rates, and what else differs, were chosen on rings in 2 dimensions, seeds 900 to 902.
KINDS = {
    "coupling_flow": Kind(lambda x, h: coupling_flow(x, FlowConfig(hidden=h))),
    "autoregressive_flow": Kind(lambda x, h: autoregressive_flow(x, AutoregressiveConfig(h))),
    "affine_flow": Kind(lambda x, h: affine_flow(x, AffineConfig(hidden=h))),
    "masked_autoregressive_flow": Kind(
        lambda x, h: masked_autoregressive_flow(x, MaskedFlowConfig(hidden=h))
    ),
    "vector_flow": Kind(lambda x, h: vector_flow(x, h, solver=Solver(FLOW_STEPS)), {}, True),
    "diffusion": Kind(lambda x, h: diffusion(x, h, solver=Solver(FLOW_STEPS)), {}, True),
    "mixture_density": Kind(lambda x, h: mixture_density(x, MixtureDensityConfig(h))),
    "gaussian_mixture": Kind(lambda x, h: gaussian_mixture(x)),
    "kernel_density": Kind(lambda x, h: kernel_density(x)),
    "vae": Kind(lambda x, h: vae(x, VAEConfig(h, h))),
    "gan": Kind(
        lambda x, h: gan(x, GANConfig(h, h)),
        {"schedule": "constant", "average": 0.998, "learning_rate": 1e-3},
    ),
}


@dataclass(frozen=True)
class Config:
    """Sizes; the learning rate is that of `FitConfig` where a kind does not say otherwise."""

    cells: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
        (problem, tuple(KINDS)) for problem in ("ring2", "mog4", TOP_PAIRS, "mog16", "mog64")
    )  # of each problem, which kinds
    n_train: int = 10_000
    sets: int = 4
    steps: int = 2_000
    batch: int = 256
    hidden: tuple[int, ...] = (64, 64)
    generated: int = 1 << 16  # by the member of each set, from Sobol points
    compared: int = 1 << 16  # true events behind the distances of columns
    tested: int = 4_000  # true events at which densities are compared
    holdout: int = 20_000  # true events of a learned limit
    seed: int = 1


PRESETS = {
    "smoke": Config(
        cells=(("ring2", ("gaussian_mixture",)),),
        n_train=500,
        sets=2,
        steps=20,
        hidden=(8,),
        generated=1 << 10,
        compared=1 << 10,
        tested=200,
        holdout=600,
    ),
    "quick": Config(
        sets=3,
        steps=1_000,
        hidden=(32, 32),
        generated=1 << 14,
        compared=1 << 14,
        tested=1_000,
        holdout=6_000,
    ),
    "full": Config(),
}


def main(
    preset: Literal["smoke", "quick", "full"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick (the cells that are recorded) five minutes of a
            core, full some two hours.
        out: default amplify-runs/generators-PRESET; finished cells found there are used again.
        data: events of `amplify ttbar`; without them, top pairs are left out.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"generators-{preset}"
    study.claim(out, config, {"data": None if data is None else data.name})
    table = []
    for name, kinds in config.cells:
        if name == TOP_PAIRS and data is None:
            continue
        problem = top_pairs(data) if name == TOP_PAIRS and data else PROBLEMS[name]
        for kind in (TRUTH, *kinds):
            path = out / "parts" / f"{name}-{kind}.npz".replace(" ", "-")
            columns = study.cached(path, partial(_cell, config, problem, kind))
            row = _summarised(config, problem, kind, columns)
            table.append(row)
            print({key: value for key, value in row.items() if key != "factors"}, flush=True)
    path = out / "results.json"
    command = f"python -m experiments.generators --preset {preset}"
    if data is not None:
        command += f" --data {data.name}"
    study.record(path, command, config, {"table": table}, [])
    print(path)
    return path


def _cell(config: Config, problem: Problem, kind: str) -> dict[str, np.ndarray]:
    """Arrays [set, ...] of one generator on one problem; nan for what it has not."""
    rng = np.random.default_rng([config.seed, *problem.name.encode()])
    training = [problem.draw(rng, config.n_train) for _ in range(config.sets)]
    true = problem.draw(rng, config.compared).astype(np.float32)
    tested = problem.draw(rng, config.tested).astype(np.float32)
    holdout = problem.draw(rng, config.holdout).astype(np.float32)
    if kind == TRUTH:
        generated = np.stack([problem.draw(rng, config.generated) for _ in training])
        nothing = np.full(config.sets, np.nan)
        found = {"fit_seconds": np.nan, "sample_seconds": np.nan}
        found |= {"distance": nothing, "limit": np.nan}
    else:
        fitted, fit_seconds = _trained(config, kind, training)
        key = jax.random.key(config.seed + 1)
        generated, sample_seconds = _timed(partial(_generated, key, fitted, config.generated))
        found = {"fit_seconds": fit_seconds, "sample_seconds": sample_seconds}
        distance = _distances(problem, KINDS[kind], fitted, tested)
        # one learned limit, of the first member: it takes as long as a training
        unknown = np.isnan(distance).all()
        limit = _learned_limit(config, generated[0], holdout) if unknown else np.nan
        found |= {"distance": distance, "limit": limit}
    regions = problem.regions
    inside = [rg.fractions(rg.count(regions, x)).integral for x in generated]
    distances = np.array([_of_columns(x, true) for x in generated])
    return {name: np.asarray(value, float) for name, value in found.items()} | {
        "integral": np.stack(inside),
        "wasserstein": distances[:, 0],
        "ks": distances[:, 1],
        "correlations": distances[:, 2],
    }


def _trained(config: Config, kind: str, training: list[np.ndarray]) -> tuple[Ensemble, float]:
    """A member for each training set, and CPU seconds of one, without those of compiling."""
    x = np.concatenate(training).astype(np.float32)
    generator = KINDS[kind].make(training[0], config.hidden)
    rows = np.arange(len(x)).reshape(config.sets, -1)
    settings = FitConfig(config.steps, config.batch)._replace(**KINDS[kind].training)
    keys = jax.random.split(jax.random.key(config.seed), config.sets)
    clock: list[tuple[int, float]] = []

    def heard(step: int, steps: int, *said: Any) -> None:
        clock.append((step, time.process_time()))

    def train() -> Ensemble:
        return fit_members(keys, generator, x, rows, config=settings, progress=heard)

    fitted = train()
    if generator.fit is not None:  # the first call compiled
        start = time.process_time()
        jax.block_until_ready(train().params)
        return fitted, (time.process_time() - start) / config.sets
    (first, start), (last, end) = clock[0], clock[-1]
    per_step = (end - start) / max(last - first, 1)
    return fitted, per_step * config.steps / config.sets


def _generated(key: Any, fitted: Ensemble, n: int) -> np.ndarray:
    samples = sample_members(key, fitted.generator, fitted.params, n, sobol=True)
    return np.asarray(samples.x)


def _timed(generate: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Events [set, event, dim], and CPU seconds for 1e5 of them."""
    generate()  # compiles
    start = time.process_time()
    x = generate()
    return x, (time.process_time() - start) / x.shape[0] / x.shape[1] * 1e5


def _distances(problem: Problem, kind: Kind, fitted: Ensemble, tested: np.ndarray) -> np.ndarray:
    """D_inf of each member, the total variation distance E_true[max(0, 1 - p_gen / p_true)]."""
    too_long = kind.integrates and problem.dim > _MOST_DIM
    if problem.log_prob is None or fitted.generator.log_prob is None or too_long:
        return np.full(len(fitted), np.nan)
    log_p = problem.log_prob(tested.astype(np.float64))
    missing = -np.expm1(np.asarray(fitted.log_prob(tested), np.float64) - log_p[None])
    return np.maximum(missing, 0).mean(axis=1)


def _learned_limit(config: Config, generated: np.ndarray, holdout: np.ndarray) -> float:
    """The largest G that a learned summary leaves, at LIMIT_LEVEL."""
    estimate, _ = learned_amplification(
        learned_ratio(),
        Events(generated),
        Events(holdout),
        n_train=config.n_train,
        seed=config.seed,
        limit_level=LIMIT_LEVEL,
    )
    return float(np.asarray(estimate.factor.high)[0])


def _of_columns(x: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Mean Wasserstein-1 distance, in standard deviations of the columns, mean KS distance, and the
    Frobenius norm of the difference of correlations.
    """
    pairs = list(zip(x.T, true.T, strict=True))
    wasserstein = [wasserstein_distance(a, b) / b.std() for a, b in pairs]
    ks = [ks_2samp(a, b, method="asymp").statistic for a, b in pairs]  # pyright: ignore[reportAttributeAccessIssue]
    of_x, of_true = (np.corrcoef(events.T) for events in (x, true))
    return float(np.mean(wasserstein)), float(np.mean(ks)), float(np.linalg.norm(of_x - of_true))


def _summarised(
    config: Config, problem: Problem, kind: str, columns: dict[str, np.ndarray]
) -> dict[str, Any]:
    """A row of the table: means over sets. G of integrals is pooled over bins: few sets say little
    of each.
    """
    truth = problem.truth
    square = ((columns["integral"] - truth) ** 2).mean(axis=0)
    binomial = truth * (1 - truth) / config.n_train
    # of the mean square of integrals that hang together: from one set to another
    of_sets = ((columns["integral"] - truth)[:, problem.bulk] ** 2).sum(axis=1)
    pooled = binomial[problem.bulk].sum() / of_sets.mean()
    error = pooled * of_sets.std(ddof=1) / of_sets.mean() / np.sqrt(config.sets)
    distance = columns["distance"]
    known = bool(np.isfinite(distance).all())
    row: dict[str, Any] = {"problem": problem.name, "dim": problem.dim, "generator": kind}
    for name in ("wasserstein", "ks", "correlations"):
        row[name] = float(columns[name].mean())
    row["averaging"] = float(pooled)
    row["averaging_error"] = float(error)
    row["averaging_tails"] = float(binomial[problem.tail].sum() / square[problem.tail].sum())
    row["factors"] = (binomial / square).tolist()
    row["differential"] = float(np.mean((K1 / distance) ** 2) / config.n_train) if known else None
    limit = float(columns["limit"])
    row["differential_below"] = limit if np.isfinite(limit) else None
    for name in ("fit_seconds", "sample_seconds"):
        row[name] = float(columns[name]) if np.isfinite(columns[name]) else None
    return row


if __name__ == "__main__":
    study.run(main)
