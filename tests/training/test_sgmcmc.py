"""fit_sgmcmc: chains follow posteriors that are known in closed form."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import DivergedError, InputError, MissingExtraError
from amplify.training.fit import FitConfig
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.types import Generator

N = 100
STIFF = jnp.array([1.0, 30.0])  # widths of the posterior differ by so much
X = np.random.default_rng(0).normal(size=(N, 2)) / np.asarray(STIFF)
START = FitConfig(steps=100, learning_rate=0.05)
UNIT = 2 / (1 + 30**2)  # a step of one mean curvature
QUICK = SGMCMCConfig(start=START, batch=N, prior_width=None, chains=8, between=40, burn_in=5)


def _stiff() -> Generator:
    """Two means with known widths: the posterior is N(mean of x, 1 / (n stiffness^2)), exactly."""

    def loss(params, key, x, weight):
        square = (STIFF[None] * (x - params[None])) ** 2
        return (weight * square.sum(axis=-1)).sum() / (2 * weight.sum())

    def sample(params, latent):
        return params[None] + latent

    return Generator(lambda key: jnp.zeros(2), loss, sample, None, 2, likelihood=True)


GENERATOR = _stiff()


def _variances(**settings):
    """Of 400 draws, in units of those of the posterior."""
    config = QUICK._replace(**settings)
    ensemble = fit_sgmcmc(jax.random.key(1), GENERATOR, X, members=400, config=config)
    return np.asarray(ensemble.params).var(axis=0, ddof=1) * N * np.asarray(STIFF) ** 2


@pytest.mark.parametrize(
    "settings",
    [
        {"dynamics": "sghmc", "step_size": 0.01 * UNIT, "friction": 0.2},
        {"dynamics": "sgld", "step_size": 0.1 * UNIT},
        {"step_size": 0.04 * UNIT, "friction": 0.2, "schedule": "cyclical", "explore": 0.25},
    ],
)
def test_a_preconditioned_chain_has_the_widths_of_the_posterior(settings):
    """Minibatches add about .1 to the variance, 400 draws an error of .07 and a little more by
    their correlation; four sigma allowed (false alarms .1 %).
    """
    np.testing.assert_allclose(_variances(precondition=0.5, **settings), 1.0, atol=0.35)


def test_temperature_scales_the_variance():
    settings = {"dynamics": "sgld", "step_size": 0.1 * UNIT, "precondition": 0.5}
    settings["temperature"] = 0.25
    np.testing.assert_allclose(_variances(**settings), 0.25, atol=0.12)


def test_a_gaussian_prior_draws_towards_zero():
    """Means of a posterior that is as narrow as its prior lie half way; 400 draws, four sigma."""
    config = QUICK._replace(step_size=0.1 * UNIT, dynamics="sgld", prior_width=0.1)
    config = config._replace(precondition=0.5)
    x = X + 0.2
    ensemble = fit_sgmcmc(jax.random.key(1), GENERATOR, x, members=400, config=config)
    expected = x[:, 0].mean() / 2  # n = 100 events of width 1 and a prior of width .1
    error = np.asarray(ensemble.params)[:, 0].mean() - expected
    assert abs(error) < 4 * 0.07 / np.sqrt(200)


def test_members_take_turns_of_chains_and_repeat_bit_by_bit():
    seen = []
    config = QUICK._replace(burn_in=1, step_size=0.01 * UNIT, precondition=0.5)
    settings = {"members": 19, "config": config}
    first = fit_sgmcmc(
        jax.random.key(2), GENERATOR, X, progress=lambda *args: seen.append(args), **settings
    )
    again = fit_sgmcmc(jax.random.key(2), GENERATOR, X, **settings)
    np.testing.assert_array_equal(first.params, again.params)
    assert len(first) == 19 and first.method == "sgmcmc" and first.losses.shape == (19, 40)
    assert len(np.unique(np.asarray(first.params)[:, 0])) == 19
    # 3 draws of each chain and one dropped, after the training that they start from
    assert [args[:2] for args in seen[-4:]] == [(40 * k, 160) for k in (1, 2, 3, 4)]
    assert seen[0][1] == START.steps and seen[-1][2].shape == (8,)


def test_weights_are_worth_events():
    """Equal weights change no bit; half the events without weight make the posterior wider."""
    config = QUICK._replace(dynamics="sgld", step_size=0.1 * UNIT, precondition=0.5)
    key = jax.random.key(3)
    plain = fit_sgmcmc(key, GENERATOR, X, members=8, config=config)
    same = fit_sgmcmc(key, GENERATOR, X, members=8, weight=np.full(N, 1.0), config=config)
    np.testing.assert_array_equal(plain.params, same.params)
    half = np.where(np.arange(N) < N // 2, 2.0, 0.0)
    wide = fit_sgmcmc(key, GENERATOR, X, members=400, weight=half, config=config)
    variances = np.asarray(wide.params).var(axis=0, ddof=1) * N * np.asarray(STIFF) ** 2
    np.testing.assert_allclose(variances, 2.0, atol=0.8)


@pytest.mark.slow
def test_untrained_params_stay():
    def init(key):
        return {"free": jnp.zeros(2), "fixed": {"offset": jax.random.normal(key, (2,))}}

    def loss(params, key, x, weight):
        centre = params["free"] + jax.lax.stop_gradient(params["fixed"]["offset"])
        return (weight * ((x - centre[None]) ** 2).sum(axis=-1)).sum() / (2 * weight.sum())

    generator = Generator(init, loss, lambda params, u: u, None, 2)
    config = QUICK._replace(chains=2, burn_in=0, precondition=0.25, step_size=1e-3)
    ensemble = fit_sgmcmc(jax.random.key(0), generator, X, members=6, config=config)
    offset = np.asarray(ensemble.params["fixed"]["offset"])
    np.testing.assert_array_equal(offset, np.tile(offset[:2], (3, 1)))  # those of the two chains
    assert not np.array_equal(offset[0], offset[1])
    centre = offset + np.asarray(ensemble.params["free"])
    np.testing.assert_allclose(centre.mean(axis=0), X.mean(axis=0), atol=0.3)  # width .1


@pytest.mark.slow
def test_divergence_is_one_line_and_keeps_what_was_drawn_before():
    def loss(params, key, x, weight):
        return jnp.where(jnp.abs(params).max() > 1.0, jnp.inf, params.sum() * 1e-3)

    generator = Generator(lambda key: jnp.zeros(2), loss, lambda p, u: u, None, 2)
    config = QUICK._replace(chains=1, between=5, burn_in=0, step_size=0.5, dynamics="sgld")
    config = config._replace(start=FitConfig(steps=1))
    with pytest.raises(DivergedError, match="infinity or nan in chain 0 at step") as raised:
        fit_sgmcmc(jax.random.key(0), generator, X, members=60, config=config)
    kept = raised.value.ensemble.survivors()
    assert 0 < len(kept) < 60 and np.abs(np.asarray(kept.params)).max() <= 1.0
    assert "\n" not in str(raised.value)


def test_refusals_are_one_line(monkeypatch):
    for settings, match in (
        ({"step_size": 0.0}, "step_size above 0"),
        ({"between": 0}, "between, chains and batch"),
        ({"dynamics": "sgnht"}, "'sghmc' or 'sgld'"),
        ({"schedule": "cosine"}, "'constant' or 'cyclical'"),
        ({"prior_width": -1.0}, "prior_width"),
        ({"precondition": 1.0}, "a power of 0 to 0.5"),
    ):
        with pytest.raises(InputError, match=match):
            config = QUICK._replace(**settings)
            fit_sgmcmc(jax.random.key(0), GENERATOR, X, members=2, config=config)
    with pytest.raises(InputError, match="members: expected at least 1"):
        fit_sgmcmc(jax.random.key(0), GENERATOR, X, members=0, config=QUICK)
    monkeypatch.setitem(sys.modules, "blackjax", None)
    monkeypatch.setitem(sys.modules, "blackjax.sgmcmc", None)
    with pytest.raises(MissingExtraError, match=r"pip install '.\[bayes\]'"):
        fit_sgmcmc(jax.random.key(0), GENERATOR, X, members=2, config=QUICK)
