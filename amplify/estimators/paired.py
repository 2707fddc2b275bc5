"""Is generator A closer to the truth than B? Both are compared with the same holdout, so its noise
is common to both distances and cancels in their difference, the more the more alike they are
(docs/method, One scale for every statistic).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from amplify.errors import InputError
from amplify.estimators.equivalent import EquivalentEstimate
from amplify.estimators.permutations import Null

_TAIL = 10  # experiments beyond a difference, for its probability to be counted


class Ranking(NamedTuple):
    """Generators by their distance to the truth in one statistic.

    Attributes:
        order: their numbers, the closest first.
        distance: D of each, without the noise of the samples; 0 where it may be chance.
        sigma: [row, column] by how many standard deviations the row is closer to the truth than the
            column; negative where it is farther.
        first: in which share of experiments each is the closest.
    """

    order: np.ndarray
    distance: Float[np.ndarray, " generator"]
    sigma: Float[np.ndarray, "generator generator"]
    first: Float[np.ndarray, " generator"]


def ranking(
    nulls: Sequence[Null],
    estimates: Sequence[EquivalentEstimate],
    *,
    experiments: int = 400,
    seed: int = 0,
) -> Ranking:
    """Generators in order, from the same statistic of each against the same holdout.

    In every experiment the holdout is resampled once for all, and each generated sample. Statistics
    are then those of the most likely true differences with that noise.

    Args:
        nulls: of each generator.
        estimates: of each, from `equivalent_events`.
        experiments: of all generators together.
        seed: of the resampling.

    Raises:
        InputError: fewer than two, or not the same holdout or statistic.
    """
    if len(nulls) < 2:
        raise InputError("ranking", "at least two generators", str(len(nulls)), "give more")
    first = nulls[0]
    for null in nulls[1:]:
        if null.statistic.name != first.statistic.name or not _same_holdout(null, first):
            got = f"another of {null.statistic.name}"
            fix = "compare all with one holdout and one seed"
            raise InputError("ranking", "the same statistic and holdout", got, fix)
    unit = _units(estimates)
    at_zero = np.array([np.median(null.away(null.permuted)) for null in nulls]) / unit
    observed = np.array([float(null.away(null.observed)) for null in nulls]) / unit
    distance = np.array([float(estimate.found) for estimate in estimates])
    # of samples of other sizes the noise adds another amount to T: all of it where there is no
    # difference, less of it else
    noise = np.clip((observed - distance / unit) / at_zero, 0.0, 1.0)
    drawn = np.stack(
        [
            _experiments(null, estimate.scale, number, experiments, seed) / unit[number]
            for number, (null, estimate) in enumerate(zip(nulls, estimates, strict=True))
        ]
    )
    sigma = np.zeros((len(nulls), len(nulls)))
    for i in range(len(nulls)):
        for j in range(i):
            expected = (noise[i] + noise[j]) / 2 * (at_zero[i] - at_zero[j])
            sigma[i, j] = -_sigma(observed[i] - observed[j] - expected, drawn[i] - drawn[j])
            sigma[j, i] = -sigma[i, j]
    level = drawn - (noise * at_zero)[:, None]
    shares = np.bincount(level.argmin(axis=0), minlength=len(nulls)) / experiments
    return Ranking(np.argsort(observed - noise * at_zero), distance, sigma, shares)


def _units(estimates: Sequence[EquivalentEstimate]) -> Float[np.ndarray, " generator"]:
    """T of true events in the pool of each generator, which T is compared in: units of columns and
    bandwidths are those of a pool, and a generator with wide tails makes them large.
    """
    n = estimates[0].n_holdout
    unit = np.array([estimate.curve.mean(n) for estimate in estimates])
    return np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)


def _same_holdout(a: Null, b: Null) -> bool:
    x, y = (null.pool.x[null.part.n_first :] for null in (a, b))
    return a.part.seed == b.part.seed and np.array_equal(x, y)


def _experiments(
    null: Null, scale: float, number: int, experiments: int, seed: int
) -> Float[np.ndarray, " experiment"]:
    """T of resampled events around the observed difference on this scale."""
    difference, first = null.pool.difference, null.part.n_first
    values = []
    for start, stop in null.part.batches(experiments):
        noise = np.empty((stop - start, len(difference)))
        for row, k in zip(noise, range(start, stop), strict=True):
            row[:first] = _resampled(difference[:first], [seed, k, 1 + number])
            row[first:] = _resampled(difference[first:], [seed, k, 0])
        values.append(np.asarray(null.distances(scale * difference + noise), np.float64))
    return null.away(np.concatenate(values))


def _resampled(share: np.ndarray, seed: list[int]) -> np.ndarray:
    """What drawing the events of a sample again changes of their shares, whose sum is 1 or -1."""
    n = len(share)
    drawn = share * np.bincount(np.random.default_rng(seed).integers(n, size=n), minlength=n)
    return drawn * (share.sum() / drawn.sum()) - share


def _sigma(difference: float, drawn: np.ndarray) -> float:
    """Two-sided standard deviations of a difference, by counting where enough experiments are
    beyond it, by the scale of their tail else.
    """
    size = np.sort(np.abs(drawn - np.median(drawn)))[::-1]
    tail = min(_TAIL, len(size) // 4)
    beyond = int((size >= abs(difference)).sum())
    if beyond > tail:
        z = -ndtri(beyond / len(size) / 2)
    else:
        z = -ndtri((1 + tail) / len(size) / 2) * abs(difference) / max(size[tail], 1e-300)
    return float(np.copysign(z, difference))
