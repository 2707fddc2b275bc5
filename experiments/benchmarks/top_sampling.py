"""Sampling top pairs: CPU time of an event, and how far integrals move, by the number of
Runge-Kutta steps.

`python -m experiments.benchmarks.top_sampling --config.network lgatr` trains a network of the study
shortly and takes the same latents with ever fewer steps. Shifts are in units of sigma_n = sqrt(I (1
- I) / n_train), in which sigma_model is 1 / sqrt(G).
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from amplify import regions as rg
from amplify.generators.charts import helicity_chart
from amplify.sampling import sobol_latents
from amplify.training.fit import fit
from amplify.ttbar.partons import TtbarSettings, simulate
from experiments import study, ttbar
from experiments.ttbar_analysis import study_regions, table


@dataclass(frozen=True)
class Config:
    """What is trained and sampled."""

    network: Literal["transformer", "lloca", "lgatr"] = "lgatr"
    training_steps: int = 600
    n_gen: int = 4096
    solver_steps: tuple[int, ...] = (32, 12, 8, 6, 4)
    events: Path = Path("amplify-runs/top_sampling.h5")
    n_train: int = 10_000


def main(config: Config = Config()) -> None:
    """Trains, samples and prints one line for each number of steps."""
    # one thread, before the first computation
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "")
        + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    if not config.events.exists():
        simulate(2 * config.n_train, config.events, TtbarSettings())
    study, chart = ttbar.PRESETS["full"], helicity_chart()
    momenta = ttbar.open_events(config.events, stop=2 * config.n_train).momenta
    regions = study_regions(table(momenta))
    x = jnp.asarray(chart.from_momenta(momenta[: config.n_train]), jnp.float32)
    model = study.models[config.network]
    training = model.training._replace(steps=config.training_steps)
    params = None
    latents = jnp.asarray(sobol_latents(0, config.n_gen, chart.dim))
    exact = np.zeros(0)
    for steps in config.solver_steps:
        generator = ttbar.generator_for(replace(study, solver_steps=steps), model, chart, x)
        if params is None:
            params = fit(jax.random.key(0), generator, x, config=training).params
        sample = jax.jit(generator.sample)
        sample(params, latents).block_until_ready()
        started = time.process_time()
        generated = np.asarray(sample(params, latents))
        cost = (time.process_time() - started) / config.n_gen
        integral = rg.fractions(
            rg.count(regions, table(chart.to_momenta(generated.astype(float))))
        ).integral
        exact = integral if not exact.size else exact
        shift = (integral - exact) / np.sqrt(integral * (1 - integral) / config.n_train)
        moved = f"integrals move by {np.sqrt((shift**2).mean()):.3f} sigma_n rms"
        used = f"{1e3 * cost:6.2f} ms CPU an event"
        print(f"{config.network}, {steps:3d} steps: {used}; {moved}", flush=True)


if __name__ == "__main__":
    study.run(main)
