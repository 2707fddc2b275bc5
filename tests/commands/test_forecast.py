"""`amplify forecast`: files and a user's function through the command."""

import numpy as np
import pytest

from amplify.cli import main
from amplify.external.protocol import fit_seed
from tests.commands.samples import arguments, fails, read

GENERATOR = """
from pathlib import Path
import numpy as np

def fit(x, seed):
    Path(f"trained_{len(x)}_{seed}").touch()
    mean, width = x.mean(axis=0), x.std(axis=0)
    return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, x.shape[1]))
"""
TRAIN = "forecast --train train.npy --generator gen:fit --parts 4 2 --trainings 2 --n-gen 3000"
FILES = "forecast --train train.npy --members-at 100 a0.npy a1.npy --members-at 200 b0.npy b1.npy"


@pytest.fixture
def here(elsewhere):
    (elsewhere / "gen.py").write_text(GENERATOR)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 1))
    np.save("train.npy", x)
    for name, k in (("a", 100), ("b", 200)):
        for m in range(2):
            mine = x[m * k : (m + 1) * k]
            np.save(f"{name}{m}.npy", rng.normal(mine.mean(), mine.std(), (4000, 1)))
    return elsewhere


def test_files_of_members(here, page, capsys):
    main(arguments(f"{FILES} --bins 2 --n-train 3200 --target-factor 3 --out run"))
    results = read(here / "run")
    assert [e["n_train"] for e in results["estimates"]] == [3200] * 3
    assert results["forecast"]["trainings"] == [[100, 2], [200, 2]]
    assert "Forecast from 4 trainings on 100 to 200 events" in capsys.readouterr().err
    html = (here / "run" / "report.html").read_text()
    assert "How many true events will a generated sample be worth?" in html
    assert html.count("<svg") == 3 and "for G = 3" in html
    again = "report run/results.json --out again.html"
    main(arguments(again))
    assert "will a generated sample be worth?" in (here / "again.html").read_text()


def test_a_function_and_an_interrupted_run_goes_on(here):
    regions = here / "cuts.yaml"
    regions.write_text("tail: x0 > 0\n")
    call = f"{TRAIN} --regions cuts.yaml --no-differential --out run"
    main(arguments(call))
    trained = sorted(here.glob("trained_*"))
    assert [path.name.split("_")[1] for path in trained] == ["200", "200", "400", "400"]
    first = read(here / "run")
    for name in ("results.json", "report.html"):
        (here / "run" / name).unlink(missing_ok=True)
    (here / "run" / "members" / "part_4" / "member_001.npy").unlink()  # as if killed there
    for path in trained:
        path.unlink()
    main(arguments(call))
    assert len(list(here.glob("trained_200_*"))) == 1 and not list(here.glob("trained_400_*"))
    assert read(here / "run")["estimates"] == first["estimates"]


def test_a_dry_run_writes_nothing(here, capsys):
    before = sorted(here.iterdir())
    main(arguments(f"{TRAIN} --dry-run --json -"))
    said = capsys.readouterr()
    assert "4 trainings, 2 on 200, 2 on 400 events each" in said.err
    assert '"trainings": [[200, 2], [400, 2]]' in said.out
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("forecast --train train.npy", "--generator and --members-at: expected one of them"),
        (f"{TRAIN} --members-at 100 a0.npy a1.npy", "one of them, got both"),
        ("forecast --generator gen:fit", "--train: expected the training events, got nothing"),
        (f"{TRAIN} --holdout a0.npy", "--holdout: expected to go with --members-at"),
        (f"{FILES} --holdout train.npy", "--n-train: expected a number beside --holdout"),
        (f"{FILES} --bins 1", "--bins: expected at least 2, got 1"),
        (f"{FILES} --level 2", "--level: expected between 0 and 1, got 2"),
        (FILES.replace("100 a0", "x a0"), "a number of training events, then files, got x"),
        (FILES.replace("100 a0.npy a1.npy", "100 a0.npy"), "--members-at 100: expected at least 2"),
        (FILES.replace("--members-at 200 b0.npy b1.npy", ""), "two different sizes or more"),
        (FILES.replace("200 b0", "500 b0"), "2 times 500 of the events of --train, got 800"),
        (FILES.replace("b1.npy", "none.npy"), "none.npy"),
        (f"{TRAIN} --parts 2", "--parts: expected at least two different ones"),
        (f"{FILES} --parts 4 2", "--parts: expected to go with --generator, got --members-at"),
        (f"{TRAIN} --workers 0", "--workers: expected at least 1, got 0"),
        (f"{TRAIN} --exponent 0.5 --no-differential", "--exponent"),
        (f"{TRAIN} --n-train 800001", "--n-train: expected at most 1000 times the 800 events"),
        (f"{TRAIN} --target-factor inf", "--target-factor: expected a number above zero, got inf"),
    ],
)
def test_errors_are_one_line(here, call, words, capsys):
    assert words in fails(capsys, *arguments(call))


FAILING = """
import numpy as np

def fit(x, seed):
    if len(x) == 400 and seed == SEED:
        raise ValueError("no memory")
    return lambda n, seed: np.random.default_rng(seed).normal(x.mean(), x.std(), (n, 1))
"""


def test_a_size_that_fails_is_left_out(here, capsys):
    """One of the two halves fails, and the other sizes are enough."""
    (here / "gen.py").write_text(FAILING.replace("SEED", str(fit_seed(1, 0))))
    call = TRAIN.replace("--parts 4 2", "--parts 8 4 2")
    main(arguments(f"{call} --bins 2 --no-differential --out run"))
    results = read(here / "run")
    assert results["forecast"]["trainings"] == [[100, 2], [200, 2]]
    assert any("trainings on 400 events are left out" in w for w in results["warnings"])
    assert results["settings"]["parts"] == [8, 4, 2]


def test_files_that_are_not_there_and_rows_that_shift(here, capsys):
    missing = FILES.replace("b1.npy", "nowhere.npy")
    assert "nowhere.npy" in fails(capsys, *arguments(f"{missing} --dry-run"))
    x = np.load("train.npy")
    x[5] = np.nan
    np.save("train.npy", x)
    said = fails(capsys, *arguments(f"{FILES} --drop-nonfinite"))
    assert "every event that the members may have learned from, got 1 that are left out" in said
