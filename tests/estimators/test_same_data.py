"""Members that are too much alike: found where they were trained on the same events, or have a
common bias; seldom where all is well (experiments.same_data has the rates).
"""

import numpy as np
import pytest
from scipy import stats

from amplify.estimators.same_data import agreement, scatter, smooth
from amplify.types import Holdout
from experiments import same_data


def _independent(rng, members, regions, spread=1.0, error=1.0, n_true=1e9):
    """Regions without correlation, I = .3: training error 1e-3, of members and of their mean."""
    size = 1e-3 * np.sqrt(0.3 * 0.7)
    integral = 0.3 + size * (
        error * rng.normal(size=regions) + _noise(rng, members, regions, spread)
    )
    return agreement(integral, 1e12, Holdout(np.full(regions, 0.3), n_true))


def _noise(rng, members, regions, spread):
    return spread * rng.normal(size=(members, regions))


def test_the_probability_is_uniform_where_regions_are_independent():
    """Kolmogorov-Smirnov at 1e-4; eigenvalues are equal, so that F is exact but for the estimate of
    how many there are.
    """
    rng = np.random.default_rng(0)
    found = [_independent(rng, 8, 12) for _ in range(1000)]
    assert np.mean([one.ratio for one in found]) == pytest.approx(1, abs=0.1)
    p = np.array([one.probability for one in found])
    assert stats.kstest(p, "uniform").statistic < 0.09
    assert np.mean(p < 0.01) < 0.03


def test_a_small_spread_and_a_bias_are_improbable():
    rng = np.random.default_rng(1)
    same = [_independent(rng, 8, 12, spread=0.4).improbable for _ in range(50)]
    biased = [_independent(rng, 8, 12, error=3.0).improbable for _ in range(50)]
    assert np.mean(same) > 0.7 and np.mean(biased) > 0.9


@pytest.mark.parametrize(
    "integral",
    [np.full((8, 3), 0.2), np.zeros((8, 3)), np.ones((8, 3)), np.full((5, 3), 0.2)],
)
def test_without_members_or_spread_nothing_is_said(integral):
    found = agreement(integral, 1e3, Holdout(np.full(3, 0.2), 1e3))
    assert not found.improbable


def test_noise_alone_is_not_alike():
    """No spread beyond the noise, no bias: 1 in 500 by chance, as often as the noise."""
    rng = np.random.default_rng(2)
    share = np.full(10, 0.1)
    alarms = [
        agreement(
            rng.multinomial(1000, share, 8) / 1000,
            1000.0,
            Holdout(rng.multinomial(10_000, share) / 10_000, 10_000),
        ).improbable
        for _ in range(200)
    ]
    assert sum(alarms) <= 3  # with probability .99


def test_means_that_scatter_as_they_should_are_believed():
    """Chi^2 with 7 degrees of freedom for each of 3 functions that scatter most: never below what
    all six would.
    """
    rng = np.random.default_rng(3)
    found = [
        scatter(rng.normal(0, 0.1, (8, 6)), np.ones(6), n_train=125, n_gen=500.0)
        for _ in range(300)
    ]
    assert not any(one.improbable for one in found)
    alike = scatter(rng.normal(0, 0.02, (8, 6)), np.ones(6), n_train=125, n_gen=1e9)
    assert alike.improbable and alike.ratio < 0.3


def test_functions_that_the_generator_knows_do_not_count():
    """Half of the means vanish by a symmetry."""
    rng = np.random.default_rng(4)
    means = np.column_stack([np.zeros((8, 3)), rng.normal(0, 0.1, (8, 3))])
    assert not scatter(means, np.ones(6), n_train=100, n_gen=1e9).improbable


def test_smooth_functions_are_bounded():
    x = np.array([[-1e9, 0.0], [1e9, 2.0]])
    values = smooth(x, np.zeros(2), np.array([1.0, 1.0]))
    np.testing.assert_allclose(values[:, 0], [-1, 1])
    np.testing.assert_allclose(values[1], [1, np.tanh(1), 1, np.tanh(1) ** 2])


@pytest.mark.slow
def test_rates_of_the_study():
    """Good ensembles: at most .01 false alarms each (3 of 50 by chance in 1 of 70 trials); the same
    events: nearly all are found by the means of columns where sixteen members scatter by .4.
    """
    kinds = (same_data.Kind("gaussian", 2), same_data.Kind("kernels", 2))
    config = same_data.Config(50, 20, kinds, (16,), (10,), (1.0, 0.4), (10,), seed=5)
    for row in same_data.rows(config):
        if row["spread"] == 1:
            assert max(row["by_means"], row["by_training"], row["by_holdout_10"]) <= 0.04
        else:
            assert row["by_means"] > 0.75
