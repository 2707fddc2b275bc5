"""The study of damaged files, kills and meetings, made short, and as recorded."""

import numpy as np
import pytest

from experiments import robustness
from experiments.mutations import damaged, mistaken
from experiments.robustness import Config, _summary, kills
from experiments.robustness_files import outcomes
from experiments.robustness_runs import Ended, fault
from paper_figures import recorded


@pytest.mark.slow
def test_damaged_files_are_refused_in_one_line_or_read(tmp_path):
    """One of every kind; the recorded study has two thousand."""
    found = robustness._files(list(outcomes(tmp_path, 13, seed=3)))
    assert found["n"] == 13 and len(found["by_kind"]) == 13
    assert found["n_faults"] == 0, found["faults"]


@pytest.mark.slow
def test_a_kill():
    """One, of the quickest command; the recorded study has a hundred, and twenty meetings."""
    found = _summary(list(kills(Config(kills=(("report", 1),), seed=5))))
    assert found["n"] == 1 and found["n_faults"] == 0, found


def test_damage_is_damage_and_the_seed_fixes_it():
    content, other = bytes(range(256)) * 8, b"3" * 100
    made = [damaged(content, other, np.random.default_rng([1, i])) for i in range(300)]
    again = [damaged(content, other, np.random.default_rng([1, i])) for i in range(300)]
    assert made == again and sum(text != content for text in made) > 290
    line = "averaging --members a.npy b.npy --n-train 400"
    words = [mistaken(line, np.random.default_rng([1, i])) for i in range(300)]
    assert sum(given != line.split() for given in words) > 280
    assert all(given[0] == "averaging" for given in words)


def test_what_is_a_fault():
    """Of how a process ended: it must be able to fail."""
    good = Ended(2, "error: a: expected b\n", 1.0, 0, 0)
    assert fault(good, (0, 2)) == ""
    assert fault(good._replace(code=1), (0, 2)).startswith("exit code 1")
    assert fault(good._replace(said="Traceback (most recent"), (0, 2)).startswith("traceback")
    assert fault(good._replace(orphans=1), (0, 2)) == "1 orphans"
    assert fault(good._replace(said="error: a\nerror: b\n"), (0, 2)) == "2 lines of errors"
    rows = [{"kind": "stored.npz", "outcome": "other values", "seconds": 0.0, "peak_mb": 0.0}]
    assert robustness._files(rows)["n_faults"] == 1
    assert robustness._files([rows[0] | {"kind": "plain.npy"}])["n_faults"] == 0


def test_robustness_as_recorded():
    """The claim of docs/results: nothing lost, nothing wrong, no orphan, no traceback."""
    study = recorded.study("robustness")
    assert [study[part]["n"] for part in ("files", "lines", "kills", "pairs")] == [
        2000,
        60,
        100,
        20,
    ]
    assert all(study[part]["n_faults"] == 0 for part in ("files", "lines", "kills", "pairs"))
    assert study["files"]["slowest_seconds"] < 60
