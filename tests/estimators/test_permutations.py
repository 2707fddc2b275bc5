"""Permutations: exact ranks, one set for all statistics, the same bits in any portions."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import permutation_test

from amplify.engine import using
from amplify.errors import InputError
from amplify.estimators import differences
from amplify.estimators.differences import of_labels, parts
from amplify.estimators.kolmogorov import ks_distance
from amplify.estimators.permutations import permute, ranked, significance
from amplify.estimators.statistics import Statistic
from amplify.estimators.statistics.columns import MAX_KS, MEAN_KS
from tests.elsewhere import elsewhere


def _mean_prepared(pool, seed):
    return lambda difference: difference @ pool.x[:, 0]


MEAN = Statistic("mean", "difference of means", 1, _mean_prepared, signed=True)
SQUARE = Statistic("square", "its square", 2, lambda pool, seed: lambda d: (d @ pool.x[:, 0]) ** 2)


@pytest.fixture(name="samples")
def _samples():
    rng = np.random.default_rng(1)
    return rng.normal(0.4, 1, (40, 2)), rng.normal(0, 1, (30, 2))


def test_p_value_is_that_of_scipy(samples):
    x, y = samples
    found = permute([SQUARE], x, y, permutations=4000)["square"]

    def square(a, b, axis):
        return (a.mean(axis=axis) - b.mean(axis=axis)) ** 2

    rng = np.random.default_rng(0)
    theirs = permutation_test(
        (x[:, 0], y[:, 0]),
        square,
        vectorized=True,
        n_resamples=4000,
        rng=rng,
        alternative="greater",
    )
    # both are drawn: 5 standard deviations of their difference
    assert abs(found.p - theirs.pvalue) < 5 * np.sqrt(2 * found.p * (1 - found.p) / 4000)
    assert found.observed == pytest.approx(theirs.statistic)


def test_relabelled_samples_are_drawn_alike():
    x, y = np.zeros((3, 1)), np.zeros((2, 1))
    part = parts(x, y, None, None, {10}, 0)[10]
    found, counts = np.unique(part.relabelled(0, 5000) > 0, axis=0, return_counts=True)
    assert {tuple(np.flatnonzero(row)) for row in found} == set(combinations(range(5), 3))
    # chi^2 of ten possibilities has nine degrees of freedom: above 33.7 in 1e-4 of all seeds
    assert ((counts - 500) ** 2 / 500).sum() < 33.7


def test_observed_ks_and_its_null_are_those_of_one_column(samples):
    x, y = samples
    null = permute([MAX_KS], x, y, permutations=1)["max_ks"]
    assert null.observed == pytest.approx(max(ks_distance(x[:, k], y[:, k]) for k in range(2)))
    labels = null.part.relabelled(0, 1)[0] > 0
    pooled = np.concatenate([x, y])
    first, second = pooled[labels], pooled[~labels]
    expected = max(ks_distance(first[:, k], second[:, k]) for k in range(2))
    assert null.permuted[0] == pytest.approx(expected)
    assert null.p in (0.5, 1.0)


def test_portions_change_nothing(samples, monkeypatch):
    whole = permute([MEAN_KS, MEAN], *samples, permutations=50, seed=3)
    again = permute([MEAN_KS, MEAN], *samples, permutations=50, seed=3)
    np.testing.assert_array_equal(again["mean_ks"].permuted, whole["mean_ks"].permuted)
    monkeypatch.setattr(differences, "_BYTES", 8 * 70 * 7)
    pieces = permute([MEAN_KS, MEAN], *samples, permutations=50, seed=3)
    fewer = permute([MEAN], *samples, permutations=20, seed=3)
    for name, null in whole.items():
        np.testing.assert_allclose(null.permuted, pieces[name].permuted, rtol=1e-12)
    np.testing.assert_allclose(fewer["mean"].permuted, whole["mean"].permuted[:20], rtol=1e-12)
    other = permute([MEAN], *samples, permutations=20, seed=4)
    assert not np.array_equal(other["mean"].permuted, fewer["mean"].permuted)


def test_statistics_are_tasks_of_an_engine_with_the_same_bits(samples):
    here = permute([MEAN_KS, SQUARE], *samples, permutations=30, seed=3)
    with using(elsewhere()):
        there = permute([MEAN_KS, SQUARE], *samples, permutations=30, seed=3)
    for name, null in here.items():
        assert there[name].observed == null.observed
        np.testing.assert_array_equal(there[name].permuted, null.permuted)


def test_signed_statistic_is_two_sided():
    rng = np.random.default_rng(0)
    x, y = rng.normal(-1, 1, (50, 1)), rng.normal(0, 1, (50, 1))
    null = permute([MEAN], x, y, permutations=99)["mean"]
    assert null.observed < 0
    assert null.p == 0.01
    assert null.z == pytest.approx(2.3263, abs=1e-4)
    # the mean over all assignments, the observed one included
    assert null.centre == pytest.approx(np.mean([null.observed, *null.permuted]))


def test_equal_values_count_as_equal_whatever_their_rounding():
    # one in ten: no assignment of labels tells two equal samples apart
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 2, (30, 1)).astype(float) * 0.1 for _ in range(2))
    null = permute([MEAN_KS], x, y, permutations=200)["mean_ks"]
    exact = np.round(np.concatenate([[null.observed], null.permuted]) * 30)
    assert null.p == pytest.approx((exact >= exact[0]).mean())
    values = np.array([0.3, 0.1 + 0.2, 0.3 - 1e-9, 0.2, 0.4])
    np.testing.assert_allclose(ranked(values), [0.8, 0.8, 0.8, 1.0, 0.2])


def test_p_value_has_the_size_it_states():
    # 200 experiments: 10 +- 3.1 at .05; above 23 in 1e-4 of all seeds
    rng = np.random.default_rng(2)
    p = []
    for seed in range(200):
        x, y = rng.normal(size=(12, 1)), rng.normal(size=(15, 1))
        p.append(permute([MEAN], x, y, permutations=19, seed=seed)["mean"].p)
    assert 1 <= (np.array(p) <= 0.05).sum() <= 23


def test_weight_means_repeated_events():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 1)), rng.normal(size=(40, 1))
    null = permute([MEAN_KS], x, y, weight_gen=np.full(30, 2.0), permutations=20)["mean_ks"]
    plain = permute([MEAN_KS], x, y, permutations=20)["mean_ks"]
    np.testing.assert_allclose(null.permuted, plain.permuted)
    assert null.pool.n_gen == pytest.approx(30)


def test_weighted_noise_is_that_of_effective_events():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 1)), rng.normal(size=(1000, 1))
    weight = rng.exponential(size=2000)  # worth half as many
    null = permute([SQUARE], x, y, weight_gen=weight, permutations=2000)["square"]
    assert null.pool.n_gen == pytest.approx(1000, rel=0.1)
    # a mean of squares: 5 standard deviations
    expected = np.concatenate([x, y]).var() / null.pool.n
    assert null.permuted.mean() == pytest.approx(expected, rel=5 * np.sqrt(2 / 2000))


def test_statistics_see_parts_and_stay_exact():
    # the part of a costly statistic is in that of a cheap one, and labels are exchanged in shells
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 1)), rng.normal(size=(100, 1))
    few = SQUARE._replace(name="few", most=60)
    nulls = permute([few, SQUARE], x, y, permutations=2000)
    part, whole = nulls["few"].part, nulls["square"].part
    assert (part.pool.n_gen, part.pool.n_holdout) == (60, 60)
    assert np.isin(part.pool.x, whole.pool.x).all()
    assert part.n == pytest.approx(30)
    labels = whole.relabelled(0, 10) > 0
    small, large = whole.shells
    assert (labels[:, small.rows].sum(axis=1) == 60).all()
    assert (labels[:, large.rows].sum(axis=1) == 240).all()
    assert len(small.rows) + len(large.rows) == 400
    # less noise than of whole samples, and as much as is said
    assert whole.n > whole.pool.n
    expected = np.concatenate([x, y]).var() / whole.n
    assert nulls["square"].permuted.mean() == pytest.approx(expected, rel=0.15)
    # the same relabellings: what both see is related
    correlation = np.corrcoef(nulls["few"].permuted, nulls["square"].permuted)[0, 1]
    assert correlation > 0.1
    again = permute([few], x, y, permutations=50)["few"]
    np.testing.assert_allclose(again.permuted, nulls["few"].permuted[:50])


def test_labels_make_measures():
    weight = np.array([0.1, 0.2, 0.3, 0.4])
    found = of_labels(weight, np.array([[True, False, False, True]]))
    np.testing.assert_allclose(found, [[0.2, -0.4, -0.6, 0.8]])


def test_significance():
    assert significance(0.5) == pytest.approx(0)
    assert significance(2.866516e-7) == pytest.approx(5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generated": np.zeros(20)}, "a table of numbers"),
        ({"generated": np.full((20, 2), np.nan)}, "20 with values that are not"),
        ({"generated": np.zeros((20, 3))}, "3 and 2"),
        ({"generated": np.zeros((9, 2))}, "at least 10"),
        ({"weight_gen": np.ones(19)}, "20 finite numbers"),
        ({"weight_holdout": np.r_[np.ones(19), np.inf]}, "20 finite numbers"),
        ({"weight_gen": -np.ones(20)}, "at least 10"),
        ({"permutations": 0}, "at least one"),
    ],
)
def test_bad_input_is_one_line(change, said):
    good = {"generated": np.zeros((20, 2)), "holdout": np.ones((20, 2))}
    with pytest.raises(InputError, match=said) as error:
        permute([MEAN_KS], **(good | change))
    assert "\n" not in str(error.value)


def test_statistics_of_other_calls_may_share_the_permutations(samples):
    few = SQUARE._replace(name="few", most=20)
    together = permute([SQUARE, few], *samples, permutations=9)
    alone = permute([SQUARE], *samples, permutations=9, sizes={few.most})["square"]
    np.testing.assert_array_equal(alone.permuted, together["square"].permuted)
    assert (permute([SQUARE], *samples, permutations=9)["square"].permuted != alone.permuted).any()
