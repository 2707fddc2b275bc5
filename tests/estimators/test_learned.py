"""Learned amplification: who teaches and who is tested, limits, cross-fitting, sensitivities. Rates
come with their false-alarm rate.
"""

import numpy as np
import pytest
from scipy.stats import norm

from amplify.engine import using
from amplify.errors import InputError
from amplify.estimators.differential import differential_amplification
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import CrossFit, cross_fit, learned_amplification, split
from amplify.estimators.sensitivity import sensitivities
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.polynomial import polynomials
from amplify.types import Events, Status
from experiments import toys
from tests.elsewhere import elsewhere

LEARN = least_squares_ratio((polynomials((2,)),))


def _gaussians(rng, n_gen, n_holdout, shift=0.0):
    return Events(rng.normal(shift, 1, (n_gen, 2))), Events(rng.normal(size=(n_holdout, 2)))


def test_no_event_teaches_and_is_tested():
    rng, seen = np.random.default_rng(0), {}

    def spy(x_gen, x_true, weight_gen=None, weight_true=None):
        seen["gen"], seen["true"] = x_gen, x_true
        assert len(weight_gen) == len(x_gen) and len(weight_true) == len(x_true)
        return lambda x: x[:, 0]

    generated, holdout = _gaussians(rng, 50_000, 900)
    generated, holdout = Events(generated.x, rng.random(50_000)), Events(holdout.x, rng.random(900))
    parts = split(spy, generated, holdout, fraction=1 / 3)
    for taught, tested, all_events in (
        (seen["gen"], parts.generated.x, generated.x),
        (seen["true"], parts.holdout.x, holdout.x),
    ):
        rows = [set(map(tuple, x)) for x in (taught, tested)]
        assert not rows[0] & rows[1] and rows[0] | rows[1] == set(map(tuple, all_events))
    assert len(seen["true"]) == 300 and len(seen["gen"]) == 20_000


def test_the_limit_is_that_of_the_tested_events():
    rng = np.random.default_rng(1)
    generated, holdout = _gaussians(rng, 100_000, 6000, shift=0.3)
    estimate, parts = learned_amplification(LEARN, generated, holdout, n_train=100)
    direct = differential_amplification(
        parts.summary(parts.generated.x), parts.summary(parts.holdout.x), n_train=100, learned=True
    )
    assert (
        estimate.status[0] == Status.UPPER_LIMIT
        and estimate.n_equiv.high[0] == direct.n_equiv.high[0]
    )
    # two columns shifted by .3: |shift| = .4243, D = 2 Phi(.2121) - 1 = .1680
    truth = (K1 / (2 * norm.cdf(0.3 * np.sqrt(2) / 2) - 1)) ** 2
    assert truth == pytest.approx(26.74, rel=1e-3)
    assert truth < estimate.n_equiv.high[0] < 2 * truth


def test_no_difference_is_seldom_claimed():
    """True against true, 200 splits at 90 %: at most 10 % + 4 sigma (false alarm 3e-5)."""
    rng = np.random.default_rng(2)
    claims = 0
    for _ in range(200):
        generated, holdout = _gaussians(rng, 20_000, 600)
        estimate, _ = learned_amplification(LEARN, generated, holdout, n_train=100)
        claims += estimate.status[0] == Status.UPPER_LIMIT
    assert claims / 200 < 0.1 + 4 * np.sqrt(0.09 / 200)


def test_cross_fitting_is_calibrated_by_generated_pseudo_holdouts():
    """150 null pipelines: the naive error is too small by 1.1 to 1.9, the null has mean zero
    within 4 sigma, and a limit follows from its spread.
    """
    rng = np.random.default_rng(3)
    generated, holdout = _gaussians(rng, 20_000, 500)
    calls = []
    found = cross_fit(
        LEARN,
        generated,
        holdout,
        null_experiments=150,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (150, 150) and len(found.null) == 150
    assert 1.1 < found.null.std() / found.naive_error < 1.9
    assert abs(found.null.mean()) < 4 * found.null.std() / np.sqrt(150)
    for null, error in ((np.array([0.02, -0.02]), 0.02), (np.zeros(0), 0.01 * np.sqrt(2))):
        e = CrossFit(0.1, 0.01, null).estimate(n_train=50, n_gen=1e4, n_holdout=500)
        assert e.n_equiv.high[0] == pytest.approx((K1 / (0.1 - 1.644854 * error)) ** 2, rel=1e-4)
        assert e.status[0] == Status.UPPER_LIMIT and e.factor.high[0] == pytest.approx(
            e.n_equiv.high[0] / 50
        )
    nothing = CrossFit(0.01, 0.01, np.zeros(0)).estimate(n_train=50, n_gen=1e4, n_holdout=500)
    assert np.isinf(nothing.n_equiv.high[0]) and nothing.status[0] == Status.UNRESOLVED


def test_cross_fitting_sees_more_than_a_split():
    """Ring, 12 holdouts of 1200: the mean distance of five folds exceeds that of a split that
    teaches with a third.
    """
    toy = toys.TOYS["ring"]
    learn = least_squares_ratio((polynomials((2, 4)),), toy.log_prob_gen)
    crossed, single = [], []
    for repetition in range(12):
        rng = np.random.default_rng([4, repetition])
        generated, holdout = Events(toy.generate(rng, 40_000)), Events(toy.true(rng, 1200))
        crossed.append(cross_fit(learn, generated, holdout, null_experiments=0).distance)
        single.append(
            float(learned_amplification(learn, generated, holdout, n_train=1)[0].distance.value[0])
        )
    assert np.mean(crossed) > np.mean(single)


def test_sensitivities_of_a_learner_that_knows():
    """Polynomials of second degree find over .8 of a smooth tilt and at least .1 less than that of
    a narrow one; a learner that learns nothing finds nothing. Distances are those asked for within
    10 %.
    """
    x = np.random.default_rng(5).normal(size=(30_000, 2))
    found = sensitivities(LEARN, Events(x), n_teach=3000, distance=0.1, repetitions=4)
    assert [s.shape for s in found] == ["smooth", "medium", "narrow"]
    for s in found:
        assert s.distance == pytest.approx(0.1, rel=0.1) and s.efficiency <= 1.02
    smooth, _, narrow = found
    assert smooth.efficiency > 0.8 > narrow.efficiency + 0.1
    blind = sensitivities(
        lambda *_: lambda x: -np.ones(len(x)), Events(x), n_teach=300, distance=0.1, repetitions=2
    )
    assert all(abs(s.efficiency) < 1e-9 for s in blind)


def test_too_few_events_are_refused():
    rng = np.random.default_rng(6)
    generated, holdout = _gaussians(rng, 1000, 50)
    with pytest.raises(InputError, match="at least 20"):
        split(LEARN, generated, holdout)
    with pytest.raises(InputError, match="fraction"):
        split(LEARN, generated, holdout, fraction=1.0)
    with pytest.raises(InputError, match="at least 5 for each"):
        cross_fit(LEARN, generated, _gaussians(rng, 10, 300)[1])
    with pytest.raises(InputError, match="nine times"):
        sensitivities(LEARN, generated, n_teach=500, distance=0.1)


def test_the_null_of_cross_fits_knows_the_weights_of_the_holdout():
    """Lognormal weights of log-spread 1.3 that depend on nothing: the spread of D0 over 80 holdouts
    is that of the null within 4 sigma (42 %).
    """
    rng = np.random.default_rng(7)
    generated, _ = _gaussians(rng, 20_000, 1)
    holdouts = [
        Events(rng.normal(size=(400, 2)), np.exp(1.3 * rng.normal(size=400))) for _ in range(80)
    ]
    distances = [
        cross_fit(LEARN, generated, holdout, null_experiments=0).distance for holdout in holdouts
    ]
    null = cross_fit(LEARN, generated, holdouts[0], null_experiments=100).null
    assert np.std(distances) / null.std() == pytest.approx(1, abs=0.42)


def _towards_the_truth(x_gen, x_true, weight_gen=None, weight_true=None):
    direction = x_gen.mean(axis=0) - x_true.mean(axis=0)
    return lambda x: x @ direction


def test_null_experiments_are_tasks_of_an_engine_with_the_same_bits():
    rng = np.random.default_rng(9)
    generated, holdout = _gaussians(rng, 600, 100)
    weighted = Events(holdout.x, rng.uniform(0.5, 1.5, 100))
    for sample in (holdout, weighted):
        here = cross_fit(_towards_the_truth, generated, sample, null_experiments=3)
        with using(elsewhere()):
            there = cross_fit(_towards_the_truth, generated, sample, null_experiments=3)
        assert there.distance == here.distance
        np.testing.assert_array_equal(there.null, here.null)


def test_sensitivities_with_negative_weights():
    """A fifth of the weights are negative and independent of x: distance and efficiency stay what
    they are without weights.
    """
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60_000, 2))
    weight = np.where(rng.random(60_000) < 0.2, -1.0, 1.0)
    plain, signed = (
        sensitivities(LEARN, Events(x, w), n_teach=2000, distance=0.1, repetitions=3)[0]
        for w in (None, weight)
    )
    assert signed.distance == pytest.approx(0.1, rel=0.05) and signed.efficiency == pytest.approx(
        plain.efficiency, abs=0.15
    )
