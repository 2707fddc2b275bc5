"""Statistics of columns against scipy, and streams of events against all of them at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from scipy.stats import ks_2samp, wasserstein_distance

from amplify.errors import InputError
from amplify.estimators.statistics import STATISTICS, Pooled, columns, lines, pooled, streamed
from amplify.estimators.statistics.histograms import equal_bins

PURE = {name: getattr(columns, name) for name in ("mean_ks", "max_ks", "mean_wasserstein")}


def samples(n=60, m=45, dim=3, seed=1, weighted=False):
    """Columns of different spread, one of them with ties."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.2, 1.2, (n, dim)), rng.normal(0.0, 1.0, (m, dim))
    x[:, 0], y[:, 0] = x[:, 0].round(1), y[:, 0].round(1)
    x[:, 1] *= 100
    y[:, 1] *= 100
    weights = (
        (rng.integers(1, 4, n) * 1.0, rng.integers(1, 4, m) * 1.0) if weighted else (None,) * 2
    )
    return x, y, *weights


def prepared(name, pool: Pooled, difference=None):
    """The distance of the samples of a pool, or distances of other differences."""
    distances = STATISTICS[name].prepare(pool, 0)
    return distances(pool.difference[None])[0] if difference is None else distances(difference)


def quoted(name, *given):
    pool = pooled(*given)
    return STATISTICS[name].quoted(prepared(name, pool), pool)


def test_ks_of_columns_is_that_of_scipy():
    x, y, *_ = samples()
    expected = [ks_2samp(a, b).statistic for a, b in zip(x.T, y.T, strict=True)]
    np.testing.assert_allclose(columns.ks(x, y), expected, rtol=1e-12)
    root = np.sqrt(60 * 45 / 105)
    assert quoted("mean_ks", x, y) == pytest.approx(root * np.mean(expected), rel=1e-12)
    assert quoted("max_ks", x, y) == pytest.approx(root * np.max(expected), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_wasserstein_of_columns_is_that_of_scipy(weighted):
    x, y, wx, wy = samples(weighted=weighted)
    expected = [wasserstein_distance(a, b, wx, wy) for a, b in zip(x.T, y.T, strict=True)]
    found = [columns.wasserstein(a, b, wx, wy) for a, b in zip(x.T, y.T, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    ones = columns.wasserstein(x[:45, 1], y[:, 1])
    assert ones == pytest.approx(wasserstein_distance(x[:45, 1], y[:, 1]), rel=1e-12)
    pool = pooled(x, y, wx, wy)
    mean = pool.weight @ pool.x
    unit = np.sqrt(pool.weight @ (pool.x - mean) ** 2)
    assert quoted("mean_wasserstein", x, y, wx, wy) == pytest.approx(np.mean(expected / unit))


@pytest.mark.parametrize("weighted", [False, True])
def test_prepared_statistics_are_the_pure_functions_also_of_jax(weighted):
    given = samples(weighted=weighted)
    expected = [pure(*given) for pure in PURE.values()]
    found = [quoted(name, *given) for name in PURE]
    np.testing.assert_allclose(found, expected, rtol=1e-10)

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, None, None))
    def compiled(*arrays):
        return jnp.stack([pure(*arrays) for pure in PURE.values()])

    x, *others = (None if a is None else jnp.asarray(a, jnp.float32) for a in given)
    first, second = compiled(jnp.stack([x, x + 0.5]), *others)
    np.testing.assert_allclose(first, expected, rtol=1e-4)
    assert np.all(second > first)


@pytest.mark.parametrize("name", ["mean_ks", "max_ks", "mean_wasserstein", "energy"])
def test_an_event_of_weight_k_is_k_events(name):
    """Distances: as numbers of events they differ, as (sum w)^2 / sum w^2 is not sum w."""
    x, y, wx, wy = samples(weighted=True)
    repeated = pooled(np.repeat(x, wx.astype(int), axis=0), np.repeat(y, wy.astype(int), axis=0))
    pool = pooled(x, y, wx, wy)
    if name in ("mean_wasserstein", "energy"):  # the pool decides about units
        pool = pool._replace(
            weight=np.concatenate([wx, wy]) / (wx.sum() + wy.sum()),
            n_gen=wx.sum(),
            n_holdout=wy.sum(),
        )
    assert prepared(name, pool) == pytest.approx(prepared(name, repeated), rel=1e-9)


@pytest.mark.parametrize("n", [3, 700, lines.SMALL // 2 + 500])
def test_many_differences_are_as_each_alone(n):
    """More than are worked on at once, in double and in single precision."""
    rng = np.random.default_rng(2)
    pool = pooled(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)))
    labels = np.array([rng.permutation(2 * n) < n for _ in range(21)])
    differences = np.where(labels, 1 / n, -1 / n)
    ks, area = (prepared(name, pool, differences) for name in ("max_ks", "mean_wasserstein"))
    np.testing.assert_array_equal(ks, np.rint(ks * n) / n)  # equal ones are equal bit by bit
    for is_first, found, distance in zip(labels[::7], ks[::7], area[::7], strict=True):
        a, b = pool.x[is_first], pool.x[~is_first]
        expected = max(ks_2samp(u, v).statistic for u, v in zip(a.T, b.T, strict=True))
        assert found == pytest.approx(expected, rel=1e-9)
        assert distance == pytest.approx(columns.mean_wasserstein(a, b), rel=1e-5)


def test_a_constant_column_is_no_difference():
    x, y = np.ones((5, 1)), np.ones((7, 1))
    for name in ("mean_ks", "max_ks", "mean_wasserstein", "energy", "separation", "chi_squared"):
        assert quoted(name, x, y) == pytest.approx(0, abs=1e-30)
    assert columns.mean_wasserstein(x, y) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_a_stream_knows_what_all_events_know(weighted):
    x, y, wx, wy = samples(500, 80, weighted=weighted)
    reference = streamed.reference(y, wy, seed=3)
    state = None
    for rows in np.split(np.arange(500), [100, 101, 350]):
        part = streamed.state(reference, x[rows], None if wx is None else wx[rows])
        state = part if state is None else state.plus(part)
    pool = pooled(x, y, wx, wy)
    found = streamed.compared(reference, state)
    for name in ("mean_ks", "max_ks", "mean_wasserstein", "sliced_ks", "sliced_wasserstein"):
        statistic = STATISTICS[name]
        distance = statistic.prepare(pool, 3)(pool.difference[None])[0]
        assert found[name].distance == pytest.approx(distance, abs=found[name].error + 1e-6)
        assert found[name].quoted == pytest.approx(
            statistic.quoted(found[name].distance, pool), rel=1e-9
        )
        assert found[name].error < (0.05 * distance if "wasserstein" in name else 1e-99)
    p, q = _histograms(x, y, wx, wy)
    expected = 0.5 * ((p - q) ** 2 / (p + q)).sum(axis=1).mean()
    assert found["separation"].distance == pytest.approx(expected, rel=1e-9)


def _histograms(x, y, wx, wy):
    """Shares in bins of equal shares of y, by numpy."""
    edges = equal_bins(y, np.ones(len(y)) if wy is None else wy)
    ends = np.full((len(edges), 1), np.inf)
    shares = [
        np.stack([np.histogram(c, e, weights=w)[0] for c, e in zip(a.T, both, strict=True)])
        for a, w in ((x, wx), (y, wy))
        for both in [[np.unique(row) for row in np.hstack([-ends, edges, ends])]]
    ]
    return [s / s.sum(axis=1, keepdims=True) for s in shares]


def test_the_area_that_a_stream_cannot_know_lies_within_its_error():
    """One value of the holdout, with the stream on both sides of it: only inside of a gap of the
    holdout may the distribution functions cross.
    """
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(50):
        x, y = rng.normal(size=(rng.integers(1, 6), 1)), rng.normal(size=(rng.integers(1, 4), 1))
        reference = streamed.reference(y, names=["mean_wasserstein"])
        found = streamed.compared(reference, streamed.state(reference, x))["mean_wasserstein"]
        exact = columns.mean_wasserstein(x, y)
        assert abs(found.distance - exact) <= found.error + 1e-12
        errors.append(found.error)
    assert max(errors) > 0.05


def test_devices_add_up_states():
    mesh = Mesh(np.asarray(jax.devices("cpu")), ("event",))
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(400, 2)).astype(np.float32), rng.normal(0.1, 1, (50, 2))
    reference = streamed.reference(y, names=["max_ks", "mean_wasserstein", "chi_squared"])
    reduced = jax.jit(
        jax.shard_map(
            lambda part: jax.lax.psum(streamed.state(reference, part), "event"),
            mesh=mesh,
            in_specs=PartitionSpec("event"),
            out_specs=PartitionSpec(),
            check_vma=False,
        )
    )
    on_devices = streamed.compared(reference, reduced(jnp.asarray(x)))
    on_host = streamed.compared(reference, streamed.state(reference, x))
    for name, value in on_host.items():
        assert on_devices[name].distance == pytest.approx(value.distance, rel=1e-4)


def test_what_does_not_stream_is_said():
    with pytest.raises(InputError, match="nplm"):
        streamed.reference(np.zeros((3, 1)), names=["nplm"])


def test_a_tenth_of_the_distance_is_seen_on_a_tenth_of_the_scale():
    """Statistics are homogeneous, of the degree they claim."""
    x, y, *_ = samples()
    pool = pooled(x, y)
    scaled = partial(
        prepared, pool=pool, difference=np.stack([pool.difference, pool.difference / 10])
    )
    for name in ("mean_ks", "max_ks", "mean_wasserstein", "sliced_ks", "energy", "chi_squared"):
        whole, part = scaled(name)
        assert part == pytest.approx(whole / 10 ** STATISTICS[name].degree, rel=1e-9)
