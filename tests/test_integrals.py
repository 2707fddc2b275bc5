"""Integrals over regions: of generators, and of samples that are there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from amplify import regions as rg
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
from amplify.integrals import member_integrals, sample_integrals
from amplify.sampling import sample_members
from amplify.types import Samples

GENERATOR = fitted_gaussian(2)
PARAMS = GaussianParams(
    jnp.array([[0.0, 0.0], [0.5, -0.5], [0.0, 1.0]]),
    jnp.log(jnp.array([[1.0, 1.0], [2.0, 1.0], [1.0, 0.5]])),
)
REGIONS = rg.join(
    rg.bins(rg.column(0), [-np.inf, 0, 1, np.inf], "x0"), rg.tail(rg.column(1), 1.5, "x1")
)


def _exact() -> np.ndarray:
    means, widths = np.asarray(PARAMS.mean), np.exp(np.asarray(PARAMS.log_width))
    edges = np.array([[-np.inf, 0, 1, np.inf]])
    bins = np.diff(norm.cdf((edges - means[:, :1]) / widths[:, :1]), axis=1)
    tail = norm.sf((1.5 - means[:, 1:]) / widths[:, 1:])
    return np.concatenate([bins, tail], axis=1)


def test_monte_carlo_integrals_have_binomial_noise():
    """12 numbers, four sigma allowed: false alarm 8e-4, fixed seed."""
    n = 100_000
    integral, n_gen = member_integrals(jax.random.key(0), GENERATOR, PARAMS, REGIONS, n)
    exact = _exact()
    assert n_gen == n and integral.shape == (3, 4)
    assert (np.abs(integral - exact) < 4 * np.sqrt(exact * (1 - exact) / n)).all()
    assert not np.array_equal(integral[0] * n, np.round(exact[0] * n))


def test_sobol_integrals_are_several_times_better():
    n, key = 1 << 15, jax.random.key(0)
    integral, n_gen = member_integrals(key, GENERATOR, PARAMS, REGIONS, n, sobol=True)
    exact = _exact()
    binomial_variance = exact * (1 - exact) / n
    error = np.sqrt(((integral - exact) ** 2 / binomial_variance).mean())
    assert n_gen is None and error < 1 / 5


def test_samples_are_what_the_integrals_count():
    n, key = 1 << 16, jax.random.key(3)  # two blocks
    for sobol in (False, True):
        samples = sample_members(key, GENERATOR, PARAMS, n, sobol=sobol)
        integral, _ = member_integrals(key, GENERATOR, PARAMS, REGIONS, n, sobol=sobol)
        assert samples.x.shape == (3, n, 2) and samples.weight is None
        inside = np.asarray(REGIONS.contains(samples.x))
        np.testing.assert_array_equal(inside.mean(axis=1), integral)


def test_progress_counts_all_events_and_transforms_come_before_regions():
    told = []
    halved = member_integrals(
        jax.random.key(0),
        GENERATOR,
        PARAMS,
        REGIONS,
        1000,
        transform=lambda x: x / 2,
        progress=lambda done, total: told.append((done, total)),
    )
    x = np.asarray(sample_members(jax.random.key(0), GENERATOR, PARAMS, 1000).x)
    inside = np.asarray(REGIONS.contains(x / 2))
    np.testing.assert_array_equal(inside.mean(axis=1), halved.integral)
    assert told == [(1000, 3000), (2000, 3000), (3000, 3000)]


def test_integrals_of_samples_that_are_there():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(3, 500, 2)), rng.uniform(0.5, 1.5, (3, 500))
    halves = rg.bins(rg.column(0), [-np.inf, 0, np.inf], "x0")
    plain = sample_integrals(Samples(x), halves)
    np.testing.assert_allclose(plain.integral[:, 1], (x[:, :, 0] >= 0).mean(axis=1))
    weighted = sample_integrals(Samples(x, w), halves)
    left = w[1, x[1, :, 0] < 0].sum() / w[1].sum()
    np.testing.assert_allclose(weighted.integral[1, 0], left)
    assert plain.n_gen == 500
    assert weighted.n_gen.shape == (3, 2) and (weighted.n_gen < 500).all()


def test_sobol_wants_a_power_of_two():
    with pytest.raises(InputError, match="power of two"):
        member_integrals(jax.random.key(0), GENERATOR, PARAMS, REGIONS, 1000, sobol=True)
