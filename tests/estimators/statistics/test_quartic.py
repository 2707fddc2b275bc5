"""The quartic MMD against its kernel matrix, by features and by blocks, and against jetnet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.estimators.statistics import pairs, quartic
from amplify.estimators.statistics.monomials import Quartic, monomials, squares
from amplify.estimators.statistics.protocol import pooled
from amplify.estimators.statistics.quartic import (
    QUARTIC_MMD,
    quartic_kernel,
    quartic_mmd,
    quartic_statistic,
)

RAW = quartic_statistic(standardise=False)


def samples(n, m, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)), 1.1 * rng.standard_t(6, size=(m, dim)) + 0.1


def of_matrices(x, y, a, b, *, unbiased):
    """From the kernel matrices, with shares a and b of the events."""
    mean = []
    for u, v, p, q in ((x, x, a, a), (y, y, b, b), (x, y, a, b)):
        weight = np.outer(p, q)
        kernel = (u @ v.T / u.shape[1] + 1) ** 4
        if unbiased and u is v:
            np.fill_diagonal(weight, 0.0)
            weight /= weight.sum()
        mean.append((weight * kernel).sum())
    return mean[0] + mean[1] - 2 * mean[2]


def shares(weight):
    return weight / weight.sum()


@pytest.mark.parametrize("dim", [1, 2, 5, 9])
def test_features_are_the_kernel(dim):
    x, y = samples(20, 30, dim)
    features = Quartic(dim)
    assert features.features == monomials(dim) == len(features(x))
    expected = (x @ y.T / dim + 1) ** 4
    np.testing.assert_allclose(features(x).T @ features(y), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(squares(x) @ squares(y).T, expected**0.5, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(quartic_kernel(x, y), expected, rtol=1e-12)


@pytest.mark.parametrize(("n", "dim"), [(2, 1), (300, 2), (260, 30)])  # 30: blocks of the kernel
def test_unbiased_value_is_that_of_the_matrix(n, dim, monkeypatch):
    monkeypatch.setattr(pairs, "_ROWS", 128)
    monkeypatch.setattr(quartic, "_BLOCK", 500)
    x, y = samples(n, n + 40, dim)
    a, b = np.ones(len(x)), np.random.default_rng(1).uniform(0.2, 2, len(y))
    expected = of_matrices(x, y, shares(a), shares(b), unbiased=True)
    assert quartic_mmd(x, y, None, b) == pytest.approx(expected, rel=1e-9)
    assert quartic_mmd(x, y, a, 3 * b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dim", [2, 20])  # by features, and by blocks of the kernel
@pytest.mark.parametrize("statistic", [QUARTIC_MMD, RAW])
def test_prepared_distances_are_those_of_the_matrix(statistic, dim, monkeypatch):
    monkeypatch.setattr(quartic, "_ROWS", 64)
    monkeypatch.setattr(quartic, "_BLOCK", 2000)
    x, y = samples(110, 90, dim)
    weight = np.random.default_rng(2).uniform(-0.2, 2, len(x))
    pool = pooled(x, y, weight)
    rng = np.random.default_rng(3)
    relabelled = rng.permutation(pool.difference)
    differences = np.stack([pool.difference, relabelled, 0.3 * pool.difference])
    events = pool.x
    if statistic is QUARTIC_MMD:
        mean = np.average(events, axis=0, weights=pool.weight)
        variance = np.average((events - mean) ** 2, axis=0, weights=pool.weight)
        events = (events - mean) / variance**0.5
    kernel = (events @ events.T / dim + 1) ** 4
    expected = np.einsum("ei,ij,ej->e", differences, kernel, differences)
    found = statistic.prepare(pool, 0)(differences)
    np.testing.assert_allclose(found, expected, rtol=1e-4 if statistic is QUARTIC_MMD else 1e-9)
    unbiased = of_matrices(events[:110], events[110:], shares(weight), np.full(90, 1 / 90),
                           unbiased=True)  # fmt: skip
    assert statistic.quoted(found[0], pool) == pytest.approx(unbiased, rel=1e-9)


def test_no_difference_is_worth_nothing_on_average():
    """100 pairs of samples: 4 sigma fail once in 16,000 seeds. The plain one has a mean of 2 / n of
    the mean kernel of an event with itself.
    """
    rng = np.random.default_rng(4)
    values = [quartic_mmd(*rng.normal(size=(2, 30, 2))) for _ in range(100)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10


def test_jax_equals_numpy(x64):
    x, y = samples(60, 50, 3)
    weight = np.random.default_rng(5).uniform(size=60)
    expected = quartic_mmd(x, y, weight)
    given = [jnp.stack([a, a[::-1]]) for a in map(jnp.asarray, (x, y, weight))]
    np.testing.assert_allclose(jax.jit(jax.vmap(quartic_mmd))(*given), [expected] * 2, rtol=1e-9)


def test_it_is_that_of_jetnet():
    """Opt-in: the same subsamples, drawn as jetnet draws them."""
    jetnet = pytest.importorskip("jetnet.evaluation")
    x, y = samples(3000, 3000, 6)
    scale = np.abs(x).max(axis=0)
    values = []
    for i in range(4):
        rng = np.random.default_rng(42 + 1000 * i)
        chosen = rng.choice(3000, 500), rng.choice(3000, 500)
        values.append(quartic_mmd(x[chosen[0]] / scale, y[chosen[1]] / scale))
    value, _ = jetnet.kpd(x, y, num_batches=4, batch_size=500)
    assert np.median(values) == pytest.approx(value, rel=1e-9)
