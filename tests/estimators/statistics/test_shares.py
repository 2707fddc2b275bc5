"""Two samples of a difference: those that were, or a draw with the same difference."""

import numpy as np
import pytest

from amplify.estimators.statistics import pooled
from amplify.estimators.statistics.shares import choose, standardised, two_samples


def test_shares_are_those_of_the_samples_and_of_relabelled_events():
    rng = np.random.default_rng(0)
    pool = pooled(rng.normal(size=(30, 2)), rng.normal(size=(20, 2)), rng.uniform(1, 2, 30))
    difference = np.stack([pool.difference, rng.permutation(pool.difference)])
    x, y, larger = two_samples(difference)
    np.testing.assert_allclose(x, np.maximum(difference, 0), rtol=1e-6)
    np.testing.assert_allclose(y, np.maximum(-difference, 0), rtol=1e-6)
    np.testing.assert_array_equal(larger, 1)


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.5])
def test_difference_on_a_scale_with_noise_has_this_mean_difference(scale):
    rng = np.random.default_rng(1)
    pool = pooled(np.zeros((500, 1)), np.zeros((500, 1)))
    noise = np.stack([rng.permutation(pool.difference) for _ in range(400)])
    x, y, larger = two_samples(scale * pool.difference + noise)
    assert (x >= 0).all()
    assert (y >= 0).all()
    mean = larger @ (x - y) / len(noise)
    # of the event, and with the noise of 400 draws of all events together
    assert np.dot(mean, pool.difference) * 500 / 2 == pytest.approx(scale, abs=0.01)
    # subsamples are as noisy as whole ones with fewer events
    worth = 1 / (x**2).sum(axis=1).mean()
    assert worth == pytest.approx(500 / (1 + min(scale, 1 / scale) ** 2), rel=0.25)


def test_choice_follows_weights():
    weight = np.array([0.0, 1.0, 9.0, 0.0])
    rng = np.random.default_rng(2)
    first = [int(choose(weight, 1, rng)[0]) for _ in range(1000)]
    assert set(first) == {1, 2}
    assert np.mean(np.array(first) == 2) == pytest.approx(0.9, abs=0.04)  # four sigma
    np.testing.assert_array_equal(choose(weight, 3, rng), [1, 2])


def test_columns_of_the_pool_have_unit_deviation_and_constant_ones_are_zero():
    rng = np.random.default_rng(3)
    x = rng.normal(3, [1e-3, 1e3, 0], (50, 3))
    z = standardised(pooled(x[:20], x[20:]))
    np.testing.assert_allclose(z.std(axis=0), [1, 1, 0], atol=1e-9)
