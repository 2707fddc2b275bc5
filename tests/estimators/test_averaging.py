"""averaging_amplification: arrays in, estimate out (docs/method, Averaging amplification)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.bias import (
    expected_difference,
    squared_bias,
    squared_bias_of_marked,
)
from amplify.estimators.pooled import pooled_amplification
from amplify.types import Holdout, Status


def _members(rng, integral, sigma_model, members, n_gen, trials=1):
    """Counted fractions [trial, member]: true integrals scattered by sigma_model, then a finite
    sample.
    """
    truth = np.clip(integral + sigma_model * rng.standard_normal((trials, members)), 0, 1)
    return rng.binomial(n_gen, truth) / n_gen


def test_formulas_on_numbers_worked_out_by_hand(x64):
    integral = np.array([[0.18, 0.5], [0.22, 0.5], [0.20, 0.8]])
    e = averaging_amplification(jnp.asarray(integral), n_train=100, n_gen=10_000, level=0.9)
    total = 0.0004
    noise = (0.18 * 0.82 + 0.22 * 0.78 + 0.2 * 0.8) / 3 / 10_000
    median = 2 * total / chi2.ppf(0.5, 2)
    np.testing.assert_allclose(e.integral[0], 0.2)
    np.testing.assert_allclose(e.sigma_stat[0] ** 2, noise)
    np.testing.assert_allclose(e.sigma_model.value[0] ** 2, median - noise)
    np.testing.assert_allclose(e.n_equiv.value[0], 0.16 / (median - noise))
    np.testing.assert_allclose(e.n_equiv_at_n_gen[0], 0.16 / total)
    low, high = chi2.ppf([0.05, 0.95], 2)
    np.testing.assert_allclose(e.n_equiv.low[0], 0.16 / (2 * total / low - noise))
    np.testing.assert_allclose(e.n_equiv.high[0], 0.16 / (2 * total / high - noise))
    np.testing.assert_allclose(e.factor.value[0], e.n_equiv.value[0] / 100)
    assert np.isnan(e.pull).all() and (np.asarray(e.bias) == 0).all()


def test_trap_of_the_naive_estimate(x64):
    """The trap of docs/method: true G 4.2, 32 members, n_gen 4000, n_train 2000. Medians over 4000
    trials, whose own error is below 1 %.
    """
    rng = np.random.default_rng(0)
    integral, n_train, n_gen, g_true = 0.2, 2000, 4000, 4.2
    sigma_model = np.sqrt(integral * (1 - integral) / (g_true * n_train))
    counted = _members(rng, integral, sigma_model, 32, n_gen, trials=4000).T
    subtracted = averaging_amplification(jnp.asarray(counted), n_train=n_train, n_gen=n_gen)
    naive = averaging_amplification(jnp.asarray(counted), n_train=n_train)
    value = np.asarray(subtracted.factor.value)
    # limits, which have no value, are large
    assert abs(np.median(np.where(np.isnan(value), np.inf, value)) / g_true - 1) < 0.05
    assert abs(np.median(np.asarray(naive.factor.value)) / 1.38 - 1) < 0.05
    limits = np.asarray(subtracted.status) == Status.LOWER_LIMIT
    assert abs(limits.mean() - _hidden_share(32, 0.68, n_gen / (g_true * n_train))) < 0.03
    assert (limits == np.isnan(np.asarray(subtracted.factor.value))).all()


def _hidden_share(members, level, n_gen_over_n_equiv):
    """How often the noise hides the spread: chi^2 below its upper quantile, the noise alone."""
    highest = chi2.ppf((1 + level) / 2, members - 1)
    return chi2.cdf(highest / (1 + n_gen_over_n_equiv), members - 1)


@pytest.mark.parametrize(("members", "n_gen"), [(8, 10_000), (8, 400_000), (32, 50_000)])
def test_interval_covers(x64, members, n_gen):
    """The 68 % interval of n_equiv holds the truth in 68 % of 4000 trials, and in more where some
    of them are limits, which hold: binomial error .74 %, 4 sigma allowed (false alarm 6e-5).
    """
    rng = np.random.default_rng(members)
    integral, n_train, g_true = 0.3, 2000, 4.0
    counted = _members(
        rng, integral, np.sqrt(0.21 / (g_true * n_train)), members, n_gen, trials=4000
    ).T
    e = averaging_amplification(jnp.asarray(counted), n_train=n_train, n_gen=n_gen)
    covered = (np.asarray(e.factor.low) <= g_true) & (g_true <= np.asarray(e.factor.high))
    hidden = _hidden_share(members, 0.68, n_gen / (g_true * n_train))
    low, high = chi2.ppf([0.16, 0.84], members - 1)
    limited = high / (1 + n_gen / (g_true * n_train))
    expected = hidden + chi2.cdf(high, members - 1) - chi2.cdf(max(low, limited), members - 1)
    assert abs(covered.mean() - expected) < 0.03


def test_limit_is_a_limit(x64):
    """Spread just above the noise: the lower end of sigma_model^2 is negative, so n_equiv has no
    upper end and no value, and the limit does not depend on how small the spread came out.
    """
    rng = np.random.default_rng(1)
    counted = _members(rng, 0.5, np.sqrt(0.25 / 50_000), 8, 10_000, trials=200).T
    e = averaging_amplification(jnp.asarray(counted), n_train=1000, n_gen=10_000)
    status, high = np.asarray(e.status), np.asarray(e.n_equiv.high)
    assert (
        np.isinf(high[status == Status.LOWER_LIMIT]).all() and (status == Status.LOWER_LIMIT).any()
    )
    assert np.isfinite(high[status == Status.RESOLVED]).all()
    value, low = np.asarray(e.n_equiv.value), np.asarray(e.n_equiv.low)
    assert (np.isnan(value) == (status == Status.LOWER_LIMIT)).all()
    limits = low[status == Status.LOWER_LIMIT]
    highest, rare = chi2.ppf([0.84, 0.001], 7)  # 95 % of limits that 2 % of regions show
    np.testing.assert_allclose(limits, 10_000 / (highest / rare - 1), rtol=1e-3)
    assert (np.asarray(e.n_equiv.low)[status != Status.UNRESOLVED] > 0).all() and (
        np.asarray(e.n_equiv.low) >= 0
    ).all()


def test_holdout_shows_a_common_bias(x64):
    rng = np.random.default_rng(2)
    integral = np.stack(
        [_members(rng, 0.3, 0.002, 16, 10**6)[0], _members(rng, 0.3, 0.002, 16, 10**6)[0]], axis=1
    )
    e = averaging_amplification(
        jnp.asarray(integral),
        n_train=1000,
        n_gen=10**6,
        holdout=Holdout(jnp.array([0.3, 0.33]), 10**6),
    )
    assert list(np.asarray(e.status)) == [Status.RESOLVED, Status.BIASED]
    assert abs(e.pull[0]) < 3 < e.pull[1]
    spread, noise = integral[:, 1].var(ddof=1), e.sigma_stat[1] ** 2
    expected = spread - noise + spread / 16 + 0.33 * 0.67 / 10**6
    np.testing.assert_allclose(e.pull[1], (0.33 - e.integral[1]) / np.sqrt(expected))
    np.testing.assert_allclose(e.bias[1] ** 2, (0.33 - e.integral[1]) ** 2 - expected)
    np.testing.assert_allclose(
        e.n_equiv_bias_aware.value[1], 0.33 * 0.67 / (e.sigma_model.value[1] ** 2 + e.bias[1] ** 2)
    )  # the true I (1 - I)
    low, high = (
        (abs(0.33 - e.integral[1]) + sign * 0.99446 * np.sqrt(expected)) ** 2 for sign in (1, -1)
    )  # 68 % of a normal: .99446 sigma
    binomial = 0.33 * 0.67
    np.testing.assert_allclose(
        e.n_equiv_bias_aware.low[1], binomial / (e.sigma_model.high[1] ** 2 + low), rtol=1e-5
    )
    np.testing.assert_allclose(
        e.n_equiv_bias_aware.high[1], binomial / (e.sigma_model.low[1] ** 2 + high), rtol=1e-5
    )
    np.testing.assert_allclose(e.factor.value[1], e.n_equiv_bias_aware.value[1] / 1000)
    largest = (abs(0.3 - e.integral[0]) + 1.644854 * abs((0.3 - e.integral[0]) / e.pull[0])) ** 2
    np.testing.assert_allclose(  # no mark, and how little the region may be worth all the same
        e.n_equiv_least[0], 0.21 / (e.sigma_model.value[0] ** 2 + largest), rtol=1e-5
    )
    np.testing.assert_allclose(e.factor.value[0], e.n_equiv.value[0] / 1000)


def test_pull_is_standard_normal_without_bias(x64):
    """Width of the pull over 4000 regions, single members of width sigma_model around an unbiased
    mean: rms^2 = (1/M + holdout part) / total.
    """
    rng = np.random.default_rng(3)
    members, sigma, n_holdout = 64, 0.002, 20_000
    counted = _members(rng, 0.3, sigma, members, 10**8, trials=4000).T
    held_out = rng.binomial(n_holdout, 0.3, 4000) / n_holdout
    e = averaging_amplification(
        jnp.asarray(counted),
        n_train=1000,
        n_gen=10**8,
        holdout=Holdout(jnp.asarray(held_out), n_holdout),
    )
    expected = (sigma**2 / members + 0.21 / n_holdout) / (
        sigma**2 * (1 + 1 / members) + 0.21 / n_holdout
    )
    assert abs(np.mean(np.asarray(e.pull) ** 2) / expected - 1) < 0.12


@pytest.mark.parametrize(("members", "most"), [(4, 0.005), (8, 0.008)])
def test_a_region_without_bias_is_rarely_marked(x64, members, most):
    """Members are bootstraps of one training set and share its fluctuation. 20000 regions: a rate
    of .006 has an error of .0005, four below .008.
    """
    rng, sigma, n_holdout = np.random.default_rng(4), np.sqrt(0.21 / 2000), 100_000
    shared = 0.3 + sigma * rng.standard_normal(20_000)
    integral = np.clip(shared + sigma * rng.standard_normal((members, 20_000)), 0, 1)
    held_out = rng.binomial(n_holdout, 0.3, 20_000) / n_holdout
    e = averaging_amplification(
        jnp.asarray(integral), n_train=1000, holdout=Holdout(jnp.asarray(held_out), n_holdout)
    )
    assert np.mean(np.asarray(e.status) == Status.BIASED) < most


def test_a_region_that_the_members_leave_empty_is_biased(x64):
    """The holdout has 3000 events there, the members one in a hundred thousand: too few to say
    anything of their spread, and a bias all the same.
    """
    rng = np.random.default_rng(5)
    integral = rng.poisson(1.0, (8, 1)) / 100_000
    e = averaging_amplification(
        jnp.asarray(integral),
        n_train=1000,
        n_gen=100_000,
        holdout=Holdout(jnp.array([0.3]), 10_000),
    )
    assert e.status[0] == Status.BIASED and e.factor.value[0] < 0.01
    alone = averaging_amplification(jnp.asarray(integral), n_train=1000, n_gen=100_000)
    assert (
        alone.status[0] == Status.UNRESOLVED
        and np.isnan(alone.factor.value[0])
        and np.isinf(alone.factor.high[0])
    )


@pytest.mark.parametrize(
    ("kind", "bins"), [("fit", 2), ("fit", 10), ("flat", 10), ("flat", 50), ("both", 50)]
)
def test_pooled_interval_covers(kind, bins, x64):
    """Eight members of a fitted Gaussian, of independent bins, of both; 400 ensembles, error of the
    coverage .023: at .68, below .6 is 3.5 of them (2e-4).
    """
    rng = np.random.default_rng(7)
    edges = norm.ppf(np.linspace(0, 1, bins + 1))

    def draw(members):
        integral = np.diff(
            norm.cdf(
                (edges - rng.normal(size=(members, 1)) / np.sqrt(1000))
                / (1 + rng.normal(size=(members, 1)) / np.sqrt(2000))
            ),
            axis=1,
        )
        if kind == "flat":
            integral = np.full((members, bins), 1 / bins)
        if kind != "fit":
            integral = integral * (1 + 0.05 * rng.normal(size=(members, bins)))
        return integral / integral.sum(axis=1, keepdims=True)

    many = draw(20_000)
    mean = many.mean(0)
    true = (mean * (1 - mean)).sum() / many.var(0).sum() / 1000
    covered = []
    for _ in range(400):
        factor, status = pooled_amplification(draw(8), n_train=1000)
        covered.append(float(factor.low) <= true <= float(factor.high))
    assert status == Status.RESOLVED and np.mean(covered) > 0.6
    if kind == "fit":
        assert np.mean(covered) < 0.77  # no wider than it must be where the members tell


def test_few_events_are_unresolved(x64):
    rng = np.random.default_rng(4)
    integral = np.stack(
        [_members(rng, i, min(i, 1 - i) / 10, 8, 10**6)[0] for i in (0.3, 0.001, 0.9995)], axis=1
    )
    e = averaging_amplification(jnp.asarray(integral), n_train=1000, n_gen=10**6)
    assert list(np.asarray(e.status)) == [Status.RESOLVED, Status.UNRESOLVED, Status.UNRESOLVED]


@pytest.mark.parametrize(
    ("integral", "settings", "error", "words"),
    [
        (np.full((1, 3), 0.1), {}, NeedsMembersError, "at least 2"),
        (np.full((4, 3), 1.1), {}, InputError, "between 0 and 1"),
        (np.full((4, 3), np.nan), {}, InputError, "between 0 and 1"),
        (np.full((4, 3), 0.1), {"n_train": 0}, InputError, "n_train"),
        (np.full((4, 3), 0.1), {"level": 1.0}, InputError, "level"),
        (np.full((4, 3), 0.1), {"limit_level": 0.5}, InputError, "limit_level"),
        (np.full((4, 3), 0.1), {"n_gen": 0}, InputError, "n_gen"),
        (np.full((4, 3), 0.1), {"n_gen": np.full((2, 3), 5.0)}, InputError, "n_gen"),
        (np.array([[0.1, 0.0], [0.2, 0.0]]), {}, EmptyRegionError, "region 1"),
    ],
)
def test_bad_input(integral, settings, error, words):
    with pytest.raises(error, match=words):
        averaging_amplification(integral, **{"n_train": 100, **settings})


def test_wrong_shape_without_the_type_checker_of_the_tests():
    with pytest.raises(InputError, match=r"\[member, region\]"):
        averaging_amplification(np.full(3, 0.1), n_train=100)


def test_jit_vmap_and_float32_agree_with_eager(x64):
    rng = np.random.default_rng(5)
    integral = jnp.asarray(rng.uniform(0.1, 0.3, (3, 8, 4)))

    def estimate(i):
        return averaging_amplification(i, n_train=1000, n_gen=10_000)

    eager = [estimate(i) for i in integral]
    vmapped = jax.vmap(estimate)(integral)
    for k, one in enumerate(eager):
        for a, b, c in zip(
            jax.tree.leaves(one),
            jax.tree.leaves(jax.jit(estimate)(integral[k])),
            jax.tree.leaves(vmapped),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12)
            np.testing.assert_allclose(a, c[k], rtol=1e-12)
    single = estimate(np.asarray(integral[0], np.float32))
    np.testing.assert_allclose(single.n_equiv.value, eager[0].n_equiv.value, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(4)))
def test_order_of_members_and_regions_does_not_matter(members, regions):
    integral = np.random.default_rng(6).uniform(0.1, 0.4, (6, 4))
    a = averaging_amplification(integral, n_train=500, n_gen=9000)
    b = averaging_amplification(integral[list(members)][:, list(regions)], n_train=500, n_gen=9000)
    np.testing.assert_allclose(
        np.asarray(a.n_equiv.value)[list(regions)], b.n_equiv.value, rtol=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 0.95))
def test_a_region_and_its_complement_are_worth_the_same(integral):
    values = np.clip(
        integral + 0.01 * np.random.default_rng(7).standard_normal((8, 1)), 0.001, 0.999
    )
    a = averaging_amplification(values, n_train=500, n_gen=9000)
    b = averaging_amplification(1 - values, n_train=500, n_gen=9000)
    np.testing.assert_allclose(a.n_equiv.value, b.n_equiv.value, rtol=2e-3)


def test_numbers_of_one_event_scale_what_it_is_worth(x64):
    """A true event that varies half as much is worth twice the precision, so n_equiv halves;
    numbers of training events in each region divide it one by one.
    """
    rng = np.random.default_rng(0)
    integral = _members(rng, 0.3, 0.005, 8, 40_000, trials=3).T
    holdout = Holdout(np.full(3, 0.33), 10_000)
    plain = averaging_amplification(integral, n_train=1000, n_gen=40_000, holdout=holdout)
    half = averaging_amplification(
        integral,
        n_train=np.array([1000, 500, 100]),
        n_gen=40_000,
        holdout=holdout,
        one_event=np.array([0.5, 1, 1]),
    )
    expected = np.array([0.5, 1, 1])
    for name in ("n_equiv", "n_equiv_bias_aware"):
        for end, before in zip(getattr(half, name), getattr(plain, name), strict=True):
            np.testing.assert_allclose(end, expected * before)
    np.testing.assert_allclose(half.factor.value, plain.factor.value * np.array([0.5, 2, 10]))
    np.testing.assert_allclose(half.n_equiv_least, expected * plain.n_equiv_least)
    np.testing.assert_allclose(half.n_equiv_at_n_gen, expected * plain.n_equiv_at_n_gen)
    for name in ("pull", "bias", "sigma_stat", "status"):
        np.testing.assert_array_equal(getattr(half, name), getattr(plain, name))


def test_the_bias_of_marked_regions_is_told_from_the_estimate():
    """The pull and the bias hold the difference and its error, so ends of b^2 come back exactly."""
    rng = np.random.default_rng(9)
    truth = np.array([0.2, 0.3, 0.5])
    members = truth + np.array([0.05, 0.0, -0.05]) + 0.004 * rng.normal(size=(8, 3))
    held = Holdout(truth, 20_000)
    estimate = averaging_amplification(members, n_train=1000, holdout=held, level=0.8)
    assert (estimate.status == Status.BIASED).tolist() == [True, False, True]
    compared = expected_difference(
        np, members.mean(axis=0), members.var(axis=0, ddof=1), np.zeros(3), 8, held
    )
    expected = squared_bias(np, compared, 0.8)
    for end, found in zip(expected, squared_bias_of_marked(estimate, 0.8), strict=True):
        np.testing.assert_allclose(found, end * np.array([1, 0, 1]), rtol=1e-9)
