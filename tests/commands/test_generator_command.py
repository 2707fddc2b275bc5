"""`amplify averaging --generator`: a user's function through the command, and what the command
writes without being asked for regions.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

import amplify
from amplify import regions as rg
from amplify.cli import main
from amplify.tables.parallel import in_order
from tests.commands.differential_files import fails, read

GENERATOR = """
import os, numpy as np
def fit(x_train, seed):
    open(f"trained_{os.getpid()}", "w").close()
    mean = x_train.mean(axis=0)
    if os.path.exists("broken") and seed % 2:
        raise ValueError("a bad start")
    return lambda n, seed: np.random.default_rng(seed).normal(mean, 1.0, (n, len(mean)))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gen.py").write_text(GENERATOR)
    rng = np.random.default_rng(0)
    np.save("train.npy", rng.normal(size=(1000, 2)))
    np.save("holdout.npy", rng.normal(size=(20_000, 2)))
    return tmp_path


def _call(*more):
    return [
        "averaging",
        "--generator",
        "gen:fit",
        "--train",
        "train.npy",
        "--n-gen",
        "20000",
        "--out",
        "run",
        *more,
    ]


def test_a_function_becomes_a_verdict(here):
    main(_call("--members", "6", "--holdout", "holdout.npy", "--seed", "3"))
    results = read(here / "run")
    e = results["estimates"][0]
    assert (
        e["members"] == 6
        and e["n_train"] == 1000
        and e["n_gen"] == 20_000
        and results["failed_members"] == []
    )
    assert [r["region"][:2] for r in results["estimates"]].count("x0") + sum(
        "x0" in r["region"] for r in results["estimates"]
    ) >= 12
    assert (
        len(results["estimates"]) == 24 and len(results["inputs"]) == 7
    )  # ten bins and two tails of each column
    assert [p["column"] for p in results["panels"]] == ["x0", "x1"] and results["map"][
        "columns"
    ] == ["x0", "x1"]
    assert [s["bins"] for s in results["resolution"]] == [[2, 5, 10, 20, 50, 100]] * 2
    assert not any(
        "bootstrap" in warning for warning in results["warnings"]
    )  # they are bootstrapped
    # a fitted mean: the halves of a column are known to G = pi / 2 (method.md); six members scatter
    # by a factor 2 either way, 1 in 1000 outside these bounds
    assert 0.4 < results["resolution"][0]["amplification"][0] < 12
    assert {"report.html", "results.json", "table.csv", "table.tex"} - {
        p.name for p in (here / "run").iterdir()
    } == {"report.html"}  # not drawn here


def test_failed_members_are_told_and_an_interrupted_run_goes_on(here, capsys):
    (here / "broken").touch()
    main(_call("--members", "8"))
    results = read(here / "run")
    failed = len(results["failed_members"])
    assert 1 <= failed <= 6 and results["estimates"][0]["members"] == 8 - failed
    assert "a bad start" in results["failed_members"][0]["reason"] and any(
        f"{failed} members failed" in w for w in results["warnings"]
    )
    assert "warning: member" in capsys.readouterr().err
    (here / "run" / "results.json").unlink()
    (here / "broken").unlink()
    before = len(list(here.glob("trained_*")))
    main(_call("--members", "8"))
    assert len(list(here.glob("trained_*"))) - before == failed  # the others were kept
    assert read(here / "run")["estimates"][0]["members"] == 8


def test_what_cannot_be_is_one_line_before_any_training(here, capsys):
    (here / "cuts.yaml").write_text("tail: pt >")
    np.save("one.npy", np.zeros((1, 2)))
    for words, arguments in (
        ("--train", ["averaging", "--generator", "gen:fit"]),
        ("--n-train", _call("--n-train", "5")),
        ("one number", _call("--members", "a.npy", "b.npy")),
        ("at least 2", _call("--members", "1")),
        ("training events", [*_call()[:4], "one.npy", "--out", "run"]),
        ("no such file", _call("--holdout", "missing.npy")),
        ("no such file", _call("--regions", "missing.yaml")),
        ("level", _call("--level", "2")),
        ("no nothing", [*_call()[:2], "gen:nothing", *_call()[3:]]),
        (
            "--generator",
            [
                "averaging",
                "--members",
                "train.npy",
                "holdout.npy",
                "--n-train",
                "5",
                "--n-gen",
                "7",
            ],
        ),
        ("--n-train", ["averaging", "--members", "train.npy", "holdout.npy"]),
        ("--seed", _call("--seed", "-1")),
    ):
        assert words in fails(capsys, *arguments), words
    assert not list(here.glob("trained_*"))


def test_a_dry_run_trains_nothing(here, capsys):
    main(_call("--dry-run"))
    assert (
        "8 trainings" in capsys.readouterr().err
        and not (here / "run").exists()
        and not list(here.glob("trained_*"))
    )


def test_columns_of_the_training_file_are_those_of_the_members(here):
    """Expressions of the training file name the generated columns, and are computed from the
    holdout.
    """
    main(
        _call(
            "--members",
            "3",
            "--columns",
            "a=x0+x1",
            "b=x0-x1",
            "--holdout",
            "holdout.npy",
            "--bins",
            "2",
        )
    )
    results = read(here / "run")
    assert (
        results["settings"]["columns"] == ["a", "b"]
        and len(results["estimates"]) == 4
        and results["inputs"][-1]["columns"] == ["a", "b"]
    )


def test_bulk_tails_and_bins_of_two_samples(here):
    rng = np.random.default_rng(1)
    np.save("gen.npy", rng.normal(0.2, 1, (50_000, 2)))
    call = [
        "differential",
        "--generated",
        "gen.npy",
        "--holdout",
        "holdout.npy",
        "--n-train",
        "1000",
        "--summary",
        "column:x0",
    ]
    main([*call, "--out", "a"])
    labels = [e["region"] for e in read(here / "a")["estimates"]]
    assert labels[0] == "all" and labels[1].startswith("bulk") and labels[2].startswith("tails")
    sizes = [e["n_holdout_region"] for e in read(here / "a")["estimates"]]
    assert sizes[1] + sizes[2] == sizes[0] == 20_000 and abs(sizes[1] / 20_000 - 0.81) < 0.02
    main([*call, "--bins", "4", "--out", "b"])
    found = read(here / "b")
    assert (
        len(found["estimates"]) == 9
        and len(found["panels"]) == 2
        and found["differential"]["map"]["columns"] == ["x0", "x1"]
    )


def test_the_learned_ratio_of_everything_limits_bulk_and_tails(here):
    """N(.3, 1) in one of two columns: the limits of bulk and tails are above the truth, by brute
    force on a million events.
    """
    rng = np.random.default_rng(2)
    np.save("gen.npy", np.stack([rng.normal(0.3, 1, 200_000), rng.normal(size=200_000)], axis=1))
    main(
        [
            "differential",
            "--generated",
            "gen.npy",
            "--holdout",
            "holdout.npy",
            "--n-train",
            "1000",
            "--out",
            "run",
        ]
    )
    x = rng.normal(size=(1_000_000, 2))
    inside = np.asarray(rg.bulk_and_tails(np.load("holdout.npy")).contains(x))
    ratio = np.exp(0.3 * x[:, 0] - 0.045)
    for e, part in zip(
        read(here / "run")["estimates"],
        (np.ones(len(x), bool), inside[:, 0], inside[:, 1]),
        strict=True,
    ):
        share = ratio[part].mean()
        distance = np.maximum(1 - ratio[part] / share, 0).mean()
        assert (
            e["status"] == "upper_limit"
            and (0.8687 / distance) ** 2 < e["n_equiv_interval"][1] < 4 * (0.8687 / distance) ** 2
        )


def test_integrals_of_samples_that_are_there():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(3, 500, 2)), rng.uniform(0.5, 1.5, (3, 500))
    halves = rg.bins(rg.column(0), [-np.inf, 0, np.inf], "x0")
    plain = amplify.sample_integrals(amplify.Samples(x), halves)  # pyright: ignore
    np.testing.assert_allclose(plain.integral[:, 1], (x[:, :, 0] >= 0).mean(axis=1))
    weighted = amplify.sample_integrals(amplify.Samples(x, w), halves)  # pyright: ignore
    np.testing.assert_allclose(weighted.integral[1, 0], w[1, x[1, :, 0] < 0].sum() / w[1].sum())
    assert plain.n_gen == 500 and weighted.n_gen.shape == (3, 2) and (weighted.n_gen < 500).all()


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_order(lambda a, b: a * b, ((k, 2) for k in range(50)))) == [
        2 * k for k in range(50)
    ]
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda k: 1 // k, [(2,), (1,), (0,)]))


def test_results_go_through_pipes(here):
    """JSON on standard output into `report -`, and help into head."""
    main(_call("--members", "2", "--bins", "2", "--json", "out.json"))
    assert json.loads((here / "out.json").read_text()) == read(here / "run")
    done = subprocess.run(
        [sys.executable, "-m", "amplify", "report", "-"],
        input=(here / "out.json").read_text(),
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 0
        and (here / "report.html").exists()
        and (here / "table.csv").exists()
        and done.stdout == ""
    )
    done = subprocess.run(
        f"{sys.executable} -m amplify averaging --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert "usage" in done.stdout and done.stderr == ""
    done = subprocess.run(
        [sys.executable, "-m", "amplify", "averaging", "--help"], capture_output=True, text=True
    )
    assert "amplify averaging --members gen_*.npy" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "amplify", "--tyro-print-completion", "bash"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "amplify" in done.stdout


def test_a_holdout_of_training_events_or_of_a_member_is_refused(here, capsys):
    np.save("few.npy", np.load("train.npy")[:500])
    for holdout in ("train.npy", "few.npy"):
        assert "not trained on" in fails(capsys, *_call("--holdout", holdout))
    assert "named twice" in fails(
        capsys,
        "averaging",
        "--members",
        "train.npy",
        "holdout.npy",
        "--n-train",
        "5",
        "--holdout",
        "holdout.npy",
    )


def test_what_only_the_holdout_has_is_a_bias(here):
    """Members never generate a mode that holds 7 % of the truth; and they generate 5 % where the
    truth has nothing.
    """
    rng = np.random.default_rng(4)
    for m in range(8):
        x = rng.normal(rng.normal() / 30, 1, 20_000)
        x[:1000] = 50 + rng.normal(size=1000)
        np.save(f"m{m}.npy", x)
    np.save("test.npy", np.concatenate([rng.normal(size=9300), rng.normal(-50, 1, 700)]))
    (here / "cuts.yaml").write_text("missing: x0 < -30\nextra: x0 > 30\nhalf: x0 > 0 and x0 < 30")
    call = [
        "averaging",
        "--members",
        *(f"m{m}.npy" for m in range(8)),
        "--n-train",
        "1000",
        "--holdout",
        "test.npy",
    ]
    main([*call, "--regions", "cuts.yaml", "--out", "named"])
    missing, extra, _ = read(here / "named")["estimates"]
    assert (
        missing["status"] == extra["status"] == "biased"
        and missing["amplification"] < 0.1
        and extra["amplification"] < 0.1
    )
    main([*call, "--out", "default"])
    first = read(here / "default")["estimates"][0]
    assert first["region"].startswith("x0 <") and first["status"] == "biased"


def test_single_and_double_precision_agree_on_values_that_recur(here):
    """Multiples of .1: .7 in single precision is less than .7."""
    rng = np.random.default_rng(5)
    for m in range(4):
        np.save(f"m{m}.npy", (rng.integers(0, 10, (20_000, 1)) / 10).astype(np.float32))
    np.save("test.npy", rng.integers(0, 10, (20_000, 1)) / 10)
    main(
        [
            "averaging",
            "--members",
            *(f"m{m}.npy" for m in range(4)),
            "--n-train",
            "1000",
            "--holdout",
            "test.npy",
            "--out",
            "a",
        ]
    )
    assert all(abs(e["pull"]) < 4 for e in read(here / "a")["estimates"])


def test_a_summary_may_have_a_name(here):
    np.save("gen.npy", np.random.default_rng(6).normal(size=(5000, 2)))
    main(
        [
            "differential",
            "--generated",
            "gen.npy",
            "--holdout",
            "holdout.npy",
            "--n-train",
            "100",
            "--summary",
            "column:s=x0+x1",
            "--out",
            "a",
        ]
    )
    assert read(here / "a")["estimates"][0]["summary"] == "observable s=x0+x1"
