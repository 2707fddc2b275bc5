"""Averaging amplification: how many true events fix integrals over regions as well as the generated
sample does (arXiv:2509.08048; docs/method, Averaging amplification).

Arrays in, estimate out: nothing here knows what a generator is. NumPy's arrays give NumPy's in
double precision, and nothing is compiled; JAX's give JAX's, also under jit and vmap.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.estimators.bias import contradicted, expected_difference, squared_bias
from amplify.estimators.variance import (
    check_limit_level,
    degrees_with_transfer,
    hidden_limit,
    variance_median,
    variance_quantiles,
)
from amplify.namespace import is_traced, namespace
from amplify.types import AveragingEstimate, Bounds, Holdout, Interval, Status

# fewer expected training or generated events in a region, or fewer outside, say nothing
MIN_EVENTS = 10.0


def averaging_amplification(
    integral: Any,
    *,
    n_train: Any,
    n_gen: Any = None,
    holdout: Holdout | None = None,
    trained_on: bool = False,
    one_event: Any = 1.0,
    transfer: float = 0.0,
    level: float = 0.68,
    limit_level: float = 0.95,
    pull_limit: float = 3.0,
) -> AveragingEstimate:
    """Amplification of region integrals, n_equiv = I (1 - I) / sigma_model^2 (arXiv:2509.08048;
    docs/method, Averaging amplification).

    sigma_model^2 is the spread between members less the noise I (1 - I) / n_gen of their finite
    samples. Value and interval come from chi^2 with M - 1 degrees of freedom for the sum of both;
    the value is the median: too large as often as too small. The answer is about one member: the
    typical training, not the network in hand and not the ensemble mean. The spread is precision
    only; a bias common to all members shows in the holdout alone.

    >>> members = np.array([[0.21, 0.50], [0.19, 0.52], [0.20, 0.48]])
    >>> estimate = averaging_amplification(members, n_train=1000)
    >>> estimate.n_equiv.value.round().tolist()
    [1109.0, 433.0]

    Args:
        integral: fraction of each member's generated events in each region [member, region].
        n_train: training events of each member; of fractions of a part of the sample, such as the
            events at one condition, those in that part [region].
        n_gen: generated events per member, or numbers of equally noisy unweighted events [member,
            region]; None for integrals without noise (n_gen -> infinity, Sobol latents).
        holdout: fractions of independent true events in the regions.
        trained_on: the holdout are the training events themselves, for want of others: a bias
            shows that is larger than their own error (docs/method, Bias without a holdout).
        one_event: variance of one true event in units of I (1 - I), a number or [region]: less than
            one where something is known of the event beforehand (`amplify.differential`'s and
            `amplify.averaging`'s `condition`).
        transfer: tau, how well the spread of such members is known to stand for the actual error:
            standard deviation of ln(claimed / actual sigma) from region to region and problem to
            problem. Intervals are wider by it, as if there were fewer members: 1 / nu = 1 / (M - 1)
            + 2 tau^2 degrees of freedom. `amplify.averaging` takes what the calibration study found
            for bootstraps (docs/calibration).
        level: confidence level of the two-sided intervals, central.
        limit_level: of limits, which are one-sided: the ends of `bounds`, and the n_equiv that a
            region is worth more than where the noise hides the spread (`hidden_limit`).
        pull_limit: a region is marked biased where |pull| is as improbable as that many standard
            deviations of a Gaussian. The spread of few members is uncertain itself, so the pull is
            compared with Student's t: 8 members and a large holdout need |pull| > 4.5. At 3, at
            most .6 % of unbiased regions are marked with 8 members or more, below .8 % with 4
            (`experiments.audit`).

    Raises:
        NeedsMembersError: fewer than two members.
        EmptyRegionError: a region without any event, generated or held out.
        InputError: numbers outside their range, shapes that do not fit.

    Returned arrays are [region]. A region is a LOWER_LIMIT, without a value, where the noise allows
    sigma_model = 0 within the level (generate more events per member), UNRESOLVED where fewer than
    10 events decide, BIASED where the holdout contradicts the members. A region that is not marked
    may be biased all the same: `n_equiv_least` says how little it may be worth.
    """
    xp = namespace(integral, n_gen, *(holdout or ()))
    integral, noise_n = checked(xp, integral, n_train, n_gen, level, holdout)
    check_limit_level(limit_level)
    if not transfer >= 0:
        fix = "0.2 stands for 20 %"
        raise InputError("transfer", "at least 0", str(transfer), fix)
    members = integral.shape[0]
    degrees = degrees_with_transfer(members - 1, transfer)
    mean = integral.mean(axis=0)
    binomial = mean * (1 - mean) * one_event
    noise = (integral * (1 - integral) / noise_n).mean(axis=0)
    spread = integral.var(axis=0, ddof=1)

    few = _few(xp, mean, n_train) | _few(xp, mean, noise_n.min(axis=0))
    difference = expected_difference(
        xp, mean, spread, noise, members, holdout, trained_on=trained_on
    )
    true_binomial = difference.binomial * one_event
    biased = xp.zeros_like(few)
    if holdout is not None:
        beyond = contradicted(xp, difference, members, pull_limit, trained_on=trained_on)
        biased = beyond & ~_few_compared(xp, mean, holdout)

    def quoted(level: float) -> _Quoted:
        variance = _variance(spread, noise, members - 1, degrees, level)
        from_spread = _equivalent(xp, binomial, variance)
        bias = squared_bias(xp, difference, level)
        with_bias = [xp.maximum(v, 0.0) + b for v, b in zip(variance, bias, strict=True)]
        bias_aware = _equivalent(xp, true_binomial, Interval(*with_bias))
        return _Quoted(variance, from_spread, bias_aware)

    two_sided, one_sided = quoted(level), quoted(2 * limit_level - 1)
    hidden = ~(two_sided.variance.low > 0)
    hides = noise * hidden_limit(degrees, level, limit_level)
    more_than = _ratio(xp, binomial, hides, 0.0)
    limit = Interval(xp.full_like(mean, np.nan), more_than, xp.full_like(mean, np.inf))
    nothing = Interval(np.nan, 0.0, np.inf)

    def chosen(estimate: _Quoted) -> Interval:
        n_equiv = _chosen(xp, hidden, limit, estimate.from_spread)
        return _chosen(xp, few, nothing, n_equiv)

    n_equiv, limits = chosen(two_sided), chosen(one_sided)
    status = _status(xp, hidden, few, biased)
    typical = xp.maximum(two_sided.variance.value, 0.0)
    largest_bias = squared_bias(xp, difference, 2 * limit_level - 1).high
    least_worth = _ratio(xp, true_binomial, typical + largest_bias, 0.0)
    answered = _chosen(xp, biased, two_sided.bias_aware, n_equiv)
    bounds = _chosen(xp, biased, one_sided.bias_aware, limits)
    return AveragingEstimate(
        integral=mean,
        sigma_stat=xp.sqrt(noise),
        sigma_model=_root(xp, two_sided.variance, hidden),
        n_equiv=n_equiv,
        n_equiv_at_n_gen=_ratio(xp, binomial, spread),
        pull=difference.pull,
        bias=xp.sqrt(squared_bias(xp, difference, level).value),
        n_equiv_bias_aware=two_sided.bias_aware,
        n_equiv_least=xp.where(xp.isfinite(difference.pull), least_worth, np.nan),
        factor=Interval(*(n / n_train for n in answered)),
        bounds=Bounds(bounds.low / n_train, bounds.high / n_train),
        status=status,
    )


class _Quoted(NamedTuple):
    """What one level gives: sigma_model^2, and n_equiv without and with the bias."""

    variance: Interval
    from_spread: Interval
    bias_aware: Interval


def _variance(spread: Any, noise: Any, own: int, degrees: float, level: float) -> Interval:
    """sigma_model^2 with its interval: s^2 nu / (sigma_model^2 + noise) follows chi^2. The median
    is that of the members' `own` degrees of freedom: a factor that is unknown moves the ends only.
    """
    low, high = variance_quantiles(degrees, level)
    value = own * spread / variance_median(own)
    return Interval(*(v - noise for v in (value, degrees * spread / high, degrees * spread / low)))


def _few(xp: Any, share: Any, n: Any) -> Any:
    """Fewer than MIN_EVENTS expected inside or outside."""
    return xp.minimum(share, 1 - share) * n < MIN_EVENTS


def _few_compared(xp: Any, mean: Any, holdout: Holdout) -> Any:
    """Neither sample expects enough events in the other."""
    n = xp.asarray(holdout.n)
    return _few(xp, xp.asarray(holdout.integral), n) & _few(xp, mean, n)


def _equivalent(xp: Any, binomial: Any, variance: Interval) -> Interval:
    """n_equiv = I (1 - I) / variance; a variance that may be zero leaves it without upper end."""
    return Interval(
        _ratio(xp, binomial, variance.value, np.nan),
        _ratio(xp, binomial, variance.high, 0.0),
        _ratio(xp, binomial, variance.low, np.inf),
    )


def _ratio(xp: Any, binomial: Any, variance: Any, otherwise: float | None = None) -> Any:
    """Binomial over a positive variance; without `otherwise` whatever division by zero gives."""
    if otherwise is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return binomial / variance
    positive = variance > 0
    return xp.where(positive, binomial / xp.where(positive, variance, 1.0), otherwise)


def _root(xp: Any, variance: Interval, hidden: Any) -> Interval:
    """sigma_model; no value where the noise hides the spread."""
    value, low, high = (xp.sqrt(xp.maximum(v, 0.0)) for v in variance)
    return Interval(xp.where(hidden, np.nan, value), low, high)


def _chosen(xp: Any, where: Any, yes: Interval, no: Interval) -> Interval:
    return Interval(*(xp.where(where, a, b) for a, b in zip(yes, no, strict=True)))


def _status(xp: Any, hidden: Any, few: Any, biased: Any) -> Any:
    """What the holdout contradicts is biased, however few events were generated there."""
    status = xp.where(hidden, Status.LOWER_LIMIT, Status.RESOLVED)
    status = xp.where(few, Status.UNRESOLVED, status)
    return xp.where(biased, Status.BIASED, status).astype(np.int32)


def checked(
    xp: Any,
    integral: Any,
    n_train: Any,
    n_gen: Any,
    level: float,
    holdout: Holdout | None = None,
) -> tuple[Float[Any, "member region"], Float[Any, "#member #region"]]:
    """The integrals, and the events per member that decide their noise [member or 1, region or 1].

    Raises:
        NeedsMembersError, EmptyRegionError, InputError: as for `averaging_amplification`.
    """
    values = xp.asarray(integral, float)
    if values.ndim != 2 or values.shape[1] == 0:
        fix = "one row per member, one column per region"
        raise InputError("integral", "shape [member, region]", str(values.shape), fix)
    if values.shape[0] < 2:
        fix = "train again on bootstrap samples of the training events"
        raise NeedsMembersError("members", "at least 2, better 8 or more", f"{len(values)}", fix)
    if np.ndim(n_train) == 0 and n_train < 1:  # a part of the sample may have fewer
        fix = "give the number of training events of one member"
        raise InputError("n_train", "at least 1", str(n_train), fix)
    if not 0 < level < 1:
        raise InputError("level", "between 0 and 1", str(level), "0.68 is usual")
    noise_n = xp.atleast_2d(xp.asarray(np.inf if n_gen is None else n_gen, float))
    fits = [a in (1, b) for a, b in zip(noise_n.shape, values.shape, strict=True)]
    if not all(fits):
        expected = f"a number or shape {values.shape}"
        fix = "give the generated events per member"
        raise InputError("n_gen", expected, str(noise_n.shape), fix)
    if not any(map(is_traced, (values, noise_n, *(holdout or ())))):
        _check_values(np.asarray(values), np.asarray(noise_n), holdout)
    return values, noise_n


def _check_values(inside: np.ndarray, events: np.ndarray, holdout: Holdout | None) -> None:
    """What only concrete numbers can tell."""
    if not ((inside >= 0) & (inside <= 1)).all():
        got = f"{inside.min():g} to {inside.max():g}"
        fix = "divide by the sum of weights"
        raise InputError("integral", "fractions between 0 and 1", got, fix)
    if not (events > 0).all():
        fix = "give the generated events per member"
        raise InputError("n_gen", "above zero", f"{events.min():g}", fix)
    empty = (inside == 0).all(axis=0)
    if holdout is not None:
        empty = empty & (np.asarray(holdout.integral) == 0)
    if empty.any():
        named = ", ".join(map(str, np.flatnonzero(empty)))
        expected = "events of at least one member inside"
        fix = "widen the region or remove it"
        raise EmptyRegionError(f"region {named}", expected, "none", fix)
