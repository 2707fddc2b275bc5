"""Differential amplification with a learned summary: which events teach, and which are tested.

A learned ratio misses a part of the difference, so it supports one claim, n_equiv < X, from events
it never saw. The whole holdout can be tested in turn (cross-fitting), but the folds are not
independent: the null comes from the whole pipeline on generated events that stand in for the
holdout (docs/method, Differential amplification). A learner is a function `(x_gen, x_true,
weight_gen, weight_true) -> t(x)`, as in `amplify.summaries`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.engine import current_engine
from amplify.errors import InputError
from amplify.estimators.differential import differential_amplification, limit_estimate
from amplify.estimators.distances import tally, threshold_distance
from amplify.types import DifferentialEstimate, Events

Learn = Callable[..., Callable[[np.ndarray], np.ndarray]]
LearnOfTrue = Callable[[Events], Callable[[np.ndarray], np.ndarray]]  # true events -> t(x)
GEN_PER_TRUE = 20  # generated events that teach, for each true one
_FEWEST = 20  # generated or true events that teach


class Split(NamedTuple):
    """A learned summary and the events it has not seen.

    Attributes:
        summary: events [n, dim] -> t [n].
        generated: events that are left for the test.
        holdout: the same of the holdout.
    """

    summary: Callable[[np.ndarray], np.ndarray]
    generated: Events
    holdout: Events


def on_generated(learn: Learn, generated: Events) -> LearnOfTrue:
    """The learner with its generated events given. Where it can, it works on them once
    (`amplify.summaries.TwoStepLearner`), which saves most of the time of those who teach often.
    """
    prepare = getattr(learn, "on_generated", None)
    if prepare is None:
        return lambda true: learn(generated.x, true.x, generated.weight, true.weight)
    learn_true = prepare(generated.x, generated.weight)
    return lambda true: learn_true(true.x, true.weight)


def split(
    learn: Learn, generated: Events, holdout: Events, *, fraction: float = 1 / 3, seed: int = 0
) -> Split:
    """Learns a summary from a fraction of the holdout and as many generated events as help; the
    others are left for the test.

    At most half of the generated events teach, 20 for each true one.

    Args:
        learn: the learner.
        generated: events in no order; the first ones teach.
        holdout: true events that the generator has not seen.
        fraction: of the holdout that teaches.
        seed: of the choice of these events.

    Raises:
        InputError: too few events for both, or a fraction outside 0..1.
    """
    if not 0 < fraction < 1:
        fix = "a third of the holdout for learning is usual"
        raise InputError("fraction", "between 0 and 1", str(fraction), fix)
    n_teach = int(fraction * len(holdout.x))
    if min(n_teach, len(generated.x)) < _FEWEST:
        expected = f"at least {_FEWEST} of the holdout and of the generated"
        got = f"{n_teach} and {len(generated.x)}"
        raise InputError("events to learn from", expected, got, "give more events")
    order = np.random.default_rng(seed).permutation(len(holdout.x))
    teach, test = holdout.take(order[:n_teach]), holdout.take(order[n_teach:])
    n_gen = min(max(GEN_PER_TRUE * n_teach, 20_000), len(generated.x) // 2)
    teach_gen, test_gen = generated.take(slice(n_gen)), generated.take(slice(n_gen, None))
    summary = learn(teach_gen.x, teach.x, teach_gen.weight, teach.weight)
    return Split(summary, test_gen, test)


def learned_amplification(
    learn: Learn,
    generated: Events,
    holdout: Events,
    *,
    n_train: float,
    fraction: float = 1 / 3,
    seed: int = 0,
    limit_level: float = 0.95,
) -> tuple[DifferentialEstimate, Split]:
    """The claim n_equiv < X of a learned summary, from one split of the holdout, valid as it is
    (docs/method, Differential amplification).

    >>> from amplify.types import Events
    >>> def mean_shift(x_gen, x_true, weight_gen=None, weight_true=None):
    ...     a, b = x_gen.mean(), x_true.mean()  # log N(a, 1) / N(b, 1)
    ...     return lambda x: (a - b) * (x[:, 0] - (a + b) / 2)
    >>> rng = np.random.default_rng(0)
    >>> generated = Events(rng.normal(0.3, 1, (20_000, 1)))
    >>> holdout = Events(rng.normal(0, 1, (3000, 1)))
    >>> estimate, _ = learned_amplification(mean_shift, generated, holdout, n_train=1000)
    >>> bool(53.1 < estimate.n_equiv.high[0] < 100)  # the truth is 53.1
    True

    Args:
        learn: (x_gen, x_true, weight_gen, weight_true) -> t(x), as `amplify.learned_ratio()`.
        generated: events [n, dim]; half of them or fewer teach.
        holdout: true events [n, dim] that the generator has not seen.
        n_train: training events of the generator.
        fraction: of the holdout that teaches; the rest is tested.
        seed: of the split.
        limit_level: of the claim, one-sided.

    Returns:
        The estimate of one region, arrays of length one, and the split with the summary that was
        learned.

    Raises:
        InputError: too few events, a fraction outside 0..1, or a summary that is not finite.
    """
    parts = split(learn, generated, holdout, fraction=fraction, seed=seed)
    estimate = differential_amplification(
        parts.summary(parts.generated.x),
        parts.summary(parts.holdout.x),
        n_train=n_train,
        weight_gen=parts.generated.weight,
        weight_holdout=parts.holdout.weight,
        learned=True,
        limit_level=limit_level,
    )
    return estimate, parts


class CrossFit(NamedTuple):
    """The distance from all of the holdout, each event tested by what the others taught.

    Attributes:
        distance: D0 averaged over folds.
        naive_error: of it, with folds as if they were independent: too small.
        null: the D0 of null experiments, if any were made [experiment].
    """

    distance: float
    naive_error: float
    null: Float[np.ndarray, " experiment"]

    def estimate(
        self, *, n_train: float, n_gen: float, n_holdout: float, limit_level: float = 0.95
    ) -> DifferentialEstimate:
        """The claim n_equiv < X of one region, from the spread of the null; without null
        experiments the naive error times sqrt 2.
        """
        error = self.null.std() if len(self.null) else np.sqrt(2) * self.naive_error
        sizes = {"n_train": n_train, "n_gen": n_gen, "n_holdout": n_holdout}
        return limit_estimate(self.distance, error, **sizes, limit_level=limit_level)


def cross_fit(
    learn: Learn,
    generated: Events,
    holdout: Events,
    *,
    folds: int = 5,
    null_experiments: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CrossFit:
    """Every holdout event is tested by a summary that other folds taught; the null runs the same on
    pseudo-holdouts of generated events (docs/method, Differential amplification).

    Args:
        learn: the learner.
        generated: far more than 10 times the holdout; each null experiment draws its holdout from
            these.
        holdout: true events.
        folds: of the holdout.
        null_experiments: 200 fix the null standard deviation to 5 %.
        seed: of folds and pseudo-holdouts.
        progress: called with (experiments done, all).

    Raises:
        InputError: fewer than five generated events for each of the holdout.
    """
    n = len(holdout.x)
    if len(generated.x) < 5 * n:
        expected = f"at least 5 for each of the {n} of the holdout"
        raise InputError("generated events", expected, str(len(generated.x)), "generate more")
    rng = np.random.default_rng(seed)
    shuffled = holdout.take(rng.permutation(n))
    distance, error = _over_folds(learn, generated, shuffled, folds)
    null = np.empty(null_experiments)
    choices = _pseudo_holdouts(rng, len(generated.x), holdout.weight, null_experiments)
    experiment = partial(_null_distance, learn, generated, n, folds)
    for k, of_null in enumerate(current_engine().in_order(experiment, choices)):
        null[k] = of_null
        if progress is not None:
            progress(k + 1, null_experiments)
    return CrossFit(distance, error, null)


def _pseudo_holdouts(
    rng: np.random.Generator, of: int, weight: np.ndarray | None, number: int
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Orders of the generated events, of which the first are the pseudo-holdout, and weights for
    it, for what weights do to the spread.
    """
    for _ in range(number):
        order = rng.permutation(of)
        yield order, None if weight is None else rng.permutation(weight)


def _null_distance(
    learn: Learn,
    generated: Events,
    n: int,
    folds: int,
    order: np.ndarray,
    weight: np.ndarray | None,
) -> float:
    pseudo, others = generated.take(order[:n]), generated.take(order[n:])
    if weight is not None:
        pseudo = Events(pseudo.x, weight)
    return _over_folds(learn, others, pseudo, folds)[0]


def _over_folds(
    learn: Learn, generated: Events, holdout: Events, folds: int
) -> tuple[float, float]:
    """Mean of the folds' D0 and the naive error of the mean; half of the generated events teach,
    the others test.
    """
    fold = np.arange(len(holdout.x)) % folds
    half = len(generated.x) // 2
    learn_true = on_generated(learn, generated.take(slice(half)))
    test_gen = generated.take(slice(half, None))
    distances, variances = [], []
    for k in range(folds):
        summary = learn_true(holdout.take(fold != k))
        distance, error = summary_distance(summary, test_gen, holdout.take(fold == k))
        distances.append(distance)
        variances.append(error**2)
    return float(np.mean(distances)), float(np.sqrt(np.sum(variances)) / folds)


def summary_distance(
    summary: Callable[[np.ndarray], np.ndarray], generated: Events, holdout: Events
) -> tuple[float, float]:
    """D0 of a summary and its error."""
    grid = np.zeros(1)
    tallies = [tally(grid, summary(e.x), e.weight) for e in (generated, holdout)]
    return threshold_distance(*tallies)
