"""What the pool of the members is worth for integrals: the generator that draws each event from one
of them (docs/method, Pools of members).

Members fluctuate by what their bootstrap samples and their trainings left to chance, and a pool of
M averages that. What the training set itself left to chance is common to all of them: no spread
shows it, and no pool removes it. The bootstrap samples stand in for it.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification, checked
from amplify.estimators.bias import expected_difference, squared_bias
from amplify.estimators.variance import variance_median
from amplify.types import Bounds, Holdout, Interval, Status

Of = Literal["bootstrap", "same data"]


class PoolEstimate(NamedTuple):
    """Averaging amplification of a pool per region; all arrays are [region].

    Attributes:
        integral: fraction of the pool's events inside.
        sigma_model: of the pool; no value where only a limit is known.
        n_equiv: true events that the pool is worth as n_gen -> infinity. Without members that tell
            what training leaves to chance it is a limit: the pool is worth more than `low`, at the
            limit level.
        bias: what the holdout shows of a bias in regions that it marks; 0 elsewhere. It is part of
            n_equiv.
        factor: amplification G = n_equiv / n_train.
        bounds: one-sided limits of G at the limit level.
        status: a Status per region.
    """

    integral: Float[np.ndarray, " region"]
    sigma_model: Interval
    n_equiv: Interval
    bias: Float[np.ndarray, " region"]
    factor: Interval
    bounds: Bounds
    status: Int[np.ndarray, " region"]


class Spread(NamedTuple):
    """A variance s^2 between members [region].

    Attributes:
        square: s^2.
        degrees: of freedom.
        noise: the part of it that comes from finite samples.
        factor: with which it counts.
    """

    square: Any
    degrees: int
    noise: Any
    factor: float


def pool_amplification(
    integral: Any,
    *,
    n_train: int,
    n_gen: Any = None,
    same_data: Any = None,
    n_gen_same: Any = None,
    of: Of = "bootstrap",
    holdout: Holdout | None = None,
    trained_on: bool = False,
    level: float = 0.68,
    limit_level: float = 0.95,
) -> PoolEstimate:
    """Amplification of the pool of M members for integrals over regions (docs/method, Pools of
    members).

    The variance of a member that learns from the training events themselves is sigma_data^2 +
    sigma_training^2, which the spread s^2 of bootstrap members estimates. Their pool has the
    variance sigma_data^2 + s^2 / M <= (1 + 1 / M) s^2: without anything else it is worth *more
    than* that. With members of the same data, whose spread t^2 is sigma_training^2 alone, it is
    (1 + 1 / M) s^2 - t^2, and that of the pool of K same-data members s^2 - (1 - 1 / K) t^2.
    Intervals are the modified large-sample ones for differences of variances (Ting, Burdick,
    Graybill, Jeyaratnam, Lu, J. Stat. Comput. Simul. 35 (1990) 135), whose ends hold each at its
    level to .01 from 3 degrees of freedom on (simulated).

    >>> members = np.array([[0.21], [0.19], [0.20], [0.205]])
    >>> pool = pool_amplification(members, n_train=1000)
    >>> bool(np.isnan(pool.factor.value[0])), pool.factor.low.round(2).tolist()
    (True, [0.21])

    Args:
        integral: fraction of the events of each bootstrap member in each region [member, region].
        n_train: training events.
        n_gen: as for `averaging_amplification`.
        same_data: the same of members that were all trained on the training events as they are.
        n_gen_same: n_gen of these.
        of: which members the pool is made of.
        holdout: fractions of independent true events: where the members are biased, so is the pool.
        trained_on: as for `averaging_amplification`.
        level: of the two-sided intervals.
        limit_level: of limits.

    Raises:
        NeedsMembersError, EmptyRegionError, InputError: as `averaging_amplification`; the pool of
            same-data members without such members.
    """
    levels = {"level": level, "limit_level": limit_level}
    share, noise_n = checked(np, integral, n_train, n_gen, level, holdout)
    member = averaging_amplification(
        share, n_train=n_train, n_gen=noise_n, holdout=holdout, trained_on=trained_on, **levels
    )
    spread, training = _spread(share, noise_n), None
    mean, own = share.mean(axis=0), spread._replace(factor=1 / len(share))
    spread = spread._replace(factor=1 + 1 / len(share))
    if same_data is not None:
        anything = Holdout(np.ones(share.shape[1]), 1)  # regions may be empty of these members
        same, same_n = checked(np, same_data, n_train, n_gen_same, level, anything)
        training = _spread(same, same_n)
        if of == "same data":
            mean, own = same.mean(axis=0), training._replace(factor=1 / len(same))
            spread = spread._replace(factor=1.0)
            training = training._replace(factor=1 - 1 / len(same))
    elif of == "same data":
        fix = "give their integrals as same_data, or leave out `of`"
        raise InputError("pool of same-data members", "such members", "none", fix)

    biased = np.asarray(member.status) == Status.BIASED
    few = np.asarray(member.status) == Status.UNRESOLVED
    difference = expected_difference(
        np,
        share.mean(axis=0),
        spread.square,
        spread.noise,
        len(share),
        holdout,
        trained_on=trained_on,
    )

    def worth(level: float) -> tuple[Interval, Interval]:
        """sigma_model^2 and n_equiv; both ends of each hold at `level`."""
        pairs = zip(
            variance_difference(spread, training, level),
            variance_difference(own, None, level),
            strict=True,
        )
        # what its own members leave to chance is a part of a pool's error
        variance = Interval(*(np.maximum(whole, part) for whole, part in pairs))
        b = [np.where(biased, v, 0.0) for v in squared_bias(np, difference, 2 * level - 1)]
        return variance, _equivalent(mean * (1 - mean), variance, Interval(*b))

    (variance, n_equiv), (_, limits) = worth((1 + level) / 2), worth(limit_level)
    # what noise hides is limited as for a member: a downward fluctuation is no evidence
    of_member = np.asarray(member.bounds.low) * n_train * len(share) / (len(share) + 1)
    known = biased | ((variance.low > 0) & ~few & (training is not None))
    more_than = np.where(known, np.minimum(limits.low, n_equiv.low), of_member)
    nothing = few | ~(more_than > 0)
    n_equiv = Interval(
        np.where(known, n_equiv.value, np.nan),
        np.where(nothing, 0.0, np.where(known, n_equiv.low, more_than)),
        np.where(known, n_equiv.high, np.inf),
    )
    status = np.where(known, Status.RESOLVED, Status.LOWER_LIMIT)
    status = np.where(biased, Status.BIASED, np.where(nothing, Status.UNRESOLVED, status))
    ends = (np.sqrt(np.maximum(v, 0.0)) for v in variance)
    value, low, high = (np.where(known, end, np.nan) for end in ends)
    return PoolEstimate(
        integral=mean,
        sigma_model=Interval(value, low, high),
        n_equiv=n_equiv,
        bias=np.where(biased, np.asarray(member.bias), 0.0),
        factor=Interval(*(n / n_train for n in n_equiv)),
        bounds=Bounds(
            np.where(few, 0.0, more_than) / n_train,
            np.where(known, limits.high, np.inf) / n_train,
        ),
        status=status.astype(np.int32),
    )


def _equivalent(
    binomial: Float[np.ndarray, " region"], variance: Interval, bias: Interval
) -> Interval:
    """n_equiv = I (1 - I) / (sigma_model^2 + b^2)."""

    def over(v: Any, b: Any, otherwise: float) -> np.ndarray:
        total = np.maximum(v, 0.0) + b
        return np.where(total > 0, binomial / np.where(total > 0, total, 1.0), otherwise)

    return Interval(
        over(variance.value, bias.value, np.nan),
        over(variance.high, bias.high, 0.0),
        over(variance.low, bias.low, np.inf),
    )


def _spread(share: Float[np.ndarray, "member region"], noise_n: Any) -> Spread:
    noise = (share * (1 - share) / noise_n).mean(axis=0)
    return Spread(share.var(axis=0, ddof=1), len(share) - 1, noise, 1.0)


def variance_difference(first: Spread, second: Spread | None, level: float) -> Interval:
    """What is left of one variance without another, less their noise; each end holds at `level`
    (modified large-sample intervals, as in `pool_amplification`).

    >>> both = Spread(np.ones(1), 7, 0.0, 1.125), Spread(np.full(1, 0.2), 7, 0.0, 1.0)
    >>> [round(float(end[0]), 2) for end in variance_difference(*both, 0.84)]
    [1.04, 0.51, 2.07]
    """
    a = first.factor * first.square
    noise = first.factor * first.noise
    upper, lower = (_quantile(p, first.degrees) for p in (level, 1 - level))
    middle = first.degrees * a / variance_median(first.degrees)
    if second is None:
        return Interval(middle - noise, a / upper - noise, a / lower - noise)
    b = second.factor * second.square
    noise = noise - second.factor * second.noise
    g_1, h_1 = 1 - 1 / upper, 1 / lower - 1
    g_2 = 1 - 1 / _quantile(level, second.degrees)
    h_2 = 1 / _quantile(1 - level, second.degrees) - 1
    f_high, f_low = stats.f.ppf([level, 1 - level], first.degrees, second.degrees)
    g_12 = ((f_high - 1) ** 2 - (g_1 * f_high) ** 2 - h_2**2) / f_high
    h_12 = ((1 - f_low) ** 2 - (h_1 * f_low) ** 2 - g_2**2) / f_low
    below = (g_1 * a) ** 2 + (h_2 * b) ** 2 + g_12 * a * b
    above = (h_1 * a) ** 2 + (g_2 * b) ** 2 + h_12 * a * b
    low, high = a - b - np.sqrt(np.maximum(below, 0)), a - b + np.sqrt(np.maximum(above, 0))
    return Interval(middle - b - noise, low - noise, high - noise)


def _quantile(level: float, degrees: int) -> float:
    """Of chi^2 over its degrees of freedom."""
    return float(stats.chi2.ppf(level, degrees) / degrees)
