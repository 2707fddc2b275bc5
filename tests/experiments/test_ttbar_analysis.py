"""What the study of top pairs measures, on events whose truth is known: Gaussian columns in the
place of observables.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from amplify import regions as rg
from experiments import ttbar_analysis as ta

N_TRAIN, N_GEN = 10_000, 40_000


def _table(rng, n, shift=0.0, scale=100.0):
    """Observables [event, 14]; the three that regions look at are exponential-like columns, shifted
    in units of their width.
    """
    x = np.zeros((n, len(ta.COLUMN)))
    for name in ta.TAILS:
        x[:, ta.COLUMN[name]] = scale * (rng.exponential(size=n) + shift)
    return x


@pytest.fixture(scope="module")
def averaged():
    """Networks whose events are shifted by a common bias and an own deviation, both known."""
    rng = np.random.default_rng(0)
    truth = _table(rng, 400_000)
    regions = ta.study_regions(truth)
    config = SimpleNamespace(
        sets=8, n_train=N_TRAIN, n_truth=10**9, n_holdout=20_000, bootstrap_members=24
    )
    integral = rg.fractions(rg.count(regions, truth)).integral
    holdout = _table(rng, config.n_holdout)

    def at(bias, deviation):
        count = config.sets + config.bootstrap_members
        networks = [_table(rng, N_GEN, bias + deviation * rng.normal()) for _ in range(count)]
        return ta.averaging(config, networks, regions, integral, holdout)

    return SimpleNamespace(
        spread=at(0.0, 0.01),
        bias=at(0.05, 0.01),
        none=at(0.0, 0.0),
        regions=regions,
        truth=integral,
    )


def test_spread_is_found_and_the_noise_taken_off(averaged):
    """Actual and estimated agree without a bias, within their errors (24 members: a quarter each),
    and a sample without deviations has neither.
    """
    measured, records = averaged.spread
    groups = [measured["groups"][f"{name}, all"] for name in ("m_tt", "pT_t", "pT_tt")]
    for group in groups:
        assert group["actual"] == pytest.approx(group["estimated"], rel=0.8)
        low, high = group["actual_interval"]
        assert low < group["actual"] < high
        assert group["status"] == "resolved" and group["biased_regions"] == 0
    # what a shift of one standard deviation does to the ten shares, by simulation
    shift, n = 0.01, 2_000_000
    x = np.random.default_rng(1).exponential(size=n)
    edges = np.quantile(x, np.arange(1, 10) / 10)
    moved = (np.histogram(x + shift, [-1, *edges, 1e9])[0] / n - 0.1) ** 2
    expected = (moved / (0.09 / N_TRAIN)).mean()
    pooled = np.mean([1 / group["estimated"] for group in groups])
    assert pooled == pytest.approx(expected, rel=0.4)
    nothing = averaged.none[0]
    # noise alone is N_TRAIN / N_GEN = .25 in these units; taken off, a tenth of it is left by
    # chance
    assert abs(np.mean(nothing["actual"])) < 0.05 and abs(np.mean(nothing["estimated"])) < 0.05
    assert len(records) == 6
    assert {record["region"] for record in records} <= set(averaged.regions.labels)


def test_a_common_bias_is_in_the_actual_error_and_marked_but_not_in_the_estimate(averaged):
    measured = averaged.bias[0]
    group = measured["groups"]["m_tt, all"]
    assert group["actual"] < 0.3 * group["estimated"]
    assert group["status"] == "biased" and group["biased_regions"] > 0
    assert measured["biased"].any() and not averaged.spread[0]["biased"].any()


def test_distributions_by_place():
    """KS against scipy, the band of members, and where bins, bulk and tail of an observable stand
    among the regions.
    """
    rng = np.random.default_rng(2)
    shifted, true = _table(rng, 3000, 0.1), _table(rng, 5000)
    column = ta.COLUMN["m_tt_gev"]
    expected = ks_2samp(shifted[:, column], true[:, column]).statistic
    assert ta.ks_table(shifted, true)["m_tt_gev"] == pytest.approx(expected, abs=1e-3)
    band = ta.band([np.array([9.0]), np.array([1.0]), np.array([3.0])], sets=1)
    assert band["mean"] == [2.0] and band["spread"] == pytest.approx([np.sqrt(2)])
    labels = ta.study_regions(true).labels
    assert labels[ta.where(1)["tail"]] == ("pT_t [GeV] >= 400",)
    assert labels[ta.where(2)["bulk"]][0].count("pT_tt") == 1
    assert len(labels[ta.where(0)["all"]]) == 10
