"""The long ways, made short: demonstration, studies, and the code of the README."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from amplify.commands.demo import DemoSettings, demo
from amplify.errors import InputError
from amplify.summaries.mlp import MLPConfig
from amplify.training.fit import FitConfig
from experiments import coverage, differential, ring, ttbar, ttbar_analysis, ttbar_calibration

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_demo_writes_estimate_and_truth(tmp_path, capsys):
    demo(
        tmp_path,
        0,
        "-",
        DemoSettings(n_train=200, members=4, independent=3, n_gen=2048, steps=20, shells=5),
    )
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert (
        results["command"] == "amplify demo"
        and [e["method"] for e in results["estimates"]] == ["averaging"] * 6 + ["differential"] * 2
    )
    np.testing.assert_allclose(results["truth"]["integral"][:5], 0.2, atol=1e-6)
    assert (
        len(results["truth"]["actual_amplification"])
        == len(results["truth"]["actual_distance"])
        == 8
    )
    low, high = results["estimates"][6]["n_equiv_interval"]
    assert (
        low / 3 < 200 * results["truth"]["actual_amplification"][6] < 3 * high
        and results["estimates"][7]["status"] == "upper_limit"
    )
    assert "estimated over actual" in captured.err and (tmp_path / "report.html").exists()


def test_same_seed_same_results(tmp_path):
    settings = DemoSettings(n_train=100, members=2, independent=2, n_gen=1024, steps=10, shells=3)
    texts = []
    for name in "ab":
        demo(tmp_path / name, 3, None, settings)
        texts.append((tmp_path / name / "results.json").read_text())
    assert texts[0] == texts[1]


def test_ring_study_runs_and_continues(tmp_path):
    path = ring.main("smoke", tmp_path)
    first = path.read_text()
    case = json.loads(first)["study"]["d2-n500"]
    assert len(case["actual"]) == len(case["bootstrap"]) == len(case["regions"]) == 14
    path.unlink()
    assert ring.main("smoke", tmp_path).read_text() == first  # from the finished part


def test_differential_study_runs_and_continues(tmp_path):
    path = differential.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    case = study["d2-n500"]
    assert (
        case["regions"] == ["all", "3 <= r < 5", "r >= 6"]
        and case["share"][0] == 1
        and 0.6 < case["share"][1] < 0.75
    )
    assert np.all(np.array(case["distances"])[:, 0] > 0.02) and len(
        case["approach"]["mean"]
    ) == len(case["sizes"])
    assert study["gaussian"]["n_equiv"] > 100
    path.unlink()
    assert differential.main("smoke", tmp_path).read_text() == first


def test_coverage_study_runs_and_continues(tmp_path):
    path = coverage.main("smoke", tmp_path)
    first = path.read_text()
    study = json.loads(first)["study"]
    assert study["truth"]["ring"]["n_equiv"] == pytest.approx(398.2, rel=0.01)
    assert {(row["method"], row["level"]) for row in study["exact"]} == {
        ("threshold", 0.68),
        ("threshold", 0.9),
        ("ks", 0.68),
        ("ks", 0.9),
    }
    assert {row["toy"] for row in study["learned"]} == {"ring", "shell", "blob", "missing"} and len(
        study["null"]
    ) == 6
    path.unlink()
    assert coverage.main("smoke", tmp_path).read_text() == first


def test_ttbar_calibration_runs(tmp_path):
    results = json.loads(ttbar_calibration.main("smoke", tmp_path).read_text())
    study = results["study"]
    assert len(study["regions"]) == 22 and study["generated_events_cut"] is False
    np.testing.assert_allclose(study["truth"][:20], 0.1, atol=1e-3)
    for name in ("actual", "bias", "variance", "bootstrap", "same_data"):
        assert len(study[name]["value"]) == 22
    np.testing.assert_allclose(
        np.add(study["bias"]["value"], study["variance"]["value"]), study["actual"]["value"]
    )
    assert [e["region"] for e in results["estimates"]] == study["regions"]


def test_ttbar_study_runs_and_resumes(tmp_path, monkeypatch):
    """A spline flow and a transformer of a handful of weights; the other networks have tests of
    their own and take long to compile.
    """
    tiny = FitConfig(5, 32, 2e-3)
    monkeypatch.setattr(
        ttbar_analysis,
        "CLASSIFIER",
        MLPConfig(
            members=1, hidden=(16,), training=FitConfig(steps=40, batch=256, learning_rate=1e-2)
        ),
    )
    models = {
        "spline": ttbar.Model("spline", width=8, layers=2, training=tiny),
        "transformer": ttbar.Model("transformer", width=8, heads=1, layers=1, training=tiny),
        "transformer_jet": ttbar.Model(
            "transformer", chart="jet", width=8, heads=1, layers=1, single=True, training=tiny
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
    for name, model in study["models"].items():
        assert 0 < model["passing"] < 1 and model["parameters"] > 100
        for cut in ("all", "cut"):
            assert set(model[cut]["ks"]) == set(study["ks_of_training_set"]) and max(
                model[cut]["ks"].values()
            ) > max(study["ks_of_training_set"].values())
            assert ("averaging" in model[cut]) == (name != "transformer_jet")
        limits = model["differential"]["after cuts, holdout"]
        assert limits["all"]["status"] in ("upper_limit", "unresolved") and len(limits) == 7
    # untrained networks are far off, and the spread of their members knows nothing of it
    tail = study["models"]["spline"]["all"]["averaging"]["groups"]["m_tt, all"]
    assert tail["actual"] < 1
    (tmp_path / "parts" / "transformer-02.npz").unlink()
    (tmp_path / "results.json").unlink()
    again = json.loads(ttbar.run(config, tmp_path, None, "test").read_text())["study"]
    for timed in ("train_seconds", "sample_ms"):
        again["models"]["transformer"].pop(timed), study["models"]["transformer"].pop(timed)
    assert again == study
    with pytest.raises(InputError, match=r"config\.json of another"):
        ttbar.run(ttbar.Config(), tmp_path, None, "test")
    with pytest.raises(InputError, match=r"at least 5700 events, got 3"):
        (tmp_path / "b").mkdir()
        _three_events(tmp_path / "b" / "three.h5")
        ttbar.run(config, tmp_path / "b", tmp_path / "b" / "three.h5", "test")


def _three_events(path):
    import h5py

    p_t, eta = np.full((3, 6), 50.0), np.tile(np.arange(6) - 2.5, (3, 1))
    with h5py.File(path, "w") as file:
        file["momenta"] = np.stack([p_t * np.cosh(eta), p_t, 0 * p_t, p_t * np.sinh(eta)], axis=-1)


@pytest.mark.parametrize(
    ("block", "numbers", "least", "most"), [(0, 10, 0.1, 30), (1, 1, 50, 20_000)]
)
def test_code_of_the_readme(block, numbers, least, most, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    exec(blocks[block], {})
    found = np.array(re.findall(r"[\d.]+|nan", capsys.readouterr().out), float)
    assert len(found) == numbers and least < np.nanmedian(found) < most
