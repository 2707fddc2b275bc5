"""The study of many columns, made short; and its toys have the distances that they are said to
have.
"""

import json

import numpy as np
import pytest
from scipy.special import ndtr

from experiments import many_columns, showers


def test_log_normal_columns_are_as_far_apart_as_said():
    """Fisher's direction of their logarithms has the closed form's distance; 20 000 events measure
    it with an error of .005, and a deviation of four of these fails.
    """
    rng = np.random.default_rng(0)
    gen, true = (np.log(many_columns.lognormal(rng, 20_000, 20, shift)) for shift in (0.5, 0.0))
    apart = gen.mean(axis=0) - true.mean(axis=0)
    direction = np.linalg.solve((np.cov(gen.T) + np.cov(true.T)) / 2, apart)
    middle = (gen.mean(axis=0) + true.mean(axis=0)) @ direction / 2
    found = (gen @ direction > middle).mean() - (true @ direction > middle).mean()
    assert found == pytest.approx(2 * ndtr(0.25) - 1, abs=0.02)


def test_showers_have_the_response_and_the_depth_that_they_should():
    """Means of 4000 showers: errors of .002 and .003, and four of these are allowed."""
    change = showers.Change(response=0.05, depth=0.1)
    rng = np.random.default_rng(1)
    true, gen = (showers.showers(rng, 4000, showers.SMALL, c) for c in (showers.Change(), change))
    response = gen.sum(axis=1).mean() / true.sum(axis=1).mean()
    assert response == pytest.approx(1.05, abs=0.01)
    layer = np.repeat(np.arange(showers.SMALL.layers) + 0.5, 16)
    depth = [(x @ layer / x.sum(axis=1)).mean() for x in (true, gen)]
    assert depth[1] / depth[0] == pytest.approx(1.1, abs=0.03)
    assert true.dtype == np.float32 and 0.1 < (true == 0).mean() < 0.5


@pytest.mark.slow
def test_the_study_of_many_columns_runs_and_continues(tmp_path):
    path = many_columns.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert len(study["efficiency"]) == len(many_columns.PROBLEMS)
    assert set(study["claims"]) == set(many_columns.CASES)
    (cost,) = study["cost"]
    assert cost["gigabytes"] > 0.1 and cost["forecast_seconds"] > 1
    path.unlink()
    assert many_columns.main("smoke", tmp_path).read_text() == first
