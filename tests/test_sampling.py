"""Events of members, from uniform and from Sobol latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
from amplify.sampling import sample_members, sobol_latents, uniform_latents

GENERATOR = fitted_gaussian(2)
PARAMS = GaussianParams(
    jnp.array([[0.0, 0.0], [0.5, -0.5], [0.0, 1.0]]),
    jnp.log(jnp.array([[1.0, 1.0], [2.0, 1.0], [1.0, 0.5]])),
)


def test_monte_carlo_members_are_independent_and_sobol_members_share_latents():
    samples = sample_members(jax.random.key(0), GENERATOR, PARAMS, 4096).x
    shared = sample_members(jax.random.key(0), GENERATOR, PARAMS, 4096, sobol=True).x
    assert abs(np.corrcoef(samples[0, :, 0], samples[1, :, 0])[0, 1]) < 0.08
    assert np.corrcoef(shared[0, :, 0], shared[1, :, 0])[0, 1] > 0.999


def test_latents_are_in_the_open_cube_and_reach_the_tails():
    uniform = np.asarray(uniform_latents(jax.random.key(0), 1 << 20, 2))
    for latent in (uniform, sobol_latents(0, 1 << 20, 2)):
        assert latent.dtype == np.float32 and latent.min() > 0 and latent.max() < 1
        assert norm.ppf(latent.astype(float)).max() > 4.2


def test_no_events_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        sample_members(jax.random.key(0), GENERATOR, PARAMS, 0)
