"""How fast is an accelerator, and how far from what it could do? Ensembles of small flows, L-GATr,
LLoCa and the transformer, and KS counts.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from amplify.estimators.kolmogorov import Counts, count_between
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.nets.frames import lab_references
from amplify.nets.lgatr import LGATr, published
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.nets.transformer import Transformer
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from amplify.types import Generator
from experiments.benchmarks.accelerator_sizes import Sizes, compiled, seconds

N_TRAIN = 10_000
IN_MV, IN_S, OUT_S, TOKENS = 3, 4, 4, 8  # of L-GATr, as in benchmarks.lgatr
SCALARS, OUT_SCALARS, PARTICLES = 14, 2, 6  # of LLoCa, as in benchmarks.lloca


def items(sizes: Sizes) -> dict[str, Callable[[], dict[str, Any]]]:
    """Everything that is timed, by name, in the order of importance."""
    flows = {"spline": coupling_flow, "matching": vector_flow}
    drawn = {"spline": sizes.sampled, "matching": max(sizes.sampled >> 3, 1)}
    found: dict[str, Callable[[], dict[str, Any]]] = {"ceilings": partial(ceilings, sizes)}
    spline, matching = (
        {f"{name}_{n}_members": partial(members, n, sizes, of) for n in sorted(sizes.members)[::-1]}
        for name, of in flows.items()
    )
    found |= spline
    found |= {name: partial(passes, name, sizes) for name in ("lgatr", "lloca", "transformer")}
    found |= {f"{name}_events": partial(events, drawn[name], sizes, flows[name]) for name in flows}
    found |= {"counts": partial(counts, sizes)}
    found |= {f"{name}_one_step": partial(one_step, sizes, flows[name]) for name in flows}
    return found | matching


def ceilings(sizes: Sizes) -> dict[str, Any]:
    """Bytes read and written in a second by a large copy, operations in a second of large products
    of matrices.
    """
    x = jnp.ones(sizes.copied // 4, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(x))
    found = {"copy, bytes/s": 2 * sizes.copied / seconds(lambda: copy(x), sizes.repeats)}
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (sizes.side, sizes.side)) for key in keys)
    kinds = {
        "float32": (a, b, "highest"),
        "tf32": (a, b, "tensorfloat32"),
        "default of JAX": (a, b, "default"),
        "bfloat16": (a.astype(jnp.bfloat16), b.astype(jnp.bfloat16), "default"),
    }
    for name, (left, right, precision) in kinds.items():
        product = jax.jit(partial(jnp.matmul, precision=_known(precision)))
        jax.block_until_ready(product(left, right))
        time = seconds(lambda f=product, a=left, b=right: f(a, b), sizes.repeats)
        found[f"product in {name}, flop/s"] = 2 * sizes.side**3 / time
    return found


def _known(precision: str) -> Any:
    """The name of a precision as products take it; CPUs know no TF32."""
    on_gpu = jax.default_backend() == "gpu"
    if precision == "tensorfloat32":
        return jax.lax.DotAlgorithmPreset.TF32_TF32_F32 if on_gpu else None
    return precision


def _data() -> np.ndarray:
    return np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=N_TRAIN))


def members(count: int, sizes: Sizes, of: Callable[[np.ndarray], Generator]) -> dict[str, Any]:
    """Training steps of all members in a second, with the package's own training; the first call
    apart, which compiles.
    """
    x = _data()
    generator, config = of(x), FitConfig(steps=sizes.steps, batch=sizes.batch)
    rows = ensemble_rows(jax.random.key(1), len(x), members=count, resample="bootstrap")
    train = partial(fit_members, jax.random.split(jax.random.key(2), count), generator, x, rows)
    first = seconds(lambda: train(config=config), 1)
    time = seconds(lambda: train(config=config), min(sizes.repeats, 3))
    return {
        "members": count,
        "member_steps_per_s": count * sizes.steps / time,
        "ms_per_step": 1e3 * time / sizes.steps,
        "first_call_s": first,
    }


def one_step(sizes: Sizes, of: Callable[[np.ndarray], Generator]) -> dict[str, Any]:
    """Loss and gradient of the most members, which the compiler counts operations and bytes of."""
    x, count = _data(), max(sizes.members)
    generator = of(x)
    params = jax.vmap(generator.init)(jax.random.split(jax.random.key(2), count))
    batch = jnp.asarray(x[: sizes.batch])
    gradient = jax.vmap(jax.value_and_grad(generator.loss), in_axes=(0, None, None, None))
    arguments = params, jax.random.key(0), batch, jnp.ones(len(batch))
    run, said = compiled(gradient, *arguments)
    jax.block_until_ready(run(*arguments))
    said["seconds"] = seconds(lambda: run(*arguments), 4 * sizes.repeats)
    return {"members": count} | said


def events(n: int, sizes: Sizes, of: Callable[[np.ndarray], Generator]) -> dict[str, Any]:
    """Events sampled and densities computed in a second, on the device; and sampled by the package,
    which brings them to the host.
    """
    generator = of(_data())
    params = generator.init(jax.random.key(1))
    latent = jax.random.uniform(jax.random.key(2), (n, 2), minval=1e-3, maxval=1 - 1e-3)
    assert generator.log_prob is not None
    found: dict[str, Any] = {"events": n}
    for what, function in {"samples": generator.sample, "log_prob": generator.log_prob}.items():
        run, said = compiled(function, params, latent)
        jax.block_until_ready(run(params, latent))
        time = seconds(lambda run=run: run(params, latent), sizes.repeats)
        found[f"{what}/s"] = n / time
        found[f"cost of {what}"] = said | {"seconds": time}
    of_eight = jax.vmap(generator.init)(jax.random.split(jax.random.key(1), 8))
    draw = partial(sample_members, jax.random.key(3), generator, of_eight, max(n >> 3, 1))
    jax.block_until_ready(draw().x)
    time = seconds(lambda: draw().x, min(sizes.repeats, 3))
    found["8 members to the host, samples/s"] = 8 * max(n >> 3, 1) / time
    return found


def passes(name: str, sizes: Sizes) -> dict[str, Any]:
    """Forward and backward passes of L-GATr, LLoCa or the transformer, as users get them and with
    products in TF32: microseconds per event, with operations and bytes from the compiler.
    """
    loss, params = networks(sizes.net_batch, name)
    kinds = {"forward": loss, "forward and backward": jax.grad(loss)}
    found: dict[str, Any] = {}
    for label, precision in (("as users get", None), ("TF32", "tensorfloat32")):
        if precision and jax.default_backend() != "gpu":
            continue
        with jax.default_matmul_precision(precision) if precision else nullcontext():
            for kind, function in kinds.items():
                if precision and kind == "forward":
                    continue
                run, said = compiled(function, params)
                jax.block_until_ready(run(params))
                said["seconds"] = seconds(lambda run=run: run(params), 4 * sizes.repeats)
                said["us_per_event"] = 1e6 * said["seconds"] / sizes.net_batch
                found[f"{kind}, {label}"] = said
    return found


def networks(batch: int, name: str) -> tuple[Callable[[Any], Any], Any]:
    """The loss as a function of the parameters, and parameters."""
    keys = jax.random.split(jax.random.key(0), 4)
    settings = {"hidden_mv": 8, "hidden_s": 16, "blocks": 4, "heads": 4}
    lgatr = LGATr(published(in_mv=IN_MV, out_mv=1, in_s=IN_S, out_s=OUT_S, **settings))
    multivectors = jax.random.normal(keys[0], (batch, TOKENS, IN_MV, 16))
    plain = jax.random.normal(keys[1], (batch, TOKENS, IN_S))
    p = jax.random.normal(keys[2], (batch, PARTICLES, 3))
    momenta = jnp.concatenate([jnp.sqrt(0.01 + (p**2).sum(-1, keepdims=True)), p], -1)
    scalars = jax.random.normal(keys[3], (batch, PARTICLES, SCALARS))
    both: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "lgatr": (lgatr, (multivectors, plain)),
        "lloca": (
            LLoCa(LLoCaConfig(out_scalars=OUT_SCALARS)),
            (momenta, scalars, lab_references()),
        ),
        "transformer": (Transformer(4 + OUT_SCALARS), (jnp.concatenate([momenta, scalars], -1),)),
    }
    net, inputs = both[name]

    def loss(params: Any) -> Any:
        return sum((y**2).mean() for y in jax.tree.leaves(net.apply(params, *inputs)))

    return loss, jax.jit(net.init)(jax.random.key(1), *inputs)


def counts(sizes: Sizes) -> dict[str, Any]:
    """KS counts of generated normal values against a sorted sample, chunk by chunk on the device;
    the values are drawn there too, which is timed apart. The counts are right if they follow the
    normal distribution: `deviation` in units of 1 / sqrt(values), of order one.
    """
    grid = jnp.sort(jax.random.normal(jax.random.key(1), (sizes.grid,)))
    chunks = -(-sizes.counted // sizes.chunk)
    n = chunks * sizes.chunk

    def drawn(index: Any) -> Any:
        return jax.random.normal(jax.random.fold_in(jax.random.key(0), index), (sizes.chunk,))

    def add(total: Counts, index: Any) -> tuple[Counts, None]:
        return total.plus(Counts(*count_between(grid, drawn(index))[:2], *total[2:])), None

    zero = jnp.zeros(sizes.grid, jnp.int32)
    start = Counts(zero, zero, jnp.int32(0), jnp.int32(0))
    count = jax.jit(lambda: jax.lax.scan(add, start, jnp.arange(chunks))[0])
    draw = jax.jit(lambda: jax.lax.map(lambda i: drawn(i).sum(), jnp.arange(chunks)))
    first = seconds(count, 1)
    jax.block_until_ready(draw())
    total, drawing = seconds(count, 1), seconds(draw, 1)
    below = np.asarray(count().below, float) / n
    deviation = np.abs(below - np.asarray(ndtr(grid), float)).max() * np.sqrt(n)
    return {
        "values": n,
        "first_call_s": first,
        "seconds": total,
        "seconds to draw": drawing,
        "values/s": n / max(total - drawing, 1e-9),
        "bytes/s of the values": 4 * n / max(total - drawing, 1e-9),
        "deviation": float(deviation),
    }
