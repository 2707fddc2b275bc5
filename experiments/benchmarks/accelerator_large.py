"""What fits into the memory of an accelerator, and top pairs at size."""

import math
import time
import warnings
from dataclasses import replace
from pathlib import Path
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
from amplify.truth import ring
from amplify.types import Generator
from experiments.benchmarks.accelerator_sizes import Sizes

PAPER = ("transformer", "lloca", "lgatr")


def _lowered(generator: Generator, config: FitConfig, x: np.ndarray, members: int) -> Any:
    """From members at once to their lowered training, one step of it."""
    start, advance_by = jitted(generator, config, tuple(jax.devices()[:1]))
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


def simulated(out: Path, n: int, workers: int) -> tuple[Path, float]:
    """A file of n top pairs, simulated where it is missing, and the seconds that took."""
    from amplify.ttbar.partons import TtbarSettings, simulate

    path, started = out / f"top_pairs_{n}.h5", time.perf_counter()
    if not path.exists():
        simulate(n, path, TtbarSettings(seed=0), workers=workers)
    return path, time.perf_counter() - started


def physics(out: Path, name: str, budget: float, workers: int, small: bool) -> dict[str, Any]:
    """Bootstrap members of one network side by side, as many steps as the seconds allow; averaging
    G by group of regions, and KS distances to the truth.

    Args:
        out: folder for events.
        name: transformer, lloca or lgatr, at the sizes of the original study.
        budget: seconds for training.
        workers: processes of the simulation.
        small: sizes of a test.
    """
    from experiments import ttbar, ttbar_analysis

    preset = ttbar.PRESETS["smoke" if small else "paper"]
    n_train, n_truth = (500, 4000) if small else (100_000, 1_000_000)
    config = replace(
        preset,
        n_train=n_train,
        n_truth=n_truth,
        sets=2,
        reserved=2 * n_train,
        bootstrap_members=2 if small else 4,
        n_gen=500 if small else 200_000,
        n_holdout=n_train,
        solver_steps=2 if small else 10,
        block=None,
    )
    total = config.n_truth + config.reserved + config.n_holdout
    path, simulating = simulated(out, total, workers)
    events, _ = ttbar.read_events(config, out, path)
    truth, rest = events[:n_truth], events[n_truth:]
    sets = rest[: 2 * n_train].reshape(2, n_train, *rest.shape[1:])
    holdout = rest[config.reserved :]
    chart, model = helicity_chart(), preset.models[name]
    x = np.concatenate([chart.from_momenta(s.astype(float)) for s in sets]).astype(np.float32)
    generator = ttbar.generator_for(config, model, chart, jnp.asarray(x[:n_train]))
    resampled = ensemble_rows(
        jax.random.key(3), n_train, members=config.bootstrap_members, resample="bootstrap"
    )
    rows = jnp.concatenate([jnp.arange(2 * n_train).reshape(2, -1), resampled])
    keys = jax.random.split(jax.random.key(4), len(rows))
    steps, rate, probe_s = _steps(generator, model.training, x, rows, keys, budget)
    training = model.training._replace(steps=steps)
    started = time.perf_counter()
    ensemble = fit_members(keys, generator, x, rows, config=training)
    losses = np.asarray(ensemble.losses)
    trained = time.perf_counter()
    u = np.asarray(ensemble.sample(jax.random.key(5), config.n_gen).x)
    sampled = time.perf_counter()
    values = ttbar_analysis.table(truth)
    regions = ttbar_analysis.study_regions(values)
    from amplify import regions as rg

    integral = rg.fractions(rg.count(regions, values)).integral
    observed = [ttbar_analysis.table(chart.to_momenta(v.astype(float))) for v in u]
    held = ttbar_analysis.table(holdout)
    measured, _ = ttbar_analysis.averaging(config, observed, regions, integral, held)
    return {
        "n_train": n_train,
        "n_truth": n_truth,
        "n_gen": config.n_gen,
        "members": len(rows),
        "batch": training.batch,
        "steps": steps,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(ensemble.params)) // len(rows),
        "ms_per_step_of_all": 1e3 * rate,
        "simulate_s": simulating,
        "probe_s": probe_s,
        "train_s": trained - started,
        "sample_s": sampled - trained,
        "analyse_s": time.perf_counter() - sampled,
        "loss": float(losses[:, -max(steps // 20, 1) :].mean()),
        "ks": ttbar_analysis.ks_table(observed[0], values),
        "ks_of_training_set": ttbar_analysis.ks_table(ttbar_analysis.table(sets[0]), values),
        "groups": measured["groups"],
    }


def _steps(
    generator: Generator, training: FitConfig, x: Any, rows: Any, keys: Any, budget: float
) -> tuple[int, float, float]:
    """Steps that fit into the seconds, a multiple of 40, seconds of one, and what finding out
    took.
    """
    started = time.perf_counter()
    probe = training._replace(steps=40)
    fit_members(keys, generator, x, rows, config=probe)
    compiled = time.perf_counter()
    jax.block_until_ready(fit_members(keys, generator, x, rows, config=probe).losses)
    each = (time.perf_counter() - compiled) / 40
    left = max(budget - 1.3 * (compiled - started), 0.0)  # the training is compiled once more
    steps = 40 * max(int(min(left / each, training.steps) // 40), 1)
    return steps, each, time.perf_counter() - started
