"""Speed of the spline flow, side by side with the same flow in PyTorch (zuko) in one run: `python
-m experiments.benchmarks.spline_flow`.

Four coupling layers, conditioner 2 x 32, 8 bins, batch 256, the ring in 2-D; members trained per
second and events sampled per second. Needs torch and zuko, which the project itself does not.
Measure on an idle machine: timings of two programs that run together mean nothing.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.devices import use_all_cores
from amplify.generators import spline
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.integrals import member_integrals
from amplify.regions import shells
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from experiments import study
from experiments.benchmarks.clock import wall_seconds

BATCH, N_TRAIN = 256, 10_000


def main(
    members: int = 8,
    steps: int = 1000,
    sampled: int = 1 << 20,
    repetitions: int = 3,
    out: Path | None = None,
) -> None:
    """Prints rates and their ratios; the best of `repetitions`, which alternate between the two.

    Args:
        members: networks trained by amplify, spread over the cores; PyTorch trains one per process
            slot, with the same number of threads.
        steps: minibatches per network.
        sampled: events drawn.
        repetitions: of everything.
        out: JSON file for the numbers.
    """
    use_all_cores()
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=N_TRAIN))
    ours, theirs = _amplify(x, members, steps, sampled), _zuko(x, steps, sampled)
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "command": "python -m experiments.benchmarks.spline_flow",
    }
    for _ in range(repetitions):
        for name, run in (ours | theirs).items():
            result[name] = max(result.get(name, 0.0), run())
            print(f"{name:45s} {result[name]:12.0f}", flush=True)
    threads = max(
        result["zuko training, one thread, steps/s"] * result["cores"],
        result["zuko training, all threads, steps/s"],
    )
    result["ratio of training"] = result["amplify training, member-steps/s"] / threads
    result["ratio of sampling"] = (
        result["amplify sampling, events/s"] / result["zuko sampling, events/s"]
    )
    result |= _splines()
    for name in ("ratio of training", "ratio of sampling", "spline against distrax"):
        print(f"{name:45s} {result[name]:12.2f}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _amplify(
    x: np.ndarray, members: int, steps: int, sampled: int
) -> dict[str, Callable[[], float]]:
    generator = coupling_flow(x, FlowConfig())
    rows = ensemble_rows(jax.random.key(1), len(x), members=members, resample="bootstrap")
    keys, config = jax.random.split(jax.random.key(2), members), FitConfig(steps=steps, batch=BATCH)

    def train() -> Any:
        return jax.block_until_ready(
            fit_members(keys, generator, jnp.asarray(x), rows, config=config)
        )

    ensemble = train()  # compiles
    regions, per_member = shells([0.0, 3.0, np.inf]), sampled // members

    def integrals() -> None:
        member_integrals(jax.random.key(3), generator, ensemble.params, regions, per_member)

    def samples() -> None:
        jax.block_until_ready(
            sample_members(jax.random.key(3), generator, ensemble.params, per_member).x
        )

    integrals()
    return {
        "amplify training, member-steps/s": lambda: members * steps / wall_seconds(train),
        "amplify sampling, events/s": lambda: per_member * members / wall_seconds(samples),
        "amplify integrals, events/s": lambda: per_member * members / wall_seconds(integrals),
    }


def _zuko(x: np.ndarray, steps: int, sampled: int) -> dict[str, Callable[[], float]]:
    """The same flow: coupling neural spline flow, Adam, clipping, batches drawn with
    replacement.
    """
    import torch
    import zuko

    cores = len(os.sched_getaffinity(0))
    data = torch.as_tensor((x - x.mean(0)) / x.std(0))
    flow = zuko.flows.NSF(
        2, transforms=4, bins=8, passes=2, hidden_features=(32, 32), activation=torch.nn.SiLU
    )
    optimiser = torch.optim.AdamW(flow.parameters(), lr=2e-3, weight_decay=0.0)

    def train(threads: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(steps):
            batch = data[torch.randint(len(data), (BATCH,))]
            loss = -flow().log_prob(batch).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()

    def sample() -> None:
        torch.set_num_threads(cores)
        with torch.no_grad():
            for _ in range(sampled // (1 << 15)):
                flow().sample((1 << 15,))

    train(1)
    return {
        "zuko training, one thread, steps/s": lambda: steps / wall_seconds(lambda: train(1)),
        "zuko training, all threads, steps/s": lambda: steps / wall_seconds(lambda: train(cores)),
        "zuko sampling, events/s": lambda: sampled / wall_seconds(sample),
    }


def _splines() -> dict[str, float]:
    """Value and gradient of our spline against distrax.RationalQuadraticSpline, batch 256."""
    import distrax

    raw, x = (
        jax.random.normal(jax.random.key(0), (25, BATCH)),
        jax.random.normal(jax.random.key(1), (BATCH,)),
    )

    def scanned(forward: Callable) -> Callable[[], Any]:
        gradient = jax.grad(lambda raw, x: sum(v.sum() for v in forward(raw, x)), argnums=(0, 1))

        @jax.jit
        def run(raw: jax.Array, x: jax.Array) -> jax.Array:
            return jax.lax.scan(
                lambda c, _: (c + 1e-9 * gradient(raw + c, x)[1].sum(), None), 0.0, length=1000
            )[0]

        run(raw, x).block_until_ready()
        return lambda: run(raw, x).block_until_ready()

    ours = scanned(lambda raw, x: spline.forward(spline.spline(raw, 5.0), x))
    theirs = scanned(
        lambda raw, x: distrax.RationalQuadraticSpline(raw.T, -5.0, 5.0).forward_and_log_det(x)
    )
    return {
        "spline against distrax": min(wall_seconds(theirs) for _ in range(3))
        / min(wall_seconds(ours) for _ in range(3))
    }


if __name__ == "__main__":
    study.run(main)
