"""Members against a holdout: a bias that all of them share, which their spread cannot see
(docs/method, Averaging amplification). Or against the events that they learned from (docs/method,
Bias without a holdout).

The training events of n_train have the fraction I + e inside, with var e = I (1 - I) / n_train. The
mean of M members that learned from them is I + b + u, where u is what they made of e: the error of
a training is u, and common to all of them. The difference e - u - b has no more variance than e
where a member follows the fluctuation of its events at least half as far as it goes itself,
cov(e, u) >= var(u) / 2. Of maximum likelihood cov(e, u) = var(u), of smoothing more. So var e, and
what the mean of M members scatters by, is what one expects at most.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from amplify.namespace import namespace
from amplify.types import AveragingEstimate, Holdout, Interval, Status

# with fewer, a spread that is too small by chance looks like a small part of the error
_MEMBERS_FOR_WELCH = 8


class Difference(NamedTuple):
    """The difference of a holdout and the members, and what is expected of it, all [region].

    Attributes:
        difference: I_holdout - I; nan without a holdout.
        expected: its variance where nothing is biased, noise subtracted: of one training, which all
            members share where they are bootstraps of one training set, of the mean of the members
            around it, and of the holdout.
        largest: the same with the noise left in, as if it were training too.
        spread: between members.
        binomial: I (1 - I) of the truth, as far as it is known.
    """

    difference: Any
    expected: Any
    largest: Any
    spread: Any
    binomial: Any

    @property
    def pull(self) -> Any:
        """Difference in expected errors; nan where nothing is expected."""
        return self.difference / namespace(self.expected).sqrt(self.expected)


def expected_difference(
    xp: Any,
    mean: Any,
    spread: Any,
    noise: Any,
    members: int,
    holdout: Holdout | None,
    *,
    trained_on: bool = False,
) -> Difference:
    """The difference of the holdout and the mean of the members, with its error.

    Args:
        xp: NumPy or JAX's.
        mean: integrals, averaged over members [region].
        spread: variance between members [region].
        noise: the part of it that comes from finite samples [region].
        members: how many.
        holdout: fractions of true events, or None.
        trained_on: the members learned from these events. `expected` is the most that is expected.
    """
    binomial = mean * (1 - mean)
    of_mean = spread / members
    expected = of_mean if trained_on else xp.maximum(spread - noise, 0.0) + of_mean
    if holdout is None:
        nothing = xp.full_like(mean, np.nan)
        return Difference(nothing, expected, spread + of_mean, spread, binomial)
    truth = xp.asarray(holdout.integral)
    true_binomial = truth * (1 - truth)
    # one of both may have no events there
    of_holdout = xp.maximum(binomial, true_binomial) / xp.asarray(holdout.n)
    largest = expected + of_holdout if trained_on else spread + of_mean + of_holdout
    expected = expected + of_holdout
    positive = xp.where(expected > 0, expected, np.nan)
    return Difference(truth - mean, positive, largest, spread, true_binomial)


def squared_bias(xp: Any, compared: Difference, level: float) -> Interval:
    """b^2 = max(0, difference^2 - expected), 0 without a holdout. Its ends are those of the
    difference moved by its error at the level.
    """
    apart, deviation = xp.abs(compared.difference), xp.sqrt(compared.expected)
    reach = special.ndtri((1 + level) / 2) * deviation
    ends = (
        xp.maximum(apart**2 - compared.expected, 0.0),
        xp.maximum(apart - reach, 0.0) ** 2,
        (apart + reach) ** 2,
    )
    return Interval(*(xp.where(xp.isfinite(apart), end, 0.0) for end in ends))


def squared_bias_of_marked(estimate: AveragingEstimate, level: float) -> Interval:
    """b^2 of the regions that are marked as biased, 0 of others [region]; its ends are those of
    `squared_bias`, whose error is told by the pull: b^2 = error^2 (pull^2 - 1).
    """
    marked = np.asarray(estimate.status) == Status.BIASED
    pull = np.where(marked, np.abs(estimate.pull), 2.0)
    error = np.asarray(estimate.bias) / np.sqrt(np.maximum(pull**2 - 1, 1e-9))
    reach = special.ndtri((1 + level) / 2)
    ends = (pull**2 - 1, np.maximum(pull - reach, 0.0) ** 2, (pull + reach) ** 2)
    return Interval(*(np.where(marked, end * error**2, 0.0) for end in ends))


def contradicted(
    xp: Any, compared: Difference, members: int, limit: float, *, trained_on: bool = False
) -> Any:
    """Whether the holdout is too far from the members for chance.

    Where the noise is most of the spread, what is left of it is hardly known, and Student's t
    forgives any bias however large the holdout. A difference that is improbable even if all of the
    noise were training needs no subtraction: either test marks. Against the events that members
    were trained on their spread is but 1 / M of the error, or less.
    """
    beyond = xp.zeros(xp.shape(compared.difference), bool)
    spreads = (compared.spread, compared.spread * (1 + 1 / members))
    if trained_on:
        spreads = (compared.spread / members,) * 2
    for expected, spread in zip((compared.expected, compared.largest), spreads, strict=True):
        degrees = _degrees(xp, spread, expected, members, known=trained_on)
        pull = compared.difference / xp.sqrt(expected)
        beyond = beyond | _improbable(xp, pull, degrees, limit)
    return beyond


def _degrees(xp: Any, spread: Any, expected: Any, members: int, *, known: bool = False) -> Any:
    """Degrees of freedom of the pull's error (Welch and Satterthwaite): those of the members, more
    where other parts of the error are known better, or as good as `known`.
    """
    if members < _MEMBERS_FOR_WELCH and not known:
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
