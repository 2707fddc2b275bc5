"""Posteriors by variational inference: closed forms of conjugate problems, bits, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import Normal, kl_divergence

from amplify.errors import DivergedError, InputError
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.generators.kernel_density import kernel_density
from amplify.generators.truncated import truncated
from amplify.nets.mlp import MLP
from amplify.training import variational as v
from amplify.training.fit import FitConfig
from amplify.training.variational import Posterior, VariationalConfig, fit_variational
from amplify.types import Generator

X = np.random.default_rng(0).normal(0.2, 1.2, (400, 1))
SHORT = VariationalConfig(fit=FitConfig(steps=20, batch=64))


def _linear(width: float) -> Generator:
    """y = w1 f1 + w2 f2 + b with Gaussian noise of a known width, of events (f1, f2, y)."""
    net = MLP((), 1)

    def loss(params, key, x, weight):
        residual = x[:, 2] - net.apply(params, x[:, :2])[:, 0]
        return (weight * residual**2).sum() / weight.sum() / (2 * width**2)

    def init(key):
        return net.init(key, jnp.zeros((1, 2)))

    return Generator(init, loss, lambda params, u: u, None, 3, likelihood=True)


@pytest.mark.parametrize("kl_weight", [1.0, 0.2])
def test_posterior_of_a_linear_model_is_that_of_mean_field_in_closed_form(kl_weight):
    """Gaussian with precision A = F^T F / s^2 + kl_weight / p^2: means A^-1 F^T y / s^2, and widths
    sqrt(kl_weight / A_ii), which are too narrow along correlations. Minibatches leave an error of a
    few percent.
    """
    rng, noise, prior = np.random.default_rng(1), 2.0, 0.3
    features = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    y = features @ [0.5, -1.0] + 0.3 + noise * rng.normal(size=200)
    f = np.c_[features, np.ones(200)]
    precision = f.T @ f / noise**2 + kl_weight * np.eye(3) / prior**2
    mean = np.linalg.solve(precision, f.T @ y / noise**2)
    width = np.sqrt(kl_weight / np.diag(precision))

    fit = FitConfig(steps=1500, batch=400, learning_rate=0.02)
    config = VariationalConfig(kl_weight, prior, 0.1, fit=fit)
    x = np.c_[features, y]
    key = jax.random.key(0)
    draws = fit_variational(key, _linear(noise), x, members=4000, config=config).params["params"]
    found = np.c_[draws["Dense_0"]["kernel"][..., 0], draws["Dense_0"]["bias"]]
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.5 * width.min())
    np.testing.assert_allclose(found.std(axis=0), width, rtol=0.08)


def test_fitted_gaussian_has_the_posterior_of_its_fisher_information():
    """Mean to s / sqrt(n), logarithm of the width to 1 / sqrt(2 n); they do not correlate."""
    fit = FitConfig(steps=1000, batch=400, learning_rate=0.02)
    config = VariationalConfig(1.0, 10.0, 0.1, fit=fit)
    key, generator = jax.random.key(1), fitted_gaussian(1)
    drawn = fit_variational(key, generator, X, members=4000, config=config)
    mean, log_width = np.asarray(drawn.params.mean), np.asarray(drawn.params.log_width)
    assert abs(mean.mean() - X.mean()) < 0.3 * X.std() / 20
    assert abs(mean.std() / (X.std() / 20) - 1) < 0.1
    assert abs(log_width.std() * 800**0.5 - 1) < 0.1
    assert drawn.generator is generator and drawn.method == "variational"


def test_divergence_is_that_of_numpyro():
    mean, log_width = np.random.default_rng(2).normal(size=(2, 12)).astype(np.float32)
    expected = kl_divergence(Normal(mean, np.exp(log_width)), Normal(0.0, 0.7)).sum()
    found = v.kl_divergence(Posterior(jnp.asarray(mean), jnp.asarray(log_width)), 0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def flow():
    x = np.random.default_rng(3).normal(size=(300, 2))
    return x, autoregressive_flow(x, AutoregressiveConfig((4,), bins=3))


@pytest.mark.slow
def test_draws_are_networks_of_the_generator_dealt_over_chains(flow):
    x, generator = flow
    config, told = SHORT._replace(chains=2), []

    def progress(step, steps, losses):
        told.append((step, losses.shape))

    key = jax.random.key(0)
    settings = {"members": 5, "config": config}
    drawn = fit_variational(key, generator, x, progress=progress, **settings)
    again = fit_variational(key, generator, x, **settings)
    for leaf, same in zip(*map(jax.tree.leaves, (drawn, again)), strict=True):
        np.testing.assert_array_equal(leaf, same)
    assert len(drawn) == 5 and told[-1] == (20, (2,))
    losses, basis = np.asarray(drawn.losses), np.asarray(drawn.params["fixed"]["basis"])
    for some in (losses, basis):  # two posteriors
        np.testing.assert_array_equal(some[0], some[2])
        assert not np.array_equal(some[0], some[1])
    kernels = np.asarray(drawn.params["net"]["params"]["last_kernel"])
    assert len(np.unique(kernels[:, 0, 0])) == 5
    assert np.isfinite(kernels).all()


def test_weights_count_as_many_events_as_they_are_worth(monkeypatch):
    """Half of the events have weight zero: the others stand against the prior."""
    stood, variational = [], v.variational
    monkeypatch.setattr(v, "variational", lambda *args: stood.append(args[1]) or variational(*args))
    x, weight = np.repeat(X, 2, axis=0), np.tile([1.0, 0.0], 400)
    key, settings = jax.random.key(0), {"members": 1, "config": SHORT}
    fit_variational(key, fitted_gaussian(1), x, weight=weight, **settings)
    assert stood == [400.0]


@pytest.mark.slow
def test_divergence_is_one_line_and_keeps_the_other_chains():
    def loss(params, key, x, weight):
        return jnp.where(params["late"] > 0, 0.0, jnp.inf) * weight.mean()

    def init(key):
        return {"late": jax.random.normal(key)}

    generator = Generator(init, loss, lambda p, u: u, None, 1)
    config = SHORT._replace(chains=6, initial_width=1e-6)
    with pytest.raises(DivergedError, match="infinity or nan in member") as caught:
        fit_variational(jax.random.key(0), generator, X, members=12, config=config)
    left = caught.value.ensemble.survivors()
    assert 0 < len(left) < 12 and (np.asarray(left.params["late"]) > 0).all()
    assert left.method == "variational" and left.generator is generator


@pytest.mark.parametrize(
    ("generator", "settings", "words"),
    [
        (fitted_gaussian(1), {"members": 0}, "at least 1 of each"),
        (fitted_gaussian(1), {"config": VariationalConfig(kl_weight=0.0)}, "above zero"),
        (fitted_gaussian(1), {"config": VariationalConfig(prior_width=0.0)}, "prior_width above 0"),
        (fitted_gaussian(1), {"config": VariationalConfig(chains=0)}, "0 chains"),
        (truncated(fitted_gaussian(1), lambda x: x[:, 0] > 0), {}, "without truncation"),
        (kernel_density(X), {}, "by descent"),
        (fitted_gaussian(2), {}, r"\[n, 2\]"),
    ],
)
def test_bad_input(generator, settings, words):
    with pytest.raises(InputError, match=words):
        fit_variational(jax.random.key(0), generator, X, **{"members": 2, **settings})
