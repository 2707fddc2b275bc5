"""Members against the events that they were trained on: fits of a Gaussian, whose bias is known."""

import numpy as np
import pytest
from scipy import stats

from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.trained_on import agreement_in_bins
from amplify.types import Holdout, Status

N_TRAIN, MEMBERS, SETS = 1000, 8, 300
EDGES = np.concatenate([[-np.inf], stats.norm.ppf(np.arange(1, 10) / 10), [np.inf]])


def _sets(width):
    """Fits on bootstrap samples that make the Gaussian `width` times too wide, and fractions of the
    training events [set, ...].
    """
    rng = np.random.default_rng(5)
    for _ in range(SETS):
        x = rng.normal(size=N_TRAIN)
        resampled = x[rng.integers(N_TRAIN, size=(MEMBERS, N_TRAIN))]
        mean, sd = resampled.mean(axis=1)[:, None], width * resampled.std(axis=1)[:, None]
        members = np.diff(stats.norm.cdf(EDGES, mean, sd), axis=1)
        yield members, Holdout(np.histogram(x, EDGES)[0] / N_TRAIN, N_TRAIN)


@pytest.fixture(scope="module", params=[1.0, 1.25])
def fits(request):
    return request.param, list(_sets(request.param))


def test_pulls_have_no_more_than_their_error_and_show_a_bias(fits):
    """Without a bias the error is what is expected at most: 3000 pulls in ten bins, whose share
    beyond three errors exceeds .6 % by chance once in 1e6. A Gaussian that is a quarter too wide
    has 3 to 4 % of its events too many in each outermost bin, four errors.
    """
    width, sets = fits
    members = np.concatenate([m for m, _ in sets], axis=1)  # all sets at once
    holdout = Holdout(np.concatenate([h.integral for _, h in sets]), N_TRAIN)
    found = averaging_amplification(members, n_train=N_TRAIN, holdout=holdout, trained_on=True)
    pull, marked, factor = (
        np.reshape(values, (SETS, -1))
        for values in (found.pull, found.status == Status.BIASED, found.factor.value)
    )
    if width == 1.0:
        # var(e - u) / var(e): .38 outermost, .94 central, and 1/8 of the members' own
        assert (pull.std(axis=0) < 1.12).all() and pull[:, 0].std() < 0.8
        assert marked.mean() <= 0.006
    else:
        assert marked[:, [0, -1]].mean() > 0.5
        # it is the members that are worth less, not the training events
        assert np.median(factor[:, 0]) < 1


def test_chi2_in_bins_rejects_what_is_biased_and_nothing_else(fits):
    """Of 300 sets without a bias more than three with p < .002 happen once in 1e4 at most."""
    width, sets = fits
    improbable = np.mean([agreement_in_bins(m, h).improbable for m, h in sets])
    assert improbable < 0.0101 if width == 1.0 else improbable > 0.9


def test_few_members_suffice_against_training_events():
    """Their spread is a small part of the error, so that Student's t does not forgive the bias."""
    members = np.array([[0.3, 0.7], [0.302, 0.698]])
    truth = Holdout(np.array([0.2, 0.8]), N_TRAIN)
    ours = averaging_amplification(members, n_train=N_TRAIN, holdout=truth, trained_on=True)
    assert (ours.status == Status.BIASED).all()


def test_bins_with_few_events_are_looked_at_together():
    """Against scipy's chi^2 of the merged bins."""
    members = np.tile([0.5, 0.484, 0.008, 0.008], (2, 1))
    truth = Holdout(np.array([0.46, 0.5, 0.02, 0.02]), 1000)
    found = agreement_in_bins(members, truth)
    expected = stats.chisquare([460, 500, 40], [500, 484, 16])
    assert found.probability == pytest.approx(expected.pvalue, rel=1e-9)
    assert (
        agreement_in_bins(members[:, :1], truth._replace(integral=truth.integral[:1])).probability
        == 1
    )


def test_the_error_against_training_events_is_theirs_and_that_of_the_mean_member():
    """Of numbers that are written down: the spread of the members counts as 1 / M, and no more."""
    members = np.array([[0.10], [0.14], [0.12], [0.16]])
    truth = Holdout(np.array([0.20]), 400)
    settings = {"n_train": 400, "holdout": truth}
    trained = averaging_amplification(members, trained_on=True, **settings)
    held_out = averaging_amplification(members, **settings)
    spread = members.var(ddof=1)
    expected = spread / 4 + 0.2 * 0.8 / 400
    assert trained.pull[0] == pytest.approx(0.07 / np.sqrt(expected))
    assert held_out.pull[0] == pytest.approx(0.07 / np.sqrt(expected + spread))
