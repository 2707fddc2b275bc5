"""`amplify demo`, made short."""

import functools
import json

import numpy as np
import pytest

from amplify.analysis.demonstration import DemoSettings
from amplify.cli import main
from tests.commands.samples import read

SHORT = functools.partial(
    DemoSettings, n_train=200, members=4, independent=2, copies=2, n_gen=2048, steps=20, shells=5
)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr("amplify.analysis.demonstration.DemoSettings", SHORT)


@pytest.mark.slow
@pytest.mark.usefixtures("short", "page")
def test_demo_writes_estimate_and_truth_and_the_same_for_the_same_seed(tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "a"), "--json", "-"])
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results["command"] == "amplify demo"
    methods = [e["method"] for e in results["estimates"]]
    assert methods == ["averaging"] * 6 + ["differential"] * 2
    truth = results["truth"]
    np.testing.assert_allclose(truth["integral"][:5], 0.2, atol=1e-6)
    assert len(truth["actual_amplification"]) == len(truth["actual_distance"]) == 8
    exact, learned = results["estimates"][6:]
    low, high = exact["n_equiv_interval"]
    assert low / 3 < 200 * truth["actual_amplification"][6] < 3 * high
    assert learned["status"] == "upper_limit"
    pool = results["pool_of_members"]
    assert (pool["of"], pool["members"], pool["same_data_members"]) == ("same data", 4, 2)
    assert len(pool["regions"]) == 6 and pool["regions"][0]["actual_amplification"] > 0
    tested = pool["event_by_event"]
    assert len(tested["actual_n_equiv_of_members"]) == 2
    low, high = tested["n_equiv_interval"]
    assert low / 3 < tested["actual_n_equiv"] < 3 * high
    low, high = results["forecast_without_holdout"]["n_equiv_interval"]
    assert 0 < low < high
    assert "pool of 2 networks" in captured.err and "forecast without holdout" in captured.err
    assert "estimated over actual" in captured.err and (tmp_path / "a" / "report.html").exists()
    main(["demo", "--out", str(tmp_path / "b")])
    assert read(tmp_path / "b") == results


@pytest.mark.slow
@pytest.mark.usefixtures("short", "no_page")
@pytest.mark.parametrize(
    ("kind", "who"),
    [("same", "the ensemble of the same data"), ("bayesian", "the draws from a Bayesian network")],
)
def test_demo_of_other_members_says_which_they_are(kind, who, tmp_path, capsys):
    main(["demo", "--members", kind, "--out", str(tmp_path), "--json", "-"])
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results["settings"]["kind"] == kind
    assert results["members_are"]["kind"] == {"same": "same-data", "bayesian": "variational"}[kind]
    averaging = [e for e in results["estimates"] if e["method"] == "averaging"]
    assert {e["members"] for e in averaging} == {4}
    assert all(e["sigma_model"] is None or e["sigma_model"] > 0 for e in averaging)
    assert "pool_of_members" not in results and "forecast_without_holdout" not in results
    assert f"actual uncertainty of {who}" in captured.err
