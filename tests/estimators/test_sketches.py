"""Values that stand for a large sample: within their bound of exact sorting, whatever the order,
the weights and the chunks; and added up as tasks would.
"""

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators import kolmogorov as ks
from amplify.estimators.sketches import (
    FAN,
    Sketch,
    check_error,
    condensed,
    groups_for,
    most_values,
    together,
)

N, CHUNK = 60_000, 150  # 400 chunks: condensed five times


def _sketch(t, weight, error):
    chunks = -(-len(t) // CHUNK)
    sketch = Sketch(groups_for(error, chunks))
    for start in range(0, len(t), CHUNK):
        rows = slice(start, start + CHUNK)
        w = None if weight is None else weight[rows]
        sketch = sketch.plus(condensed(t[rows], w, sketch.groups))
        held = sum(len(piece.values) for level in sketch.levels for piece in level)
        assert held <= most_values(error, chunks)
    return sketch


def _largest_error(t, weight, piece):
    """By exact sorting, at every value, below it and up to it."""
    grid = np.unique(t)
    exact = ks.count_between(grid, t, weight)
    sketched = ks.count_between(grid, piece.values, piece.weights)
    return max(np.abs(a - b).max() for a, b in zip(exact[:2], sketched[:2], strict=True))


WEIGHTS = {
    "none": lambda rng: None,
    "signed": lambda rng: rng.normal(1, 1, N),
    "of a heavy tail": lambda rng: rng.exponential(size=N) ** 4,
    "whole": lambda rng: rng.integers(1, 4, N),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("order", ["none", "sorted", "falling", "rounded", "outer first"])
def test_the_error_of_exact_sorting_is_within_the_bound(order, weights):
    rng = np.random.default_rng(1)
    t = rng.normal(size=N).astype(np.float32)
    t = {
        "none": lambda: t,
        "sorted": lambda: np.sort(t),
        "falling": lambda: -np.sort(t),
        "rounded": lambda: np.round(t, 1),
        "outer first": lambda: t[np.argsort(-np.abs(t))],
    }[order]()
    weight = WEIGHTS[weights](rng)
    size = N if weight is None else np.abs(weight).sum()
    # so coarse that chunks are condensed, and so fine that only what they left is
    for error in (0.05, 0.004):
        piece = _sketch(t, weight, error).finished()
        assert len(piece.values) <= groups_for(error, N // CHUNK)
        assert 0 < _largest_error(t, weight, piece) <= piece.error * (1 + 1e-9)
        assert piece.error <= error * size
        assert (np.diff(piece.values) >= 0).all()
        total = N if weight is None else weight.sum()
        assert piece.weights.sum() == pytest.approx(total, rel=1e-9)


def test_samples_that_fit_stay_as_they_are():
    t = np.random.default_rng(2).normal(size=CHUNK)
    piece = _sketch(t, None, 1e-3).finished()
    np.testing.assert_array_equal(piece.values, np.sort(t))
    assert piece.error == 0 and (piece.weights == 1).all()
    nothing = Sketch(10).finished()
    assert len(nothing.values) == 0 and nothing.error == 0
    assert len(condensed(t, np.zeros(CHUNK), 10).values) == 0  # they weigh nothing


def test_the_distance_to_another_sample_is_off_by_no_more():
    rng = np.random.default_rng(3)
    true, generated = rng.normal(size=N), rng.normal(0.05, 1, 20_000)
    piece = _sketch(true, None, 0.01).finished()
    grid = np.unique(piece.values)
    of_true = ks.count_between(grid, piece.values, piece.weights)
    distance = ks.distance_between(ks.count_between(grid, generated), of_true)
    exact = ks.ks_distance(true, generated)
    assert 0 < abs(distance - exact) <= piece.error / N <= 0.01


def test_parts_of_a_sample_are_joined():
    """Two machines, each with its own files: within the bound of both, and the same bits again."""
    rng = np.random.default_rng(4)
    t = rng.normal(size=N)
    halves = [_sketch(half, None, 0.02) for half in np.split(t, 2)]
    piece = halves[0].joined(halves[1]).finished()
    assert 0 < _largest_error(t, None, piece) <= piece.error <= 0.02 * N
    again = halves[0].joined(halves[1]).finished()
    np.testing.assert_array_equal(piece.values, again.values)


def test_groups_have_equal_weight():
    piece = condensed(np.arange(1000.0), None, 10)
    np.testing.assert_array_equal(piece.values, 50 + 100 * np.arange(10))
    assert (piece.weights == 100).all() and piece.error == 50
    both = together([piece, piece], 10)
    np.testing.assert_array_equal(both.values, piece.values)  # pairs are groups
    assert (both.weights == 200).all()
    assert FAN * 3 * groups_for(0.01, 16) == most_values(0.01, 16)


@pytest.mark.parametrize("error", [0.0, 0.5, -1.0, float("nan")])
def test_an_error_that_is_none_is_refused(error):
    with pytest.raises(InputError, match="--approximate: expected an error between"):
        check_error(error)


def test_beside_the_sketch_of_another_package():
    """As close to exact sorting as KLL sketches, which are random, with as many values."""
    other = pytest.importorskip("datasketches").kll_floats_sketch(200)
    t = np.random.default_rng(5).normal(size=N).astype(np.float32)
    piece = _sketch(t, None, 0.01).finished()
    other.update(t)
    grid = np.quantile(t, np.linspace(0.01, 0.99, 99)).astype(np.float32)
    exact = ks.count_between(grid, t).up_to / N
    own = ks.count_between(grid, piece.values, piece.weights).up_to / N
    theirs = np.array([other.get_rank(value, True) for value in grid])
    assert np.abs(own - exact).max() < np.abs(theirs - exact).max()
