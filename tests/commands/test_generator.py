"""`amplify averaging --generator`: a user's function through the command."""

import numpy as np
import pytest

from amplify.cli import main
from tests.commands.bad_files import GENERATOR
from tests.commands.samples import arguments, fails, read

BROKEN_AT_TIMES = GENERATOR.replace(
    "    mean =",
    """    if os.path.exists("broken") and seed % 2:
        raise ValueError("a bad start")
    mean =""",
)


@pytest.fixture
def here(elsewhere):
    (elsewhere / "gen.py").write_text(BROKEN_AT_TIMES)
    rng = np.random.default_rng(0)
    np.save("train.npy", rng.normal(size=(1000, 2)))
    np.save("holdout.npy", rng.normal(size=(20_000, 2)))
    return elsewhere


def _call(more=""):
    call = "averaging --generator gen:fit --train train.npy --n-gen 20000 --out run"
    return arguments(f"{call} {more}")


def _trainings(here):
    return len(list(here.glob("trained_*")))


def test_a_function_becomes_a_verdict(here):
    """A fitted mean: the halves of a column are known to G = pi / 2 (docs/method, Reference
    numbers); six members scatter by a factor 2 either way, 1 in 1000 outside the bounds.
    """
    main(_call("--members 6 --holdout holdout.npy --seed 3"))
    results = read(here / "run")
    e = results["estimates"][0]
    assert (e["members"], e["n_train"], e["n_gen"]) == (6, 1000, 20_000)
    assert results["failed_members"] == [] and len(results["inputs"]) == 8
    labels = [e["region"] for e in results["estimates"]]
    of_x0 = [label for label in labels if "x0" in label]
    assert len(labels) == 24 and len(of_x0) == 12  # ten bins and two tails of each column
    assert [panel["column"] for panel in results["panels"]] == ["x0", "x1"]
    assert results["map"]["columns"] == ["x0", "x1"]
    assert [scan["bins"] for scan in results["resolution"]] == [[2, 5, 10, 20, 50, 100]] * 2
    assert not any("bootstrap" in warning for warning in results["warnings"])  # they are
    assert 0.4 < results["resolution"][0]["amplification"][0] < 12
    written = {path.name for path in (here / "run").iterdir()}
    assert {"results.json", "table.csv", "table.tex"} <= written


def test_failed_members_are_told_and_an_interrupted_run_goes_on(here, capsys):
    (here / "broken").touch()
    main(_call("--members 8"))
    results = read(here / "run")
    failed = len(results["failed_members"])
    assert 1 <= failed <= 6 and results["estimates"][0]["members"] == 8 - failed
    assert "a bad start" in results["failed_members"][0]["reason"]
    assert any(f"{failed} members failed" in warning for warning in results["warnings"])
    assert "warning: member" in capsys.readouterr().err
    (here / "run" / "results.json").unlink()
    (here / "broken").unlink()
    before = _trainings(here)
    main(_call("--members 8"))
    assert _trainings(here) - before == failed  # the others were kept
    assert read(here / "run")["estimates"][0]["members"] == 8


def test_a_function_that_is_not_there_is_said_before_any_training(here, capsys):
    call = [word.replace("gen:fit", "gen:nothing") for word in _call()]
    assert "no nothing" in fails(capsys, *call) and _trainings(here) == 0


def test_a_dry_run_trains_nothing(here, capsys):
    main(_call("--dry-run"))
    assert "8 trainings" in capsys.readouterr().err
    assert not (here / "run").exists() and _trainings(here) == 0


def test_columns_of_the_training_file_are_those_of_the_members(here):
    """Expressions of the training file name the generated columns, and are computed from the
    holdout.
    """
    main(_call("--members 3 --columns a=x0+x1 b=x0-x1 --holdout holdout.npy --bins 2"))
    results = read(here / "run")
    assert results["settings"]["columns"] == ["a", "b"]
    assert all(sample["columns"] == ["a", "b"] for sample in results["inputs"])
    assert len(results["estimates"]) == 4
