"""Nearest neighbours against scikit-learn; lists that do not know the labels."""

import numpy as np
import pytest

from amplify.estimators.statistics import STATISTICS, pooled
from amplify.estimators.statistics.neighbours import nearest, nearest_in, same_neighbours
from amplify.estimators.statistics.shares import standardised


@pytest.mark.parametrize(("dim", "m"), [(2, 150), (12, 250)])
def test_share_is_that_of_counting(dim, m):
    of = pytest.importorskip("sklearn.neighbors").NearestNeighbors
    rng = np.random.default_rng(dim)
    pool = pooled(rng.normal(0.4, 1, (150, dim)), rng.normal(0, 1, (m, dim)))
    z = standardised(pool)
    near = of(n_neighbors=5).fit(z).kneighbors(return_distance=False)
    labels = np.stack([pool.difference, rng.permutation(pool.difference)])
    found = STATISTICS["neighbours"].prepare(pool, 0)(labels)
    is_x = labels > 0
    expected = [(label[near] == label[:, None]).mean() for label in is_x]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert same_neighbours(pool.x[:150], pool.x[150:]) == pytest.approx(expected[0], abs=1e-6)


def test_trees_and_blocks_list_the_same_events():
    x = np.random.default_rng(0).normal(size=(700, 8))
    wide = np.concatenate([x, np.zeros((700, 1))], axis=1)  # beyond the dimensions of a tree
    np.testing.assert_array_equal(nearest(x, 20), nearest(wide, 20))
    assert nearest(x[:4], 20).shape == (4, 3)


def test_equal_events_are_in_no_order():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        x, y = (rng.integers(0, 3, (100, 2)).astype(float) for _ in range(2))
        lists = nearest_in(pooled(x, y), 5)
        assert not (lists == np.arange(200)[:, None]).any()
        found.append([(lists < 100).mean(), same_neighbours(x, y)])
    # about 45 events are listed, so each share has an error of .075
    np.testing.assert_allclose(np.mean(found, axis=0), 0.5, atol=4 * 0.075 / np.sqrt(40))


def test_pairs_count_as_the_product_of_their_weights():
    rng = np.random.default_rng(2)
    x, y, weight = rng.normal(0.5, 1, (60, 2)), rng.normal(0, 1, (50, 2)), rng.uniform(0, 2, 60)
    pool = pooled(x, y, weight)
    near = nearest(standardised(pool), 5)
    w = np.concatenate([weight / weight.sum() * pool.n_gen, np.ones(50)])
    pairs = w[:, None] * w[near]
    alike = (near < 60) == (np.arange(110) < 60)[:, None]
    expected = (pairs * alike).sum() / pairs.sum()
    assert same_neighbours(x, y, weight) == pytest.approx(expected, abs=1e-6)


def test_labels_at_random_have_the_share_of_chance():
    rng = np.random.default_rng(3)
    pool = pooled(rng.normal(size=(100, 2)), rng.normal(size=(200, 2)))
    null = np.stack([rng.permutation(pool.difference) for _ in range(300)])
    found = STATISTICS["neighbours"].prepare(pool, 0)(null)
    chance = (100 * 99 + 200 * 199) / (300 * 299)
    assert found.mean() == pytest.approx(chance, abs=4 * found.std() / np.sqrt(300))
