"""What the pictures of a differential result show."""

import numpy as np
import pytest

from amplify.analysis import curves
from amplify.estimators.differential import tally
from amplify.estimators.kolmogorov import count_between, distance_between
from amplify.types import Events


def test_functions_end_at_one_and_part_where_they_differ_most():
    rng = np.random.default_rng(1)
    t_gen, t_holdout = rng.normal(0.2, 1, 50_000), rng.normal(size=4000)
    grid = np.unique(t_holdout)
    tallies = [tally(grid, t, threshold=0.1) for t in (t_gen, t_holdout)]
    functions = curves.distribution_functions(grid, *tallies, threshold=None)
    assert len(functions["t"]) == 201 and functions["holdout"][-1] == 1
    gap = abs(functions["generated_there"] - functions["holdout_there"])
    largest = distance_between(*(counted.counts for counted in tallies))
    assert gap == pytest.approx(largest, abs=1e-3)
    assert abs(functions["place"] - 0.1) < 0.4
    at = curves.distribution_functions(grid, *tallies, threshold=0.1)
    assert at["place"] == 0.1
    assert at["generated_there"] == (t_gen <= 0.1).mean()
    assert at["holdout_there"] == (t_holdout <= 0.1).mean()


def test_the_band_holds_most_of_a_sample_without_a_difference():
    rng = np.random.default_rng(2)
    true, t_holdout = rng.normal(size=50_000), rng.normal(size=4000)
    grid = np.unique(t_holdout)
    counted = count_between(grid, t_holdout)
    grown = [
        (n, float(distance_between(count_between(grid, true[:n]), counted)))
        for n in (100, 300, 1000, 10_000, 50_000)
    ]
    a = curves.approach(grown, 4000, 0.02)
    inside = (a["ks"] > a["null_low"]) & (a["ks"] < a["null_high"])
    assert inside.sum() >= 3
    assert (np.diff(a["null_mean"]) < 0).all()


def test_the_map_finds_where_events_are_added():
    rng = np.random.default_rng(3)
    x_gen, x_true = rng.normal(size=(50_000, 3)), rng.normal(size=(20_000, 3))
    x_gen[:2000, :2] = 1.0
    m = curves.ratio_map(Events(x_gen), Events(x_true), ["a", "b", "c"])
    cell = np.unravel_index(np.argmax(m["pull"]), m["pull"].shape)
    assert m["columns"] == ["a", "b"] and np.max(m["pull"]) > 10
    for edges, i in zip(m["edges"], cell, strict=True):
        assert edges[i] <= 1.0 <= edges[i + 1]
    twice = Events(x_gen, np.full(50_000, 2.0))
    weighted = curves.ratio_map(twice, Events(x_true), ["a", "b", "c"])
    np.testing.assert_allclose(weighted["ratio"], m["ratio"])
