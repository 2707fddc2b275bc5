"""Differential amplification with a learned summary: which events teach, which are tested, and what
would have been seen.

A learned ratio misses a part of the difference, so it supports one claim, n_equiv < X, from events
it never saw. The whole holdout can be tested in turn (cross-fitting), but the folds are not
independent: the null comes from the whole pipeline on generated events that stand in for the
holdout (method.md section 3). A learner is a function `(x_gen, x_true, weight_gen, weight_true) ->
t(x)`, as in `amplify.summaries`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.estimators.differential import (
    differential_amplification,
    limit_estimate,
    tally,
    threshold_distance,
)
from amplify.types import DifferentialEstimate, Events

Learn = Callable[..., Callable[[np.ndarray], np.ndarray]]
GEN_PER_TRUE = 20  # generated events that teach, for each true one


class Split(NamedTuple):
    """A learned summary and the events it has not seen."""

    summary: Callable[[np.ndarray], np.ndarray]
    generated: Events
    holdout: Events


class Sensitivity(NamedTuple):
    """Efficiency eta = D_learned / D of an injected distortion of a known distance."""

    shape: str
    distance: float
    efficiency: float
    error: float


def split(
    learn: Learn, generated: Events, holdout: Events, *, fraction: float = 1 / 3, seed: int = 0
) -> Split:
    """Learns a summary from a fraction of the holdout and as many generated events as help; the
    others are left for the test.

    At most half of the generated events teach, 20 for each true one.

    Raises:
        InputError: too few events for both, or a fraction outside 0..1.
    """
    if not 0 < fraction < 1:
        raise InputError(
            "fraction",
            "between 0 and 1",
            str(fraction),
            "a third of the holdout for learning is usual",
        )
    n_teach = int(fraction * len(holdout.x))
    if min(n_teach, len(generated.x)) < 20:
        raise InputError(
            "events to learn from",
            "at least 20 of the holdout and of the generated",
            f"{n_teach} and {len(generated.x)}",
            "give more events",
        )
    order = np.random.default_rng(seed).permutation(len(holdout.x))
    n_gen = min(max(GEN_PER_TRUE * n_teach, 20_000), len(generated.x) // 2)
    teach, test = holdout.take(order[:n_teach]), holdout.take(order[n_teach:])
    summary = learn(
        generated.x[:n_gen],
        teach.x,
        None if generated.weight is None else generated.weight[:n_gen],
        teach.weight,
    )
    return Split(summary, generated.take(slice(n_gen, None)), test)


def learned_amplification(
    learn: Learn,
    generated: Events,
    holdout: Events,
    *,
    n_train: float,
    fraction: float = 1 / 3,
    seed: int = 0,
    level: float = 0.9,
) -> tuple[DifferentialEstimate, Split]:
    """One split, valid as it is: the estimate of one region and the summary that was learned."""
    parts = split(learn, generated, holdout, fraction=fraction, seed=seed)
    estimate = differential_amplification(
        parts.summary(parts.generated.x),
        parts.summary(parts.holdout.x),
        n_train=n_train,
        weight_gen=parts.generated.weight,
        weight_holdout=parts.holdout.weight,
        learned=True,
        level=level,
    )
    return estimate, parts


class CrossFit(NamedTuple):
    """D0 averaged over folds, its naive error (folds as if independent: too small), and the D0 of
    null experiments, if any were made.
    """

    distance: float
    naive_error: float
    null: np.ndarray

    def estimate(
        self, *, n_train: float, n_gen: float, n_holdout: float, level: float = 0.9
    ) -> DifferentialEstimate:
        """The claim n_equiv < X of one region, from the spread of the null; without null
        experiments the naive error times sqrt 2.
        """
        error = self.null.std() if len(self.null) else np.sqrt(2) * self.naive_error
        return limit_estimate(
            self.distance, error, n_train=n_train, n_gen=n_gen, n_holdout=n_holdout, level=level
        )


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
    pseudo-holdouts of generated events.

    Args:
        learn: the learner.
        generated: far more than 10 times the holdout; each null experiment draws its holdout from
            these.
        holdout: true events.
        folds: of the holdout.
        null_experiments: 200 fix the null standard deviation to 5 %.
        seed: of folds and pseudo-holdouts.
        progress: called with (experiments done, all).
    """
    n = len(holdout.x)
    if len(generated.x) < 5 * n:
        raise InputError(
            "generated events",
            f"at least 5 for each of the {n} of the holdout",
            str(len(generated.x)),
            "generate more",
        )
    rng = np.random.default_rng(seed)
    distance, error = _over_folds(learn, generated, holdout.take(rng.permutation(n)), folds)
    null = np.empty(null_experiments)
    for k in range(null_experiments):
        chosen = rng.permutation(len(generated.x))
        pseudo = generated.take(chosen[:n])
        if holdout.weight is not None:
            pseudo = Events(
                pseudo.x, rng.permutation(holdout.weight)
            )  # what weights do to the spread
        null[k], _ = _over_folds(learn, generated.take(chosen[n:]), pseudo, folds)
        if progress is not None:
            progress(k + 1, null_experiments)
    return CrossFit(distance, error, null)


def _over_folds(
    learn: Learn, generated: Events, holdout: Events, folds: int
) -> tuple[float, float]:
    """Mean of the folds' D0 and the naive error of the mean; half of the generated events teach,
    the others test.
    """
    fold = np.arange(len(holdout.x)) % folds
    half = len(generated.x) // 2
    teach_gen, test_gen = generated.take(slice(half)), generated.take(slice(half, None))
    distances, variances = [], []
    for k in range(folds):
        teach, test = holdout.take(fold != k), holdout.take(fold == k)
        summary = learn(teach_gen.x, teach.x, teach_gen.weight, teach.weight)
        distance, error = summary_distance(summary, test_gen, test)
        distances.append(distance)
        variances.append(error**2)
    return float(np.mean(distances)), float(np.sqrt(np.sum(variances)) / folds)


def summary_distance(
    summary: Callable[[np.ndarray], np.ndarray], generated: Events, holdout: Events
) -> tuple[float, float]:
    """D0 of a summary and its error."""
    t_gen, t_holdout = summary(generated.x), summary(holdout.x)
    grid = np.zeros(1)
    return threshold_distance(
        tally(grid, t_gen, generated.weight), tally(grid, t_holdout, holdout.weight)
    )


def sensitivities(
    learn: Learn,
    generated: Events,
    *,
    n_teach: int,
    distance: float,
    repetitions: int = 10,
    seed: int = 0,
) -> list[Sensitivity]:
    """What the learner would have made of known distortions of this distance: a smooth, a medium
    and a narrow one.

    Generated events stand in for truth: reweighted by 1 + epsilon h(x) they are a truth that is
    `distance` away. h is a tilt along a random direction (smooth), or one on the neighbourhood of a
    random event that holds 20 % (medium) or 3 % (narrow) of the events. It is a table, not a
    correction: the distortion at hand may be none of them (method.md section 3).

    Args:
        learn: the learner.
        generated: events, at least 9 n_teach; a third teaches, a third is drawn from for the
            pseudo-truth, a third measures.
        n_teach: true events that teach.
        distance: D of the injected distortion.
        repetitions: distortions of each shape.
        seed: of the distortions.
    """
    x = generated.x
    third = len(x) // 3
    if third < 3 * n_teach:
        raise InputError(
            "generated events",
            f"at least {9 * n_teach}, nine times those that teach",
            str(len(x)),
            "generate more",
        )
    width = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(width > 0, width, 1.0)
    teach, pool, measure = (
        generated.take(slice(third)),
        slice(third, 2 * third),
        slice(2 * third, None),
    )
    n_gen = min(max(GEN_PER_TRUE * n_teach, 20_000), third)
    found = []
    for shape, content in (("smooth", None), ("medium", 0.20), ("narrow", 0.03)):
        efficiencies, distances = [], []
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition])
            w = _distorted(z, content, distance, rng)
            chance = w[pool] * (
                1.0 if generated.weight is None else np.maximum(generated.weight[pool], 0.0)
            )
            pseudo = x[pool][rng.choice(len(chance), n_teach, p=chance / chance.sum())]
            summary = learn(
                teach.x[:n_gen],
                pseudo,
                None if teach.weight is None else teach.weight[:n_gen],
                None,
            )
            own = (
                np.ones(len(x) - 2 * third)
                if generated.weight is None
                else generated.weight[measure]
            )
            low = summary(x[measure]) <= 0
            true_share, gen_share = own * w[measure] / (own @ w[measure]), own / own.sum()
            full = (
                0.5
                * np.abs(own)
                @ np.abs(w[measure] / (own @ w[measure] / own.sum()) - 1)
                / np.abs(own).sum()
            )  # negative weights cancel in shares only
            efficiencies.append(((true_share - gen_share) @ low) / full)
            distances.append(full)
        error = (
            np.std(efficiencies, ddof=1) / np.sqrt(repetitions) if repetitions > 1 else float("nan")
        )
        found.append(
            Sensitivity(
                shape, float(np.mean(distances)), float(np.mean(efficiencies)), float(error)
            )
        )
    return found


def _distorted(
    z: np.ndarray, content: float | None, distance: float, rng: np.random.Generator
) -> np.ndarray:
    """Weights of mean one of a truth that is `distance` away; weights cannot be negative, so a
    large distance is clipped.
    """
    if content is None:
        direction = rng.normal(size=z.shape[1])
        h = np.tanh(z @ direction / np.linalg.norm(direction))
    else:
        apart = ((z - z[rng.integers(len(z))]) ** 2).sum(axis=1)
        h = (apart <= np.quantile(apart, content)).astype(float)
    h -= h.mean()
    return np.maximum(1 + distance / (0.5 * np.abs(h).mean()) * h, 0.0)
