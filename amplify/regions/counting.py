"""How much of a sample is in each region: additive sums, and the fractions and noise that follow.

Sums of parts add up to those of the whole, so a sample may come in chunks, from files or from many
devices.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.regions.shapes import Regions, sums_inside


class Sums(NamedTuple):
    """Additive sums over a sample: events, events inside [region], sum w, sum w^2, and both of
    these inside [region].
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
    """Fraction of the sample in each region, the number of unweighted events with the same noise,
    and the events inside, all [region].
    """

    integral: np.ndarray
    n_effective: np.ndarray
    n_inside: np.ndarray


def count(regions: Regions, x: np.ndarray, weight: np.ndarray | None = None) -> Sums:
    """Sums over the events x [n, dim]; sums of parts add up to those of the whole, so a sample may
    come in chunks.
    """
    if weight is None:
        return unweighted(len(x), sums_inside(regions, x, [None])[0])
    w = np.asarray(weight, np.float64)
    n_inside, weight_inside, square_inside = sums_inside(regions, x, [np.ones_like(w), w, w**2])
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
    empty = sums.n_inside == 0
    noise = sums.square_inside * (1 - 2 * integral) + integral**2 * sums.square
    return empty | (
        (integral > 0) & (integral < 1 + 1e-9) & ((noise > 0) | (sums.n_inside == sums.n))
    )


def fractions(sums: Sums, labels: Sequence[str] | None = None) -> Fractions:
    """Fraction of the sample in each region, sum_V w / sum w, and how many unweighted events would
    have the same noise.

    The variance of a weighted fraction I is sum w^2 (1_V - I)^2 / (sum w)^2; n_effective is the n
    for which I (1 - I) / n equals it. Without weights that is the number of events.

    Raises:
        InputError: the weights do not sum to a positive number, or a negative sum in a region
            leaves the fractions outside 0..1.
    """
    if not sums.weight > 0:
        raise InputError("weights", "a positive sum", f"{sums.weight:g}", "check the weight column")
    integral = sums.weight_inside / sums.weight
    integral = np.where(
        np.abs(integral - np.clip(integral, 0, 1)) < 1e-9, np.clip(integral, 0, 1), integral
    )  # sums in another order round differently
    if not ((integral >= 0) & (integral <= 1)).all():
        worst = int(np.argmax(np.abs(integral - 0.5)))
        where = worst if labels is None else labels[worst]
        raise InputError(
            "weights",
            "fractions between 0 and 1",
            f"{integral[worst]:g} in region {where}",
            "widen the region: negative weights dominate it",
        )
    cancelled = (integral == 0) & (sums.square_inside > 0)
    if cancelled.any():
        where = int(np.argmax(cancelled)) if labels is None else labels[int(np.argmax(cancelled))]
        raise InputError(
            "weights",
            "a sum above zero where events are",
            f"0 in region {where}",
            "widen the region: its weights cancel",
        )
    noise = (sums.square_inside * (1 - 2 * integral) + integral**2 * sums.square) / sums.weight**2
    with np.errstate(divide="ignore", invalid="ignore"):
        n_effective = np.where(
            noise > 0, integral * (1 - integral) / noise, sums.weight**2 / sums.square
        )
    return Fractions(integral, n_effective, sums.n_inside)
