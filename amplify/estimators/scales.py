"""Which true difference gives an observed statistic: the observed difference on all scales, with
the noise of a relabelling on top (docs/method, One scale for every statistic).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from amplify.estimators.permutations import Null

_SCALES = (0.7, 1.0, 1.3)  # of the observed difference, to start with
_BRACKET = 0.35  # of two scales between which is interpolated
_ROUNDS = 14  # of scales added
_LARGEST = 50.0  # a scale
_RATIO = (0.5, 1.2)  # of a noise-free distance with and without the noise of its shape
_MAXIMA = ("mean_ks", "max_ks", "sliced_ks")  # statistics that look where a difference is largest
_POWER = 2 / 3  # of the variance of noise, with which it adds to these


class Target(NamedTuple):
    """What of the experiments at a scale is to be some value.

    Attributes:
        level: of their quantile; None for their mean.
        value: of the statistic.
    """

    level: float | None
    value: float

    def of(self, experiments: np.ndarray) -> float:
        """The quantile, or the mean."""
        if self.level is None:
            return float(experiments.mean())
        return float(np.quantile(experiments, self.level))


class Experiments:
    """T of experiments whose true difference is the observed one on some scale.

    Args:
        null: of the statistic.
        number: of experiments.
    """

    def __init__(self, null: Null, number: int) -> None:
        self._null, self._batches = null, list(null.part.batches(number))
        few = len(self._batches) == 1  # they fit into memory
        self._kept = [null.part.relabelled(*self._batches[0])] if few else None

    def at(self, scale: float, noise: float = 1.0) -> Float[np.ndarray, " experiment"]:
        """Of the observed difference on this scale; noise of relabellings, or its opposite."""
        shape = scale * self._null.pool.difference
        drawn = self._kept or (self._null.part.relabelled(*batch) for batch in self._batches)
        values = [self._null.distances(shape + noise * part) for part in drawn]
        return self._null.away(np.concatenate(values).astype(np.float64))


def scales_of(
    null: Null, targets: Sequence[Target], experiments: Experiments
) -> Float[np.ndarray, " target"]:
    """The scale of the observed difference at which each target has its value; 0 where all scales
    give more.
    """
    root = 1 / null.statistic.degree

    def at(values: np.ndarray) -> np.ndarray:
        return np.array([target.of(values) for target in targets]).clip(0) ** root

    values = np.array([target.value for target in targets]).clip(0) ** root
    known = {0.0: at(null.away(null.permuted))}
    wanted = list(_SCALES)
    found = np.zeros(len(targets))
    for _ in range(_ROUNDS):
        for scale in wanted:
            known[scale] = at(experiments.at(scale))
        grid = np.array(sorted(known))
        # more difference cannot be less: what noise of few experiments turns around is levelled
        curves = np.maximum.accumulate(np.stack([known[s] for s in grid]), axis=0).T
        places = [int(np.searchsorted(c, v)) for c, v in zip(curves, values, strict=True)]
        searched = zip(curves, values, places, strict=True)
        found = np.array([_inverse(grid, *sought) for sought in searched])
        wanted = sorted({scale for k in places if (scale := _between(grid, k)) is not None})
        if not wanted:
            break
    return found


def shape_noise(null: Null, scale: float, experiments: Experiments) -> float:
    """By what the distance of the observed difference on this scale is to be multiplied, because
    its shape has noise too.

    A maximum is where noise points upwards, and its shape is rough there already, so that a second
    noise adds less to it than the first did. What it adds tells what the first has added: the KS
    distance grows with the power 2/3 of the variance where a difference is well seen, and nearly so
    where it is not. A quadratic statistic grows by the mean square of noise whatever the shape is,
    and an area (Wasserstein) hardly where the difference has one sign.

    Args:
        null: of the statistic.
        scale: in whose experiments the mean is the observed value.
        experiments: of this statistic.
    """
    if null.statistic.name not in _MAXIMA or scale <= 0:
        return 1.0
    noisier = np.mean([experiments.at(1.0, sign).mean() for sign in (1.0, -1.0)])
    observed = float(null.away(null.observed))
    without = observed - (noisier - observed) / (2**_POWER - 1)
    return float(np.clip(without / (scale * observed), *_RATIO))


def _between(grid: np.ndarray, place: int) -> float | None:
    """A scale to add, so that the one with this place in the grid is known better."""
    if place == 0:
        return None
    if place == len(grid):
        return None if grid[-1] >= _LARGEST else 1.5 * float(grid[-1])
    low, high = float(grid[place - 1]), float(grid[place])
    return None if high - low <= _BRACKET * max(high, 1.0) else (low + high) / 2


def _inverse(grid: np.ndarray, curve: np.ndarray, value: float, place: int) -> float:
    """Where an interpolated curve has a value."""
    if place == 0:
        return 0.0
    if place == len(grid):
        return float(grid[-1])
    fine = np.linspace(grid[place - 1], grid[place], 101)
    interpolated: Callable[[np.ndarray], np.ndarray] = PchipInterpolator(grid, curve)
    rising = np.maximum.accumulate(interpolated(fine))
    k = min(int(np.searchsorted(rising, value)), len(fine) - 1)
    step = rising[k] - rising[k - 1] if k else 0.0
    back = (rising[k] - value) / step if step > 0 else 0.0
    return float(fine[k] - back * (fine[1] - fine[0]))
