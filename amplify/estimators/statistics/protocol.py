"""What a two-sample statistic is here: a distance that depends on how the shares of events differ.

Two samples are pooled. Of each event the pool knows its share w / sum w in its own sample, with the
sign of the sample: the difference of the two empirical measures. Everything that is asked of a
statistic is asked by other differences over the same events: relabelled events for its null
distribution, the observed difference on a smaller scale with that noise for its interval, a known
distortion for its resolution. So what is expensive is done once for the pool, and thousands of
differences are compared at once (docs/method, One scale for every statistic).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Distances = Callable[[Float[np.ndarray, "experiment event"]], Float[np.ndarray, " experiment"]]


class Pooled(NamedTuple):
    """Generated events and the holdout as one set of events, the generated ones first.

    Attributes:
        x: the events.
        weight: of each event in the pool, not negative for weights that are not; their sum is one.
        difference: w / sum w of generated events, -w / sum w of those of the holdout.
        n_gen: generated events, effective ones (sum w)^2 / sum w^2 for weights.
        n_holdout: the same of the holdout.
    """

    x: Float[np.ndarray, "event dim"]
    weight: Float[np.ndarray, " event"]
    difference: Float[np.ndarray, " event"]
    n_gen: float
    n_holdout: float

    @property
    def share(self) -> float:
        """What part of the pool the generated sample is."""
        return self.n_gen / (self.n_gen + self.n_holdout)

    @property
    def n(self) -> float:
        """n_gen n_holdout / (n_gen + n_holdout): a null distance falls as n^(-degree / 2)."""
        return self.share * self.n_holdout

    def measures(self, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The measures of two samples [experiment, event] that have this pool and differ so; for
        the difference of the samples themselves it is theirs.
        """
        share = self.share
        return self.weight + (1 - share) * difference, self.weight - share * difference


class Statistic(NamedTuple):
    """A two-sample statistic.

    Attributes:
        name: as a user writes it, such as "sliced_wasserstein".
        title: as a table says it, such as "sliced Wasserstein".
        degree: k, of the distance in the difference, at least where the difference is small: that
            of n true events to the truth falls as n^(-k / 2).
        prepare: pool and seed (of directions, centres, splits) -> differences to distances. A
            distance is zero for equal measures and positive else, unless it is `signed`.
        quoted: the number that the field quotes, of the distance between the two samples.
        signed: the "distance" is a number whose mean without a difference need not be zero, and
            that may lie on both sides of it, such as an AUC; degree 1.
        most: events of each sample that it is affordable for; of more, so many are taken.
        in_sample: it learns from the events that it is tested on, and finds too much: of n_equiv
            there is a lower limit alone (docs/method, One scale for every statistic).
    """

    name: str
    title: str
    degree: int
    prepare: Callable[[Pooled, int], Distances]
    quoted: Callable[[float, Pooled], float] = lambda distance, pool: distance
    signed: bool = False
    most: int = 1_000_000
    in_sample: bool = False


def pooled(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
) -> Pooled:
    """The pool of generated events x and the holdout y.

    >>> pool = pooled(np.zeros((1, 1)), np.ones((2, 1)))
    >>> pool.difference.tolist(), round(pool.n, 3)
    ([1.0, -0.5, -0.5], 0.667)

    Args:
        x: generated events.
        y: events of the holdout.
        weight_x: event weights, or None.
        weight_y: the same of y.
    """
    share_x, n = _shares(len(x), weight_x)
    share_y, m = _shares(len(y), weight_y)
    weight = np.concatenate([share_x * n, share_y * m]) / (n + m)
    events = np.concatenate([x, y])
    return Pooled(events, weight, np.concatenate([share_x, -share_y]), n, m)


def _shares(n: int, weight: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Of each event in its sample, and effective events."""
    if weight is None:
        return np.full(n, 1 / n), float(n)
    weight = np.asarray(weight, np.float64)
    total = weight.sum()
    return weight / total, float(total**2 / (weight**2).sum())
