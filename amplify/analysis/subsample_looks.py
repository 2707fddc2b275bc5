"""What is kept of each training on a subsample: its integrals, and on which side of its ratio the
true events are that it has not seen.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.subsample_trainings import Trained
from amplify.errors import InputError
from amplify.estimators.learned import GEN_PER_TRUE
from amplify.estimators.subsamples import Subsamples
from amplify.summaries import Learner, LogProb, exact_ratio
from amplify.types import Events

MOST_TESTED = 1 << 17  # true events that a learned ratio is taught and tested with
_FRACTION = 0.5  # of those that teach
_FEWEST = 100  # true events left for a learned ratio


class Sides(NamedTuple):
    """Of the ratio t = log p_training / p_true of each training.

    Attributes:
        tested: which true events are tested [training, event].
        low: which have t <= 0 [training, event].
        low_gen: fraction of the generated events with t <= 0 [training].
        n_gen: how many those were, effective ones of weights [training].
        learned: t was learned, and misses a part of the difference.
    """

    tested: np.ndarray
    low: np.ndarray
    low_gen: np.ndarray
    n_gen: np.ndarray
    learned: bool


class Looks(NamedTuple):
    """Of all trainings.

    Attributes:
        subsamples: who has seen what; all that one has not seen is tested.
        integral: fractions in the regions [training, region].
        noise: variance of them from finite generated samples [training, region].
        inside: true events in the regions [event, region].
        sides: of the ratios, or None.
        n_gen: fewest events that a training generated.
    """

    subsamples: Subsamples
    integral: np.ndarray
    noise: np.ndarray
    inside: np.ndarray
    sides: Sides | None
    n_gen: int


class _Side(NamedTuple):
    """The same of one training."""

    tested: np.ndarray
    low: np.ndarray
    low_gen: float
    n_gen: float


def looked_at(
    trainings: Iterable[Trained],
    true: Events,
    regions: rg.Regions,
    *,
    log_prob_true: LogProb | None = None,
    learner: Learner | None = None,
    differential: bool = True,
    seed: int = 0,
) -> Looks:
    """Looks at each training and forgets its events.

    Args:
        trainings: one after the other.
        true: the training events, or others, that no training has seen.
        regions: where integrals are compared.
        log_prob_true: log density of the truth, where it is known: the ratio is exact then.
        learner: of the ratio elsewhere; default `learned_ratio` with the log density of the
            training, if it has one.
        differential: whether to compare event by event.
        seed: of the choice of true events that teach.

    Raises:
        InputError: trainings without a density beside a known truth, or too few events.
    """
    sizes, seen, integrals, sides, n_gen = [], [], [], [], []
    n = len(true.x)
    for place, trained in enumerate(trainings):
        mine = np.zeros(n, bool)
        if trained.seen is not None:
            mine[trained.seen] = True
        sizes.append(trained.size)
        seen.append(mine)
        n_gen.append(len(trained.generated.x))
        sums = rg.count(regions, trained.generated.x, trained.generated.weight)
        integrals.append(rg.fractions(sums, regions.labels))
        if differential and log_prob_true is not None:
            sides.append(_exact(trained, true, mine, log_prob_true))
        elif differential:
            sides.append(_learned(trained, true, mine, learner, [seed, place]))
    if not sizes:
        fix = "train on subsamples of two sizes or more"
        raise InputError("trainings on subsamples", "some", "none", fix)
    seen = np.stack(seen)
    subsamples = Subsamples(np.array(sizes, float), seen, ~seen, true.weight)
    integral = np.stack([found.integral for found in integrals])
    effective = np.stack([np.broadcast_to(f.n_effective, f.integral.shape) for f in integrals])
    noise = integral * (1 - integral) / effective
    found = None
    if sides:
        columns = [np.stack(column) for column in zip(*sides, strict=True)]
        found = Sides(*columns, learned=log_prob_true is None)
    inside = np.asarray(regions.contains(true.x))
    return Looks(subsamples, integral, noise, inside, found, min(n_gen))


def _exact(trained: Trained, true: Events, mine: np.ndarray, log_prob_true: LogProb) -> _Side:
    if trained.log_prob is None:
        expected, fix = "generators with a log density", "leave the true density out"
        raise InputError("true log density", expected, "one without", fix)
    ratio = exact_ratio(trained.log_prob, log_prob_true)
    return _Side(~mine, ratio(true.x) <= 0, *_share(ratio(trained.generated.x), trained.generated))


def _learned(
    trained: Trained, true: Events, mine: np.ndarray, learner: Learner | None, seed: list[int]
) -> _Side:
    """A ratio that half of the unseen events teach, and the other half test."""
    if learner is None:
        from amplify.summaries.default import learned_ratio

        learner = learned_ratio(trained.log_prob)
    unseen = np.random.default_rng(seed).permutation(np.flatnonzero(~mine))[:MOST_TESTED]
    if len(unseen) < _FEWEST:
        fix = "give more events, or leave differential out"
        raise InputError("unseen true events", f"at least {_FEWEST}", str(len(unseen)), fix)
    n_teach = int(_FRACTION * len(unseen))
    teach, test = true.take(unseen[:n_teach]), unseen[n_teach:]
    n_gen = min(GEN_PER_TRUE * n_teach, len(trained.generated.x) // 2)
    first = trained.generated.take(slice(n_gen))
    rest = trained.generated.take(slice(n_gen, None))
    ratio = learner(first.x, teach.x, first.weight, teach.weight)
    tested, low = np.zeros(len(true.x), bool), np.zeros(len(true.x), bool)
    tested[test] = True
    low[test] = ratio(true.x[test]) <= 0
    return _Side(tested, low, *_share(ratio(rest.x), rest))


def _share(t: np.ndarray, events: Events) -> tuple[float, float]:
    """Fraction with t <= 0, and how many unweighted events are as noisy."""
    if events.weight is None:
        return float((t <= 0).mean()), float(len(t))
    weight = events.weight
    return float(weight @ (t <= 0) / weight.sum()), float(weight.sum() ** 2 / (weight**2).sum())
