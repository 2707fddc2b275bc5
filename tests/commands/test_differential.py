"""`amplify differential` as a user meets it: files to verdict, against closed forms."""

import functools
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from amplify.cli import main
from amplify.estimators.learned import cross_fit
from amplify.tables import reading
from tests.commands.samples import (
    KEYS,
    N_EQUIV,
    N_EQUIV_IN_X,
    RIGHT,
    STRICT,
    differential_call,
    draw_events,
    no_constant,
    read,
    repeat_events,
    save,
)
from tests.commands.samples import run_differential as run


def _pair(tmp_path, rng, n_gen, n_holdout, *gen, **generated):
    """Files of generated and of true events."""
    return (
        save(tmp_path / "gen.npz", draw_events(rng, n_gen, *gen, **generated)),
        save(tmp_path / "holdout.npz", draw_events(rng, n_holdout)),
    )


# known truth


@pytest.mark.usefixtures("page")
def test_exact_ratio_covers_the_truth(truth, tmp_path, capsys):
    """False-alarm rate .001."""
    results = run(tmp_path / "run", *truth, f"--summary ratio:t {STRICT}")
    e, *_ = results["estimates"]
    assert results["schema"] == "amplify/1" and set(KEYS.split()) <= set(e)
    assert e["method"] == "differential" and "t" in e["summary"] and e["level"] == 0.999
    sizes = e["n_train"], e["n_gen"], e["n_holdout"]
    assert sizes == (1000, 300_000, 20_000) and {type(size) for size in sizes} <= {int, float}
    low, high = e["n_equiv_interval"]
    assert 0 < low < N_EQUIV < high < np.inf and low < e["n_equiv"] < high
    assert e["status"] == "resolved"
    assert e["amplification"] == pytest.approx(e["n_equiv"] / 1000)
    assert e["amplification_interval"] == pytest.approx([low / 1000, high / 1000])
    from_distance = (np.sqrt(np.pi / 2) * np.log(2) / e["distance"]) ** 2
    assert e["n_equiv"] == pytest.approx(from_distance, rel=1e-6)
    assert [entry["events"] for entry in results["inputs"]] == [300_000, 20_000]
    assert all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in results["inputs"])
    assert "report.html" in capsys.readouterr().err


def test_exact_ratio_of_one_column(tmp_path):
    """The same where the files hold nothing but x and its ratio, the simplest of cases. False-alarm
    rate .001.
    """
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.1, 1, 300_000), rng.normal(size=20_000)
    generated = save(tmp_path / "gen.npz", {"x": x, "t": 0.1 * x - 0.005})
    holdout = save(tmp_path / "holdout.npz", {"x": y, "t": 0.1 * y - 0.005})
    results = run(tmp_path / "run", generated, holdout, f"--summary ratio:t {STRICT}")
    low, high = results["estimates"][0]["n_equiv_interval"]
    assert low < N_EQUIV < high


@pytest.mark.slow
def test_learned_limit_is_above_the_truth(truth, tmp_path):
    """False-alarm rate .001 or less: what a learned ratio misses raises the limit."""
    e, *_ = run(tmp_path / "run", *truth, f"--columns x0 {STRICT}")["estimates"]
    assert e["status"] == "upper_limit" and e["level"] == 0.999
    assert e["n_equiv_interval"][0] == e["amplification_interval"][0] == 0
    assert e["n_equiv_interval"][1] > N_EQUIV
    assert e["amplification_interval"][1] == pytest.approx(e["n_equiv_interval"][1] / 1000)
    assert "fewer than" in e["verdict"]


@pytest.mark.slow
def test_learned_limit_is_below_three_times_the_truth(tmp_path):
    """60000 true events, as with 20000 of them the limit at .999 exceeds 3 n_equiv in a third of
    all samples: false-alarm rate .002.
    """
    samples = _pair(tmp_path, np.random.default_rng(13), 600_000, 60_000, 0.1)
    e, *_ = run(tmp_path / "run", *samples, f"--columns x0 {STRICT}")["estimates"]
    assert N_EQUIV < e["n_equiv_interval"][1] < 3 * N_EQUIV


def test_column_uses_calibrated_ks(tmp_path):
    """N(0, 1.1) in x differs nowhere at x = 0, but by .023 elsewhere. False-alarm rates .001
    (coverage) and .001 (seen at 80 %, as sqrt(n) D = 3.2).
    """
    samples = _pair(tmp_path, np.random.default_rng(14), 300_000, 20_000, width=1.1)
    e, *_ = run(tmp_path / "wide", *samples, f"--summary column:x0 {STRICT}")["estimates"]
    low, high = e["n_equiv_interval"]
    assert low < N_EQUIV_IN_X < (high or np.inf)
    e, *_ = run(tmp_path / "narrow", *samples, "--summary column:x0 --level .8")["estimates"]
    low, high = e["n_equiv_interval"]
    assert e["status"] == "resolved" and low < e["n_equiv"] < high and "x0" in e["summary"]


def test_perfect_generator_has_no_upper_end(tmp_path):
    """Same distribution: status lower_limit at level .999, infinity is null. False-alarm rate .001
    each.
    """
    samples = _pair(tmp_path, np.random.default_rng(15), 20_000, 2000)
    for summary in ("ratio:t", "column:x1"):
        results = run(tmp_path / summary[:5], *samples, f"--summary {summary} {STRICT}")
        e, *_ = results["estimates"]
        assert e["status"] == "lower_limit" and e["n_equiv_interval"][0] > 0
        assert e["n_equiv"] is e["amplification"] is None
        assert e["n_equiv_interval"][1] is e["amplification_interval"][1] is None
    e, *_ = run(tmp_path / "learned", *samples, STRICT)["estimates"]
    assert e["status"] == "unresolved"
    assert e["n_equiv_interval"] == e["amplification_interval"] == [0, None]


@pytest.fixture
def weighted_truth(truth, tmp_path):
    """N(0, 1) with weights exp(.1 x), which is N(.1, 1), against true events."""
    events = draw_events(np.random.default_rng(16), 300_000)
    return save(tmp_path / "gen.npz", events, w=np.exp(0.1 * events["x0"])), truth[1]


def test_weights_make_the_sample(weighted_truth, tmp_path):
    """False-alarm rate .001."""
    more = f"--summary ratio:t --weight-column w {STRICT}"
    results = run(tmp_path / "run", *weighted_truth, more)
    e, *_ = results["estimates"]
    low, high = e["n_equiv_interval"]
    assert e["status"] == "resolved" and low < N_EQUIV < high
    assert [entry["weighted"] for entry in results["inputs"]] == [True, False]
    assert "w" not in results["inputs"][0]["columns"]


@pytest.mark.slow
def test_weights_make_the_sample_that_is_learned_from(weighted_truth, tmp_path):
    """False-alarm rate .001."""
    more = f"--columns x0 --weight-column w {STRICT}"
    e, *_ = run(tmp_path / "run", *weighted_truth, more)["estimates"]
    assert e["status"] == "upper_limit" and e["n_equiv_interval"][1] > N_EQUIV


def test_weighted_holdout(truth, tmp_path):
    """N(.1, 1) with weights exp(-.1 x) is N(0, 1), where the truth is weighted. False-alarm rate
    .001.
    """
    events = draw_events(np.random.default_rng(17), 20_000, 0.1)
    holdout = save(tmp_path / "holdout.npz", events, w=np.exp(-0.1 * events["x0"]))
    more = f"--summary ratio:t --weight-column w {STRICT}"
    e, *_ = run(tmp_path / "run", truth[0], holdout, more)["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]


def test_integer_weights_are_repeated_events(tmp_path):
    rng = np.random.default_rng(18)
    generated, holdout = draw_events(rng, 10_000, 0.1), draw_events(rng, 1000)
    times_gen, times_holdout = rng.integers(0, 4, 10_000), rng.integers(1, 3, 1000)
    regions = tmp_path / "regions.json"
    regions.write_text(RIGHT)
    more = ("--summary ratio:t --columns x0 x1 --regions", regions)
    weighted = (
        save(tmp_path / "gw.npz", generated, w=times_gen),
        save(tmp_path / "hw.npz", holdout, w=times_holdout),
    )
    repeated = (
        save(tmp_path / "gr.npz", repeat_events(generated, times_gen)),
        save(tmp_path / "hr.npz", repeat_events(holdout, times_holdout)),
    )
    with_weights = run(tmp_path / "weighted", *weighted, *more, "--weight-column w")["estimates"]
    without = run(tmp_path / "repeated", *repeated, *more)["estimates"]
    assert [e["region"] for e in with_weights] == [e["region"] for e in without] != []
    distances = [[e["distance"] for e in estimates] for estimates in (with_weights, without)]
    assert distances[0] == pytest.approx(distances[1], abs=1e-9)


# files and chunks


@pytest.mark.parametrize("summary", ["ratio:x2", "column:x0", "classifier"])
def test_file_format_does_not_matter(summary, tmp_path):
    rng = np.random.default_rng(19)
    for name, n, shift in (("gen", 6000, 0.1), ("holdout", 900, 0.0)):
        x = np.stack(list(draw_events(rng, n, shift).values()), axis=1)
        np.save(tmp_path / f"{name}.npy", x)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("events", data=x, chunks=(500, 3))
            for i in range(3):
                file[f"columns/x{i}"] = x[:, i]
    runs = []
    for suffix in (".npy", ".h5:events", ".h5:columns"):
        samples = (f"{tmp_path / name}{suffix}" for name in ("gen", "holdout"))
        out = tmp_path / f"run{len(runs)}"
        results = run(out, *samples, f"--summary {summary} --columns x0 x1")
        of_the_files = ("command", "settings", "inputs")
        runs.append({key: v for key, v in results.items() if key not in of_the_files})
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_chunk_size_does_not_matter(summary, small, tmp_path, monkeypatch):
    at_once = run(tmp_path / "at_once", *small, f"--summary {summary}")
    monkeypatch.setattr(reading, "CHUNK", 777)
    in_chunks = run(tmp_path / "in_chunks", *small, f"--summary {summary}")
    for key in ("estimates", "warnings"):
        assert in_chunks[key] == at_once[key]


def test_two_data_sets_of_one_file(tmp_path):
    rng, both = np.random.default_rng(20), tmp_path / "both.h5"
    with h5py.File(both, "w") as file:
        for name, n in (("gen", 10_000), ("holdout", 1000), ("train", 1000)):
            file[name] = rng.normal(size=(n, 2))
    more = f"--summary column:x0 --train {both}:train"
    results = run(tmp_path / "run", f"{both}:gen", f"{both}:holdout", more)
    assert [entry["events"] for entry in results["inputs"]][:2] == [10_000, 1000]


@pytest.mark.parametrize("summary", ["classifier", "ratio:t"])
def test_columns_come_by_name(summary, tmp_path):
    """A holdout whose columns are in another order gives the same."""
    rng = np.random.default_rng(21)
    generated = save(tmp_path / "gen.npz", draw_events(rng, 6000, 0.5))
    events = draw_events(rng, 900)
    holdouts = {"in order": events, "reversed": dict(reversed(events.items()))}
    first, second = (
        run(tmp_path / name, generated, save(tmp_path / "h.npz", columns), f"--summary {summary}")
        for name, columns in holdouts.items()
    )
    assert first["estimates"] == second["estimates"]


# summaries


@pytest.mark.parametrize(
    ("summary", "shift", "status"),
    [
        ("classifier", 0.5, "upper_limit"),
        ("classifier", 0.0, "unresolved"),
        pytest.param("mlp", 0.5, "upper_limit", marks=pytest.mark.slow),
        ("trees", 0.5, "upper_limit"),
        pytest.param("trees", 0.0, "unresolved", marks=pytest.mark.slow),
    ],
)
def test_learned_summaries_give_upper_limits_only(summary, shift, status, tmp_path):
    """A shift of .5 (D = .2) is seen for sure, none at the level .999 with a false-alarm rate of
    .001.
    """
    samples = _pair(tmp_path, np.random.default_rng(22), 2000, 1200, shift)
    level = 0.95 if shift else 0.999
    more = f"--summary {summary} --columns x0 x1 --limit-level {level}"
    e, *_ = run(tmp_path / "run", *samples, more)["estimates"]
    assert e["status"] == status and e["limit_level"] == level
    assert e["n_equiv"] is None and e["amplification"] is None  # a limit has no value beside it
    assert e["n_equiv_interval"][0] == e["amplification_interval"][0] == 0
    assert (e["n_equiv_interval"][1] is None) == (status == "unresolved")


@pytest.mark.slow
def test_log_prob_helps_and_is_a_column_of_both_files(tmp_path):
    """Where the density holds all there is to see, eight columns of noise do not hide it. D = .3:
    false-alarm rate below 1e-6.
    """
    rng = np.random.default_rng(23)
    samples = []
    for name, n, shift in (("gen", 20_000, 0.8), ("holdout", 1000, 0.0)):
        events = {f"x{i}": rng.normal(size=n) for i in range(8)}
        samples.append(save(tmp_path / f"{name}.npz", events, log_p=rng.normal(shift, 1, n)))
    results = run(tmp_path / "run", *samples, "--log-prob-column log_p")
    assert results["estimates"][0]["status"] == "upper_limit"
    assert not any("--log-prob-column" in warning for warning in results["warnings"])
    columns = " ".join(f"x{i}" for i in range(8))
    without = run(tmp_path / "without", *samples, f"--columns {columns} {STRICT}")
    assert without["estimates"][0]["status"] == "unresolved"


def test_level_widens_and_defaults_are_68_and_95(small, tmp_path):
    usual, wide = (
        run(tmp_path / f"run{level[-2:]}", *small, "--summary ratio:t", level)["estimates"][0]
        for level in ("", "--level .95")
    )
    assert [usual["level"], wide["level"]] == [0.68, 0.95]
    assert usual["n_equiv_interval"][0] > wide["n_equiv_interval"][0] > 0


def test_limit_level_widens_limits(tmp_path):
    """A shift of .5 (D = .2) is seen for sure."""
    samples = _pair(tmp_path, np.random.default_rng(24), 20_000, 2000, 0.5)
    usual, strict = (
        run(tmp_path / f"learned{level[-3:]}", *samples, "--columns x0", level)["estimates"][0]
        for level in ("", "--limit-level .99")
    )
    assert [usual["limit_level"], strict["limit_level"]] == [0.95, 0.99]
    assert "one-sided limit at 95 %" in usual["verdict"]
    assert usual["n_equiv_interval"][1] < strict["n_equiv_interval"][1]


@pytest.mark.parametrize("summary", ["classifier", "ratio:t"])
def test_same_seed_same_file_and_json_is_the_same(summary, small, elsewhere, capsys):
    texts = []
    for _ in range(2):
        call = differential_call(*small, f"--summary {summary} --seed 3 --json - --out run")
        main(call)
        texts.append(Path("run/results.json").read_text())
        results = json.loads(texts[-1])
        printed = json.loads(capsys.readouterr().out, parse_constant=no_constant)
        assert printed == results and results["seed"] == 3
        shutil.rmtree("run")
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("page")
def test_json_goes_to_a_file_and_out_has_a_default(small, elsewhere, capsys):
    main(differential_call(*small, "--summary ratio:t --json copy.json"))
    (out,) = Path("amplify-runs").iterdir()
    assert out.name.startswith("differential-") and (out / "report.html").exists()
    copied, written = json.loads(Path("copy.json").read_text()), read(out)
    assert [i["path"] for i in copied["inputs"]] == ["gen.npz", "holdout.npz"]  # seen from there
    for results in (copied, written):
        del results["inputs"], results["settings"]
    assert copied == written
    assert capsys.readouterr().out == ""


# regions


def test_a_summary_may_have_a_name(small, tmp_path):
    results = run(tmp_path / "run", *small, "--summary column:s=x0+x1")
    assert results["estimates"][0]["summary"] == "observable s=x0+x1"


# the same events twice


@pytest.mark.slow
def test_cross_fit_is_one_more_estimate(tmp_path, monkeypatch):
    """N(.5, 1) against N(0, 1), D = .197: both limits are above n_equiv = 19.4 and finite. Twenty
    null experiments instead of 200.
    """
    monkeypatch.setattr(
        "amplify.analysis.cross_fitted.cross_fit", functools.partial(cross_fit, null_experiments=20)
    )
    rng = np.random.default_rng(60)
    np.save(tmp_path / "gen.npy", rng.normal(0.5, 1, (20_000, 1)))
    np.save(tmp_path / "holdout.npy", rng.normal(size=(1000, 1)))
    samples = tmp_path / "gen.npy", tmp_path / "holdout.npy"
    estimates = run(tmp_path / "run", *samples, "--cross-fit")["estimates"]
    assert [e["summary"] for e in estimates if e["region"] == "all"] == [
        "learned likelihood ratio",
        "learned likelihood ratio, cross-fit",
    ]
    for e in (estimates[0], estimates[-1]):
        assert e["region"] == "all" and e["status"] == "upper_limit"
        assert 19.4 < e["n_equiv_interval"][1] < 60


def test_approximate_is_an_option(tmp_path, capsys):
    files = _pair(tmp_path, np.random.default_rng(9), 20_000, 5000)
    results = run(tmp_path / "run", *files, "--summary column:x0 --approximate 0.001")
    assert results["settings"]["approximate"] == 0.001
    assert max(results["approximation"]["distance_error"]) <= 0.001
    with pytest.raises(SystemExit, match="2"):
        main(differential_call(*files, "--summary column:x0 --approximate 0.5"))
    assert "error: --approximate: expected an error between" in capsys.readouterr().err
