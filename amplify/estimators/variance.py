"""What a sum of squares says of a variance: chi^2, and the limit where noise hides it."""

import numpy as np
from scipy import special

from amplify.errors import InputError

# a limit is shown where a spread is small, by chance too. Wrong ones are 1 - limit_level of those
# that are shown wherever at least this share of regions shows one
_SHOWN = 0.02


def variance_quantiles(degrees: float, level: float) -> tuple[float, float]:
    """Ends of the central interval of chi^2 at this level."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = 2 * special.gammaincinv(degrees / 2, tails)
    return float(low), float(high)


def hidden_limit(degrees: float, level: float, limit_level: float) -> float:
    """The sigma_model^2, in units of the noise, that a region exceeds in vain too rarely to matter
    where its noise hides the spread: n_equiv is more than binomial / (noise times this).

    The limit is shown where (M - 1) s^2 is below the upper quantile c of chi^2 times the noise.
    With sigma_model^2 = (c / q - 1) noise this happens with the probability that chi^2 is below q,
    which is chosen as (1 - limit_level) / 50. So the limit does not move with the fluctuation that
    made it appear (a power-constrained limit, arXiv:1105.3166).

    >>> [round(hidden_limit(members - 1, 0.68, 0.95), 1) for members in (4, 8, 16, 32)]
    [211.6, 16.6, 4.8, 2.2]
    """
    _, shown = variance_quantiles(degrees, level)
    rare = 2 * special.gammaincinv(degrees / 2, (1 - limit_level) * _SHOWN)
    return float(shown / rare - 1)


def variance_median(degrees: float) -> float:
    """Median of chi^2: the sum of squares over it is too large as often as too small."""
    return float(2 * special.gammaincinv(degrees / 2, 0.5))


def degrees_with_transfer(degrees: float, transfer: float) -> float:
    """Degrees of freedom of a sum of squares whose variance is also uncertain by a factor: 1 / nu =
    1 / degrees + 2 tau^2 (Satterthwaite).

    The relative variance of chi^2 is 2 / degrees, that of a variance whose root is known to
    exp(+-tau) is (2 tau)^2, and 2 / nu is their sum.

    >>> round(degrees_with_transfer(7, 0.2), 1)
    4.5

    Args:
        degrees: of the sum of squares.
        transfer: tau, standard deviation of the logarithm of claimed over actual sigma.
    """
    return 1 / (1 / degrees + 2 * transfer**2)


def check_limit_level(limit_level: float) -> None:
    """Refuses what is no level of a limit: below one half it would not be one."""
    if not 0.5 < limit_level < 1:
        expected, fix = "between 0.5 and 1, one-sided", "0.95 is usual"
        raise InputError("limit_level", expected, str(limit_level), fix)
