"""Members and their minibatches on a mesh of devices: every mesh gives the same numbers, up to
rounding.
"""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.devices import using_mesh
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.generators.truncated import truncated
from amplify.sampling import sample_members, waves
from amplify.training import densities, loop, memory
from amplify.training.config import FitConfig, products_of
from amplify.training.densities import log_prob_of_members
from amplify.training.fit import fit
from amplify.training.loop import jitted
from amplify.training.mesh import layout, mesh_of, padded, shape

KEY = jax.random.key(0)
GENERATOR = fitted_gaussian(2)
X = np.asarray(jax.random.normal(KEY, (100, 2)))


@pytest.mark.slow
def test_every_mesh_of_eight_devices_gives_the_same():
    """Trainings, chains, densities, samples and integrals, in a process that has eight."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    program = [sys.executable, "-m", "tests.training.on_meshes"]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | flags)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("devices", [1, 2, 3, 6, 8])
def test_a_mesh_uses_what_it_can(devices):
    for members in range(1, 12):
        for batch in (1, 6, 250, 256):
            rows, columns = shape(members, batch, devices, devices, every=False)
            assert rows == min(members, devices) and rows * columns <= devices
            assert batch % columns == 0
            more = range(columns + 1, devices // rows + 1)
            assert not [c for c in more if batch % c == 0]
            rows, columns = shape(members, batch, devices, devices, every=True)
            assert rows * columns == devices and batch % columns == 0


def test_members_fill_up_and_are_on_their_devices():
    assert len(jax.devices()) == 2
    shared = layout(3, 256)
    assert shared.members == 4 and dict(shared.mesh.shape) == {"member": 2, "batch": 1}
    filled = padded(shared, np.arange(3))
    assert filled.tolist() == [0, 1, 2, 2] and len(filled.sharding.device_set) == 2
    with using_mesh(batch=2):
        assert dict(layout(3, 256).mesh.shape) == {"member": 1, "batch": 2}
        assert dict(layout(3).mesh.shape) == {"member": 2, "batch": 1}  # nothing to share
    with using_mesh(members=1):
        assert dict(layout(3, 256).mesh.shape) == {"member": 1, "batch": 1}


@pytest.mark.parametrize("wish", [{"batch": 3}, {"members": 2, "batch": 2}, {"batch": 0}])
def test_a_mesh_that_is_not_there_is_refused(wish):
    with pytest.raises(InputError, match="using_mesh: expected at"), using_mesh(**wish):
        layout(2, 256)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match="divides into 2, got 15 events"), using_mesh(batch=2):
        fit(KEY, GENERATOR, X, config=FitConfig(steps=1, batch=15))


def test_own_candidates_of_a_truncated_generator_are_shared_out_as_well():
    config = FitConfig(steps=4, batch=16)
    right = truncated(GENERATOR, lambda x: x[:, 0] > 0)
    alone, shared = [], []
    for batch, found in ((1, alone), (2, shared)):
        with using_mesh(members=1, batch=batch):
            fitted = fit(KEY, right, X[X[:, 0] > 0], config=config)
        found += [fitted.losses, fitted.acceptance, *jax.tree.leaves(fitted.params)]
    assert len(alone[-1].sharding.device_set) == 1 and len(shared[-1].sharding.device_set) == 2
    for a, b in zip(shared, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_densities_go_by_any_number_of_events_and_under_jit(monkeypatch):
    monkeypatch.setattr(densities, "_BLOCK", 16)  # and so several blocks, the last one short
    params = jax.vmap(GENERATOR.init)(jax.random.split(KEY, 3))
    expected = jax.vmap(GENERATOR.log_prob, (0, None))(params, jnp.asarray(X))
    for x in (X[:50], jnp.asarray(X[:99])):
        found = log_prob_of_members(GENERATOR.log_prob, params, x)
        assert isinstance(found, jax.Array) == isinstance(x, jax.Array)
        np.testing.assert_allclose(found, expected[:, : len(x)], rtol=1e-5)
    assert log_prob_of_members(GENERATOR.log_prob, params, X[:0]).shape == (3, 0)
    in_jit = jax.jit(lambda p, x: log_prob_of_members(GENERATOR.log_prob, p, x))(
        params, jnp.asarray(X)
    )
    np.testing.assert_allclose(in_jit, expected, rtol=1e-5)


def test_densities_of_events_that_lie_on_one_device():
    params = jax.vmap(GENERATOR.init)(jax.random.split(KEY, 2))
    expected = jax.vmap(GENERATOR.log_prob, (0, None))(params, jnp.asarray(X))
    there = jax.device_put(X, jax.devices()[1])
    found = log_prob_of_members(GENERATOR.log_prob, params, there)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_densities_and_blocks_in_groups_that_fit(monkeypatch):
    """As on an accelerator: several at once, as many as its memory holds."""
    params = jax.vmap(GENERATOR.init)(jax.random.split(KEY, 5))
    plain = log_prob_of_members(GENERATOR.log_prob, params, X)
    events = sample_members(KEY, GENERATOR, params, 40_000).x
    monkeypatch.setattr(densities, "is_cpu", lambda mesh: False)
    monkeypatch.setattr(memory, "free_bytes", lambda devices: 1 << 20)
    grouped = densities._compiled.__wrapped__
    monkeypatch.setattr(densities, "_compiled", grouped)
    together = log_prob_of_members(GENERATOR.log_prob, params, X)
    np.testing.assert_allclose(together, plain, rtol=1e-5)

    def drawer(generator, params, points, blocks):
        return waves._sampler(generator, one_by_one=False), 4  # two on each device

    monkeypatch.setattr("amplify.sampling.members.drawer", drawer)
    np.testing.assert_allclose(sample_members(KEY, GENERATOR, params, 40_000).x, events, rtol=1e-5)


def test_products_are_rounded_where_they_may_be(monkeypatch):
    """The compiler of an accelerator is told so, and rotations keep their precision. A CPU, whose
    compiler refuses such products, is told nothing.
    """
    same = fit(KEY, GENERATOR, X, config=FitConfig(steps=1, batch=16, products="bfloat16"))
    assert np.isfinite(same.losses).all()
    monkeypatch.setattr(loop, "is_cpu", lambda mesh: False)
    matrix = jnp.eye(2)

    def loss(params, key, x, weight):
        turned = jnp.matmul(x, matrix, precision=jax.lax.Precision.HIGHEST)
        return ((turned @ params["kernel"]) ** 2).mean()

    generator = GENERATOR._replace(init=lambda key: {"kernel": jnp.eye(2)}, loss=loss)
    texts = []
    for products in ("float32", "bfloat16"):
        config = FitConfig(steps=1, batch=16, products=products)
        start, advance_by = jitted(generator, config, mesh_of(jax.devices()[:1]))
        keys = jax.random.split(KEY, 1)
        rows = jnp.arange(100)[None]
        state = jax.eval_shape(start, keys)
        lowered = advance_by(None).lower(state, keys, rows, X, jnp.ones(100), jnp.arange(1))
        texts.append(lowered.as_text())
    rounded = "lhs_precision_type = bf16"
    assert rounded not in texts[0] and texts[1].count(rounded) == 2  # forward, and its gradient
    assert texts[1].count("precision = [HIGHEST, HIGHEST]") == 1
    with products_of(FitConfig()), pytest.raises(InputError, match="'float32' or 'bfloat16'"):
        fit(KEY, GENERATOR, X, config=FitConfig(products="float16"))
