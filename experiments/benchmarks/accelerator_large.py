"""What fits into the memory of an accelerator."""

import math
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.generators.charts import helicity_chart
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.training import memory
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.training.loop import jitted
from amplify.training.mesh import mesh_of
from amplify.truth import ring
from amplify.types import Generator
from experiments.benchmarks.accelerator_sizes import Sizes


def _lowered(generator: Generator, config: FitConfig, x: np.ndarray, members: int) -> Any:
    """From members at once to their lowered training, one step of it."""
    start, advance_by = jitted(generator, config, mesh_of(jax.devices()[:1]))
    keys = jax.random.split(jax.random.key(0), members)
    shapes = jax.eval_shape(start, keys)
    rows = jax.ShapeDtypeStruct((members, len(x)), jnp.int32)
    table = jnp.asarray(x), jnp.ones(len(x))
    return lambda at_once: advance_by(at_once).lower(shapes, keys, rows, *table, jnp.arange(1))


def small_members(sizes: Sizes) -> dict[str, Any]:
    """Bytes that a member of the small flows needs, from the compiler, and how many would fit."""
    x = np.asarray(ring.sample(jax.random.key(0), n=10_000))
    config, found = FitConfig(steps=1, batch=sizes.batch), {}
    for name, generator in (("spline flow", coupling_flow(x)), ("flow matching", vector_flow(x))):
        found[name] = _needs(generator, config, x, max(sizes.members))
    return found


def _needs(generator: Generator, config: FitConfig, x: np.ndarray, members: int) -> dict[str, Any]:
    free = memory.free_bytes(tuple(jax.devices()[:1]))
    started = time.perf_counter()
    fits = memory.fitting(_lowered(generator, config, x, members), members, free)
    each = fits.needed / fits.at_once
    return {
        "members": members,
        "at_once": fits.at_once,
        "bytes_of_a_member": each,
        "free_bytes": free,
        "members_that_fit": None if free is None or not each else math.floor(free / each),
        "compile_s": time.perf_counter() - started,
    }


def heavy_members(sizes: Sizes) -> dict[str, Any]:
    """Hundreds of L-GATr members with a large minibatch, which do not fit at once: the groups that
    the package finds, and two steps of them.
    """
    from experiments import ttbar

    chart = helicity_chart()
    x = _synthetic(4096, chart.dim)
    model = ttbar.PRESETS["full"].models["lgatr"]
    generator = ttbar.generator_for(ttbar.PRESETS["full"], model, chart, jnp.asarray(x))
    members, steps = sizes.heavy_members, 2
    config = FitConfig(steps=steps, batch=sizes.heavy_batch)
    keys = jax.random.split(jax.random.key(1), members)
    rows = ensemble_rows(jax.random.key(2), len(x), members=members, resample="bootstrap")
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ensemble = fit_members(keys, generator, x, rows, config=config)
    jax.block_until_ready(ensemble.losses)
    stats = jax.devices()[0].memory_stats() or {}
    return {
        "members": members,
        "batch": sizes.heavy_batch,
        "said": [str(w.message) for w in said][:3],
        "seconds with compiling": time.perf_counter() - started,
        "finite": bool(np.isfinite(np.asarray(ensemble.losses)).all()),
        "peak_bytes": stats.get("peak_bytes_in_use"),
        "bytes_limit": stats.get("bytes_limit"),
    }


def _synthetic(n: int, dim: int) -> np.ndarray:
    """Coordinates without physics, of which only the shape matters."""
    return np.random.default_rng(0).normal(scale=0.5, size=(n, dim)).astype(np.float32)
