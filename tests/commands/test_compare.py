"""`amplify compare`: files of several generators through the command, to page and tables."""

import csv
import json

import h5py
import numpy as np
import pytest

from amplify.cli import main
from amplify.results.schema import fault
from tests.commands.samples import arguments, fails, read

FEW = "--statistics mean_ks max_ks --permutations 39"
CALL = f"compare --generated a.npz --generated b.h5:events --holdout h.npz --n-train 100 {FEW}"
STREAM = "compare --generated s.npy --holdout r.npy --n-train 100 --statistics mean_ks"


@pytest.fixture
def here(elsewhere):
    rng = np.random.default_rng(0)
    for name, shift in (("a", 0.0), ("h", 0.0), ("t", 0.0)):
        x = rng.normal(shift, 1, (400, 2))
        np.savez(f"{name}.npz", pt=x[:, 0], eta=x[:, 1])
    train = np.load("t.npz")
    with h5py.File("b.h5", "w") as file:
        rows = rng.integers(400, size=400)
        for name in ("pt", "eta"):
            file[f"events/{name}"] = train[name][rows] + 0.001 * rng.normal(size=400)
    return elsewhere


@pytest.fixture
def stream(elsewhere):
    rng = np.random.default_rng(1)
    batches = rng.normal(size=(40, 50, 1))
    batches[7] += 2
    np.save("s.npy", batches.reshape(-1, 1))
    np.save("r.npy", rng.normal(size=(1000, 1)))
    return elsewhere


def test_files_of_two_generators(here, page, capsys):
    main(arguments(f"{CALL} --train t.npz --names <flow> copier --seed 3 --out run"))
    results = read(here / "run")
    assert fault(results) is None
    rows = [(e["generator"], e["statistic"]) for e in results["estimates"]]
    assert rows == [(g, s) for g in ("<flow>", "copier") for s in ("mean_ks", "max_ks")]
    assert results["settings"]["generated"] == [["../a.npz"], ["../b.h5:events"]]
    copies = results["comparison"]["copies"]
    assert [each["copies"] for each in copies] == [False, True]
    said = capsys.readouterr().err
    assert "copier copies its training events" in said and "statistics together" in said
    html = (here / "run" / "report.html").read_text()
    assert "&lt;flow&gt;" in html and "<flow>" not in html and "<script" not in html
    assert "Which generator is closest to the truth" in html and "copier copies its" in html
    table = list(csv.DictReader((here / "run" / "table.csv").read_text().splitlines()))
    assert [float(row["value"]) for row in table] == [e["value"] for e in results["estimates"]]
    tex = (here / "run" / "table.tex").read_text()
    assert tex.count(r"\\") == 5 and "mean KS" in tex
    before = (here / "run" / "results.json").read_bytes()
    main(arguments("report run/results.json --out run/again.html"))
    assert "copier copies" in (here / "run" / "again.html").read_text()
    assert (here / "run" / "results.json").read_bytes() == before


def test_a_stream_of_batches(stream, page, capsys):
    main(arguments(f"{STREAM} --batches 40 --false-alarms .01 --out run --figures svg --json -"))
    said = capsys.readouterr()
    results = json.loads(said.out)
    assert fault(results) is None
    (seen,) = results["comparison"]["batches"]["statistics"]
    assert 7 in seen["alarms"] and len(seen["values"]) == 40 and len(seen["alarms"]) < 5
    assert "40 batches of about 50 events: " in said.err
    html = (stream / "run" / "report.html").read_text()
    assert "Is the stream like the reference?" in html and html.count("<svg") == 1
    assert (stream / "run" / "figures" / "batches.svg").exists()


def test_options_that_a_stream_ignores_are_named(stream):
    np.save("t.npy", np.random.default_rng(2).normal(size=(100, 1)))
    more = "--train t.npy --permutations 50 --level .9"
    main(arguments(f"{STREAM} --batches 20 --false-alarms .05 {more} --out run"))
    said = " ".join(read(stream / "run")["warnings"])
    for name in ("train", "permutations", "level"):
        assert f"--{name} is ignored with --batches" in said
    assert "--limit-level" not in said


def test_the_same_seed_gives_the_same_bits(here):
    few = CALL.replace("mean_ks max_ks", "max_ks")
    for name in "ab":
        main(arguments(f"{few} --no-local --out run_{name}"))
    one, other = (read(here / f"run_{name}") for name in "ab")
    assert one["estimates"] == other["estimates"]
    assert one["comparison"]["ranking"] == other["comparison"]["ranking"]


def test_a_dry_run_writes_nothing(here, capsys):
    before = sorted(here.iterdir())
    main(arguments(f"{CALL} --dry-run --json -"))
    said = capsys.readouterr()
    plan = json.loads(said.out)
    assert plan["dry_run"] and [i["events"] for i in plan["inputs"]] == [400] * 3
    assert "2 statistics" in said.err and "Nothing was written" in said.err
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (f"{CALL} --statistics mean_kss", "--statistics: expected some of mean_ks, max_ks"),
        (f"{CALL} --statistics max_ks max_ks", "--statistics: expected each once"),
        (CALL.replace("39", "5"), "--permutations: expected 19 to a million, got 5"),
        (f"{CALL} --n-train 1 2 3", "--n-train: expected one number, or 2, one for each"),
        (f"{CALL} --n-train 0", "--n-train: expected at least 1"),
        (f"{CALL} --names flow", "--names: expected 2 different ones"),
        (f"{CALL} --names flow flow", "--names: expected 2 different ones"),
        (f"{CALL} --most 3", "--most: expected at least 20, got 3"),
        (f"{CALL} --false-alarms 1", "--false-alarms: expected between 0 and .5"),
        (f"{CALL} --batches 4", "--batches: expected one generated sample, got 2"),
        (f"{CALL} --level 2", "--level: expected between 0 and 1"),
        (f"{CALL} --columns pt mass", "mass"),
        (f"{CALL} --weight-column w", "column w: expected one of pt, eta"),
        (CALL.replace("b.h5:events", "a.npz"), "--generated: expected different files"),
        (CALL.replace("h.npz", "a.npz"), "--generated and --holdout: expected different events"),
        (f"{CALL} --train h.npz", "--holdout: expected events that were not used in training"),
        (CALL.replace("h.npz", "none.npz"), "none.npz: expected a file"),
    ],
)
def test_errors_are_one_line(here, call, words, capsys):
    assert words in fails(capsys, *arguments(call))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--batches 1", "--batches: expected at least 2, got 1"),
        ("--batches 400", "--batches: expected 10 events each, got 5"),
        ("--batches 4", "--holdout: expected 4 events for each of the 500 of a batch"),
        ("--batches 40 --statistics auc", "--statistics: expected distances"),
    ],
)
def test_batches_that_cannot_be_tested(stream, more, words, capsys):
    assert words in fails(capsys, *arguments(f"{STREAM} {more}"))
