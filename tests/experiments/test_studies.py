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
from amplify.truth import ring as true_ring
from experiments import (
    coverage,
    differential,
    pools,
    ring,
    ring_pools,
    same_data,
    ttbar,
    ttbar_analysis,
    ttbar_truncated,
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


@pytest.mark.slow
def test_the_study_of_pools_runs_and_continues(tmp_path):
    path = ring_pools.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert list(study) == [f"d2-n300-{name}" for name in ("flows", "turned", "matched")]
    for case in study.values():
        assert len(case["distance"]) == len(case["sizes"]) == 2
        # Jensen: |mean| is at most the mean of |.|
        assert 0 < case["distance"][1] <= case["distance"][0] < 1
    assert study["d2-n300-flows"]["step"][0] in (10, 20)
    path.unlink()
    assert ring_pools.main("smoke", tmp_path).read_text() == first  # from the finished parts


def test_distances_and_integrals_of_pools():
    """Two members that lie by +-30 % on both halves of the events: each has D = .15, and their pool
    none. Errors of the shells follow.
    """
    truth, ratio = np.random.default_rng(0), np.log([1.3, 0.7])
    radius = truth.normal(4, 1, 40_000)
    half = np.arange(40_000) % 2
    members = np.stack([ratio[half], ratio[1 - half]])
    found = ring_pools._compared(members, np.abs(radius), 10, true_ring.Ring())
    np.testing.assert_allclose(found["distance"][:2], [0.15, 0], atol=1e-9)
    assert np.isnan(found["distance"][2:]).all()
    np.testing.assert_allclose(found["squares"][1], 0, atol=1e-12)
    tilted = np.log(np.where(np.abs(radius) > 4, 1.2, 0.8))[None]
    found = ring_pools._compared(tilted, np.abs(radius), 10, true_ring.Ring())
    np.testing.assert_allclose(found["squares"][0], 0.02**2, rtol=0.15)


def test_the_study_of_members_of_the_same_events_runs(tmp_path):
    rows = json.loads(same_data.main("smoke", tmp_path).read_text())["study"]["rows"]
    assert [row["spread"] for row in rows] == [1.0, 0.4, 0.1]
    assert all(row["by_holdout_10_error"] > 0 for row in rows)


@pytest.mark.slow
def test_the_study_of_members_and_pools_runs_and_continues(tmp_path):
    path = pools.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    for family in ("tuning", "mixtures", "flows"):
        candidates = study[family]["integrals"]["candidates"]
        assert {c["of"] for c in candidates} >= {"bootstrap pool", "same-data pool"}
        assert study[family]["distances"]["same_data"]["pool_of"][0] == 1
        assert 0 <= study[family]["distances"]["bracket"]["holds_typical_member"] <= 1
    assert len(study["toy"]) == 12 and len(study["learned"]) == 1
    path.unlink()
    assert pools.main("smoke", tmp_path).read_text() == first


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
def test_ttbar_truncated_runs_and_continues(tmp_path, monkeypatch):
    """Every event passes, and what is recorded says how many candidates did."""
    short = FitConfig(steps=40, batch=256, learning_rate=1e-2)
    classifier = MLPConfig(members=1, hidden=(16,), training=short)
    monkeypatch.setattr(ttbar_analysis, "CLASSIFIER", classifier)
    path = ttbar_truncated.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert 0.31 < study["efficiency_true"] < 0.35
    found = study["n500"]
    assert found["members_of_pool"] == found["bootstrap_members"] == 2
    for generator in ("plain", "member", "pool"):
        assert len(found[generator]["deviation"]) == len(study["regions"])
        assert set(found[generator]["groups"]) == set(study["places"])
        assert found[generator]["distance"] <= 1
    assert all(0 < share < 1 for share in found["member"]["efficiency"])
    path.unlink()
    assert ttbar_truncated.main("smoke", tmp_path).read_text() == first


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
        "transformer_jet": model(
            "transformer", chart="jet", heads=1, layers=1, single=True, truncated=True
        ),
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
    (tmp_path / "parts" / "spline-02.npz").unlink()
    (tmp_path / "results.json").unlink()
    again = json.loads(ttbar.run(config, tmp_path, None, "test").read_text())["study"]
    for results in (again, study):
        for timed in ("train_seconds", "sample_ms"):
            results["models"]["spline"].pop(timed)
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
