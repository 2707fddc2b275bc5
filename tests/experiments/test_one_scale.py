"""The study of equivalent true events in every statistic runs, and knows its truth."""

import json

import numpy as np
import pytest

from experiments import one_scale
from experiments.one_scale_truth import deformed, truth_of
from experiments.problems import PROBLEMS


def test_study_runs(tmp_path):
    path = one_scale.main("smoke", tmp_path)
    study = json.loads(path.read_text())["study"]
    assert set(study) == {"size", "pairs", "coverage"}
    assert len(study["size"]["unweighted"]["mean_ks"]) == 3
    assert set(study["coverage"]["together"]) == {
        f"{name} {strength}"
        for strength in ("seen", "hidden")
        for name in ("mean_ks", "quartic_mmd")
    }
    assert set(study["coverage"]) - {"together"} == {
        f"mixture-{strength}-{name}"
        for strength in ("seen", "hidden")
        for name in ("mean_ks", "quartic_mmd")
    }
    assert 0 <= study["pairs"]["mean_ks none"]["rates"][0] <= 1


def test_truth_is_that_of_a_gaussian():
    # one column, shifted by .2 and 1.1 times as wide: the means alone give the Wasserstein distance
    # between their quantiles, E |.2 + .1 z|, in units of the pooled standard deviation
    config = one_scale.PRESETS["smoke"]
    rng = np.random.default_rng(0)
    x = deformed(PROBLEMS["gaussian"], "seen", rng, 20_000)
    assert x.mean() == pytest.approx(0.2, abs=0.04)
    assert x.std() == pytest.approx(1.1, abs=0.04)
    true = truth_of(config, "gaussian", "seen", "mean_wasserstein")
    z = rng.normal(size=100_000)
    width = np.sqrt((1 + 1.1**2) / 2 + 0.1**2)
    assert true["distance"] == pytest.approx(np.abs(0.2 + 0.1 * z).mean() / width, rel=0.1)
