"""The benchmark of sliced distances runs, small."""

import json

from experiments.benchmarks import sliced


def test_the_benchmark_of_sliced_distances(tmp_path):
    path = tmp_path / "times.json"
    sliced.main(events=50, others=40, dim=2, permutations=3, permuted=20, out=path)
    times = json.loads(path.read_text())
    assert times["amplify, s wall"] > 0
    assert times["3 permutations of energy, s wall"] > 0
