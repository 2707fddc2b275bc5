"""The studies of hidden biases at their smallest, and that they tell a bias from none."""

import numpy as np
import pytest

from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.results.records import read_json
from experiments import hidden_bias, out_of_bag


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("hidden_bias")
    return out, read_json(hidden_bias.main("smoke", out))["study"]


def test_smoke_finds_the_bias_of_wide_kernels_and_none_of_the_fit(study):
    _, found = study
    wide, fit = (
        found["cases"][f"gaussian, {name}"]
        for name in ("kernels, four times as wide", "fitted Gaussian")
    )
    # a bandwidth of 3.6 n^-.2 makes the width 1.27 times too large
    assert wide["largest_bias"] > 3 > 1 > fit["largest_bias"]
    assert wide["rejected"]["chi2"] == 1 and fit["rejected"]["chi2"] == 0
    ratios = wide["estimated_over_actual"]
    assert ratios["bootstrap"] < 0.4 and 0.6 < ratios["refit"] < 1.5
    assert sum(found["pooled"]["regions"]) == 4 * 12


def test_finished_parts_are_used_again(study):
    out, found = study
    times = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    again = read_json(hidden_bias.main("smoke", out))["study"]
    assert again == found
    assert {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()} == times


@pytest.mark.slow  # two compilations
def test_a_trained_flow_has_the_same_parts(monkeypatch):
    """With a generator that compiles in no time."""
    monkeypatch.setitem(hidden_bias.FLOWS, "usual", ({}, lambda x: fitted_gaussian(x.shape[1])))
    hidden_bias._generator.cache_clear()
    config = hidden_bias.Config(flow_sets=2, steps=30, members=3, refits=2, sobol=1 << 9)
    part = hidden_bias._flow_part(config, "gaussian", "usual")
    hidden_bias._generator.cache_clear()
    shapes = {name: part[name].shape for name in ("same", "bootstrap", "refit", "train", "unseen")}
    sizes = {"same": (2, 2, 12), "bootstrap": (2, 3, 12), "refit": (2, 2, 12)}
    assert shapes == sizes | {"train": (2, 12), "unseen": (2, 3, 12)}
    # of ten bins; what a member has not seen is a third of the events, and scatters about the truth
    assert np.abs(part["unseen"][..., :10].mean(axis=(0, 1)) - 0.1).max() < 0.04


def test_out_of_bag_at_its_smallest(tmp_path):
    """Two sets: a claim at 95 % about a difference of which a learned ratio sees a half."""
    found = read_json(out_of_bag.main("smoke", tmp_path))["study"]["banana"]
    assert found["sets"] == 2 and found["true_claims"] == found["true_claims_on_all"] == 1
    assert 0.05 < found["actual_on_all"] < found["actual"] < 0.3
    assert abs(found["distance"] - found["of_holdout"]) < 0.3
