"""Products in bfloat16 are what a CPU is made to compute for the study of them."""

import jax
import jax.numpy as jnp
import numpy as np

from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.nets.dense import Dense
from experiments.benchmarks.bfloat16 import with_bfloat16


def _in_eight_bits(x):
    return np.asarray(jnp.asarray(x).astype(jnp.bfloat16).astype(jnp.float32))


def test_factors_are_rounded_and_sums_are_not():
    layer = Dense(3, use_bias=False)
    x = np.asarray(jax.random.normal(jax.random.key(0), (5, 4)))
    params = {"params": {"kernel": jax.random.normal(jax.random.key(1), (5, 3))}}

    def loss(params, key, x, weight):
        return (layer.apply(params, x) ** 2).sum()

    rounded = with_bfloat16(fitted_gaussian(2)._replace(loss=loss))
    kernel = _in_eight_bits(params["params"]["kernel"])
    expected = kernel.T @ _in_eight_bits(x)
    value, gradient = jax.value_and_grad(rounded.loss)(params, None, x, None)
    np.testing.assert_allclose(value, (expected**2).sum(), rtol=1e-5)
    of_kernel = _in_eight_bits(x) @ _in_eight_bits(2 * expected).T
    np.testing.assert_allclose(gradient["params"]["kernel"], of_kernel, rtol=1e-5, atol=1e-5)
