"""Networks beside their physical floors, measured in the same run on one core: `python -m
experiments.benchmarks.network_floors`.

A floor is the time that the products of matrices of an item take at the rate of a large product,
plus that of its transcendental functions at the rate of a vectorised hyperbolic tangent. Operations
are counted from the sizes of a network; a gradient takes twice the products of a forward pass, less
those for inputs that need none. Memory traffic is no part of it: the bandwidth of a copy is
measured beside it. CPU time of one core, so that other work on the machine disturbs little.
"""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.generators.runge_kutta import Solver
from amplify.nets import lgatr
from amplify.nets.frames import lab_references
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.truth import ring
from experiments import study
from experiments.benchmarks.clock import cpu_seconds

WIDTHS, TIMES = (32, 32, 32), 17  # of flow matching: its network, features of time
FLOW = FlowConfig()


class Item(NamedTuple):
    """What is timed, and what it has to do at least.

    Attributes:
        run: jitted; carries out `count` of the item.
        count: how many.
        flops: of the products of one.
        functions: transcendental ones of one.
    """

    run: Callable[[], Any]
    count: int
    flops: float
    functions: float


def main(repetitions: int = 5, events: int = 1 << 14, out: Path | None = None) -> None:
    """Prints microseconds of each item, of its floor, and their ratio; the best of the repetitions.

    Args:
        repetitions: which take turns between ceilings and items.
        events: sampled, and in all micro-batches of the transformers.
        out: JSON file for the numbers.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX starts its threads
    ceilings, items = _ceilings(), _items(events)
    best: dict[str, float] = {}
    for item in items.values():
        item.run()  # compiles
    for _ in range(repetitions):
        for name, (run, count) in ceilings.items():
            best[name] = min(best.get(name, np.inf), cpu_seconds(run) / count)
        for name, item in items.items():
            best[name] = min(best.get(name, np.inf), cpu_seconds(item.run) / item.count)
    rates = {
        "copy, GB/s": 2e-9 / best["copy"],
        "product, GFLOP/s": 1e-9 / best["product"],
        "tanh, 1e9/s": 1e-9 / best["tanh"],
    }
    result: dict[str, Any] = {
        "command": "python -m experiments.benchmarks.network_floors",
        "ceilings": rates,
    }
    print({name: round(rate, 2) for name, rate in rates.items()})
    for name, item in items.items():
        floor = item.flops * best["product"] + item.functions * best["tanh"]
        row = {"us": 1e6 * best[name], "floor_us": 1e6 * floor, "ratio": best[name] / floor}
        result[name] = row
        print(f"{name:45s} {row['us']:9.3f} us, floor {row['floor_us']:9.3f}, {row['ratio']:.2f}")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _ceilings() -> dict[str, tuple[Callable[[], Any], float]]:
    """What can be had at most: runs and the bytes, FLOP or functions of each."""
    n, size, many = 512, 1 << 14, 100
    a = jnp.ones((n, n))
    product = jax.jit(lambda a: jax.lax.scan(lambda c, _: (c @ a * 1e-3, None), a, length=8)[0])
    x = jnp.linspace(-1, 1, size)
    tanh = jax.jit(lambda x: jax.lax.scan(lambda c, _: (jnp.tanh(c), None), x, length=many)[0])
    source = np.ones(1 << 24, np.float32)
    target = np.empty_like(source)
    return {
        "copy": (lambda: np.copyto(target, source), source.nbytes),
        "product": (lambda: jax.block_until_ready(product(a)), 8 * 2 * n**3),
        "tanh": (lambda: jax.block_until_ready(tanh(x)), many * size),
    }


def _items(events: int) -> dict[str, Item]:
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=10_000))
    return {
        **_spline(x, events),
        **_flow_matching(x, events),
        **_lgatr(min(events, 256)),
        **_lloca(min(events, 256)),
    }


def _spline(x: np.ndarray, events: int) -> dict[str, Item]:
    batch, flow = 256, coupling_flow(x, FLOW)
    sizes = (1, *FLOW.hidden, 3 * FLOW.bins + 1)
    products = FLOW.layers * _products(sizes)
    # of the hidden units; bins and slopes of a spline, and the logarithm
    functions = FLOW.layers * (sum(FLOW.hidden) + 2 * FLOW.bins + 3)
    params = flow.init(jax.random.key(1))
    latent = jax.random.uniform(jax.random.key(2), (events, 2), minval=1e-6, maxval=1 - 1e-6)
    return {
        "spline flow, a gradient of 256": _gradient(
            flow, params, x[:batch], batch * 3 * products, batch * functions
        ),
        "spline flow, an event sampled": _sampled(flow, params, latent, products, functions),
    }


def _flow_matching(x: np.ndarray, events: int) -> dict[str, Item]:
    batch, steps = 1000, 20
    flow = vector_flow(x, WIDTHS, solver=Solver(steps))
    of_point = _products((2, *WIDTHS, 2))
    of_time = 2 * TIMES * sum(WIDTHS)
    first = 2 * 2 * WIDTHS[0]  # the first layer and those of time need no gradient of inputs
    training = 3 * of_point - first + 2 * of_time
    params = flow.init(jax.random.key(1))
    latent = jax.random.uniform(jax.random.key(2), (events, 2), minval=1e-6, maxval=1 - 1e-6)
    evaluations = 4 * steps
    return {
        "flow matching, a gradient of 1000": _gradient(
            flow, params, x[:batch], batch * training, batch * sum(WIDTHS)
        ),
        "flow matching, an event sampled": _sampled(
            flow, params, latent, evaluations * of_point, evaluations * sum(WIDTHS)
        ),
    }


def _gradient(flow: Any, params: Any, x: np.ndarray, flops: float, functions: float) -> Item:
    """Passes in a scan, each with other params: nothing is computed once for all."""
    passes, weight = 100, jnp.ones(len(x))

    @jax.jit
    def run(params: Any, x: Any) -> Any:
        def step(params: Any, index: Any) -> tuple[Any, None]:
            gradient = jax.grad(flow.loss)(params, jax.random.key(index), x, weight)
            return jax.tree.map(lambda p, g: p - 1e-6 * g, params, gradient), None

        return jax.lax.scan(step, params, jnp.arange(passes))[0]

    return Item(lambda: jax.block_until_ready(run(params, x)), passes, flops, functions)


def _sampled(flow: Any, params: Any, latent: Any, flops: float, functions: float) -> Item:
    sample = jax.jit(flow.sample)
    return Item(
        lambda: jax.block_until_ready(sample(params, latent)), len(latent), flops, functions
    )


def _lgatr(events: int) -> dict[str, Item]:
    """Forward and backward; FLOP as the compiler counts those of a micro-batch's products."""
    sizes = {"in_mv": 3, "out_mv": 1, "hidden_mv": 8, "in_s": 4, "out_s": 4, "hidden_s": 16}
    net = lgatr.LGATr(lgatr.published(**sizes, blocks=4, heads=4))
    keys = jax.random.split(jax.random.key(0), 3)
    inputs = (
        jax.random.normal(keys[0], (events, 8, 3, 16)),
        jax.random.normal(keys[1], (events, 8, 4)),
    )
    params = net.init(keys[2], *inputs)
    # per token: queries, keys and values; the way out; left and right factor; product; MLP
    kinds = ((8, 16, 48, 96), (16, 32, 8, 16), (8, 16, 32, 0), (16, 16, 16, 32), (16, 32, 8, 16))
    per_block = sum(_equivariant(*kind) for kind in kinds)
    attention = 4 * 2 * 2 * 8 * (16 * 4 + 8)  # of a token with the eight: scores and averages
    geometric = 2 * 512 * 16
    forward = 8 * 4 * (per_block + attention + geometric)
    # three times forward, and once more for what is computed anew on the way back
    item = _network("L-GATr, forward and backward of an event", net, params, inputs, 16)
    return {name: run._replace(flops=4 * forward) for name, run in item.items()}


def _equivariant(channels: int, plain: int, out: int, out_plain: int) -> int:
    """FLOP of an equivariant linear map of one token."""
    scalars = 2 * (2 * channels + plain) * (2 * out + out_plain)
    return scalars + 7 * 2 * (2 * channels) * (2 * out)


def _lloca(events: int) -> dict[str, Item]:
    rng = np.random.default_rng(0)
    p = rng.normal(size=(events, 6, 3))
    energy = np.sqrt(0.01 + (p**2).sum(-1, keepdims=True))
    momenta = np.concatenate([energy, p], -1).astype(np.float32)
    scalars = rng.normal(size=(events, 6, 7)).astype(np.float32)
    config = LLoCaConfig(out_scalars=1)
    net, c = LLoCa(config), config.transformer
    inputs = jnp.asarray(momenta), jnp.asarray(scalars), lab_references()
    params = jax.jit(net.init)(jax.random.key(0), *inputs)
    per_token = 2 * c.blocks * c.width**2 * (4 + 2 * c.mlp_ratio)
    pairs = 9 * 2 * (config.frames.layers - 1) * config.frames.hidden**2
    item = _network("LLoCa, forward and backward of an event", net, params, inputs, events)
    functions = 6 * c.blocks * c.mlp_ratio * c.width + 6 * 9 * 2 * config.frames.hidden
    return {
        name: run._replace(flops=3 * 6 * (per_token + pairs), functions=functions)
        for name, run in item.items()
    }


def _network(name: str, net: Any, params: Any, inputs: Any, micro: int) -> dict[str, Item]:
    """Gradients of micro-batches, added up."""
    shared = inputs[2:]
    events = len(inputs[0])
    parts = tuple(x.reshape(events // micro, micro, *x.shape[1:]) for x in inputs[:2])

    @jax.jit
    def run(params: Any, parts: Any) -> Any:
        def loss(params: Any, x: Any) -> Any:
            return sum((y**2).mean() for y in jax.tree.leaves(net.apply(params, *x, *shared)))

        def add(total: Any, x: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, jax.grad(loss)(params, x)), None

        return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), parts)[0]

    return {name: Item(lambda: jax.block_until_ready(run(params, parts)), events, 0.0, 0.0)}


def _products(sizes: tuple[int, ...]) -> int:
    """FLOP of the products of a perceptron for one event."""
    return 2 * sum(a * b for a, b in itertools.pairwise(sizes))


if __name__ == "__main__":
    study.run(main)
