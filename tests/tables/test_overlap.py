"""Is a holdout part of another file? Chance repeats of coarse or single-precision values are
none.
"""

import numpy as np
import pytest

from amplify.tables import files
from amplify.tables.overlap import overlap, repeated


def _selection(path, x, weight=None):
    np.save(path, x)
    return files.select(files.open_table(str(path)))


def _found(tmp_path, few, many):
    return overlap(_selection(tmp_path / "few.npy", few), _selection(tmp_path / "many.npy", many))


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
def test_independent_events_are_no_overlap(tmp_path, n_few, n_many, dim, digits):
    """Single precision, rounded, and integers: twelve pairs of independent samples each, none
    refused.
    """
    rng = np.random.default_rng(0)
    for _ in range(12):
        few, many = (
            np.round(rng.normal(size=(n, dim)), digits).astype(np.float32) for n in (n_few, n_many)
        )
        assert _found(tmp_path, few, many) == 0


@pytest.mark.parametrize(
    ("share", "dim", "digits"), [(1.0, 1, 9), (0.05, 3, 9), (0.05, 2, 9), (0.05, 3, 2), (0.5, 2, 2)]
)
def test_shared_events_are_found_in_any_order(tmp_path, share, dim, digits):
    rng = np.random.default_rng(1)
    few, many = (
        np.round(rng.normal(size=(n, dim)), digits).astype(np.float32) for n in (4000, 50_000)
    )
    shared = int(share * 4000)
    many[rng.choice(50_000, shared, replace=False)] = few[:shared]
    few[-1] = few[-2]  # one repeat by itself proves nothing
    found = _found(tmp_path, rng.permutation(few), rng.permutation(many))
    assert shared <= found < shared + 700  # chance matches of rounded values come on top
    assert _found(tmp_path, few.astype(np.float64), many) == found  # another precision


def test_repeats_within_a_sample(tmp_path):
    x = np.random.default_rng(2).normal(size=(100, 2))
    assert repeated(_selection(tmp_path / "a.npy", x)) == 0
    assert repeated(_selection(tmp_path / "b.npy", np.concatenate([x, x[:50]]))) == pytest.approx(
        100 / 150
    )
    assert repeated(
        _selection(tmp_path / "c.npy", np.array([[0.0], [-0.0], [1.0]]))
    ) == pytest.approx(2 / 3)
