"""The long ways, made short: demonstration, studies, and the code of the README."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from amplify.commands.demo import DemoSettings, demo
from experiments import ring, ttbar

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_demo_writes_estimate_and_truth(tmp_path, capsys):
    demo(tmp_path, 0, "-", DemoSettings(n_train=200, members=4, independent=3, n_gen=2048, steps=20, shells=5))
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results["command"] == "amplify demo" and len(results["estimates"]) == 6
    np.testing.assert_allclose(results["truth"]["integral"][:5], 0.2, atol=1e-6)
    assert len(results["truth"]["actual_amplification"]) == 6
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


def test_ttbar_study_runs(tmp_path):
    results = json.loads(ttbar.main("smoke", tmp_path).read_text())
    study = results["study"]
    assert len(study["regions"]) == 22 and study["generated_events_cut"] is False
    np.testing.assert_allclose(study["truth"][:20], 0.1, atol=1e-3)
    for name in ("actual", "bias", "variance", "bootstrap", "same_data"):
        assert len(study[name]["value"]) == 22
    np.testing.assert_allclose(np.add(study["bias"]["value"], study["variance"]["value"]), study["actual"]["value"])
    assert [e["region"] for e in results["estimates"]] == study["regions"]


@pytest.mark.parametrize(("block", "numbers", "least", "most"), [(0, 10, 0.1, 30), (1, 1, 50, 20_000)])
def test_code_of_the_readme(block, numbers, least, most, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    exec(blocks[block], {})
    found = np.array(re.findall(r"[\d.]+|nan", capsys.readouterr().out), float)
    assert len(found) == numbers and least < np.nanmedian(found) < most
