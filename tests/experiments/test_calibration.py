"""The calibration study: its problems are what they say, its tables find what was put in, and the
packaged table is that of the recorded study.
"""

import json
from importlib.resources import files

import jax.numpy as jnp
import numpy as np
import pytest

from amplify import regions as rg
from amplify.errors import InputError
from amplify.truth import ring
from experiments import calibration
from experiments.calibration_tables import (
    Integrals,
    coverage,
    packaged,
    ratios,
    squared_bias,
    transfer_variance,
)
from experiments.problems import DEVELOPMENT, PROBLEMS, TAILS
from paper_figures import recorded

N = 20_000


@pytest.mark.parametrize("name", PROBLEMS)
def test_true_integrals_are_those_of_the_events(name):
    """Twelve regions or 24, 4.5 standard deviations each: a false alarm in 6000 for all."""
    problem = PROBLEMS[name]
    x = problem.draw(np.random.default_rng(1), N)
    assert x.shape == (N, problem.dim)
    share = rg.count(problem.regions, x).n_inside / N
    error = np.sqrt(problem.truth * (1 - problem.truth) / N)
    assert np.abs(share - problem.truth).max() < 4.5 * error.max()
    np.testing.assert_allclose(problem.truth[problem.bulk], 0.1, atol=1e-9)
    assert set(problem.truth[problem.tail].round(9)) == set(TAILS.round(9))


@pytest.mark.parametrize("name", ["gaussian", "mixture", "banana"])
def test_densities_integrate_to_one(name):
    problem = PROBLEMS[name]
    edges = np.linspace(-15, 15, 1501)
    axes = np.meshgrid(*[(edges[1:] + edges[:-1]) / 2] * problem.dim, indexing="ij")
    x = np.stack([axis.ravel() for axis in axes], axis=1)
    log_prob = problem.log_prob
    assert log_prob is not None
    total = np.exp(log_prob(x)).sum() * (edges[1] - edges[0]) ** problem.dim
    assert total == pytest.approx(1, abs=3e-4)  # the tails of Student's t reach beyond


def test_ring_and_heavy_tails_have_the_densities_of_others():
    x = PROBLEMS["ring4"].draw(np.random.default_rng(0), 100)
    log_prob = PROBLEMS["ring4"].log_prob
    assert log_prob is not None
    theirs = ring.log_prob(ring.Ring(dim=4), jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(log_prob(x), theirs, atol=1e-4)
    # E[q / p] of two densities is one: the narrower of two Gaussians over the t
    heavy = PROBLEMS["correlated5"]
    assert heavy.log_prob is not None
    x = heavy.draw(np.random.default_rng(0), N)
    root = np.linalg.cholesky(0.7 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5))))
    z = np.linalg.solve(root, x.T)
    narrow = -0.5 * (z**2).sum(axis=0) - np.log(np.diag(root)).sum() - 2.5 * np.log(2 * np.pi)
    weight = np.exp(narrow - heavy.log_prob(x))
    assert weight.mean() == pytest.approx(1, abs=5 * weight.std() / np.sqrt(N))


def simulated(
    *, sets: int, members: int, claimed: float, bias: float = 0.0, tau: float = 0.0, seed: int = 0
) -> Integrals:
    """Networks off by the bias and sigma .002, members whose sigma is `claimed` times that, and
    exp(tau z) from region to region.
    """
    rng, truth = np.random.default_rng(seed), PROBLEMS["gaussian"].truth
    networks = truth + 0.002 * (bias + rng.normal(size=(sets, 1, len(truth))))
    factor = claimed * np.exp(tau * rng.normal(size=(sets, 1, len(truth))))
    drawn = truth + 0.002 * factor * rng.normal(size=(sets, members, len(truth)))
    return Integrals(networks, drawn)


def test_ratios_bias_and_coverage_are_what_was_put_in():
    """Seeds are fixed; without them each bound would fail in less than one run of a thousand."""
    problem = PROBLEMS["gaussian"]
    found = ratios(simulated(sets=200, members=8, claimed=0.7), problem)
    value, low, high = found["bulk"]
    assert low < value < high and value == pytest.approx(0.7, abs=0.03)
    biased = simulated(sets=200, members=8, claimed=1.0, bias=1.0).networks
    share = squared_bias(biased, problem.truth).mean() / 0.002**2
    assert share == pytest.approx(1, abs=0.15)
    known = coverage(simulated(sets=200, members=8, claimed=1.0), problem, 1000)
    assert known["bulk"]["at_68"] == pytest.approx(0.68, abs=0.05)
    np.testing.assert_allclose(known["bulk"]["observed"], known["levels"], atol=0.06)
    assert 0.5 < known["pooled"]["at_68"] <= 1
    narrow = coverage(simulated(sets=200, members=8, claimed=0.5), problem, 1000)
    assert narrow["bulk"]["at_68"] < 0.2


def test_the_transfer_is_found_and_restores_the_coverage():
    problem = PROBLEMS["gaussian"]
    loose = simulated(sets=200, members=8, claimed=1.0, tau=0.3)
    assert np.sqrt(transfer_variance(loose, problem)) == pytest.approx(0.3, abs=0.06)
    exact = simulated(sets=200, members=8, claimed=1.0)
    assert abs(transfer_variance(exact, problem)) < 0.02
    alone = coverage(loose, problem, 1000)["bulk"]["at_68"]
    carried = coverage(loose, problem, 1000, transfer=0.3)["bulk"]["at_68"]
    assert alone < 0.6 and carried == pytest.approx(0.68, abs=0.05)


@pytest.mark.slow
def test_the_study_runs_and_continues(tmp_path):
    path = calibration.main("smoke", tmp_path)
    first = json.loads(path.read_text())["study"]
    methods = [row["method"] for row in first["ratios"]]
    assert methods == ["same data", "bootstrap", "refit"]
    (tmp_path / "parts" / "gaussian-gaussian-bootstrap-n200-0+3x8.npz").unlink()
    calibration.main("smoke", tmp_path)
    again = json.loads(path.read_text())["study"]
    for row in (*first["ratios"], *again["ratios"]):
        row.pop("seconds_per_member")
    assert again["ratios"] == first["ratios"]  # bit for bit


def test_choices_and_reports_do_not_share_training_sets():
    for cell in calibration.PRESETS["full"].cells:
        assert (cell.first >= calibration.FOR_CHOICES) or cell.first + cell.sets <= 900
        assert cell.first < calibration.FOR_CHOICES or cell.problem in DEVELOPMENT


def test_the_packaged_table_is_that_of_the_recorded_study():
    table = json.loads(files("amplify.results").joinpath("calibration.json").read_text())
    of_study = packaged(recorded.study("calibration"))
    assert {key: table[key] for key in of_study} == of_study
    assert table["command"] == recorded.COMMANDS["calibration"]


def test_an_unknown_data_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="top pairs with their observables"):
        calibration._problem("top_pairs", tmp_path / "nothing.h5")
    assert calibration._problem("top_pairs", None) is None
