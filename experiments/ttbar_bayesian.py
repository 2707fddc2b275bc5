"""Bayesian networks on top pairs: what their draws claim about integrals, beside the bootstrap
members of `experiments.ttbar` (figures 12 and 13).

The spline flow of that study on its first training set, with a variational posterior and a chain;
priors, weights of the divergence and step sizes are the defaults, chosen on the ring. Figures put
the claims beside the actual errors of that study. Run `python -m experiments.ttbar_bayesian
--preset full --data top.h5`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from amplify.devices import use_all_cores
from amplify.generators.charts import helicity_chart
from amplify.results.records import finite
from amplify.sampling import sample_members
from amplify.training.config import FitConfig
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.training.trained import Ensemble
from amplify.training.variational import VariationalConfig, fit_variational
from amplify.ttbar import helicity
from experiments import study, ttbar, ttbar_analysis

FITS: dict[str, Callable[..., Ensemble]] = {
    "variational": fit_variational,
    "sgmcmc": fit_sgmcmc,
}


@dataclass(frozen=True)
class Config:
    """The events and the flow are those of `study`, of whose truth the first events are used."""

    study: ttbar.Config
    n_truth: int = 200_000
    members: int = 8
    n_gen: int = 50_000
    variational: VariationalConfig = VariationalConfig(fit=FitConfig(600, 512, 2e-3, 0.0))
    sgmcmc: SGMCMCConfig = SGMCMCConfig(start=FitConfig(600, 512, 2e-3, 2.0))
    seed: int = 0


def _only_spline(config: ttbar.Config) -> ttbar.Config:
    return replace(config, models={"spline": config.models["spline"]})


_SHORT = FitConfig(steps=10, batch=64)
PRESETS = {
    "smoke": Config(
        _only_spline(ttbar.PRESETS["smoke"]),
        n_truth=3_000,
        members=3,
        n_gen=500,
        variational=VariationalConfig(fit=_SHORT),
        sgmcmc=SGMCMCConfig(start=_SHORT, between=5),
    ),
    "quick": Config(_only_spline(ttbar.PRESETS["quick"]), members=4, n_gen=20_000),
    "full": Config(_only_spline(ttbar.PRESETS["full"])),
}


def main(
    preset: Literal["smoke", "quick", "full"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes a minute, full four of one core, and eight to simulate events.
        out: default amplify-runs/ttbar_bayesian-PRESET; finished parts found there are used again.
        data: events from `amplify ttbar`; default OUT/events.h5, simulated if missing.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"ttbar_bayesian-{preset}"
    study.claim(out, config, {"data": str(data) if data else None})
    events, source = ttbar.read_events(config.study, out, data)
    first = config.study.n_truth
    training = events[first : first + config.study.n_train]
    holdout = events[first + config.study.reserved :][: config.study.n_holdout]
    truth, held = (ttbar_analysis.table(e) for e in (events[: config.n_truth], holdout))
    regions = ttbar_analysis.study_regions(truth)
    integral_true = regions.contains(truth).mean(axis=0)
    found: dict[str, Any] = {"n_train": len(training), "regions": list(regions.labels)}
    for name in FITS:
        part = partial(_drawn, config, name, training)
        drawn = study.cached(out / "parts" / f"{name}.npz", part)
        observed = [ttbar_analysis.table(_momenta(x)) for x in drawn["x"]]
        # one training set: its own draws are compared with the truth
        counts = replace(config.study, sets=len(observed), n_truth=config.n_truth)
        averaging, _ = ttbar_analysis.averaging(
            replace(counts, bootstrap_members=len(observed)),
            [*observed, *observed],
            regions,
            integral_true,
            held,
        )
        found[name] = averaging | {"seconds": drawn["seconds"], "members": len(observed)}
        groups = averaging["groups"].items()
        print(name, {k: round(g["estimated"], 2) for k, g in groups}, flush=True)
    path = out / "results.json"
    command = f"python -m experiments.ttbar_bayesian --preset {preset}"
    study.record(path, command, config, ttbar_analysis.rounded(finite(found)), [], [source])
    print(path)
    return path


def _momenta(x: np.ndarray) -> np.ndarray:
    """Of generated events in helicity coordinates [event, 6, 4] in GeV."""
    x = x.astype(np.float64)
    cosines = list(helicity.COSINES)
    x[:, cosines] = np.clip(x[:, cosines], -1 + 1e-6, 1 - 1e-6)
    return helicity.from_helicity(x)


def _drawn(config: Config, name: str, training: np.ndarray) -> dict[str, np.ndarray]:
    """Generated events x [member, event, 17] of the draws."""
    started = time.process_time()
    x = jnp.asarray(helicity.to_helicity(training.astype(np.float64)), jnp.float32)
    model = config.study.models["spline"]
    generator = ttbar.generator_for(config.study, model, helicity_chart(), x)
    key = jax.random.fold_in(jax.random.key(config.seed), sum(name.encode()))
    key_fit, key_sample = jax.random.split(key)
    settings = getattr(config, name)
    drawn = FITS[name](key_fit, generator, x, members=config.members, config=settings)
    seconds = time.process_time() - started
    samples = sample_members(key_sample, generator, drawn.params, config.n_gen)
    return {"x": np.asarray(samples.x), "seconds": np.asarray(seconds)}


if __name__ == "__main__":
    study.run(main)
