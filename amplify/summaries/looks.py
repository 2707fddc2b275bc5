"""Many columns as features of each column: its value, its share of the event, its square, whether
it is zero. Standardised, so that a direction among them [column] is one number per event.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

_NUMBERS = 1 << 20  # that are worked on at once, so that they stay in the cache
_FARTHEST = 6.0  # standard deviations; a voxel that is hit once in a million events weighs no more
_RARE = 1e-3  # fraction of zeros, or of others, from which on it matters which they are

Feature = Callable[[np.ndarray], np.ndarray]  # some events [n, column] -> one feature per column


class Sample(NamedTuple):
    """Events [n, column] and their shares of the weight [n], which sum to one."""

    x: np.ndarray
    share: np.ndarray

    @property
    def n(self) -> float:
        """Events, effective ones of weights."""
        return float(1 / (self.share**2).sum())

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some events at a time [rows, column], and their shares."""
        for rows in row_blocks(*self.x.shape):
            yield np.ascontiguousarray(self.x[rows]), self.share[rows]

    def part(self, which: int, of: int) -> "Sample":
        """Every `of`-th event, one after the other in memory, because they are read often."""
        share = self.share[which::of]
        return Sample(np.ascontiguousarray(self.x[which::of]), share / share.sum())


class Look(NamedTuple):
    """One feature of each column, standardised.

    Attributes:
        feature: events [n, column] -> [n, column].
        centre: [column].
        per_width: one over the standard deviation [column], zero where there is none.
    """

    feature: Feature
    centre: Float[np.ndarray, " column"]
    per_width: Float32[np.ndarray, " column"]

    def __call__(self, x: Float[np.ndarray, "n column"]) -> Float32[np.ndarray, "n column"]:
        """Standardised features of some events; in single precision once they are centred."""
        z = _centred(self.feature(x), self.centre)
        z *= self.per_width
        return np.clip(z, -_FARTHEST, _FARTHEST, out=z)


class Moments(NamedTuple):
    """Mean and variance of a feature of each column [column]."""

    mean: np.ndarray
    variance: np.ndarray


def row_blocks(n: int, columns: int) -> Iterator[slice]:
    """Rows of some events at a time."""
    size = max(_NUMBERS // max(columns, 1), 64)
    return (slice(start, start + size) for start in range(0, n, size))


def features(sample: Sample) -> list[Feature]:
    """Those that may differ in this sample: shares where nothing is negative, zeros where some
    are.
    """
    lowest, zeros, size = np.inf, np.zeros(sample.x.shape[1]), len(sample.x)
    mean = np.zeros(sample.x.shape[1])
    for x, share in sample.blocks():
        lowest = min(lowest, float(x.min()))
        zeros += (x == 0).sum(axis=0)
        mean += share @ x
    found = [value, _square_around(mean)]
    if lowest >= 0:
        found += [share_of_event, root]
    if ((zeros > _RARE * size) & (zeros < (1 - _RARE) * size)).any():
        found.append(present)
    return found


def value(x: np.ndarray) -> np.ndarray:
    """The column itself."""
    return x


def square(x: np.ndarray) -> np.ndarray:
    """Its square."""
    return x * x


def _square_around(centre: np.ndarray) -> Feature:
    """The squared distance from the mean: how wide a column is."""

    def squared(x: np.ndarray) -> np.ndarray:
        apart = _centred(x, centre)
        return apart * apart

    return squared


def root(x: np.ndarray) -> np.ndarray:
    """Its square root, which few large values do not rule."""
    return np.sqrt(np.maximum(x, 0))


def share_of_event(x: np.ndarray) -> np.ndarray:
    """Its part of the sum of all columns; nothing where that is zero."""
    total = x.sum(axis=1, keepdims=True)
    return x / np.where(total > 0, total, 1)


def present(x: np.ndarray) -> np.ndarray:
    """One where it is not zero."""
    return (x != 0).astype(np.float32)


def _centred(x: np.ndarray, centre: np.ndarray) -> Float32[np.ndarray, "n column"]:
    """The difference, taken in the precision of x."""
    return (x - centre.astype(x.dtype)).astype(np.float32, copy=False)


def moments(sample: Sample, several: Sequence[Feature]) -> list[Moments]:
    """Mean and variance of each feature of each column."""
    sums = np.zeros((len(several), 2, sample.x.shape[1]))
    origins = [feature(next(sample.blocks())[0]).mean(axis=0) for feature in several]
    for x, share in sample.blocks():
        for total, feature, origin in zip(sums, several, origins, strict=True):
            z = _centred(feature(x), origin)  # or squares cancel
            weights = share.astype(np.float32)
            total[0] += weights @ z
            total[1] += weights @ (z * z)
    found = []
    rounding = 4 * np.finfo(sample.x.dtype).eps
    for origin, (mean, mean_square) in zip(origins, sums, strict=True):
        variance, centre = mean_square - mean**2, origin + mean
        # what rounding leaves of a constant is no width
        wide = variance > (rounding * centre) ** 2
        found.append(Moments(centre, np.where(wide, variance, 0.0)))
    return found


def look(feature: Feature, gen: Moments, true: Moments) -> Look:
    """The feature in standard deviations of both samples together, so that a column which only one
    of them has counts.
    """
    variance = (gen.variance + true.variance) / 2
    known = variance > 0
    per_width = np.where(known, 1 / np.sqrt(np.where(known, variance, 1.0)), 0.0)
    return Look(feature, gen.mean, per_width.astype(np.float32))


def significance(gen: Moments, true: Moments, n_gen: float, n_true: float) -> np.ndarray:
    """Difference of the means in standard deviations [column]."""
    variance = gen.variance / n_gen + true.variance / n_true
    apart = np.abs(true.mean - gen.mean)
    return np.where(variance > 0, apart / np.sqrt(np.where(variance > 0, variance, 1)), 0.0)
