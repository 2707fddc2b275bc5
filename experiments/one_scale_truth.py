"""What generators of `experiments.one_scale` are worth in truth, statistic by statistic."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

from amplify.estimators.null_curve import Curve, null_curve
from amplify.estimators.permutations import permute
from amplify.estimators.statistics import STATISTICS, classifier, gaussian, nplm
from experiments.problems import PROBLEMS, Problem

DIRECTIONS = 3  # seed of those of sliced statistics
# the shift in standard deviations of each column, and how much wider: well seen with a thousand
# events, and hidden
STRENGTHS = {"seen": (0.2, 0.1), "hidden": (0.05, 0.025)}
_MOST = {  # events of large samples, where more are costly
    "sliced_wasserstein": 15_000,
    "energy": 6000,
    "gaussian_mmd": 15_000,
    "nplm": 15_000,
}


def deformed(problem: Problem, strength: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Generated events: true ones, shifted and stretched; "none" leaves them as they are."""
    return _deform(problem, strength, problem.draw(rng, n))


def _deform(problem: Problem, strength: str, x: np.ndarray) -> np.ndarray:
    if strength == "none":
        return x
    some = problem.draw(np.random.default_rng(0), 10_000)
    shift, stretch = STRENGTHS[strength]
    middle, width = some.mean(axis=0), some.std(axis=0)
    # every other column to the other side
    sign = np.where(np.arange(problem.dim) % 2 == 0, 1.0, -1.0)
    return middle + (1 + stretch) * (x - middle) + shift * sign * width


def weighted(problem: Problem, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Events that were kept with chances that depend on them, and the weights, inverse to these
    chances, with which they stand for the truth.
    """
    scale = problem.draw(np.random.default_rng(0), 10_000)[:, 0].std()
    x = problem.draw(rng, 10 * n)
    chance = 1 / (1 + np.exp(x[:, 0] / scale))
    x = x[rng.random(len(x)) < chance][:n]
    return x, 1 + np.exp(x[:, 0] / scale)


def truth_of(config: Any, name: str, strength: str, statistic: str) -> dict[str, np.ndarray]:
    """The distance of the density to the truth, from large samples, and the n of true events with
    this mean distance, from pairs of true samples of as many events as are tested together.

    Generated events of the large samples are the true ones beside them, deformed: what little noise
    their difference has is left. Statistics whose features are more in a larger pool have as many
    of them as in those that are tested.
    """
    problem, of = PROBLEMS[name], STATISTICS[statistic]
    rng = np.random.default_rng([config.seed, 7, zlib.crc32(f"{name} {strength}".encode())])
    n = min(_MOST.get(statistic, config.truth_events), config.truth_events)
    large, distances = of._replace(most=n), []
    for k in range(config.truth_pools):
        y = problem.draw(rng, n)
        x = _deform(problem, strength, y)
        with _features_of(config.n_gen + config.n_holdout, n):
            seed = DIRECTIONS if statistic.startswith("sliced") else 1000 + k
            null = permute([large], x, y, permutations=5, seed=seed)[statistic]
        distances.append(abs(null.observed - 0.5) if of.signed else null.observed)
    curve = _curve(config, problem, strength, statistic, rng)
    distance = float(np.mean(distances))
    return {
        "distance": np.asarray(distance),
        "error": np.asarray(np.std(distances) / len(distances) ** 0.5),
        "n_equiv": np.asarray(curve.inverse(distance)),
        "constants": curve.constant,
        "sizes": curve.n,
    }


@contextmanager
def _features_of(events: int, n: int) -> Iterator[None]:
    """Learners with as many features for n + n events as they have for `events` together."""
    root = events**0.5
    with (
        patch.object(nplm, "machine", partial(nplm.machine, centres=int(np.ceil(root)))),
        patch.object(
            gaussian, "nystrom", partial(gaussian.nystrom, centres=int(np.ceil(2 * root)))
        ),
        patch.object(classifier, "_EVENTS_PER_FEATURE", n // (events // 20)),
    ):
        yield


def _curve(
    config: Any, problem: Problem, strength: str, statistic: str, rng: np.random.Generator
) -> Curve:
    """E[T] of n true events: mean of that of many holdouts, in pools with generated events as large
    as those that are tested, so that T has the same units and features.
    """
    of, curves = STATISTICS[statistic], []
    for k in range(config.curve_pools):
        x, y = deformed(problem, strength, rng, config.n_gen), problem.draw(rng, config.n_holdout)
        seed = DIRECTIONS if statistic.startswith("sliced") else 2000 + k
        null = permute([of], x, y, permutations=2, seed=seed)[statistic]
        curves.append(null_curve(null, experiments=config.curve_pools, seed=seed))
    constant = np.mean([np.broadcast_to(c.constant, c.n.shape) for c in curves], axis=0)
    return curves[0]._replace(constant=constant, error=0.0, source="true")
