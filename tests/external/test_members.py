"""A user's own generator, trained in this process.

False alarms: the one statistical test allows four standard deviations, 6e-5, at a fixed seed.
"""

import jax
import numpy as np
import pytest

from amplify import averaging_amplification, count, fractions
from amplify.errors import InputError
from amplify.examples import plain
from amplify.external import protocol
from amplify.external.members import FailedMembersError, external_members
from amplify.external.protocol import fit_seed
from amplify.regions import column, tail
from tests.external.generators import X


def test_a_fitted_gaussian_has_the_known_amplification():
    """200 members fix the variance to 10 %; four times that."""
    x = np.random.default_rng(1).normal(size=(1000, 2))
    samples = external_members(plain.fit, x, members=200, n_gen=20_000, seed=3)
    assert samples.x.shape == (200, 20_000, 2) and samples.weight is None
    right = tail(column(0), 0.0, "x0")
    counted = [fractions(count(right, np.asarray(member))) for member in samples.x]
    integrals = np.stack([c.integral for c in counted])
    with jax.enable_x64(True):
        estimate = averaging_amplification(integrals, n_train=1000, n_gen=20_000)
    assert abs(np.log(np.asarray(estimate.factor.value)[0] / (np.pi / 2))) < 0.4


def test_what_the_user_is_given(monkeypatch):
    monkeypatch.setattr(protocol, "BLOCK", 1000)
    fits, samplings = [], []

    def fit(x, seed):
        fits.append((x.copy(), seed))
        x[:] = 0  # belongs to the user

        def sample(n, seed):
            samplings.append((n, seed))
            return plain.fit(fits[-1][0], 0)(n, seed)

        return sample

    samples = external_members(fit, X, members=2, n_gen=2500)
    assert samples.x.shape == (2, 2500, 2) and samples.x.dtype == np.float32
    assert all(np.isin(x, X).all() and len(x) == len(X) for x, _ in fits)
    distinct = [len(np.unique(x[:, 0])) / len(X) for x, _ in fits]
    assert all(0.5 < share < 0.75 for share in distinct)  # 1 - 1/e of the events
    assert fits[0][1] != fits[1][1] and not np.array_equal(fits[0][0], fits[1][0])
    assert [n for n, _ in samplings] == [2500, 1000, 1000, 500] * 2
    assert samplings[0] == samplings[4]  # the first of each compares members
    assert len({seed for _, seed in samplings}) == 7
    assert all(isinstance(s, int) and 0 <= s < 2**31 for _, s in [*fits, *samplings])
    kept = X.copy()
    with pytest.raises(InputError, match="members 0 and 1: expected events that differ"):
        external_members(plain.fit, X, members=2, n_gen=300, resample="none")
    external_members(fit, X, members=1, n_gen=10, resample="none")
    np.testing.assert_array_equal(fits[-1][0], kept)
    np.testing.assert_array_equal(X, kept)


def test_progress_is_told_before_each_member():
    told = []
    external_members(plain.fit, X, members=3, n_gen=300, progress=lambda *news: told.append(news))
    assert told == [(0, 3, "member 0"), (1, 3, "member 1"), (2, 3, "member 2"), (3, 3, "")]


def test_another_seed_gives_other_events():
    first, second = (external_members(plain.fit, X, members=3, n_gen=300, seed=s) for s in (7, 8))
    assert not np.isin(np.asarray(second.x), np.asarray(first.x)).any()


def _fails_as_member_1(x, seed):
    if seed == fit_seed(1, 0):
        raise RuntimeError("no")
    return plain.fit(x, seed)


def test_the_other_members_come_with_the_error():
    words = r"member 1: .*got RuntimeError: no .*; the 2 members that trained are in error.samples"
    with pytest.raises(FailedMembersError, match=words) as caught:
        external_members(_fails_as_member_1, X, members=3, n_gen=300)
    good = external_members(plain.fit, X, members=3, n_gen=300)
    np.testing.assert_array_equal(caught.value.samples.x, np.asarray(good.x)[[0, 2]])
    assert set(caught.value.failed) == {1} and isinstance(caught.value.__cause__, RuntimeError)


def test_training_weights_travel_with_their_events():
    given = []

    def fit(x, seed, *, weight):
        given.append((x, weight))
        return plain.fit(x, seed)

    external_members(fit, X, members=2, n_gen=10, weight=-X[:, 0])  # negative ones too
    assert len(given) == 2 and all(np.array_equal(w, -x[:, 0]) for x, w in given)


@pytest.mark.parametrize(
    "fit",
    [
        lambda x, seed: plain.fit(x, seed),
        lambda x, seed, **settings: plain.fit(x, seed),
        lambda *a, **b: plain.fit(*a),
    ],
    ids=["no such parameter", "catch-all", "catch-all of everything"],
)
def test_weights_that_fit_does_not_take_are_refused(fit):
    words = (
        r"expected a generator fit\(x_train, seed, weight\),"
        r" got one without a parameter called weight"
    )
    with pytest.raises(InputError, match=words):
        external_members(fit, X, members=2, n_gen=10, weight=np.ones(len(X)))


def test_samples_that_differ_by_their_weights_differ():
    def fit(x, seed):
        mean = x.mean(axis=0)

        def sample(n, seed):
            z = np.random.default_rng(seed).normal(size=(n, 2))
            return z, np.exp(z @ mean)

        return sample

    assert external_members(fit, X, members=2, n_gen=100).weight.shape == (2, 100)


def test_settings_that_make_no_sense():
    words = "resample: expected 'bootstrap' or 'none', got 'jackknife'"
    with pytest.raises(InputError, match=words):
        protocol.check_numbers(members=2, n_gen=1, seed=0, resample="jackknife")
    with pytest.raises(InputError, match="members: expected at least 1"):
        external_members(plain.fit, X, members=0, n_gen=10)
