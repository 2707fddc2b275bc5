"""`amplify differential` as a user meets it: files to verdict, against closed forms; wrong input to one line."""

import functools
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from markupsafe import escape
from scipy.stats import norm

from amplify.cli import main
from amplify.data import files

KEYS = "method region summary members n_train n_gen n_holdout integral sigma_stat sigma_model distance n_equiv n_equiv_interval level amplification"
N_EQUIV, N_EQUIV_IN_X = 474.58, 1421.10  # N(.1, 1) in the exact ratio, N(0, 1.1) in x (method.md section 6)


def _no_constant(text):
    raise AssertionError(f"{text} in results.json")


def _read(directory):
    return json.loads((directory / "results.json").read_text(), parse_constant=_no_constant)


def _words(generated, holdout, *more, n_train=1000):
    return ["differential", "--generated", str(generated), "--holdout", str(holdout), "--n-train", str(n_train), *map(str, more)]


def _run(out, generated, holdout, *more, n_train=1000):
    main([*_words(generated, holdout, *more, n_train=n_train), "--out", str(out)])
    return _read(out)


def _fails(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == "" and captured.err.count("\n") == 1 and captured.err.startswith("error: "), captured.err
    return captured.err


def _fails_as(capsys, words, *arguments):
    """One line that names `words` and has all its parts."""
    line = _fails(capsys, *arguments)
    assert words in line and ": expected " in line and ", got " in line and "; " in line, line


def _events(rng, n, shift=0.0, width=1.0):
    """x0 from N(shift, width), x1 from N(0, 1), t the exact log-ratio of N(.1, 1) and N(0, 1)."""
    x = rng.normal(shift, width, n)
    return {"x0": x, "x1": rng.normal(size=n), "t": 0.1 * x - 0.005}


def _save(path, events, **more):
    np.savez(path, **events, **more)
    return path


def _take(events, rows):
    return {name: values[rows] for name, values in events.items()}


def _repeated(events, times):
    return {name: np.repeat(values, times) for name, values in events.items()}


@pytest.fixture
def page():
    """For tests that draw the page."""


@pytest.fixture(autouse=True)
def _drawing_takes_a_second(request, monkeypatch):
    if "page" not in request.fixturenames:
        monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The files of the closed form: 300000 generated events of N(.1, 1), 20000 true ones of N(0, 1)."""
    directory, rng = tmp_path_factory.mktemp("truth"), np.random.default_rng(11)
    return _save(directory / "gen.npz", _events(rng, 300_000, 0.1)), _save(directory / "holdout.npz", _events(rng, 20_000))


@pytest.fixture
def small(tmp_path):
    """A small pair of samples in x0, x1, t."""
    rng = np.random.default_rng(12)
    return _save(tmp_path / "gen.npz", _events(rng, 4000, 0.1)), _save(tmp_path / "holdout.npz", _events(rng, 1000))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Runs in a directory of its own, so that nothing can be written unseen."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# known truth


@pytest.mark.usefixtures("page")
def test_exact_ratio_covers_the_truth(truth, tmp_path, capsys):
    """False-alarm rate .001."""
    results = _run(tmp_path / "run", *truth, "--summary", "ratio:t", "--level", "0.999")
    (e,) = results["estimates"]
    assert results["schema"] == "amplify/1" and set(KEYS.split()) | {"amplification_interval", "status", "verdict"} <= set(e)
    assert e["method"] == "differential" and "t" in e["summary"] and e["level"] == 0.999
    assert (e["n_train"], e["n_gen"], e["n_holdout"]) == (1000, 300_000, 20_000) and {type(e[k]) for k in ("n_train", "n_gen", "n_holdout")} <= {int, float}
    low, high = e["n_equiv_interval"]
    assert 0 < low < N_EQUIV < high < np.inf and low < e["n_equiv"] < high and e["status"] == "resolved"
    assert e["amplification"] == pytest.approx(e["n_equiv"] / 1000) and e["amplification_interval"] == pytest.approx([low / 1000, high / 1000])
    assert e["n_equiv"] == pytest.approx((np.sqrt(np.pi / 2) * np.log(2) / e["distance"]) ** 2, rel=1e-6)
    assert [i["events"] for i in results["inputs"]] == [300_000, 20_000] and all(re.fullmatch("[0-9a-f]{64}", i["sha256"]) for i in results["inputs"])
    assert "report.html" in capsys.readouterr().err


def test_exact_ratio_of_one_column(tmp_path):
    """The same where the files hold nothing but x and its ratio, the simplest of cases. False-alarm rate .001."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.1, 1, 300_000), rng.normal(size=20_000)
    samples = _save(tmp_path / "gen.npz", {"x": x, "t": 0.1 * x - 0.005}), _save(tmp_path / "holdout.npz", {"x": y, "t": 0.1 * y - 0.005})
    (e,) = _run(tmp_path / "run", *samples, "--summary", "ratio:t", "--level", "0.999")["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]


def test_learned_limit_is_above_the_truth(truth, tmp_path):
    """False-alarm rate .001 or less: what a learned ratio misses raises the limit."""
    (e,) = _run(tmp_path / "run", *truth, "--columns", "x0", "--level", "0.999")["estimates"]
    assert e["status"] == "upper_limit" and e["n_equiv_interval"][0] == 0 and e["amplification_interval"][0] == 0 and e["level"] == 0.999
    assert e["n_equiv_interval"][1] > N_EQUIV and e["amplification_interval"][1] == pytest.approx(e["n_equiv_interval"][1] / 1000)
    assert "fewer than" in e["verdict"]


def test_learned_limit_is_below_three_times_the_truth(tmp_path):
    """60000 true events, as with 20000 of them the limit at .999 exceeds 3 n_equiv in a third of all samples: false-alarm rate .002."""
    rng = np.random.default_rng(13)
    samples = _save(tmp_path / "gen.npz", _events(rng, 600_000, 0.1)), _save(tmp_path / "holdout.npz", _events(rng, 60_000))
    (e,) = _run(tmp_path / "run", *samples, "--columns", "x0", "--level", "0.999")["estimates"]
    assert N_EQUIV < e["n_equiv_interval"][1] < 3 * N_EQUIV


@pytest.mark.usefixtures("page")
def test_column_uses_calibrated_ks(tmp_path):
    """N(0, 1.1) in x differs nowhere at x = 0, but by .023 elsewhere. False-alarm rates .001 (coverage) and .001 (seen at 80 %, as sqrt(n) D = 3.2)."""
    rng = np.random.default_rng(14)
    samples = _save(tmp_path / "gen.npz", _events(rng, 300_000, width=1.1)), _save(tmp_path / "holdout.npz", _events(rng, 20_000))
    (e,) = _run(tmp_path / "wide", *samples, "--summary", "column:x0", "--level", "0.999")["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV_IN_X < (e["n_equiv_interval"][1] or np.inf)
    (e,) = _run(tmp_path / "narrow", *samples, "--summary", "column:x0", "--level", "0.8")["estimates"]
    assert e["status"] == "resolved" and e["n_equiv_interval"][0] < e["n_equiv"] < e["n_equiv_interval"][1] and "x0" in e["summary"]


def test_perfect_generator_has_no_upper_end(tmp_path):
    """Same distribution: status lower_limit at level .999, infinity is null. False-alarm rate .001 each."""
    rng = np.random.default_rng(15)
    samples = _save(tmp_path / "gen.npz", _events(rng, 20_000)), _save(tmp_path / "holdout.npz", _events(rng, 2000))
    for summary in ("ratio:t", "column:x1"):
        (e,) = _run(tmp_path / summary[:5], *samples, "--summary", summary, "--level", "0.999")["estimates"]
        assert e["status"] == "lower_limit" and e["n_equiv_interval"][0] > 0 and e["n_equiv_interval"][1] is None and e["amplification_interval"][1] is None
    (e,) = _run(tmp_path / "learned", *samples, "--level", "0.999")["estimates"]
    assert e["status"] == "unresolved" and e["n_equiv_interval"] == [0, None] and e["amplification_interval"] == [0, None]


def test_weights_make_the_sample(truth, tmp_path):
    """N(0, 1) with weights exp(.1 x) is N(.1, 1). False-alarm rates .001 each."""
    rng = np.random.default_rng(16)
    events = _events(rng, 300_000)
    generated = _save(tmp_path / "gen.npz", events, w=np.exp(0.1 * events["x0"]))
    more = ("--weight-column", "w", "--level", "0.999")
    results = _run(tmp_path / "ratio", generated, truth[1], "--summary", "ratio:t", *more)
    (e,) = results["estimates"]
    assert e["status"] == "resolved" and e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]
    assert [i["weighted"] for i in results["inputs"]] == [True, False] and "w" not in results["inputs"][0]["columns"]
    (e,) = _run(tmp_path / "learned", generated, truth[1], "--columns", "x0", *more)["estimates"]
    assert e["status"] == "upper_limit" and e["n_equiv_interval"][1] > N_EQUIV


def test_weighted_holdout(truth, tmp_path):
    """N(.1, 1) with weights exp(-.1 x) is N(0, 1), where the truth is weighted. False-alarm rate .001."""
    events = _events(np.random.default_rng(17), 20_000, 0.1)
    holdout = _save(tmp_path / "holdout.npz", events, w=np.exp(-0.1 * events["x0"]))
    (e,) = _run(tmp_path / "run", truth[0], holdout, "--summary", "ratio:t", "--weight-column", "w", "--level", "0.999")["estimates"]
    assert e["n_equiv_interval"][0] < N_EQUIV < e["n_equiv_interval"][1]


def test_integer_weights_are_repeated_events(tmp_path):
    rng = np.random.default_rng(18)
    generated, holdout = _events(rng, 10_000, 0.1), _events(rng, 1000)
    times_gen, times_holdout = rng.integers(0, 4, 10_000), rng.integers(1, 3, 1000)
    regions = tmp_path / "regions.json"
    regions.write_text('{"right": {"x0": [0, null]}}')
    more = ("--summary", "ratio:t", "--columns", "x0", "x1", "--regions", regions)
    weighted = _save(tmp_path / "gw.npz", generated, w=times_gen), _save(tmp_path / "hw.npz", holdout, w=times_holdout)
    repeated = _save(tmp_path / "gr.npz", _repeated(generated, times_gen)), _save(tmp_path / "hr.npz", _repeated(holdout, times_holdout))
    a = _run(tmp_path / "weighted", *weighted, *more, "--weight-column", "w")["estimates"]
    b = _run(tmp_path / "repeated", *repeated, *more)["estimates"]
    assert len(a) == len(b) >= 1
    for one, other in zip(a, b, strict=True):
        assert one["distance"] == pytest.approx(other["distance"], abs=1e-9) and one["region"] == other["region"]


# files and chunks


@pytest.mark.parametrize("summary", ["ratio:x2", "column:x0", "classifier"])
def test_file_format_does_not_matter(summary, tmp_path):
    rng = np.random.default_rng(19)
    found = []
    samples = [np.stack(list(_events(rng, n, shift).values()), axis=1) for n, shift in ((20_000, 0.1), (2000, 0.0))]
    for name, x in zip(("gen", "holdout"), samples, strict=True):
        np.save(tmp_path / f"{name}.npy", x)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("events", data=x, chunks=(1000, 3))
            for i in range(3):
                file[f"columns/x{i}"] = x[:, i]
    for suffix in (".npy", ".h5:events", ".h5:columns"):
        results = _run(tmp_path / f"run{len(found)}", tmp_path / f"gen{suffix}", tmp_path / f"holdout{suffix}", "--summary", summary, "--columns", "x0", "x1")
        found.append({k: v for k, v in results.items() if k not in ("command", "settings", "inputs")})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_chunk_size_does_not_matter(summary, small, tmp_path, monkeypatch):
    whole = _run(tmp_path / "whole", *small, "--summary", summary)
    short = functools.partial(files.chunks, size=777)
    for module in ("amplify.data.files", "amplify.data.overlap"):
        monkeypatch.setattr(f"{module}.chunks", short)
    pieces = _run(tmp_path / "pieces", *small, "--summary", summary)
    assert pieces["estimates"] == whole["estimates"] and pieces["warnings"] == whole["warnings"]


def test_two_data_sets_of_one_file(tmp_path):
    rng = np.random.default_rng(20)
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["gen"], file["holdout"], file["train"] = rng.normal(size=(10_000, 2)), rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
    both = tmp_path / "both.h5"
    results = _run(tmp_path / "run", f"{both}:gen", f"{both}:holdout", "--summary", "column:x0", "--train", f"{both}:train")
    assert [i["events"] for i in results["inputs"]][:2] == [10_000, 1000]


def test_columns_come_by_name(tmp_path):
    """A holdout whose columns are in another order gives the same."""
    rng = np.random.default_rng(21)
    generated, holdout = _events(rng, 10_000, 0.5), _events(rng, 1000)
    gen, one = _save(tmp_path / "gen.npz", generated), _save(tmp_path / "one.npz", holdout)
    other = _save(tmp_path / "other.npz", dict(reversed(holdout.items())))
    for summary in ("classifier", "ratio:t"):
        a, b = (_run(tmp_path / f"{summary[:5]}-{h.stem}", gen, h, "--summary", summary) for h in (one, other))
        assert a["estimates"] == b["estimates"]


# summaries


@pytest.mark.parametrize(("summary", "cases"), [("classifier", 2), ("mlp", 1), ("trees", 2)])
def test_learned_summaries_give_upper_limits_only(summary, cases, tmp_path):
    """A shift of .5 (D = .2) is seen for sure, none at the level .999 with a false-alarm rate of .001."""
    rng = np.random.default_rng(22)
    holdout = _save(tmp_path / "holdout.npz", _events(rng, 1200))
    for shift, status, more in ((0.5, "upper_limit", ()), (0.0, "unresolved", ("--level", "0.999")))[:cases]:
        generated = _save(tmp_path / f"gen{shift}.npz", _events(rng, 2000, shift))
        (e,) = _run(tmp_path / f"run{shift}", generated, holdout, "--summary", summary, "--columns", "x0", "x1", *more)["estimates"]
        assert e["status"] == status and e["n_equiv_interval"][0] == 0 and e["amplification_interval"][0] == 0
        assert (e["n_equiv_interval"][1] is None) == (status == "unresolved") and e["level"] == (float(more[1]) if more else 0.9)


def test_log_prob_helps_and_is_a_column_of_both_files(tmp_path):
    """Where the density holds all there is to see, eight columns of noise do not hide it. D = .3: false-alarm rate below 1e-6."""
    rng = np.random.default_rng(23)
    samples = []
    for name, n, shift in (("gen", 20_000, 0.8), ("holdout", 1000, 0.0)):
        events = {f"x{i}": rng.normal(size=n) for i in range(8)}
        samples.append(_save(tmp_path / f"{name}.npz", events, log_p=rng.normal(shift, 1, n)))
    results = _run(tmp_path / "run", *samples, "--log-prob-column", "log_p")
    assert results["estimates"][0]["status"] == "upper_limit" and not [w for w in results["warnings"] if "--log-prob-column" in w]
    columns = [f"x{i}" for i in range(8)]
    (e,) = _run(tmp_path / "without", *samples, "--columns", *columns, "--level", "0.999")["estimates"]
    assert e["status"] == "unresolved"


def test_level_widens_and_defaults_are_68_and_90(small, tmp_path):
    found = [_run(tmp_path / f"run{level}", *small, "--summary", "ratio:t", *level)["estimates"][0] for level in ((), ("--level", "0.95"))]
    assert [e["level"] for e in found] == [0.68, 0.95] and found[0]["n_equiv_interval"][0] > found[1]["n_equiv_interval"][0] > 0
    assert _run(tmp_path / "learned", *small)["estimates"][0]["level"] == 0.9


@pytest.mark.parametrize("summary", ["classifier", "ratio:t"])
def test_same_seed_same_file_and_json_is_the_same(summary, small, elsewhere, capsys):
    texts = []
    for _ in range(2):
        main([*_words(*small, "--summary", summary, "--seed", "3", "--json", "-"), "--out", "run"])
        texts.append(Path("run/results.json").read_text())
        assert json.loads(capsys.readouterr().out, parse_constant=_no_constant) == json.loads(texts[-1]) and json.loads(texts[-1])["seed"] == 3
        shutil.rmtree("run")
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("page")
def test_json_goes_to_a_file_and_out_has_a_default(small, elsewhere, capsys):
    main(_words(*small, "--summary", "ratio:t", "--json", "copy.json"))
    (out,) = Path("amplify-runs").iterdir()
    assert out.name.startswith("differential-") and _read(out) == json.loads(Path("copy.json").read_text())
    assert (out / "report.html").exists() and capsys.readouterr().out == ""


# regions


def test_region_covers_the_truth_of_the_cut_densities(truth, tmp_path):
    """x > 0: the ratio of the cut densities is 1 where .1 x - .005 = log(P_gen / P_true). False-alarm rate .001; n_train as counted in --train, exactly."""
    rng = np.random.default_rng(24)
    train = _events(rng, 5000, 0.0)
    _save(tmp_path / "train.npz", train)
    (tmp_path / "regions.json").write_text('{"right": {"x0": [0, null]}, "corner": {"x0": [0, null], "x1": [null, -1]}}')
    more = ("--summary", "ratio:t", "--level", "0.999", "--regions", tmp_path / "regions.json")
    share_gen = norm.cdf(0.1)
    edge = (np.log(share_gen / 0.5) + 0.005) / 0.1
    distance = (norm.cdf(edge) - 0.5) / 0.5 - (norm.cdf(edge - 0.1) - norm.cdf(-0.1)) / share_gen
    actual = (np.sqrt(np.pi / 2) * np.log(2) / distance) ** 2
    results = _run(tmp_path / "run", *truth, *more, "--train", tmp_path / "train.npz", n_train=5000)
    found = {e["region"]: e for e in results["estimates"]}
    right = found["right"]
    assert right["n_equiv_interval"][0] < actual < (right["n_equiv_interval"][1] or np.inf)
    inside = {"right": train["x0"] >= 0, "corner": (train["x0"] >= 0) & (train["x1"] < -1)}
    for label, rows in inside.items():
        e = found[label]
        assert e["amplification_interval"][0] == pytest.approx(e["n_equiv_interval"][0] / rows.sum(), rel=1e-6)
        assert label in e["verdict"]
    assert not [w for w in results["warnings"] if "--train" in w]
    without = next(e for e in _run(tmp_path / "without", *truth, *more, n_train=5000)["estimates"] if e["region"] == "right")
    assert without["n_equiv"] == right["n_equiv"] and without["amplification_interval"][0] == pytest.approx(without["n_equiv_interval"][0] / 2500, rel=0.05)


def test_interval_covers_where_the_threshold_leaves_the_region(tmp_path):
    """The holdout's share of the region, from 500 events, may move the threshold out of it: then nothing is known, not much.

    40 samples of N(.03, 1) in x > 0: more than 10 of 40 intervals at .9 miss the truth with probability .0015.
    """
    shift, share_gen, missed = 0.03, norm.cdf(0.03), 0
    (tmp_path / "regions.json").write_text('{"right": {"x0": [0, null]}}')
    edge = np.log(share_gen / 0.5) / shift + shift / 2
    distance = (norm.cdf(edge) - 0.5) / 0.5 - (norm.cdf(edge - shift) - norm.cdf(-shift)) / share_gen
    actual = (np.sqrt(np.pi / 2) * np.log(2) / distance) ** 2
    for seed in range(40):
        rng = np.random.default_rng(seed)
        samples = []
        for name, n, mean in (("gen", 10_000, shift), ("holdout", 1000, 0.0)):
            x = rng.normal(mean, 1, n)
            samples.append(_save(tmp_path / f"{name}.npz", {"x0": x, "x1": rng.normal(size=n), "t": shift * x - shift**2 / 2}))
        results = _run(tmp_path / str(seed), *samples, "--summary", "ratio:t", "--level", "0.9", "--regions", tmp_path / "regions.json")
        low, high = next(e for e in results["estimates"] if e["region"] == "right")["n_equiv_interval"]
        missed += not low < actual < (high or np.inf)
    assert missed <= 10


@pytest.mark.parametrize(("summary", "cut"), [("column:x1", "x0"), ("column:x0", "x0")])
def test_region_cuts_both_samples(summary, cut, tmp_path):
    """A region gives what the files cut by hand give, where it cuts on another column, and on that of the summary."""
    rng = np.random.default_rng(25)
    generated, holdout = _events(rng, 20_000, 0.3), _events(rng, 2000)
    gen, hold = _save(tmp_path / "gen.npz", generated), _save(tmp_path / "holdout.npz", holdout)
    (tmp_path / "regions.json").write_text(json.dumps({"right": {cut: [0, None]}}))
    results = _run(tmp_path / "run", gen, hold, "--summary", summary, "--regions", tmp_path / "regions.json")
    region = next(e for e in results["estimates"] if e["region"] == "right")
    by_hand = [_save(tmp_path / f"{name}.npz", _take(s, s[cut] >= 0)) for name, s in (("gen_cut", generated), ("holdout_cut", holdout))]
    (e,) = _run(tmp_path / "cut", *by_hand, "--summary", summary)["estimates"]
    for key in ("distance", "n_equiv", "n_equiv_interval", "status"):
        assert region[key] == e[key], key


def test_learned_regions(small, tmp_path):
    (tmp_path / "regions.json").write_text('{"right": {"x0": [0, null]}, "left": {"x0": [null, 0]}}')
    for e in _run(tmp_path / "run", *small, "--columns", "x0", "x1", "--regions", tmp_path / "regions.json")["estimates"]:
        assert e["status"] in ("upper_limit", "unresolved") and e["n_equiv_interval"][0] == 0


@pytest.mark.parametrize("summary", ["ratio:t", "column:x1", "classifier"])
def test_few_events_in_a_region_are_unresolved(summary, tmp_path):
    """80 holdout events in the tail and none in the void, however many are generated there."""
    rng = np.random.default_rng(26)
    generated, holdout = _events(rng, 20_000, 0.5), _events(rng, 2000)
    edge = float(np.sort(holdout["x0"])[-80])
    samples = _save(tmp_path / "gen.npz", generated), _save(tmp_path / "holdout.npz", holdout)
    (tmp_path / "regions.json").write_text(json.dumps({"tail": {"x0": [edge, None]}, "void": {"x0": [50, None]}, "half": {"x0": [0, None]}}))
    results = _run(tmp_path / "run", *samples, "--summary", summary, "--columns", "x0", "x1", "--regions", tmp_path / "regions.json")
    found = {e["region"]: e for e in results["estimates"]}
    for label in ("tail", "void"):
        assert found[label]["status"] == "unresolved" and found[label]["n_equiv_interval"][1] is None
    assert found["half"]["status"] != "unresolved"


# the same events twice


@pytest.mark.parametrize(
    ("kind", "discrete"),
    [("path", False), ("copy", False), ("shuffled", False), ("float32", False), ("weighted", False), ("path", True), ("copy", True), ("shuffled", True)],
)
def test_identical_samples_are_refused(kind, discrete, elsewhere, capsys):
    rng = np.random.default_rng(27)
    x = rng.integers(0, 10, (2000, 1)) if discrete else rng.normal(size=(2000, 2))
    np.save("gen.npy", x)
    other = {"path": x, "copy": x, "shuffled": rng.permutation(x), "float32": x.astype(np.float32), "weighted": x}[kind]
    if kind == "weighted":
        np.savez("holdout.npz", w=np.ones(len(x)), **{f"x{i}": x[:, i] for i in range(x.shape[1])})
    else:
        np.save("holdout.npy", other)
    holdout = {"path": "../" + Path.cwd().name + "/gen.npy", "weighted": "holdout.npz"}.get(kind, "holdout.npy")
    more = ("--weight-column", "w") if kind == "weighted" else ()
    for summary in ("classifier", "column:x0"):
        line = _fails(capsys, *_words("gen.npy", holdout, "--summary", summary, *more))
        assert "gen.npy" in line and holdout in line and re.search("same|identical|different events", line), line
    assert not list(elsewhere.glob("**/results.json")) and not Path("amplify-runs").exists()


def test_identical_events_are_seen_beside_a_discrete_column(elsewhere, capsys):
    """--columns names what to learn from; the other columns still tell events apart."""
    rng = np.random.default_rng(28)
    events = {"pt": rng.exponential(size=2000), "jets": rng.integers(0, 10, 2000)}
    _save(Path("holdout.npz"), events)
    _save(Path("copy.npz"), _take(events, rng.permutation(2000)))
    _save(Path("gen.npz"), {"pt": rng.exponential(size=20_000), "jets": rng.integers(0, 10, 20_000)})
    more = ("--columns", "jets", "--summary", "column:jets")
    _fails_as(capsys, "copy.npz", *_words("copy.npz", "holdout.npz", *more))
    _fails_as(capsys, "copy.npz", *_words("gen.npz", "holdout.npz", *more, "--train", "copy.npz"))


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize(
    "case", ["plain", "few", "float32", "columns in another order", "one duplicate", "weights", "column of one", "weighted column of one", "ratio"]
)
def test_holdout_used_in_training_is_refused(case, share, elsewhere, capsys):
    """5 % of the holdout are events of the training file, or all are; the other columns, weights and precision of the files do not hide them."""
    rng = np.random.default_rng(29)
    n, n_train = (200, 2000) if case == "few" else (2000, 20_000)
    one = "column of one" in case
    names = ["x0"] if one else ["x0", "x1"]
    holdout, train, generated = ({name: rng.normal(size=m) for name in names} for m in (n, n_train, 20_000))
    if case == "one duplicate":
        holdout = _take(holdout, [1, *range(1, n)])
    common = int(share * n)
    for name in names:
        train[name][rng.permutation(n_train)[:common] if one else slice(100, 100 + common)] = holdout[name][n - common :]
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
        _save(Path(f"{name}.npz"), events)
    line = _fails(capsys, *_words("gen.npz", "holdout.npz", "--train", "train.npz", "--summary", summary, *more))
    assert "train.npz" in line and "holdout" in line and "training" in line, line
    assert not list(elsewhere.glob("**/results.json")) and not Path("amplify-runs").exists()


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize(("columns", "n_gen", "n_holdout"), [(1, 20_000, 1000), (2, 20_000, 1000), (4, 20_000, 1000), (6, 40_000, 500)])
def test_discrete_columns_are_no_overlap(columns, n_gen, n_holdout, dtype, tmp_path):
    """Integers 0..9 repeat by chance: 1e6 kinds of events make 20 pairs of 40000 generated and 500 true ones."""
    rng = np.random.default_rng(30)
    for name, n in (("gen", n_gen), ("holdout", n_holdout), ("train", n_gen)):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 10, (n, columns)).astype(dtype))
    samples = tmp_path / "gen.npy", tmp_path / "holdout.npy"
    results = _run(tmp_path / "run", *samples, "--train", tmp_path / "train.npy", "--summary", "column:x0", n_train=n_gen)
    assert results["estimates"][0]["status"] in ("resolved", "lower_limit")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n_holdout", [5000, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_continuous_column_is_no_overlap(dtype, n_holdout, seed, tmp_path):
    """Single precision has few enough numbers that about 20 of 300000 generated and 5000 true ones are equal by chance."""
    rng = np.random.default_rng(seed)
    for name, n in (("gen", 300_000), ("holdout", n_holdout)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=n).astype(dtype))
    results = _run(tmp_path / "run", tmp_path / "gen.npy", tmp_path / "holdout.npy", "--summary", "column:x0")
    assert results["estimates"][0]["n_holdout"] == n_holdout


# bad input


def test_bad_input_gives_one_line_and_exit_code_2(elsewhere, small, capsys):
    rng = np.random.default_rng(32)
    x, two = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
    nan, inf = rng.normal(size=(2, 1000, 2))
    nan[777, 1], inf[777, 0] = np.nan, np.inf
    broken = {"nan.npy": nan, "inf.npy": inf, "empty.npy": np.zeros((0, 2)), "gen.npy": x, "holdout.npy": two, "narrow.npy": two[:, :1]}
    for name, array in broken.items():
        np.save(name, array)
    Path("nothing.npy").touch()
    good = _words("gen.npy", "holdout.npy")
    named = _words(*small)
    cases = [
        ("missing.npy", _words("missing.npy", "holdout.npy")),
        ("missing.npy", _words("gen.npy", "missing.npy")),
        ("missing.npy", [*good, "--train", "missing.npy"]),
        ("missing.json", [*good, "--regions", "missing.json"]),
        ("nope", [*good, "--columns", "nope"]),
        ("nope", [*good, "--summary", "column:nope"]),
        ("nope", [*good, "--summary", "ratio:nope"]),
        ("forest", [*good, "--summary", "forest"]),
        ("column:", [*good, "--summary", "column:"]),
        ("ratio", [*good, "--summary", "ratio"]),
        ("log_p", [*named, "--log-prob-column", "log_p"]),
        ("narrow.npy", _words("gen.npy", "narrow.npy")),
        ("narrow.npy", _words("narrow.npy", "holdout.npy")),
        ("holdout.npy", _words(small[0], "holdout.npy")),
        ("narrow.npy", [*good, "--train", "narrow.npy"]),
        ("nan in row 777, column x1", _words("nan.npy", "holdout.npy")),
        ("nan in row 777, column x1", _words("gen.npy", "nan.npy")),
        ("nan in row 777, column x1", [*good, "--train", "nan.npy"]),
        ("inf in row 777, column x0", _words("inf.npy", "holdout.npy", "--summary", "column:x0")),
        ("--n-train", _words("gen.npy", "holdout.npy", n_train=0)),
        ("--n-train", _words("gen.npy", "holdout.npy", n_train=-5)),
        ("--fraction", [*good, "--fraction", "0"]),
        ("--fraction", [*good, "--fraction", "1"]),
        ("--fraction", [*good, "--fraction", "nan"]),
        ("level", [*good, "--level", "2"]),
        ("level", [*good, "--level", "0"]),
        ("level", [*good, "--level", "nan"]),
        ("level", [*good, "--level", "2", "--summary", "column:x0"]),
        ("column w", [*good, "--weight-column", "w"]),
        ("empty.npy", _words("empty.npy", "holdout.npy")),
        ("empty.npy", _words("gen.npy", "empty.npy")),
        ("nothing.npy", _words("gen.npy", "nothing.npy")),
    ]
    for words, arguments in cases:
        _fails_as(capsys, words, *arguments)
    assert "arguments" in _fails(capsys, "differential", "--generated", "gen.npy", "--holdout", "holdout.npy")
    assert not list(elsewhere.glob("**/results.json")) and not list(elsewhere.glob("**/report.html")) and not Path("amplify-runs").exists()


def test_nan_in_a_late_chunk(elsewhere, capsys):
    """The row counts from the start of the file, not of the chunk; a weight is checked too."""
    rng = np.random.default_rng(33)
    x = rng.normal(size=(300_000, 3))
    np.save("holdout.npy", rng.normal(size=(1000, 3)))
    for column in (1, 2):
        bad = x.copy()
        bad[290_001, column] = np.nan
        np.save(f"bad{column}.npy", bad)
    _fails_as(capsys, "nan in row 290001, column x1", *_words("bad1.npy", "holdout.npy", "--summary", "column:x0"))
    _fails_as(capsys, "nan in row 290001, column x2", *_words("bad2.npy", "holdout.npy", "--summary", "column:x0", "--weight-column", "x2"))


def test_missing_log_prob_in_one_file(elsewhere, capsys):
    rng = np.random.default_rng(34)
    _save(Path("with.npz"), _events(rng, 5000), log_p=rng.normal(size=5000))
    _save(Path("without.npz"), _events(rng, 1000))
    for samples in (("with.npz", "without.npz"), ("without.npz", "with.npz")):
        _fails_as(capsys, "without.npz", *_words(*samples, "--log-prob-column", "log_p"))
        _fails_as(capsys, "log_p", *_words(*samples, "--log-prob-column", "log_p", "--columns", "x0", "x1"))


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
@pytest.mark.parametrize("which", ["gen", "holdout", "both"])
def test_weights_that_are_all_zero(which, summary, elsewhere, capsys):
    rng = np.random.default_rng(35)
    for name, n in (("gen", 3000), ("holdout", 1000)):
        _save(Path(f"{name}.npz"), _events(rng, n), w=np.zeros(n) if which in (name, "both") else np.ones(n))
    assert "weight" in _fails(capsys, *_words("gen.npz", "holdout.npz", "--summary", summary, "--columns", "x0", "x1", "--weight-column", "w"))
    assert not list(elsewhere.glob("**/results.json"))


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("n_holdout", [1, 30])
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier", "mlp", "trees"])
def test_a_tiny_holdout_claims_nothing(summary, n_holdout, elsewhere, capsys):
    rng = np.random.default_rng(36)
    _save(Path("gen.npz"), _events(rng, 3000, 1.0))
    _save(Path("holdout.npz"), _events(rng, n_holdout))
    Path("regions.json").write_text('{"right": {"x1": [0, null]}}')
    try:
        main([*_words("gen.npz", "holdout.npz", "--summary", summary, "--columns", "x0", "x1", "--regions", "regions.json"), "--out", "run"])
    except SystemExit as stop:
        captured = capsys.readouterr()
        assert stop.code == 2 and captured.err.count("\n") == 1 and captured.err.startswith("error: ") and not Path("run").exists()
    else:
        for e in _read(Path("run"))["estimates"]:
            assert e["status"] == "unresolved" and e["n_equiv_interval"][1] is None and "Traceback" not in capsys.readouterr().err
        assert Path("run/report.html").exists()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_tiny_generated_samples_claim_nothing(summary, elsewhere):
    rng = np.random.default_rng(37)
    _save(Path("gen.npz"), _events(rng, 30, 1.0))
    _save(Path("holdout.npz"), _events(rng, 1000))
    results = _run(Path("run"), "gen.npz", "holdout.npz", "--summary", summary, "--columns", "x0", "x1")
    assert [e["status"] for e in results["estimates"]] == ["unresolved"]


def test_negative_weights_are_honoured_with_a_warning(tmp_path):
    """Each event of N(3, 1) with weight 1 is taken away again by its copy of weight -1: the distance is that without them."""
    rng = np.random.default_rng(38)
    generated, holdout, extra = _events(rng, 3000, 0.1), _events(rng, 2000), _events(rng, 500, 3.0)
    plain = _run(tmp_path / "plain", _save(tmp_path / "g.npz", generated), _save(tmp_path / "h.npz", holdout), "--summary", "ratio:t", "--columns", "x0", "x1")
    assert not [w for w in plain["warnings"] if "negative" in w]
    for which in ("gen", "holdout"):
        samples = []
        for name, events in (("gen", generated), ("holdout", holdout)):
            add = name == which
            all_events = {k: np.concatenate([v, extra[k], extra[k]]) for k, v in events.items()} if add else events
            weight = np.concatenate([np.ones(len(events["t"])), np.ones(500), -np.ones(500)]) if add else np.ones(len(events["t"]))
            samples.append(_save(tmp_path / f"{which}-{name}.npz", all_events, w=weight))
        results = _run(tmp_path / which, *samples, "--summary", "ratio:t", "--columns", "x0", "x1", "--weight-column", "w")
        assert [w for w in results["warnings"] if "negative" in w], which
        assert results["estimates"][0]["distance"] == pytest.approx(plain["estimates"][0]["distance"], abs=1e-9)
        learned = _run(tmp_path / f"{which}-learned", *samples, "--columns", "x0", "x1", "--weight-column", "w")
        assert [w for w in learned["warnings"] if "negative" in w] and learned["estimates"][0]["n_equiv_interval"][0] == 0


def test_negative_weights_late_in_the_file_are_told(elsewhere):
    """One negative weight, the last of 600000 events."""
    rng = np.random.default_rng(39)
    events = _events(rng, 600_000)
    _save(Path("gen.npz"), events, w=np.where(np.arange(600_000) == 599_999, -1.0, 1.0))
    _save(Path("holdout.npz"), _events(rng, 1000))
    results = _run(Path("run"), "gen.npz", "holdout.npz", "--summary", "ratio:t", "--weight-column", "w")
    assert [w for w in results["warnings"] if "negative" in w]


def test_negative_weights_early_in_the_file_are_told(elsewhere):
    """The same among the first events, which teach."""
    rng = np.random.default_rng(40)
    _save(Path("gen.npz"), _events(rng, 10_000), w=np.where(np.arange(10_000) < 50, -1.0, 1.0))
    _save(Path("holdout.npz"), _events(rng, 1000))
    results = _run(Path("run"), "gen.npz", "holdout.npz", "--columns", "x0", "--weight-column", "w")
    assert [w for w in results["warnings"] if "negative" in w]


def test_nothing_is_overwritten(small, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "results.json").write_text("precious")
    message = _fails(capsys, *_words(*small, "--summary", "ratio:t", "--out", out))
    assert "nothing is overwritten" in message and (out / "results.json").read_text() == "precious" and not (out / "report.html").exists()


# warnings and page


@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_what_was_not_checked_or_is_short_is_told(summary, tmp_path, capsys):
    """No --train, and fewer than 10 generated events per holdout event: each has its warning, in the results and on standard error."""
    rng = np.random.default_rng(41)
    generated, holdout, train = _events(rng, 10_000), _events(rng, 1100), _events(rng, 1000)
    gen, short, long = (_save(tmp_path / f"{name}.npz", e) for name, e in (("gen", generated), ("short", _take(holdout, slice(900))), ("long", holdout)))
    _save(tmp_path / "train.npz", train)
    more = ("--summary", summary, "--columns", "x0", "x1")
    few = _run(tmp_path / "few", gen, long, *more)
    error = capsys.readouterr().err
    enough = _run(tmp_path / "enough", gen, short, *more, "--train", tmp_path / "train.npz")
    for words in ("--train", "ten times|10 times"):
        (warning,) = [w for w in few["warnings"] if re.search(words, w)]
        assert f"warning: {warning}" in error
        assert not [w for w in enough["warnings"] if re.search(words, w)]


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("summary", ["ratio:t", "column:x0", "classifier"])
def test_page_is_self_contained_and_drawn_again(summary, small, tmp_path):
    (tmp_path / "regions.json").write_text('{"<i>tail</i> & more": {"x0": [0, null]}}')
    results = _run(tmp_path / "run", *small, "--summary", summary, "--columns", "x0", "x1", "--regions", tmp_path / "regions.json")
    path = tmp_path / "run" / "report.html"
    page = path.read_text()
    assert page.count("<svg") >= 2 and page.count("<svg") == page.count("</svg>")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["'#]|data:)""", page) and not re.findall(r"<script|<link|<iframe|@import|url\((?!#)", page)
    for e in results["estimates"]:
        assert escape(e["verdict"]) in page
    assert "<i>" not in page and results["warnings"] and all(escape(w) in page for w in results["warnings"])
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
    more = ("--summary", summary.replace("{}", name), "--columns", name, "y", "--regions", tmp_path / "regions.json")
    results = _run(tmp_path / "run", tmp_path / "gen.npy", tmp_path / "holdout.npy", *more)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>" not in page and "<script" not in page
    assert escape(f"In {name} > 0") in page and escape(name) in page
    assert any(name in e["region"] for e in results["estimates"])


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("label", ["$p_T$ > 5", r"$p_T > 5 \GeV$", "costs 1 $ and 2^$ or {"])
def test_labels_that_look_like_tex_are_drawn(label, small, tmp_path):
    (tmp_path / "regions.json").write_text(json.dumps({label: {"x0": [0, None]}}))
    _run(tmp_path / "run", *small, "--summary", "ratio:t", "--regions", tmp_path / "regions.json")
    assert escape(f"In {label}") in (tmp_path / "run" / "report.html").read_text()
