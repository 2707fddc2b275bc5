"""Members of generators that are fitted without steps: as those of networks, on all devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import amplify
from amplify.errors import DivergedError, InputError
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.training.ensemble import ensemble_rows

X = np.random.default_rng(0).normal(3.0, 2.0, (50, 2)).astype(np.float32)
WEIGHT = np.random.default_rng(1).exponential(size=50).astype(np.float32)
AT_ONCE = fitted_gaussian(2)._replace(fit=lambda key, x, weight: maximum_likelihood(x, weight))


@pytest.mark.parametrize("members", [1, 3])
def test_each_member_is_fitted_to_its_own_events(members):
    key, heard = jax.random.key(0), []
    ensemble = amplify.fit_ensemble(
        key,
        AT_ONCE,
        X,
        members=members,
        weight=WEIGHT,
        progress=lambda *said: heard.append(said),
    )
    rows = ensemble_rows(jax.random.split(key)[0], 50, members=members, resample="bootstrap")
    for member, own in zip(ensemble, np.asarray(rows), strict=True):
        expected = np.average(X[own], axis=0, weights=WEIGHT[own])
        np.testing.assert_allclose(member.params.mean, expected, rtol=1e-5)
    assert ensemble.method == "bootstrap" and ensemble.losses.shape == (members, 1)
    (step, steps, loss) = heard[0]
    assert (step, steps, loss.shape, len(heard)) == (1, 1, (members,), 1)
    assert ensemble.sample(jax.random.key(1), 8).x.shape == (members, 8, 2)
    again = amplify.fit_ensemble(key, AT_ONCE, X, members=members, weight=WEIGHT)
    np.testing.assert_array_equal(again.params.mean, ensemble.params.mean)


def test_one_fit_is_of_all_events():
    fitted = amplify.fit(jax.random.key(0), AT_ONCE, X)
    np.testing.assert_allclose(fitted.params.mean, X.mean(axis=0), rtol=1e-5)


def test_what_cannot_be_fitted_is_refused():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="no negative ones"):
        amplify.fit(key, AT_ONCE, X, weight=-WEIGHT + WEIGHT.max() * 1.5 * (WEIGHT < 2))
    with pytest.raises(InputError, match="in steps"):
        amplify.fit_ensemble(key, AT_ONCE, X, members=2, stop=amplify.Stopping())
    with pytest.raises(InputError, match="in steps"):
        amplify.truncated(AT_ONCE, lambda x: x[:, 0] > 0)
    nan = AT_ONCE._replace(fit=lambda key, x, weight: maximum_likelihood(jnp.nan * x))
    with pytest.raises(DivergedError, match="member 0"):
        amplify.fit(key, nan, X)
