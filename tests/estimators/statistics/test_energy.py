"""The energy distance against scipy and plain matrices of distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance

from amplify.estimators.statistics import STATISTICS, pooled
from amplify.estimators.statistics.energy import energy


def samples(n=50, m=40, dim=3, seed=1):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(100.3, 1.2, (n, dim)), rng.normal(100.0, 1.0, (m, dim))
    return x, y, rng.exponential(size=n), rng.exponential(size=m)


def by_definition(x, y, wx, wy):
    p, q = wx / wx.sum(), wy / wy.sum()
    return 2 * p @ cdist(x, y) @ q - p @ cdist(x, x) @ p - q @ cdist(y, y) @ q


def test_of_one_column_it_is_the_square_of_that_of_scipy():
    x, y, wx, wy = samples(dim=1)
    expected = energy_distance(x[:, 0], y[:, 0], wx, wy) ** 2
    assert energy(x, y, wx, wy) == pytest.approx(expected, rel=1e-9)


def test_of_several_columns_it_is_that_of_the_definition():
    x, y, wx, wy = samples()
    expected = by_definition(x, y, wx, wy)
    assert energy(x, y, wx, wy) == pytest.approx(expected, rel=1e-9)
    given = (jnp.asarray(a, jnp.float32) for a in (x - 100, y - 100, wx, wy))
    assert jax.jit(energy)(*given) == pytest.approx(expected, rel=1e-4)


def test_more_events_than_a_tile_and_than_double_precision_is_for():
    rng = np.random.default_rng(2)
    x, y, wx, wy = samples(3000, 2100)
    pool = pooled(x, y, wx, wy)
    mean = pool.weight @ pool.x
    unit = np.sqrt(pool.weight @ (pool.x - mean) ** 2)
    other = rng.permutation(5100)
    differences = np.stack([pool.difference, pool.difference[other], pool.difference / 10])
    found = STATISTICS["energy"].prepare(pool, 0)(differences)
    apart = cdist(pool.x / unit, pool.x / unit)
    expected = [-d @ apart @ d for d in differences]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_units_of_columns_decide_nothing():
    x, y, *_ = samples()
    factor = np.array([1.0, 1e3, 1e-3])
    plain, scaled = pooled(x, y), pooled(x * factor, y * factor)
    prepare = STATISTICS["energy"].prepare
    found = [prepare(pool, 0)(pool.difference[None])[0] for pool in (plain, scaled)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_the_statistic_of_pted():
    """Its own is n m / (n + m) times the unbiased one, without pairs of an event with itself."""
    pted = pytest.importorskip("pted")
    x, y, *_ = samples()
    theirs = pted.pted(x, y, permutations=19, return_all=True, rng=0)[0]
    inside = cdist(x, x).mean() / (len(x) - 1) + cdist(y, y).mean() / (len(y) - 1)
    assert 50 * 40 / 90 * (energy(x, y) - inside) == pytest.approx(theirs, rel=1e-9)
