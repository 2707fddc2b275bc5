"""KS distances against scipy, the calibrated distribution, and counts that stream and reduce
(docs/method, Reference numbers 1, 2 and 8).
"""

import subprocess
import sys
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import kolmogi
from scipy.stats import ks_1samp, ks_2samp, kstwobign, norm

from amplify.estimators import calibrated
from amplify.estimators import kolmogorov as ks


def test_reference_1_the_kolmogorov_distribution():
    assert pytest.approx(0.8687312, abs=1e-7) == ks.K1
    assert kstwobign.mean() == pytest.approx(ks.K1, abs=1e-5)
    assert kstwobign.moment(2) == pytest.approx(np.pi**2 / 12, abs=1e-5)
    np.testing.assert_allclose(kolmogi([0.95, 0.5, 0.05]), [0.51961, 0.82757, 1.3581], atol=1e-5)


def test_the_calibrated_distribution_without_drift_is_that_of_kolmogorov():
    """2^20 bridges: the error of a quantile is sqrt(p (1 - p)) / f / 1024; four of them, at most
    .004, and .0005 four times for the mean.
    """
    for level in (0.05, 0.16, 0.5, 0.84, 0.95):
        quantile = kolmogi(1 - level)
        density = (kstwobign.cdf(quantile + 1e-4) - kstwobign.cdf(quantile - 1e-4)) / 2e-4
        error = np.sqrt(level * (1 - level)) / density / 1024
        tabulated = calibrated.calibrated_quantile(0.0, level)
        assert abs(tabulated - quantile) < 4 * error + 5e-4
    assert calibrated.calibration().mean[0] == pytest.approx(ks.K1, abs=4 * 0.26 / 1024)


@pytest.mark.parametrize(("n", "value"), [(10, 0.81964), (100, 0.852435), (1000, 0.863498)])
def test_reference_2_finite_samples(n, value):
    assert np.sqrt(n) * ks.mean_distance(n) == pytest.approx(value, abs=1e-5)
    assert ks.mean_distance(1001) == pytest.approx(ks.mean_distance(1000), rel=6e-4)


@pytest.mark.parametrize(("scale", "mean"), [(1, 1.46), (2, 2.39), (4, 4.325), (10, 10.25)])
def test_reference_8_the_mean_of_the_calibrated_distribution(scale, mean):
    table = calibrated.calibration()
    assert np.interp(scale, table.L, table.mean - table.L) + scale == pytest.approx(mean, abs=0.01)


def test_the_calibrated_distribution_by_a_simulation_of_its_own():
    """Gaussians N(0, 1) and N(delta, 1), two samples of 4000 events, 500 times: S(L) with L = D
    sqrt(n/2). Quantiles within 4 sigma (false alarm 2e-4).
    """
    rng = np.random.default_rng(0)
    n, delta = 4000, 0.12
    distance = norm.cdf(delta / 2) - norm.cdf(-delta / 2)
    root = np.sqrt(n / 2)
    distances = [ks.ks_distance(rng.normal(delta, 1, n), rng.normal(0, 1, n)) for _ in range(500)]
    scaled = root * np.array(distances) + 1 / (6 * root)
    for level in (0.16, 0.5, 0.84):
        below = (scaled <= calibrated.calibrated_quantile(distance * root, level)).mean()
        assert abs(below - level) < 4 * np.sqrt(level * (1 - level) / 500)


def test_quantiles_continue_beyond_the_table():
    edge = calibrated.calibration().L[-1]
    inside, outside = (
        calibrated.calibrated_quantile(scale, 0.9) - scale for scale in (edge * 0.999, edge * 1.001)
    )
    assert inside == pytest.approx(outside, abs=1e-3)
    assert calibrated.calibrated_quantile(1e6, 0.5) - 1e6 == pytest.approx(0.0, abs=0.02)


def test_inversion_returns_the_distance():
    value, low, high = calibrated.calibrated_distance(0.3, 1000, 0.9)
    root = np.sqrt(1000)
    observed = root * 0.3 + 1 / (6 * root)
    assert high == pytest.approx(0.3 + 1.64485 / 2 / root)  # a difference at a single value
    for end, level in ((value, 0.5), (low, 0.95)):
        quantile = calibrated.calibrated_quantile(end * root, level)
        assert quantile == pytest.approx(observed, abs=1e-6)
    assert calibrated.calibrated_bound(0.3, 1000, 0.95) == pytest.approx(low)
    value, low, high = calibrated.calibrated_distance(0.01, 1000, 0.9)
    assert value == low == 0 and 0 < high < 0.06


def _samples(seed, n, m, ties, dtype):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(0.1, 1.1, m)
    if ties:
        x, y = np.round(x, 1), np.round(y, 1)
    return x.astype(dtype), y.astype(dtype)


def _of_scipy(x, y):
    """The distance as scipy has it, in double precision: since 1.18 it answers in that of the
    values, and in single precision an answer knows seven digits only. Its p-value, which nobody
    asks for, warns of samples of a few events.
    """
    with warnings.catch_warnings(action="ignore"):
        return ks_2samp(x.astype(float), y.astype(float), method="asymp").statistic


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m"), [(1, 50), (1000, 1000), (731, 2010)])
def test_two_samples_against_scipy(n, m, ties, dtype):
    x, y = _samples(n, n, m, ties, dtype)
    expected = _of_scipy(x, y)
    assert ks.ks_distance(x, y) == pytest.approx(expected, abs=1e-12)
    assert ks.ks_distance(x, y, np.ones(n), np.full(m, 2.0)) == pytest.approx(expected, abs=1e-12)
    grid = np.unique(y)
    counted = ks.distance_between(ks.count_between(grid, x), ks.count_between(grid, y))
    assert counted == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["apart", "equal", "rounded", "one value", "heavy tails", "few"])
def test_large_samples_of_which_few_values_are_looked_at(kind, dtype):
    """Against scipy, which looks at all of them; both ways around."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=30_000), rng.normal(size=20_000)
    x, y = {
        "apart": lambda: (x, y + 0.3),
        "equal": lambda: (x, y),
        "rounded": lambda: (x.round(2), y.round(2)),
        "one value": lambda: (np.where(x > 0, 0, x), np.where(y > 0.1, 0, y)),
        "heavy tails": lambda: (x / y.mean(), 1 / y),
        "few": lambda: (x[:3], y),
    }[kind]()
    x, y = x.astype(dtype), y.astype(dtype)
    expected = _of_scipy(x, y)
    assert ks.ks_distance(x, y) == pytest.approx(expected, abs=1e-12)
    assert ks.ks_distance(y, x) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_few_values_are_compared_without_sorting(weighted):
    rng = np.random.default_rng(6)
    t = rng.normal(size=500).round(1)
    w = rng.normal(1, 1, 500) if weighted else None
    few, many = np.array([-0.3, 0.0, 1.2]), np.linspace(-1, 1, 21).round(1)
    for value, in_many in ((0, 7), (1, 10)):
        a, b = ks.count_between(few, t, w), ks.count_between(many, t, w)
        np.testing.assert_allclose(a.below[value], b.below[in_many])
        np.testing.assert_allclose(a.up_to[value], b.up_to[in_many])
    np.testing.assert_allclose(a[2:], b[2:])


def _in_jax(x, y):
    """The distance outside jit and inside."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    return ks.ks_distance(x, y), jax.jit(ks.ks_distance)(x, y)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 50), (1000, 1000), (731, 2010)])
def test_two_samples_of_jax_against_scipy(n, m, ties):
    x, y = _samples(n, n, m, ties, np.float32)
    eager, jitted = _in_jax(x, y)
    assert eager.dtype == jitted.dtype == jnp.float32
    np.testing.assert_allclose(eager, _of_scipy(x, y), atol=3e-7)
    np.testing.assert_allclose(jitted, eager, atol=1e-7)


def test_jax_in_double_precision_is_exact(x64):
    x, y = _samples(2, 731, 2010, True, np.float64)
    for distance in _in_jax(x, y):
        assert distance.dtype == jnp.float64
        np.testing.assert_allclose(distance, _of_scipy(x, y), rtol=0, atol=1e-12)


def test_one_sample_against_scipy():
    x = np.random.default_rng(1).normal(size=500)
    expected = ks_1samp(x, norm.cdf).statistic
    assert ks.ks_distance_to(norm.cdf(x)) == pytest.approx(expected, abs=1e-12)
    jitted = jax.jit(ks.ks_distance_to)(jnp.asarray(norm.cdf(x), jnp.float32))
    np.testing.assert_allclose(jitted, expected, atol=1e-6)
    assert ks.ks_distance_to(norm.cdf(x), np.full(500, 3.0)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_accelerator_gets_the_same(monkeypatch, weighted):
    """The branch without NumPy inside, as a GPU or TPU would run it."""
    rng = np.random.default_rng(8)
    x, y = (jnp.asarray(np.round(rng.normal(size=n), 2), jnp.float32) for n in (700, 300))
    weights = [jnp.asarray(rng.random(n), jnp.float32) if weighted else None for n in (700, 300)]
    grid = jnp.unique(y)
    expected = jax.jit(ks.ks_distance)(x, y, *weights), ks.count_between(grid, x, weights[0])
    monkeypatch.setattr(ks, "_on_cpu", lambda: False)
    jax.clear_caches()
    np.testing.assert_allclose(jax.jit(ks.ks_distance)(x, y, *weights), expected[0], atol=1e-6)
    for a, b in zip(jax.jit(ks.count_between)(grid, x, weights[0]), expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_vmap_equals_a_loop():
    rng = np.random.default_rng(2)
    x, y = (jnp.asarray(rng.normal(size=(7, n)), jnp.float32) for n in (300, 200))
    one_by_one = [ks.ks_distance(a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(ks.ks_distance))(x, y), one_by_one, atol=1e-7)
    grid = jnp.linspace(-2, 2, 9)
    counts = jax.vmap(partial(ks.count_between, grid))(x)
    for k in range(7):
        expected = ks.count_between(np.asarray(grid), np.asarray(x[k])).up_to
        np.testing.assert_array_equal(counts.up_to[k], expected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=40),
    st.lists(st.integers(-4, 4), min_size=1, max_size=40),
    st.integers(0, 1000),
)
def test_integer_weights_are_repeated_events(x, y, seed):
    rng = np.random.default_rng(seed)
    w = rng.integers(1, 4, len(x))
    x, y = np.array(x, float), np.array(y, float)
    repeated = np.repeat(x, w)
    expected = _of_scipy(repeated, y)
    assert ks.ks_distance(x, y, w.astype(float)) == pytest.approx(expected, abs=1e-12)
    grid = np.unique(y)
    weighted, plain = ks.count_between(grid, x, w.astype(float)), ks.count_between(grid, repeated)
    np.testing.assert_allclose(weighted.up_to, plain.up_to)
    np.testing.assert_allclose(weighted.below, plain.below)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
def test_chunks_add_up_exactly_in_any_order(seed, parts, weighted):
    rng = np.random.default_rng(seed)
    t = np.round(rng.normal(size=200), 2)
    w = rng.integers(1, 5, 200).astype(float) if weighted else None
    grid = np.unique(np.round(rng.normal(size=30), 2))
    at_once = ks.count_between(grid, t, w)
    chunks = [
        ks.count_between(grid, t[rows], None if w is None else w[rows])
        for rows in np.array_split(rng.permutation(200), parts)
    ]
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total.plus(chunk)
    for a, b in zip(at_once, total, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_command_that_counts_does_not_pay_for_imports():
    """JAX costs a second, scipy.stats and scipy.optimize half of one."""
    code = """
import sys, amplify.estimators.kolmogorov, amplify.estimators.calibrated
print([name for name in ("jax", "scipy.stats", "scipy.optimize") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
