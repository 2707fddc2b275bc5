"""Autoregressive flow: inverse, autodiff Jacobians, numerical integrals, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.coordinates import coordinates
from amplify.nets.masked_mlp import MaskedMLP, masks
from amplify.training.config import optimiser
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.truth import ring
from tests.compiled import jit

FLOWS = [  # (dim, bounded, periodic)
    pytest.param(3, {}, {}, marks=pytest.mark.slow),
    pytest.param(4, {0: (-1.0, 1.0)}, {2: (0.0, 6.0)}, marks=pytest.mark.slow),
    pytest.param(1, {}, {}, marks=pytest.mark.slow),
    pytest.param(2, {}, {0: (-3.0, 3.0), 1: (0.0, 1.0)}, marks=pytest.mark.slow),
]


def _random_flow(dim, *, bounded=None, periodic=None, size=0.2, seed=0, **config):
    """A flow whose parameters are far from the identity."""
    x = jax.random.normal(jax.random.key(seed), (200, dim)) * (1.0 + jnp.arange(dim))[None]
    given = coordinates(x, bounded=bounded, periodic=periodic)
    flow = autoregressive_flow(given, AutoregressiveConfig(**config))
    params = jit(flow.init)(jax.random.key(seed + 1))
    leaves, tree = jax.tree.flatten(params["net"])
    keys = jax.random.split(jax.random.key(seed + 2), len(leaves))
    noise = [size * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    net = tree.unflatten([leaf + change for leaf, change in zip(leaves, noise, strict=True)])
    return flow, {"net": net, "fixed": params["fixed"]}


@pytest.mark.parametrize(("dim", "bounded", "periodic"), FLOWS)
def test_log_prob_is_the_jacobian_of_sample(x64, dim, bounded, periodic):
    """Sampling inverts what the density is computed with, or the two would not agree."""
    flow, params = _random_flow(dim, bounded=bounded, periodic=periodic, hidden=(8, 8), bins=4)
    latent = jax.random.uniform(jax.random.key(9), (20, dim), minval=0.02, maxval=0.98)
    x = jit(flow.sample)(params, latent)
    for column, (low, high) in (bounded | periodic).items():
        assert low - 1e-9 <= x[:, column].min() and x[:, column].max() <= high + 1e-9
    jacobian = jit(jax.vmap(jax.jacfwd(lambda u: flow.sample(params, u[None])[0])))(latent)
    expected = -np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(jit(flow.log_prob)(params, x), expected, atol=1e-4)


def test_density_is_normalised(x64):
    """A sum over 250^2 cells, far into the tails."""
    flow, params = _random_flow(2, size=0.05)
    edge = np.linspace(-50, 50, 251)
    centres = (edge[1:] + edge[:-1]) / 2
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(jit(flow.log_prob)(params, jnp.asarray(grid)))
    np.testing.assert_allclose(density.sum() * (edge[1] - edge[0]) ** 2, 1, rtol=3e-3)


def test_sampling_inverts_the_map_to_the_base():
    """In one dimension the density of a sample is 1 / (dx / dlatent), by differences."""
    flow, params = _random_flow(1, hidden=(4,), bins=4)
    latent = jnp.array([0.2, 0.4, 0.7])[:, None]
    step = jnp.array([-1e-2, 1e-2])
    x = jax.vmap(lambda h: flow.sample(params, latent + h))(step)[..., 0]
    density = np.exp(flow.log_prob(params, flow.sample(params, latent)))
    np.testing.assert_allclose(density, 2e-2 / (x[1] - x[0]), rtol=0.01)


def test_outputs_see_earlier_dimensions_only_and_all_of_them():
    dims = (0, 1, 2, 3, 2)  # the last is another feature of dimension 2
    net = MaskedMLP(dims, (16, 16), per_dim=2)
    params = net.init(jax.random.key(0), jnp.zeros((1, 5)))
    params = jax.tree.map(lambda leaf: leaf + 0.3, params)  # the last layer starts at zero
    out = jax.jacfwd(lambda x: net.apply(params, x[None])[0])(jnp.full(5, 0.1))
    depends = np.abs(np.asarray(out)).reshape(4, 2, 5) > 0
    expected = np.asarray(dims)[None] < np.arange(4)[:, None]
    np.testing.assert_array_equal(depends, np.broadcast_to(expected[:, None], depends.shape))
    assert [mask.shape for mask in masks(dims, (16, 8), 2)] == [(5, 16), (16, 8), (8, 8)]


def test_what_stands_under_fixed_is_not_trained():
    params = {"net": jnp.ones(2), "fixed": {"basis": jnp.ones((2, 2))}}
    adamw = optimiser(FitConfig(learning_rate=0.1, weight_decay=5.0))
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = adamw.update(nothing, adamw.init(params), params)
    np.testing.assert_array_equal(updates["fixed"]["basis"], 0)
    np.testing.assert_allclose(updates["net"], -0.5)


@pytest.mark.slow
def test_members_have_bases_of_their_own_that_training_leaves_alone():
    x = ring.sample(jax.random.key(0), ring.Ring(), n=300)
    config = FitConfig(steps=30, batch=64, weight_decay=5.0, average=0.9)
    flow = autoregressive_flow(x, AutoregressiveConfig(hidden=(8,), bins=4))
    ensemble = fit_ensemble(jax.random.key(1), flow, x, members=2, config=config)
    bases = np.asarray(ensemble.params["fixed"]["basis"])
    one = np.broadcast_to(np.eye(2), (2, 2, 2))
    np.testing.assert_allclose(bases @ bases.transpose(0, 2, 1), one, atol=1e-5)
    assert np.abs(bases[0] - bases[1]).max() > 0.05
    plain = autoregressive_flow(x, AutoregressiveConfig(random_basis=False))
    np.testing.assert_array_equal(plain.init(jax.random.key(1))["fixed"]["basis"], np.eye(2))


@pytest.mark.slow
def test_training_approaches_the_entropy_of_the_ring():
    """4000 events, 600 steps: within .05 nat of the true density on fresh events."""
    x, fresh = (ring.sample(jax.random.key(k), ring.Ring(), n=4000) for k in (1, 2))
    flow = autoregressive_flow(x)
    config = FitConfig(steps=600, learning_rate=1e-2)
    fitted = fit_ensemble(jax.random.key(3), flow, x, members=1, resample="none", config=config)[0]
    difference = ring.log_prob(ring.Ring(), fresh) - fitted.log_prob(fresh)
    assert 0 < float(difference.mean()) < 0.05


@pytest.mark.parametrize("config", [{"bins": 1}, {"hidden": ()}, {"hidden": (0,)}])
def test_settings_without_sense_are_refused(config):
    with pytest.raises(InputError, match="at least 2 bins and a hidden layer"):
        autoregressive_flow(
            np.random.default_rng(0).normal(size=(20, 2)), AutoregressiveConfig(**config)
        )
