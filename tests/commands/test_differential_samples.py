"""`amplify differential` and samples that are small, weighted or short: claims, warnings, the
page.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from amplify.cli import main
from tests.commands.samples import differential_call, draw_events, fails, read, save, take
from tests.commands.samples import run_differential as run

X = "--columns x0 x1"


# small samples


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("n_holdout", [1, 30])
@pytest.mark.parametrize(
    "summary",
    ["ratio:t", "column:x0", "classifier", "trees", pytest.param("mlp", marks=pytest.mark.slow)],
)
def test_a_tiny_holdout_claims_nothing(summary, n_holdout, elsewhere, capsys):
    rng = np.random.default_rng(36)
    samples = (
        save("gen.npz", draw_events(rng, 3000, 1.0)),
        save("holdout.npz", draw_events(rng, n_holdout)),
    )
    Path("regions.json").write_text('{"right": {"x1": [0, null]}}')
    call = differential_call(*samples, f"--summary {summary} {X} --regions regions.json --out run")
    try:
        main(call)
    except SystemExit as stop:
        error = capsys.readouterr().err
        assert stop.code == 2 and error.count("\n") == 1 and error.startswith("error: ")
        assert not Path("run").exists()
    else:
        assert "Traceback" not in capsys.readouterr().err
        for e in read(Path("run"))["estimates"]:
            assert e["status"] == "unresolved" and e["n_equiv_interval"][1] is None
        assert Path("run/report.html").exists()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_tiny_generated_samples_claim_nothing(summary, elsewhere):
    rng = np.random.default_rng(37)
    generated = save("gen.npz", draw_events(rng, 30, 1.0))
    holdout = save("holdout.npz", draw_events(rng, 1000))
    results = run(Path("run"), generated, holdout, f"--summary {summary} {X}")
    assert {e["status"] for e in results["estimates"]} == {"unresolved"}


# negative weights


def _negative_told(results):
    return any("negative" in warning for warning in results["warnings"])


def _with_cancelling(events, extra):
    """Events with weight 1, and some with weight 1 that their copies of weight -1 take away."""
    together = {k: np.concatenate([v, extra[k], extra[k]]) for k, v in events.items()}
    counts = len(events["t"]), len(extra["t"]), len(extra["t"])
    return together | {"w": np.repeat([1.0, 1.0, -1.0], counts)}


@pytest.mark.parametrize("which", ["gen", "holdout"])
def test_negative_weights_are_honoured_with_a_warning(which, tmp_path):
    """Each event of N(3, 1) with weight 1 is taken away again by its copy of weight -1: the
    distance is that without them.
    """
    rng = np.random.default_rng(38)
    events = {"gen": draw_events(rng, 3000, 0.1), "holdout": draw_events(rng, 2000)}
    extra = draw_events(rng, 500, 3.0)
    plain_samples, samples = [], []
    for name, sample in events.items():
        weighted = sample | {"w": np.ones(len(sample["t"]))}
        if name == which:
            weighted = _with_cancelling(sample, extra)
        plain_samples.append(save(tmp_path / f"plain_{name}.npz", sample))
        samples.append(save(tmp_path / f"{name}.npz", weighted))
    plain = run(tmp_path / "plain", *plain_samples, f"--summary ratio:t {X}")
    results = run(tmp_path / "run", *samples, f"--summary ratio:t {X} --weight-column w")
    assert _negative_told(results) and not _negative_told(plain)
    expected = plain["estimates"][0]["distance"]
    assert results["estimates"][0]["distance"] == pytest.approx(expected, abs=1e-9)
    learned = run(tmp_path / "learned", *samples, f"{X} --weight-column w")
    assert _negative_told(learned) and learned["estimates"][0]["n_equiv_interval"][0] == 0


def test_negative_weights_late_in_the_file_are_told(elsewhere):
    """One negative weight, the last of 600000 events."""
    rng, n = np.random.default_rng(39), 600_000
    generated = save("gen.npz", draw_events(rng, n), w=np.where(np.arange(n) == n - 1, -1.0, 1.0))
    holdout = save("holdout.npz", draw_events(rng, 1000))
    assert _negative_told(
        run(Path("run"), generated, holdout, "--summary ratio:t --weight-column w")
    )


def test_negative_weights_early_in_the_file_are_told(elsewhere):
    """The same among the first events, which teach."""
    rng, n = np.random.default_rng(40), 10_000
    generated = save("gen.npz", draw_events(rng, n), w=np.where(np.arange(n) < 50, -1.0, 1.0))
    holdout = save("holdout.npz", draw_events(rng, 1000))
    assert _negative_told(run(Path("run"), generated, holdout, "--columns x0 --weight-column w"))


# warnings and page


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_too_few_generated_events_are_told(summary, tmp_path, capsys):
    """Fewer than 10 per holdout event have a warning, in the results and on standard error; no
    warning is left where nothing is wrong.
    """
    rng = np.random.default_rng(41)
    holdout = draw_events(rng, 1100)
    generated = save(tmp_path / "gen.npz", draw_events(rng, 10_000))
    long = save(tmp_path / "long.npz", holdout)
    short = save(tmp_path / "short.npz", take(holdout, slice(900)))
    more = f"--summary {summary} {X}"
    few = run(tmp_path / "few", generated, long, more)
    error = capsys.readouterr().err
    enough = run(tmp_path / "enough", generated, short, more)
    (warning,) = few["warnings"]
    assert "ten times" in warning and f"warning: {warning}" in error
    assert enough["warnings"] == []


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize(
    "summary",
    [
        pytest.param("ratio:t", marks=pytest.mark.slow),
        pytest.param("column:x0", marks=pytest.mark.slow),
        "classifier",
    ],
)
def test_page_is_self_contained_and_drawn_again(summary, small, tmp_path):
    regions = tmp_path / "regions.json"
    regions.write_text('{"<i>tail</i> & more": {"x0": [0, null]}}')
    more = (f"--summary {summary} {X} --regions", regions)
    results = run(tmp_path / "run", *small, *more)
    path = tmp_path / "run" / "report.html"
    page = path.read_text()
    assert page.count("<svg") >= 2 and page.count("<svg") == page.count("</svg>")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["'#]|data:)""", page)
    assert not re.findall(r"<link|<iframe|@import|url\((?!#)", page)
    assert page.count("<script") == 1 and "<i>" not in page and results["warnings"]
    for text in [*results["warnings"], *(e["verdict"] for e in results["estimates"])]:
        assert escape(text) in page
    path.unlink()
    main(["report", str(tmp_path / "run" / "results.json")])
    assert path.read_text() == page


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("name", ["<b>x</b>", "<script>1</script> & \"x\" 'y' {{ 7 }}"])
@pytest.mark.parametrize(
    "summary", ["classifier", pytest.param("column:{}", marks=pytest.mark.slow)]
)
def test_column_names_are_escaped_on_the_page(summary, name, tmp_path):
    rng = np.random.default_rng(42)
    samples = []
    for file, n in (("gen", 2000), ("holdout", 500)):
        table = np.zeros(n, [(name, "f8"), ("y", "f8")])
        table[name], table["y"] = rng.normal(size=(2, n))
        samples.append(tmp_path / f"{file}.npy")
        np.save(samples[-1], table)
    regions = tmp_path / "regions.json"
    regions.write_text(json.dumps({f"{name} > 0": {name: [0, None]}}))
    summary = shlex.quote(summary.replace("{}", name))
    more = (f"--summary {summary} --columns {shlex.quote(name)} y --regions", regions)
    results = run(tmp_path / "run", *samples, *more)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>" not in page and page.count("<script") == 1
    assert escape(f"In {name} > 0") in page and escape(name) in page
    assert any(name in e["region"] for e in results["estimates"])


@pytest.mark.slow
@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("label", ["$p_T$ > 5", r"$p_T > 5 \GeV$", "costs 1 $ and 2^$ or {"])
def test_labels_that_look_like_tex_are_drawn(label, small, tmp_path):
    regions = tmp_path / "regions.json"
    regions.write_text(json.dumps({label: {"x0": [0, None]}}))
    run(tmp_path / "run", *small, "--summary ratio:t --regions", regions)
    assert escape(f"In {label}") in (tmp_path / "run" / "report.html").read_text()


def test_nothing_is_overwritten(small, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "results.json").write_text("precious")
    line = fails(capsys, *differential_call(*small, "--summary ratio:t --out", out))
    assert "nothing is overwritten" in line and not (out / "report.html").exists()
    assert (out / "results.json").read_text() == "precious"
