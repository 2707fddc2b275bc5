"""`amplify differential` as a user meets it: files to verdict, against closed forms."""

import functools
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.stats import norm

from amplify.cli import main
from amplify.estimators.learned import cross_fit
from amplify.tables import files
from tests.commands.differential_files import (
    KEYS,
    N_EQUIV,
    N_EQUIV_IN_X,
    call,
    draw_events,
    no_constant,
    read,
    repeat_events,
    run,
    save,
    take,
)

# known truth


@pytest.mark.usefixtures("page")
def test_exact_ratio_covers_the_truth(truth, tmp_path, capsys):
    """False-alarm rate .001."""
    results = run(tmp_path / "run", *truth, "--summary", "ratio:t", "--level", "0.999")
    e, *_ = results["estimates"]
    assert results["schema"] == "amplify/1" and set(KEYS.split()) | {
        "amplification_interval",
        "status",
        "verdict",
    } <= set(e)
    assert e["method"] == "differential" and "t" in e["summary"] and e["level"] == 0.999
    assert (e["n_train"], e["n_gen"], e["n_holdout"]) == (1000, 300_000, 20_000) and {
        type(e[k]) for k in ("n_train", "n_gen", "n_holdout")
    } <= {int, float}
    low, high = e["n_equiv_interval"]
    assert (
        0 < low < N_EQUIV < high < np.inf
        and low < e["n_equiv"] < high
        and e["status"] == "resolved"
    )
    assert e["amplification"] == pytest.approx(e["n_equiv"] / 1000) and e[
        "amplification_interval"
    ] == pytest.approx([low / 1000, high / 1000])
    assert e["n_equiv"] == pytest.approx(
        (np.sqrt(np.pi / 2) * np.log(2) / e["distance"]) ** 2, rel=1e-6
    )
    assert [i["events"] for i in results["inputs"]] == [300_000, 20_000] and all(
        re.fullmatch("[0-9a-f]{64}", i["sha256"]) for i in results["inputs"]
    )
    assert "report.html" in capsys.readouterr().err


def test_exact_ratio_of_one_column(tmp_path):
    """The same where the files hold nothing but x and its ratio, the simplest of cases. False-alarm
    rate .001.
    """
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.1, 1, 300_000), rng.normal(size=20_000)
    samples = (
        save(tmp_path / "gen.npz", {"x": x, "t": 0.1 * x - 0.005}),
        save(tmp_path / "holdout.npz", {"x": y, "t": 0.1 * y - 0.005}),
    )
    e, *_ = run(tmp_path / "run", *samples, "--summary", "ratio:t", "--level", "0.999")["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]


def test_learned_limit_is_above_the_truth(truth, tmp_path):
    """False-alarm rate .001 or less: what a learned ratio misses raises the limit."""
    e, *_ = run(tmp_path / "run", *truth, "--columns", "x0", "--level", "0.999")["estimates"]
    assert (
        e["status"] == "upper_limit"
        and e["n_equiv_interval"][0] == 0
        and e["amplification_interval"][0] == 0
        and e["level"] == 0.999
    )
    assert e["n_equiv_interval"][1] > N_EQUIV and e["amplification_interval"][1] == pytest.approx(
        e["n_equiv_interval"][1] / 1000
    )
    assert "fewer than" in e["verdict"]


def test_learned_limit_is_below_three_times_the_truth(tmp_path):
    """60000 true events, as with 20000 of them the limit at .999 exceeds 3 n_equiv in a third of
    all samples: false-alarm rate .002.
    """
    rng = np.random.default_rng(13)
    samples = (
        save(tmp_path / "gen.npz", draw_events(rng, 600_000, 0.1)),
        save(tmp_path / "holdout.npz", draw_events(rng, 60_000)),
    )
    e, *_ = run(tmp_path / "run", *samples, "--columns", "x0", "--level", "0.999")["estimates"]
    assert N_EQUIV < e["n_equiv_interval"][1] < 3 * N_EQUIV


@pytest.mark.usefixtures("page")
def test_column_uses_calibrated_ks(tmp_path):
    """N(0, 1.1) in x differs nowhere at x = 0, but by .023 elsewhere. False-alarm rates .001
    (coverage) and .001 (seen at 80 %, as sqrt(n) D = 3.2).
    """
    rng = np.random.default_rng(14)
    samples = (
        save(tmp_path / "gen.npz", draw_events(rng, 300_000, width=1.1)),
        save(tmp_path / "holdout.npz", draw_events(rng, 20_000)),
    )
    e, *_ = run(tmp_path / "wide", *samples, "--summary", "column:x0", "--level", "0.999")[
        "estimates"
    ]
    assert e["n_equiv_interval"][0] < N_EQUIV_IN_X < (e["n_equiv_interval"][1] or np.inf)
    e, *_ = run(tmp_path / "narrow", *samples, "--summary", "column:x0", "--level", "0.8")[
        "estimates"
    ]
    assert (
        e["status"] == "resolved"
        and e["n_equiv_interval"][0] < e["n_equiv"] < e["n_equiv_interval"][1]
        and "x0" in e["summary"]
    )


def test_perfect_generator_has_no_upper_end(tmp_path):
    """Same distribution: status lower_limit at level .999, infinity is null. False-alarm rate .001
    each.
    """
    rng = np.random.default_rng(15)
    samples = (
        save(tmp_path / "gen.npz", draw_events(rng, 20_000)),
        save(tmp_path / "holdout.npz", draw_events(rng, 2000)),
    )
    for summary in ("ratio:t", "column:x1"):
        e, *_ = run(tmp_path / summary[:5], *samples, "--summary", summary, "--level", "0.999")[
            "estimates"
        ]
        assert (
            e["status"] == "lower_limit"
            and e["n_equiv_interval"][0] > 0
            and e["n_equiv_interval"][1] is None
            and e["amplification_interval"][1] is None
        )
    e, *_ = run(tmp_path / "learned", *samples, "--level", "0.999")["estimates"]
    assert (
        e["status"] == "unresolved"
        and e["n_equiv_interval"] == [0, None]
        and e["amplification_interval"] == [0, None]
    )


def test_weights_make_the_sample(truth, tmp_path):
    """N(0, 1) with weights exp(.1 x) is N(.1, 1). False-alarm rates .001 each."""
    rng = np.random.default_rng(16)
    events = draw_events(rng, 300_000)
    generated = save(tmp_path / "gen.npz", events, w=np.exp(0.1 * events["x0"]))
    more = ("--weight-column", "w", "--level", "0.999")
    results = run(tmp_path / "ratio", generated, truth[1], "--summary", "ratio:t", *more)
    e, *_ = results["estimates"]
    assert (
        e["status"] == "resolved" and e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]
    )
    assert [i["weighted"] for i in results["inputs"]] == [True, False] and "w" not in results[
        "inputs"
    ][0]["columns"]
    e, *_ = run(tmp_path / "learned", generated, truth[1], "--columns", "x0", *more)["estimates"]
    assert e["status"] == "upper_limit" and e["n_equiv_interval"][1] > N_EQUIV


def test_weighted_holdout(truth, tmp_path):
    """N(.1, 1) with weights exp(-.1 x) is N(0, 1), where the truth is weighted. False-alarm rate
    .001.
    """
    events = draw_events(np.random.default_rng(17), 20_000, 0.1)
    holdout = save(tmp_path / "holdout.npz", events, w=np.exp(-0.1 * events["x0"]))
    e, *_ = run(
        tmp_path / "run",
        truth[0],
        holdout,
        "--summary",
        "ratio:t",
        "--weight-column",
        "w",
        "--level",
        "0.999",
    )["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]


def test_integer_weights_are_repeated_events(tmp_path):
    rng = np.random.default_rng(18)
    generated, holdout = draw_events(rng, 10_000, 0.1), draw_events(rng, 1000)
    times_gen, times_holdout = rng.integers(0, 4, 10_000), rng.integers(1, 3, 1000)
    regions = tmp_path / "regions.json"
    regions.write_text('{"right": {"x0": [0, null]}}')
    more = ("--summary", "ratio:t", "--columns", "x0", "x1", "--regions", regions)
    weighted = (
        save(tmp_path / "gw.npz", generated, w=times_gen),
        save(tmp_path / "hw.npz", holdout, w=times_holdout),
    )
    repeated = (
        save(tmp_path / "gr.npz", repeat_events(generated, times_gen)),
        save(tmp_path / "hr.npz", repeat_events(holdout, times_holdout)),
    )
    a = run(tmp_path / "weighted", *weighted, *more, "--weight-column", "w")["estimates"]
    b = run(tmp_path / "repeated", *repeated, *more)["estimates"]
    assert len(a) == len(b) >= 1
    for one, other in zip(a, b, strict=True):
        assert (
            one["distance"] == pytest.approx(other["distance"], abs=1e-9)
            and one["region"] == other["region"]
        )


# files and chunks


@pytest.mark.parametrize("summary", ["ratio:x2", "column:x0", "classifier"])
def test_file_format_does_not_matter(summary, tmp_path):
    rng = np.random.default_rng(19)
    found = []
    samples = [
        np.stack(list(draw_events(rng, n, shift).values()), axis=1)
        for n, shift in ((20_000, 0.1), (2000, 0.0))
    ]
    for name, x in zip(("gen", "holdout"), samples, strict=True):
        np.save(tmp_path / f"{name}.npy", x)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("events", data=x, chunks=(1000, 3))
            for i in range(3):
                file[f"columns/x{i}"] = x[:, i]
    for suffix in (".npy", ".h5:events", ".h5:columns"):
        results = run(
            tmp_path / f"run{len(found)}",
            tmp_path / f"gen{suffix}",
            tmp_path / f"holdout{suffix}",
            "--summary",
            summary,
            "--columns",
            "x0",
            "x1",
        )
        found.append(
            {k: v for k, v in results.items() if k not in ("command", "settings", "inputs")}
        )
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_chunk_size_does_not_matter(summary, small, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", *small, "--summary", summary)
    short = functools.partial(files.chunks, size=777)
    for module in ("amplify.tables.files", "amplify.tables.overlap"):
        monkeypatch.setattr(f"{module}.chunks", short)
    pieces = run(tmp_path / "pieces", *small, "--summary", summary)
    assert pieces["estimates"] == whole["estimates"] and pieces["warnings"] == whole["warnings"]


def test_two_data_sets_of_one_file(tmp_path):
    rng = np.random.default_rng(20)
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["gen"], file["holdout"], file["train"] = (
            rng.normal(size=(10_000, 2)),
            rng.normal(size=(1000, 2)),
            rng.normal(size=(1000, 2)),
        )
    both = tmp_path / "both.h5"
    results = run(
        tmp_path / "run",
        f"{both}:gen",
        f"{both}:holdout",
        "--summary",
        "column:x0",
        "--train",
        f"{both}:train",
    )
    assert [i["events"] for i in results["inputs"]][:2] == [10_000, 1000]


def test_columns_come_by_name(tmp_path):
    """A holdout whose columns are in another order gives the same."""
    rng = np.random.default_rng(21)
    generated, holdout = draw_events(rng, 10_000, 0.5), draw_events(rng, 1000)
    gen, one = save(tmp_path / "gen.npz", generated), save(tmp_path / "one.npz", holdout)
    other = save(tmp_path / "other.npz", dict(reversed(holdout.items())))
    for summary in ("classifier", "ratio:t"):
        a, b = (
            run(tmp_path / f"{summary[:5]}-{h.stem}", gen, h, "--summary", summary)
            for h in (one, other)
        )
        assert a["estimates"] == b["estimates"]


# summaries


@pytest.mark.parametrize(("summary", "cases"), [("classifier", 2), ("mlp", 1), ("trees", 2)])
def test_learned_summaries_give_upper_limits_only(summary, cases, tmp_path):
    """A shift of .5 (D = .2) is seen for sure, none at the level .999 with a false-alarm rate of
    .001.
    """
    rng = np.random.default_rng(22)
    holdout = save(tmp_path / "holdout.npz", draw_events(rng, 1200))
    for shift, status, more in (
        (0.5, "upper_limit", ()),
        (0.0, "unresolved", ("--level", "0.999")),
    )[:cases]:
        generated = save(tmp_path / f"gen{shift}.npz", draw_events(rng, 2000, shift))
        e, *_ = run(
            tmp_path / f"run{shift}",
            generated,
            holdout,
            "--summary",
            summary,
            "--columns",
            "x0",
            "x1",
            *more,
        )["estimates"]
        assert (
            e["status"] == status
            and e["n_equiv_interval"][0] == 0
            and e["amplification_interval"][0] == 0
        )
        assert (e["n_equiv_interval"][1] is None) == (status == "unresolved") and e["level"] == (
            float(more[1]) if more else 0.9
        )


def test_log_prob_helps_and_is_a_column_of_both_files(tmp_path):
    """Where the density holds all there is to see, eight columns of noise do not hide it. D = .3:
    false-alarm rate below 1e-6.
    """
    rng = np.random.default_rng(23)
    samples = []
    for name, n, shift in (("gen", 20_000, 0.8), ("holdout", 1000, 0.0)):
        events = {f"x{i}": rng.normal(size=n) for i in range(8)}
        samples.append(save(tmp_path / f"{name}.npz", events, log_p=rng.normal(shift, 1, n)))
    results = run(tmp_path / "run", *samples, "--log-prob-column", "log_p")
    assert results["estimates"][0]["status"] == "upper_limit" and not [
        w for w in results["warnings"] if "--log-prob-column" in w
    ]
    columns = [f"x{i}" for i in range(8)]
    e, *_ = run(tmp_path / "without", *samples, "--columns", *columns, "--level", "0.999")[
        "estimates"
    ]
    assert e["status"] == "unresolved"


def test_level_widens_and_defaults_are_68_and_90(small, tmp_path):
    found = [
        run(tmp_path / f"run{level}", *small, "--summary", "ratio:t", *level)["estimates"][0]
        for level in ((), ("--level", "0.95"))
    ]
    assert [e["level"] for e in found] == [0.68, 0.95] and found[0]["n_equiv_interval"][0] > found[
        1
    ]["n_equiv_interval"][0] > 0
    assert run(tmp_path / "learned", *small)["estimates"][0]["level"] == 0.9


@pytest.mark.parametrize("summary", ["classifier", "ratio:t"])
def test_same_seed_same_file_and_json_is_the_same(summary, small, elsewhere, capsys):
    texts = []
    for _ in range(2):
        main([*call(*small, "--summary", summary, "--seed", "3", "--json", "-"), "--out", "run"])
        texts.append(Path("run/results.json").read_text())
        assert (
            json.loads(capsys.readouterr().out, parse_constant=no_constant) == json.loads(texts[-1])
            and json.loads(texts[-1])["seed"] == 3
        )
        shutil.rmtree("run")
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("page")
def test_json_goes_to_a_file_and_out_has_a_default(small, elsewhere, capsys):
    main(call(*small, "--summary", "ratio:t", "--json", "copy.json"))
    (out,) = Path("amplify-runs").iterdir()
    assert out.name.startswith("differential-") and read(out) == json.loads(
        Path("copy.json").read_text()
    )
    assert (out / "report.html").exists() and capsys.readouterr().out == ""


# regions


def test_region_covers_the_truth_of_the_cut_densities(truth, tmp_path):
    """x > 0: the ratio of the cut densities is 1 where .1 x - .005 = log(P_gen / P_true).
    False-alarm rate .001; n_train as counted in --train, exactly.
    """
    rng = np.random.default_rng(24)
    train = draw_events(rng, 5000, 0.0)
    save(tmp_path / "train.npz", train)
    (tmp_path / "regions.json").write_text(
        '{"right": {"x0": [0, null]}, "corner": {"x0": [0, null], "x1": [null, -1]}}'
    )
    more = ("--summary", "ratio:t", "--level", "0.999", "--regions", tmp_path / "regions.json")
    share_gen = norm.cdf(0.1)
    edge = (np.log(share_gen / 0.5) + 0.005) / 0.1
    distance = (norm.cdf(edge) - 0.5) / 0.5 - (norm.cdf(edge - 0.1) - norm.cdf(-0.1)) / share_gen
    actual = (np.sqrt(np.pi / 2) * np.log(2) / distance) ** 2
    results = run(tmp_path / "run", *truth, *more, "--train", tmp_path / "train.npz", n_train=5000)
    found = {e["region"]: e for e in results["estimates"]}
    right = found["right"]
    assert right["n_equiv_interval"][0] < actual < (right["n_equiv_interval"][1] or np.inf)
    inside = {"right": train["x0"] >= 0, "corner": (train["x0"] >= 0) & (train["x1"] < -1)}
    for label, rows in inside.items():
        e = found[label]
        assert e["amplification_interval"][0] == pytest.approx(
            e["n_equiv_interval"][0] / rows.sum(), rel=1e-6
        )
        assert label in e["verdict"]
    assert not [w for w in results["warnings"] if "--train" in w]
    without = next(
        e
        for e in run(tmp_path / "without", *truth, *more, n_train=5000)["estimates"]
        if e["region"] == "right"
    )
    assert without["n_equiv"] == right["n_equiv"] and without["amplification_interval"][
        0
    ] == pytest.approx(without["n_equiv_interval"][0] / 2500, rel=0.05)


def test_interval_covers_where_the_threshold_leaves_the_region(tmp_path):
    """The holdout's share of the region, from 500 events, may move the threshold out of it: then
    nothing is known, not much.

    40 samples of N(.03, 1) in x > 0: more than 10 of 40 intervals at .9 miss the truth with
    probability .0015.
    """
    shift, share_gen, missed = 0.03, norm.cdf(0.03), 0
    (tmp_path / "regions.json").write_text('{"right": {"x0": [0, null]}}')
    edge = np.log(share_gen / 0.5) / shift + shift / 2
    distance = (norm.cdf(edge) - 0.5) / 0.5 - (
        norm.cdf(edge - shift) - norm.cdf(-shift)
    ) / share_gen
    actual = (np.sqrt(np.pi / 2) * np.log(2) / distance) ** 2
    for seed in range(40):
        rng = np.random.default_rng(seed)
        samples = []
        for name, n, mean in (("gen", 10_000, shift), ("holdout", 1000, 0.0)):
            x = rng.normal(mean, 1, n)
            samples.append(
                save(
                    tmp_path / f"{name}.npz",
                    {"x0": x, "x1": rng.normal(size=n), "t": shift * x - shift**2 / 2},
                )
            )
        results = run(
            tmp_path / str(seed),
            *samples,
            "--summary",
            "ratio:t",
            "--level",
            "0.9",
            "--regions",
            tmp_path / "regions.json",
        )
        low, high = next(e for e in results["estimates"] if e["region"] == "right")[
            "n_equiv_interval"
        ]
        missed += not low < actual < (high or np.inf)
    assert missed <= 10


@pytest.mark.parametrize(("summary", "cut"), [("column:x1", "x0"), ("column:x0", "x0")])
def test_region_cuts_both_samples(summary, cut, tmp_path):
    """A region gives what the files cut by hand give, where it cuts on another column, and on that
    of the summary.
    """
    rng = np.random.default_rng(25)
    generated, holdout = draw_events(rng, 20_000, 0.3), draw_events(rng, 2000)
    gen, hold = save(tmp_path / "gen.npz", generated), save(tmp_path / "holdout.npz", holdout)
    (tmp_path / "regions.json").write_text(json.dumps({"right": {cut: [0, None]}}))
    results = run(
        tmp_path / "run", gen, hold, "--summary", summary, "--regions", tmp_path / "regions.json"
    )
    region = next(e for e in results["estimates"] if e["region"] == "right")
    by_hand = [
        save(tmp_path / f"{name}.npz", take(s, s[cut] >= 0))
        for name, s in (("gen_cut", generated), ("holdout_cut", holdout))
    ]
    e, *_ = run(tmp_path / "cut", *by_hand, "--summary", summary)["estimates"]
    for key in ("distance", "n_equiv", "n_equiv_interval", "status"):
        assert region[key] == e[key], key


def test_learned_regions(small, tmp_path):
    (tmp_path / "regions.json").write_text(
        '{"right": {"x0": [0, null]}, "left": {"x0": [null, 0]}}'
    )
    for e in run(
        tmp_path / "run", *small, "--columns", "x0", "x1", "--regions", tmp_path / "regions.json"
    )["estimates"]:
        assert e["status"] in ("upper_limit", "unresolved") and e["n_equiv_interval"][0] == 0


@pytest.mark.parametrize("summary", ["ratio:t", "column:x1", "classifier"])
def test_few_events_in_a_region_are_unresolved(summary, tmp_path):
    """80 holdout events in the tail and none in the void, however many are generated there."""
    rng = np.random.default_rng(26)
    generated, holdout = draw_events(rng, 20_000, 0.5), draw_events(rng, 2000)
    edge = float(np.sort(holdout["x0"])[-80])
    samples = save(tmp_path / "gen.npz", generated), save(tmp_path / "holdout.npz", holdout)
    (tmp_path / "regions.json").write_text(
        json.dumps(
            {"tail": {"x0": [edge, None]}, "void": {"x0": [50, None]}, "half": {"x0": [0, None]}}
        )
    )
    results = run(
        tmp_path / "run",
        *samples,
        "--summary",
        summary,
        "--columns",
        "x0",
        "x1",
        "--regions",
        tmp_path / "regions.json",
    )
    found = {e["region"]: e for e in results["estimates"]}
    for label in ("tail", "void"):
        assert (
            found[label]["status"] == "unresolved" and found[label]["n_equiv_interval"][1] is None
        )
    assert found["half"]["status"] != "unresolved"


# the same events twice


def test_cross_fit_is_one_more_estimate(tmp_path, monkeypatch):
    """N(.5, 1) against N(0, 1), D = .197: both limits are above n_equiv = 19.4 and finite. Twenty
    null experiments instead of 200.
    """
    monkeypatch.setattr(
        "amplify.analysis.differential.cross_fit", functools.partial(cross_fit, null_experiments=20)
    )
    rng = np.random.default_rng(60)
    generated, holdout = rng.normal(0.5, 1, (20_000, 1)), rng.normal(size=(1000, 1))
    np.save(tmp_path / "gen.npy", generated)
    np.save(tmp_path / "holdout.npy", holdout)
    estimates = run(
        tmp_path / "run", tmp_path / "gen.npy", tmp_path / "holdout.npy", "--cross-fit"
    )["estimates"]
    assert [e["summary"] for e in estimates if e["region"] == "all"] == [
        "learned likelihood ratio",
        "learned likelihood ratio, cross-fit",
    ]
    for e in (estimates[0], estimates[-1]):
        assert (
            e["status"] == "upper_limit"
            and 19.4 < e["n_equiv_interval"][1] < 60
            and e["region"] == "all"
        )
