"""Which generator is nearest: known divergences, scikit-learn, and the error that is said."""

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.statistics.multiclass import multiclass_log_posterior
from amplify.types import Events


def _normal(mean, n, seed, dim=1):
    return Events(np.random.default_rng(seed).normal(mean, 1, (n, dim)))


def test_differences_are_those_of_divergences_within_the_error_that_is_said():
    means, pulls = (0.1, 0.3, -0.4), []
    for seed in range(25):
        samples = [_normal(mean, 400, [seed, k]) for k, mean in enumerate(means)]
        found = multiclass_log_posterior(samples, _normal(0, 400, [seed, 9]), seed=seed)
        assert found.mean.shape == found.error.shape == (3,)
        for a, b in ((0, 1), (0, 2)):
            by, error = found.nearer(a, b)
            pulls.append((by - (means[b] ** 2 - means[a] ** 2) / 2) / error)
    # 25 independent ones, two pulls each: within four sigma, and a spread that is about right
    assert abs(np.mean(pulls)) < 4 / np.sqrt(25)
    assert np.std(pulls) == pytest.approx(1, abs=0.4)


def test_mean_is_that_of_a_logistic_regression_and_of_trees():
    linear_model = pytest.importorskip("sklearn.linear_model")
    samples = [_normal(mean, 4000, k) for k, mean in enumerate((0.1, 0.5))]
    true = _normal(0, 4000, 7)
    found = multiclass_log_posterior(samples, true)
    of = np.repeat([0, 1], 4000)
    model = linear_model.LogisticRegression(C=1e3).fit(np.concatenate([s.x for s in samples]), of)
    expected = model.predict_log_proba(true.x).mean(axis=0)
    np.testing.assert_allclose(found.mean, expected, atol=0.01)
    assert found.nearest == 0
    trees = multiclass_log_posterior(samples, true, learner="trees")
    np.testing.assert_allclose(trees.mean, expected, atol=0.03)


def test_weighted_events_are_those_of_another_density():
    wide = _normal(0.5, 4000, 1)
    near = Events(wide.x, np.exp(-(wide.x[:, 0] - 0.25) / 2))  # N(0, 1) by weights
    found = multiclass_log_posterior([wide, near], _normal(0, 4000, 2))
    by, error = found.nearer(1, 0)
    assert by == pytest.approx(0.125, abs=4 * error)
    assert error < 0.02


@pytest.mark.parametrize(
    ("samples", "settings", "message"),
    [
        ([100], {}, "generators: expected two or more, got 1"),
        ([100, 5], {}, "at least 20 of each, got 5"),
        ([100, 100], {"learner": "forest"}, "learner: expected"),
    ],
)
def test_what_cannot_be_compared(samples, settings, message):
    with pytest.raises(InputError, match=message):
        multiclass_log_posterior(
            [_normal(0, n, n) for n in samples], _normal(0, 100, 3), **settings
        )
