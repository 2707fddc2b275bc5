"""Amplification pooled over regions that share all events among them: how far a binning may be
trusted (docs/method, Averaging amplification).
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.averaging import MIN_EVENTS, checked
from amplify.estimators.variance import hidden_limit, variance_median, variance_quantiles
from amplify.types import Interval, Status

_MEMBERS_FOR_COVARIANCE = 5  # fewer cannot tell whether regions move together
_SHRINK = 1.5  # how far the covariance of M members is believed: chosen for coverage


def pooled_amplification(
    integral: Any,
    *,
    n_train: float,
    n_gen: Any = None,
    share: Any = 1.0,
    one_event: Any = 1.0,
    level: float = 0.68,
    limit_level: float = 0.95,
) -> tuple[Interval, Status]:
    """G = sum I (1 - I) / sum sigma_model^2 / n_train over the regions of a partition.

    Where fractions are those of a part of all events, such as the events at one condition, the sums
    go over the fractions of all events: sum p I (1 - I) / sum p^2 sigma_model^2 / n_train.

    The sum of the regions' spreads has more degrees of freedom than each: twice its square over its
    variance, which follows from the regions' covariance (Satterthwaite), estimated from M >= 5
    members, between M - 1 (all regions move together) and M - 1 for each region but the last.
    Intervals at 68 % cover in 67 % where few modes move all regions and up to 97 % where many
    regions move alone (5 to 16 members, simulated).

    >>> members = np.array([[0.21, 0.79], [0.19, 0.81], [0.20, 0.80]])
    >>> factor, status = pooled_amplification(members, n_train=1000)
    >>> round(float(factor.value), 2), status.name
    (1.11, 'RESOLVED')

    Args:
        integral: fraction of each member's generated events in each region [member, region]; rows
            sum to one.
        n_train: training events of each member.
        n_gen: as for `averaging_amplification`.
        share: p, the part of all events that each region's fraction is of, known [region].
        one_event: as for `averaging_amplification`.
        level: confidence level of the interval; the value is its median.
        limit_level: of the limit, without a value, that is given where noise hides the spread.
    """
    fraction, noise_n = checked(np, np.asarray(integral, float), n_train, n_gen, level)
    members, count = fraction.shape
    mean = fraction.mean(axis=0)
    part = np.broadcast_to(np.asarray(share, float), mean.shape)
    binomial = float((part * one_event * mean * (1 - mean)).sum())
    noise = float((part**2 * (fraction * (1 - fraction) / noise_n).mean(axis=0)).sum())
    deviation = part * (fraction - mean)
    total = float((deviation**2).sum() / (members - 1))

    degrees = _degrees(deviation, total, members, count)
    low_quantile, high_quantile = variance_quantiles(degrees, level)
    quantiles = variance_median(degrees), low_quantile, high_quantile
    median, largest, smallest = (degrees * total / q - noise for q in quantiles)
    resolved = smallest > 0
    if resolved:
        n_equiv = binomial / median, binomial / largest, binomial / smallest
    else:
        hides = noise * hidden_limit(degrees, level, limit_level)
        n_equiv = np.nan, binomial / hides if hides > 0 else 0.0, np.inf
    rarest = np.minimum(mean, 1 - mean)
    few = (rarest * np.minimum(n_train * part, noise_n.min(axis=0)) < MIN_EVENTS).any()
    status = Status.RESOLVED if resolved else Status.LOWER_LIMIT
    factor = Interval(*(np.asarray(n / n_train) for n in n_equiv))
    return factor, Status.UNRESOLVED if few else status


def _degrees(
    deviation: Float[np.ndarray, "member region"], total: float, members: int, count: int
) -> float:
    """Degrees of freedom of the summed spread."""
    least = float(members - 1)
    if members < _MEMBERS_FOR_COVARIANCE or not total > 0:
        return least
    covariance = deviation @ deviation.T / (members - 1)
    # trace of the squared covariance, too large by the members' own scatter
    unbiased = (members - 1) ** 2 / ((members - 2) * (members + 1))
    squares = unbiased * ((covariance**2).sum() - total**2 / (members - 1))
    # members that move less than others by chance look less correlated too, hence the second term
    correlated = max(squares, 0.0) / total**2 + 1 / (_SHRINK * (members - 1))
    return least * float(np.clip(1 / correlated, 1, max(count - 1, 1)))
