"""Combined p-values: against their definitions, of the size they state, and worth having."""

import numpy as np
import pytest
from scipy.stats import combine_pvalues

from amplify.errors import InputError
from amplify.estimators.combined import COMBINATIONS, combined, combined_p
from amplify.estimators.permutations import permute
from amplify.estimators.statistics.columns import MAX_KS, MEAN_KS


def test_combinations_order_like_those_of_scipy():
    rng = np.random.default_rng(0)
    p = (rng.permuted(np.tile(np.arange(200), (3, 1)), axis=1) + 0.5) / 200
    for name, method in {"minimum": "tippett", "geometric": "fisher"}.items():
        expected = np.array([combine_pvalues(column, method=method)[1] for column in p.T])
        assert (np.diff(expected[np.argsort(COMBINATIONS[name](p))]) >= -1e-12).all()
    np.testing.assert_allclose(COMBINATIONS["harmonic"](p), -(1 / p).sum(0) / 3)
    np.testing.assert_allclose(COMBINATIONS["cauchy"](p), -np.tan(np.pi * (0.5 - p)).mean(0))


def test_equal_minima_do_not_make_each_other_less_significant():
    # of twenty statistics each has one assignment of rank one: the observed one is first here
    values = np.random.default_rng(0).normal(size=(20, 100))
    values[:5, 0] = 10.0
    assert combined_p(values)["minimum"] == 0.01


def test_one_statistic_keeps_its_p_value():
    rng = np.random.default_rng(0)
    nulls = permute([MEAN_KS], *rng.normal(size=(2, 30, 1)), permutations=199)
    for found in combined(nulls).values():
        assert found.p == pytest.approx(nulls["mean_ks"].p)
        assert found.z == pytest.approx(nulls["mean_ks"].z)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_size_is_exact_whatever_the_correlation(correlation):
    # 400 experiments: 20 +- 4.4 at .05; 5 standard deviations for each of five combinations
    rng = np.random.default_rng(3)
    p = {name: [] for name in COMBINATIONS}
    common = np.sqrt(correlation) * rng.normal(size=(400, 1, 40))
    values = common + np.sqrt(1 - correlation) * rng.normal(size=(400, 3, 40))
    for experiment in values:
        for name, value in combined_p(experiment).items():
            p[name].append(value)
    for values in p.values():
        assert abs((np.array(values) <= 0.05).sum() - 20) < 20


def test_a_difference_that_one_of_many_sees_is_found_by_the_minimum():
    # 199 permutations: the observed one is first in one statistic, somewhere in the other nine
    values = np.random.default_rng(0).normal(size=(10, 200))
    values[4, 0] = 10.0
    found = combined_p(values)
    # ten looks: 1 - .995^10 = .049 if they are independent, within 4 standard deviations
    assert found["minimum"] < 0.11
    assert found["arithmetic"] > 0.2
    values[:, 0] = 1.3  # each of them sees a little
    found = combined_p(values)
    assert max(found["arithmetic"], found["geometric"]) <= 0.01
    assert found["minimum"] > 0.2


def test_permutations_must_be_the_same():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(2, 30, 1))
    one = permute([MEAN_KS], *samples, permutations=9)
    others = [
        permute([MAX_KS], *samples, permutations=8),
        permute([MAX_KS], *samples, permutations=9, seed=1),
        permute([MAX_KS._replace(most=20)], *samples, permutations=9),
    ]
    for other in others:
        with pytest.raises(InputError, match="the same permutations"):
            combined(one | other)
    few = MAX_KS._replace(most=20)
    combined(permute([MEAN_KS, few], *samples, permutations=9))
    with pytest.raises(InputError, match="at least one"):
        combined({})
