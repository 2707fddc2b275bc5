"""Is a holdout part of another file? Chance repeats of coarse or single-precision values are
none.
"""

import numpy as np
import pytest

from amplify.tables import files, memory
from amplify.tables.overlap import _marked, overlap, repeated


def _selection(x):
    return files.select(memory.from_array(x))


def _overlap(few, many):
    return overlap(_selection(few), _selection(many))


def _rounded_normal(rng, n, dim, digits):
    return np.round(rng.normal(size=(n, dim)), digits).astype(np.float32)


@pytest.mark.parametrize(
    ("n_few", "n_many", "dim", "digits"),
    [
        (1000, 400_000, 1, 9),
        (4000, 400_000, 1, 9),
        (4000, 50_000, 2, 3),
        (4000, 50_000, 3, 9),
        (2000, 2000, 1, 0),
    ],
)
def test_independent_events_are_no_overlap(n_few, n_many, dim, digits):
    """Single precision, rounded, and integers: twelve pairs of independent samples each, none
    refused.
    """
    rng = np.random.default_rng(0)
    for _ in range(12):
        few, many = (_rounded_normal(rng, n, dim, digits) for n in (n_few, n_many))
        assert _overlap(few, many) == 0


@pytest.mark.parametrize(
    ("share", "dim", "digits"), [(1.0, 1, 9), (0.05, 3, 9), (0.05, 2, 9), (0.05, 3, 2), (0.5, 2, 2)]
)
def test_shared_events_are_found_in_any_order(share, dim, digits):
    rng = np.random.default_rng(1)
    few, many = (_rounded_normal(rng, n, dim, digits) for n in (4000, 50_000))
    shared = int(share * 4000)
    many[rng.choice(50_000, shared, replace=False)] = few[:shared]
    few[-1] = few[-2]  # one repeat by itself proves nothing
    in_both = _overlap(rng.permutation(few), rng.permutation(many))
    assert shared <= in_both < shared + 700  # chance matches of rounded values come on top
    assert _overlap(few.astype(np.float64), many) == in_both  # another precision


def test_repeats_within_a_sample():
    x = np.random.default_rng(2).normal(size=(100, 2))
    assert repeated(_selection(x)) == 0
    assert repeated(_selection(np.concatenate([x, x[:50]]))) == pytest.approx(100 / 150)
    assert repeated(_selection([[0.0], [-0.0], [1.0]])) == pytest.approx(2 / 3)


def _mark(event):
    """The mark of one event in integers of any size."""
    mark, modulus = 0, 1 << 64
    for value in event:
        bits = int(np.array(value + np.float32(0), np.float32).view(np.uint32))
        mark = (mark ^ bits) * 0x9E3779B97F4A7C15 % modulus
        mark = (mark ^ mark >> 30) * 0xBF58476D1CE4E5B9 % modulus
        mark = (mark ^ mark >> 27) * 0x94D049BB133111EB % modulus
    return mark


@pytest.mark.parametrize("n", [0, 1, 300, (1 << 15) + 7])
def test_marks_are_those_of_integers_of_any_size(n):
    """Across the ends of blocks, for both zeros and the ends of single precision."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    special = np.array([0, -0.0, np.finfo(np.float32).max, 1e-45, -1], np.float32)
    x[: len(special), 1] = special[:n]
    marks = _marked(x, None)
    assert marks.dtype == np.uint64
    for row in {*range(min(n, 20)), *range(max(n - 20, 0), n), *rng.integers(max(n, 1), size=9)}:
        if row < n:
            assert int(marks[row]) == _mark(x[row])


def test_marks_have_not_changed():
    """Numbers of the first version, which computed them in JAX."""
    x = np.array([[0.1, 2.0, -3.5], [0.0, -0.0, 1e30]], np.float32)
    assert _marked(x, None).tolist() == [3541341260116489324, 10719855829528853485]
