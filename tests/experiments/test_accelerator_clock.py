"""Trainings that end at a time, top pairs counted on an accelerator, the record of the floors and
how cost grows, all made tiny.
"""

import json
import time
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from amplify import regions as rg
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.training.fit import FitConfig
from experiments import ttbar_analysis
from experiments.benchmarks import floors, scaling
from experiments.benchmarks.accelerator_clock import Compiled, _scales, generated, lowered, trained
from experiments.benchmarks.accelerator_top import GPU, SHARES


def test_a_training_by_the_clock_ends_and_finds_the_mean():
    x = np.random.default_rng(0).normal(3.0, 1.0, (300, 1)).astype(np.float32)
    config = FitConfig(batch=64, learning_rate=0.1)
    run = Compiled(
        *(one.compile() for one in lowered(fitted_gaussian(1), config, 300, 300, 2, 20, 50))
    )
    rows, started = jnp.tile(jnp.arange(300, dtype=jnp.int32), (2, 1)), time.monotonic()
    found = trained(run, config, x, rows, 0.3, 20)
    assert time.monotonic() - started < 30
    assert found.losses.shape[0] == 2 and found.losses.shape[1] % 20 == 0 and not found.diverged
    # from zero; two calls of 20 steps at least, however slow the machine is
    mean = np.asarray(found.params.mean)
    assert (mean > 1.2).all() and (mean < 3.3).all()
    assert (found.losses[:, -1] < found.losses[:, 0]).all()
    drawn = generated(run, found.params, 120, 60.0, 50)
    assert drawn.x.shape == (2, 120, 1) and abs(drawn.x.mean() - mean.mean()) < 0.5
    assert not np.array_equal(drawn.x[0], drawn.x[1])
    assert generated(run, found.params, 120, 0.0, 50).x.shape == (2, 50, 1)


def test_the_learning_rate_rises_and_falls_with_the_time():
    rising = np.asarray(_scales(0.0, 0.0, 0, 10, 5))
    np.testing.assert_allclose(rising, [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    falling = np.asarray(_scales(0.5, 1.0, 100, 10, 50))
    assert falling[0] == pytest.approx(0.5) and 0 < falling[-1] < 0.01
    assert (np.diff(falling) < 0).all()


def test_networks_on_the_card_are_those_of_the_original_study():
    config = GPU.config
    assert set(SHARES) == set(config.models) and config.sets * config.n_train <= config.reserved
    assert sum(share for share, _ in SHARES.values()) == pytest.approx(1)
    assert (config.models["lloca"].width, config.models["lloca"].layers) == (128, 6)


def test_averaging_of_integrals_is_that_of_events():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, len(ttbar_analysis.COLUMN))).astype(np.float32)
    truth[:, [ttbar_analysis.COLUMN[name] for name in ttbar_analysis.TAILS]] *= 500
    regions = ttbar_analysis.study_regions(truth)

    class Config:
        sets, bootstrap_members, n_train, n_truth, n_holdout = 2, 3, 500, 4000, 1000

    observed = [truth[rng.integers(0, 4000, 700)] for _ in range(5)]
    integral = np.stack([regions.contains(o).mean(axis=0) for o in observed])
    true, held = regions.contains(truth).mean(axis=0), regions.contains(truth[:1000]).mean(axis=0)
    of_events, _ = ttbar_analysis.averaging(Config, observed, regions, true, truth[:1000])
    of_integrals, _ = ttbar_analysis.averaging_of_integrals(
        Config, integral, np.full(5, 700.0), regions.labels, true, held
    )
    assert json.dumps(of_events["groups"]) == json.dumps(of_integrals["groups"])


def test_a_ratio_that_became_worse_is_named(tmp_path, capsys):
    path, out = tmp_path / "sorts.json", tmp_path / "floors.json"
    for ratio in (1.0, 1.2):
        path.write_text(json.dumps({"a": {"us": 2.0, "floor_us": 1.0, "ratio": ratio}, "b": 3}))
        floors.main((path,), out)
    path.write_text(json.dumps({"a": {"us": 2.0, "floor_us": 1.0, "ratio": 2.0}}))
    with pytest.raises(SystemExit):
        floors.main((path,), out)
    assert "worse: sorts: a: 2.00 of its floor, was 1.20" in capsys.readouterr().out
    kept = json.loads(out.read_text())["records"]
    assert [record["rows"]["sorts: a"]["ratio"] for record in kept] == [1.0, 1.2, 2.0]


def test_efficiency_is_by_device_that_has_a_core():
    rates = {"1": {"flow": {"4": 10.0}}, "8": {"flow": {"4": 18.0, "8": 1.0}}}
    assert scaling.efficiency(rates, 2)["8"] == {"flow": {"4": 0.9}}


def test_scaling_runs(monkeypatch):
    monkeypatch.setattr(scaling, "coupling_flow", lambda x: fitted_gaussian(x.shape[1]))
    monkeypatch.setattr(scaling.rg, "equiprobable", lambda x, c, n, name: rg.bins(c, [-9, 9], name))
    x = np.random.default_rng(0).normal(size=(50, 2))
    assert scaling._rate(fitted_gaussian(2), x, 2, scaling.SMOKE) > 0
    cost = scaling.study_cost(replace(scaling.SMOKE, study_members=2), 300)
    assert cost["study_s"] > 0 and cost["n_gen"] == 600 and cost["members"] == 2
