"""Benchmarks of statistics run, small, and leave the process where it was."""

import json
import os

from experiments.benchmarks import kolmogorov, statistic_floors


def test_floors_of_statistics(tmp_path):
    allowed = os.sched_getaffinity(0)
    statistic_floors.main(values=20_000, taught=1000, repetitions=1, out=tmp_path / "floors.json")
    assert os.sched_getaffinity(0) == allowed
    found = json.loads((tmp_path / "floors.json").read_text())
    assert len(found) == 8 and all(row["ratio"] > 0 for row in list(found.values())[1:])


def test_speed_of_distances(tmp_path):
    out = tmp_path / "speed.json"
    kolmogorov.main(values=20_000, null=2, n=100, streamed=0, repetitions=1, out=out)
    assert json.loads(out.read_text())["ratio of two samples, CPU"] > 0
