"""Counting without a search for each value, against `numpy.searchsorted`."""

import numpy as np
import pytest

from amplify import regions as rg
from amplify.regions import places

_RNG = np.random.default_rng(0)


def _ends(number, dtype, kind):
    ends = _RNG.normal(size=number)
    if kind == "clustered":  # too many in one step of a table
        ends[: number // 2] = 1 + 1e-6 * ends[: number // 2]
    if kind == "tiny":
        ends *= 1e-32
    if kind == "wide":
        ends = np.sign(ends) * np.exp(12 * np.abs(ends))
    if kind == "open":
        ends[:2] = -np.inf, np.inf
    return np.unique(ends.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["usual", "clustered", "tiny", "wide", "open"])
@pytest.mark.parametrize("number", [3, 15, 27, 150])
def test_places_and_numbers_are_those_of_a_search(number, kind, dtype, monkeypatch):
    """Values on ends, infinite ones, nan, in columns of events, in several blocks."""
    monkeypatch.setattr(places, "BLOCK", 1000)
    ends = _ends(number, dtype, kind)
    finite = ends[np.isfinite(ends)]
    values = _RNG.choice(finite, 3500) * _RNG.choice([1.0, 0.999, 1.7, -1], 3500)
    values = values.astype(dtype)
    values[: len(ends)], values[200:202] = ends, (np.inf, -np.inf)
    for x in (values, np.stack([values, values], axis=1)[:, 0]):
        found = places.places_among(x, ends)
        assert np.array_equal(found, np.searchsorted(ends, x, side="right"))
        below = places.number_below(x, ends)
        assert np.array_equal(below, np.searchsorted(np.sort(x), ends))
        up_to = places.number_up_to(np.sort(x), ends, below)
        assert np.array_equal(up_to, np.searchsorted(np.sort(x), ends, side="right"))
    values[300] = np.nan
    assert places.places_among(values, ends)[300] in (0, len(ends))
    assert places.number_below(values, ends)[-1] == (values < ends[-1]).sum()


def test_a_table_is_used_where_ends_are_apart():
    assert places._steps(_ends(150, np.float32, "usual")) is not None
    assert places._steps(_ends(150, np.float64, "clustered")) is None
    assert places._steps(np.array([-1.5e308, 1.5e308])) is None


@pytest.mark.parametrize("number", [5, 40])
def test_counts_with_weights_are_sums_of_weights(number):
    """In bins and in cells, of weights that are negative as well."""
    x = _RNG.normal(size=(5000, 2)).astype(np.float32)
    weight = _RNG.normal(1, 1, 5000)
    edges = np.quantile(x[:, 0], np.linspace(0.01, 0.99, number))
    bins = rg.bins(rg.column(0), edges, "x")
    cells = rg.cells(rg.column(0), rg.column(1), (edges, edges[::4]), ("x", "y"))
    for regions in (bins, cells):
        inside = regions.contains(x)
        sums = rg.count(regions, x, weight)
        assert np.array_equal(sums.n_inside, inside.sum(axis=0))
        assert np.array_equal(rg.count(regions, x).n_inside, inside.sum(axis=0))
        np.testing.assert_allclose(sums.weight_inside, weight @ inside, atol=1e-9)
        np.testing.assert_allclose(sums.square_inside, weight**2 @ inside, atol=1e-9)
