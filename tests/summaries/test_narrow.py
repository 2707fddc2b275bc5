"""Narrow resonances: what bumps in single columns make of them, alone and beside idle columns.
Seeds are fixed; false-alarm rates are those of a test that would draw new ones.
"""

import numpy as np
import pytest

from amplify.estimators.learned import learned_amplification
from amplify.summaries.bumps import bumps
from amplify.summaries.default import learned_ratio
from amplify.summaries.least_squares import Teaching, TwoStepFamily, fold_means, fold_sums
from amplify.summaries.margins import margins
from amplify.summaries.polynomial import polynomials
from amplify.types import Events
from experiments import toys


def _teaching(seed, n_gen=4000, n_true=1500, dim=2):
    rng = np.random.default_rng(seed)
    gen, true = rng.normal(size=(n_gen, dim)), rng.normal(0.1, 1, (n_true, dim))
    gen[:, -1] += gen[:, 0]
    share_gen = rng.uniform(0.5, 1.5, n_gen)
    return Teaching(gen, true, share_gen / share_gen.sum(), np.full(n_true, 1 / n_true))


def _brute_force(phi_gen, phi_true, teaching, ridge=1e-3):
    """Coefficient and cross-validated loss of the single feature phi, from the events."""
    square = teaching.share_gen @ phi_gen**2
    difference = [
        of_true[:, 0] - of_gen[:, 0]
        for of_true, of_gen in zip(
            fold_means(fold_sums(phi_true, teaching.share_true), teaching.share_true),
            fold_means(fold_sums(phi_gen, teaching.share_gen), teaching.share_gen),
            strict=True,
        )
    ]
    a = difference[1] / (square + ridge)
    loss = np.mean(0.5 * square * a**2 - a * difference[0])
    return teaching.share_true @ phi_true / (square + ridge), loss


@pytest.mark.parametrize("family", [margins, bumps], ids=["margins", "bumps"])
def test_one_shape_is_the_ridge_solution_of_the_events(family):
    """Sums over bins are sums over events; both samples are cut into folds."""
    teaching = _teaching(0)
    gen, true, share_gen, _ = teaching
    models = family(most=1)(teaching)
    phi_gen, phi_true = models.features(gen), models.features(true)
    np.testing.assert_allclose(share_gen @ phi_gen, 0, atol=1e-7)
    a, loss = _brute_force(phi_gen, phi_true, teaching)
    np.testing.assert_allclose(models.coefficients[0], a, rtol=1e-4)
    # folds may choose another shape, which is no better than that of all events by much
    assert models.loss[0] == pytest.approx(loss, abs=0.3 * abs(loss))


def test_every_fold_that_chooses_the_same_has_this_loss():
    """A difference so clear that all folds find the same shape."""
    rng = np.random.default_rng(1)
    gen = rng.uniform(size=(20_000, 1))
    true = np.concatenate([rng.uniform(size=(4000, 1)), rng.normal(0.51, 0.02, (2000, 1))])
    true = rng.permutation(true)
    teaching = Teaching(gen, true, np.full(20_000, 1 / 20_000), np.full(6000, 1 / 6000))
    models = margins(most=1, widths=(0.02,))(teaching)
    a, loss = _brute_force(models.features(gen), models.features(true), teaching)
    np.testing.assert_allclose(models.coefficients[0], a, rtol=1e-10)
    assert models.loss[0] == pytest.approx(loss, rel=1e-10)


def test_several_shapes_in_columns_that_go_together():
    """All models are ridge solutions with the covariance of the events, as columns are drawn with
    few events for it here; `value` is features times coefficients.
    """
    teaching = _teaching(2)
    models = margins(most=4)(teaching)
    phi_gen, phi_true = models.features(teaching.gen), models.features(teaching.true)
    assert models.coefficients.shape == (4, phi_gen.shape[1]) and phi_gen.shape[1] >= 2
    covariance = (phi_gen * teaching.share_gen[:, None]).T @ phi_gen
    d = teaching.share_true @ phi_true
    for a in models.coefficients:
        used = np.flatnonzero(a)
        ridge = covariance[np.ix_(used, used)] + 1e-3 * np.eye(len(used))
        np.testing.assert_allclose(a[used], np.linalg.solve(ridge, d[used]), rtol=1e-6)
        np.testing.assert_allclose(models.value(teaching.gen, a), phi_gen @ a, atol=1e-12)


def test_bins_follow_the_events():
    """Recurring values, a constant column, values beyond all, negative weights: finite, and a
    recurring value stands apart from others.
    """
    rng = np.random.default_rng(3)
    gen = np.column_stack([rng.poisson(3, 5000), np.full(5000, 2.0), rng.normal(size=5000)])
    true = np.column_stack([rng.poisson(4, 2000), np.full(2000, 2.0), rng.normal(size=2000)])
    weight = rng.choice([-1.0, 1.0, 1.0, 1.0], (2, 5000))
    shares = [w / w.sum() for w in (weight[0], weight[1, :2000])]
    models = margins()(Teaching(gen, true, *shares))
    beyond = np.array([[-1e300, 2.0, 1e300], [3.0, 2.0, 0.0], [4.0, 2.0, 0.0]])
    values = models.value(beyond, models.coefficients[-1])
    assert np.isfinite(values).all() and values[1] != values[2]
    counts, ratio = np.arange(9.0), models.coefficients[-1]
    r = models.value(np.column_stack([counts, np.full(9, 2.0), np.zeros(9)]), ratio)
    assert r[:2].max() < r[5:].min()  # truth has more of the high ones


def test_a_family_looks_at_no_more_than_it_says():
    seen = []

    def on_generated(gen, share):
        seen.append((len(gen), share.sum()))
        return lambda true, share_true: None

    gen, share = np.zeros((1000, 10)), np.full(1000, 1e-3)
    for most, numbers in ((400, None), (400, 2000), (5000, 9000)):
        _, n = TwoStepFamily(on_generated, most, numbers).prepared(gen, share)
        assert n == pytest.approx(seen[-1][0])
    assert [n for n, _ in seen] == [400, 200, 900]
    np.testing.assert_allclose([total for _, total in seen], 1)


@pytest.mark.parametrize("family", [polynomials((2,)), margins()], ids=["polynomials", "margins"])
def test_chance_in_the_generated_events_is_not_confirmed_by_folds(family):
    """2000 generated and 20 000 true events of one law: no model promises to lower the loss by
    more than a chance fit does. If the folds shared the generated mean, each would.
    Mean of 6 samples; false-alarm rate below 1e-3.
    """
    gained = []
    for seed in range(6):
        rng = np.random.default_rng([4, seed])
        gen, true = rng.normal(size=(2000, 3)), rng.normal(size=(20_000, 3))
        shares = np.full(2000, 1 / 2000), np.full(20_000, 1 / 20_000)
        gained.append(-2000 * family(Teaching(gen, true, *shares)).loss.min())
    assert np.mean(gained) < 2


def _efficiency(toy, n_teach, repetitions, seed=5):
    """D_learned / D_inf of each repetition."""
    pair = toys.TOYS[toy]
    x, weight = pair.excess(np.random.default_rng(6), 60_000)
    seen = []
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        x_gen = pair.generate(rng, min(20 * n_teach, 1_000_000))
        summary = learned_ratio()(x_gen, pair.true(rng, n_teach))
        seen.append((weight * (summary(x) <= 0)).mean() / pair.distance())
    return np.array(seen)


@pytest.mark.parametrize(
    ("toy", "repetitions"),
    [("peak10-0.03", 3), pytest.param("peak10-0.05-idle", 4, marks=pytest.mark.slow)],
)
def test_a_moved_resonance_is_seen(toy, repetitions):
    """Ten per cent of the events, half a width off, 10 n_equiv in the holdout, a third of them
    teaches: .92 to .94 in the mean with a spread of .05 (experiments.coverage), .16 and .00 without
    bumps in single columns; the mean of three is above .8 but for 1e-3.
    """
    assert _efficiency(toy, 6466, repetitions).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["peak2-0.05", "peak2-0.05-idle"])
def test_a_faint_resonance_is_seen(toy):
    """Two per cent of the events, 1.6e5 true events teach: .95 (experiments.coverage)."""
    assert _efficiency(toy, 161_000, 1).mean() > 0.85


@pytest.mark.slow
def test_the_claim_about_a_resonance_holds():
    """Of 16 claims n_equiv < X at 90 %, at most 5 are wrong: false-alarm rate .003. X is finite in
    most and not far from the truth.
    """
    pair = toys.TOYS["peak10-0.05"]
    n_equiv = toys.n_equiv(pair.distance())
    limits = []
    for repetition in range(16):
        rng = np.random.default_rng([7, repetition])
        holdout = Events(pair.true(rng, int(10 * n_equiv)))
        generated = Events(pair.generate(rng, 200_000))
        estimate, _ = learned_amplification(
            learned_ratio(), generated, holdout, n_train=1, limit_level=0.9
        )
        limits.append(float(estimate.n_equiv.high[0]))
    assert np.sum(np.array(limits) > n_equiv) >= 11
    assert np.median(limits) < 5 * n_equiv


def test_new_toys_are_at_the_distance_they_say():
    """Closed forms against 1e5 events of both kinds, four errors: false-alarm rate 1e-3 in all."""
    for name in ("checkerboard", "shift20", "peak10-0.1", "peak2-0.05"):
        pair, n = toys.TOYS[name], 100_000
        rng = np.random.default_rng(8)
        fractions = [
            (pair.log_prob_gen(x) <= pair.log_prob_true(x)).mean()
            for x in (pair.true(rng, n), pair.generate(rng, n))
        ]
        error = np.sqrt(2 * 0.25 / n)
        assert fractions[0] - fractions[1] == pytest.approx(pair.exact, abs=4 * error)
        _, weight = pair.excess(rng, n)
        assert np.maximum(weight, 0).mean() == pytest.approx(pair.exact, rel=0.03)
        assert pair.known_log_prob is None
