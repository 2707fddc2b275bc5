"""The Frechet distance against its textbook form, its chance against simulation and jetnet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from amplify.estimators.statistics import streamed
from amplify.estimators.statistics.moments import (
    FRECHET,
    frechet,
    frechet_distance,
    frechet_statistic,
    moments,
)
from amplify.estimators.statistics.protocol import pooled

RAW = frechet_statistic(standardise=False)


def skewed(rng, n, dim=3, shift=0.0):
    """Correlated, and far from Gaussian."""
    x = rng.exponential(size=(n, dim))
    x[:, 1] += x[:, 0]
    return x + shift


def of_two(x, y):
    a, b = moments(x), moments(y)
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


def test_the_distance_is_that_of_the_textbook():
    rng = np.random.default_rng(0)
    x, y = skewed(rng, 500), skewed(rng, 700, shift=0.1) * 1.2
    a, b = np.cov(x.T), np.cov(y.T)
    root = np.real(sqrtm(a @ b))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    assert of_two(x, y) == pytest.approx(expected, rel=1e-9)
    # two Gaussians of one column: (mean apart)^2 + (sigma apart)^2
    assert frechet_distance(np.zeros(1), np.eye(1), np.ones(1), 9 * np.eye(1)) == 5.0


def test_extrapolation_takes_chance_out():
    """Mean over 300 pairs of samples against the distance of the densities; 3.5 sigma fail
    once in 2000 seeds.
    """
    rng = np.random.default_rng(1)
    scale = np.array([1.0, 2.0, 0.5])
    pairs = [(rng.normal(size=(200, 3)) * scale, rng.normal(size=(150, 3))) for _ in range(300)]
    unbiased = np.array([frechet(x, y) for x, y in pairs])
    plain = np.array([of_two(x, y) for x, y in pairs])
    error = unbiased.std() / 300**0.5
    assert abs(unbiased.mean() - 1.25) < 3.5 * error
    assert plain.mean() - 1.25 > 5 * error


def test_extrapolation_is_the_fit_to_subsamples():
    """a of a + s / N, as arXiv:2211.10295 fits it, with many subsamples without replacement."""
    rng = np.random.default_rng(2)
    x, y = skewed(rng, 1000), skewed(rng, 1000, shift=0.05)
    sizes = np.repeat((1 / np.linspace(3e-3, 1e-3, 10)).astype(int), 60)
    values = [of_two(rng.permutation(x)[:size], rng.permutation(y)[:size]) for size in sizes]
    (_, a), covariance = np.polyfit(1 / sizes, values, 1, cov=True)
    error = covariance[1, 1] ** 0.5
    assert frechet(x, y) == pytest.approx(a, abs=3.5 * error)
    assert abs(of_two(x, y) - a) > 5 * error


def test_weights_are_repetitions():
    rng = np.random.default_rng(3)
    x, y = skewed(rng, 60), skewed(rng, 50)
    often = rng.integers(0, 4, 60).astype(float)
    repeated = np.repeat(x, often.astype(int), axis=0)
    twice, once = moments(x, often), moments(repeated)
    np.testing.assert_allclose(twice.mean, once.mean)
    np.testing.assert_allclose(twice.second, once.second)
    kept = often > 0
    assert frechet(x, y, often) == pytest.approx(frechet(x[kept], y, often[kept]), rel=1e-12)
    assert frechet(x, y, np.full(60, 7.0)) == pytest.approx(frechet(x, y), rel=1e-12)


def test_sums_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(4)
    x, y, weight = 1e6 + skewed(rng, 3000), 1e6 + skewed(rng, 400), rng.uniform(size=3000)
    origin = y.mean(axis=0)
    parts = [moments(x[i : i + 700], weight[i : i + 700], origin) for i in range(0, 3000, 700)]
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    whole = moments(x, weight, origin)
    np.testing.assert_allclose(total.covariance, whole.covariance, rtol=1e-12)
    np.testing.assert_allclose(whole.mean, np.average(x, axis=0, weights=weight), rtol=1e-12)


def test_a_stream_knows_the_distance_of_all_events():
    """The extrapolated value takes the chance of the stream from the holdout, to a quarter."""
    rng = np.random.default_rng(10)
    x, y, weight = skewed(rng, 1500), skewed(rng, 400), rng.uniform(size=1500)
    reference = streamed.reference(y, names=["frechet"])
    state = streamed.state(reference, x[:700], weight[:700])
    state = state.plus(streamed.state(reference, x[700:], weight[700:]))
    found, pool = streamed.compared(reference, state)["frechet"], pooled(x, y, weight)
    distance = FRECHET.prepare(pool, 0)(pool.difference[None])[0]
    assert found.distance == pytest.approx(distance, rel=1e-9)
    quoted = FRECHET.quoted(distance, pool)
    assert abs(found.quoted - quoted) < 0.25 * (distance - quoted)


@pytest.mark.parametrize("statistic", [FRECHET, RAW])
def test_prepared_distances_are_those_of_the_samples(statistic):
    """Also where there are as many as relabelled: each against the samples with those labels."""
    rng = np.random.default_rng(5)
    x, y, weight = skewed(rng, 90), skewed(rng, 60, shift=0.3), rng.uniform(0.5, 1.5, 90)
    pool = pooled(x, y, weight)
    differences = np.stack([pool.difference, 0.5 * pool.difference])
    events = pool.x
    if statistic is FRECHET:
        mean = np.average(events, axis=0, weights=pool.weight)
        events = events / np.sqrt(np.average((events - mean) ** 2, axis=0, weights=pool.weight))
    expected = []
    for difference in differences:
        p, q = pool.measures(difference)
        gaussians = []
        for share in (p, q):
            mean = share @ events
            gaussians += [mean, (share[:, None] * (events - mean)).T @ (events - mean)]
        expected.append(frechet_distance(*gaussians))
    found = statistic.prepare(pool, 0)(differences)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found[1] == pytest.approx(found[0] / 4, rel=0.1)  # degree 2
    if statistic is RAW:
        assert statistic.quoted(found[0], pool) == pytest.approx(frechet(x, y, weight), rel=1e-9)


def test_units_do_not_decide():
    rng = np.random.default_rng(6)
    x, y = skewed(rng, 90), skewed(rng, 60, shift=0.3)
    units = np.array([1e3, 1.0, 1e-4])
    found = [
        FRECHET.prepare(pool, 0)(pool.difference[None])[0]
        for pool in (pooled(x, y), pooled(x * units, y * units))
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    constant = pooled(np.c_[x, np.ones(90)], np.c_[y, np.ones(60)])
    with_constant = FRECHET.prepare(constant, 0)(constant.difference[None])
    assert with_constant == pytest.approx(found[0], rel=1e-6)
    assert FRECHET.quoted(found[0], constant) == pytest.approx(
        FRECHET.quoted(found[0], pooled(x, y)), rel=1e-6
    )


def test_jax_equals_numpy(x64):
    rng = np.random.default_rng(7)
    x, y, weight = skewed(rng, 200), skewed(rng, 150), rng.uniform(size=200)
    expected = frechet(x, y, weight)
    arrays = [jnp.stack([a, a[::-1]]) for a in map(jnp.asarray, (x, y, weight))]
    two = jax.jit(jax.vmap(frechet))(*arrays)
    np.testing.assert_allclose(two, [expected, expected], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_it_is_that_of_jetnet():
    """Opt-in. jetnet draws with replacement, so its fit ends at the plain distance."""
    jetnet = pytest.importorskip("jetnet.evaluation")
    rng = np.random.default_rng(8)
    x, y = skewed(rng, 3000), skewed(rng, 3000, shift=0.1)
    settings = {"min_samples": 1000, "max_samples": 3000, "num_batches": 1000, "normalise": False}
    with pytest.warns(RuntimeWarning, match="Recommended number"):
        value, error = jetnet.fpd(x, y, **settings)
    assert value == pytest.approx(of_two(x, y), abs=4 * error)
    assert value - frechet(x, y) > 4 * error
