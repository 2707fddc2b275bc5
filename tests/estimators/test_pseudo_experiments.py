"""KS distances of samples without a difference: every choice of events is as likely, the walk is
followed right, and they are distributed as scipy's distances, with NumPy and on devices.
"""

from collections import Counter
from functools import lru_cache
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp

from amplify.estimators import pseudo_experiments as pseudo
from amplify.estimators.kolmogorov import count_between, ks_distance
from amplify.estimators.on_devices import count_on_devices, null_distances_on_devices
from amplify.estimators.pseudo_experiments import null_distances


@pytest.mark.parametrize(("n", "m"), [(2, 3), (1, 7), (5, 4), (3, 8)])
def test_every_choice_is_as_likely(n, m):
    """20 000 choices: chi-squared of all that are possible, four times (false alarm 4e-3)."""
    choices = pseudo._choices(np.random.default_rng(n), 20_000, n, n + m)
    assert (np.bitwise_count(choices).sum(axis=1) == n).all()
    seen = Counter(map(bytes, choices))
    assert len(seen) == comb(n + m, n)
    assert chisquare(list(seen.values())).pvalue > 1e-3


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (3, 8), (20, 13), (100, 300), (64, 64)])
def test_walks_are_followed_event_by_event(n, m):
    choices = pseudo._choices(np.random.default_rng(m), 30, n, n + m)
    found = pseudo._Table.of(n, m).distances(choices, n + m)
    places = np.arange(n + m, dtype=float)
    for row, distance in zip(choices, found, strict=True):
        is_first = np.unpackbits(row, bitorder="little")[: n + m].astype(bool)
        expected = ks_distance(places[is_first], places[~is_first])
        assert distance == pytest.approx(expected, abs=1e-12)


@lru_cache
def _of_scipy(n, m):
    rng = np.random.default_rng(4)
    pairs = ((rng.normal(size=n), rng.normal(size=m)) for _ in range(2000))
    return np.array([ks_2samp(x, y, method="asymp").statistic for x, y in pairs])


@pytest.mark.parametrize("where", ["numpy", "devices"])
def test_null_experiments_follow_the_known_distribution(where):
    """Two thousand, 100 against 300 events: mean and three quantiles of scipy's two-sample distance
    of normal numbers, 4 sigma of both (false alarm 5e-4).
    """

    def made():
        if where == "numpy":
            return null_distances(100, 300, 2000, seed=1)
        return np.asarray(null_distances_on_devices(jax.random.key(1), 100, 300, 2000))

    distances, expected = made(), _of_scipy(100, 300)
    assert abs(distances.mean() - expected.mean()) < 4 * np.sqrt(2 / 2000) * expected.std()
    for level in (0.16, 0.5, 0.84):
        below = (distances <= np.quantile(expected, level)).mean()
        error = np.sqrt(2 * level * (1 - level) / 2000)
        assert abs(below - level) < 4 * error + 0.01  # steps of 1 / 300
    np.testing.assert_array_equal(distances, made())


def test_sizes_that_are_small_large_or_uneven():
    assert len(null_distances(5, 7, 3)) == 3
    assert len(null_distances(5, 7, 0)) == 0
    assert (null_distances(1, 1, 10) == 1).all()
    far = null_distances(3, 400_000, 20)  # more than is held at once, and bits that are all zero
    assert far.min() > 0.15 and far.max() < 1


def test_the_number_of_devices_changes_no_pseudo_experiment():
    assert len(jax.devices()) == 2
    key = jax.random.key(1)
    one = null_distances_on_devices(key, 100, 300, 7, jax.devices()[:1])
    assert one.shape == (7,)
    np.testing.assert_array_equal(one, null_distances_on_devices(key, 100, 300, 2000)[:7])


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_of_devices_are_those_of_one(weighted):
    rng = np.random.default_rng(3)
    t = rng.normal(size=4097).astype(np.float32)  # not as many for each
    w = rng.integers(1, 5, 4097).astype(np.float32) if weighted else None
    grid = np.linspace(-3, 3, 101, dtype=np.float32)
    expected = count_between(grid, t, w)
    counted = count_on_devices(jnp.asarray(grid), t, w)
    for a, b in zip(counted, expected, strict=True):
        np.testing.assert_array_equal(a, b)
