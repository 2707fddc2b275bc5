"""Differential amplification without a holdout: every bootstrap member is compared with the
training events that its sample left out, about 37 % (docs/method, Bias without a holdout).

The learner, the threshold and the one claim n_equiv < X are those of `amplify.estimators.learned`.
What members have in common is the training events: an event is tested by all members that have not
seen it, and their answers are no independent ones. So the error of the mean over members is a sum
over events. It takes the learned summaries as given, which makes it too small by 14 % (simulated),
and is multiplied by sqrt 2 as that of cross-fitting is.

It is a bootstrap member that is tested. A training on all events has up to half of the squared
error, where chance dominates: it may be worth twice as much, `OutOfBag.estimate` says so. That
holds for the typical training; where optima differ one network may be worth more
(`experiments.out_of_bag`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.errors import InputError
from amplify.estimators.differential import limit_estimate
from amplify.estimators.learned import Learn, on_generated
from amplify.types import DifferentialEstimate, Events

_FEWEST = 20  # unseen events that teach
# n_equiv of a training on all events over that of a bootstrap member, at most
ON_ALL_EVENTS = 2.0


class OutOfBag(NamedTuple):
    """Distance of bootstrap members from events that they have not seen.

    Attributes:
        distance: D0, mean over members.
        error: its standard error.
        of_member: D0 of each [member].
        n_gen: generated events of a member that are tested.
        n_unseen: training events that a member has not seen, on average; effective ones for
            weights.
    """

    distance: float
    error: float
    of_member: Float[np.ndarray, " member"]
    n_gen: float
    n_unseen: float

    def estimate(
        self, *, n_train: float, limit_level: float = 0.95, on_all_events: bool = False
    ) -> DifferentialEstimate:
        """The claim n_equiv < X of one region, about a bootstrap member, or of a network that was
        trained on all events: twice as much then.
        """
        shrink = ON_ALL_EVENTS**-0.5 if on_all_events else 1.0
        sizes = {"n_train": n_train, "n_gen": self.n_gen, "n_holdout": self.n_unseen}
        distance, error = shrink * self.distance, shrink * self.error
        return limit_estimate(distance, error, **sizes, limit_level=limit_level)


def out_of_bag(
    learn: Learn | Sequence[Learn],
    generated: Sequence[Events],
    train: Events,
    rows: Sequence[Int[np.ndarray, " seen"]] | Int[np.ndarray, "member n"],
    *,
    folds: int = 3,
    seed: int = 0,
) -> OutOfBag:
    """Each member against the training events that it has not seen, in a learned summary.

    >>> def mean_shift(x_gen, x_true, weight_gen=None, weight_true=None):
    ...     a, b = x_gen.mean(), x_true.mean()  # log N(a, 1) / N(b, 1)
    ...     return lambda x: (a - b) * (x[:, 0] - (a + b) / 2)
    >>> rng = np.random.default_rng(0)
    >>> train, rows = Events(rng.normal(0, 1, (3000, 1))), rng.integers(3000, size=(4, 3000))
    >>> generated = [Events(rng.normal(0.3, 1, (20_000, 1))) for _ in rows]  # all biased alike
    >>> found = out_of_bag(mean_shift, generated, train, rows)
    >>> bool(0.07 < found.distance < 0.17)  # the truth is .119
    True

    Args:
        learn: (x_gen, x_true, weight_gen, weight_true) -> t(x), one for all members or one for
            each, as `amplify.learned_ratio(log_prob)`.
        generated: events of each member in no order; half of them teach.
        train: the training events [n, dim].
        rows: which of them each member was trained on, as `amplify.training.ensemble.ensemble_rows`
            gives them.
        folds: unseen events teach and are tested in turns, in the same folds for all members.
        seed: of the folds.

    Raises:
        InputError: numbers of members that do not fit, rows of other events, or too few unseen
            events.
    """
    n, members = len(train.x), len(rows)
    if not len(generated) == members >= 1:
        fix = "give the events of each member"
        raise InputError("generated events", f"{members} samples", str(len(generated)), fix)
    every = np.concatenate([np.ravel(of_member) for of_member in rows])
    if every.size and (every.min() < 0 or every.max() >= n):
        got, fix = f"{every.min()} to {every.max()}", "give those of these events"
        raise InputError("rows", f"0 to {n - 1}", got, fix)
    weight = np.ones(n) if train.weight is None else np.asarray(train.weight, np.float64)
    fold = np.random.default_rng(seed).permutation(n) % folds
    learners = [learn] * members if callable(learn) else list(learn)
    distances, influence = np.zeros(members), np.zeros(n)
    variance, unseen_n = 0.0, []
    for m, (teaches, events) in enumerate(zip(learners, generated, strict=True)):
        unseen = np.ones(n, bool)
        unseen[rows[m]] = False
        if unseen.sum() * (folds - 1) < _FEWEST * folds:
            fix = "train members on bootstrap samples, of more events"
            raise InputError("events that a member has not seen", "30", str(unseen.sum()), fix)
        half, total = len(events.x) // 2, weight[unseen].sum()
        unseen_n.append(total**2 / (weight[unseen] ** 2).sum())
        learn_true = on_generated(teaches, events.take(slice(half)))
        tested = events.take(slice(half, None))
        for k in range(folds):
            now = unseen & (fold == k)
            summary = learn_true(train.take(unseen & (fold != k)))
            of_true, of_gen, noise = _below(summary, train.take(now), tested)
            share = weight[now].sum() / total
            below = np.average(of_true, weights=weight[now])
            distances[m] += share * (below - of_gen)
            influence[now] += weight[now] * (of_true - below) / total
            variance += share * noise
    error = np.sqrt(2 * (influence**2).sum() + variance) / members
    n_gen = float(np.mean([len(events.x) - len(events.x) // 2 for events in generated]))
    return OutOfBag(
        float(distances.mean()), float(error), distances, n_gen, float(np.mean(unseen_n))
    )


def _below(
    summary: Callable[[np.ndarray], np.ndarray], true: Events, generated: Events
) -> tuple[np.ndarray, float, float]:
    """Which true events have t <= 0, the fraction of the generated ones that have, and its
    variance.
    """
    of_gen = (summary(generated.x) <= 0).astype(np.float64)
    weight = np.ones(len(of_gen)) if generated.weight is None else generated.weight
    share = float(np.average(of_gen, weights=weight))
    noise = float((weight**2 * (of_gen - share) ** 2).sum() / weight.sum() ** 2)
    return (summary(true.x) <= 0).astype(np.float64), share, noise
