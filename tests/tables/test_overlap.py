"""Is a holdout part of another file? Chance repeats of coarse or single-precision values are
none.
"""

import numpy as np
import pytest

from amplify.tables import files, memory
from amplify.tables.marks import marks_of
from amplify.tables.overlap import marks_in_common, overlap, repeated


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
    assert repeated(_selection([[0.0], [-0.0], [1.0], [0.3], [2.4]])) == pytest.approx(2 / 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1.7e9])
def test_values_that_recur_by_nature_are_no_copies(dtype, offset):
    """Integers, tenths, a pile of zeros, single precision far from zero; but continuous values that
    recur are copies, also beside integers and far from zero.
    """
    rng = np.random.default_rng(3)
    n = 20_000
    x = rng.normal(0, 20, (n, 1))
    piled = np.where(rng.random((n, 1)) < 0.3, 0, x)
    for by_nature in (rng.poisson(4, (n, 2)), np.round(x, 1), np.round(x / 0.25) * 0.25, piled):
        assert repeated(_selection((by_nature + offset).astype(dtype))) < 0.001
    copied = np.concatenate([x, x[: n // 10]]) + offset
    share = repeated(_selection(copied.astype(dtype)))
    resolved = dtype == np.float64 or offset == 0
    assert share == pytest.approx(2 / 11 if resolved else 0, abs=0.002)
    beside = np.column_stack([copied, np.resize(rng.poisson(4, n), len(copied))])
    assert repeated(_selection(beside)) == pytest.approx(2 / 11)


def test_offsets_are_no_overlap():
    """Single precision has one number for all of these; in double they differ."""
    rng = np.random.default_rng(4)
    few, many = (1.7e9 + rng.normal(0, 20, (n, 1)) for n in (4000, 50_000))
    assert _overlap(few, many) == 0
    many[:200] = few[:200]
    assert _overlap(few, many) == 200
    assert _overlap(few, many.astype(np.float32)) == 0  # nobody can tell


def test_events_that_went_through_single_precision_are_found():
    rng = np.random.default_rng(5)
    few, many = (rng.normal(size=(n, 2)) for n in (4000, 50_000))
    many[:400] = few[:400]
    assert _overlap(few, many.astype(np.float32).astype(np.float64)) == 400


def test_copies_of_true_events_are_found_though_they_repeat():
    """Ten generated events for each true one repeat as often as they are true ones."""
    rng = np.random.default_rng(6)
    true = rng.normal(size=(500, 2))
    few, many = (marks_of(x, (False, False)) for x in (np.repeat(true, 10, axis=0), true))
    assert marks_in_common(few, many, true=True) == 5000
    integers = rng.poisson(4, (500, 2)).astype(float)
    others = rng.poisson(4, (5000, 2)).astype(float)
    few, many = (marks_of(x, (False, False)) for x in (others, integers))
    assert marks_in_common(few, many, true=True) == 0


def _mark(event, single):
    """The mark of one event in integers of any size."""
    bits = [
        int(np.array(value + 0.0, "f4" if is_single else "f8").view("u4" if is_single else "u8"))
        for value, is_single in zip(event, single, strict=True)
    ]
    shorts = [b for b, is_single in zip(bits, single, strict=True) if is_single]
    words = [low + (high << 32) for low, high in zip(shorts[::2], [*shorts[1::2], 0], strict=False)]
    words += [b for b, is_single in zip(bits, single, strict=True) if not is_single]
    mark, modulus = 0, 1 << 64
    for word in words:
        mark = (mark ^ word) * 0x9E3779B97F4A7C15 % modulus
        mark ^= mark >> 32
    mark = mark * 0xBF58476D1CE4E5B9 % modulus
    return (mark ^ mark >> 27) * 0x94D049BB133111EB % modulus


@pytest.mark.parametrize("n", [0, 1, 300, (1 << 15) + 7])
@pytest.mark.parametrize("single", [(True, True, True), (False, True, True), (False, False, True)])
def test_marks_are_those_of_integers_of_any_size(n, single):
    """Across the ends of blocks, for both zeros and the ends of single precision."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    special = np.array([0, -0.0, np.finfo(np.float32).max, 1e-45, -1], np.float32)
    x[: len(special), 1] = special[:n]
    marks = marks_of(x.astype(np.float64), single)
    assert marks.dtype == np.uint64
    for row in {*range(min(n, 20)), *range(max(n - 20, 0), n), *rng.integers(max(n, 1), size=9)}:
        if row < n:
            assert int(marks[row]) == _mark(x[row], single)


def test_different_events_have_different_marks():
    """Of a grid of small numbers, and of a column alone, whose bits are much alike."""
    grid = np.stack(np.meshgrid(*[np.arange(40.0)] * 3), axis=-1).reshape(-1, 3)
    for columns in (1, 2, 3):
        x = np.unique(grid[:, :columns], axis=0)
        for single in (True, False):
            assert len(np.unique(marks_of(x, [single] * columns))) == len(x)
