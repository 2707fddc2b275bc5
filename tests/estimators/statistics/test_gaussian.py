"""The Gaussian MMD against its kernel matrix, a closed form, and hyppo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from amplify.errors import InputError
from amplify.estimators.statistics import pairs
from amplify.estimators.statistics.gaussian import (
    GAUSSIAN_MMD,
    gaussian_kernel,
    gaussian_mmd,
    nystrom,
    squared_mmd,
    witness,
)
from amplify.estimators.statistics.protocol import pooled


def samples(n, m, dim, seed=0, shift=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)) + shift, rng.normal(size=(m, dim))


def of_matrix(x, y, bandwidth, *, unbiased):
    xx, yy, xy = (
        np.exp(-cdist(a, b, "sqeuclidean") / (2 * bandwidth**2))
        for a, b in ((x, x), (y, y), (x, y))
    )
    n, m = len(x), len(y)
    if unbiased:
        within = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1))
    else:
        within = xx.mean() + yy.mean()
    return within - 2 * xy.mean()


@pytest.mark.parametrize("unbiased", [True, False])
def test_one_bandwidth_is_that_of_the_matrix(unbiased, monkeypatch):
    monkeypatch.setattr(pairs, "_ROWS", 64)
    x, y = samples(150, 90, 3)
    expected = of_matrix(x, y, 1.7, unbiased=unbiased)
    found = gaussian_mmd(x, y, bandwidth=1.7, unbiased=unbiased)
    assert found == pytest.approx(expected, rel=1e-10)
    weight = np.ones(90)
    weight[:30] = 3.0
    repeated = np.concatenate([y, y[:30], y[:30]])
    if not unbiased:  # of pairs of different events, an event repeated is one with itself
        expected = of_matrix(x, repeated, 1.7, unbiased=False)
        found = gaussian_mmd(x, y, None, weight, bandwidth=1.7, unbiased=False)
        assert found == pytest.approx(expected, rel=1e-10)


def test_two_gaussians_have_a_closed_form():
    """MMD^2 of N(s, 1) and N(0, 1): 2 b / sqrt(b^2 + 2) (1 - exp(-s^2 / (2 b^2 + 4))); 4 sigma of
    100 samples fail once in 16,000 seeds.
    """
    b, s = 0.8, 0.5
    expected = 2 * b / np.sqrt(b**2 + 2) * (1 - np.exp(-(s**2) / (2 * b**2 + 4)))
    values = [gaussian_mmd(*samples(80, 60, 1, seed, s), bandwidth=b) for seed in range(100)]
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / 10


def test_bad_bandwidths():
    with pytest.raises(InputError, match="bandwidth: expected a positive number, got -1"):
        gaussian_mmd(*samples(5, 5, 1), bandwidth=-1.0)


def test_all_events_as_centres_give_the_exact_kernel():
    x, y = samples(120, 80, 2)
    pool = pooled(x, y)
    of = nystrom(pool, centres=200)
    z = (pool.x - pool.x.mean(axis=0)) / pool.x.std(axis=0)
    # from half of the small distances to the large ones
    low, high = np.quantile(pdist(z), [0.05, 0.95])
    np.testing.assert_allclose(of.bandwidths[[0, -1]], [low / 2, high], rtol=1e-6)
    relabelled = np.random.default_rng(1).permutation(pool.difference)
    differences = np.stack([pool.difference, relabelled])
    for bandwidth, found in zip(of.bandwidths, squared_mmd(of, differences).T, strict=True):
        kernel = np.exp(-cdist(z, z, "sqeuclidean") / (2 * bandwidth**2))
        expected = np.einsum("ei,ij,ej->e", differences, kernel, differences)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    largest = np.argmax(squared_mmd(of, differences[:1])[0] / of.quantile)
    kernel = np.exp(-cdist(z, z, "sqeuclidean") / (2 * of.bandwidths[largest] ** 2))
    expected = kernel[:, :120].mean(axis=1) - kernel[:, 120:].mean(axis=1)
    np.testing.assert_allclose(witness(pool, pool.x, of=of), expected, atol=1e-4)


def test_bandwidths_are_compared_where_chance_leaves_one_percent():
    """Each of them above its quantile in 1 % of 4000 relabellings, within 6 binomial sigma for the
    gamma distribution being no more than near; all together in a few per cent.
    """
    pool = pooled(*samples(200, 300, 2, shift=0.0))
    of, rng = nystrom(pool), np.random.default_rng(2)
    relabelled = np.stack([rng.permutation(pool.difference) for _ in range(4000)])
    above = pool.n * squared_mmd(of, relabelled) / of.quantile
    assert ((above > 1).mean(axis=0) < 0.02).all() and ((above > 1).mean(axis=0) > 0.004).all()
    found = GAUSSIAN_MMD.prepare(pool, 0)(relabelled)
    np.testing.assert_allclose(found * pool.n, above.max(axis=1))
    assert GAUSSIAN_MMD.quoted(found[0], pool) == pytest.approx(found[0] * pool.n)


def test_small_and_wide_differences_are_seen_by_one_statistic():
    """A narrow bump and a shift, each with p < .01 from 199 relabellings."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 1500, 2))
    bump = x.copy()
    bump[:75] = 0.05 * rng.normal(size=(75, 2)) + 1.0
    best = []
    for generated in (bump, x + 0.15):
        pool = pooled(generated, y)
        of = nystrom(pool)
        relabelled = np.stack([rng.permutation(pool.difference) for _ in range(199)])
        distances = GAUSSIAN_MMD.prepare(pool, 0)(np.vstack([pool.difference, relabelled]))
        assert (distances[1:] < distances[0]).all()
        best.append(np.argmax(squared_mmd(of, pool.difference[None])[0] / of.quantile))
        towards = witness(pool, np.array([[1.0, 1.0], [-1.0, -1.0]]))
        assert towards[0] > 0.0 and towards[0] > towards[1]
    assert best[0] < best[1]  # the bump is seen by a smaller bandwidth


def test_it_falls_as_the_square_of_the_difference():
    pool = pooled(*samples(100, 80, 2), np.random.default_rng(4).uniform(0.5, 1.5, 100))
    distances = GAUSSIAN_MMD.prepare(pool, 0)
    once, half = distances(np.stack([pool.difference, pool.difference / 2]))
    assert once == pytest.approx(4 * half, rel=1e-4)
    assert distances(0 * pool.difference[None])[0] == 0.0


def test_equal_events_differ_in_nothing():
    pool = pooled(np.ones((30, 2)), np.ones((20, 2)))
    assert GAUSSIAN_MMD.prepare(pool, 0)(pool.difference[None])[0] == pytest.approx(0, abs=1e-9)


def test_jax_equals_numpy(x64):
    x, y = samples(60, 50, 3)
    weight = np.random.default_rng(5).uniform(size=60)
    expected = gaussian_mmd(x, y, weight, bandwidth=1.1)
    given = [jnp.stack([a, a[::-1]]) for a in map(jnp.asarray, (x, y, weight))]
    two = jax.jit(jax.vmap(lambda *a: gaussian_mmd(*a, bandwidth=1.1)))(*given)
    np.testing.assert_allclose(two, [expected, expected], rtol=1e-9)


def test_it_is_that_of_hyppo():
    """Opt-in. Its bandwidth is the median distance; it quotes the root of MMD^2 of all pairs in
    units of the norm of the centred kernel, with factors of n and m.
    """
    ksample = pytest.importorskip("hyppo.ksample")
    n, m = 80, 60
    x, y = samples(n, m, 2)
    value = ksample.MMD(bias=True).statistic(x, y)
    both = np.vstack([x, y])
    bandwidth = float(np.median(pdist(both)))
    kernel = gaussian_kernel(both, both, bandwidth)
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    share = n * m / (n + m) ** 2
    found = gaussian_mmd(x, y, bandwidth=bandwidth, unbiased=False)
    expected = (value / (2 * share**2)) ** 2 * (centred**2).mean() ** 0.5 / share
    assert found == pytest.approx(expected, rel=1e-9)
