"""The measurements on an accelerator, made tiny on a CPU: items are recorded once, failures leave a
line, and what is kept says which card.
"""

import json

import numpy as np
import pytest

from amplify.errors import InputError
from experiments import accelerator
from experiments.benchmarks import accelerator_fast, accelerator_right
from experiments.benchmarks.accelerator_sizes import SMOKE


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs two items; a third one fails."""

    def failing(sizes):
        raise ValueError("no such card")

    failing.__name__ = "flows"
    monkeypatch.setattr(accelerator_right, "flows", failing)

    def main():
        only = ("device", "flows", "ceilings", "counts")
        return accelerator.main("smoke", tmp_path, ("right", "fast"), 60.0, only=only)

    return main


def _items(lines):
    return [json.loads(line) for line in lines.read_text().splitlines()]


def test_items_are_recorded_once_and_failures_leave_a_line(run, tmp_path):
    lines = run()
    first = _items(lines)
    assert [line["item"] for line in first] == ["device", "flows", "ceilings", "counts"]
    assert first[1]["error"] == "ValueError: no such card" and "figures" not in first[1]
    assert first[2]["figures"]["copy, bytes/s"] > 0
    # 4096 values around the normal distribution: beyond 2.2 once in ten thousand
    assert first[3]["figures"]["deviation"] < 2.2
    with lines.open("a") as file:
        file.write('{"part": "right", "it')  # of a run that was killed
    run()
    assert [line["item"] for line in accelerator._lines(lines)][4:] == ["flows"]
    kept = json.loads(accelerator.joined(lines, tmp_path / "kept.json").read_text())
    assert kept["card"] == "cpu" and kept["releases"]["jax"]
    assert set(kept["parts"]) == {"right", "fast"}
    with pytest.raises(InputError, match=r"expected a line of the part right, device, got none;"):
        accelerator.joined(tmp_path / "nothing.jsonl", tmp_path / "kept.json")


def test_an_item_that_takes_too_long_ends():
    def forever():
        while True:
            np.ones(10).sum()

    line = accelerator._measured(forever, 0.05)
    assert line["error"] == "OutOfTimeError: more than 0 s" and line["seconds"] < 5


def test_what_differs_is_seen():
    """The comparison itself can fail."""
    x = np.array([1.0, np.nan, np.inf])
    assert accelerator_right._difference((x, 1), (x, 1)) == 0
    assert accelerator_right._difference(x + np.array([1e-3, 0, 0]), x) == pytest.approx(1e-3)
    assert accelerator_right._difference(np.array([np.nan]), np.array([1.0])) == np.inf
    turn = accelerator_right.lorentz(2.0, 0)
    metric = np.diag([1.0, -1, -1, -1])
    np.testing.assert_allclose(turn.T @ metric @ turn, metric, atol=1e-12)


def test_every_item_has_a_name_of_its_own():
    names = [*accelerator_fast.items(SMOKE)]
    assert names[0] == "ceilings" and names[1] == "spline_2_members"
    assert len(names) == len(set(names)) == 13
