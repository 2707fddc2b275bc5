"""What runs on all devices, on an accelerator: ensembles in float32 and with products in bfloat16,
Kolmogorov-Smirnov counts and pseudo-experiments, against NumPy on the host.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import ks_2samp

from amplify.estimators.kolmogorov import count_between
from amplify.estimators.on_devices import count_on_devices, null_distances_on_devices
from amplify.estimators.pseudo_experiments import null_distances
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from amplify.types import Generator
from experiments.benchmarks.accelerator_sizes import Sizes, seconds

PRECISIONS = {"float32": None, "bfloat16": "bfloat16"}
_OF: dict[str, Callable[[np.ndarray], Generator]] = {
    "spline": coupling_flow,
    "matching": vector_flow,
}


def members(sizes: Sizes) -> dict[str, Any]:
    """Member-steps a second by generator, precision of products and members. Everything is
    compiled side by side first, then timed one after the other.
    """
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=10_000))
    config = FitConfig(steps=sizes.steps, batch=sizes.batch)
    generators = {name: of(x) for name, of in _OF.items()}

    def trained(name: str, label: str, count: int) -> Any:
        rows = ensemble_rows(jax.random.key(1), len(x), members=count, resample="bootstrap")
        keys = jax.random.split(jax.random.key(2), count)
        with jax.default_matmul_precision(PRECISIONS[label]):
            return fit_members(keys, generators[name], x, rows, config=config).losses

    cases = [(n, p, m) for n in _OF for p in PRECISIONS for m in sizes.members[::-1]]
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        losses = list(pool.map(lambda case: np.asarray(trained(*case)), cases))
    found: dict[str, Any] = {"compile_all_s": time.perf_counter() - started}
    for (name, label, count), loss in zip(cases, losses, strict=True):
        took = seconds(partial(trained, name, label, count), min(sizes.repeats, 2))
        found[f"{name}, {label}, {count} members"] = {
            "member_steps_per_s": count * sizes.steps / took,
            "ms_per_step": 1e3 * took / sizes.steps,
            "loss": float(loss[:, -max(sizes.steps // 10, 1) :].mean()),
        }
    return found


def counts_on_devices(sizes: Sizes) -> dict[str, Any]:
    """KS counts of values on all devices: equal to NumPy's, and values a second."""
    rng = np.random.default_rng(0)
    n = min(sizes.counted // 20, 50_000_000)
    t = rng.standard_normal(n, np.float32)
    grid = np.sort(rng.standard_normal(sizes.grid, np.float32))
    expected, on_device = count_between(grid, t), jnp.asarray(t)
    got = count_on_devices(grid, on_device)
    pairs = zip(got, expected, strict=True)
    return {
        "values": n,
        "right": all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs),
        "values/s": n / seconds(lambda: count_on_devices(grid, on_device), sizes.repeats),
        "values/s in NumPy": n / seconds(lambda: count_between(grid, t), 1),
    }


def nulls_on_devices(sizes: Sizes) -> dict[str, Any]:
    """Pseudo-experiments without a difference: distributed as NumPy's, and experiments a second."""
    n = sizes.grid
    experiments = 2000 if n > 1000 else 200
    draw = partial(null_distances_on_devices, jax.random.key(0), n, n)
    got = np.asarray(draw(experiments))
    same = np.array_equal(got, np.asarray(draw(experiments)))
    expected = null_distances(n, n, experiments, seed=1)
    p_value = float(ks_2samp(got, expected).pvalue)
    return {
        "events": 2 * n,
        "experiments": experiments,
        "p_value": p_value,
        "same bits again": same,
        "right": same and p_value > 1e-3,
        "experiments/s": experiments / seconds(lambda: draw(experiments), min(sizes.repeats, 3)),
        "experiments/s in NumPy": experiments
        / seconds(lambda: null_distances(n, n, experiments, seed=1), 1),
    }
