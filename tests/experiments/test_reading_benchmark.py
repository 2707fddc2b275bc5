"""The benchmark of reading runs, small."""

import json

import pytest

pytest.importorskip("pyarrow")

from experiments.benchmarks import reading


def test_the_benchmark_of_reading(tmp_path):
    path = tmp_path / "rates.json"
    reading.main(tmp_path / "files", preset="smoke", out=path)
    study = json.loads(path.read_text())["study"]
    assert study["rates"]["chunks"]["rows"] == 20_000
    assert study["rates"]["where"]["rows"] == 2_000
    assert all(ratio > 0 for ratio in study["ratios"].values())
