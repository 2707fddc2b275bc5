"""Generators in order: who is closer to the truth, and an error that the common holdout makes
small.
"""

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.equivalent import equivalent_events
from amplify.estimators.null_curve import null_curve
from amplify.estimators.paired import ranking
from amplify.estimators.permutations import permute
from amplify.estimators.statistics import Statistic
from amplify.estimators.statistics.columns import MEAN_KS, MEAN_WASSERSTEIN

SQUARE = Statistic(
    "square", "squared means", 2, lambda pool, seed: lambda d: ((d @ pool.x) ** 2).sum(axis=1)
)


def judged(statistic, x, y, seed=0, experiments=40):
    null = permute([statistic], x, y, permutations=experiments, seed=seed)[statistic.name]
    curve = null_curve(null, experiments=experiments // 2, seed=seed)
    return null, equivalent_events(null, curve, experiments=experiments)


def ranked(statistic, samples, holdout, seed=0, experiments=200):
    nulls, estimates = zip(*(judged(statistic, x, holdout, seed) for x in samples), strict=True)
    return ranking(nulls, estimates, experiments=experiments, seed=seed)


@pytest.mark.parametrize("statistic", [MEAN_KS, SQUARE])
def test_order_of_three(statistic):
    rng = np.random.default_rng(0)
    holdout = rng.normal(0, 1, (500, 1))
    samples = [rng.normal(shift, 1, (500, 1)) for shift in (0.6, 0.0, 0.3)]
    found = ranked(statistic, samples, holdout)
    np.testing.assert_array_equal(found.order, [1, 2, 0])
    np.testing.assert_allclose(found.sigma, -found.sigma.T)
    assert found.sigma[1, 0] > 3
    assert found.sigma[2, 0] > 2
    assert found.first[1] > 0.9
    assert found.first.sum() == pytest.approx(1)


def test_a_common_holdout_makes_the_error_small():
    # generators with the same events but for a small shift: means differ by .1, and the error is
    # that of no holdout; two holdouts would have given 3 % of it more than ten times
    rng = np.random.default_rng(1)
    holdout = rng.normal(0, 1, (300, 1))
    x = rng.normal(0.5, 1, (10_000, 1))
    found = ranked(SQUARE, [x, x + 0.1], holdout)
    # the difference of squares is .11, its error 2 * .1 * sqrt(1 / 300) from the holdout and
    # 2 * sqrt(.25 + .36) / sqrt(10000) from the samples: 5.7 deviations
    assert 3 < found.sigma[0, 1] < 12


def test_no_difference_has_the_size_it_states():
    # 25 pairs: 2.5 +- 1.5 beyond 1.645; above 9 in 1e-4 of all seeds
    large = 0
    for seed in range(25):
        rng = np.random.default_rng([seed, 2])
        holdout, *samples = rng.normal([[[0.0]], [[0.3]], [[0.3]]], 1, (3, 60, 1))
        large += abs(ranked(SQUARE, samples, holdout, seed, 60).sigma[0, 1]) > 1.645
    assert large <= 9


def test_other_sizes_are_no_difference():
    # a sample of a tenth of the events has ten times the noise in T, and is no farther
    sigma = []
    for seed in range(6):
        rng = np.random.default_rng([seed, 3])
        holdout, few = rng.normal(0, 1, (300, 1)), rng.normal(0.2, 1, (30, 1))
        many = rng.normal(0.2, 1, (300, 1))
        sigma.append(ranked(SQUARE, [few, many], holdout, seed, 60).sigma[0, 1])
    # a mean of six numbers with a spread of about one: 4 standard deviations
    assert abs(np.mean(sigma)) < 1.7


def test_one_holdout_and_one_statistic():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 50, 1))
    a, b = judged(SQUARE, x, y), judged(SQUARE, x, z)
    with pytest.raises(InputError, match="the same statistic and holdout"):
        ranking([a[0], b[0]], [a[1], b[1]])
    with pytest.raises(InputError, match="at least two"):
        ranking([a[0]], [a[1]])


def test_a_generator_does_not_choose_the_units_that_it_is_compared_in():
    """One event of a hundred far off is W1 = 10 to a truth of width one; a shift is W1 = .3."""
    rng = np.random.default_rng(4)
    holdout, far = rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    far[::100] = 1000.0
    found = ranked(MEAN_WASSERSTEIN, [far, rng.normal(0.3, 1, (500, 1))], holdout, experiments=100)
    np.testing.assert_array_equal(found.order, [1, 0])
    assert found.sigma[1, 0] > 0
