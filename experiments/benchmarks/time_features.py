"""Flow matching on the ring: Fourier features of time against the plain time, everything else
equal.

`python -m experiments.benchmarks.time_features`: for both, G of the integrals over ten equiprobable
shells (actual, from the known truth), the total variation distance D to the truth by its exact log
density, and what that is worth, with the scatter over training sets.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.estimators.kolmogorov import K1
from amplify.generators.flow_matching import Solver, vector_flow
from amplify.integrals import member_integrals
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from experiments import study


@dataclass(frozen=True)
class Config:
    """Training sets, their size, and one training for both."""

    dim: int = 2
    n_train: int = 10_000
    sets: int = 6
    steps: int = 4000
    batch: int = 256
    learning_rate: float = 5e-3
    frequencies: tuple[int, ...] = (0, 8)
    n_gen: int = 1 << 17
    n_true: int = 20_000


def main(config: Config = Config()) -> None:
    """Trains and prints one line for each."""
    use_all_cores()
    truth = ring.Ring(dim=config.dim)
    keys = [jax.random.key(100 + s) for s in range(config.sets)]
    sets = [ring.sample(key, truth, n=config.n_train) for key in keys]
    x, rows = (
        jnp.concatenate(sets),
        jnp.arange(config.sets * config.n_train).reshape(config.sets, -1),
    )
    shells = rg.shells(np.asarray(ring.shell_edges(truth, 10)))
    true = ring.sample(jax.random.key(5), truth, n=config.n_true)
    training = f"{config.sets} training sets, {config.steps} steps of {config.batch}"
    print(f"ring, d = {config.dim}, n_train = {config.n_train}, {training}")
    for frequencies in config.frequencies:
        flow = vector_flow(sets[0], frequencies=frequencies, solver=Solver(20))
        params = fit_members(
            jax.random.split(jax.random.key(1), config.sets),
            flow,
            x,
            rows,
            config=FitConfig(config.steps, config.batch, config.learning_rate),
        ).params
        integral = member_integrals(
            jax.random.key(2), flow, params, shells, config.n_gen, sobol=True
        ).integral
        assert flow.log_prob is not None
        density = jax.jit(flow.log_prob)
        own = [
            np.asarray(density(jax.tree.map(lambda leaf, s=s: leaf[s], params), true))
            for s in range(config.sets)
        ]
        distance = np.array(
            [
                np.maximum(1 - np.exp(v - np.asarray(ring.log_prob(truth, true))), 0).mean()
                for v in own
            ]
        )
        squares = ((integral - 0.1) ** 2).sum(axis=1) / (10 * 0.09 / config.n_train)
        error = squares.std(ddof=1) / np.sqrt(config.sets) / squares.mean()
        averaging = f"averaging G {1 / squares.mean():.2f} ({100 * error:.0f} %)"
        scatter = distance.std(ddof=1) / np.sqrt(config.sets)
        factor = (K1 / distance.mean()) ** 2 / config.n_train
        differential = f"D {distance.mean():.4f} +- {scatter:.4f}, differential G {factor:.3f}"
        print(f"{frequencies} frequencies: {averaging}, {differential}", flush=True)


if __name__ == "__main__":
    study.run(main)
