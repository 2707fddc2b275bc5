"""What refits say, against toys whose error is known."""

import numpy as np
import pytest
from scipy.stats import chi2

from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.estimators.refit import refit_amplification
from amplify.types import Status

N_TRAIN, SHARE = 1000, 0.2
BINOMIAL = SHARE * (1 - SHARE)
SIGMA = np.sqrt(BINOMIAL / N_TRAIN / 2)  # G = 2 without a bias


def _refits(rng, r, bias, regions, n_gen=None):
    """Integrals of refits and of the members of their pool, counted in n_gen events."""
    exact = SHARE + bias + SIGMA * rng.normal(size=(r, regions))
    members = SHARE + SIGMA * rng.normal(size=(8, regions))
    truth = members.mean(axis=0)
    exact = exact + truth - SHARE
    if n_gen is None:
        return exact, members
    return rng.binomial(n_gen, exact) / n_gen, rng.binomial(n_gen, members) / n_gen


@pytest.mark.parametrize("n_gen", [None, 20_000])
@pytest.mark.parametrize(("r", "bias"), [(8, 0.0), (4, 0.0), (8, 2.0)])
def test_intervals_cover_the_error_with_its_bias(r, bias, n_gen):
    """4000 regions: a share strays from .68 by more than .03 (four binomial errors) once in 16 000;
    it may be more where limits stand for some intervals, and where the bias is known better than
    chi^2 says.
    """
    rng = np.random.default_rng(r)
    refits, pool = _refits(rng, r, bias * SIGMA, 4000, n_gen)
    estimate = refit_amplification(refits, pool, n_train=N_TRAIN, n_gen=n_gen, n_gen_pool=n_gen)
    # the pool of 8 members has its own integral in every region
    binomial = estimate.integral * (1 - estimate.integral)
    n_equiv = binomial / (SIGMA**2 * (1 + bias**2))
    covered = (estimate.n_equiv.low < n_equiv) & (n_equiv < estimate.n_equiv.high)
    resolved = estimate.status == Status.RESOLVED
    assert resolved.mean() > 0.94  # elsewhere a limit, without an upper end
    assert 0.65 < covered.mean() < (0.75 if bias == 0 else 0.95)
    if bias == 0:
        assert abs((estimate.n_equiv.value < n_equiv)[resolved].mean() - 0.5) < 0.035
        beyond = (n_equiv > estimate.bounds.high * N_TRAIN)[resolved].mean()
        assert abs(beyond - 0.05) < 0.015
    assert abs(estimate.bias.mean() / SIGMA - bias) < 0.03
    # Student's t, and the mean square of its error
    assert (
        abs(
            np.mean((estimate.bias / SIGMA - bias) ** 2)
            / np.mean(estimate.bias_error**2)
            * SIGMA**2
            - 1
        )
        < 0.15
    )


def test_noise_hides_an_error_and_says_so():
    refits = np.array([[0.2, 0.5], [0.2001, 0.51], [0.1999, 0.49]])
    estimate = refit_amplification(refits, refits, n_train=1000, n_gen=1000, n_gen_pool=1000)
    assert (estimate.status == Status.LOWER_LIMIT).all()
    assert np.isnan(estimate.n_equiv.value).all() and np.isinf(estimate.n_equiv.high).all()
    assert (estimate.n_equiv.low > 0).all()


def test_few_events_say_nothing():
    refits = np.array([[0.002], [0.003]])
    estimate = refit_amplification(refits, refits, n_train=1000)
    assert estimate.status.tolist() == [Status.UNRESOLVED]
    assert estimate.bounds.low.tolist() == [0.0]


def test_bad_input_is_refused():
    good = np.array([[0.2, 0.5], [0.21, 0.51]])
    with pytest.raises(InputError, match="same regions"):
        refit_amplification(good, good[:, :1], n_train=100)
    with pytest.raises(NeedsMembersError):
        refit_amplification(good[:1], good, n_train=100)
    with pytest.raises(EmptyRegionError):
        refit_amplification(good * [0, 1], good * [0, 1], n_train=100)
    with pytest.raises(InputError, match="fractions"):
        refit_amplification(good, good + 1, n_train=100)


def test_noise_of_refits_and_of_the_pool_is_subtracted():
    """Of numbers that are written down: E^2 = sum of squares / chi^2_.5 - both noises."""
    pool, refits = np.array([[0.19], [0.21]]), np.array([[0.25], [0.16], [0.26], [0.15]])
    sizes = {"n_train": 500, "n_gen": 2000, "n_gen_pool": 1000}
    found = refit_amplification(refits, pool, **sizes).sigma_model.value[0]
    noise = np.mean(refits * (1 - refits)) / 2000 + np.mean(pool * (1 - pool)) / 1000 / 2
    squares = ((refits - 0.2) ** 2).sum()
    assert found**2 == pytest.approx(squares / chi2.median(4) - noise)
