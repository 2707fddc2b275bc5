"""Averaging amplification: how many true events fix integrals over regions as well as the generated
sample does (arXiv:2509.08048).

Arrays in, estimate out: nothing here knows what a generator is. Formulas from method.md section 2.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc
from jaxtyping import Array, ArrayLike, Float
from scipy.stats import chi2, norm

from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.types import AveragingEstimate, Holdout, Interval, Status

MIN_EVENTS = (
    10.0  # fewer expected training or generated events in a region, or fewer outside, say nothing
)

_MEMBERS_FOR_COVARIANCE = 5  # fewer cannot tell whether regions move together
_SHRINK = 1.5  # how far the covariance of M members is believed: chosen for coverage, see pooled_amplification
_MEMBERS_FOR_WELCH = (
    8  # with fewer, a spread that is too small by chance looks like a small part of the error
)


def averaging_amplification(
    integral: Float[ArrayLike, "member region"],
    *,
    n_train: int,
    n_gen: int | Float[ArrayLike, "*#member #region"] | None = None,
    holdout: Holdout | None = None,
    level: float = 0.68,
    pull_limit: float = 3.0,
) -> AveragingEstimate:
    """Amplification of region integrals, n_equiv = I (1 - I) / sigma_model^2 (arXiv:2509.08048,
    method.md section 2).

    sigma_model^2 is the spread between members less the noise I (1 - I) / n_gen of their finite
    samples. Its interval comes from chi^2 with M - 1 degrees of freedom for the sum of both. The
    answer is about one member: the typical training, not the network in hand and not the ensemble
    mean. The spread is precision only; a bias common to all members shows in the holdout alone.

    Args:
        integral: fraction of each member's generated events in each region.
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
    integral, noise_n = _checked(integral, n_train, n_gen, level, holdout)
    members = integral.shape[0]
    mean = integral.mean(axis=0)
    binomial = mean * (1 - mean)
    noise = (integral * (1 - integral) / noise_n).mean(axis=0)

    total = integral.var(axis=0, ddof=1)
    low_quantile, high_quantile = chi2.ppf([(1 - level) / 2, (1 + level) / 2], members - 1)
    variance = Interval(
        total - noise,
        (members - 1) * total / high_quantile - noise,
        (members - 1) * total / low_quantile - noise,
    )
    n_equiv = _equivalent(binomial, variance)
    true_binomial = (
        binomial
        if holdout is None
        else jnp.asarray(holdout.integral) * (1 - jnp.asarray(holdout.integral))
    )
    expected = jnp.maximum(variance.value, 0.0) + total / members
    if holdout is not None:
        expected += jnp.maximum(binomial, true_binomial) / jnp.asarray(
            holdout.n
        )  # one of both may have no events there
    pull, bias_squared = _compare(mean, expected, holdout, level)
    n_equiv_bias_aware = _equivalent(
        true_binomial,
        Interval(*(jnp.maximum(v, 0.0) + b for v, b in zip(variance, bias_squared, strict=True))),
    )

    few = _few(mean, n_train) | _few(mean, noise_n.min(axis=0))
    biased = jnp.zeros_like(few)
    if holdout is not None:
        share = total / jnp.where(expected > 0, expected, 1.0)  # of the members in the error
        degrees = (members - 1) / (
            jnp.maximum(share, 1e-3) ** 2 if members >= _MEMBERS_FOR_WELCH else jnp.ones_like(total)
        )
        # either sample expects enough events in the other
        few_compared = _few(jnp.asarray(holdout.integral), jnp.asarray(holdout.n)) & _few(
            mean, jnp.asarray(holdout.n)
        )
        biased = _improbable(pull, degrees, pull_limit) & ~few_compared
    status = _status(variance, few, biased)
    n_equiv = Interval(
        *(
            jnp.where(few, nothing, n)
            for n, nothing in zip(n_equiv, (jnp.nan, 0.0, jnp.inf), strict=True)
        )
    )
    quoted = Interval(
        *(
            jnp.where(biased, aware, plain)
            for aware, plain in zip(n_equiv_bias_aware, n_equiv, strict=True)
        )
    )
    return AveragingEstimate(
        integral=mean,
        sigma_stat=jnp.sqrt(noise),
        sigma_model=Interval(
            *(
                jnp.sqrt(jnp.where(v > 0, v, fallback))
                for v, fallback in zip(variance, (jnp.nan, 0.0, 0.0), strict=True)
            )
        ),
        n_equiv=n_equiv,
        n_equiv_at_n_gen=binomial / total,
        pull=pull,
        bias=jnp.sqrt(bias_squared.value),
        n_equiv_bias_aware=n_equiv_bias_aware,
        factor=Interval(*(n / n_train for n in quoted)),
        status=status,
    )


def pooled_amplification(
    integral: Float[ArrayLike, "member region"],
    *,
    n_train: int,
    n_gen: int | Float[ArrayLike, "*#member #region"] | None = None,
    level: float = 0.68,
) -> tuple[Interval, Status]:
    """Amplification G pooled over regions that share all events among them, sum I (1 - I) / sum
    sigma_model^2 / n_train: how far a binning may be trusted.

    The sum of the regions' spreads has more degrees of freedom than each: twice its square over its
    variance, which follows from the regions' covariance (Satterthwaite), estimated from M >= 5
    members, between M - 1 (all regions move together) and M - 1 for each region but the last.
    Intervals at 68 % cover in 67 % where few modes move all regions and up to 97 % where many
    regions move alone (5 to 16 members, simulated).

    Args:
        integral: fraction of each member's generated events in each region; rows sum to one.
        n_train: training events of each member.
        n_gen: as for `averaging_amplification`.
        level: confidence level of the interval.
    """
    # in NumPy: it is asked for many shapes, and compiling each would take longer than everything
    # else
    share, noise_n = (np.asarray(part, float) for part in _checked(integral, n_train, n_gen, level))
    members, count = share.shape
    mean = share.mean(axis=0)
    binomial, noise = (
        float((mean * (1 - mean)).sum()),
        float((share * (1 - share) / noise_n).mean(axis=0).sum()),
    )
    deviation = share - mean
    total = float((deviation**2).sum() / (members - 1))
    degrees = float(members - 1)
    if members >= _MEMBERS_FOR_COVARIANCE and total > 0:
        squares = (
            (deviation @ deviation.T / (members - 1)) ** 2
        ).sum()  # trace of the squared covariance, too large by the members' own scatter
        squares = (
            (members - 1) ** 2
            / ((members - 2) * (members + 1))
            * (squares - total**2 / (members - 1))
        )
        # members that move less than others by chance look less correlated too, hence the second
        # term, chosen for coverage
        degrees *= float(
            np.clip(
                1 / (max(squares, 0.0) / total**2 + 1 / (_SHRINK * (members - 1))),
                1,
                max(count - 1, 1),
            )
        )
    low_quantile, high_quantile = chi2.ppf([(1 - level) / 2, (1 + level) / 2], degrees)
    smallest, largest = (
        degrees * total / high_quantile - noise,
        degrees * total / low_quantile - noise,
    )
    few = (
        min(float(mean.min()), float(1 - mean.max())) * min(n_train, float(noise_n.min()))
        < MIN_EVENTS
    )
    status = (
        Status.RESOLVED
        if smallest > 0
        else Status.LOWER_LIMIT
        if total > noise
        else Status.UNRESOLVED
    )
    n_equiv = (
        binomial / (total - noise) if total > noise else np.nan,
        binomial / largest if largest > 0 else 0.0,
        binomial / smallest if smallest > 0 else np.inf,
    )
    return Interval(
        *(np.asarray(n / n_train) for n in n_equiv)
    ), Status.UNRESOLVED if few else status  # pyright: ignore[reportArgumentType]


def _equivalent(binomial: Array, variance: Interval) -> Interval:
    """n_equiv = I (1 - I) / variance; a variance that may be zero leaves n_equiv without an upper
    end.
    """
    value = jnp.where(variance.value > 0, binomial / variance.value, jnp.nan)
    low = jnp.where(variance.high > 0, binomial / variance.high, 0.0)
    high = jnp.where(variance.low > 0, binomial / variance.low, jnp.inf)
    return Interval(value, low, high)


def _compare(
    mean: Array, expected: Array, holdout: Holdout | None, level: float
) -> tuple[Array, Interval]:
    """Pull of the holdout, and the squared bias that is left after its expected error: b^2 = max(0,
    (I_holdout - I)^2 - expected).

    Expected is the variance of one training, which all members share where they are bootstraps of
    one training set, that of the mean of the members around it, and that of the holdout. The ends
    of b^2 are those of |I_holdout - I| moved by its error at the level.
    """
    if holdout is None:
        return jnp.full_like(mean, jnp.nan), Interval(*(jnp.zeros_like(mean) for _ in range(3)))
    difference = jnp.asarray(holdout.integral) - mean
    error = norm.ppf((1 + level) / 2) * jnp.sqrt(expected)
    low = jnp.maximum(jnp.abs(difference) - error, 0.0) ** 2
    pull = difference / jnp.sqrt(jnp.where(expected > 0, expected, jnp.nan))
    return pull, Interval(
        jnp.maximum(difference**2 - expected, 0.0), low, (jnp.abs(difference) + error) ** 2
    )


def _few(share: Array, n: Array | int) -> Array:
    """Fewer than MIN_EVENTS expected inside or outside."""
    return jnp.minimum(share, 1 - share) * n < MIN_EVENTS


def _improbable(pull: Array, degrees: Array, limit: float) -> Array:
    """Whether |pull| is less probable than `limit` standard deviations under Student's t, as its
    error has degrees of freedom (Welch and Satterthwaite).
    """
    probability = betainc(degrees / 2, 0.5, degrees / (degrees + pull**2))
    return probability < 2 * norm.sf(limit)  # nan, without a pull, is not below


def _status(variance: Interval, few: Array, biased: Array) -> Array:
    """What the holdout contradicts is biased, however few events were generated there."""
    status = jnp.where(variance.low > 0, Status.RESOLVED, Status.LOWER_LIMIT)
    status = jnp.where(variance.value > 0, status, Status.UNRESOLVED)
    return jnp.where(biased, Status.BIASED, jnp.where(few, Status.UNRESOLVED, status)).astype(
        jnp.int32
    )


def _checked(
    integral: ArrayLike,
    n_train: int,
    n_gen: ArrayLike | None,
    level: float,
    holdout: Holdout | None = None,
) -> tuple[Array, Array]:
    """The integrals, and the events per member that decide their noise [member or 1, region or
    1].
    """
    values = jnp.asarray(integral, float)
    if values.ndim != 2 or values.shape[1] == 0:
        raise InputError(
            "integral",
            "shape [member, region]",
            str(values.shape),
            "one row per member, one column per region",
        )
    if values.shape[0] < 2:
        raise NeedsMembersError(
            "members",
            "at least 2, better 8 or more",
            str(values.shape[0]),
            "train again on bootstrap samples of the training events",
        )
    if n_train < 1:
        raise InputError(
            "n_train",
            "at least 1",
            str(n_train),
            "give the number of training events of one member",
        )
    if not 0 < level < 1:
        raise InputError("level", "between 0 and 1", str(level), "0.68 is usual")
    noise_n = jnp.atleast_2d(jnp.asarray(jnp.inf if n_gen is None else n_gen, float))
    if noise_n.shape[0] not in (1, values.shape[0]) or noise_n.shape[1] not in (1, values.shape[1]):
        raise InputError(
            "n_gen",
            f"a number or shape {values.shape}",
            str(noise_n.shape),
            "give the generated events per member",
        )
    _check_values(values, noise_n, holdout)
    return values, noise_n


def _check_values(values: Array, noise_n: Array, holdout: Holdout | None) -> None:
    """What only concrete numbers can tell; under jit the caller has to know."""
    try:
        inside, events = np.asarray(values), np.asarray(noise_n)
    except Exception:  # a tracer has no values
        return
    if not ((inside >= 0) & (inside <= 1)).all():
        raise InputError(
            "integral",
            "fractions between 0 and 1",
            f"{inside.min():g} to {inside.max():g}",
            "divide by the sum of weights",
        )
    if not (events > 0).all():
        raise InputError(
            "n_gen", "above zero", f"{events.min():g}", "give the generated events per member"
        )
    empty = np.flatnonzero(
        (inside == 0).all(axis=0) & (True if holdout is None else np.asarray(holdout.integral) == 0)
    )
    if len(empty):
        raise EmptyRegionError(
            f"region {', '.join(map(str, empty))}",
            "events of at least one member inside",
            "none",
            "widen the region or remove it",
        )
