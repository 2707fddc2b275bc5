"""`amplify demo`, made short."""

import functools
import json

import numpy as np
import pytest

from amplify.analysis.demonstration import DemoSettings
from amplify.cli import main
from tests.commands.samples import read

SHORT = functools.partial(
    DemoSettings, n_train=200, members=4, independent=3, n_gen=2048, steps=20, shells=5
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
    assert "estimated over actual" in captured.err and (tmp_path / "a" / "report.html").exists()
    main(["demo", "--out", str(tmp_path / "b")])
    assert read(tmp_path / "b") == results
