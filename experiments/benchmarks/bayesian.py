"""What draws from a posterior cost beside one bootstrap training of as many steps: the spline flow
of the ring, 16 draws in total.

Run `python -m experiments.benchmarks.bayesian`. CPU seconds of one process, median of repetitions
that take turns; the first call of each, with compiling, is told apart.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.training.sgmcmc import fit_sgmcmc
from amplify.training.variational import VariationalConfig, fit_variational
from amplify.truth import ring
from amplify.types import Generator
from experiments import study

Train = Callable[[jax.Array], Any]


def main(
    n_train: int = 1000, steps: int = 1000, members: int = 16, repetitions: int = 3
) -> dict[str, Any]:
    """Prints a line for each method.

    Args:
        n_train: training events.
        steps: of the bootstrap training, and of the posterior's.
        members: draws, of which all together are timed.
        repetitions: of each measurement.
    """
    x = np.asarray(ring.sample(jax.random.key(0), n=n_train))
    flow = coupling_flow(x, FlowConfig())
    methods = {
        name: make(flow, x, FitConfig(steps=steps), members) for name, make in METHODS.items()
    }
    first = {name: _cpu_seconds(train, jax.random.key(0)) for name, train in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for repetition in range(1, repetitions + 1):
        for name, train in methods.items():
            seconds[name].append(_cpu_seconds(train, jax.random.key(repetition)))
    trained = {name: float(np.median(values)) for name, values in seconds.items()}
    result = {
        "cpu_seconds": trained,
        "ratio": {name: trained[name] / trained["bootstrap"] for name in methods},
        "ratio_with_compiling": {name: first[name] / first["bootstrap"] for name in methods},
        "compile_cpu_seconds": {name: first[name] - trained[name] for name in methods},
    }
    for name in methods:
        ratio, compiling = result["ratio"][name], result["compile_cpu_seconds"][name]
        what = "1 training" if name == "bootstrap" else f"{members} draws"
        times = f"{ratio:.2f} times a bootstrap training, compile {compiling:.1f} s"
        print(f"{name}: {what} in {trained[name]:.2f} s, {times}")
    return result


def _bootstrap(flow: Generator, x: np.ndarray, fit: FitConfig, members: int) -> Train:
    return lambda key: fit_ensemble(key, flow, x, members=1, config=fit)


def _variational(flow: Generator, x: np.ndarray, fit: FitConfig, members: int) -> Train:
    config = VariationalConfig(fit=fit)
    return lambda key: fit_variational(key, flow, x, members=members, config=config)


def _sgmcmc(flow: Generator, x: np.ndarray, fit: FitConfig, members: int) -> Train:
    """The default of `fit_sgmcmc`, whose start and draws together are as many steps."""
    return lambda key: fit_sgmcmc(key, flow, x, members=members)


METHODS = {"bootstrap": _bootstrap, "variational": _variational, "sgmcmc": _sgmcmc}


def _cpu_seconds(train: Train, key: jax.Array) -> float:
    started = time.process_time()
    jax.block_until_ready(train(key).params)
    return time.process_time() - started


if __name__ == "__main__":
    study.run(main)
