"""`amplify differential` in regions: cuts of both samples, bulk and tails, bins."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from amplify.regions import bulk_and_tails
from tests.commands.samples import (
    RIGHT,
    STRICT,
    draw_events,
    save,
    take,
)
from tests.commands.samples import run_differential as run


def _cut_distance(shift, share_gen):
    """D of N(shift, 1) and N(0, 1) in x > 0, where the ratio of the cut densities is 1 at the
    edge.
    """
    edge = np.log(share_gen / 0.5) / shift + shift / 2
    true = (norm.cdf(edge) - 0.5) / 0.5
    return true - (norm.cdf(edge - shift) - norm.cdf(-shift)) / share_gen


def _n_equiv(distance):
    return (np.sqrt(np.pi / 2) * np.log(2) / distance) ** 2


def test_region_covers_the_truth_of_the_cut_densities(truth, tmp_path):
    """x > 0: the ratio of the cut densities is 1 where .1 x - .005 = log(P_gen / P_true).
    False-alarm rate .001; n_train as counted in --train, exactly.
    """
    train = draw_events(np.random.default_rng(24), 5000, 0.0)
    save(tmp_path / "train.npz", train)
    regions = tmp_path / "regions.json"
    regions.write_text(
        '{"right": {"x0": [0, null]}, "corner": {"x0": [0, null], "x1": [null, -1]}}'
    )
    more = (f"--summary ratio:t {STRICT} --regions", regions)
    actual = _n_equiv(_cut_distance(0.1, norm.cdf(0.1)))
    with_train = (*more, "--train", tmp_path / "train.npz")
    results = run(tmp_path / "run", *truth, *with_train, n_train=5000)
    by_region = {e["region"]: e for e in results["estimates"]}
    right = by_region["right"]
    assert right["n_equiv_interval"][0] < actual < (right["n_equiv_interval"][1] or np.inf)
    in_right = train["x0"] >= 0
    for label, rows in (("right", in_right), ("corner", in_right & (train["x1"] < -1))):
        e = by_region[label]
        expected = e["n_equiv_interval"][0] / rows.sum()
        assert e["amplification_interval"][0] == pytest.approx(expected, rel=1e-6)
        assert label in e["verdict"]
    assert not any("--train" in warning for warning in results["warnings"])
    estimates = run(tmp_path / "without", *truth, *more, n_train=5000)["estimates"]
    without = next(e for e in estimates if e["region"] == "right")
    assert without["n_equiv"] == right["n_equiv"]
    half = without["n_equiv_interval"][0] / 2500
    assert without["amplification_interval"][0] == pytest.approx(half, rel=0.05)


@pytest.mark.slow
def test_interval_covers_where_the_threshold_leaves_the_region(tmp_path):
    """The holdout's share of the region, from 500 events, may move the threshold out of it: then
    nothing is known, not much.

    40 samples of N(.03, 1) in x > 0: more than 10 of 40 intervals at .9 miss the truth with
    probability .0015.
    """
    shift, missed = 0.03, 0
    regions = tmp_path / "regions.json"
    regions.write_text(RIGHT)
    actual = _n_equiv(_cut_distance(shift, norm.cdf(shift)))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        samples = []
        for name, n, mean in (("gen", 10_000, shift), ("holdout", 1000, 0.0)):
            x = rng.normal(mean, 1, n)
            events = {"x0": x, "x1": rng.normal(size=n), "t": shift * x - shift**2 / 2}
            samples.append(save(tmp_path / f"{name}.npz", events))
        more = ("--summary ratio:t --level .9 --regions", regions)
        estimates = run(tmp_path / str(seed), *samples, *more)["estimates"]
        low, high = next(e for e in estimates if e["region"] == "right")["n_equiv_interval"]
        missed += not low < actual < (high or np.inf)
    assert missed <= 10


@pytest.mark.parametrize(("summary", "cut"), [("column:x1", "x0"), ("column:x0", "x0")])
def test_region_cuts_both_samples(summary, cut, tmp_path):
    """A region gives what the files cut by hand give, where it cuts on another column, and on that
    of the summary.
    """
    rng = np.random.default_rng(25)
    events = {"gen": draw_events(rng, 20_000, 0.3), "holdout": draw_events(rng, 2000)}
    regions = tmp_path / "regions.json"
    regions.write_text(json.dumps({"right": {cut: [0, None]}}))
    samples = [save(tmp_path / f"{name}.npz", sample) for name, sample in events.items()]
    by_hand = [
        save(tmp_path / f"{name}_cut.npz", take(sample, sample[cut] >= 0))
        for name, sample in events.items()
    ]
    results = run(tmp_path / "run", *samples, f"--summary {summary} --regions", regions)
    region = next(e for e in results["estimates"] if e["region"] == "right")
    e, *_ = run(tmp_path / "cut", *by_hand, f"--summary {summary}")["estimates"]
    for key in ("distance", "n_equiv", "n_equiv_interval", "status"):
        assert region[key] == e[key], key


def test_learned_regions(small, tmp_path):
    regions = tmp_path / "regions.json"
    regions.write_text('{"right": {"x0": [0, null]}, "left": {"x0": [null, 0]}}')
    for e in run(tmp_path / "run", *small, "--columns x0 x1 --regions", regions)["estimates"]:
        assert e["status"] in ("upper_limit", "unresolved") and e["n_equiv_interval"][0] == 0


@pytest.mark.parametrize("summary", ["ratio:t", "column:x1", "classifier"])
def test_few_events_in_a_region_are_unresolved(summary, tmp_path):
    """80 holdout events in the tail and none in the void, however many are generated there."""
    rng = np.random.default_rng(26)
    generated, holdout = draw_events(rng, 20_000, 0.5), draw_events(rng, 2000)
    edge = float(np.sort(holdout["x0"])[-80])
    samples = save(tmp_path / "gen.npz", generated), save(tmp_path / "holdout.npz", holdout)
    regions = tmp_path / "regions.json"
    starts = {"tail": edge, "void": 50, "half": 0}
    regions.write_text(json.dumps({name: {"x0": [low, None]} for name, low in starts.items()}))
    more = (f"--summary {summary} --columns x0 x1 --regions", regions)
    by_region = {e["region"]: e for e in run(tmp_path / "run", *samples, *more)["estimates"]}
    for label in ("tail", "void"):
        e = by_region[label]
        assert e["status"] == "unresolved" and e["n_equiv_interval"][1] is None
    assert by_region["half"]["status"] != "unresolved"


def test_bulk_tails_and_bins_of_two_samples(elsewhere):
    rng = np.random.default_rng(1)
    np.save("gen.npy", rng.normal(0.2, 1, (50_000, 2)))
    np.save("holdout.npy", rng.normal(size=(20_000, 2)))
    samples = "gen.npy", "holdout.npy", "--summary column:x0"
    everything, bulk, tails = run(Path("default"), *samples)["estimates"][:3]
    assert everything["region"] == "all"
    assert bulk["region"].startswith("bulk") and tails["region"].startswith("tails")
    total = everything["n_holdout_region"]
    assert bulk["n_holdout_region"] + tails["n_holdout_region"] == total == 20_000
    assert abs(bulk["n_holdout_region"] / 20_000 - 0.81) < 0.02
    binned = run(Path("binned"), *samples, "--bins 4")
    assert len(binned["estimates"]) == 9 and len(binned["panels"]) == 2
    assert binned["differential"]["map"]["columns"] == ["x0", "x1"]


@pytest.mark.slow
def test_the_learned_ratio_of_everything_limits_bulk_and_tails(elsewhere):
    """N(.3, 1) in one of two columns: the limits of bulk and tails are above the truth, by brute
    force on a million events.
    """
    rng = np.random.default_rng(2)
    holdout = rng.normal(size=(20_000, 2))
    np.save("holdout.npy", holdout)
    np.save("gen.npy", rng.normal([0.3, 0], 1, (200_000, 2)))
    estimates = run(Path("run"), "gen.npy", "holdout.npy")["estimates"]
    x = rng.normal(size=(1_000_000, 2))
    bulk, tails = np.asarray(bulk_and_tails(holdout).contains(x)).T
    ratio = np.exp(0.3 * x[:, 0] - 0.045)
    for e, inside in zip(estimates, (np.ones(len(x), bool), bulk, tails), strict=True):
        relative = ratio[inside] / ratio[inside].mean()
        actual = _n_equiv(np.maximum(1 - relative, 0).mean())
        assert e["status"] == "upper_limit" and actual < e["n_equiv_interval"][1] < 4 * actual
