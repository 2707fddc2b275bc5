"""The studies, made short: they run, and an interrupted one continues with what is missing."""

import json
from functools import partial
from itertools import product

import h5py
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.summaries.mlp import MLPConfig
from amplify.training.fit import FitConfig
from experiments import (
    coverage,
    differential,
    ring,
    same_data,
    ttbar,
    ttbar_analysis,
    ttbar_calibration,
)


@pytest.mark.slow
def test_ring_study_runs_and_continues(tmp_path):
    path = ring.main("smoke", tmp_path)
    first = path.read_text()
    case = json.loads(first)["study"]["d2-n500"]
    assert len(case["actual"]) == len(case["bootstrap"]) == len(case["regions"]) == 14
    path.unlink()
    assert ring.main("smoke", tmp_path).read_text() == first  # from the finished part


@pytest.mark.slow
def test_differential_study_runs_and_continues(tmp_path):
    path = differential.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    case = study["d2-n500"]
    assert case["regions"] == ["all", "3 <= r < 5", "r >= 6"]
    assert case["share"][0] == 1 and 0.6 < case["share"][1] < 0.75
    assert np.all(np.array(case["distances"])[:, 0] > 0.02)
    assert len(case["approach"]["mean"]) == len(case["sizes"])
    assert study["gaussian"]["n_equiv"] > 100
    path.unlink()
    assert differential.main("smoke", tmp_path).read_text() == first


def test_the_study_of_members_of_the_same_events_runs(tmp_path):
    rows = json.loads(same_data.main("smoke", tmp_path).read_text())["study"]["rows"]
    assert [row["spread"] for row in rows] == [1.0, 0.4, 0.1]
    assert all(row["by_holdout_10_error"] > 0 for row in rows)


@pytest.mark.slow
def test_coverage_study_runs_and_continues(tmp_path):
    path = coverage.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert study["truth"]["ring"]["n_equiv"] == pytest.approx(398.2, rel=0.01)
    exact = {(row["method"], row["level"]) for row in study["exact"]}
    assert exact == set(product(("threshold", "ks"), (0.68, 0.9)))
    assert {row["toy"] for row in study["learned"]} == {"ring", "shell", "blob", "missing"}
    assert len(study["null"]) == 6
    path.unlink()
    assert coverage.main("smoke", tmp_path).read_text() == first


@pytest.mark.slow
def test_ttbar_calibration_runs(tmp_path):
    results = json.loads(ttbar_calibration.main("smoke", tmp_path).read_text())
    study = results["study"]
    assert len(study["regions"]) == 22 and study["generated_events_cut"] is False
    np.testing.assert_allclose(study["truth"][:20], 0.1, atol=1e-3)
    for name in ("actual", "bias", "variance", "bootstrap", "same_data"):
        assert len(study[name]["value"]) == 22
    total = np.add(study["bias"]["value"], study["variance"]["value"])
    np.testing.assert_allclose(total, study["actual"]["value"])
    assert [e["region"] for e in results["estimates"]] == study["regions"]


@pytest.mark.slow
def test_ttbar_study_runs_and_resumes(tmp_path, monkeypatch):
    """A spline flow and a transformer of a handful of weights; the other networks have tests of
    their own and take long to compile.
    """
    short = FitConfig(steps=40, batch=256, learning_rate=1e-2)
    classifier = MLPConfig(members=1, hidden=(16,), training=short)
    monkeypatch.setattr(ttbar_analysis, "CLASSIFIER", classifier)
    model = partial(ttbar.Model, width=8, training=FitConfig(5, 32, 2e-3))
    models = {
        "spline": model("spline", layers=2),
        "transformer": model("transformer", heads=1, layers=1),
        "transformer_jet": model("transformer", chart="jet", heads=1, layers=1, single=True),
    }
    config = ttbar.Config(
        n_truth=3000,
        n_train=300,
        sets=2,
        reserved=700,
        bootstrap_members=2,
        n_gen=600,
        n_holdout=2000,
        solver_steps=1,
        models=models,
    )
    first = ttbar.run(config, tmp_path, None, "test").read_text()
    study = json.loads(first)["study"]
    assert list(study["models"]) == list(models) and len(study["regions"]) == 36
    np.testing.assert_allclose(np.array(study["truth"]).reshape(3, 12)[:, :10], 0.1, atol=1e-3)
    of_training_set = study["ks_of_training_set"]
    for name, model in study["models"].items():
        assert 0 < model["passing"] < 1 and model["parameters"] > 100
        for cut in ("all", "cut"):
            distances = model[cut]["ks"]
            assert set(distances) == set(of_training_set)
            assert max(distances.values()) > max(of_training_set.values())
            assert ("averaging" in model[cut]) == (name != "transformer_jet")
        limits = model["differential"]["after cuts, holdout"]
        assert limits["all"]["status"] in ("upper_limit", "unresolved") and len(limits) == 7
    # untrained networks are far off, and the spread of their members knows nothing of it
    tail = study["models"]["spline"]["all"]["averaging"]["groups"]["m_tt, all"]
    assert tail["actual"] < 1
    (tmp_path / "parts" / "transformer-02.npz").unlink()
    (tmp_path / "results.json").unlink()
    again = json.loads(ttbar.run(config, tmp_path, None, "test").read_text())["study"]
    for results in (again, study):
        for timed in ("train_seconds", "sample_ms"):
            results["models"]["transformer"].pop(timed)
    assert again == study
    with pytest.raises(InputError, match=r"config\.json of another"):
        ttbar.run(ttbar.Config(), tmp_path, None, "test")
    with pytest.raises(InputError, match=r"at least 5700 events, got 3"):
        (tmp_path / "b").mkdir()
        _three_events(tmp_path / "b" / "three.h5")
        ttbar.run(config, tmp_path / "b", tmp_path / "b" / "three.h5", "test")


def _three_events(path):
    p_t, eta = np.full((3, 6), 50.0), np.tile(np.arange(6) - 2.5, (3, 1))
    with h5py.File(path, "w") as file:
        file["momenta"] = np.stack([p_t * np.cosh(eta), p_t, 0 * p_t, p_t * np.sinh(eta)], axis=-1)
