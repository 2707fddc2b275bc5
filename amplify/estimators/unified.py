"""The interval of Feldman and Cousins for a mean that cannot be negative, from a Gaussian
measurement (arXiv:physics/9711021): one rule that gives both ends or a limit, with exact coverage.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from amplify.namespace import namespace

_MEANS = 800  # of the belt, dense near zero, where very low measurements end
_HALVINGS = 60  # of an interval of order one: to the last digit


def unified_interval(value: Any, error: Any, level: float) -> tuple[Any, Any]:
    """Both ends, in the unit of the value (table X of the paper).

    >>> [round(float(end), 2) for end in unified_interval(2.0, 1.0, 0.9)]
    [0.58, 3.64]

    Args:
        value: what was measured, any shape.
        error: its standard deviation.
        level: of the interval.
    """
    xp = namespace(value, error)
    mean, lowest, highest = _belt(level)
    measured = xp.asarray(value) / error
    low = xp.where(
        measured < highest[-1],
        xp.interp(measured, highest, mean),
        measured - highest[-1] + mean[-1],
    )
    high = xp.where(
        measured < lowest[-1],
        xp.interp(measured, lowest, mean),
        measured - lowest[-1] + mean[-1],
    )
    return xp.where(measured <= highest[0], 0.0, low) * error, high * error


def unified_limit(level: float, limit_level: float) -> float:
    """The mean, in standard deviations, whose measurement would be so low that the interval reaches
    zero with the probability 1 - limit_level: what is quoted where it does.

    >>> round(unified_limit(0.68, 0.95), 2)
    2.11
    """
    _, _, highest = _belt(level)
    return float(highest[0] + ndtri(limit_level))


@lru_cache(maxsize=32)
def _belt(level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, and the ends of the measurements that each accepts, ordered by likelihood ratio.
    Beyond the last mean the ends are +-z around it.

    A mean m accepts up to m + d. The same likelihood ratio below zero, where the best mean is 0, is
    at m / 2 - d^2 / (2 m).
    """
    z = ndtri((1 + level) / 2)
    mean = z * np.linspace(0, 1, _MEANS + 1)[1:] ** 2

    def lower(d: np.ndarray) -> np.ndarray:
        return mean / 2 - d**2 / (2 * mean)

    # how far up each mean accepts: the content grows with d, so halve the interval that holds it
    least, most = np.full(_MEANS, ndtri(level) - 1e-9), np.full(_MEANS, z + 1e-9)
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        content = ndtr(middle) - ndtr(lower(middle) - mean)
        least = np.where(content < level, middle, least)
        most = np.where(content < level, most, middle)
    reach = (least + most) / 2
    return mean, lower(reach), mean + reach
