"""What a statistic would have noticed at this holdout: smooth distortions of known size, injected
into relabelled events.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.estimators.permutations import Null
from amplify.estimators.statistics import Pooled

EXPERIMENTS = 60  # of each size
_SIZES = 12
_LEAST, _RATIO = 1e-3, 0.95  # total variation; largest change of the density, relative
ASKED = 0.01  # total variation whose chance is quoted


class Resolution(NamedTuple):
    """Chances of a statistic to notice a smooth distortion, at a false-alarm rate.

    Attributes:
        sizes: total variations, rising.
        chance: to exceed the threshold, of each.
        tv_50: the smallest that is noticed with a chance of one half, or nan.
        tv_90: with nine of ten, or nan.
        asked: the chance at a total variation of one per cent.
    """

    sizes: Float[np.ndarray, " size"]
    chance: Float[np.ndarray, " size"]
    tv_50: float
    tv_90: float
    asked: float


def resolution(
    null: Null, *, limit_level: float = 0.95, experiments: int = EXPERIMENTS, seed: int = 0
) -> Resolution:
    """Smooth distortions p(x) (1 + a tanh(u x)) of the pooled events, x standardised and u a random
    direction, on top of relabelled events: how often the statistic exceeds the quantile
    `limit_level` of its null distribution.

    Args:
        null: the statistic with its permutations.
        limit_level: one less the false-alarm rate.
        experiments: of each size, each with a direction of its own.
        seed: of the directions.
    """
    threshold = float(np.quantile(_from_none(null, null.permuted), limit_level))
    tilts, largest = _tilts(null.pool, experiments, seed)
    sizes = np.geomspace(_LEAST, largest, _SIZES)
    chance = np.zeros(_SIZES)
    noise = null.part.relabelled
    # the curve rises: beyond a size that is always noticed nothing is computed
    for place, size in enumerate(sizes):
        noticed = 0
        for start, stop in null.part.batches(experiments):
            distances = null.distances(size * tilts[start:stop] + noise(start, stop))
            noticed += int((_from_none(null, distances) > threshold).sum())
        chance[place] = noticed / experiments
        if noticed == experiments:
            chance[place:] = 1.0
            break
    chance = np.maximum.accumulate(chance)
    asked = float(np.interp(np.log(ASKED), np.log(sizes), chance))
    return Resolution(
        sizes, chance, _size_at(sizes, chance, 0.5), _size_at(sizes, chance, 0.9), asked
    )


def _from_none(null: Null, values: np.ndarray) -> np.ndarray:
    """How far values are from no difference."""
    return np.abs(values - null.centre) if null.statistic.signed else np.asarray(values)


def _tilts(pool: Pooled, count: int, seed: int) -> tuple[np.ndarray, float]:
    """Differences [experiment, event] of total variation one, and the total variation at which the
    density somewhere changes by nearly all of itself.
    """
    rng = np.random.default_rng([seed, 11])
    directions = rng.normal(size=(count, pool.x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weight = pool.weight
    mean = weight @ pool.x
    spread = np.sqrt(np.maximum(weight @ (pool.x - mean) ** 2, 0))
    z = (pool.x - mean) / np.where(spread > 0, spread, 1.0)
    tilts = np.tanh(directions @ z.T)
    tilts -= (tilts @ weight)[:, None]
    size = 0.5 * np.abs(tilts) @ np.abs(weight)
    largest = _RATIO * float((size / np.abs(tilts).max(axis=1)).min())
    return tilts * weight / size[:, None], largest


def _size_at(sizes: np.ndarray, chance: np.ndarray, asked: float) -> float:
    """Where the rising curve reaches the chance; nan where it does not."""
    above = np.flatnonzero(chance >= asked)
    if not len(above):
        return float("nan")
    k = int(above[0])
    if k == 0:
        return float(sizes[0])
    low, high = chance[k - 1], chance[k]
    share = (asked - low) / (high - low)
    return float(np.exp(np.log(sizes[k - 1]) * (1 - share) + np.log(sizes[k]) * share))
