"""What a training that knows the cuts costs beside a plain one, and how fast accepted events are
generated: the flow of the ring, of which only the right half (or less) could have been data.

Run `python -m experiments.benchmarks.truncated`. CPU seconds of one process, median of repetitions
that take turns; the first call of each, with compiling, is told apart.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.truncated import truncated
from amplify.sampling import sample_members
from amplify.training.fit import FitConfig, fit
from amplify.truth import ring
from experiments import study
from experiments.benchmarks.clock import cpu_seconds


def main(
    n_train: int = 10_000,
    steps: int = 400,
    batch: int = 256,
    above: float = 0.0,
    n_gen: int = 1 << 20,
    repetitions: int = 3,
) -> dict[str, Any]:
    """Prints one line for each training and one for sampling.

    Args:
        n_train: training events that pass.
        steps: of a training.
        batch: events in a minibatch.
        above: what x0 exceeds in events that pass; 0 is half of the ring.
        n_gen: events that pass to generate.
        repetitions: of each measurement.
    """
    x = np.asarray(ring.sample(jax.random.key(0), n=4 * n_train))
    x = jnp.asarray(x[x[:, 0] > above][:n_train])
    flow = coupling_flow(x, FlowConfig())
    generators = {
        "plain": flow,
        "score": truncated(flow, lambda x: x[:, 0] > above, loss="score"),
        "completion": truncated(flow, lambda x: x[:, 0] > above, loss="completion"),
    }
    config = FitConfig(steps=steps, batch=batch)

    def train(name: str) -> Any:
        return jax.block_until_ready(fit(jax.random.key(1), generators[name], x, config=config))

    first = {name: cpu_seconds(lambda name=name: train(name)) for name in generators}
    seconds: dict[str, list[float]] = {name: [] for name in generators}
    for _ in range(repetitions):
        for name in generators:
            seconds[name].append(cpu_seconds(lambda name=name: train(name)))
    trained = {name: float(np.median(values)) for name, values in seconds.items()}
    result: dict[str, Any] = {
        "training_cpu_seconds": trained,
        "ratio": {name: trained[name] / trained["plain"] for name in generators},
        "compile_cpu_seconds": {name: first[name] - trained[name] for name in generators},
        "sampling": _sampling(train("score"), n_gen, repetitions),
    }
    for name in generators:
        ratio, compiling = result["ratio"][name], result["compile_cpu_seconds"][name]
        print(f"{name}: {trained[name]:.2f} s, {ratio:.2f} times plain, compile {compiling:.1f} s")
    sampling = result["sampling"]
    rate, share = sampling["accepted_per_second"], sampling["efficiency"]
    on = f"{sampling['devices']} cores, {share:.3f} pass"
    print(f"sampling: {rate:.3g} accepted events/s on {on}")
    return result


def _sampling(fitted: Any, n_gen: int, repetitions: int) -> dict[str, Any]:
    """Accepted events per second of wall time, one member on each device."""
    devices = len(jax.devices())
    params = jax.tree.map(lambda leaf: jnp.stack([leaf] * devices), fitted.params)
    rates, efficiency = [], 0.0
    for repetition in range(repetitions + 1):  # the first one compiles
        started = time.perf_counter()
        samples = sample_members(jax.random.key(repetition), fitted.generator, params, n_gen)
        rates.append(devices * n_gen / (time.perf_counter() - started))
        assert samples.efficiency is not None
        efficiency = float(samples.efficiency.mean())
    return {
        "accepted_per_second": float(np.median(rates[1:])),
        "efficiency": efficiency,
        "devices": devices,
    }


if __name__ == "__main__":
    study.run(main)
