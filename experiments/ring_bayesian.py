"""Bayesian networks on the Gaussian ring and shell: estimated against actual uncertainty of radial
integrals, beside the ensembles of `experiments.ring` (figures 4 and 5).

On the first training sets of that study, one variational posterior and one set of chains each, with
the defaults of `fit_variational` and `fit_sgmcmc`. The actual error is that of their own draws: a
posterior may be displaced as well as too narrow. Run `python -m experiments.ring_bayesian --preset
full`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.integrals import member_integrals
from amplify.training.config import FitConfig
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.training.trained import Ensemble
from amplify.training.variational import VariationalConfig, fit_variational
from amplify.types import Generator
from experiments import ring, study

FITS: dict[str, Callable[..., Ensemble]] = {
    "variational": fit_variational,
    "sgmcmc": fit_sgmcmc,
}


@dataclass(frozen=True)
class Config:
    """Training sets of the study of the ring, and draws on each of them. Settings are the defaults,
    chosen on other seeds.
    """

    cases: tuple[tuple[int, int], ...] = ((2, 1_000),)  # dim, n_train
    sets: int = 8
    members: int = 16
    sobol: int = 1 << 14
    flow: FlowConfig = FlowConfig()
    variational: VariationalConfig = VariationalConfig()
    sgmcmc: SGMCMCConfig = SGMCMCConfig()
    seed: int = 1


_SHORT = FitConfig(steps=10, batch=64)
PRESETS = {
    "smoke": Config(
        cases=((2, 300),),
        sets=2,
        members=3,
        sobol=1 << 10,
        flow=FlowConfig(2, (8,), 4),
        variational=VariationalConfig(fit=_SHORT),
        sgmcmc=SGMCMCConfig(start=_SHORT, between=5),
    ),
    "quick": Config(sets=4),
    "full": Config(),
    "large": Config(cases=((2, 1_000), (4, 1_000), (2, 10_000))),
}


def main(
    preset: Literal["smoke", "quick", "full", "large"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes half a minute, quick and full one and a half of one core; large has
            four dimensions and more events, six minutes.
        out: default amplify-runs/ring_bayesian-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"ring_bayesian-{preset}"
    study.claim(out, config)
    path, command = out / "results.json", f"python -m experiments.ring_bayesian --preset {preset}"
    cases: dict[str, Any] = {}
    for dim, n_train in config.cases:
        case = f"d{dim}-n{n_train}"
        edges, regions, truth = ring.layout(ring.Config(), dim)
        cases[case] = {
            "dim": dim,
            "n_train": n_train,
            "sets": config.sets,
            "members": config.members,
            "regions": regions.labels,
            "edges": edges,
            "tail_edges": ring.TAIL_EDGES,
            "truth": truth,
        }
        for name in FITS:
            drawn = [
                study.cached(
                    out / "parts" / f"{case}-{name}-{s:02d}.npz",
                    partial(_drawn, config, name, dim, n_train, s, regions),
                )
                for s in range(config.sets)
            ]
            cases[case] |= _summarised(name, drawn, truth, n_train)
            ratio = cases[case][f"{name}_over_own"]["value"]
            print(f"{case}: {name} estimated / actual {ratio:.2f}", flush=True)
        study.record(path, command, config, cases, [])  # of the cases that are finished
    print(path)
    return path


@cache
def _trained_on(dim: int, n_train: int, flow: FlowConfig) -> tuple[Any, Any, Generator]:
    """Training sets, keys, and a generator that is standardised by the first set, for all: its
    training is compiled once.
    """
    of_sets, keys = ring.training_sets(ring.Config(), dim, n_train)
    return of_sets, keys, coupling_flow(of_sets[0], flow)


def _drawn(
    config: Config, name: str, dim: int, n_train: int, number: int, regions: rg.Regions
) -> dict[str, np.ndarray]:
    """Integrals [member, region] of the draws on one training set."""
    started = time.process_time()
    of_sets, keys, generator = _trained_on(dim, n_train, config.flow)
    key = jax.random.fold_in(jax.random.fold_in(keys[1], list(FITS).index(name) + 1), number)
    key_fit, key_sample = jax.random.split(key)
    settings = getattr(config, name)
    drawn = FITS[name](key_fit, generator, of_sets[number], members=config.members, config=settings)
    trained = time.process_time() - started
    found = member_integrals(key_sample, generator, drawn.params, regions, config.sobol, sobol=True)
    return {"integral": found.integral, "seconds": np.asarray(trained)}


def _summarised(
    name: str, drawn: list[dict[str, np.ndarray]], truth: np.ndarray, n_train: int
) -> dict[str, Any]:
    """Estimated and actual uncertainty [region], and their ratios with errors over the sets."""
    integral = np.array([part["integral"] for part in drawn])
    found = study.calibrate(integral, integral, truth)
    first = len(truth) - len(ring.TAIL_EDGES)
    tail = first + ring.TAIL_EDGES.index(ring.RADIAL_TAIL)
    summary = {
        name: np.sqrt(found.bootstrap),
        f"{name}_actual": np.sqrt(found.actual),
        f"{name}_bias": np.sqrt(found.bias),
        f"{name}_seconds": float(np.median([part["seconds"] for part in drawn])),
    }
    for place, group in (("", slice(0, first)), ("_tail", slice(tail, tail + 1))):
        ratio = study.pooled_ratio("bootstrap", truth, group)
        summary[f"{name}_over_own{place}"] = study.over_sets(ratio, integral, integral)
        pooled = study.pooled_amplification("actual", truth, n_train, group)
        summary[f"{name}_amplification{place}"] = study.over_sets(pooled, integral, integral)
    return summary


if __name__ == "__main__":
    study.run(main)
