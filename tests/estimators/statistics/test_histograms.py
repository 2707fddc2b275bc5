"""Separation power and chi^2 against numpy, scipy and the distribution they have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2_contingency

from amplify.estimators.statistics import STATISTICS, pooled
from amplify.estimators.statistics.histograms import (
    chi_squared,
    equal_bins,
    separation,
    separation_of,
)


def samples(n=400, m=300, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0.3, 1, n), rng.normal(0, 1, m), rng.exponential(size=n), None


def test_separation_is_that_of_the_calorimeter_challenge():
    x, y, wx, wy = samples()
    edges = np.linspace(-2, 2, 9)
    p = np.histogram(x, edges, weights=wx)[0]
    q = np.histogram(y, edges)[0]
    p, q = p / p.sum(), q / q.sum()
    expected = 0.5 * ((p - q) ** 2 / (p + q)).sum()
    assert separation(x, y, wx, wy, edges=edges) == pytest.approx(expected, rel=1e-12)
    of_jax = jax.jit(lambda *a: separation(*a, edges=jnp.asarray(edges, jnp.float32)))
    given = (jnp.asarray(a, jnp.float32) for a in (x, y, wx))
    assert of_jax(*given) == pytest.approx(expected, rel=1e-3)
    assert separation_of(np, np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])) == 1


def test_chi_squared_is_that_of_a_table_of_counts():
    x, y, *_ = samples()
    edges = np.linspace(-4, 4, 7)
    counts = np.stack([np.histogram(a, edges)[0] for a in (x, y)])
    counts = counts[:, counts.sum(axis=0) > 0]
    expected = chi2_contingency(counts, correction=False)
    assert chi_squared(x, y, edges=edges) == pytest.approx(expected.statistic / expected.dof)


def test_columns_are_averaged_over_bins_of_equal_shares():
    x, y, wx, wy = samples()
    columns = np.stack([x, x**2], axis=1), np.stack([y, y], axis=1)
    pool = pooled(*columns, wx, wy)
    found = [STATISTICS[name].prepare(pool, 0) for name in ("separation", "chi_squared")]
    found = [distances(pool.difference[None])[0] for distances in found]
    edges = equal_bins(pool.x, pool.weight)
    shares = np.searchsorted(edges[0], pool.x[:, 0], side="right")
    np.testing.assert_allclose(np.bincount(shares, pool.weight), 1 / 20, atol=2 * pool.weight.max())
    whole = [np.array([-1e9, *row, 1e9]) for row in edges]
    pairs = [(a, b, wx, wy) for a, b in zip(columns[0].T, columns[1].T, strict=True)]
    expected = np.mean([separation(*p, edges=e) for p, e in zip(pairs, whole, strict=True)])
    assert found[0] == pytest.approx(expected, rel=1e-9)
    expected = np.mean([chi_squared(*p, edges=e) for p, e in zip(pairs, whole, strict=True)])
    assert STATISTICS["chi_squared"].quoted(found[1], pool) == pytest.approx(expected, rel=1e-9)


def test_discrete_columns_have_fewer_bins():
    x, y = np.tile([[0.0], [1.0]], (200, 1)), np.tile([[0.0], [0.0], [0.0], [1.0]], (100, 1))
    pool = pooled(x, y)
    assert np.isfinite(equal_bins(pool.x, pool.weight)).sum() == 1
    separated = STATISTICS["separation"].prepare(pool, 0)(pool.difference[None])[0]
    assert separated == pytest.approx(0.5 * (0.25**2 / 1.25 + 0.25**2 / 0.75), rel=1e-12)


def test_chi_squared_of_relabelled_events_has_the_mean_one():
    """2000 permutations, 19 degrees of freedom: within 4 standard errors (false alarm 6e-5), and as
    1 + 1 / (N - 1) for labels without replacement.
    """
    rng = np.random.default_rng(2)
    pool = pooled(rng.normal(size=(300, 1)), rng.normal(size=(500, 1)))
    differences = np.stack([rng.permutation(pool.difference) for _ in range(2000)])
    found = pool.n * STATISTICS["chi_squared"].prepare(pool, 0)(differences)
    assert abs(found.mean() - 800 / 799) < 4 * found.std() / np.sqrt(2000)
    assert found.std() == pytest.approx(np.sqrt(2 / 19), rel=0.1)
