"""Forecasts from subsamples against closed forms: counts, which are worth G = 1, and a fitted mean,
whose distance is known (docs/method, Reference numbers, 6).
"""

import numpy as np
import pytest

from amplify.estimators.subsamples import (
    Subsamples,
    distance_factor,
    distance_trend,
    integral_trends,
    variance_factor,
)

N, PARTS = 1600, (16, 8, 4, 2)


def subsamples(rng, n=N):
    """Disjoint pieces, eight at most of each size."""
    seen, size = [], []
    for part in PARTS:
        order = rng.permutation(n)
        for m in range(min(part, 8)):
            mine = np.zeros(n, bool)
            mine[order[m * (n // part) : (m + 1) * (n // part)]] = True
            seen.append(mine)
            size.append(n // part)
    seen = np.stack(seen)
    return Subsamples(np.array(size, float), seen, ~seen)


def test_fractions_of_what_is_tested():
    rng = np.random.default_rng(0)
    inside = rng.random(60) < 0.3
    tested = np.zeros((3, 60), bool)
    tested[0, :20] = tested[1, 20:] = tested[2, 10:30] = True
    three = Subsamples(np.full(3, 20.0), ~tested, tested)
    share, covariance = three.shares(inside)
    assert np.allclose(share, [inside[:20].mean(), inside[20:].mean(), inside[10:30].mean()])
    assert np.allclose(np.diag(covariance), share * (1 - share) / [20, 40, 20])
    assert covariance[0, 1] == 0  # no event in common
    of_both = (inside[10:20] - share[0]) @ (inside[10:20] - share[2])
    assert covariance[0, 2] == pytest.approx(of_both / 20 / 20)


def test_weights_are_repetitions():
    rng = np.random.default_rng(1)
    inside, twice = rng.random(50) < 0.4, np.arange(50) < 10
    tested = np.stack([np.arange(50) < 30, np.arange(50) >= 5])
    weight = np.where(twice, 2.0, 1.0)
    share, _ = Subsamples(np.ones(2), ~tested, tested, weight).shares(inside)
    again = np.concatenate([np.arange(50), np.flatnonzero(twice)])
    repeated, _ = Subsamples(np.ones(2), ~tested[:, again], tested[:, again]).shares(inside[again])
    assert np.allclose(share, repeated)


def test_counting_is_worth_its_training_data():
    """Generators that repeat what they have seen: G = 1. Over 25 training sets the median forecast,
    1.17 on average with an error of .12, is between .75 and 1.6, and 68 % intervals, which are wide
    because no bias is known for certain, hold it in .6 to all of them (.85): outside once in a
    thousand.
    """
    rng = np.random.default_rng(2)
    held, found = 0, []
    for _ in range(25):
        inside = rng.random(N) < 0.2
        parts = subsamples(rng)
        integral = np.array([inside[mine].mean() for mine in parts.seen])
        trends = integral_trends(parts, integral, np.zeros(len(integral)), inside, n=N)
        factor = variance_factor(trends.draws().at(N), 0.2, N)
        low, middle, high = np.quantile(factor, [0.16, 0.5, 0.84])
        held += low < 1 < high
        found.append(middle)
    assert 0.75 < np.median(found) < 1.6
    assert held / 25 > 0.6


def test_a_bias_that_stays_is_forecast():
    """An integral that is .05 too large at every size, whose variance is that of counts: at 1600
    events sigma_model is the bias. The forecast is off by 4 of its errors, sqrt(.16 / 1600), once
    in 16000.
    """
    rng = np.random.default_rng(3)
    inside = rng.random(N) < 0.2
    parts = subsamples(rng)
    integral = np.array([inside[mine].mean() for mine in parts.seen]) + 0.05
    trends = integral_trends(parts, integral, np.zeros(len(integral)), inside, n=N)
    sigma = np.sqrt(np.median(trends.draws().at(N)))
    assert abs(sigma - np.hypot(0.05, 0.01)) < 0.04
    assert np.median(trends.draws().bias.exponent) < 0.3


def test_the_distance_of_a_fitted_mean():
    """N(mean of k events, 1) against N(0, 1): D = 2 Phi(|mean| / 2) - 1, and G of the mean D is
    7.45 at any n. With b = 1/2 known, over 40 training sets the forecast D is right within 13 %,
    four of its standard deviations, and its 68 % intervals hold it in .45 to .9 of them: outside
    once in a thousand.
    """
    from scipy.special import ndtr

    rng = np.random.default_rng(4)
    truth = 2 / np.sqrt(2 * np.pi) * np.sqrt(2 / np.pi) / 2 / np.sqrt(N)  # E|m| / sqrt(2 pi)
    assert distance_factor(truth, N) == pytest.approx(7.44853, rel=1e-4)
    held, found = 0, []
    for _ in range(40):
        x = rng.normal(size=N)
        parts = subsamples(rng)
        mean = np.array([x[mine].mean() for mine in parts.seen])
        # t = mean (x - mean / 2) <= 0
        low = mean[:, None] * (x - mean[:, None] / 2) <= 0
        low_gen = ndtr(-np.abs(mean) / 2)
        gen = np.full(len(mean), 1e12)
        trend = distance_trend(parts, low, low_gen, gen, n=N, exponents=0.5)
        lower, middle, upper = np.quantile(trend.law.draws().at(N), [0.16, 0.5, 0.84])
        held += lower < truth < upper
        found.append(middle)
    assert np.mean(found) == pytest.approx(truth, rel=0.13)
    assert 0.45 < held / 40 < 0.9
