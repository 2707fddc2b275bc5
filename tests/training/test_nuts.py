"""fit_nuts: the posterior of the fitted Gaussian is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2, kstest, norm

from amplify.errors import InputError
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.generators.truncated import truncated
from amplify.training import posterior
from amplify.training.fit import FitConfig
from amplify.training.nuts import NUTSConfig, fit_nuts
from amplify.truth import gaussian
from amplify.types import Generator

N = 1000
X = np.asarray(gaussian.sample(jax.random.key(910), n=N))
START = FitConfig(steps=20)
CONFIG = NUTSConfig(chains=2, warm_up=200, draws=500, prior_width=None, start=START)
GENERATOR = fitted_gaussian()


@pytest.fixture(scope="module")
def drawn():
    seen = []
    ensemble = fit_nuts(
        jax.random.key(1),
        GENERATOR,
        X,
        members=1000,
        config=CONFIG,
        progress=lambda *args: seen.append(args),
    )
    return ensemble, seen


def test_draws_follow_the_posterior_of_the_fitted_gaussian(drawn):
    """With a flat prior of the mean and of the logarithm of the width, n s^2 / width^2 follows
    chi^2 with n - 1 degrees of freedom and (mean - m) / (width / sqrt n) a normal law. Every fifth
    draw is about independent; two tests, false alarms at most .2 %.
    """
    params = jax.tree.map(np.asarray, drawn[0].params)
    mean, width = params.mean[::5, 0], np.exp(params.log_width[::5, 0])
    fit = maximum_likelihood(jnp.asarray(X))
    m, s = float(fit.mean[0]), float(jnp.exp(fit.log_width[0]))
    assert kstest(N * s**2 / width**2, chi2(N - 1).cdf).pvalue > 1e-3
    assert kstest((mean - m) / width * np.sqrt(N), norm.cdf).pvalue > 1e-3


def test_draws_reproduce_the_closed_form_of_sigma_model(drawn):
    """n sigma_model^2 in ten equiprobable bins, for the truth that the fit takes for true; 900 and
    more effective draws leave 5 % of the variance, four sigma allowed (false alarms .1 %).
    """
    assert drawn[0].posterior.effective > 300
    params = jax.tree.map(np.asarray, drawn[0].params)
    fit = maximum_likelihood(jnp.asarray(X))
    edges = (norm.ppf(np.linspace(0, 1, 11)) - float(fit.mean[0])) / np.exp(float(fit.log_width[0]))
    ends = norm.ppf(np.linspace(0, 1, 11))[None]
    below = norm.cdf((ends - params.mean) / np.exp(params.log_width))
    variance = N * np.diff(below, axis=1).var(axis=0, ddof=1)
    expected = gaussian.fit_variance(jnp.asarray(edges[:-1]), jnp.asarray(edges[1:]))
    np.testing.assert_allclose(variance, np.asarray(expected), rtol=0.3)
    assert abs(variance.sum() / float(expected.sum()) - 1) < 0.2


def test_the_ensemble_says_how_the_chains_did(drawn):
    ensemble, seen = drawn
    report = ensemble.posterior
    assert ensemble.method == "nuts" and len(ensemble) == 1000
    assert ensemble.losses.shape == (1000, 700) and (np.asarray(ensemble.diverged_at) == -1).all()
    assert 0.6 < report.acceptance <= 1 and report.divergences == 0
    assert report.r_hat < 1.05 and report.steps >= 1000
    assert seen[-1][:2] == (700, 700) and len(seen) == 20
    # the potential per event near the entropy
    np.testing.assert_allclose(seen[-1][2], 1.419, atol=0.1)
    assert ensemble.survivors().posterior == report  # survives as data about all


def test_same_key_gives_the_same_bits_and_members_are_spread_over_the_chains(drawn):
    again = fit_nuts(jax.random.key(1), GENERATOR, X, members=4, config=CONFIG)
    every = drawn[0].params.mean
    # each chain's middle and last draw
    np.testing.assert_array_equal(again.params.mean, every[np.array([498, 499, 998, 999])])
    assert len(np.unique(again.params.mean)) == 4


@pytest.mark.slow
def test_untrained_params_stay_and_others_follow_the_posterior():
    """The mean of x is a free number and a fixed one, which each chain draws at its start; without
    a log density. 40 draws of a width of .1, five sigma allowed.
    """

    def init(key):
        return {"free": jnp.zeros(1), "fixed": {"offset": jax.random.normal(key, (1,))}}

    def loss(params, key, x, weight):
        centre = params["free"] + jax.lax.stop_gradient(params["fixed"]["offset"])
        return (weight * ((x - centre[None]) ** 2).sum(axis=-1)).sum() / (2 * weight.sum())

    generator = Generator(init, loss, lambda params, u: u, None, 1)
    config = NUTSConfig(chains=2, warm_up=40, draws=40, prior_width=None, start=START)
    ensemble = fit_nuts(jax.random.key(0), generator, X[:100], members=40, config=config)
    offset = np.asarray(ensemble.params["fixed"]["offset"])[:, 0]
    np.testing.assert_array_equal(offset, np.tile(offset[:2], 20))  # those of the two chains
    assert offset[0] != offset[1]
    centre = offset + np.asarray(ensemble.params["free"])[:, 0]
    assert abs(centre.mean() - X[:100].mean()) < 0.1 and 0.05 < centre.std() < 0.2
    assert np.isfinite(ensemble.losses).all() and ensemble.posterior.r_hat < 1.5


def test_potential_counts_events_by_what_they_are_worth_and_knows_the_prior():
    params = GENERATOR.init(jax.random.key(0))
    position, fixed = posterior.parted(params)
    x, key = jnp.asarray(X[:3], jnp.float32), jax.random.key(0)
    w = jnp.array([2.0, 2.0, 0.0])
    energy = posterior.potential(GENERATOR, 0.5)(position, fixed, key, x, w, posterior.n_worth(w))
    logs = norm.logpdf(X[:2, 0], float(params.mean[0]), np.exp(float(params.log_width[0])))
    prior = float((position**2).sum()) / (2 * 0.5**2)
    np.testing.assert_allclose(float(energy), prior - logs.sum(), rtol=1e-5)
    joined = posterior.joiner(GENERATOR)(position, fixed)
    np.testing.assert_array_equal(joined.log_width, params.log_width)


def test_refusals_are_one_line():
    x = X[:50]

    def refused(generator, match, members=2, **settings):
        config = NUTSConfig(chains=1, warm_up=2, draws=2, start=START)._replace(**settings)
        with pytest.raises(InputError, match=match) as error:
            fit_nuts(jax.random.key(0), generator, x, members=members, config=config)
        assert "\n" not in str(error.value)

    refused(coupling_flow(np.tile(x, 2)), "at most 3000 parameters, got 7")
    refused(GENERATOR, "members: expected 1 to 2", members=3)
    refused(GENERATOR, "at least 1", warm_up=0)
    refused(GENERATOR, "target_acceptance", target_acceptance=1.0)
    refused(GENERATOR, "prior_width above 0", prior_width=0.0)
    at_once = GENERATOR._replace(fit=lambda key, x, weight: maximum_likelihood(x, weight))
    refused(at_once, "trained by descent")
    refused(truncated(GENERATOR, lambda x: x[:, 0] > 0), "without truncation")
