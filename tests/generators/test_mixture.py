"""The pool of members: a mixture, against closed forms and against the members themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare, kstest, norm

import amplify
from amplify import regions as rg
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
from amplify.generators.mixture import mixture
from amplify.generators.truncated import truncated
from amplify.integrals import member_integrals
from amplify.sampling import sobol_latents, uniform_latents
from amplify.training.trained import Ensemble

KEY = jax.random.key(0)
MEANS, WIDTHS = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 1.0, 1.5])
PARAMS = GaussianParams(jnp.asarray(MEANS)[:, None], jnp.log(jnp.asarray(WIDTHS))[:, None])
ONE = fitted_gaussian(1)
POOL = mixture(ONE)


def _density(x):
    return np.mean([norm.pdf(x, *pair) for pair in zip(MEANS, WIDTHS, strict=True)], axis=0)


def _function(x):
    return np.mean([norm.cdf(x, *pair) for pair in zip(MEANS, WIDTHS, strict=True)], axis=0)


def test_density_is_the_mean_of_the_members():
    x = np.linspace(-12, 14, 4001)
    log_prob = np.asarray(jax.jit(POOL.log_prob)(PARAMS, jnp.asarray(x)[:, None]))
    np.testing.assert_allclose(np.exp(log_prob), _density(x), rtol=1e-4)
    assert np.trapezoid(np.exp(log_prob), x) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(
        POOL.log_prob(PARAMS, jnp.asarray(x)[:, None]), log_prob, rtol=1e-5, atol=1e-5
    )  # eager


@pytest.mark.parametrize("n", [3000, 3001, 3002])
def test_events_follow_the_density(n):
    """KS against the closed form, each false with probability 1e-3."""
    latent = uniform_latents(jax.random.fold_in(KEY, n), n, 1)
    x = np.asarray(POOL.sample(PARAMS, latent))
    assert x.shape == (n, 1)
    np.testing.assert_allclose(jax.jit(POOL.sample)(PARAMS, latent), x, rtol=1e-5, atol=1e-5)
    assert kstest(x[:, 0], _function).pvalue > 1e-3


@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_members_take_turns_and_latents_stay_together(n):
    """Members that add 10 m tell who made an event, and the latent is what is left."""
    params = GaussianParams(10.0 * jnp.arange(3)[:, None], jnp.full((3, 1), -3.0))
    latent = (jnp.arange(n)[:, None] + 0.5) / n
    x = mixture(ONE).sample(params, latent)
    member = np.rint(np.asarray(x)[:, 0] / 10).astype(int)
    np.testing.assert_array_equal(member, np.arange(n) % 3)
    used = [ONE.sample(jax.tree.map(lambda p, m=m: p[m], params), latent) for m in range(3)]
    of_member = [np.asarray(x)[member == m, 0] for m in range(3)]
    cuts = np.cumsum([0, *map(len, of_member)])
    for m, events in enumerate(of_member):  # contiguous parts, each latent once
        np.testing.assert_allclose(events, used[m][cuts[m] : cuts[m + 1], 0], rtol=1e-6)


def test_sobol_integrals_are_the_means_of_those_of_the_members():
    """With points that members share an integral is known to 1e-3 or better, far below the 1e-2 of
    as many random ones.
    """
    regions = rg.bins(rg.column(0), [-1.0, 0.0, 1.0], "x")
    n = 1 << 13
    of_members = member_integrals(KEY, ONE, PARAMS, regions, n, sobol=True).integral
    params = jax.tree.map(lambda leaf: leaf[None], PARAMS)
    pooled = member_integrals(KEY, POOL, params, regions, n, sobol=True).integral[0]
    np.testing.assert_allclose(pooled, of_members.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(pooled, np.diff(_function([-1.0, 0.0, 1.0])), atol=1e-3)


def test_a_part_of_a_sobol_block_is_a_net():
    """Each member's points fill every one of as many equal cells of a column once."""
    points, each = sobol_latents(3, 1024, 2), 1024 // 4
    for part in points.reshape(4, each, 2):
        for column in part.T:
            cells = np.sort((column * each).astype(int))
            np.testing.assert_array_equal(cells, np.arange(each))


def test_ensembles_give_pools():
    """Events of members and of the pool are of one distribution; chi^2, false once in 1000."""
    ensemble = Ensemble(PARAMS, jnp.ones((3, 5)), jnp.full(3, -1), ONE)
    pool = ensemble.pool()
    assert pool.losses.shape == (5,) and pool.generator is POOL  # compiled once
    x = np.linspace(-2, 2, 7)[:, None]
    np.testing.assert_allclose(np.exp(pool.log_prob(x)), _density(x[:, 0]), rtol=1e-4)
    edges = np.linspace(-2, 3, 9)
    counts, _ = np.histogram(pool.sample(KEY, 20_000)[:, 0], edges)
    expected = 20_000 * np.diff(_function(edges))
    outside = 20_000 - expected.sum()
    counted = [*counts, 20_000 - counts.sum()]
    assert chisquare(counted, [*expected, outside]).pvalue > 1e-3
    assert amplify.mixture is mixture


def test_the_pool_of_truncated_members_is_the_truncated_pool():
    above = truncated(ONE, lambda x: x[:, 0] > 0, draws=7)
    pool = mixture(above)
    assert pool.truncation.candidates is POOL and pool.truncation.draws == 7
    x = np.linspace(0.001, 12, 2001)
    log_prob = np.asarray(pool.log_prob(PARAMS, jnp.asarray(x)[:, None]))
    expected = _density(x) / (1 - _function(0.0))
    np.testing.assert_allclose(np.exp(log_prob), expected, rtol=2e-3)
    kept = Ensemble(PARAMS, jnp.ones((3, 5)), jnp.full(3, -1), above).pool().sample(KEY, 500)
    assert kept.shape == (500, 1) and (kept > 0).all()


def test_a_pool_is_not_trained():
    with pytest.raises(InputError, match=r"ensemble\.pool\(\)"):
        POOL.init(KEY)
    with pytest.raises(InputError, match="trained"):
        POOL.loss(PARAMS, KEY, jnp.zeros((2, 1)), jnp.ones(2))


def test_no_density_where_members_have_none():
    assert mixture(ONE._replace(log_prob=None)).log_prob is None
