"""NumPy in, NumPy out in double precision; JAX in, JAX out, the same under jit and vmap."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification
from amplify.estimators.kolmogorov import ks_distance
from amplify.estimators.pooled import pooled_amplification
from amplify.types import Holdout, Status

RNG = np.random.default_rng(0)
# regions that are resolved, a lower limit, unresolved, biased
TRUTH = np.array([0.1, 0.2, 0.3, 0.25])
SPREAD = np.array([0.02, 0.0012, 0.0, 0.005])
INTEGRAL = RNG.binomial(50_000, TRUTH + SPREAD * RNG.normal(size=(8, 4))) / 50_000
HELD_OUT = np.array([0.1, 0.2, 0.3, 0.4])


def leaves(estimate):
    return jax.tree.leaves(estimate)


def averaging(integral, held_out):
    return averaging_amplification(
        integral, n_train=1000, n_gen=50_000, holdout=Holdout(held_out, 20_000)
    )


def samples(shift=0.2):
    rng = np.random.default_rng(3)
    generated, holdout = rng.normal(shift, 1, 40_000), rng.normal(0, 1, 4000)
    return generated, holdout, rng.uniform(0.5, 1.5, 40_000), rng.uniform(0.5, 1.5, 4000)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_gives_numpy_in_double_precision(dtype):
    for estimate in (
        averaging(INTEGRAL.astype(dtype), HELD_OUT.astype(dtype)),
        differential_amplification(*(x.astype(dtype) for x in samples()[:2]), n_train=100),
    ):
        for leaf in leaves(estimate):
            assert isinstance(leaf, np.ndarray) and leaf.dtype in (np.float64, np.int32, np.int64)


def test_averaging_of_jax_equals_numpy(x64):
    expected = averaging(INTEGRAL, HELD_OUT)
    assert {Status(s).name for s in expected.status} >= {"RESOLVED", "BIASED"}
    integral, held_out = jnp.asarray(INTEGRAL), jnp.asarray(HELD_OUT)
    for transform in (lambda f: f, jax.jit):
        estimate = transform(averaging)(integral, held_out)
        for a, b in zip(leaves(expected), leaves(estimate), strict=True):
            assert isinstance(b, jax.Array)
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    two = jax.vmap(averaging)(jnp.stack([integral, integral]), jnp.stack([held_out, held_out]))
    for a, b in zip(leaves(expected), leaves(two), strict=True):
        np.testing.assert_allclose(b[1], a, rtol=1e-9, atol=1e-12)


def test_jax_in_single_precision_stays_single():
    estimate = averaging(jnp.asarray(INTEGRAL), jnp.asarray(HELD_OUT))
    assert estimate.n_equiv.value.dtype == jnp.float32
    np.testing.assert_allclose(
        estimate.n_equiv.value, averaging(INTEGRAL, HELD_OUT).n_equiv.value, rtol=1e-3
    )


@pytest.mark.parametrize("method", ["threshold", "ks"])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_differential_of_jax_equals_numpy(x64, method, learned, weighted):
    generated, holdout, *weights = samples()
    if not weighted:
        weights = [None, None]
    ratio = [0.2 * x - 0.02 for x in (generated, holdout)]
    inside = [np.stack([x > -9, x > 0, x > 4], axis=1) for x in (generated, holdout)]

    def estimate(t_gen, t_holdout, inside_gen, inside_holdout, weight_gen, weight_holdout):
        return differential_amplification(
            t_gen,
            t_holdout,
            n_train=jnp.array([100.0, 50.0, 0.0])
            if isinstance(t_gen, jax.Array)
            else np.array([100.0, 50.0, 0.0]),
            inside_gen=inside_gen,
            inside_holdout=inside_holdout,
            weight_gen=weight_gen,
            weight_holdout=weight_holdout,
            method=method,
            learned=learned,
        )

    arguments = (*ratio, *inside, *weights)
    expected = estimate(*arguments)
    traced = [None if a is None else jnp.asarray(a) for a in arguments]
    for transform in (lambda f: f, jax.jit):
        for a, b in zip(leaves(expected), leaves(transform(estimate)(*traced)), strict=True):
            assert isinstance(b, jax.Array)
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    two = jax.vmap(estimate)(*[None if a is None else jnp.stack([a, a]) for a in traced])
    for a, b in zip(leaves(expected), leaves(two), strict=True):
        np.testing.assert_allclose(b[0], a, rtol=1e-9, atol=1e-12)


def test_numpy_needs_no_jax():
    code = (
        "import sys, numpy as np;"
        "from amplify.estimators.averaging import averaging_amplification as a;"
        "from amplify.estimators.pooled import pooled_amplification as p;"
        "from amplify.estimators.differential import differential_amplification as d;"
        "x = np.array([[.1, .2], [.2, .1]]);"
        "a(x, n_train=100); p(x, n_train=100);"
        "d(np.arange(200.) - 60, np.arange(200.) - 100, n_train=10);"
        "print([m for m in ('jax', 'scipy.stats', 'scipy.optimize') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_pooled_is_of_numpy_whatever_comes():
    factor, status = pooled_amplification(jnp.asarray(INTEGRAL), n_train=1000, n_gen=50_000)
    assert isinstance(factor.value, np.ndarray) and isinstance(status, Status)


@pytest.mark.parametrize("method", ["threshold", "ks"])
def test_an_accelerator_counts_in_double_precision(x64, monkeypatch, method):
    """Where NumPy does not sort for JAX, as on a CPU it does: whole numbers of 32 bits divide in
    single precision unless told otherwise, which a graphics card showed.
    """
    monkeypatch.setattr("amplify.estimators.kolmogorov._on_cpu", lambda: False)
    generated, holdout = (x[:4000] for x in samples()[:2])
    distance = jax.jit(ks_distance)(jnp.asarray(generated), jnp.asarray(holdout))
    assert float(distance) == pytest.approx(float(ks_distance(generated, holdout)), rel=1e-12)
    estimate = partial(differential_amplification, n_train=100, method=method)
    expected, got = estimate(generated, holdout), estimate(*map(jnp.asarray, (generated, holdout)))
    for a, b in zip(leaves(expected), leaves(got), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)
