"""Averaging amplification: how many true events fix integrals over regions as well as the generated
sample does (arXiv:2509.08048; docs/method, Averaging amplification).

Arrays in, estimate out: nothing here knows what a generator is. NumPy's arrays give NumPy's in
double precision, and nothing is compiled; JAX's give JAX's, also under jit and vmap.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.namespace import is_traced, namespace
from amplify.types import AveragingEstimate, Holdout, Interval, Status

# fewer expected training or generated events in a region, or fewer outside, say nothing
MIN_EVENTS = 10.0

# with fewer, a spread that is too small by chance looks like a small part of the error
_MEMBERS_FOR_WELCH = 8


def averaging_amplification(
    integral: Any,
    *,
    n_train: int,
    n_gen: Any = None,
    holdout: Holdout | None = None,
    level: float = 0.68,
    pull_limit: float = 3.0,
) -> AveragingEstimate:
    """Amplification of region integrals, n_equiv = I (1 - I) / sigma_model^2 (arXiv:2509.08048;
    docs/method, Averaging amplification).

    sigma_model^2 is the spread between members less the noise I (1 - I) / n_gen of their finite
    samples. Its interval comes from chi^2 with M - 1 degrees of freedom for the sum of both. The
    answer is about one member: the typical training, not the network in hand and not the ensemble
    mean. The spread is precision only; a bias common to all members shows in the holdout alone.

    >>> members = np.array([[0.21, 0.50], [0.19, 0.52], [0.20, 0.48]])
    >>> estimate = averaging_amplification(members, n_train=1000)
    >>> estimate.n_equiv.value.round().tolist()
    [1600.0, 625.0]

    Args:
        integral: fraction of each member's generated events in each region [member, region].
        n_train: training events of each member.
        n_gen: generated events per member, or numbers of equally noisy unweighted events [member,
            region]; None for integrals without noise (n_gen -> infinity, Sobol latents).
        holdout: fractions of independent true events in the regions.
        level: confidence level of the intervals, central.
        pull_limit: a region is marked biased where |pull| is as improbable as that many standard
            deviations of a Gaussian. The spread of few members is uncertain itself, so the pull is
            compared with Student's t: 8 members and a large holdout need |pull| > 4.5. At 3, .2 to
            .6 % of unbiased regions are marked with 8 members or more, below 1 % with 4 (simulated;
            comparing with 3 itself marks 1.5 to 5 % and up to 13 %).

    Raises:
        NeedsMembersError: fewer than two members.
        EmptyRegionError: a region without any event, generated or held out.
        InputError: numbers outside their range, shapes that do not fit.

    Returned arrays are [region]. A region is a LOWER_LIMIT where the noise allows sigma_model = 0
    within the level, UNRESOLVED where the noise exceeds the spread (generate more events per
    member) or fewer than 10 events decide, BIASED where the holdout contradicts the members.
    """
    xp = namespace(integral, n_gen, *(holdout or ()))
    integral, noise_n = checked(xp, integral, n_train, n_gen, level, holdout)
    members = integral.shape[0]
    mean = integral.mean(axis=0)
    binomial = mean * (1 - mean)
    noise = (integral * (1 - integral) / noise_n).mean(axis=0)
    spread = integral.var(axis=0, ddof=1)

    variance = _variance(spread, noise, members, level)
    comparison = _compared(xp, mean, variance, spread, members, holdout, level)
    few = _few(xp, mean, n_train) | _few(xp, mean, noise_n.min(axis=0))
    biased = xp.zeros_like(few)
    if holdout is not None:
        degrees = _degrees(xp, spread, comparison.expected, members)
        improbable = _improbable(xp, comparison.pull, degrees, pull_limit)
        biased = improbable & ~_few_compared(xp, mean, holdout)

    from_spread = _equivalent(xp, binomial, variance)
    with_bias = [xp.maximum(v, 0.0) + b for v, b in zip(variance, comparison.bias, strict=True)]
    bias_aware = _equivalent(xp, comparison.binomial, Interval(*with_bias))
    nothing = (np.nan, 0.0, np.inf)
    n_equiv = _chosen(xp, few, Interval(*nothing), from_spread)
    quoted = _chosen(xp, biased, bias_aware, n_equiv)
    return AveragingEstimate(
        integral=mean,
        sigma_stat=xp.sqrt(noise),
        sigma_model=_root(xp, variance),
        n_equiv=n_equiv,
        n_equiv_at_n_gen=_ratio(xp, binomial, spread),
        pull=comparison.pull,
        bias=xp.sqrt(comparison.bias.value),
        n_equiv_bias_aware=bias_aware,
        factor=Interval(*(n / n_train for n in quoted)),
        status=_status(xp, variance, few, biased),
    )


def variance_quantiles(degrees: float, level: float) -> tuple[float, float]:
    """Ends of the central interval of chi^2 at this level."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = 2 * special.gammaincinv(degrees / 2, tails)
    return float(low), float(high)


def _variance(spread: Any, noise: Any, members: int, level: float) -> Interval:
    """sigma_model^2 with its interval: s^2 (M - 1) / (sigma_model^2 + noise) follows chi^2."""
    low, high = variance_quantiles(members - 1, level)
    sum_of_squares = (members - 1) * spread
    return Interval(spread - noise, sum_of_squares / high - noise, sum_of_squares / low - noise)


class _Comparison(NamedTuple):
    """Members against a holdout, all [region].

    Attributes:
        pull: (I_holdout - I) / sqrt(expected); nan without a holdout.
        bias: squared bias that is left after the expected error, with its interval.
        expected: variance of I_holdout - I where nothing is biased.
        binomial: I (1 - I) of the truth, as far as it is known.
    """

    pull: Any
    bias: Interval
    expected: Any
    binomial: Any


def _compared(
    xp: Any,
    mean: Any,
    variance: Interval,
    spread: Any,
    members: int,
    holdout: Holdout | None,
    level: float,
) -> _Comparison:
    """b^2 = max(0, (I_holdout - I)^2 - expected).

    Expected is the variance of one training, which all members share where they are bootstraps of
    one training set, that of the mean of the members around it, and that of the holdout. The ends
    of b^2 are those of |I_holdout - I| moved by its error at the level.
    """
    binomial = mean * (1 - mean)
    expected = xp.maximum(variance.value, 0.0) + spread / members
    if holdout is None:
        zero = xp.zeros_like(mean)
        return _Comparison(
            xp.full_like(mean, np.nan), Interval(zero, zero, zero), expected, binomial
        )
    truth = xp.asarray(holdout.integral)
    true_binomial = truth * (1 - truth)
    # one of both may have no events there
    expected = expected + xp.maximum(binomial, true_binomial) / xp.asarray(holdout.n)
    difference = truth - mean
    reach = special.ndtri((1 + level) / 2) * xp.sqrt(expected)
    bias = Interval(
        xp.maximum(difference**2 - expected, 0.0),
        xp.maximum(xp.abs(difference) - reach, 0.0) ** 2,
        (xp.abs(difference) + reach) ** 2,
    )
    pull = difference / xp.sqrt(xp.where(expected > 0, expected, np.nan))
    return _Comparison(pull, bias, expected, true_binomial)


def _degrees(xp: Any, spread: Any, expected: Any, members: int) -> Any:
    """Degrees of freedom of the pull's error (Welch and Satterthwaite): those of the members, more
    where other parts of the error are known better.
    """
    if members < _MEMBERS_FOR_WELCH:
        return (members - 1) * xp.ones_like(spread)
    share = spread / xp.where(expected > 0, expected, 1.0)
    return (members - 1) / xp.maximum(share, 1e-3) ** 2


def _improbable(xp: Any, pull: Any, degrees: Any, limit: float) -> Any:
    """Whether |pull| is less probable under Student's t than `limit` standard deviations are."""
    # nan, without a pull, is not below
    return _betainc(xp)(degrees / 2, 0.5, degrees / (degrees + pull**2)) < _two_sided(limit)


def _two_sided(limit: float) -> float:
    return float(2 * special.ndtr(-limit))


def _betainc(xp: Any) -> Any:
    if xp is np:
        return special.betainc
    from jax.scipy.special import betainc

    return betainc


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


def _root(xp: Any, variance: Interval) -> Interval:
    """sigma_model; nan where the noise exceeds the spread."""
    fallback = (np.nan, 0.0, 0.0)
    ends = zip(variance, fallback, strict=True)
    return Interval(*(xp.sqrt(xp.where(v > 0, v, other)) for v, other in ends))


def _chosen(xp: Any, where: Any, yes: Interval, no: Interval) -> Interval:
    return Interval(*(xp.where(where, a, b) for a, b in zip(yes, no, strict=True)))


def _status(xp: Any, variance: Interval, few: Any, biased: Any) -> Any:
    """What the holdout contradicts is biased, however few events were generated there."""
    status = xp.where(variance.low > 0, Status.RESOLVED, Status.LOWER_LIMIT)
    status = xp.where(variance.value > 0, status, Status.UNRESOLVED)
    status = xp.where(few, Status.UNRESOLVED, status)
    return xp.where(biased, Status.BIASED, status).astype(np.int32)


def checked(
    xp: Any,
    integral: Any,
    n_train: int,
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
    if n_train < 1:
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
