"""How much of a sample is in each region: additive sums, and the fractions and noise that follow.

Sums of parts add up to those of the whole, so a sample may come in chunks, from files or from many
devices.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.regions.shapes import Regions, sums_inside

_ROUNDING = 1e-9  # of a fraction
_NO_VARIANCE = 1e-13  # of 1/n: rounding, of a region that holds everything


class Sums(NamedTuple):
    """Additive sums over a sample.

    Attributes:
        n: events.
        n_inside: events in each region [region].
        weight: sum of the weights w.
        square: sum of w^2.
        weight_inside: sum of w in each region [region].
        square_inside: sum of w^2 in each region [region].
    """

    n: int
    n_inside: np.ndarray
    weight: float
    square: float
    weight_inside: np.ndarray
    square_inside: np.ndarray

    def plus(self, other: "Sums") -> "Sums":
        """Sums of both samples together."""
        return Sums(
            self.n + other.n,
            self.n_inside + other.n_inside,
            self.weight + other.weight,
            self.square + other.square,
            self.weight_inside + other.weight_inside,
            self.square_inside + other.square_inside,
        )

    def normalised(self) -> "Sums":
        """Those of weights that sum to one."""
        w = self.weight
        return self._replace(
            weight=1.0,
            square=self.square / w**2,
            weight_inside=self.weight_inside / w,
            square_inside=self.square_inside / w**2,
        )

    def take(self, regions: Any) -> "Sums":
        """Those of some of the regions."""
        return self._replace(
            n_inside=self.n_inside[regions],
            weight_inside=self.weight_inside[regions],
            square_inside=self.square_inside[regions],
        )


class Fractions(NamedTuple):
    """What part of a sample is in each region, all [region].

    Attributes:
        integral: fraction of the sample, by weight.
        n_effective: number of unweighted events with the same noise.
        n_inside: events.
    """

    integral: np.ndarray
    n_effective: np.ndarray
    n_inside: np.ndarray


def count(regions: Regions, x: np.ndarray, weight: np.ndarray | None = None) -> Sums:
    """Sums over the events x [n, dim]; sums of parts add up to those of the whole, so a sample may
    come in chunks.

    >>> from amplify.regions import bins, column
    >>> halves = bins(column(0), [0, 1, 2], "x")
    >>> x = np.array([[0.5], [0.7], [1.5], [2.5]])
    >>> sums = count(halves, x)
    >>> sums.n, sums.n_inside.tolist()
    (4, [2, 1])
    >>> count(halves, x, np.array([1.0, 2.0, 3.0, 4.0])).weight_inside.tolist()
    [3.0, 3.0]

    Args:
        regions: where.
        x: events [n, dim].
        weight: of the events [n]; None for ones.
    """
    if weight is None:
        return unweighted(len(x), sums_inside(regions, x, [None])[0])
    w = np.asarray(weight, np.float64)
    n_inside, weight_inside, square_inside = sums_inside(regions, x, [None, w, w**2])
    return Sums(len(x), n_inside.astype(int), w.sum(), (w**2).sum(), weight_inside, square_inside)


def unweighted(n: int, n_inside: np.ndarray) -> Sums:
    """Sums of n events, of which these are inside [region]."""
    inside = np.rint(n_inside).astype(int)
    return Sums(n, inside, float(n), float(n), inside.astype(float), inside.astype(float))


def measurable(sums: Sums) -> np.ndarray:
    """Which regions hold a fraction between 0 and 1 that has a noise: negative weights can dominate
    a region, or cancel in it [region].
    """
    integral = sums.weight_inside / sums.weight
    is_fraction = (integral > 0) & (integral < 1 + _ROUNDING)
    has_noise = (_squared_deviations(sums, integral) > 0) | (sums.n_inside == sums.n)
    return (sums.n_inside == 0) | (is_fraction & has_noise)


def fractions(sums: Sums, labels: Sequence[str] | None = None) -> Fractions:
    """Fraction of the sample in each region, sum_V w / sum w, and how many unweighted events would
    have the same noise (docs/method, Averaging amplification).

    The variance of a weighted fraction I is sum w^2 (1_V - I)^2 / (sum w)^2; n_effective is the n
    for which I (1 - I) / n equals it. Without weights that is the number of events.

    >>> from amplify.regions import bins, column
    >>> halves = bins(column(0), [0, 1, 2], "x")
    >>> inside = fractions(count(halves, np.array([[0.5], [0.7], [1.5], [2.5]])))
    >>> inside.integral.tolist(), inside.n_effective.tolist()
    ([0.5, 0.25], [4.0, 4.0])

    Args:
        sums: of the sample, from `count`.
        labels: of the regions, to name them in errors.

    Raises:
        InputError: the weights do not sum to a positive number, or a negative sum in a region
            leaves the fractions outside 0..1.
    """
    if not sums.weight > 0:
        raise InputError("weights", "a positive sum", f"{sums.weight:g}", "check the weight column")
    names = range(len(sums.n_inside)) if labels is None else labels
    integral = sums.weight_inside / sums.weight
    # sums in another order round differently
    nearest = np.clip(integral, 0, 1)
    integral = np.where(np.abs(integral - nearest) < _ROUNDING, nearest, integral)
    if not ((integral >= 0) & (integral <= 1)).all():
        worst = int(np.argmax(np.abs(integral - 0.5)))
        got = f"{integral[worst]:g} in region {names[worst]}"
        fix = "widen the region: negative weights dominate it"
        raise InputError("weights", "fractions between 0 and 1", got, fix)
    cancelled = (integral == 0) & (sums.square_inside > 0)
    if cancelled.any():
        got = f"0 in region {names[int(np.argmax(cancelled))]}"
        fix = "widen the region: its weights cancel"
        raise InputError("weights", "a sum above zero where events are", got, fix)
    variance = _squared_deviations(sums, integral) / sums.weight**2
    with np.errstate(divide="ignore", invalid="ignore"):
        binomial_n = integral * (1 - integral) / variance
        of_everything = sums.weight**2 / sums.square
        n_effective = np.where(variance > _NO_VARIANCE / of_everything, binomial_n, of_everything)
    return Fractions(integral, n_effective, sums.n_inside)


def _squared_deviations(sums: Sums, integral: np.ndarray) -> np.ndarray:
    """Sum w^2 (1_V - I)^2 over all events [region]."""
    return sums.square_inside * (1 - 2 * integral) + integral**2 * sums.square
