"""Does this release of JAX compute on this CPU what was asked? Some did not, silently: each case
here failed with releases that pyproject.toml excludes, and would show others like them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

SIZES = (1000, 40_000)  # the fault began between the two


@pytest.mark.parametrize("n", SIZES)
def test_sums_of_squares_after_a_product_with_a_matrix(n):
    """Wrong with 0.10.2 (jax-ml/jax#39103): some rows were those of others."""
    x = np.zeros((n, 3), np.float32)
    x[:, 0] = np.arange(n)
    identity = jnp.eye(3)
    # graphics cards round to TF32
    precision = "highest" if jax.default_backend() == "gpu" else None
    with jax.default_matmul_precision(precision):
        squares = jax.jit(jax.vmap(lambda row: ((identity @ row) ** 2).sum()))(jnp.asarray(x))
    np.testing.assert_allclose(squares, np.arange(n, dtype=float) ** 2, rtol=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_one_norm_divides_two_arrays(n):
    """Infinite with 0.11.1 and 0.11.2."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, dim)).astype(np.float32) for dim in (3, 5))
    norm = np.sqrt((x * x).sum(-1, keepdims=True))

    @jax.jit
    def divided(x, y):
        norm = jnp.sqrt((x * x).sum(-1))[:, None]
        return x / norm, y / norm

    for got, expected in zip(divided(x, y), (x / norm, y / norm), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)
