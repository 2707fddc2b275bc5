"""Completion rounds, against the maximum-likelihood fit of truncated Gaussians, whose generator is
a Gaussian with the moments of what it is shown.

False alarms: seeds are fixed; bounds on Z are five of its errors, 6e-7, or said in place.
"""

import pickle
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, truncnorm

from amplify.errors import InputError
from amplify.examples import mixture, plain
from amplify.external.completion import completed
from amplify.external.members import FailedMembersError, external_members
from amplify.external.protocol import MemberError, RefusedError
from amplify.external.supervise import train_members
from amplify.regions.passing import Passes
from tests.external.generators import events

CUT = -1.0
X = truncnorm.rvs(CUT, np.inf, size=(4000, 1), random_state=1)


def above(x):
    return x[:, 0] > CUT


def unweighted(x, seed):
    return plain.fit(x, seed)


def most_likely(x, weight=None):
    """Mean, width and Z of the Gaussian whose truncated density fits x > CUT best."""

    def loss(params):
        mean, width = params[0], np.exp(params[1])
        density = norm.logpdf(x[:, 0], mean, width) - norm.logsf(CUT, mean, width)
        return -np.average(density, weights=weight)

    mean, log_width = minimize(loss, [0.0, 0.0], method="Nelder-Mead", tol=1e-9).x
    return mean, np.exp(log_width), norm.sf(CUT, mean, np.exp(log_width))


@pytest.mark.parametrize("fit", [plain.fit, unweighted])
def test_rounds_end_at_the_maximum_of_the_likelihood(fit):
    """From 13 % above it; the rejected events' own noise moves Z by 1 %, about what 200 seeds
    scatter by; mean and width follow.
    """
    mean, width, z = most_likely(X)
    sample = completed(fit, above, rounds=25)(X, 0)
    first, last = sample.history[0], sample.acceptance
    naive = norm.sf((CUT - X.mean()) / X.std())
    assert abs(first.value - naive) < 5 * first.error and naive / z > 1.1
    assert abs(last.value / z - 1) < 0.02 and 0 < last.error < 0.003
    candidates = sample.candidates(100_000, 3)
    assert abs(candidates.mean() - mean) < 0.04 and abs(candidates.std() / width - 1) < 0.03
    assert sample.warning == ""


def test_each_round_is_that_of_infinite_data():
    """The recursion of moments, with the weight that runs ahead, at n = 10^5: to .5 %."""
    x = truncnorm.rvs(CUT, np.inf, size=(100_000, 1), random_state=2)
    measured = [z.value for z in completed(unweighted, above, rounds=6)(x, 0).history]
    first, second = truncnorm.stats(CUT, np.inf, moments="mv")
    data = np.array([first, second + first**2])
    mean, width, before, expected = first, second**0.5, None, []
    for _ in range(7):
        z = norm.sf(CUT, mean, width)
        expected.append(z)
        left = len(expected) <= 5  # of six rounds the last one is plain
        weight = (1 - z) / z
        ahead = weight if before is None or not left else weight * (weight / before) ** 0.7
        before = weight
        end = (CUT - mean) / width
        m, v = truncnorm.stats(-np.inf, end, mean, width, moments="mv")
        moments = (data + ahead * np.array([m, v + m**2])) / (1 + ahead)
        mean, width = moments[0], (moments[1] - moments[0] ** 2) ** 0.5
    np.testing.assert_allclose(measured, expected, rtol=0.005)
    true = norm.sf(CUT)
    distances = np.abs(np.array(measured) / true - 1)
    assert distances[0] > 0.12 and distances[-1] < 0.03


def test_what_leaked_is_back_inside():
    """The fraction of events below 0, 5 sigma of 4000 events too small when candidates are only
    rejected; sigma is that of the training events, and X is as it is.
    """
    inside = (norm.cdf(0) - norm.cdf(CUT)) / norm.sf(CUT)
    sigma = np.sqrt(inside * (1 - inside) / len(X))
    naive = plain.fit(X, 0)(400_000, 1)
    rejected = (naive[above(naive)] < 0).mean()
    completed_events = completed(plain.fit, above)(X, 0)(400_000, 1)
    assert rejected < inside - 5 * sigma
    assert abs((completed_events < 0).mean() - inside) < 2 * sigma


def test_weights_of_the_data_are_honoured():
    """Weights exp(-x / 2) move the Gaussian that was cut to a mean of -1/2."""
    weight = np.exp(-X[:, 0] / 2)
    z = most_likely(X, weight)[2]
    assert z < 0.75
    acceptance = completed(plain.fit, above, rounds=25)(X, 0, weight).acceptance
    assert abs(acceptance.value / z - 1) < 0.04
    again = completed(plain.fit, above, rounds=2)(X, 0, 7 * weight).history
    assert again == completed(plain.fit, above, rounds=2)(X, 0, weight).history
    with pytest.raises(RefusedError, match="one without a parameter called weight"):
        completed(unweighted, above)(X, 0, weight)


def test_generated_weights_are_counted():
    """Candidates from a wide Gaussian that weigh what makes them a narrow one: the same Z, with
    the error of weighted events, which 100 draws give to 7 %: 3.5 of that, 5e-4.
    """

    def fit(x, seed, weight=None):
        weight = np.ones(len(x)) if weight is None else weight
        mean = np.average(x[:, 0], weights=weight)
        width = np.sqrt(np.average((x[:, 0] - mean) ** 2, weights=weight))

        def sample(n, seed):
            u = np.random.default_rng(seed).normal(size=n)
            weight = np.exp(u**2 / 2 - (1.5 * u) ** 2 / 2)
            return (mean + 1.5 * width * u)[:, None], weight

        return sample

    sample = completed(fit, above, rounds=4)(X, 0)
    plain_ones = completed(plain.fit, above, rounds=4)(X, 0)
    for ours, theirs in zip(sample.history, plain_ones.history, strict=True):
        assert abs(ours.value - theirs.value) < 0.015
    shares = []
    for seed in range(100):
        x, weight = sample.candidates(1 << 16, seed)
        shares.append(weight[above(x)].sum() / weight.sum())
    assert abs(np.std(shares) / sample.acceptance.error - 1) < 0.25
    x, weight = sample(5000, 1)
    assert len(x) == len(weight) == 5000 and above(x).all()
    with pytest.raises(InputError, match="one without a parameter called weight"):
        completed(lambda x, seed: fit(x, seed), above)(X, 0)


def test_samples_pass_and_seeds_decide():
    x = X.astype(np.float32)
    sample = completed(unweighted, above, rounds=3)(x, 5)
    for n in (1, 10, 70_000):
        drawn = sample(n, 2)
        assert drawn.shape == (n, 1) and drawn.dtype == np.float32 and above(drawn).all()
    np.testing.assert_array_equal(
        sample(100, 2), completed(unweighted, above, rounds=3)(x, 5)(100, 2)
    )
    assert not np.isin(sample(100, 2), sample(100, 3)).any()
    assert len(np.unique(sample(70_000, 2))) > 65_000


def test_what_fit_is_shown():
    """The data once, and round(n odds) events that fail them, or twice as many with weights that
    sum to n odds; shuffled.
    """
    shown = []

    def fit(x, seed, weight=None):
        shown.append((x.copy(), seed, weight))
        return plain.fit(X, 0)  # Z stays

    z = norm.sf((CUT - X.mean()) / X.std())
    completed(fit, above, rounds=2)(X, 9)
    completed(lambda x, seed: fit(x, seed), above, rounds=2)(X, 9)
    assert [len(x) for x, _, _ in shown[::3]] == [len(X)] * 2 and {s for _, s, _ in shown} == {9}
    missing = len(X) * (1 - z) / z
    for x, _, weight in (shown[1], shown[4]):
        failing = ~above(x)
        assert np.array_equal(np.sort(x[~failing, 0]), np.sort(X[:, 0])) and failing[:200].any()
        times = 1 if weight is None else 2
        assert abs(failing.sum() / missing / times - 1) < 0.1
        if weight is not None:
            assert (weight[~failing] == 1).all()
            assert abs(weight[failing].sum() / missing - 1) < 0.1


def test_training_events_that_fail_are_refused():
    words = "training events: expected events that pass the cuts, got 5 of 4000 that fail"
    x = X.copy()
    x[:5] = -2
    with pytest.raises(RefusedError, match=words):
        completed(plain.fit, above)(x, 0)
    with pytest.raises(RefusedError, match=words) as caught:  # no matter of one member
        external_members(completed(plain.fit, above), x, members=2, n_gen=10, resample="none")
    assert "\n" not in str(caught.value)
    completed(plain.fit, above, rounds=1)(np.concatenate([X, x[:4]]), 0)  # rounding


def test_a_generator_that_loses_its_data_is_one_line():
    """One that widens whatever it learns gets wider of its own events."""

    def fit(x, seed):
        mean, width = x.mean(axis=0), 1.6 * x.std(axis=0)
        return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, 2))

    x = np.random.default_rng(0).uniform(-1, 1, size=(2000, 2))
    words = r"expected a generator of which 1% or more passes .* after \d rounds"
    wide = completed(fit, lambda x: (np.abs(x) < 1).all(axis=1), rounds=20)
    with pytest.raises(MemberError, match=words) as caught:
        wide(x, 0)
    assert "\n" not in str(caught.value)
    with pytest.raises(FailedMembersError, match=rf"member 0.*{words}"):
        external_members(wide, x, members=2, n_gen=10)


def test_rounds_that_do_not_settle_are_told():
    """A truncated Gaussian has no most likely width for exponential data: Z falls for ever."""
    x = np.random.default_rng(0).exponential(size=(3000, 1))
    for rounds in (8, 30):
        sample = completed(plain.fit, lambda x: x[:, 0] > 0, rounds=rounds)(x, 0)
        assert "still falls" in sample.warning and "give more rounds" in sample.warning
    fit = completed(plain.fit, lambda x: x[:, 0] > 0, rounds=4)
    with pytest.warns(UserWarning, match=r"member 0: the share of .* (still falls|without end)"):
        external_members(fit, x, members=1, n_gen=10)


def test_cuts_that_cut_nothing_cost_nothing():
    """Events far inside: one training, and its own events."""
    told = []
    sample = completed(
        plain.fit, lambda x: x[:, 0] > -50, rounds=5, progress=lambda *news: told.append(news)
    )(X, 0)
    assert sample.history == ((1.0, 0.0),)
    assert told == [(0, 5, "1.0000 +- 0.0000 of the generated events pass the cuts")]


def test_candidates_that_are_not_finite_count_neither_way():
    def at_times(x, seed):
        good = plain.fit(x, seed)

        def sample(n, seed):
            drawn = good(n, seed)
            drawn[::200] = np.nan
            return drawn

        return sample

    sample = completed(at_times, above, rounds=3)(X, 0)
    assert np.isfinite(sample(1000, 1)).all()
    z = completed(plain.fit, above, rounds=3)(X, 0).acceptance
    assert abs(sample.acceptance.value - z.value) < 0.01
    broken = completed(lambda x, seed: lambda n, seed: np.full((n, 1), np.nan), above)
    with pytest.raises(MemberError, match=r"expected finite events from sample\(\d+, seed\)"):
        broken(X, 0)


@pytest.mark.parametrize(
    ("fit", "passes", "words"),
    [
        (plain.fit, lambda x: x > 0, r"booleans of shape \(4000,\) of 4000 events, got bool of"),
        (plain.fit, lambda x: x[:, 0], "got float64 of shape"),
        (lambda x, seed: x, above, "to return a function, got a ndarray"),
        (lambda x, seed: lambda n, seed: x[:3], above, r"65536 events from sample\(65536, seed\)"),
    ],
)
def test_what_breaks_the_protocol_is_said(fit, passes, words):
    with pytest.raises(InputError, match=words):
        completed(fit, passes)(X, 0)


def test_no_rounds_are_refused():
    with pytest.raises(InputError, match="rounds: expected at least 1, got 0"):
        completed(plain.fit, above, rounds=0)


def test_it_can_be_pickled():
    fit = completed(unweighted, Passes(("x0 > -1",), ("x0",)), rounds=2)
    sample = pickle.loads(pickle.dumps(fit))(X, 3)
    np.testing.assert_array_equal(sample(50, 1), fit(X, 3)(50, 1))


def test_members_differ_and_both_routes_give_the_same(here):
    """In this process, and in processes of their own, from the texts of the cuts."""
    x = np.concatenate([X[:1000], X[1000:2000]], axis=1)
    cuts = ("x0 > -1", "x1 > -1")
    fit = completed(plain.fit, Passes(cuts, ("x0", "x1")), rounds=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three rounds do not settle
        samples = external_members(fit, x, members=2, n_gen=300)

    def train(**settings):
        settings = {"members": 2, "n_gen": 300, "workers": 2, "rounds": 3} | settings
        return train_members(here / "run", "amplify.examples.plain:fit", x, **settings)

    done = train(cuts=cuts)
    np.testing.assert_array_equal(np.asarray(samples.x), events(done.files))
    assert (np.asarray(samples.x) > -1).all()
    assert [0 < m["acceptance_error"] < 0.01 < m["acceptance"] < 1 for m in done.completion] == [
        True
    ] * 2
    log = (here / "run" / "member_001.log").read_text()
    assert "completion round 3 of 3: 0." in log
    before = [file.stat().st_mtime_ns for file in done.files]
    assert train(cuts=cuts).completion == done.completion
    assert [file.stat().st_mtime_ns for file in done.files] == before
    for change in ({"cuts": cuts[:1]}, {"cuts": cuts, "rounds": 4}, {}):
        with pytest.raises(InputError, match=r"members in .*run: expected those of this job"):
            train(**change)


def test_a_module_may_hold_a_completed_fit(here):
    """Members in processes load it by its name, and it keeps its rounds."""
    (here / "gen.py").write_text(
        "import amplify\nfrom amplify.examples import plain\n"
        "fit = amplify.completed(plain.fit, lambda x: x[:, 0] > -1, rounds=2)\n"
    )
    done = train_members(here / "run", "gen:fit", X, members=2, n_gen=300, workers=2)
    assert (events(done.files) > -1).all()


@pytest.mark.slow
def test_a_flexible_generator_is_completed_too():
    """A mixture of eight Gaussians, half of a ring: the fraction of events within .2 of the edge,
    where rejection alone leaves a dent, is nearer to the truth, mean of four training sets.
    """
    pytest.importorskip("sklearn")
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        radius, angle = rng.normal(2, 0.3, 5000), rng.uniform(-np.pi / 2, np.pi / 2, 5000)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        right = lambda x: x[:, 0] > 0  # noqa: E731
        truth = 2 * np.arcsin(0.2 / 2) / np.pi  # to 1 %: the ring is thin
        plainly = mixture.fit(x, 0)(200_000, 1)
        plainly = plainly[right(plainly)]
        ours = completed(mixture.fit, right, rounds=6)(x, 0)(200_000, 1)
        errors.append([(y[:, 0] < 0.2).mean() / truth - 1 for y in (plainly, ours)])
    naive, ours = np.abs(np.mean(errors, axis=0))
    assert ours < naive / 2
