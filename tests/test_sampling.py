"""Sampling, Sobol latents and regions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from amplify import regions as rg
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
from amplify.integrals import member_integrals
from amplify.sampling import sample_members, sobol_latents, uniform_latents

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
    first = np.diff(
        norm.cdf((np.array([-np.inf, 0, 1, np.inf])[None] - means[:, :1]) / widths[:, :1]), axis=1
    )
    return np.concatenate([first, norm.sf((1.5 - means[:, 1:]) / widths[:, 1:])], axis=1)


def test_monte_carlo_integrals_have_binomial_noise():
    """12 numbers, four sigma allowed: false alarm 8e-4, fixed seed."""
    n = 100_000
    got = member_integrals(jax.random.key(0), GENERATOR, PARAMS, REGIONS, n)
    exact = _exact()
    assert got.n_gen == n and got.integral.shape == (3, 4)
    assert (np.abs(got.integral - exact) < 4 * np.sqrt(exact * (1 - exact) / n)).all()
    assert not np.array_equal(got.integral[0] * n, np.round(exact[0] * n))


def test_sobol_integrals_are_several_times_better():
    n = 1 << 15
    got = member_integrals(jax.random.key(0), GENERATOR, PARAMS, REGIONS, n, sobol=True)
    exact = _exact()
    error = np.sqrt(((got.integral - exact) ** 2 / (exact * (1 - exact) / n)).mean())
    assert got.n_gen is None and error < 1 / 5


def test_samples_are_what_the_integrals_count():
    n = 1 << 16  # two blocks
    for sobol in (False, True):
        samples = sample_members(jax.random.key(3), GENERATOR, PARAMS, n, sobol=sobol)
        integrals = member_integrals(
            jax.random.key(3), GENERATOR, PARAMS, REGIONS, n, sobol=sobol
        ).integral
        assert samples.x.shape == (3, n, 2) and samples.weight is None
        np.testing.assert_array_equal(
            np.asarray(REGIONS.contains(samples.x)).mean(axis=1), integrals
        )


def test_monte_carlo_members_are_independent_and_sobol_members_share_latents():
    samples = sample_members(jax.random.key(0), GENERATOR, PARAMS, 4096).x
    shared = sample_members(jax.random.key(0), GENERATOR, PARAMS, 4096, sobol=True).x
    assert abs(np.corrcoef(samples[0, :, 0], samples[1, :, 0])[0, 1]) < 0.08
    assert np.corrcoef(shared[0, :, 0], shared[1, :, 0])[0, 1] > 0.999


def test_latents_are_in_the_open_cube_and_reach_the_tails():
    for latent in (
        np.asarray(uniform_latents(jax.random.key(0), 1 << 20, 2)),
        sobol_latents(0, 1 << 20, 2),
    ):
        assert latent.dtype == np.float32 and latent.min() > 0 and latent.max() < 1
        assert norm.ppf(latent.astype(float)).max() > 4.2


def test_no_events_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        sample_members(jax.random.key(0), GENERATOR, PARAMS, 0)
    with pytest.raises(InputError, match="power of two"):
        member_integrals(jax.random.key(0), GENERATOR, PARAMS, REGIONS, 1000, sobol=True)


def test_regions_work_on_numpy_and_jax_alike():
    x = np.random.default_rng(0).normal(size=(1000, 2))
    regions = rg.join(
        REGIONS,
        rg.shells([0, 1, np.inf]),
        rg.box([-1, -1], [1, 1], "square"),
        rg.mask(lambda x: x[:, 0] > x[:, 1], "x0 > x1"),
    )
    a, b = np.asarray(regions.contains(x)), np.asarray(regions.contains(jnp.asarray(x)))
    np.testing.assert_array_equal(a, b)
    assert (
        a.shape == (1000, 8)
        and regions.labels[-2:] == ("square", "x0 > x1")
        and regions.labels[4] == "0 <= r < 1"
    )
    np.testing.assert_array_equal(a[:, :3].sum(axis=1), 1)  # bins are a partition
    np.testing.assert_array_equal(a[:, 6], (np.abs(x) < 1).all(axis=1))


def test_equiprobable_bins():
    x = np.random.default_rng(1).exponential(size=(10_000, 1))
    assert rg.count(
        rg.equiprobable(x, rg.column(0), 7, "x0"), x
    ).n_inside.tolist() == pytest.approx([10_000 / 7] * 7, abs=1.5)


def test_weighted_fraction_and_its_noise():
    """n_effective reproduces the scatter of weighted fractions over 3000 samples: 2.6 % expected on
    the variance, four sigma allowed.
    """
    rng = np.random.default_rng(2)
    region = rg.tail(rg.column(0), 0.5, "x")
    integrals, effective = [], []
    for _ in range(3000):
        x = rng.normal(size=(400, 1))
        f = rg.fractions(rg.count(region, x, np.exp(0.8 * x[:, 0] + 0.3 * rng.normal(size=400))))
        integrals.append(f.integral[0])
        effective.append(f.integral[0] * (1 - f.integral[0]) / f.n_effective[0])
    assert abs(np.mean(effective) / np.var(integrals) - 1) < 0.12


def test_integer_weights_are_repeated_events_for_the_fraction_and_chunks_add_up():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(500, 2)), rng.integers(0, 4, 500)
    whole = rg.count(REGIONS, x, w.astype(float))
    parts = rg.count(REGIONS, x[:123], w[:123].astype(float)).plus(
        rg.count(REGIONS, x[123:], w[123:].astype(float))
    )
    repeated = rg.count(REGIONS, np.repeat(x, w, axis=0))
    np.testing.assert_allclose(rg.fractions(whole).integral, rg.fractions(repeated).integral)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b)
    unit = rg.fractions(rg.count(REGIONS, x, np.ones(500)))
    np.testing.assert_allclose(unit.n_effective, 500)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rg.bins(rg.column(0), [1, 1], "x"), "increasing"),
        (lambda: rg.bins(rg.column(0), [1], "x"), "two or more"),
        (lambda: rg.equiprobable(np.zeros((10, 1)), rg.column(0), 3, "x"), "distinct"),
        (lambda: rg.equiprobable(np.zeros((10, 1)), rg.column(0), 1, "x"), "at least 2"),
        (lambda: rg.box([0, 0], [1, 0]), "low < high"),
        (lambda: rg.fractions(rg.count(REGIONS, np.zeros((3, 2)), np.zeros(3))), "positive sum"),
        (
            lambda: rg.fractions(
                rg.count(
                    REGIONS, np.array([[-1.0, 0], [0.5, 0], [0.5, 0]]), np.array([5.0, -2.0, 0.5])
                )
            ),
            "between 0 and 1",
        ),
    ],
)
def test_bad_regions(make, words):
    with pytest.raises(InputError, match=words):
        make()
