"""The baselines without a density: each player of the GAN descends its own loss; the bound of the
VAE in closed form.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import ndtr
from scipy.stats import norm

from amplify.errors import InputError
from amplify.generators.gan import GANConfig, gan
from amplify.generators.vae import VAEConfig, vae
from amplify.latents import uniform_latents
from amplify.nets.mlp import MLP
from tests.compiled import jit

X = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)


def test_each_player_of_a_gan_has_the_gradient_of_its_own_loss():
    generator = gan(X, GANConfig((4,), (4,), penalty=0.0))
    leaves, tree = jax.tree.flatten(jit(generator.init)(jax.random.key(1)))
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noise = [0.5 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    params = tree.unflatten([a + b for a, b in zip(leaves, noise, strict=True)])
    x, weight, key = jnp.asarray(X[:50]), jnp.ones(50), jax.random.key(3)
    gradient = jit(jax.grad(generator.loss))(params, key, x, weight)
    of_players = jit(jax.jacrev(lambda params: _players(generator, params, key, x)))(params)
    for player in ("critic", "generator"):
        jax.tree.map(
            lambda found, expected: np.testing.assert_allclose(found, expected, atol=1e-5),
            gradient[player],
            of_players[player][player],
        )
        assert sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(gradient[player])) > 0.1


def _players(generator, params, key, x):
    """Loss of each, with events of the latents behind the noise of the Generator's loss."""
    noise = jax.random.normal(key, x.shape, x.dtype)
    scale, shift = X.std(0)[None], X.mean(0)[None]
    fake = (generator.sample(params, ndtr(noise)) - shift) / scale

    def logit(u):
        return MLP((4,), 1).apply(params["critic"], u)[:, 0]

    of_real = jnp.logaddexp(0, -logit((x - shift) / scale)).mean()
    return {
        "critic": of_real + jnp.logaddexp(0, logit(fake)).mean(),
        "generator": jnp.logaddexp(0, -logit(fake)).mean(),
    }


def test_the_bound_of_an_untrained_vae_is_the_closed_form():
    """Before training z | u is N(u, .3^2) and u | z is N(z, .3^2), so that the bound is -KL + E log
    p with the mean square 1 of u. 8000 squares of normal numbers: an error of .008, four allowed.
    """
    generator = vae(X, VAEConfig((4,), (4,)))
    params = jit(generator.init)(jax.random.key(0))
    loss = jit(generator.loss)(params, jax.random.key(1), jnp.asarray(X), jnp.ones(len(X)))
    kl = 0.5 * (1 + 0.3**2 - 1) - np.log(0.3)
    log_p = norm.logpdf(0) - np.log(0.3) - 0.5
    assert float(loss) == pytest.approx(2 * (kl - log_p), abs=0.065)
    latent = uniform_latents(jax.random.key(2), 4000, 2)
    sample = np.asarray(jit(generator.sample)(params, latent))
    width = np.sqrt(1 + 0.3**2)
    np.testing.assert_allclose(sample.std(0) / X.std(0), width, rtol=0.05)  # an error of .011
    np.testing.assert_array_equal(sample, jit(generator.sample)(params, latent))


@pytest.mark.parametrize("make", [gan, vae])
def test_weights_count_as_repetitions_in_the_loss(make):
    generator = make(X)
    params, key = jit(generator.init)(jax.random.key(0)), jax.random.key(1)
    x, half = jnp.asarray(X[:20]), jnp.where(jnp.arange(20) < 10, 1.0, 0.0)
    loss = jit(generator.loss)
    by_weight = loss(params, key, x, half)
    np.testing.assert_allclose(loss(params, key, x.at[10:].set(9.0), 3 * half), by_weight, 1e-5)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="penalty"):
        gan(X, GANConfig(penalty=-1.0))
    with pytest.raises(InputError, match="hidden"):
        vae(X, VAEConfig(hidden=(0,)))
