"""The commands as a user meets them: files, exit codes, one line per error."""

import html
import json
import re
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from amplify.cli import main
from tests.commands.differential_files import fails as _fails


def _members(directory, *, count=8, n=20_000, shift=0.0, seed=0):
    """Generated samples of `count` members: Gaussians whose mean scatters as a fit to 1000 events
    does.
    """
    rng = np.random.default_rng(seed)
    names = []
    for m in range(count):
        x = rng.normal(size=(n, 2)) + rng.normal(size=2) / np.sqrt(1000) + shift
        np.save(directory / f"gen_{m}.npy", x.astype(np.float32))
        names.append(str(directory / f"gen_{m}.npy"))
    return names


def test_averaging_from_files_to_page(tmp_path, capsys):
    members = _members(tmp_path)
    np.save(tmp_path / "holdout.npy", np.random.default_rng(9).normal(size=(50_000, 2)))
    out = tmp_path / "run"
    main(
        [
            "averaging",
            "--members",
            *members,
            "--n-train",
            "1000",
            "--bins",
            "4",
            "--holdout",
            str(tmp_path / "holdout.npy"),
            "--out",
            str(out),
            "--json",
            "-",
        ]
    )
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results == json.loads((out / "results.json").read_text())
    assert (
        results["schema"] == "amplify/1"
        and len(results["estimates"]) == 8
        and len(results["inputs"]) == 9
    )
    e = results["estimates"][0]
    keys = "method region summary members n_train n_gen n_holdout integral sigma_stat sigma_model distance n_equiv n_equiv_interval level amplification"
    assert set(keys.split()) | {"amplification_interval", "status", "verdict"} <= set(e)
    assert (
        e["region"].startswith("x0 < ")
        and e["n_gen"] == 20_000
        and e["n_holdout"] == 50_000
        and e["members"] == 8
    )
    for e in results["estimates"]:
        if e["status"] == "resolved":
            assert (
                e["amplification_interval"][0]
                <= e["amplification"]
                <= e["amplification_interval"][1]
            )
            assert e["n_equiv"] == pytest.approx(1000 * e["amplification"])
    page = (out / "report.html").read_text()
    assert (
        "<svg" in page
        and html.escape(e["region"]) in page
        and not re.findall(r'(?:src|href)="(?!#|data:)', page)
    )
    assert "G" in captured.err and "report.html" in captured.err


def test_averaging_recovers_the_known_amplification(tmp_path):
    """Members whose mean scatters like a fit to 1000 events: with 40 members G = I (1 - I) / (n
    phi(edge)^2 / n); chi^2 width 23 %, four sigma allowed.
    """
    members = _members(tmp_path, count=40, n=200_000)
    regions = tmp_path / "regions.json"
    regions.write_text(
        json.dumps({"right": {"x0": [0, None]}, "corner": {"x0": [0, None], "x1": [0, None]}})
    )
    main(
        [
            "averaging",
            "--members",
            *members,
            "--n-train",
            "1000",
            "--regions",
            str(regions),
            "--out",
            str(tmp_path / "run"),
        ]
    )
    right, corner = json.loads((tmp_path / "run" / "results.json").read_text())["estimates"]
    assert right["region"] == "right" and abs(np.log(right["amplification"] / (np.pi / 2))) < 0.92
    assert abs(np.log(corner["amplification"] / (3 / 16 / (2 * (0.3989 / 2) ** 2)))) < 0.92
    assert right["status"] == "resolved"


def test_a_shifted_holdout_is_a_bias(tmp_path):
    members = _members(tmp_path, n=50_000)
    np.save(
        tmp_path / "holdout.npy", np.random.default_rng(9).normal(loc=(0.3, 0.0), size=(100_000, 2))
    )
    arguments = [
        "--members",
        *members,
        "--n-train",
        "1000",
        "--bins",
        "3",
        "--holdout",
        str(tmp_path / "holdout.npy"),
        "--columns",
        "x0",
    ]
    main(["averaging", *arguments, "--out", str(tmp_path / "run")])
    estimates = json.loads((tmp_path / "run" / "results.json").read_text())["estimates"]
    assert {e["status"] for e in estimates[::2]} == {"biased"}
    assert all(e["amplification"] < 0.2 < e["n_equiv_precision"] / 1000 for e in estimates[::2])
    assert "bias" in estimates[0]["verdict"]


def test_weighted_hdf5_members(tmp_path):
    rng = np.random.default_rng(3)
    names = []
    for m in range(8):
        x, mean = rng.normal(size=30_000), rng.normal() / np.sqrt(1000)
        with h5py.File(tmp_path / f"m{m}.h5", "w") as file:
            file["gen/pt_gev"], file["gen/w"] = (
                x,
                np.exp(x * mean - mean**2 / 2),
            )  # reweighted to the shifted mean
        names.append(f"{tmp_path / f'm{m}.h5'}:gen")
    main(
        [
            "averaging",
            "--members",
            *names,
            "--n-train",
            "1000",
            "--bins",
            "2",
            "--weight-column",
            "w",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["inputs"][0]["weighted"] and results["inputs"][0]["columns"] == ["pt_gev"]
    assert 0.5 < results["estimates"][0]["amplification"] < 5


def test_bad_input_gives_one_line_and_exit_code_2(tmp_path, capsys):
    members = _members(tmp_path, count=3, n=500)
    np.save(tmp_path / "narrow.npy", np.zeros((500, 1)))
    np.save(tmp_path / "nan.npy", np.where(np.arange(1000).reshape(500, 2) == 77, np.nan, 1.0))
    np.save(tmp_path / "inf.npy", np.where(np.arange(1000).reshape(500, 2) == 77, np.inf, 1.0))
    np.save(tmp_path / "cube.npy", np.zeros((5, 5, 5)))
    np.save(tmp_path / "constant.npy", np.ones((500, 2)))
    with h5py.File(tmp_path / "no.h5", "w") as file:
        file.create_group("empty")
    regions = tmp_path / "regions.json"
    two, n = ["averaging", "--members", *members[:2]], ["--n-train", "100"]
    cases = {
        "no such file": [*two, str(tmp_path / "missing.npy"), *n],
        "shape": [*two, str(tmp_path / "cube.npy"), *n],
        "nan in row 38, column x1": [*two, str(tmp_path / "nan.npy"), *n],
        "inf in row 38, column x1": [*two, str(tmp_path / "inf.npy"), *n],
        "at least 2 files": ["averaging", "--members", members[0], *n],
        "members have the same columns": [*two, str(tmp_path / "narrow.npy"), *n],
        "--n-train": [*two, "--n-train", "0"],
        "column pt": [*two, *n, "--columns", "pt"],
        "column w": [*two, *n, "--weight-column", "w"],
        "data set": [*two, str(tmp_path / "no.h5"), *n],
        "named twice": ["averaging", "--members", members[0], members[0], *n],
        "distinct edges": [
            "averaging",
            "--members",
            members[0],
            str(tmp_path / "constant.npy"),
            *n,
            "--columns",
            "x0",
            "--bins",
            "400",
        ],
        "at least 2, got 1": [*two, *n, "--bins", "1"],
        "a YAML or JSON file of regions": [*two, *n, "--regions", str(tmp_path / "nothing.json")],
        "level": [*two, *n, "--level", "2"],
        "arguments": [*two, "--n-train", "many"],
        "no INT can be read from ['1.5']": [*two, "--n-train", "1.5"],
        "amplify --help": ["nonsense"],
        "--n-train: expected": ["averaging", "--members", *members[:2], "--n-train", "-5"],
        "a results.json": ["report", str(tmp_path / "missing.json")],
        "no JSON": ["report", members[0]],
    }
    for words, arguments in cases.items():
        assert words in _fails(capsys, *arguments), words
    for words, text in (
        ("none in any member", '{"far": {"x0": [50, null]}}'),
        ("low < high", '{"empty": {"x0": [1, 1]}}'),
        ("low < high", '{"text": {"x0": ["a", 2]}}'),
        ("one of the columns x0, x1", '{"other": {"pt": [0, 1]}}'),
        ("line 1", '{"broken"'),
        ("regions like", "[]"),
        ("at least one column", '{"nothing": {}}'),
    ):
        regions.write_text(text)
        assert words in _fails(capsys, *two, *n, "--regions", str(regions)), words
    assert not list(tmp_path.glob("**/results.json")) and not (tmp_path / "amplify-runs").exists()


def test_nothing_is_overwritten(tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "results.json").write_text("precious")
    message = _fails(
        capsys,
        "averaging",
        "--members",
        *_members(tmp_path, count=2, n=500),
        "--n-train",
        "100",
        "--out",
        str(out),
    )
    assert "nothing is overwritten" in message and (out / "results.json").read_text() == "precious"
    assert "nothing is overwritten" in _fails(
        capsys, "ttbar", "--events", "5", "--out", str(out / "results.json")
    )


def test_region_with_too_few_events_is_reported_not_hidden(tmp_path):
    regions = tmp_path / "regions.json"
    regions.write_text('{"tail": {"x0": [3.0, null]}, "half": {"x0": [0, null]}}')
    main(
        [
            "averaging",
            "--members",
            *_members(tmp_path),
            "--n-train",
            "1000",
            "--regions",
            str(regions),
            "--out",
            str(tmp_path / "run"),
        ]
    )
    tail, half = json.loads((tmp_path / "run" / "results.json").read_text())["estimates"]
    assert (
        tail["status"] == "unresolved"
        and "too few" in tail["verdict"]
        and half["status"] != "unresolved"
    )


def test_column_names_are_escaped_on_the_page(tmp_path):
    rng = np.random.default_rng(0)
    for m in range(3):
        np.savez(
            tmp_path / f"m{m}.npz",
            **{"<script>alert(1)</script>": rng.normal(size=5000), "b": rng.normal(size=5000)},
        )
    main(
        [
            "averaging",
            "--members",
            *(str(tmp_path / f"m{m}.npz") for m in range(3)),
            "--n-train",
            "100",
            "--bins",
            "2",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert (
        page.count("<script") == 1 and "alert(1)</script>" not in page and "&lt;script&gt;" in page
    )  # the page's own script, and no other


def test_events_may_be_counted_in_powers_of_ten(tmp_path, capsys):
    main(
        [
            "averaging",
            "--members",
            *_members(tmp_path, count=2, n=500),
            "--n-train",
            "1e3",
            "--bins",
            "2",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    assert (
        json.loads((tmp_path / "run" / "results.json").read_text())["estimates"][0]["n_train"]
        == 1000
    )


def test_report_draws_the_page_again(tmp_path, capsys):
    main(
        [
            "averaging",
            "--members",
            *_members(tmp_path, count=3),
            "--n-train",
            "1000",
            "--bins",
            "2",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    first = (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "run" / "report.html").unlink()
    main(["report", str(tmp_path / "run" / "results.json")])
    assert (tmp_path / "run" / "report.html").read_text() == first


def test_help_does_not_import_jax():
    program = """
import sys
from amplify.cli import main
from tests.commands.differential_files import fails as _fails
try:
    main(["averaging", "--help"])
except SystemExit as stop:
    assert stop.code == 0
assert "jax" not in sys.modules
"""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and "--n-train" in done.stdout, done.stderr
    assert time.perf_counter() - started < 30  # a hang, not a speed
