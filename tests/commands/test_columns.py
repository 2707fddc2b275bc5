"""Columns that are no physics, and training events, on the command line."""

from pathlib import Path

import numpy as np
import pytest

from amplify.cli import main
from tests.commands.samples import arguments, draw_events, fails, read, run_averaging, save
from tests.commands.samples import run_differential as run


@pytest.fixture
def members(elsewhere):
    rng = np.random.default_rng(5)
    return [
        save(f"m{m}.npz", draw_events(rng, 2000, 0.05 * rng.normal()), event=np.arange(2000))
        for m in range(3)
    ]


def test_row_numbers_are_left_out_and_said(members, capsys):
    rng = np.random.default_rng(6)
    holdout = save("holdout.npz", draw_events(rng, 1000))
    results = run_averaging(Path("run"), members, "--holdout holdout.npz")
    assert results["settings"]["columns"] == ["x0", "x1", "t"]
    assert results["settings"]["columns_ignored"] == {"event": "event number"}
    assert "ignoring event (event number)" in capsys.readouterr().err
    assert not any("event n" in warning for warning in results["warnings"])
    results = run(Path("two"), members[0], holdout, "--summary column:x0")
    assert results["settings"]["columns_ignored"] == {"event": "event number"}
    named = run_averaging(Path("named"), members, "--columns x0 event")
    assert named["settings"]["columns"] == ["x0", "event"]


def test_the_training_events_of_files(members, capsys):
    rng = np.random.default_rng(7)
    train, holdout = draw_events(rng, 1000), draw_events(rng, 1000)
    save("train.npz", train)
    save("holdout.npz", {n: np.r_[v[50:], train[n][:50]] for n, v in holdout.items()})
    results = run_averaging(Path("run"), members, "--train train.npz")
    assert results["settings"]["train"] == ["../train.npz"]
    assert not any("training events" in warning for warning in results["warnings"])
    call = arguments("averaging --members", *members, "--n-train 1000 --train train.npz")
    line = fails(capsys, *call, *arguments("--holdout holdout.npz --out other"))
    assert "50 events of train.npz in holdout.npz" in line


def test_a_generator_does_not_learn_row_numbers(elsewhere):
    (elsewhere / "gen.py").write_text(
        "import numpy as np\n"
        "def fit(x, seed):\n"
        "    return lambda n, seed: np.random.default_rng(seed).normal(x.mean(0), 1, (n, 2))\n"
    )
    rng = np.random.default_rng(8)
    train = {"x0": rng.normal(size=300), "entry": np.arange(300), "x1": rng.normal(size=300)}
    save("train.npz", train)
    more = "averaging --generator gen:fit --train train.npz --members 2 --n-gen 2000 --out run"
    main(arguments(more))
    results = read(elsewhere / "run")
    assert results["settings"]["columns"] == ["x0", "x1"]
    assert results["settings"]["columns_ignored"] == {"entry": "event number"}
