"""Many columns made few: what a learner of few columns can be told about events of hundreds or
thousands (docs/method, Differential amplification).

One half of the teaching events chooses: directions along which the samples differ (`directions`),
the sums and moments (`totals`) and the single columns that differ most. The other half teaches the
usual learner these numbers, so that what was chosen among many is not believed because of it. Then
the halves change places, and the two summaries are averaged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from amplify.summaries import Learner, LogProb, OnTrue, Summary, TwoStepLearner
from amplify.summaries.directions import directions
from amplify.summaries.looks import (
    Look,
    Moments,
    Sample,
    features,
    look,
    moments,
    present,
    row_blocks,
    significance,
)
from amplify.summaries.totals import Totals

FEW = 30  # columns that need no condensing
_STEPS = (1, 3, 8)  # of conjugate gradients
_DERIVED = 22  # numbers per event; with more, polynomials lose the products of two
_SINGLE = 4  # of them are columns as they are
_MOST_GEN = 1 << 28  # numbers of the generated events that teach


def condensing(
    few: Callable[[LogProb | None], Learner],
    log_prob: LogProb | None = None,
    of_condensed: Callable[[], Learner] | None = None,
) -> TwoStepLearner:
    """The learner `few(log_prob)` for up to `FEW` columns; for more, a learner of the numbers that
    the columns are condensed to.

    Args:
        few: makes the learner for few columns, given the log density.
        log_prob: of the generator where it is known: one number more.
        of_condensed: makes the learner of those numbers; the one for few columns, if not given.
    """

    def on_generated(x_gen: np.ndarray, weight_gen: np.ndarray | None) -> OnTrue:
        if x_gen.shape[1] <= FEW:
            return _given(few(log_prob), x_gen, weight_gen)
        most = _MOST_GEN // x_gen.shape[1]
        gen = _sample(x_gen[:most], None if weight_gen is None else weight_gen[:most])
        halves = [_Half.of(gen.part(which, 2)) for which in (0, 1)]

        def learn(x_true: np.ndarray, weight_true: np.ndarray | None = None) -> Summary:
            true = _sample(x_true, weight_true)
            parts = [true.part(which, 2) for which in (0, 1)]
            summaries = []
            for choosing, teaching in ((0, 1), (1, 0)):
                condensed = halves[choosing].condensed(parts[choosing], log_prob)
                both = halves[teaching].gen, parts[teaching]
                numbers = [condensed(sample.x) for sample in both]
                shares = [sample.share for sample in both]
                learner = few(None) if of_condensed is None else of_condensed()
                summaries.append((condensed, learner(*numbers, *shares)))

            def summary(x: np.ndarray) -> np.ndarray:
                return sum((t(condensed(x)) for condensed, t in summaries), np.zeros(len(x))) / 2

            return summary

        return learn

    return TwoStepLearner(on_generated)


def _given(learner: Any, x_gen: np.ndarray, weight_gen: np.ndarray | None) -> OnTrue:
    """The learner with its generated events given; where it can, it works on them once."""
    if isinstance(learner, TwoStepLearner):
        return learner.on_generated(x_gen, weight_gen)
    return lambda true, weight=None: learner(x_gen, true, weight_gen, weight)


class _Condensed(NamedTuple):
    """Few numbers of an event of many columns.

    Attributes:
        looks: features of each column.
        along: directions of each of them [column, direction].
        single: columns that are taken as they are.
        totals: sums and moments.
        chosen: which of these.
        log_prob: of the generator, or None.
    """

    looks: list[Look]
    along: list[Float32[np.ndarray, "column direction"]]
    single: Int[np.ndarray, " single"]
    totals: Totals
    chosen: Int[np.ndarray, " chosen"]
    log_prob: LogProb | None

    def __call__(self, x: np.ndarray) -> Float[np.ndarray, "n number"]:
        """The numbers of the events x [n, column]."""
        parts = [self._along(x), self.totals(x)[:, self.chosen], x[:, self.single]]
        if self.log_prob is not None:
            parts.append(np.asarray(self.log_prob(x))[:, None])
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def _along(self, x: np.ndarray) -> Float[np.ndarray, "n direction"]:
        blocks = []
        for rows in row_blocks(*x.shape):
            block = np.ascontiguousarray(x[rows])
            pairs = zip(self.looks, self.along, strict=True)
            blocks.append(np.concatenate([one(block) @ a for one, a in pairs], axis=1))
        count = sum(a.shape[1] for a in self.along)
        return np.concatenate(blocks) if blocks else np.zeros((0, count))


class _Half(NamedTuple):
    """Half of the generated events, and what is known of them before any truth is.

    Attributes:
        gen: the events.
        moments: of each feature.
        totals: sums and moments of all columns.
    """

    gen: Sample
    features: list[Callable[[np.ndarray], np.ndarray]]
    moments: list[Moments]
    totals: Totals

    @classmethod
    def of(cls, gen: Sample) -> "_Half":
        """What these events tell."""
        found = features(gen)
        return cls(gen, found, moments(gen, found), Totals.of(gen))

    def condensed(self, true: Sample, log_prob: LogProb | None) -> _Condensed:
        """What to look at, as this half of the true events suggests."""
        of_true = moments(true, self.features)
        pairs = list(zip(self.moments, of_true, strict=True))
        looks = [look(f, *pair) for f, pair in zip(self.features, pairs, strict=True)]
        along = [
            directions(one, self.gen, true, _STEPS[:1] if one.feature is present else _STEPS)
            for one in looks
        ]
        apart = np.max([significance(*pair, self.gen.n, true.n) for pair in pairs], axis=0)
        single = np.sort(np.argsort(-apart, kind="stable")[:_SINGLE])
        left = _DERIVED - _SINGLE - sum(a.shape[1] for a in along) - (log_prob is not None)
        of_gen, of_all = (_moments(self.totals(s.x), s.share) for s in (self.gen, true))
        apart = significance(of_gen, of_all, self.gen.n, true.n)
        chosen = np.sort(np.argsort(-apart, kind="stable")[: max(left, 0)])
        return _Condensed(looks, along, single, self.totals, chosen, log_prob)


def _moments(numbers: np.ndarray, share: np.ndarray) -> Moments:
    mean = share @ numbers
    return Moments(mean, share @ (numbers - mean) ** 2)


def _sample(x: np.ndarray, weight: np.ndarray | None) -> Sample:
    share = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    return Sample(x, share / share.sum())
