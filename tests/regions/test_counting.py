"""Fractions of weighted events inside regions, and their noise."""

import numpy as np
import pytest

from amplify import regions as rg
from amplify.errors import InputError

REGIONS = rg.join(
    rg.bins(rg.column(0), [-np.inf, 0, 1, np.inf], "x0"), rg.tail(rg.column(1), 1.5, "x1")
)
CHUNKS = slice(123), slice(123, None)


def test_weighted_fraction_and_its_noise():
    """n_effective reproduces the scatter of weighted fractions over 3000 samples: 2.6 % expected on
    the variance, four sigma allowed.
    """
    rng = np.random.default_rng(2)
    region = rg.tail(rg.column(0), 0.5, "x")
    integrals, variances = [], []
    for _ in range(3000):
        x = rng.normal(size=(400, 1))
        weight = np.exp(0.8 * x[:, 0] + 0.3 * rng.normal(size=400))
        inside = rg.fractions(rg.count(region, x, weight))
        share = inside.integral[0]
        integrals.append(share)
        variances.append(share * (1 - share) / inside.n_effective[0])
    assert abs(np.mean(variances) / np.var(integrals) - 1) < 0.12


def test_integer_weights_are_repeated_events_for_the_fraction_and_chunks_add_up():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(500, 2)), rng.integers(0, 4, 500)
    weight = w.astype(float)
    at_once = rg.count(REGIONS, x, weight)
    first, rest = (rg.count(REGIONS, x[rows], weight[rows]) for rows in CHUNKS)
    repeated = rg.count(REGIONS, np.repeat(x, w, axis=0))
    np.testing.assert_allclose(rg.fractions(at_once).integral, rg.fractions(repeated).integral)
    for sum_at_once, sum_of_chunks in zip(at_once, first.plus(rest), strict=True):
        np.testing.assert_allclose(sum_at_once, sum_of_chunks)
    unit = rg.fractions(rg.count(REGIONS, x, np.ones(500)))
    np.testing.assert_allclose(unit.n_effective, 500)


@pytest.mark.parametrize(
    ("x", "weight", "words"),
    [
        ([[0.0, 0], [0, 0], [0, 0]], [0.0, 0, 0], "positive sum"),
        ([[-1.0, 0], [0.5, 0], [0.5, 0]], [5.0, -2.0, 0.5], "between 0 and 1"),
    ],
)
def test_bad_weights(x, weight, words):
    with pytest.raises(InputError, match=words):
        rg.fractions(rg.count(REGIONS, np.array(x), np.array(weight)))


@pytest.mark.parametrize("n", [100, 1001, 20_000])
def test_a_region_of_everything_has_the_effective_number_of_the_sample(n):
    """Rounding leaves it a variance of some 1e-17, of which no number of events follows."""
    rng = np.random.default_rng(n)
    weight = rng.choice([-0.5, 0.3, 1.7], n, p=[0.1, 0.4, 0.5])
    everything = rg.mask(lambda x: np.ones(len(x), bool), "all")
    found = rg.fractions(rg.count(everything, rng.normal(size=(n, 1)), weight))
    assert found.n_effective[0] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
