"""Runs that meet: in one folder, with files of somebody else, after one that was killed. Nothing is
overwritten, and results.json is there when everything is.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from amplify.cli import main
from amplify.commands import output, published
from amplify.locks import directory_lock, file_lock
from amplify.results.paths import relative_to
from amplify.results.result import Result
from amplify.storage import name_new
from tests.commands.samples import arguments, averaging_call, fails, read, run_averaging


@pytest.fixture
def members(elsewhere):
    """Two small members, by their names."""
    for name in "ab":
        np.save(f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(500, 2)))
    return ["a.npy", "b.npy"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the results of a run; its page is a line that says what it is."""
    here = tmp_path_factory.mktemp("finished")
    for name in "ab":
        np.save(here / f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(500, 2)))
    before = Path.cwd()
    os.chdir(here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("amplify.report.page.write_page", _page)
        run_averaging(Path("run"), ["a.npy", "b.npy"], "--bins 2")
    os.chdir(before)
    return here / "run"


def _page(results, path):
    path.write_text("<title>amplify: a page</title>")


def _names(directory):
    return {path.name for path in directory.iterdir()}


def _call(members, more="--out run"):
    return averaging_call(members, "--bins 2", more)


def test_a_second_run_into_the_same_folder_is_one_line(members, capsys):
    with directory_lock(Path("run")):
        line = fails(capsys, *_call(members))
    words = "--out run: expected a place that no other run writes to, got one that is held by"
    assert line.startswith(f"error: {words} process {os.getpid()} on ") and not Path("run").exists()
    with file_lock(Path("out.json"), "--json"):
        line = fails(capsys, *_call(members, "--json out.json"))
    assert "--json out.json: expected a place that no other run" in line
    assert _names(Path()) == {"a.npy", "b.npy"}


def test_results_that_came_meanwhile_are_kept_and_ours_too(members, capsys, monkeypatch):
    """Of a run on a file system without locks."""
    kept = output.say

    def say(text):
        kept(text)
        Path("run").mkdir(exist_ok=True)
        (Path("run") / "results.json").write_text("precious")

    monkeypatch.setattr(output, "say", say)
    with pytest.raises(SystemExit):
        main(_call(members))
    line = capsys.readouterr().err.splitlines()[-1]
    assert "run/results.json: expected no file of that name yet" in line
    assert (Path("run") / "results.json").read_text() == "precious"
    assert _names(Path("run")) == {"results.json"}
    place = Path(line.rpartition("the results are in ")[2])
    assert read(place)["estimates"] and (place / "table.csv").exists()


def test_files_of_somebody_else_are_not_overwritten(members, capsys):
    """A table of the user's in the folder; an input that --json names."""
    Path("run").mkdir()
    (Path("run") / "table.tex").write_text("precious")
    line = fails(capsys, *_call(members))
    assert "run/table.tex: expected no file of that name yet" in line
    before = Path("a.npy").read_bytes()
    for more in ("--json a.npy", "--json a.npy --dry-run"):
        line = fails(capsys, *_call(members, more))
        assert "--json a.npy: expected a file that does not exist yet" in line
    assert (Path("run") / "table.tex").read_text() == "precious"
    assert Path("a.npy").read_bytes() == before and _names(Path("run")) == {"table.tex"}
    Path("link.json").symlink_to("nowhere")
    assert "does not exist yet" in fails(capsys, *_call(members, "--json link.json"))
    main(_call(members, "--json /dev/null --out other"))
    main(_call(members, "--json third/results.json --out third"))
    assert read(Path("third"))["estimates"]


def test_a_folder_of_unfinished_files_that_leads_elsewhere_is_refused(members, capsys):
    Path("precious").mkdir()
    (Path("precious") / "results.json").write_text("precious")
    Path("run").mkdir()
    (Path("run") / ".unfinished").symlink_to(Path("precious").absolute())
    assert "run/.unfinished: expected a directory of a run" in fails(capsys, *_call(members))
    assert (Path("precious") / "results.json").read_text() == "precious"


@pytest.mark.parametrize("named", [0, 1, 2, 3])
def test_a_run_that_was_killed_while_it_published_is_done_again(members, monkeypatch, named):
    """Killed after some of its files had their names: results.json comes last, and the next run
    into the folder finishes.
    """
    calls = []

    class Killed(BaseException):
        pass

    def name(file, path):
        if len(calls) == named:
            raise Killed
        calls.append(path.name)
        name_new(file, path)

    with monkeypatch.context() as patch:
        patch.setattr(published, "name_new", name)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        patch.setattr("amplify.report.page.write_page", _page)
        with pytest.raises(Killed):
            main(_call(members))
    left = _names(Path("run"))
    assert "results.json" not in left and len(left & set(published.NAMES)) == named
    main(_call(members))
    assert read(Path("run"))["estimates"]
    assert ".unfinished" not in _names(Path("run"))


def test_paths_in_results_are_relative_to_them(members):
    shutil.copy("a.npy", "other.npy")
    Path("cuts.yaml").write_text("right: x0 > 0\n")
    given = [*arguments("averaging --members", *members, "--n-train 100 --regions cuts.yaml")]
    main([*given, *arguments("--json out.json --out deep/run")])
    results = read(Path("deep/run"))
    assert [sample["path"] for sample in results["inputs"]] == ["../../a.npy", "../../b.npy"]
    assert results["settings"]["regions"] == "../../cuts.yaml"
    assert json.loads(Path("out.json").read_text())["inputs"][0]["path"] == "a.npy"
    Result.from_json(Path("out.json")).to_json("again.json")
    assert json.loads(Path("again.json").read_text())["inputs"][0]["path"] == "a.npy"


# of no name of a file: the system refuses to look for one so long
LONG = "gen_1.npy where " + " and ".join(f"x0 > {k}" for k in range(100))


def test_every_path_is_seen_from_the_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", "b.h5", "my.py", "gen_1.npy"):
        Path(name).touch()
    (tmp_path / "run" / "members").mkdir(parents=True)
    inside = tmp_path / "run" / "members" / "member_000.npy"
    inside.touch()
    several = {"path": "gen_*.npy and 3 more", "files": [{"path": "gen_1.npy"}]}
    pointing = {"path": "a.h5:events", "points_to": [{"path": "b.h5"}]}
    arrays = {"path": "training events"}
    results = {
        "settings": {
            "generated": ["a.h5:events", "-", LONG],
            "train": str(inside),
            "regions": ["x0 * x1 > 1"],
            "cuts": Path("my.py"),
            "holdout": "/dev/null",
            "observables": {"function": "my.py:fit", "sha256": ""},
            "n_train": 3,
        },
        "inputs": [several, pointing, arrays, {"path": str(inside)}],
    }
    seen = relative_to(results, Path("run"))
    assert seen["settings"] == {
        "generated": ["../a.h5:events", "-", f"../{LONG}"],
        "train": "members/member_000.npy",
        "regions": ["x0 * x1 > 1"],
        "cuts": "../my.py",
        "holdout": "/dev/null",
        "observables": {"function": "../my.py:fit", "sha256": ""},
        "n_train": 3,
    }
    paths = [sample["path"] for sample in seen["inputs"]]
    of_members = "members/member_000.npy"
    assert paths == ["../gen_*.npy and 3 more", "../a.h5:events", "training events", of_members]
    assert seen["inputs"][0]["files"] == [{"path": "../gen_1.npy"}]
    assert seen["inputs"][1]["points_to"] == [{"path": "../b.h5"}]


def test_a_page_is_drawn_again_over_what_amplify_wrote_alone(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    (run / "report.html").write_text("<title>amplify: averaging</title> of an older version")
    main(["report", str(run / "results.json")])
    assert (run / "table.csv").read_bytes() == before["table.csv"]
    (run / "table.tex").write_text("mine")
    line = fails_last(capsys, "report", str(run / "results.json"))
    assert "table.tex: expected a file that amplify wrote, got one that somebody wrote" in line
    assert (run / "table.tex").read_text() == "mine" and ".unfinished" not in _names(run)
    main(["report", str(run / "results.json"), "--out", str(tmp_path / "new" / "page.html")])
    assert (tmp_path / "new" / "table.tex").exists()
    for name in ("results.json", "table.csv", "."):
        words = ("report", str(run / "results.json"), "--out", str(run / name))
        assert "--out: expected a page that is no directory" in fails_last(capsys, *words)
    assert (run / "results.json").read_bytes() == before["results.json"]
    with directory_lock(tmp_path / "new"):
        words = ("report", str(run / "results.json"), "--out", str(tmp_path / "new" / "b.html"))
        assert "held by process" in fails_last(capsys, *words)


def fails_last(capsys, *given):
    """The last line of an error after what was said before."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(given))
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_runs_of_one_second_have_folders_of_their_own(members, monkeypatch):
    monkeypatch.setattr(output.time, "strftime", lambda _: "20260101-120000")
    for _ in range(2):
        main(_call(members, ""))
    names = _names(Path("amplify-runs"))
    assert names == {"averaging-20260101-120000", "averaging-20260101-120000-2"}
