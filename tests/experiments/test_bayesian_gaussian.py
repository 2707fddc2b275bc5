"""The study of small generators, made short: it runs, and continues with what is missing."""

import json

import numpy as np
import pytest

from experiments import bayesian_gaussian


@pytest.mark.slow
def test_the_study_of_small_generators_runs_and_continues(tmp_path):
    path = bayesian_gaussian.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert list(study) == ["gaussian"]
    for case in study.values():
        assert len(case["regions"]) == len(case["truth"]) == len(case["actual"]) == 11
        np.testing.assert_allclose(case["nuts"]["over_nuts_in_regions"], 1.0)
        for method in bayesian_gaussian.METHODS:
            assert np.isfinite(case[method]["sigma_model"]).all()
            assert len(case[method]["cpu_seconds"]) == case["sets"]
    # two data sets, 40 draws: within a factor of two
    pooled = study["gaussian"]["nuts_over_closed_form_at_fit"]["pooled"]["value"]
    assert 0.4 < pooled < 2.5
    parts = sorted((tmp_path / "parts").glob("*.npz"))
    assert len(parts) == 2 * 5
    path.unlink()
    parts[0].unlink()
    assert bayesian_gaussian.main("smoke", tmp_path).exists()
    again = json.loads(path.read_text())["study"]
    assert again["gaussian"]["nuts"]["sigma_model"] == study["gaussian"]["nuts"]["sigma_model"]
    assert again["gaussian"]["actual"] == study["gaussian"]["actual"]
