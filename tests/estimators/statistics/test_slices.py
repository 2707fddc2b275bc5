"""Distances along random directions: definitions, POT (where it is installed), the null."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp, norm, wasserstein_distance

from amplify.estimators.kolmogorov import K1
from amplify.estimators.statistics import STATISTICS, pooled, slices

PURE = {name: getattr(slices, name) for name in ("sliced_ks", "sliced_wasserstein")}


def samples(n=80, m=60, dim=4, weighted=False):
    rng = np.random.default_rng(1)
    x, y = rng.normal(10.2, 1.2, (n, dim)), rng.normal(10.0, 1.0, (m, dim))
    return x, y, *((rng.exponential(size=n), rng.exponential(size=m)) if weighted else (None, None))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_over_directions_is_that_of_scipy(weighted):
    x, y, wx, wy = samples(weighted=weighted)
    v = slices.directions(4, seed=7)
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1)
    n, m = (len(a) if w is None else w.sum() ** 2 / (w**2).sum() for a, w in ((x, wx), (y, wy)))
    root = np.sqrt(n * m / (n + m))
    area = np.mean([wasserstein_distance(x @ u, y @ u, wx, wy) for u in v])
    given = slices.sliced_wasserstein(x, y, wx, wy, seed=7)
    assert given == pytest.approx(root / 2 * area, rel=1e-5)
    if not weighted:
        ks = np.mean([ks_2samp(x @ u, y @ u).statistic for u in v])
        assert slices.sliced_ks(x, y, seed=7) == pytest.approx(root * ks, rel=1e-9)
    pool = pooled(x, y, wx, wy)
    for name, pure in PURE.items():
        statistic = STATISTICS[name]
        found = statistic.quoted(statistic.prepare(pool, 7)(pool.difference[None])[0], pool)
        assert found == pytest.approx(pure(x, y, wx, wy, seed=7), rel=1e-5)


def test_of_jax_under_jit():
    x, y, *_ = samples()
    compiled = jax.jit(lambda *given: [pure(*given) for pure in PURE.values()])
    found = compiled(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(found, [pure(x, y) for pure in PURE.values()], rtol=1e-3)


def test_one_column_has_one_direction():
    x, y, *_ = samples(dim=1)
    expected = wasserstein_distance(x[:, 0], y[:, 0]) * np.sqrt(80 * 60 / 140)
    assert slices.sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-5)


def test_equal_events_stay_equal_in_every_direction():
    """Discrete events, in other company and order: rounding decides about no tie."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, (50, 6)) * 0.1
    assert slices.sliced_ks(x, rng.permutation(np.concatenate([x, x, x]))) < 1e-9


def test_the_null_of_a_normal_distribution():
    """150 permutations. Along each direction sqrt(ns) KS has the mean K1, and sqrt(ns) W1 that of
    the integral of |B(F(t))| for a Brownian bridge B: sqrt(2 / pi) that of sqrt(F (1 - F)). Both
    within 4 standard errors (false alarm 1e-4) and a percent for 500 events.
    """
    rng = np.random.default_rng(3)
    n, dim = 500, 10
    pool = pooled(rng.normal(size=(n, dim)), rng.normal(size=(n, dim)))
    differences = np.stack([rng.permutation(pool.difference) for _ in range(150)])
    t = np.linspace(-9, 9, 20001)
    spread = np.sqrt(norm.cdf(t) * norm.sf(t)).sum() * (t[1] - t[0])
    for name, mean in (("sliced_ks", K1), ("sliced_wasserstein", np.sqrt(2 / np.pi) * spread)):
        found = np.sqrt(pool.n) * STATISTICS[name].prepare(pool, 0)(differences)
        assert abs(found.mean() - mean) < 4 * found.std() / np.sqrt(150) + 0.01 * mean


def test_sliced_wasserstein_of_pot():
    ot = pytest.importorskip("ot")
    x, y, wx, wy = samples(weighted=True)
    v = slices.directions(4, seed=0)
    expected = ot.sliced_wasserstein_distance(
        x, y, wx / wx.sum(), wy / wy.sum(), projections=v.T, p=1
    )
    pool = pooled(x, y, wx, wy)
    statistic = STATISTICS["sliced_wasserstein"]
    assert statistic.prepare(pool, 0)(pool.difference[None])[0] == pytest.approx(expected, rel=1e-5)
