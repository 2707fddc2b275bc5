"""What is kept of two samples, and the distance of their distribution functions that it shows
(docs/method, Differential amplification).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from scipy.special import ndtri

from amplify.errors import InputError
from amplify.estimators.calibrated import calibrated_bound, calibrated_distance, calibrated_limit
from amplify.estimators.kolmogorov import Counts, count_between, distance_between
from amplify.estimators.unified import unified_interval, unified_limit
from amplify.namespace import is_traced, namespace

_FEW = 10  # holdout events on one side of the threshold
_WRONG_SIGN = 5  # standard deviations that D0 may be below zero
_ROUNDING = 1e-6  # below one, of a distribution function in single precision


class Tally(NamedTuple):
    """What is kept of a sample in one region. Additive: `plus`, or a sum over devices.

    Attributes:
        counts: against the sorted values of the holdout.
        low: events (weights) with t at or below the threshold.
        low_square: their squared weights.
    """

    counts: Counts
    low: Any
    low_square: Any

    def plus(self, other: "Tally") -> "Tally":
        """The tally of both samples together."""
        return Tally(
            self.counts.plus(other.counts),
            self.low + other.low,
            self.low_square + other.low_square,
        )


def tally(grid: Any, t: Any, weight: Any = None, *, threshold: Any = 0.0) -> Tally:
    """Tally of the events t [n]; the grid [k] are the sorted values of the holdout. A sample may
    come in chunks.
    """
    counts = count_between(grid, t, weight)
    below = t <= threshold
    if weight is None:
        low = below.sum()
        return Tally(counts, low, low)
    return Tally(counts, (weight * below).sum(), (weight**2 * below).sum())


def threshold_distance(generated: Tally, holdout: Tally) -> tuple[Any, Any]:
    """D0 = P_holdout(t <= threshold) - P_gen(t <= threshold) and its standard deviation, sqrt of
    the variances of two (weighted) fractions.
    """
    xp = namespace(generated.low, holdout.low)
    (c, variance_c), (u, variance_u) = (_fraction(xp, part) for part in (holdout, generated))
    n = holdout.counts.n_effective
    # a fraction of so few events does not know its error; the other sample does, or nobody
    borrowed = xp.where(n * xp.minimum(u, 1 - u) >= _FEW, u * (1 - u) / n, 0.25 / n)
    few = n * xp.minimum(c, 1 - c) < _FEW
    variance_c = xp.where(few, xp.maximum(variance_c, borrowed), variance_c)
    return c - u, xp.sqrt(variance_c + variance_u)


class Measured(NamedTuple):
    """D as it was measured, and what its error says of it.

    Attributes:
        value: of D.
        interval: level -> two-sided ends; a lower end of 0 where the difference may be chance.
        hidden: (level, limit_level) -> the D that would be taken for chance too rarely to matter.
        bound: limit_level -> the D that is exceeded, one-sided.
    """

    value: Any
    interval: Callable[[float], tuple[Any, Any]]
    hidden: Callable[[float, float], Any]
    bound: Callable[[float], Any]


def two_sided(xp: Any, measured: Measured, level: float, limit_level: float) -> Any:
    """D and its ends; of a difference that may be chance the upper end is a limit."""
    low, high = measured.interval(level)
    limit = measured.hidden(level, limit_level)
    return measured.value, low, xp.minimum(xp.where(low > 0, high, limit), 1.0)


def learned_bound(xp: Any, measured: Measured, level: float, limit_level: float) -> Any:
    """D and its lower end: a learned summary misses a part of it."""
    return measured.value, measured.bound(limit_level), 1.0


def _from_threshold(generated: Tally, holdout: Tally, unknown: float = 0.0) -> Measured:
    """From the fractions on one side of the threshold, which are counted in any case."""
    value, error = threshold_distance(generated, holdout)
    if not is_traced(value) and value < -_WRONG_SIGN * error:
        below = f"{-value / error:.0f} standard deviations below zero"
        expected = "truth to be the denser one where t <= threshold"
        fix = "a ratio is log p_generated / p_true, and events of a file must come in no order"
        raise InputError("summary", expected, f"D0 = {value:.3g}, {below}", fix)
    xp = namespace(value, error)
    return Measured(
        value,
        interval=lambda level: unified_interval(value, error, level),
        hidden=lambda level, limit: unified_limit(level, limit) * error,
        bound=lambda limit: xp.maximum(value - ndtri(limit) * error, 0.0),
    )


def _from_ks(generated: Tally, holdout: Tally, unknown: float = 0.0) -> Measured:
    """From the largest difference of the distribution functions, of which one may be off by as much
    as is unknown of it: both ends of an interval allow for that.
    """
    n = 1 / (1 / holdout.counts.n_effective + 1 / generated.counts.n_effective)
    observed = distance_between(generated.counts, holdout.counts)
    value, _, _ = calibrated_distance(observed, n, 0.5)
    xp = namespace(observed, n)
    least, most = observed, observed
    if unknown:
        least, most = xp.maximum(observed - unknown, 0.0), xp.minimum(observed + unknown, 1.0)
    return Measured(
        xp.where(observed > 1 - _ROUNDING, 1.0, value),  # told apart for certain
        interval=lambda level: (
            calibrated_distance(least, n, level)[1],
            calibrated_distance(most, n, level)[2],
        ),
        hidden=lambda level, limit: calibrated_limit(n, level, limit) + 2 * unknown,
        bound=lambda limit: calibrated_bound(least, n, limit),
    )


METHODS = {"threshold": _from_threshold, "ks": _from_ks}


def _fraction(xp: Any, part: Tally) -> tuple[Any, Any]:
    """Weighted fraction at or below the threshold and its variance, sum w^2 (1_low - c)^2 / (sum
    w)^2; c (1 - c) / n without weights.
    """
    total = part.counts.total
    c = part.low / total
    square = part.low_square * (1 - 2 * c) + c**2 * part.counts.square
    return c, xp.maximum(square / total / total, 0.0)
