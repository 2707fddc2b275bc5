"""A study that several processes compute together, for test_distributed: trainings that are
interrupted and go on, samples, and an estimate of averaging amplification.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from amplify import averaging_amplification
from amplify.distributed import is_first, processes
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.integrals import member_integrals
from amplify.regions import column, tail
from amplify.training import checkpoint, memory
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig, Stopping
from experiments import study
from tests import compiled

SHORT = FitConfig(steps=6, batch=8, learning_rate=0.1)


@dataclass(frozen=True)
class Config:
    """Of a study."""

    seed: int = 1


def trained(kept: Path | None = None) -> dict[str, np.ndarray]:
    """What two processes and one have to agree on; `kept` is where a training is interrupted."""
    x = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    key, generator = jax.random.key(1), fitted_gaussian()

    settings = {"members": 3, "config": SHORT, "stop": Stopping(every=2, patience=1)}
    train = partial(fit_ensemble, key, generator, x, **settings)
    if kept is not None:
        checkpoint._EVERY = 0.0
        with suppress(KeyboardInterrupt):
            train(checkpoint=kept, progress=_stop_at_the_fourth)
    ensemble = train(checkpoint=kept)
    above = tail(column(0), 0.5, "x")
    integrals = member_integrals(key, generator, ensemble.params, above, 64)
    estimate = averaging_amplification(integrals.integral, n_train=60, n_gen=integrals.n_gen)
    trees = ensemble, ensemble.sample(key, 5), ensemble.log_prob(x), estimate
    return {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(trees))}


def _stop_at_the_fourth(step, *_):
    if step == 4:
        raise KeyboardInterrupt


def main(out: Path) -> None:
    """Writes OUT/results.npz, and ends with an error of the second process."""
    study.claim(out, Config())
    with compiled.quickly():
        study.cached(out / "results.npz", lambda: trained(out / "kept"))
    print("devices", len(jax.devices()), len(jax.local_devices()), "processes", processes())
    assert abs(memory._least(60_000_000_000) - 60e9) < 1e5  # JAX cuts integers to 32 bits
    if not is_first():
        raise InputError("second process", "no error", "one", "end both")
    np.asarray(jax.experimental.multihost_utils.process_allgather(np.ones(1)))  # never comes


if __name__ == "__main__":
    study.run(main)
