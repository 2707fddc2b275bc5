"""The benchmarks of counting run, small."""

import json

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("uproot")

from experiments.benchmarks import billion, histogram


def test_a_billion_of_few_events(tmp_path):
    path = tmp_path / "found.json"
    billion.main(tmp_path, ("write", "threads"), scale=1e-5, out=path)
    (row,) = json.loads(path.read_text())["study"]
    assert row["rows_per_second"] > 0
    commands = [billion._commands(step, tmp_path, [], tmp_path) for step in billion._COMMANDS]
    assert [list(each) for each in commands] == [["averaging"], ["differential"], ["compare"]]
    billion.main(tmp_path, ("clean",), scale=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["found.json"]


def test_all_count_the_same(tmp_path, monkeypatch):
    """Ours and numpy, of the same rows; who counts otherwise is no peer."""
    few = {name: histogram._CASES["parquet"][name] for name in ("ours", "pyarrow and numpy")}
    monkeypatch.setitem(histogram._CASES, "parquet", few)
    path = tmp_path / "found.json"
    histogram.main(tmp_path, ("parquet",), scale=1e-4, out=path)
    rows = json.loads(path.read_text())["study"]
    assert [row["what"] for row in rows] == ["ours", "pyarrow and numpy"]
    assert rows[0]["ratio"] == 1
    same = "counts = np.ones((5, 10), int)"
    wrong = {"ours": same, "other": same + "\ncounts[0, 0] += 1"}
    with pytest.raises(SystemExit, match="other has not counted"):
        histogram._fastest(wrong, [], 1)
