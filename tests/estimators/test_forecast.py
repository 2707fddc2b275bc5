"""Members against the pool of the others, where distances are known."""

import numpy as np
import pytest
from scipy.stats import norm

from amplify.errors import InputError, NeedsMembersError
from amplify.estimators.forecast import Apart, apart, bracketed, n_equiv_of
from amplify.estimators.kolmogorov import K1

N_TRAIN = 400


def _apart(rng, means, n):
    """Members N(mean, 1) [member, dim], judged by one another."""
    means = np.asarray(means)
    x = np.concatenate([mean + rng.normal(size=(n, means.shape[1])) for mean in means])
    log_prob = np.stack([norm.logpdf(x, mean, 1).sum(axis=1) for mean in means])
    return apart(log_prob, np.repeat(np.arange(len(means)), n))


def test_two_members_are_a_total_variation_apart():
    """2 Phi(delta / 2) - 1; off by four standard errors once in 10 000."""
    found = _apart(np.random.default_rng(0), [[0.0], [0.3]], 100_000)
    truth = 2 * norm.cdf(0.15) - 1
    assert (np.abs(found.distance - truth) < 4 * found.error).all()
    assert (found.error < 0.001).all()


def test_same_data_and_bootstrap_members_bracket_a_member():
    """Fitted means in six dimensions: of a member's variance four fifths are data, one training.
    Where everything is linear the lower end is an end at 84 %, one-sided, which holds in .81 or
    more: of 40 training sets fewer than 26 are inside with a probability below 1 %.
    """
    rng = np.random.default_rng(1)
    dim, sigma = 6, 1 / np.sqrt(N_TRAIN)
    inside = []
    for _ in range(40):
        centre = rng.normal(0, sigma, dim)
        same = centre + rng.normal(0, 0.5 * sigma, (4, dim))
        bootstrap = centre + rng.normal(0, np.sqrt(1.25) * sigma, (4, dim))
        bracket = bracketed(_apart(rng, bootstrap, 1000), _apart(rng, same, 1000), n_train=N_TRAIN)
        typical = np.mean(2 * norm.cdf(np.linalg.norm(same, axis=1) / 2) - 1)
        inside.append(bracket.low < (K1 / typical) ** 2 < bracket.high)
    assert np.sum(inside) >= 26


def test_a_small_pool_is_corrected():
    """D^2 = a + b / M of the others: with the factor (M - 1) / M, 2 and 16 members say the same to
    20 %, three standard errors of the draws; without it they differ by a factor of 1.9.
    """
    rng, worth = np.random.default_rng(2), {}
    for m, repeated in ((2, 100), (16, 6)):
        found = [_apart(rng, rng.normal(0, 0.05, (m, 6)), 400) for _ in range(repeated)]
        mean = np.mean([f.distance.mean() for f in found]) * np.sqrt((m - 1) / m)
        worth[m] = (K1 / mean) ** 2
        each = n_equiv_of(found[0], n_train=N_TRAIN)
        assert each.low < each.value < each.high
    assert worth[2] == pytest.approx(worth[16], rel=0.2)


def test_distances_that_may_be_zero_have_no_upper_end():
    found = Apart(np.array([0.01, -0.01, 0.0]), np.full(3, 0.01))
    n_equiv = n_equiv_of(found, n_train=N_TRAIN)
    assert n_equiv.value == np.inf and n_equiv.high == np.inf and np.isfinite(n_equiv.low)


def test_nonsense_is_refused():
    with pytest.raises(NeedsMembersError):
        apart(np.zeros((1, 4)), np.zeros(4, int))
    with pytest.raises(InputError, match="source"):
        apart(np.zeros((2, 4)), np.zeros(3, int))
    with pytest.raises(InputError, match="nan"):
        apart(np.full((2, 4), np.nan), np.array([0, 1, 0, 1]))
    with pytest.raises(NeedsMembersError, match="one kind"):
        bracketed(n_train=N_TRAIN)
