"""Learned ratios of hundreds of columns: what is seen of toy showers with a known distance, and
that nothing is claimed where there is no difference.
"""

import numpy as np
import pytest
from scipy.special import ndtr

import amplify
from amplify.analysis.panels import MOST_PANELS, most_different
from amplify.errors import InputError
from amplify.estimators.learned import learned_amplification
from amplify.regions.unusual import bulk_and_unusual
from amplify.report.figures import shown_panels
from amplify.summaries.condensed import FEW, condensing
from amplify.summaries.default import learned_ratio
from amplify.summaries.directions import directions
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.looks import Sample, features, look, moments, present, share_of_event, value
from amplify.summaries.polynomial import polynomials
from amplify.summaries.totals import GROUPS, Totals
from amplify.types import Events
from experiments import showers
from experiments.many_columns import TINY


def _even(x):
    return Sample(x, np.full(len(x), 1 / len(x)))


def _efficiency(summary, generate, true, distance):
    """D of a summary on fresh events, over the largest possible."""
    return float((summary(true) <= 0).mean() - (summary(generate) <= 0).mean()) / distance


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (showers.Change(response=0.04), 0.7),
        (showers.Change(depth=0.06), 0.7),
        (showers.Change(width=0.04), 0.7),
    ],
)
def test_changes_of_a_shower_are_seen(change, least):
    """Simulated with 20 000 events to measure: the efficiency has an error of .03."""
    rng = np.random.default_rng(0)
    gen, true = showers.showers(rng, 12_000, TINY, change), showers.showers(rng, 2000, TINY)
    summary = learned_ratio()(gen, true)
    fresh = showers.showers(rng, 20_000, TINY, change), showers.showers(rng, 20_000, TINY)
    assert least < _efficiency(summary, *fresh, change.distance) < 1.1


def test_a_direction_that_no_column_has_is_seen():
    """A shift of 100 Gaussian columns by .5 in a random direction; measured with an error of
    .02.
    """
    rng = np.random.default_rng(1)
    direction = rng.normal(size=100)
    direction *= 0.5 / np.linalg.norm(direction)
    summary = learned_ratio()(
        rng.normal(size=(20_000, 100)) + direction, rng.normal(size=(2000, 100))
    )
    fresh = rng.normal(size=(20_000, 100)) + direction, rng.normal(size=(20_000, 100))
    assert 0.7 < _efficiency(summary, *fresh, 2 * ndtr(0.25) - 1) < 1.05


def test_a_column_that_only_truth_has_is_seen():
    """One of 50 columns, always zero in the generated sample, is filled in half of the true
    events: D = .5, of which least squares see a part, as they have to call it infinite.
    """
    rng = np.random.default_rng(2)

    def draw(n, filled):
        x = rng.exponential(size=(n, 50)).astype(np.float32)
        x[:, 20] = rng.exponential(size=n) * (rng.random(n) < filled)
        return x

    summary = learned_ratio()(draw(8000, 0.0), draw(1000, 0.5))
    assert 0.4 < _efficiency(summary, draw(5000, 0.0), draw(5000, 0.5), 0.5) < 1.1


@pytest.mark.slow
def test_nothing_is_claimed_where_there_is_no_difference():
    """The claim at 90 % is made by chance in a tenth of the cases: more than 9 of 25 has a
    probability of 8e-5.
    """
    rng = np.random.default_rng(3)
    claims = 0
    for seed in range(25):
        both = (Events(rng.exponential(size=(n, 40))) for n in (2000, 600))
        estimate, _ = learned_amplification(
            learned_ratio(), *both, n_train=100, seed=seed, limit_level=0.9
        )
        claims += bool(np.isfinite(estimate.n_equiv.high[0]))
    assert claims <= 9


def test_few_columns_are_not_condensed():
    """The same bits as the usual learner."""
    rng = np.random.default_rng(4)
    gen, true = rng.normal(0.1, 1, (3000, FEW)), rng.normal(size=(500, FEW))
    weights = rng.uniform(0.5, 1.5, 3000), rng.uniform(0.5, 1.5, 500)

    def few(log_prob):
        return least_squares_ratio((polynomials(),), log_prob)

    expected = few(None)(gen, true, *weights)(true)
    np.testing.assert_array_equal(condensing(few)(gen, true, *weights)(true), expected)


def test_the_same_seed_gives_the_same_ratio_and_more_events_at_once_change_nothing():
    rng = np.random.default_rng(5)
    gen, true = rng.normal(0.1, 1, (3000, 40)), rng.normal(size=(500, 40))
    first, again = (learned_ratio()(gen, true) for _ in range(2))
    np.testing.assert_array_equal(first(true), again(true))
    pieces = np.concatenate([first(true[:123]), first(true[123:])])
    np.testing.assert_allclose(first(true), pieces, atol=1e-6)
    assert first(true[:0]).shape == (0,)


def test_weights_teach_in_many_columns():
    """Weights that shift the true sample are the only difference; D of exp(x0 / 2) weights is that
    of a shift by .5, with an error of .02.
    """
    rng = np.random.default_rng(6)
    gen, true = rng.normal(size=(10_000, 40)), rng.normal(size=(4000, 40))
    summary = learned_ratio()(gen, true, None, np.exp(0.5 * true[:, 0]))
    fresh = rng.normal(size=(20_000, 40))
    shifted = fresh + 0.5 * np.eye(40)[0]
    assert 0.8 < _efficiency(summary, fresh, shifted, 2 * ndtr(0.25) - 1) < 1.05


def test_a_known_log_density_is_one_number_more():
    """The generator draws a fine checkerboard in two of 40 uniform columns, which nothing but its
    log density shows: D = .45, measured with an error of .02.
    """
    rng = np.random.default_rng(7)

    def black(x):
        return np.sin(100 * x[:, 0]) * np.sin(100 * x[:, 1]) > 0

    def generated(n):
        x = rng.uniform(size=(4 * n, 40))
        return x[rng.random(4 * n) < np.where(black(x), 1.0, 0.1 / 1.9)][:n]

    def log_prob(x):
        return np.where(black(x), np.log(1.9), np.log(0.1))

    gen, true = generated(4000), rng.uniform(size=(600, 40))
    fresh = generated(5000), rng.uniform(size=(5000, 40))
    assert _efficiency(learned_ratio(log_prob)(gen, true), *fresh, 0.45) > 0.9
    assert _efficiency(learned_ratio()(gen, true), *fresh, 0.45) < 0.2


def test_a_large_common_offset_costs_no_precision():
    """The columns of a sample at 1e8 differ by one width of their own."""
    rng = np.random.default_rng(8)
    shift = np.eye(40)[7]
    gen = 1e8 + rng.normal(size=(4000, 40)) + shift
    true = 1e8 + rng.normal(size=(1000, 40))
    fresh = 1e8 + rng.normal(size=(5000, 40)) + shift, 1e8 + rng.normal(size=(5000, 40))
    efficiency = _efficiency(learned_ratio()(gen, true), *fresh, 2 * ndtr(0.5) - 1)
    assert 0.9 < efficiency < 1.1


@pytest.mark.parametrize("sizes", [(20, 20), (21, 23)])
def test_a_handful_of_events_and_whole_numbers_do_no_harm(sizes):
    rng = np.random.default_rng(17)
    gen, true = (rng.poisson(2.0, (n, 40)).astype(float) for n in sizes)
    gen[:, 3] = true[:, 3] = 1
    summary = condensing(lambda known: least_squares_ratio((polynomials(),), known))(gen, true)
    assert np.isfinite(summary(rng.poisson(2.0, (30, 40)).astype(float))).all()


# the parts


def test_late_directions_are_fishers_and_the_first_is_the_difference_of_means():
    rng = np.random.default_rng(9)
    mixing = np.eye(50) + 0.3 * rng.normal(size=(50, 50)) / np.sqrt(50)
    gen = rng.normal(size=(5000, 50)) @ mixing
    true = rng.normal(size=(2000, 50)) @ mixing + 0.2
    of_gen, of_true = (moments(_even(x), [value])[0] for x in (gen, true))
    one = look(value, of_gen, of_true)
    found = directions(one, _even(gen), _even(true), (1, 50))
    z_gen, z_true = one(gen), one(true)
    apart = z_true.mean(axis=0) - z_gen.mean(axis=0)
    fisher = np.linalg.solve(np.cov(z_gen.T) + 1e-4 * np.eye(50), apart)
    for direction, expected in zip(found.T, (apart, fisher), strict=True):
        assert direction @ expected / np.linalg.norm(expected) > 0.9999


def test_many_columns_need_no_table_of_covariances(monkeypatch):
    rng = np.random.default_rng(10)
    gen, true = _even(rng.normal(size=(500, 60))), _even(rng.normal(0.2, 1, (300, 60)))
    one = look(value, *(moments(sample, [value])[0] for sample in (gen, true)))
    with_table = directions(one, gen, true, (1, 5))
    monkeypatch.setattr("amplify.summaries.directions._TABLE", 10)
    np.testing.assert_allclose(directions(one, gen, true, (1, 5)), with_table, atol=1e-4)


def test_moments_are_those_of_numpy():
    rng = np.random.default_rng(11)
    x, weight = rng.exponential(size=(3000, 40)) + 1e6, rng.uniform(size=3000)
    x[:, 3] = 7.0
    (found,) = moments(Sample(x, weight / weight.sum()), [value])
    mean = np.average(x, axis=0, weights=weight)
    np.testing.assert_allclose(found.mean, mean)
    expected = np.average((x - mean) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(found.variance, expected, rtol=1e-4, atol=1e-12)
    assert found.variance[3] == 0


def test_features_are_those_that_the_sample_has():
    rng = np.random.default_rng(12)
    positive = rng.exponential(size=(1000, 40))
    signed, sparse = positive - 1, positive * (rng.random((1000, 40)) < 0.5)
    assert share_of_event in features(_even(positive))
    assert share_of_event not in features(_even(signed))
    assert present in features(_even(sparse)) and present not in features(_even(positive))


def test_totals_are_sums_and_moments_and_leave_out_what_outweighs_them():
    x = np.zeros((2, 101))
    x[0, :100], x[1, 10] = 1.0, 5.0
    x[:, 100] = 1e4
    totals = Totals.of(_even(x))
    assert totals.summed.tolist() == [True] * 100 + [False] and totals.positive
    found = totals(x)
    assert found.shape == (2, totals.count) == (2, 6 + GROUPS + 1)
    np.testing.assert_allclose(found[:, 0], np.log([100, 5]))
    np.testing.assert_allclose(found[:, 1], [0.5, 10 / 99])
    np.testing.assert_allclose(found[:, 2], [(100**2 - 1) / 12 / 99**2, 0], atol=1e-12)
    np.testing.assert_allclose(found[:, 3], [np.log(1 / 100), 0])
    np.testing.assert_allclose(found[:, 4:6], [[0.01, 100], [1, 1]])
    np.testing.assert_allclose(found[:, -1], np.log(1e4))


@pytest.mark.parametrize("columns", [31, 300])
def test_polynomials_alone_stay_harmless_in_many_columns(columns):
    """A shift by .4 of one column, without products: no compilation of hundreds of terms; measured
    with an error of .03.
    """
    rng = np.random.default_rng(13)
    shift = 0.4 * np.eye(columns)[3]
    learn = least_squares_ratio((polynomials(),))
    summary = learn(rng.normal(size=(6000, columns)) + shift, rng.normal(size=(3000, columns)))
    fresh = rng.normal(size=(10_000, columns)) + shift, rng.normal(size=(10_000, columns))
    assert 0.5 < _efficiency(summary, *fresh, 2 * ndtr(0.2) - 1) < 1.1


def test_polynomials_of_thousands_of_columns_are_refused():
    x = np.zeros((10, 1001))
    with pytest.raises(InputError, match="at most 1000 columns"):
        least_squares_ratio((polynomials(),))(x, x)


# around it


def test_bulk_and_tails_of_many_columns_share_the_events_out():
    rng = np.random.default_rng(14)
    x = showers.showers(rng, 4000, TINY)
    regions = bulk_and_unusual(x)
    inside = regions.contains(showers.showers(rng, 4000, TINY))
    assert (inside.sum(axis=1) == 1).all() and 0.04 < inside[:, 1].mean() < 0.12


def test_panels_are_of_the_columns_that_differ_most():
    rng = np.random.default_rng(15)
    x, y = rng.normal(size=(2000, 60)), rng.normal(size=(2000, 60))
    y[:, 40] += 1
    y[:, 50] *= 2
    chosen = most_different(Events(x), Events(y), 60)
    assert len(chosen) == MOST_PANELS and {40, 50} <= set(chosen) and chosen == sorted(chosen)
    assert most_different(Events(x), Events(y), 5) == [0, 1, 2, 3, 4]


def test_the_page_draws_the_panels_that_differ_most():
    def panel(apart):
        numbers = {"generated": [0.5 + apart, 0.5 - apart], "holdout": [0.5, 0.5]}
        return numbers | {"generated_error": [0.1, 0.1], "holdout_error": [0.1, 0.1]}

    stored = [panel(0.0) for _ in range(30)]
    assert shown_panels(stored[:5]) == [0, 1, 2, 3, 4]
    stored[27] = panel(0.2)
    assert shown_panels(stored) == [*range(23), 27]


@pytest.mark.slow
def test_the_analysis_of_many_columns_finds_a_change(tmp_path):
    rng = np.random.default_rng(16)
    change = showers.Change(depth=0.08)
    gen = showers.showers(rng, 20_000, TINY, change)
    result = amplify.differential(gen, showers.showers(rng, 3000, TINY), n_train=100)
    assert len(result.labels) == 3 and len(result.views["panels"]) == MOST_PANELS
    record = result["all"]
    assert record["status"] == "upper_limit"
    n_equiv = (0.8687312 / change.distance) ** 2
    assert n_equiv < record["n_equiv_interval"][1] < 10 * n_equiv
