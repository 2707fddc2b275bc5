"""The command line: help, completion, pipes."""

import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from amplify.cli import main
from amplify.results.records import write_json
from tests.commands.samples import arguments, fails, run_averaging
from tests.results.examples import COLUMNS, rich_results


def _amplify(*arguments, **settings):
    command = [sys.executable, "-m", "amplify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **settings)


HELP = """
import sys
from amplify.cli import main
try:
    main(["averaging", "--help"])
except SystemExit as stop:
    assert stop.code == 0
assert "jax" not in sys.modules
"""


def test_help_does_not_import_jax():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert done.returncode == 0 and "--n-train" in done.stdout, done.stderr
    assert "amplify averaging --members gen_*.npy" in done.stdout  # an example to copy


def test_help_goes_into_head():
    command = f"{sys.executable} -m amplify averaging --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "usage" in done.stdout and done.stderr == ""


def test_alone_it_says_what_it_can_do(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    said = capsys.readouterr().out
    assert stop.value.code == 0
    for words in ("demo", "averaging", "differential", "ttbar", "report", "--version"):
        assert words in said
    assert max(map(len, said.splitlines())) <= 92 and "gen_*.npy" not in said


def test_version(capsys):
    main(["--version"])
    assert re.fullmatch(r"amplify (\d+\.\d+\S*|not installed)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "words", ["[/red]", "\x1b[31m", "averaging --members a --n-train [/red]\x1b]0;x\x07"]
)
def test_wrong_words_are_one_harmless_line(words, capsys):
    line = fails(capsys, *words.split())
    assert "\x1b" not in line and "\x07" not in line and "expected what amplify" in line


def test_report_writes_figures_and_labels(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(
        "amplify.report.figure_files.write_figures",
        lambda results, folder, kind: drawn.append((results["settings"]["labels"], kind)),
    )
    write_json(tmp_path / "results.json", rich_results(COLUMNS[:2], bins=2))
    (tmp_path / "labels.yaml").write_text("pt_lead: $p_T$\n")
    more = arguments("--figures svg --labels", tmp_path / "labels.yaml")
    main([*arguments("report", tmp_path / "results.json", "--out", tmp_path / "p.html"), *more])
    assert drawn == [({"pt_lead": {"label": "$p_T$", "unit": None}}, "svg")]
    wrong = arguments("report", tmp_path / "results.json", "--figures gif")
    assert "gif" in fails(capsys, *wrong)


def test_labels_of_files_reach_the_results(elsewhere):
    """Of HDF5 attributes, and of the user's file, which comes first."""
    rng = np.random.default_rng(5)
    for name in "ab":
        with h5py.File(f"{name}.h5", "w") as file:
            file["pt"], file["eta"] = rng.normal(size=(2, 500))
            file["pt"].attrs["label"], file["pt"].attrs["unit"] = "$p_T$", "GeV"
    results = run_averaging(elsewhere / "run", ["a.h5", "b.h5"], "--bins 2")
    assert results["settings"]["labels"] == {"pt": {"label": "$p_T$", "unit": "GeV"}}
    (elsewhere / "labels.yaml").write_text("pt: momentum\n")
    members = ["a.h5", "b.h5"]
    results = run_averaging(elsewhere / "own", members, "--bins 2 --labels labels.yaml")
    assert results["settings"]["labels"] == {"pt": {"label": "momentum", "unit": None}}


def test_completion():
    done = _amplify("--tyro-print-completion", "bash")
    assert done.returncode == 0 and "amplify" in done.stdout


def test_results_go_through_pipes(elsewhere):
    """JSON on standard output into `report -`."""
    for name in "ab":
        np.save(f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(2000, 2)))
    results = run_averaging(elsewhere / "run", ["a.npy", "b.npy"], "--bins 2 --json out.json")
    text = (elsewhere / "out.json").read_text()
    written = json.loads(text)
    for made, path in ((written, "{}.npy"), (results, "../{}.npy")):  # relative to the file
        assert [sample.pop("path") for sample in made["inputs"]] == [path.format(n) for n in "ab"]
    assert written == results
    done = _amplify("report", "-", input=text)
    assert done.returncode == 0 and done.stdout == ""
    assert {"report.html", "table.csv"} <= {path.name for path in elsewhere.iterdir()}
