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
from jax.sharding import Mesh, PartitionSpec
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


def test_devices_reduce_by_a_sum():
    devices = jax.devices("cpu")
    assert len(devices) == 2
    mesh = Mesh(np.asarray(devices), ("event",))
    t = jnp.asarray(np.random.default_rng(3).normal(size=4096), jnp.float32)
    grid = jnp.linspace(-3, 3, 101)

    @jax.jit
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=PartitionSpec("event"),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    def reduced(t):
        return jax.lax.psum(ks.count_between(grid, t), "event")

    for a, b in zip(reduced(t), ks.count_between(np.asarray(grid), np.asarray(t)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_null_experiments_follow_the_known_distribution():
    """Two thousand, 100 against 300 events: mean and three quantiles of scipy's two-sample distance
    of normal numbers, 4 sigma of both (false alarm 5e-4).
    """
    distances = ks.null_distances(100, 300, 2000, seed=1)
    rng = np.random.default_rng(4)
    expected = np.array(
        [_of_scipy(rng.normal(size=100), rng.normal(size=300)) for _ in range(2000)]
    )
    assert abs(distances.mean() - expected.mean()) < 4 * np.sqrt(2 / 2000) * expected.std()
    for level in (0.16, 0.5, 0.84):
        below = (distances <= np.quantile(expected, level)).mean()
        error = np.sqrt(2 * level * (1 - level) / 2000)
        assert abs(below - level) < 4 * error + 0.01  # steps of 1 / 300
    np.testing.assert_array_equal(distances, ks.null_distances(100, 300, 2000, seed=1))
    assert len(ks.null_distances(5, 7, 3)) == 3
    assert (ks.null_distances(1, 1, 10) == 1).all()


def test_a_command_that_counts_does_not_pay_for_imports():
    """JAX costs a second, scipy.stats and scipy.optimize half of one."""
    code = """
import sys, amplify.estimators.kolmogorov, amplify.estimators.calibrated
print([name for name in ("jax", "scipy.stats", "scipy.optimize") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
