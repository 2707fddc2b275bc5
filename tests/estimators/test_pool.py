"""What the pool of the members is worth, against toys whose variances are known."""

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.pool import Spread, pool_amplification, variance_difference
from amplify.types import Holdout, Status

N_TRAIN, SHARE = 1000, 0.2
BINOMIAL = SHARE * (1 - SHARE)
DATA, TRAINING = BINOMIAL / N_TRAIN * 0.5, BINOMIAL / N_TRAIN * 0.2  # variances


def _members(rng, m, k, regions=1):
    """Integrals of bootstrap and of same-data members of one training set [member, region]."""
    centre = SHARE + rng.normal(0, np.sqrt(DATA), regions)
    training = np.sqrt(TRAINING)
    bootstrap = centre + rng.normal(0, np.sqrt(DATA + TRAINING), (m, regions))
    return bootstrap, centre + rng.normal(0, training, (k, regions))


@pytest.mark.parametrize(("m", "k"), [(8, 4), (4, 4), (16, 8)])
def test_intervals_cover_what_the_pools_are_worth(m, k):
    """2000 regions: a share strays from .68 by more than .045 (the method's .01 and 3.5 binomial
    errors) once in 2000; the one-sided limits likewise from .95 by .027.
    """
    rng = np.random.default_rng(m)
    bootstrap, same = _members(rng, m, k, 2000)
    pools = {"bootstrap": DATA + (DATA + TRAINING) / m, "same data": DATA + TRAINING / k}
    for of, variance in pools.items():
        truth = BINOMIAL / N_TRAIN / variance
        pool = pool_amplification(bootstrap, n_train=N_TRAIN, same_data=same, of=of)
        known = pool.status == Status.RESOLVED
        assert known.mean() > 0.7
        inside = (pool.factor.low < truth) & (truth < pool.factor.high) & known
        # where the data part may be zero there is a limit and no interval
        covered = (inside | (~known & (pool.factor.low < truth))).mean()
        assert covered > 0.68 - 0.045
        assert (pool.bounds.low < truth).mean() > 0.95 - 0.027
        value = np.where(known, pool.factor.value, np.inf)
        assert 0.4 < (value > truth).mean() < 0.6


def test_bootstrap_members_alone_give_a_limit_that_holds():
    """Of 4000 regions, whatever part is training: wrong in 5 % at most, give or take 3.5 binomial
    errors.
    """
    rng = np.random.default_rng(3)
    for training in (0.0, TRAINING, 10 * TRAINING):
        m = 8
        centre = SHARE + rng.normal(0, np.sqrt(DATA), 4000)
        members = centre + rng.normal(0, np.sqrt(DATA + training), (m, 4000))
        pool = pool_amplification(members, n_train=N_TRAIN)
        assert (pool.status == Status.LOWER_LIMIT).all() and np.isnan(pool.n_equiv.value).all()
        truth = BINOMIAL / N_TRAIN / (DATA + (DATA + training) / m)
        assert (pool.factor.low > truth).mean() < 0.05 + 0.012
        member = averaging_amplification(members, n_train=N_TRAIN)
        np.testing.assert_allclose(pool.factor.low, member.bounds.low * m / (m + 1))


def test_noise_of_finite_samples_is_subtracted():
    """The median of 2000 values is within 10 % of the truth; without subtraction .6 of it."""
    rng = np.random.default_rng(4)
    n_gen = 4 * N_TRAIN
    bootstrap, same = _members(rng, 8, 8, 2000)
    noisy = [rng.binomial(n_gen, x) / n_gen for x in (bootstrap, same)]
    pool = pool_amplification(
        noisy[0], n_train=N_TRAIN, n_gen=n_gen, same_data=noisy[1], n_gen_same=n_gen
    )
    truth = BINOMIAL / N_TRAIN / (DATA + (DATA + TRAINING) / 8)
    known = pool.status == Status.RESOLVED
    values = np.where(known, pool.factor.value, np.inf)
    assert np.median(values) == pytest.approx(truth, rel=0.1)


def test_a_bias_of_the_members_is_one_of_the_pool():
    rng = np.random.default_rng(5)
    bootstrap, same = _members(rng, 8, 4)
    far = Holdout(np.array([SHARE + 0.1]), 100_000)
    pool = pool_amplification(bootstrap, n_train=N_TRAIN, same_data=same, holdout=far)
    assert pool.status[0] == Status.BIASED and pool.bias[0] == pytest.approx(0.1, rel=0.3)
    assert pool.n_equiv.value[0] == pytest.approx(BINOMIAL / 0.01, rel=0.6)
    limit = pool_amplification(bootstrap, n_train=N_TRAIN, holdout=far)
    assert limit.status[0] == Status.BIASED and limit.n_equiv.low[0] < pool.n_equiv.value[0]


def test_few_events_say_nothing():
    members = np.array([[0.001], [0.002], [0.0015]])
    pool = pool_amplification(members, n_train=100)
    assert pool.status[0] == Status.UNRESOLVED and pool.n_equiv.low[0] == 0


def test_nothing_less_is_chi_squared():
    alone = variance_difference(Spread(np.ones(1), 7, 0.0, 1.0), None, 0.84)
    zero = variance_difference(
        Spread(np.ones(1), 7, 0.0, 1.0), Spread(np.zeros(1), 3, 0.0, 1.0), 0.84
    )
    for a, b in zip(alone, zero, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_pool_of_the_same_data_needs_such_members():
    members = np.random.default_rng(0).normal(0.2, 0.01, (4, 1))
    with pytest.raises(InputError, match="same_data"):
        pool_amplification(members, n_train=100, of="same data")
