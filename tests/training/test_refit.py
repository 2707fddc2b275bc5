"""fit_refits: bits, what it trains on, what it refuses, and the fitted Gaussian as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
from amplify.training.fit import FitConfig
from amplify.training.refit import fit_refits
from amplify.training.stopping import Stopped
from amplify.training.trained import Ensemble

# leaves the Gaussian near its maximum of the likelihood
LONG = FitConfig(steps=250, batch=500, learning_rate=0.1)
MEMBERS, N_TRAIN = 100, 500


def _ensemble(mean, width, stopped=None):
    """Members of which nothing is known but what they generate."""
    params = GaussianParams(jnp.asarray(mean)[:, None], jnp.log(jnp.asarray(width))[:, None])
    nothing = jnp.zeros((len(mean), 1))
    ended = jnp.full(len(mean), -1)
    return Ensemble(params, nothing, ended, fitted_gaussian(), stopped, method="bootstrap")


@pytest.fixture(scope="module")
def refits():
    pool = _ensemble([2.9, 3.1], [1.0, 1.0])
    return fit_refits(jax.random.key(0), pool, members=MEMBERS, n_train=N_TRAIN, config=LONG)


def test_refits_learn_from_events_of_the_pool_and_of_their_own(refits):
    """Mean and variance of means of 500 events of the pool, N(3, 1.01): four standard errors, which
    chance exceeds once in 16 000. A scatter of the minibatches, of n_train / batch, comes on top.
    """
    mean = np.asarray(refits.params.mean)[:, 0]
    variance = 1.01 / N_TRAIN
    assert abs(mean.mean() - 3.0) < 4 * np.sqrt(1.3 * variance / MEMBERS)
    assert 1 - 0.4 < mean.var() / variance < 1.3 + 0.4
    assert refits.method == "refit" and len(refits) == MEMBERS


def test_same_key_gives_the_same_bits(refits):
    pool = _ensemble([2.9, 3.1], [1.0, 1.0])
    again, other = (
        fit_refits(jax.random.key(k), pool, members=MEMBERS, n_train=N_TRAIN, config=LONG)
        for k in (0, 1)
    )
    np.testing.assert_array_equal(again.params.mean, refits.params.mean)
    assert not np.array_equal(other.params.mean, refits.params.mean)


def test_a_stopped_ensemble_is_trained_again_for_as_many_steps():
    pool = _ensemble([0.0, 1.0], [1.0, 1.0], Stopped(7, (7,), (0.0,)))
    refits = fit_refits(jax.random.key(0), pool, members=2, n_train=50, config=LONG)
    assert refits.losses.shape == (2, 7)


def test_bad_input_is_refused():
    pool = _ensemble([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(InputError, match="at least 1"):
        fit_refits(jax.random.key(0), pool, members=0, n_train=50)
    with pytest.raises(InputError, match="nan or infinity"):
        fit_refits(jax.random.key(0), _ensemble([np.nan, 1.0], [1.0, 1.0]), members=2, n_train=50)
