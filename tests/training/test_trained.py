"""What training leaves: objects that sample, give densities and pass through JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import amplify
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.sampling import sample_members
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig, fit
from amplify.training.trained import Ensemble, Fitted
from amplify.truth import ring
from amplify.types import Trainable

KEY = jax.random.key(0)
X = ring.sample(KEY, ring.Ring(), n=300)
SHORT = FitConfig(steps=5, batch=32)
MEMBERS = 3


GENERATOR = fitted_gaussian(2)  # soon compiled; flows are trained in test_ensemble


@pytest.fixture(scope="module")
def fitted():
    return fit(KEY, GENERATOR, X, config=SHORT)


@pytest.fixture(scope="module")
def ensemble():
    return fit_ensemble(KEY, GENERATOR, X, members=MEMBERS, config=SHORT)


def _assert_equal(trees):
    first, second = map(jax.tree.leaves, trees)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sobol", [False, True])
def test_samples_are_those_of_sample_members(fitted, ensemble, sobol):
    key, n = jax.random.key(1), 64
    expected = sample_members(key, ensemble.generator, ensemble.params, n, sobol=sobol).x
    np.testing.assert_array_equal(ensemble.sample(key, n, sobol=sobol).x, expected)
    np.testing.assert_array_equal(amplify.sample(key, ensemble, n, sobol=sobol).x, expected)

    alone = jax.tree.map(lambda leaf: leaf[None], fitted.params)
    expected = sample_members(key, fitted.generator, alone, n, sobol=sobol).x[0]
    for x in (fitted.sample(key, n, sobol=sobol), amplify.sample(key, fitted, n, sobol=sobol)):
        assert isinstance(x, np.ndarray)
        np.testing.assert_array_equal(x, expected)


def test_log_prob_is_that_of_the_generator(fitted, ensemble):
    """NumPy in, NumPy out, whatever the precision; JAX in, JAX out, also under jit."""
    expected = np.asarray(fitted.generator.log_prob(fitted.params, X))
    for x in (np.asarray(X), np.asarray(X, np.float64)):
        density = fitted.log_prob(x)
        assert isinstance(density, np.ndarray)
        np.testing.assert_allclose(density, expected, rtol=1e-4, atol=1e-5)
    for log_prob in (
        fitted.log_prob,
        jax.jit(fitted.log_prob),
        jax.jit(lambda x: fitted.log_prob(x)),
    ):
        density = log_prob(X)
        assert isinstance(density, jax.Array)
        np.testing.assert_allclose(density, expected, rtol=1e-4, atol=1e-5)
    assert fitted.log_prob(np.zeros((0, 2))).shape == (0,)

    expected = jax.vmap(ensemble.generator.log_prob, in_axes=(0, None))(ensemble.params, X)
    for x in (X, np.asarray(X)):
        density = ensemble.log_prob(x)
        assert type(density) is type(fitted.log_prob(x)) and density.shape == (MEMBERS, len(X))
        np.testing.assert_allclose(density, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jax.jit(ensemble.log_prob)(X), expected, rtol=1e-4, atol=1e-5)


def test_members_of_an_ensemble(ensemble):
    assert len(ensemble) == MEMBERS and len(list(ensemble)) == MEMBERS
    member = ensemble[1]
    assert isinstance(member, Fitted) and member.generator is ensemble.generator
    _assert_equal((member.params, jax.tree.map(lambda leaf: leaf[1], ensemble.params)))
    np.testing.assert_array_equal(member.losses, ensemble.losses[1])
    _assert_equal((ensemble[-1], ensemble[MEMBERS - 1]))
    with pytest.raises(IndexError):
        ensemble[MEMBERS]


def test_survivors_are_the_members_that_did_not_diverge(ensemble):
    diverged = Ensemble(
        ensemble.params, ensemble.losses, jnp.array([-1, 4, -1]), ensemble.generator
    )
    survivors = diverged.survivors()
    assert len(survivors) == 2
    for place, member in enumerate((0, 2)):
        _assert_equal((survivors[place], ensemble[member]))
    _assert_equal((ensemble.survivors(), ensemble))


def test_they_are_pytrees(fitted, ensemble):
    """A round trip keeps class and generator; jit takes and returns them."""
    for trained in (fitted, ensemble):
        for same in (jax.tree.map(lambda leaf: leaf, trained), jax.jit(lambda t: t)(trained)):
            assert type(same) is type(trained) and same.generator is trained.generator
            _assert_equal((same, trained))
        twice = jax.tree.map(lambda leaf: 2 * leaf, trained)
        np.testing.assert_array_equal(twice.losses, 2 * trained.losses)


@pytest.mark.parametrize("train", [fit, lambda *a, **k: fit_ensemble(*a, members=2, **k)])
def test_events_of_numpy_train_as_those_of_jax(train):
    generator, weight = fitted_gaussian(2), np.linspace(0.5, 1.5, len(X))
    of_jax = train(KEY, generator, X, weight=jnp.asarray(weight, jnp.float32), config=SHORT)
    for x in (np.asarray(X), np.asarray(X, np.float64)):
        _assert_equal((train(KEY, generator, x, weight=weight, config=SHORT), of_jax))


def test_generators_without_density_say_so_in_one_line(fitted, ensemble):
    silent = fitted.generator._replace(log_prob=None)
    message = "log_prob: expected a generator with a log density, got one without; use a generator"
    for trained in (fitted, ensemble):
        without = type(trained)(**{**vars(trained), "generator": silent})
        for x in (X, np.asarray(X)):
            with pytest.raises(InputError, match=message) as caught:
                without.log_prob(x)
            assert "\n" not in str(caught.value)


def test_classifiers_say_that_they_do_not_generate(ensemble):
    generator = ensemble.generator
    classifier = Trainable(generator.init, generator.loss, generator.dim)
    trained = Ensemble(ensemble.params, ensemble.losses, ensemble.diverged_at, classifier)
    for ask in (
        lambda: trained.sample(KEY, 10),
        lambda: trained.log_prob(X),
        lambda: trained[0],
        lambda: amplify.sample(KEY, trained, 10),
    ):
        with pytest.raises(InputError, match="expected one that generates, got a classifier"):
            ask()
    assert len(trained.survivors()) == MEMBERS
