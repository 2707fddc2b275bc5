"""Everything that can be wrong with an input, met as a user meets it: one line, what to do, exit
code 2, and nothing written.
"""

import contextlib
import io
import json
import os
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from amplify.analysis import opened_members
from amplify.cli import main
from amplify.results.paths import relative_to
from amplify.tables import reading
from amplify.tables.formats import READERS
from tests.commands.bad_files import write_files
from tests.commands.bad_inputs import CASES, DIFF, PARSED, TWO, averaging, differential
from tests.commands.samples import fails, read


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory, before = tmp_path_factory.mktemp("bad"), Path.cwd()
    os.chdir(directory)
    write_files()
    os.chdir(before)
    return directory


@pytest.fixture
def here(written, monkeypatch):
    """The directory with everything that is wrong; nothing may be new in it after a test."""
    monkeypatch.chdir(written)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    before = sorted(Path().iterdir())
    yield written
    assert sorted(Path().iterdir()) == before
    assert Path("old/results.json").read_text() == "precious"


def _fails(capsys, command):
    return fails(capsys, *shlex.split(command))


def test_there_are_enough_of_them():
    assert len(CASES) >= 220


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_that_says_what_to_do(case, here, capsys):
    words, command = CASES[case]
    line = _fails(capsys, command)
    assert words in line, line
    assert ": expected " in line, line
    if case not in PARSED:
        assert "; " in line.split(", got ", 1)[1], line


# no permission


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; see the next test")
def test_no_permission(here, capsys, tmp_path):
    secret = tmp_path / "secret.npy"
    np.save(secret, np.zeros((10, 2)))
    secret.chmod(0)
    assert "permission" in _fails(capsys, averaging(f"a.npy b.npy {secret}"))


def _denied(path, *more, **settings):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("good", ["b.npy", "good.npz", "good.h5", "b.parquet", "b.root"])
def test_no_permission_as_the_system_says_it(good, here, capsys, monkeypatch):
    monkeypatch.setitem(READERS, Path(good).suffix, _denied)
    first = "a.parquet" if good == "b.npy" else "a.npy"
    line = _fails(capsys, averaging(f"{first} {good}"))
    assert "no permission" in line and good in line


def test_no_permission_for_cuts(here, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", _denied)
        assert "good.yaml" in _fails(capsys, f"{TWO} --regions good.yaml")


def test_no_permission_for_results(here, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", _denied)
        assert "rights" in _fails(capsys, f"{DIFF} --summary column:x0 --out new/run")


# values that are not finite


@pytest.fixture
def bad_row(tmp_path, monkeypatch):
    """The paths of a sample, and of an .npy and an .npz with nan in row 6500, in the seventh
    chunk.
    """
    monkeypatch.setattr(reading, "CHUNK", 1000)
    x = np.random.default_rng(1).normal(size=(9000, 2))
    np.save(tmp_path / "fine.npy", x + 1)
    x[6500, 1] = np.nan
    np.save(tmp_path / "bad.npy", x)
    np.savez(tmp_path / "bad.npz", x0=x[:, 0], x1=x[:, 1])
    return tmp_path


@pytest.mark.parametrize("name", ["bad.npy", "bad.npz"])
@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("averaging --members {fine} {bad}", "x1"),
        ("differential --generated {bad} --holdout holdout.npy", "x1"),
        ("differential --generated {bad} --holdout holdout.npy --summary column:x0", "x1"),
        (
            "differential --generated {bad} --holdout holdout.npy --weight-column 'abs(x1)'",
            "abs(x1)",
        ),
    ],
)
def test_nan_in_the_middle_of_chunk_7(call, column, name, bad_row, here, capsys):
    """The row counts from the start of the file, not of the chunk; a weight is checked too."""
    command = call.format(fine=bad_row / "fine.npy", bad=bad_row / name)
    line = _fails(capsys, f"{command} --n-train 100")
    assert f"nan in row 6500, column {column}" in line


def test_the_first_bad_value_is_located_and_all_are_counted(here, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(opened_members, "_EDGE_EVENTS", 2 * 640)
    x = np.random.default_rng(2).normal(size=(6400, 2))
    np.save(tmp_path / "fine.npy", x + 1)
    x[50, 0] = x[302, 1] = np.nan
    np.save(tmp_path / "bad.npy", x)
    line = _fails(capsys, averaging(f"{tmp_path / 'fine.npy'} {tmp_path / 'bad.npy'}"))
    assert "row 50, column x0" in line and "and 1 more" in line


@pytest.mark.parametrize(
    "command",
    [
        differential("a.npy", "nan.npy", "--summary column:x0"),
        differential("a.npy", "nan.npy", "--dry-run"),
        averaging("a.npy b.npy nan.npy", "--dry-run"),
    ],
)
def test_drop_nonfinite_is_heard(command, here, tmp_path):
    main([*shlex.split(command), "--drop-nonfinite", "--out", str(tmp_path / "run")])


def test_dropped_training_events_are_told(here, tmp_path):
    command = f"{DIFF} --summary column:x0 --train nan.npy --drop-nonfinite"
    main([*shlex.split(command), "--out", str(tmp_path / "run")])
    assert any("not finite" in warning for warning in read(tmp_path / "run")["warnings"])


# a dry run, and standard output


@pytest.mark.parametrize("command", [TWO, DIFF])
def test_a_dry_run_says_what_would_be_read_and_writes_nothing(command, here, capsys):
    given = [*shlex.split(command), "--regions", "good.yaml", "--dry-run"]
    main(given)
    captured = capsys.readouterr()
    assert captured.out == "" and "a.npy: 600 events" in captured.err and " s" in captured.err
    assert "\x1b" not in captured.err and "\r" not in captured.err
    main([*given, "--json", "-"])
    plan = json.loads(capsys.readouterr().out)
    assert [entry["events"] for entry in plan["inputs"]] == [600, 600]
    assert plan["seconds"] >= 0 and plan["dry_run"]


@pytest.mark.parametrize(
    "case",
    ["regions: unknown.yaml", "column: unknown", "holdout: truncated", "out: has results"],
)
def test_a_dry_run_finds_what_is_wrong(case, here, capsys):
    words, command = CASES[case]
    assert words in _fails(capsys, f"{command} --dry-run")


@pytest.mark.parametrize("command", [TWO, f"{DIFF} --summary column:x0"])
def test_standard_output_is_json_and_nothing_else(command, here, capsys, tmp_path):
    main([*shlex.split(command), "--json", "-", "--out", str(tmp_path / "run")])
    captured = capsys.readouterr()
    printed, written = json.loads(captured.out), read(tmp_path / "run")
    assert printed["inputs"][0]["path"] == "a.npy"  # paths in a file are relative to it
    assert relative_to(printed, tmp_path / "run") == written
    assert "\r" not in captured.err and "\x1b" not in captured.err  # no bars where nobody watches


# what was wrong once

TRACEBACKS = {
    "all columns constant": averaging("constant.npy constant.npy:"),
    "seed": f"{DIFF} --seed -1",
    "n_train of 10^20": f"{TWO} --n-train 1{'0' * 20}",
    "n_train of 10^400": f"{DIFF} --n-train 1{'0' * 400} --summary column:x0",
    "conditions subtracted": f"{TWO} --regions minus.yaml",
    "condition negated": f"{TWO} --columns '-(x0 > 1)'",
}


@pytest.mark.parametrize("case", TRACEBACKS)
def test_no_tracebacks(case, here, capsys, tmp_path):
    """A line, or a result; an exception is neither."""
    with contextlib.suppress(SystemExit):
        main([*shlex.split(TRACEBACKS[case]), "--out", str(tmp_path / "run")])
    assert capsys.readouterr().err


def test_a_member_named_twice_is_refused_however_it_is_written(here, capsys):
    assert "twice" in _fails(capsys, averaging(f"a.npy {here / 'a.npy'}"))
