"""NPLM against a general minimiser of its loss, a logistic fit and the exact ratio."""

import numpy as np
import pytest
from scipy.optimize import minimize

from amplify.estimators.statistics import pooled
from amplify.estimators.statistics.nplm import NPLM, fitted, kernel, log_ratio, machine, nplm
from amplify.estimators.statistics.shares import standardised


def _samples(n, m, shift, dim=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, (n, dim)), rng.normal(0, 1, (m, dim))


def _minimum(pool, of, difference, penalty):
    """-2 min of the loss per generated event over coefficients of the kernels themselves."""
    at = kernel(of.centres, of.centres, of.width)
    k = kernel(standardised(pool), of.centres, of.width)
    # coefficients in directions of unit norm, so that a general minimiser gets there
    value, vector = np.linalg.eigh(at)
    kept = value > 1e-9 * value[-1]
    turn = vector[:, kept] / np.sqrt(value[kept])
    k = k @ turn
    x, y = np.maximum(difference, 0), np.maximum(-difference, 0)

    def loss(a):
        f = k @ a
        value = y @ np.expm1(f) - x @ f
        gradient = k.T @ (y * np.exp(f) - x)
        # lambda times the squared norm, of the mean loss of n_gen + n_holdout events
        of_norm = penalty / pool.share
        return value + of_norm * a @ a, gradient + 2 * of_norm * a

    found = minimize(loss, np.zeros(k.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-8})
    a = found.x
    return -2 * (loss(a)[0] - penalty / pool.share * a @ a)


@pytest.mark.parametrize("penalty", [1e-6, 1e-3])
def test_test_statistic_is_the_minimum_of_the_loss(penalty):
    rng = np.random.default_rng(1)
    x, y = _samples(250, 180, 0.4)
    pool = pooled(x, y, rng.uniform(0.5, 1.5, 250))
    of = machine(pool, penalty=penalty)
    noise = rng.permutation(pool.difference)
    noise[noise > 0] /= noise[noise > 0].sum()
    noise[noise < 0] /= -noise[noise < 0].sum()
    both = np.stack([pool.difference, noise])
    expected = [_minimum(pool, of, difference, penalty) for difference in both]
    np.testing.assert_allclose(fitted(of, both)[1], expected, rtol=1e-3)


def test_experiments_do_not_depend_on_those_beside_them():
    x, y = _samples(400, 500, 0.3)
    pool = pooled(x, y)
    rng = np.random.default_rng(2)
    noise = np.stack([rng.permutation(pool.difference) for _ in range(6)])
    scale = np.array([0, 0, 0.5, 1, 1.2, 2])[:, None]
    differences = scale * pool.difference + noise
    distances = NPLM.prepare(pool, 0)
    together = distances(differences)
    alone = np.concatenate([distances(difference[None]) for difference in differences])
    np.testing.assert_allclose(together, alone, rtol=1e-3)
    assert (np.diff(together[1:]) > 0).all()
    observed = distances(pool.difference[None])[0]
    assert NPLM.quoted(observed, pool) == pytest.approx(nplm(x, y), rel=1e-6)


def test_ratio_and_divergence_of_two_gaussians():
    x, y = _samples(8000, 8000, 0.5, dim=1, seed=3)
    pool = pooled(x, y)
    at = np.linspace(-1.5, 2, 30)[:, None]
    exact = (at[:, 0] - 0.25) / 2
    assert np.abs(log_ratio(pool, at, centres=12) - exact).max() < 0.15
    # 2 KL = .25; its error from 8000 events is .006, and each of a few features adds 2 / 8000
    of = machine(pool, centres=12)
    assert fitted(of, pool.difference[None])[1][0] == pytest.approx(0.25, abs=0.02)


def test_logistic_regression_finds_the_same_ratio():
    x, y = _samples(1500, 1500, 0.4, seed=4)
    pool = pooled(x, y)
    of = machine(pool, centres=6, penalty=1e-4)
    k, sign = of.features.astype(float), np.sign(pool.difference)

    def loss(a):
        margin = sign * (k @ a)
        return np.logaddexp(0, -margin).mean() + 1e-5 * a @ a

    logit = k @ minimize(loss, np.zeros(k.shape[1]), method="BFGS").x
    mine = log_ratio(pool, pool.x, centres=6, penalty=1e-4)
    assert np.corrcoef(logit, mine)[0, 1] > 0.98
    assert np.std(logit - mine) < 0.15 * np.std(logit)


def test_samples_without_common_support_stay_finite():
    x, y = _samples(200, 200, 30.0)
    pool = pooled(x, y)
    found = NPLM.prepare(pool, 0)(np.stack([pool.difference, np.roll(pool.difference, 70)]))
    assert np.isfinite(found).all()
    assert found[0] > 10 * found[1]
