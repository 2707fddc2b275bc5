"""The power law against least squares in closed form and against simulated truth."""

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.power_law import fit_power_law

K = np.array([100.0, 200.0, 400.0, 800.0])
GRID = np.linspace(0, 1, 51)


def test_a_known_exponent_is_weighted_least_squares():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T + np.eye(4)
    y = rng.normal(size=4)
    shape = (1600 / K) ** 0.5
    inverse = np.linalg.inv(covariance)
    information = shape @ inverse @ shape
    law = fit_power_law(y, K, covariance, n=1600, exponents=0.5)
    assert law.value[0] == pytest.approx(shape @ inverse @ y / information)
    assert law.error[0] == pytest.approx(information**-0.5)
    away = y - law.value[0] * shape
    assert law.chi_square == pytest.approx(away @ inverse @ away)
    curves = law.draws()
    assert curves.at(1600).mean() == pytest.approx(law.value[0], abs=1e-3)
    assert curves.at(1600).std() == pytest.approx(law.error[0], rel=0.01)
    assert np.allclose(curves.at(6400), curves.at(1600) / 2)


def test_values_below_zero_count():
    """Least squares of y is unbiased where its logarithm would not exist: 500 fits of noise around
    zero, whose mean is off by more than four of its standard deviations once in 16000.
    """
    rng = np.random.default_rng(1)
    values = [
        fit_power_law(rng.normal(size=4), K, np.eye(4), n=1600, exponents=0.5).value[0]
        for _ in range(500)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(500)


def test_intervals_of_a_free_exponent_hold_the_truth():
    """68 % intervals in 300 experiments with three exponents: between .62 and .76 of them; outside
    once in 50 for exact intervals. The exponent is not at an end of the grid.
    """
    rng = np.random.default_rng(2)
    held = 0
    for i in range(300):
        b = (0.3, 0.5, 0.7)[i % 3]
        y = 0.1 * (1600 / K) ** b + 0.01 * rng.normal(size=4)
        law = fit_power_law(y, K, 1e-4 * np.eye(4), n=1600, exponents=GRID)
        low, high = np.quantile(law.draws(500).at(1600), [0.16, 0.84])
        held += low < 0.1 < high
    assert 0.62 < held / 300 < 0.76


def test_errors_in_proportion_to_the_curve():
    """Weights follow the fitted curve, not the values, whose luck they would share."""
    y = np.array([4.0, 1.0, 1.2, 0.4])

    def covariance(law):
        expected = y if law is None else law.best(K)
        return np.diag((0.3 * expected) ** 2)

    law = fit_power_law(y, K, covariance, n=800, exponents=1.0)
    shape = 800 / K
    assert law.value[0] == pytest.approx(np.mean(y / shape))


def test_what_cannot_be_fitted():
    with pytest.raises(InputError, match="values at two sizes or more, got 1"):
        fit_power_law(np.ones(2), np.ones(2), np.eye(2), n=4, exponents=GRID)
    with pytest.raises(InputError, match="finite values"):
        fit_power_law(np.array([1.0, np.nan]), K[:2], np.eye(2), n=4, exponents=GRID)
