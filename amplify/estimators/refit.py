"""What refits of a generator to its own events say of its error: bias included (docs/method, Bias
without a holdout).

A refit learned from events of a pool of members, so that its truth is known: the integrals I_pool
of the pool. In each region R refits leave the mean square

    E^2 = mean_r (I_r - I_pool)^2 - noise,     E^2 = sigma^2 + b^2 in expectation,

with the scatter sigma of trainings on samples of their own and the bias b of the procedure. The
truth is not estimated, so that all R degrees of freedom are left; of a bias the mean square knows
more than chi^2 says, since (sigma^2 + b^2)^2 >= sigma^4 + 2 sigma^2 b^2: intervals are wider than
they need to be, never narrower.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.errors import InputError
from amplify.estimators.averaging import MIN_EVENTS, checked
from amplify.estimators.variance import (
    check_limit_level,
    hidden_limit,
    variance_median,
    variance_quantiles,
)
from amplify.types import Bounds, Holdout, Interval, Status


class RefitEstimate(NamedTuple):
    """Averaging amplification per region from refits; all arrays are [region].

    Attributes:
        integral: fraction of the pool's events inside, the truth of the refits.
        sigma_model: error of a refit, bias included, noise subtracted; no value where the noise
            hides it. The value is median-unbiased.
        bias: mean of the refits less the pool.
        bias_error: its standard error.
        n_equiv: true events worth the generated sample as n_gen -> infinity; a limit without value
            where the noise hides the error.
        factor: amplification G = n_equiv / n_train.
        bounds: one-sided limits of G at the limit level.
        status: a Status per region: RESOLVED, LOWER_LIMIT or UNRESOLVED.
    """

    integral: Float[np.ndarray, " region"]
    sigma_model: Interval
    bias: Float[np.ndarray, " region"]
    bias_error: Float[np.ndarray, " region"]
    n_equiv: Interval
    factor: Interval
    bounds: Bounds
    status: Int[np.ndarray, " region"]

    @property
    def pull(self) -> Float[np.ndarray, " region"]:
        """Bias in units of its error; Student's t with R - 1 degrees of freedom without a bias."""
        return self.bias / self.bias_error


def refit_amplification(
    integral: Any,
    pool: Any,
    *,
    n_train: float,
    n_gen: Any = None,
    n_gen_pool: Any = None,
    level: float = 0.68,
    limit_level: float = 0.95,
) -> RefitEstimate:
    """Amplification n_equiv = I (1 - I) / E^2 of a member, from the mean squared distance E^2 of
    refits and the pool that they learned from; see the top of this file.

    >>> pool = np.array([[0.20], [0.22]])
    >>> refits = np.array([[0.23], [0.22], [0.24], [0.23]])
    >>> estimate = refit_amplification(refits, pool, n_train=1000)
    >>> estimate.bias.round(2).tolist(), estimate.n_equiv.value.round().tolist()
    ([0.02], [309.0])

    Args:
        integral: fraction of each refit's generated events in each region [refit, region].
        pool: the same of the members whose pool they learned from [member, region].
        n_train: training events of a refit, as many as a member has.
        n_gen: generated events per refit, or numbers of equally noisy unweighted events [refit,
            region]; None for integrals without noise.
        n_gen_pool: the same of the members of the pool.
        level: confidence level of the two-sided intervals, central.
        limit_level: of limits, which are one-sided.

    Raises:
        NeedsMembersError: fewer than two refits.
        EmptyRegionError: a region without events of any refit and of the pool.
        InputError: numbers outside their range, shapes that do not fit.
    """
    members, noise_of_pool = _of_pool(pool, n_train, n_gen_pool, level)
    truth = members.mean(axis=0)
    anything = Holdout(truth, 1)
    share, noise_n = checked(np, integral, n_train, n_gen, level, anything)
    check_limit_level(limit_level)
    if share.shape[1] != members.shape[1]:
        fix = "count both in the same regions"
        raise InputError("pool", f"{share.shape[1]} regions", str(members.shape[1]), fix)
    refits, binomial = len(share), truth * (1 - truth)
    noise_of_refit = (share * (1 - share) / noise_n).mean(axis=0)
    noise = noise_of_refit + noise_of_pool
    sum_of_squares = ((share - truth) ** 2).sum(axis=0)
    bias = share.mean(axis=0) - truth
    bias_error = np.sqrt(share.var(axis=0, ddof=1) / refits + noise_of_pool)

    def squared_error(level: float) -> Interval:
        low, high = variance_quantiles(refits, level)
        ends = (variance_median(refits), high, low)
        return Interval(*(sum_of_squares / quantile - noise for quantile in ends))

    square = squared_error(level)
    hidden = ~(square.low > 0)
    inside = np.minimum(truth, 1 - truth)
    least = np.minimum(noise_n.min(axis=0), n_train)
    few = inside * least < MIN_EVENTS
    limit = _over(binomial, noise * hidden_limit(refits, level, limit_level), 0.0)

    def n_equiv(square: Interval) -> Interval:
        """Of a squared error; a limit where it is hidden."""
        value, low, high = (
            _over(binomial, end, otherwise)
            for end, otherwise in zip(
                (square.value, square.high, square.low), (np.nan, 0.0, np.inf), strict=True
            )
        )
        return Interval(
            np.where(hidden | few, np.nan, value),
            np.where(few, 0.0, np.where(hidden, limit, low)),
            np.where(hidden | few, np.inf, high),
        )

    two_sided, one_sided = n_equiv(square), n_equiv(squared_error(2 * limit_level - 1))
    status = np.where(hidden, Status.LOWER_LIMIT, Status.RESOLVED)
    status = np.where(few, Status.UNRESOLVED, status).astype(np.int32)
    value, low, high = (np.sqrt(np.maximum(end, 0.0)) for end in square)
    return RefitEstimate(
        integral=truth,
        sigma_model=Interval(np.where(hidden, np.nan, value), low, high),
        bias=bias,
        bias_error=bias_error,
        n_equiv=two_sided,
        factor=Interval(*(n / n_train for n in two_sided)),
        bounds=Bounds(one_sided.low / n_train, one_sided.high / n_train),
        status=status,
    )


def _of_pool(
    pool: Any, n_train: float, n_gen: Any, level: float
) -> tuple[Float[np.ndarray, "member region"], Float[np.ndarray, " region"]]:
    """Fractions of the pool's members, checked, and the noise of their mean."""
    regions = np.shape(pool)[-1:] or (1,)
    members, noise_n = checked(np, pool, n_train, n_gen, level, Holdout(np.ones(regions), 1))
    return members, (members * (1 - members) / noise_n).mean(axis=0) / len(members)


def _over(binomial: np.ndarray, variance: np.ndarray, otherwise: float) -> np.ndarray:
    """Binomial over a variance where that is positive."""
    positive = variance > 0
    return np.where(positive, binomial / np.where(positive, variance, 1.0), otherwise)
