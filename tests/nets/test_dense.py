"""Layers with the events last: those of Flax, transposed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.nets.dense import Dense, swish


@pytest.mark.parametrize("bias", [True, False])
def test_dense_is_the_layer_of_flax(bias):
    """Same params from the same key, same numbers."""
    x = jax.random.normal(jax.random.key(0), (7, 3))
    ours, theirs = Dense(5, use_bias=bias), nn.Dense(5, use_bias=bias)
    params = theirs.init(jax.random.key(1), x)
    jax.tree.map(np.testing.assert_array_equal, ours.init(jax.random.key(1), x.T), params)
    params = jax.tree.map(lambda leaf: leaf + 0.3, params)
    np.testing.assert_allclose(ours.apply(params, x.T).T, theirs.apply(params, x), rtol=1e-5)


def test_swish_and_its_slope():
    """To the rounding of x, not to that of a result near zero."""
    x = jnp.linspace(-90.0, 90.0, 1001)
    assert (jnp.abs(swish(x) - jax.nn.swish(x)) <= 2e-7 * jnp.abs(x) + 1e-7).all()
    slopes = (jax.vmap(jax.grad(f))(x) for f in (swish, jax.nn.swish))
    np.testing.assert_allclose(*slopes, rtol=1e-5, atol=2e-5)
