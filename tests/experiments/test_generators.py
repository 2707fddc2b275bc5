"""The table of generators, made short; and what its numbers mean."""

import json

import numpy as np
import pytest

from experiments import generators
from experiments.problems import PROBLEMS


@pytest.mark.slow
def test_the_study_of_generators_runs_and_continues(tmp_path):
    path = generators.main("smoke", tmp_path)
    first = path.read_text()
    table = json.loads(first)["study"]["table"]
    assert [row["generator"] for row in table] == [generators.TRUTH, "gaussian_mixture"]
    assert 0 < table[1]["differential"] < 100 and table[1]["fit_seconds"] > 0
    path.unlink()
    assert generators.main("smoke", tmp_path).read_text() == first


def test_distances_of_columns_are_those_of_the_closed_forms():
    """A shift of s standard deviations has W1 = s and KS = 2 Phi(s / 2) - 1 = .0797 for s = .2;
    columns with the correlation .5 differ by .5 root 2 from independent ones. Errors of 1e5 events
    are .004, and four of them are allowed.
    """
    rng = np.random.default_rng(0)
    true = rng.normal(size=(100_000, 2)) * np.array([1.0, 30.0])
    wasserstein, ks, correlations = generators._of_columns(true + np.array([0.2, 6.0]), true)
    # in standard deviations of the events, known to .002 of themselves
    assert wasserstein == pytest.approx(0.2, abs=2e-3) and correlations < 1e-9
    assert ks == pytest.approx(0.0797, abs=0.016)
    other = rng.normal(size=(100_000, 2))
    other[:, 1] = 0.5 * other[:, 0] + 0.75**0.5 * other[:, 1]
    assert generators._of_columns(other, true)[2] == pytest.approx(0.5 * 2**0.5, abs=0.016)


def test_g_is_pooled_over_bins():
    """Members that err by twice the binomial noise of n_train events are worth a quarter of it."""
    config, problem = generators.PRESETS["smoke"], PROBLEMS["ring2"]
    error = 2 * np.sqrt(problem.truth * (1 - problem.truth) / config.n_train)
    columns = {name: np.ones(2) for name in ("wasserstein", "ks", "correlations")}
    columns |= {"integral": problem.truth + np.stack([error, -error]), "limit": np.array(np.nan)}
    columns |= {"distance": np.full(2, np.nan), "fit_seconds": np.array(1.0)}
    columns |= {"sample_seconds": np.array(np.nan)}
    row = generators._summarised(config, problem, "vae", columns)
    assert row["averaging"] == pytest.approx(0.25) == pytest.approx(row["averaging_tails"])
    assert row["differential"] is None and row["sample_seconds"] is None
    columns["distance"] = np.full(2, generators.K1 / np.sqrt(config.n_train))
    assert generators._summarised(config, problem, "vae", columns)["differential"] == pytest.approx(
        1
    )
