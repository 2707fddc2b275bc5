"""Precision, recall, density and coverage against their definitions, written with scikit-learn."""

import numpy as np
import pytest

from amplify.estimators.statistics import STATISTICS, pooled
from amplify.estimators.statistics.prdc import prdc
from amplify.estimators.statistics.shares import standardised

NAMES = ("precision", "recall", "density", "coverage")


def _defined(x, y, k=5):
    """arXiv:2002.09797, section 3."""
    of = pytest.importorskip("sklearn.neighbors").NearestNeighbors
    radius_x, radius_y = (of(n_neighbors=k + 1).fit(s).kneighbors(s)[0][:, k] for s in (x, y))
    apart = np.sqrt(((x[:, None] - y[None]) ** 2).sum(axis=2))
    in_y = apart < radius_y
    return [
        in_y.any(axis=1).mean(),
        (apart < radius_x[:, None]).any(axis=0).mean(),
        in_y.sum(axis=1).mean() / k,
        (apart.min(axis=0) < radius_y).mean(),
    ]


@pytest.mark.parametrize("dim", [1, 3, 12])
def test_both_ways_follow_the_definition(dim):
    rng = np.random.default_rng(dim)
    pool = pooled(rng.normal(0.5, 1, (300, dim)), rng.normal(0, 1.2, (300, dim)))
    relabelled = np.stack([pool.difference, *(rng.permutation(pool.difference) for _ in range(70))])
    prepared = [STATISTICS[name].prepare(pool, 0)(relabelled) for name in NAMES]
    z = standardised(pool)
    for k in (0, 1, 69):  # in the first word, and in the next
        x, y = z[relabelled[k] > 0], z[relabelled[k] < 0]
        expected = _defined(x, y)
        np.testing.assert_allclose([values[k] for values in prepared], expected, atol=1e-9)
    np.testing.assert_allclose(prdc(pool.x[:300], pool.x[300:]), _defined(z[:300], z[300:]))


def test_samples_of_other_sizes_and_weights_are_made_alike():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (900, 2)), rng.normal(0, 1, (300, 2))
    found = prdc(x, y)
    assert found.density == pytest.approx(1, abs=0.25)
    pool = pooled(x, y)
    assert STATISTICS["recall"].prepare(pool, 0)(pool.difference[None])[0] == found.recall
    # weights of zero and one are events that are there or not
    weight = np.repeat([1.0, 0.0], [300, 600])
    np.testing.assert_allclose(prdc(x, y, weight), prdc(x[:300], y), atol=1e-12)


def test_a_lost_mode_and_an_invented_one_are_told_apart():
    rng = np.random.default_rng(1)
    two = rng.normal(0, 1, (400, 2)) + np.where(rng.random(400) < 0.5, 0, 20)[:, None]
    one = rng.normal(0, 1, (400, 2))
    lost, invented = prdc(one, two), prdc(two, one)
    assert lost.precision > 0.9
    assert lost.recall < 0.6
    assert lost.coverage < 0.6
    assert invented.recall > 0.9
    assert invented.precision < 0.6
    assert invented.density < lost.density


def test_a_difference_on_a_scale_changes_all_of_them_steadily():
    rng = np.random.default_rng(2)
    pool = pooled(rng.normal(0, 0.6, (500, 3)), rng.normal(0, 1, (500, 3)))
    null = np.stack([rng.permutation(pool.difference) for _ in range(64)])
    for name, sign in zip(NAMES, (1, -1, 1, -1), strict=True):
        of = STATISTICS[name].prepare(pool, 0)
        means = [of(scale * pool.difference + null).mean() for scale in (0.0, 0.5, 1.0, 1.4)]
        assert (sign * np.diff(means) > 0).all(), name
        assert means[2] == pytest.approx(of(pool.difference[None])[0], abs=0.06)


def test_numbers_are_those_of_the_authors_package():
    package = pytest.importorskip("prdc")  # pip install prdc
    rng = np.random.default_rng(4)
    x, y = rng.normal(0.3, 0.9, (800, 10)), rng.normal(0, 1, (800, 10))
    z = standardised(pooled(x, y))
    found = package.compute_prdc(real_features=z[800:], fake_features=z[:800], nearest_k=5)
    assert prdc(x, y)._asdict() == pytest.approx(found)
