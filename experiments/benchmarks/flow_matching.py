"""Flow matching beside PyTorch in one run: training of the same network, with minibatches in memory
and through the data loader of Bayesiamplify, and sampling by adaptive solvers at equal integrals:
`python -m experiments.benchmarks.flow_matching`.

The network is the one of arXiv:2408.00838: three hidden layers of 32 ELU units that see a point of
the ring, three frequencies of time and the ring's radius; batches of 1000 of 10^4 events, Adam.
Needs torch, zuko, torchdiffeq and diffrax, which the project itself does not; `--bayesiamplify`
names a checkout of github.com/sbieringer/Bayesiamplify, whose own network and loss are then
trained.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from amplify.devices import use_all_cores
from amplify.generators.coordinates import coordinates
from amplify.generators.flow_matching import Velocity, flow_matching
from amplify.generators.runge_kutta import Solver
from amplify.nets.dense import Dense
from amplify.nets.velocity import fourier_features
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from experiments import study
from experiments.benchmarks.clock import wall_seconds

BATCH, N_TRAIN, WIDTHS, FREQUENCIES, RADIUS = 1000, 10_000, (32, 32, 32), 3, 4.0
LOADER = "data loader as published, steps/s"
EDGES = np.array(
    [0.0, 3.0, 3.5, 4.0, 4.5, 5.0, np.inf]
)  # of the shells whose integrals are compared


class _Net(nn.Module):
    """The published network: everything it sees goes into its first layer."""

    @nn.compact
    def __call__(self, u: jax.Array, t: jax.Array) -> jax.Array:
        """Velocity [n, 2] at points and times."""
        time_features = fourier_features(t, FREQUENCIES)[:, 1:].T
        time_features = jnp.broadcast_to(time_features, (len(time_features), len(u)))
        h = jnp.concatenate([time_features, u.T, jnp.full((1, len(u)), RADIUS, u.dtype)])
        for width in WIDTHS:
            h = Dense(width)(h)
            h = jnp.where(h > 0, h, jnp.exp(jnp.minimum(h, 0.0)) - 1)
        return Dense(u.shape[1])(h).T


def main(
    members: int = 8,
    steps: int = 1000,
    sampled: int = 1 << 17,
    solver_steps: int = 10,
    repetitions: int = 3,
    bayesiamplify: Path | None = None,
    out: Path | None = None,
) -> None:
    """Prints rates, the best of `repetitions`, which alternate between the programs; their ratios;
    and how far the integrals of samples are from exact ones, for the same latents.

    Args:
        members: networks trained by amplify, shared out over the cores; PyTorch trains one a core.
        steps: minibatches of each.
        sampled: events drawn.
        solver_steps: of the Runge-Kutta scheme of amplify.
        repetitions: of everything but the data loader, which runs once in a process of its own,
            since its workers are forked.
        bayesiamplify: checkout of the published code.
        out: JSON file for the numbers.
    """
    from experiments.benchmarks import flow_matching_peers as peers

    use_all_cores()
    cores = len(os.sched_getaffinity(0))
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=N_TRAIN))
    result: dict[str, Any] = {
        "command": "python -m experiments.benchmarks.flow_matching",
        "cores": cores,
        "published code": bayesiamplify is not None,
    }
    generator, train = _training(x, members, steps, solver_steps)
    result |= {LOADER: peers.with_loader_apart(bayesiamplify, BATCH, RADIUS)}
    params = train().params
    torch_net = peers.published(bayesiamplify) if bayesiamplify else peers.same_network(WIDTHS)
    in_memory = peers.in_memory(torch_net, x, BATCH, RADIUS, min(steps, 300))
    rates: dict[str, Callable[[], float]] = {
        "amplify training, member-steps/s": lambda: members * steps / wall_seconds(train),
        "PyTorch in memory, one thread, steps/s": lambda: min(steps, 300) / wall_seconds(in_memory),
    }
    latent = np.random.default_rng(1).uniform(1e-6, 1 - 1e-6, (sampled, 2)).astype(np.float32)
    alike = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], cores, axis=0), params)
    alone = jax.tree.map(lambda leaf: leaf[0], params)
    samplers = peers.samplers(alone, _Net(), latent, x, cores)
    exact = _integrals(_exactly(alone, latent, x))
    found = {name: sampler() for name, sampler in samplers.items()}  # compiles
    found[f"amplify, {solver_steps} steps"] = _in_blocks(generator.sample, alone, latent)
    for name, events in found.items():
        error = np.abs(_integrals(events) - exact).max()
        result[f"error of integrals, {name}"] = float(error)
    result["statistical error of an integral"] = float(0.4 / np.sqrt(sampled))

    def sample() -> Any:
        """As many events, shared out over the cores: one member a core."""
        samples = sample_members(jax.random.key(3), generator, alike, sampled // cores)
        return jax.block_until_ready(samples.x)

    sample()
    for _ in range(repetitions):
        for name, run in rates.items():
            result[name] = max(result.get(name, 0.0), run())
        for name, sampler in {"amplify": sample, **samplers}.items():
            key = f"sampling, {name}, events/s"
            result[key] = max(result.get(key, 0.0), sampled / wall_seconds(sampler))
    result |= _ratios(result, cores, list(samplers))
    for name, value in result.items():
        print(f"{name:70s} {value:12.5g}" if isinstance(value, float) else f"{name}: {value}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _training(x: np.ndarray, members: int, steps: int, solver_steps: int) -> tuple[Any, Callable]:
    """The generator, and its training, compiled."""
    generator = _generator(x, solver_steps)
    rows = ensemble_rows(jax.random.key(1), len(x), members=members, resample="bootstrap")
    keys = jax.random.split(jax.random.key(2), members)
    config = FitConfig(steps=steps, batch=BATCH, learning_rate=1e-3)

    def train() -> Any:
        events = jnp.asarray(x)
        return jax.block_until_ready(fit_members(keys, generator, events, rows, config=config))

    train()
    return generator, train


def _generator(x: np.ndarray, solver_steps: int) -> Any:
    net = _Net()

    def init(key: jax.Array) -> Any:
        return net.init(key, jnp.zeros((1, 2)), jnp.zeros(1))

    def apply(params: Any, u: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.asarray(net.apply(params, u, t))

    velocity = Velocity(init, apply, same_time=True)
    return flow_matching(velocity, coordinates(x), solver=Solver(solver_steps))


_COMPILED: dict[Any, Callable] = {}


def _in_blocks(sample: Callable, params: Any, latent: np.ndarray, size: int = 1 << 15) -> Any:
    """Events on one device, in blocks of one size."""
    jitted = _COMPILED.setdefault(sample, jax.jit(sample))
    padded = np.pad(latent, ((0, -len(latent) % size), (0, 0)), constant_values=0.5)
    blocks = [jitted(params, block) for block in padded.reshape(-1, size, latent.shape[1])]
    return np.concatenate(blocks)[: len(latent)]


def _exactly(params: Any, latent: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Events of the same latents in double precision with so many steps that more change
    nothing.
    """
    with jax.enable_x64(True):
        fine = _generator(x.astype(float), 200)
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, float), params)
        return _in_blocks(fine.sample, wide, latent.astype(float))


def _integrals(x: np.ndarray) -> np.ndarray:
    """Shares of events in the shells, which differ by how events are carried alone."""
    radius = np.hypot(x[:, 0], x[:, 1])
    return np.histogram(radius, EDGES)[0] / len(x)


def _ratios(result: dict[str, Any], cores: int, solvers: list[str]) -> dict[str, float]:
    ours = result["amplify training, member-steps/s"]
    in_memory = result["PyTorch in memory, one thread, steps/s"] * cores
    ratios = {
        "ratio of training to PyTorch in memory": ours / in_memory,
        "ratio of training to the data loader": ours / result[LOADER],
    }
    rate = result["sampling, amplify, events/s"]
    for name in solvers:
        ratios[f"ratio of sampling to {name}"] = rate / result[f"sampling, {name}, events/s"]
    return ratios


if __name__ == "__main__":
    study.run(main)
