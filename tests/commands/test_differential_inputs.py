"""`amplify differential` and what it is given: the same events twice, wrong input to one line,
warnings, the page.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from amplify.cli import main
from tests.commands.differential_files import (
    call,
    draw_events,
    fails,
    fails_as,
    read,
    run,
    save,
    take,
)


@pytest.mark.parametrize(
    ("kind", "discrete"),
    [
        ("path", False),
        ("copy", False),
        ("shuffled", False),
        ("float32", False),
        ("weighted", False),
        ("path", True),
        ("copy", True),
        ("shuffled", True),
    ],
)
def test_identical_samples_are_refused(kind, discrete, elsewhere, capsys):
    rng = np.random.default_rng(27)
    x = rng.integers(0, 10, (2000, 1)) if discrete else rng.normal(size=(2000, 2))
    np.save("gen.npy", x)
    other = {
        "path": x,
        "copy": x,
        "shuffled": rng.permutation(x),
        "float32": x.astype(np.float32),
        "weighted": x,
    }[kind]
    if kind == "weighted":
        np.savez("holdout.npz", w=np.ones(len(x)), **{f"x{i}": x[:, i] for i in range(x.shape[1])})
    else:
        np.save("holdout.npy", other)
    holdout = {"path": "../" + Path.cwd().name + "/gen.npy", "weighted": "holdout.npz"}.get(
        kind, "holdout.npy"
    )
    more = ("--weight-column", "w") if kind == "weighted" else ()
    for summary in ("classifier", "column:x0"):
        line = fails(capsys, *call("gen.npy", holdout, "--summary", summary, *more))
        assert (
            "gen.npy" in line
            and holdout in line
            and re.search("same|identical|different events", line)
        ), line
    assert not list(elsewhere.glob("**/results.json")) and not Path("amplify-runs").exists()


def test_identical_events_are_seen_beside_a_discrete_column(elsewhere, capsys):
    """--columns names what to learn from; the other columns still tell events apart."""
    rng = np.random.default_rng(28)
    events = {"pt": rng.exponential(size=2000), "jets": rng.integers(0, 10, 2000)}
    save(Path("holdout.npz"), events)
    save(Path("copy.npz"), take(events, rng.permutation(2000)))
    save(Path("gen.npz"), {"pt": rng.exponential(size=20_000), "jets": rng.integers(0, 10, 20_000)})
    more = ("--columns", "jets", "--summary", "column:jets")
    fails_as(capsys, "copy.npz", *call("copy.npz", "holdout.npz", *more))
    fails_as(capsys, "copy.npz", *call("gen.npz", "holdout.npz", *more, "--train", "copy.npz"))


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "few",
        "float32",
        "columns in another order",
        "one duplicate",
        "weights",
        "column of one",
        "weighted column of one",
        "ratio",
    ],
)
def test_holdout_used_in_training_is_refused(case, share, elsewhere, capsys):
    """5 % of the holdout are events of the training file, or all are; the other columns, weights
    and precision of the files do not hide them.
    """
    rng = np.random.default_rng(29)
    n, n_train = (200, 2000) if case == "few" else (2000, 20_000)
    one = "column of one" in case
    names = ["x0"] if one else ["x0", "x1"]
    holdout, train, generated = (
        {name: rng.normal(size=m) for name in names} for m in (n, n_train, 20_000)
    )
    if case == "one duplicate":
        holdout = take(holdout, [1, *range(1, n)])
    common = int(share * n)
    for name in names:
        train[name][rng.permutation(n_train)[:common] if one else slice(100, 100 + common)] = (
            holdout[name][n - common :]
        )
    more = []
    if case == "float32":
        train = {name: values.astype(np.float32) for name, values in train.items()}
    if case == "columns in another order":
        train = dict(reversed(train.items()))
    if "weight" in case:
        holdout["w"], more = rng.uniform(0.5, 1.5, n), ["--weight-column", "w"]
    if case == "ratio":
        holdout["t"], generated["t"] = holdout["x0"] / 10, generated["x0"] / 10
    summary = "column:x0" if one else "ratio:t" if case == "ratio" else "classifier"
    for name, events in (("holdout", holdout), ("train", train), ("gen", generated)):
        save(Path(f"{name}.npz"), events)
    line = fails(
        capsys, *call("gen.npz", "holdout.npz", "--train", "train.npz", "--summary", summary, *more)
    )
    assert "train.npz" in line and "holdout" in line and "training" in line, line
    assert not list(elsewhere.glob("**/results.json")) and not Path("amplify-runs").exists()


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize(
    ("columns", "n_gen", "n_holdout"),
    [(1, 20_000, 1000), (2, 20_000, 1000), (4, 20_000, 1000), (6, 40_000, 500)],
)
def test_discrete_columns_are_no_overlap(columns, n_gen, n_holdout, dtype, tmp_path):
    """Integers 0..9 repeat by chance: 1e6 kinds of events make 20 pairs of 40000 generated and 500
    true ones.
    """
    rng = np.random.default_rng(30)
    for name, n in (("gen", n_gen), ("holdout", n_holdout), ("train", n_gen)):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 10, (n, columns)).astype(dtype))
    samples = tmp_path / "gen.npy", tmp_path / "holdout.npy"
    results = run(
        tmp_path / "run",
        *samples,
        "--train",
        tmp_path / "train.npy",
        "--summary",
        "column:x0",
        n_train=n_gen,
    )
    assert results["estimates"][0]["status"] in ("resolved", "lower_limit")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n_holdout", [5000, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_continuous_column_is_no_overlap(dtype, n_holdout, seed, tmp_path):
    """Single precision has few enough numbers that about 20 of 300000 generated and 5000 true ones
    are equal by chance.
    """
    rng = np.random.default_rng(seed)
    for name, n in (("gen", 300_000), ("holdout", n_holdout)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=n).astype(dtype))
    results = run(
        tmp_path / "run", tmp_path / "gen.npy", tmp_path / "holdout.npy", "--summary", "column:x0"
    )
    assert results["estimates"][0]["n_holdout"] == n_holdout


# bad input


def test_bad_input_gives_one_line_and_exit_code_2(elsewhere, small, capsys):
    rng = np.random.default_rng(32)
    x, two = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
    nan, inf = rng.normal(size=(2, 1000, 2))
    nan[777, 1], inf[777, 0] = np.nan, np.inf
    broken = {
        "nan.npy": nan,
        "inf.npy": inf,
        "empty.npy": np.zeros((0, 2)),
        "gen.npy": x,
        "holdout.npy": two,
        "narrow.npy": two[:, :1],
    }
    for name, array in broken.items():
        np.save(name, array)
    Path("nothing.npy").touch()
    good = call("gen.npy", "holdout.npy")
    named = call(*small)
    cases = [
        ("missing.npy", call("missing.npy", "holdout.npy")),
        ("missing.npy", call("gen.npy", "missing.npy")),
        ("missing.npy", [*good, "--train", "missing.npy"]),
        ("missing.json", [*good, "--regions", "missing.json"]),
        ("nope", [*good, "--columns", "nope"]),
        ("nope", [*good, "--summary", "column:nope"]),
        ("nope", [*good, "--summary", "ratio:nope"]),
        ("forest", [*good, "--summary", "forest"]),
        ("column:", [*good, "--summary", "column:"]),
        ("ratio", [*good, "--summary", "ratio"]),
        ("log_p", [*named, "--log-prob-column", "log_p"]),
        ("narrow.npy", call("gen.npy", "narrow.npy")),
        ("narrow.npy", call("narrow.npy", "holdout.npy")),
        ("holdout.npy", call(small[0], "holdout.npy")),
        ("narrow.npy", [*good, "--train", "narrow.npy"]),
        ("nan in row 777, column x1", call("nan.npy", "holdout.npy")),
        ("nan in row 777, column x1", call("gen.npy", "nan.npy")),
        ("nan in row 777, column x1", [*good, "--train", "nan.npy"]),
        ("inf in row 777, column x0", call("inf.npy", "holdout.npy", "--summary", "column:x0")),
        ("--n-train", call("gen.npy", "holdout.npy", n_train=0)),
        ("--n-train", call("gen.npy", "holdout.npy", n_train=-5)),
        ("--fraction", [*good, "--fraction", "0"]),
        ("--fraction", [*good, "--fraction", "1"]),
        ("--fraction", [*good, "--fraction", "nan"]),
        ("level", [*good, "--level", "2"]),
        ("level", [*good, "--level", "0"]),
        ("level", [*good, "--level", "nan"]),
        ("level", [*good, "--level", "2", "--summary", "column:x0"]),
        ("column w", [*good, "--weight-column", "w"]),
        ("empty.npy", call("empty.npy", "holdout.npy")),
        ("empty.npy", call("gen.npy", "empty.npy")),
        ("nothing.npy", call("gen.npy", "nothing.npy")),
    ]
    for words, arguments in cases:
        fails_as(capsys, words, *arguments)
    assert "arguments" in fails(
        capsys, "differential", "--generated", "gen.npy", "--holdout", "holdout.npy"
    )
    assert (
        not list(elsewhere.glob("**/results.json"))
        and not list(elsewhere.glob("**/report.html"))
        and not Path("amplify-runs").exists()
    )


def test_nan_in_a_late_chunk(elsewhere, capsys):
    """The row counts from the start of the file, not of the chunk; a weight is checked too."""
    rng = np.random.default_rng(33)
    x = rng.normal(size=(300_000, 3))
    np.save("holdout.npy", rng.normal(size=(1000, 3)))
    for column in (1, 2):
        bad = x.copy()
        bad[290_001, column] = np.nan
        np.save(f"bad{column}.npy", bad)
    fails_as(
        capsys,
        "nan in row 290001, column x1",
        *call("bad1.npy", "holdout.npy", "--summary", "column:x0"),
    )
    fails_as(
        capsys,
        "nan in row 290001, column x2",
        *call("bad2.npy", "holdout.npy", "--summary", "column:x0", "--weight-column", "x2"),
    )


def test_missing_log_prob_in_one_file(elsewhere, capsys):
    rng = np.random.default_rng(34)
    save(Path("with.npz"), draw_events(rng, 5000), log_p=rng.normal(size=5000))
    save(Path("without.npz"), draw_events(rng, 1000))
    for samples in (("with.npz", "without.npz"), ("without.npz", "with.npz")):
        fails_as(capsys, "without.npz", *call(*samples, "--log-prob-column", "log_p"))
        fails_as(
            capsys, "log_p", *call(*samples, "--log-prob-column", "log_p", "--columns", "x0", "x1")
        )


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
@pytest.mark.parametrize("which", ["gen", "holdout", "both"])
def test_weights_that_are_all_zero(which, summary, elsewhere, capsys):
    rng = np.random.default_rng(35)
    for name, n in (("gen", 3000), ("holdout", 1000)):
        save(
            Path(f"{name}.npz"),
            draw_events(rng, n),
            w=np.zeros(n) if which in (name, "both") else np.ones(n),
        )
    assert "weight" in fails(
        capsys,
        *call(
            "gen.npz",
            "holdout.npz",
            "--summary",
            summary,
            "--columns",
            "x0",
            "x1",
            "--weight-column",
            "w",
        ),
    )
    assert not list(elsewhere.glob("**/results.json"))


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("n_holdout", [1, 30])
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier", "mlp", "trees"])
def test_a_tiny_holdout_claims_nothing(summary, n_holdout, elsewhere, capsys):
    rng = np.random.default_rng(36)
    save(Path("gen.npz"), draw_events(rng, 3000, 1.0))
    save(Path("holdout.npz"), draw_events(rng, n_holdout))
    Path("regions.json").write_text('{"right": {"x1": [0, null]}}')
    try:
        main(
            [
                *call(
                    "gen.npz",
                    "holdout.npz",
                    "--summary",
                    summary,
                    "--columns",
                    "x0",
                    "x1",
                    "--regions",
                    "regions.json",
                ),
                "--out",
                "run",
            ]
        )
    except SystemExit as stop:
        captured = capsys.readouterr()
        assert (
            stop.code == 2
            and captured.err.count("\n") == 1
            and captured.err.startswith("error: ")
            and not Path("run").exists()
        )
    else:
        for e in read(Path("run"))["estimates"]:
            assert (
                e["status"] == "unresolved"
                and e["n_equiv_interval"][1] is None
                and "Traceback" not in capsys.readouterr().err
            )
        assert Path("run/report.html").exists()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_tiny_generated_samples_claim_nothing(summary, elsewhere):
    rng = np.random.default_rng(37)
    save(Path("gen.npz"), draw_events(rng, 30, 1.0))
    save(Path("holdout.npz"), draw_events(rng, 1000))
    results = run(
        Path("run"), "gen.npz", "holdout.npz", "--summary", summary, "--columns", "x0", "x1"
    )
    assert {e["status"] for e in results["estimates"]} == {"unresolved"}


def test_negative_weights_are_honoured_with_a_warning(tmp_path):
    """Each event of N(3, 1) with weight 1 is taken away again by its copy of weight -1: the
    distance is that without them.
    """
    rng = np.random.default_rng(38)
    generated, holdout, extra = (
        draw_events(rng, 3000, 0.1),
        draw_events(rng, 2000),
        draw_events(rng, 500, 3.0),
    )
    plain = run(
        tmp_path / "plain",
        save(tmp_path / "g.npz", generated),
        save(tmp_path / "h.npz", holdout),
        "--summary",
        "ratio:t",
        "--columns",
        "x0",
        "x1",
    )
    assert not [w for w in plain["warnings"] if "negative" in w]
    for which in ("gen", "holdout"):
        samples = []
        for name, events in (("gen", generated), ("holdout", holdout)):
            add = name == which
            all_events = (
                {k: np.concatenate([v, extra[k], extra[k]]) for k, v in events.items()}
                if add
                else events
            )
            weight = (
                np.concatenate([np.ones(len(events["t"])), np.ones(500), -np.ones(500)])
                if add
                else np.ones(len(events["t"]))
            )
            samples.append(save(tmp_path / f"{which}-{name}.npz", all_events, w=weight))
        results = run(
            tmp_path / which,
            *samples,
            "--summary",
            "ratio:t",
            "--columns",
            "x0",
            "x1",
            "--weight-column",
            "w",
        )
        assert [w for w in results["warnings"] if "negative" in w], which
        assert results["estimates"][0]["distance"] == pytest.approx(
            plain["estimates"][0]["distance"], abs=1e-9
        )
        learned = run(
            tmp_path / f"{which}-learned", *samples, "--columns", "x0", "x1", "--weight-column", "w"
        )
        assert [w for w in learned["warnings"] if "negative" in w] and learned["estimates"][0][
            "n_equiv_interval"
        ][0] == 0


def test_negative_weights_late_in_the_file_are_told(elsewhere):
    """One negative weight, the last of 600000 events."""
    rng = np.random.default_rng(39)
    events = draw_events(rng, 600_000)
    save(Path("gen.npz"), events, w=np.where(np.arange(600_000) == 599_999, -1.0, 1.0))
    save(Path("holdout.npz"), draw_events(rng, 1000))
    results = run(
        Path("run"), "gen.npz", "holdout.npz", "--summary", "ratio:t", "--weight-column", "w"
    )
    assert [w for w in results["warnings"] if "negative" in w]


def test_negative_weights_early_in_the_file_are_told(elsewhere):
    """The same among the first events, which teach."""
    rng = np.random.default_rng(40)
    save(Path("gen.npz"), draw_events(rng, 10_000), w=np.where(np.arange(10_000) < 50, -1.0, 1.0))
    save(Path("holdout.npz"), draw_events(rng, 1000))
    results = run(Path("run"), "gen.npz", "holdout.npz", "--columns", "x0", "--weight-column", "w")
    assert [w for w in results["warnings"] if "negative" in w]


def test_nothing_is_overwritten(small, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "results.json").write_text("precious")
    message = fails(capsys, *call(*small, "--summary", "ratio:t", "--out", out))
    assert (
        "nothing is overwritten" in message
        and (out / "results.json").read_text() == "precious"
        and not (out / "report.html").exists()
    )


# warnings and page


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_what_was_not_checked_or_is_short_is_told(summary, tmp_path, capsys):
    """No --train, and fewer than 10 generated events per holdout event: each has its warning, in
    the results and on standard error.
    """
    rng = np.random.default_rng(41)
    generated, holdout, train = (
        draw_events(rng, 10_000),
        draw_events(rng, 1100),
        draw_events(rng, 1000),
    )
    gen, short, long = (
        save(tmp_path / f"{name}.npz", e)
        for name, e in (("gen", generated), ("short", take(holdout, slice(900))), ("long", holdout))
    )
    save(tmp_path / "train.npz", train)
    more = ("--summary", summary, "--columns", "x0", "x1")
    few = run(tmp_path / "few", gen, long, *more)
    error = capsys.readouterr().err
    enough = run(tmp_path / "enough", gen, short, *more, "--train", tmp_path / "train.npz")
    for words in ("--train", "ten times|10 times"):
        (warning,) = [w for w in few["warnings"] if re.search(words, w)]
        assert f"warning: {warning}" in error
        assert not [w for w in enough["warnings"] if re.search(words, w)]


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_page_is_self_contained_and_drawn_again(summary, small, tmp_path):
    (tmp_path / "regions.json").write_text('{"<i>tail</i> & more": {"x0": [0, null]}}')
    results = run(
        tmp_path / "run",
        *small,
        "--summary",
        summary,
        "--columns",
        "x0",
        "x1",
        "--regions",
        tmp_path / "regions.json",
    )
    path = tmp_path / "run" / "report.html"
    page = path.read_text()
    assert page.count("<svg") >= 2 and page.count("<svg") == page.count("</svg>")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["'#]|data:)""", page) and not re.findall(
        r"<link|<iframe|@import|url\((?!#)", page
    )
    assert page.count("<script") == 1
    for e in results["estimates"]:
        assert escape(e["verdict"]) in page
    assert (
        "<i>" not in page
        and results["warnings"]
        and all(escape(w) in page for w in results["warnings"])
    )
    path.unlink()
    main(["report", str(tmp_path / "run" / "results.json")])
    assert path.read_text() == page


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("name", ["<b>x</b>", "<script>1</script> & \"x\" 'y' {{ 7 }}"])
@pytest.mark.parametrize("summary", ["classifier", "column:{}"])
def test_column_names_are_escaped_on_the_page(summary, name, tmp_path):
    rng = np.random.default_rng(42)
    for file, n in (("gen", 2000), ("holdout", 500)):
        table = np.zeros(n, [(name, "f8"), ("y", "f8")])
        table[name], table["y"] = rng.normal(size=(2, n))
        np.save(tmp_path / f"{file}.npy", table)
    (tmp_path / "regions.json").write_text(json.dumps({f"{name} > 0": {name: [0, None]}}))
    more = (
        "--summary",
        summary.replace("{}", name),
        "--columns",
        name,
        "y",
        "--regions",
        tmp_path / "regions.json",
    )
    results = run(tmp_path / "run", tmp_path / "gen.npy", tmp_path / "holdout.npy", *more)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>" not in page and page.count("<script") == 1
    assert escape(f"In {name} > 0") in page and escape(name) in page
    assert any(name in e["region"] for e in results["estimates"])


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("label", ["$p_T$ > 5", r"$p_T > 5 \GeV$", "costs 1 $ and 2^$ or {"])
def test_labels_that_look_like_tex_are_drawn(label, small, tmp_path):
    (tmp_path / "regions.json").write_text(json.dumps({label: {"x0": [0, None]}}))
    run(tmp_path / "run", *small, "--summary", "ratio:t", "--regions", tmp_path / "regions.json")
    assert escape(f"In {label}") in (tmp_path / "run" / "report.html").read_text()


def test_cross_fit_wants_a_learned_summary(elsewhere, small, capsys):
    fails_as(capsys, "--cross-fit", *call(*small, "--cross-fit", "--summary", "column:x0"))
