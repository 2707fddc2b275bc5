"""Shapes of regions, against brute force and NumPy."""

from itertools import pairwise, product

import jax.numpy as jnp
import numpy as np
import pytest

from amplify import regions as rg
from amplify.errors import InputError

REGIONS = rg.join(
    rg.bins(rg.column(0), [-np.inf, 0, 1, np.inf], "x0"), rg.tail(rg.column(1), 1.5, "x1")
)


def test_regions_work_on_numpy_and_jax_alike():
    x = np.random.default_rng(0).normal(size=(1000, 2))
    regions = rg.join(
        REGIONS,
        rg.shells([0, 1, np.inf]),
        rg.box([-1, -1], [1, 1], "square"),
        rg.mask(lambda x: x[:, 0] > x[:, 1], "x0 > x1"),
    )
    inside = np.asarray(regions.contains(x))
    np.testing.assert_array_equal(inside, np.asarray(regions.contains(jnp.asarray(x))))
    assert inside.shape == (1000, 8)
    assert regions.labels[-2:] == ("square", "x0 > x1") and regions.labels[4] == "0 <= r < 1"
    np.testing.assert_array_equal(inside[:, :3].sum(axis=1), 1)  # bins are a partition
    np.testing.assert_array_equal(inside[:, 6], (np.abs(x) < 1).all(axis=1))


def test_equiprobable_bins():
    x = np.random.default_rng(1).exponential(size=(10_000, 1))
    sums = rg.count(rg.equiprobable(x, rg.column(0), 7, "x0"), x)
    assert sums.n_inside.tolist() == pytest.approx([10_000 / 7] * 7, abs=1.5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rg.bins(rg.column(0), [1, 1], "x"), "increasing"),
        (lambda: rg.bins(rg.column(0), [1], "x"), "two or more"),
        (lambda: rg.equiprobable(np.zeros((10, 1)), rg.column(0), 3, "x"), "distinct"),
        (lambda: rg.equiprobable(np.zeros((10, 1)), rg.column(0), 1, "x"), "at least 2"),
        (lambda: rg.box([0, 0], [1, 0]), "low < high"),
    ],
)
def test_bad_regions(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_counted_as_by_hand(seed, dtype):
    """Overlapping, touching, infinite intervals; values at their ends; weights of either sign."""
    rng = np.random.default_rng(seed)
    infinite = [np.inf, -np.inf]
    values = np.concatenate([rng.normal(size=300), rng.integers(-3, 4, 100), infinite])
    x = values.astype(dtype)[:, None]
    choice = [rng.normal(size=20), rng.integers(-3, 4, 20), x[:9, 0], infinite[::-1]]
    ends = np.sort(rng.choice(np.concatenate(choice), (30, 2)), axis=1)
    low, high = ends[ends[:, 0] < ends[:, 1]].T
    made = rg.intervals(rg.column(0), low, high, "x")
    w = rng.normal(size=len(x))
    table = np.array([[low[r] <= float(v) < high[r] for r in range(len(low))] for v in x[:, 0]])
    np.testing.assert_array_equal(made.contains(x), table)
    sums, weighted = rg.count(made, x), rg.count(made, x, w)
    np.testing.assert_array_equal(sums.n_inside, table.sum(axis=0))
    np.testing.assert_array_equal(weighted.n_inside, table.sum(axis=0))
    np.testing.assert_allclose(weighted.weight_inside, w @ table, atol=1e-12)
    np.testing.assert_allclose(weighted.square_inside, w**2 @ table, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_cells_are_counted_as_by_hand(seed, dtype):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=(200, 2)), rng.integers(-2, 3, (60, 2))]).astype(dtype)
    edges = [
        np.array([-np.inf, -1, float(x[3, 0]), 1.7, np.inf]),
        np.unique([-2, 0, float(x[5, 1]), 2]),
    ]
    made = rg.cells(rg.column(0), rg.column(1), edges, ("a", "b"))
    w = rng.normal(size=len(x))
    rectangles = list(product(*map(pairwise, edges)))
    table = np.array(
        [[a <= float(u) < b and c <= float(v) < d for (a, b), (c, d) in rectangles] for u, v in x]
    )
    assert len(made.labels) == table.shape[1]
    np.testing.assert_array_equal(made.contains(x), table)
    np.testing.assert_array_equal(rg.count(made, x).n_inside, table.sum(axis=0))
    np.testing.assert_allclose(rg.count(made, x, w).weight_inside, w @ table, atol=1e-12)


@pytest.mark.parametrize("weights", ["none", "uniform", "integer", "many zeros"])
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("n", [1, 7, 100, 1001])
def test_quantile_edges_are_those_of_numpy(n, discrete, weights):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 6, n).astype(float) if discrete else rng.normal(size=n)
    w = {
        "none": None,
        "uniform": rng.uniform(0.1, 1, n),
        "integer": rng.integers(1, 4, n),
        "many zeros": (rng.random(n) < 0.3) + (np.arange(n) == 0),
    }[weights]
    for bins in (2, 3, 10, 50):
        # .14 * 100 is more than 14 in floating point, and NumPy then takes the next event
        shares = np.arange(1, bins) / bins - 1e-12
        inner = np.unique(np.quantile(x, shares, method="inverted_cdf", weights=w))
        expected = [-np.inf, *inner[inner > x.min()], np.inf]
        np.testing.assert_array_equal(rg.quantile_edges(x, w, bins), expected)


def test_integer_weights_give_the_edges_of_repeated_events():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=400), rng.integers(0, 5, 400)
    for bins in (2, 10, 77):
        of_repeated = rg.quantile_edges(np.repeat(x, w), None, bins)
        np.testing.assert_array_equal(rg.quantile_edges(x, w, bins), of_repeated)


def test_a_column_of_few_values_has_fewer_bins():
    tag = np.random.default_rng(0).random(1000) < 0.3
    edges = rg.equiprobable_or_fewer(tag, None, 5, "tag")
    assert edges.tolist() == [-np.inf, 1.0, np.inf]
    with pytest.raises(InputError, match="distinct edges"):
        rg.equiprobable_or_fewer(np.ones(10), None, 5, "one value")
