"""The study of completion rounds, made short, and what its record says."""

import json
from pathlib import Path

import numpy as np

from experiments import completion

RECORD = Path(__file__).parents[2] / "paper_figures" / "results" / "completion.json"


def test_the_study_runs(tmp_path):
    rows = json.loads(completion.main("smoke", tmp_path).read_text())["study"]["rows"]
    assert [row["ahead"] for row in rows] == [0.0, 0.7]
    for row in rows:
        assert abs(row["acceptance"] - 0.841) < 0.001
        assert len(row["z"]["mean"]) == len(row["region"]["mean"]) == 3
        assert row["z"]["mean"][0] > row["z"]["mean"][2]  # rounds lead down
        assert row["region"]["mean"][0] < row["region"]["mean"][2]


def test_the_record_holds_what_the_docs_say():
    """Rejection alone is wrong by 9 to 16 sigma next to the cut; eight rounds leave a quarter or
    less of it, and running ahead saves half of the rounds.
    """
    rows = json.loads(RECORD.read_text())["study"]["rows"]
    assert len(rows) == 20
    by_ahead = {a: [row for row in rows if row["ahead"] == a] for a in (0.0, 0.7)}
    for plain, ahead in zip(*by_ahead.values(), strict=True):
        naive, left = (abs(ahead["region"]["mean"][i]) for i in (0, 8))
        assert 9 < naive < 17 and left < naive / 4
        z_plain, z_ahead = (np.abs(row["z"]["mean"]) for row in (plain, ahead))
        assert z_ahead[8] < z_plain[14] + 0.01
