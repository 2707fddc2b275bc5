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


@pytest.fixture
def cut_events(here):
    """Training and true events of which x0 > -1 holds."""
    for name in ("train", "holdout"):
        x = np.load(f"{name}.npy")
        np.save(f"{name}.npy", x[x[:, 0] > -1])
    (here / "cuts.yaml").write_text("left: x0 > -1\n")
    return here


def test_cuts_are_learned_by_completion(cut_events, capsys):
    """Z of a fitted mean and width-one Gaussian is near Phi(1) = .84; 842 +- 12 events train."""
    main(_call("--members 3 --holdout holdout.npy --cuts cuts.yaml --rounds 4 --bins 2"))
    results = read(cut_events / "run")
    settings = results["settings"]
    assert settings["cuts"] == "../cuts.yaml" and settings["rounds"] == 4
    assert len(settings["acceptance"]) == len(settings["acceptance_error"]) == 3
    assert all(0.7 < z < 0.97 for z in settings["acceptance"])
    assert "of the generated events passed the cuts; the others were rejected" in (
        capsys.readouterr().err
    )
    for member in (cut_events / "run" / "members").glob("member_*.npy"):
        assert (np.load(member)[:, 0] > -1).all()
    assert _trainings(cut_events) >= 1


def test_cuts_that_the_data_did_not_pass_are_said_before_any_training(cut_events, capsys):
    (cut_events / "tight.yaml").write_text("left: x0 > 0\n")
    assert "train.npy: expected events that pass the cuts" in fails(
        capsys, *_call("--cuts tight.yaml")
    )
    np.save("all.npy", np.random.default_rng(2).normal(size=(500, 2)))
    assert "--holdout: expected events that pass the cuts" in fails(
        capsys, *_call("--cuts cuts.yaml --holdout all.npy")
    )
    (cut_events / "other.yaml").write_text("left: x0 > -1\nright: pt > 20\n")
    assert "other.yaml line 2: expected one of the columns x0, x1, got pt" in fails(
        capsys, *_call("--cuts other.yaml")
    )
    assert "--rounds: expected at least 1" in fails(capsys, *_call("--cuts cuts.yaml --rounds 0"))
    files = arguments("averaging --members train.npy holdout.npy --n-train 800 --cuts cuts.yaml")
    assert "--cuts: expected to go with --generator" in fails(capsys, *files)
    assert _trainings(cut_events) == 0


def test_a_dry_run_says_how_often_it_trains(cut_events, capsys):
    main(_call("--cuts cuts.yaml --rounds 5 --dry-run"))
    assert "trained 6 times, to learn what cuts.yaml cut away" in capsys.readouterr().err
    assert _trainings(cut_events) == 0
