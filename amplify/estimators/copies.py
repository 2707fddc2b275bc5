"""Does a generator repeat the events that it was trained on?

Around each generated event stand training events and true events that nobody trained on. A
generator that does not remember its training events knows no difference between the two, however
wrong its density is: which of them were trained on is then a random choice among all of them. So
the labels of these true events are exchanged, not those of the generated ones (three samples, after
arXiv:2004.05675), and the p-value is exact.

A generated event is a *near copy* of a training event if no true event that nobody trained on lies
within twice the distance to its nearest training event. What smooth generators learn too well makes
an event nearer to training events than to others, but hardly twice as near; a bootstrap of the
training events, and a kernel density of a width below the distance of neighbours, consist of near
copies.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.estimators.nearest import TREE, neighbours
from amplify.estimators.some_events import some_by_weight, some_or_thinned, spreads

_REACH = 2.0  # times the distance to the nearest event: who is near
_NEIGHBOURS = 8  # of a generated event that are looked at
_MOST_GENERATED = 5000  # generated events that are looked at
_MOST_TRUE = 100_000  # training events, and as many others
_MOST_WIDE = 20_000  # the same where products find neighbours
_PAIRS = 20_000_000  # distances of products
_RATIO = 500  # events whose distances are compared on average
_BATCH = 64  # permutations at once

P_COPIES = 0.001
"""Copies are named where so few random choices of training events look like them."""

LEAST_SHARE = 0.1
"""The part of the generated events that must be copies before they are named: a kernel density of
its best width has half of that in five dimensions.
"""


class Copies(NamedTuple):
    """What of a generated sample is copied from the training events.

    Attributes:
        share: of the generated events that are near copies of training events, beyond what chance
            explains; between 0 and 1.
        error: one standard deviation of it, without copies.
        p: probability of such a share, or a larger one, without memory.
        nearer: the part of the generated events that is nearer to a training event than memory of
            nothing explains, at any distance; large also for smooth generators that overfit.
        p_nearer: the same of it; nan where no true events were compared with.
        ratio: median distance of a generated event to the nearest training event, over that of a
            true event that nobody trained on, with as many generated as true events.
        n_generated: generated events that were looked at.
        n_train: training events that were.
        n_holdout: true events that nobody trained on; 0 without them.
    """

    share: float
    error: float
    p: float
    nearer: float
    p_nearer: float
    ratio: float
    n_generated: int
    n_train: int
    n_holdout: int

    @property
    def copies(self) -> bool:
        """Whether it is said to copy its training events."""
        return self.p <= P_COPIES and self.share >= LEAST_SHARE


def copies(
    generated: Float[np.ndarray, "n dim"],
    train: Float[np.ndarray, "k dim"],
    holdout: Float[np.ndarray, "m dim"] | None = None,
    *,
    weight: Float[np.ndarray, " n"] | None = None,
    weight_train: Float[np.ndarray, " k"] | None = None,
    weight_holdout: Float[np.ndarray, " m"] | None = None,
    of_train: float = 1.0,
    permutations: int = 999,
    seed: int = 0,
) -> Copies:
    """How many generated events are near copies of training events, with an exact p-value of a
    random exchange of training events and holdout.

    >>> rng = np.random.default_rng(0)
    >>> train, holdout, fresh = rng.normal(size=(3, 1000, 5))
    >>> copied = train[rng.integers(1000, size=1000)] + 0.01 * rng.normal(size=(1000, 5))
    >>> copies(copied, train, holdout).copies, copies(fresh, train, holdout).copies
    (True, False)

    Without a holdout the distance of a generated event to its nearest training event is compared
    with that of the latter to its own neighbour, and the same is asked of training events in place
    of generated ones; p is then approximate.

    Columns are compared in units of their spread. Of many events some are looked at, and where
    these are a part f of the training events, the share is that which was seen, divided by f.

    Args:
        generated: generated events.
        train: events that the generator was trained on.
        holdout: true events from the same distribution that it was not trained on.
        weight: of generated events, by which those are chosen that are looked at.
        weight_train: of training events. Where only one of training events and holdout has
            weights, its events are accepted or rejected by them.
        weight_holdout: the same of the holdout.
        of_train: what part of the training events is given.
        permutations: random exchanges.
        seed: of these, and of the events that are looked at.
    """
    rng = np.random.default_rng(seed)
    few = _MOST_TRUE if train.shape[1] <= TREE else _MOST_WIDE
    true, seen = some_or_thinned(rng, train, weight_train, few, alone=weight_holdout is None)
    seen *= of_train
    other = true[:0]
    if holdout is not None:
        alone = weight_train is None
        other, _ = some_or_thinned(rng, holdout, weight_holdout, few, alone=alone)
    unit = spreads(np.concatenate([true, other]))
    true, other = true / unit, other / unit
    x = some_by_weight(rng, generated, weight, _most(true.shape[1], len(true) + len(other))) / unit
    if min(len(x), len(true)) < 2 or (holdout is not None and len(other) < 2):
        return Copies(0.0, np.inf, 1.0, 0.0, 1.0, np.nan, len(x), len(true), len(other))
    if holdout is None:
        return _by_spacing(rng, x, true, seen)
    return _by_exchange(rng, x, true, other, seen, permutations)


def _by_exchange(
    rng: np.random.Generator,
    x: np.ndarray,
    train: np.ndarray,
    holdout: np.ndarray,
    seen: float,
    permutations: int,
) -> Copies:
    """Against true events that nobody trained on."""
    n_train, n_true = len(train), len(train) + len(holdout)
    distance, place = neighbours(x, np.concatenate([train, holdout]), _NEIGHBOURS)
    near = (distance <= _REACH * distance[:, :1]).sum(axis=1)
    # places among the events that are anybody's near neighbour: no others need a label
    is_far = np.arange(distance.shape[1]) >= np.where(near < distance.shape[1], near, 1)[:, None]
    place = np.where(is_far, place[:, :1], place)
    known, place = np.unique(place, return_inverse=True)
    place = place.reshape(distance.shape)
    scores = _Scores(place, near, n_train, n_true)
    observed = scores.of((known < n_train)[None])[:, 0]
    null = np.concatenate(
        [
            scores.of(_labels(rng, size, len(known), n_train, n_true))
            for size in _sizes(permutations)
        ],
        axis=1,
    )
    # sums of the same numbers in another order are the same statistic
    at_least = (null >= observed[:, None] - 1e-9).sum(axis=1)
    p_share, p_nearer = (1 + at_least) / (permutations + 1)
    share, nearer = np.clip(observed / seen, 0, 1)
    few = min(len(x), len(holdout), _RATIO)
    to_train, _ = neighbours(x[:few], train, 1)
    of_true, _ = neighbours(holdout[:few], train, 1)
    return Copies(
        share=float(share),
        error=float(null[0].std() / seen),
        p=float(p_share),
        nearer=float(nearer),
        p_nearer=float(p_nearer),
        ratio=_ratio(to_train, of_true),
        n_generated=len(x),
        n_train=n_train,
        n_holdout=len(holdout),
    )


class _Scores:
    """Mean scores of the generated events: near copies, and nearest events, that have the label of
    training events, beyond what chance gives; one for a sample of copies, zero on average without
    memory.
    """

    def __init__(self, place: np.ndarray, near: np.ndarray, n_train: int, n_true: int) -> None:
        self._place, self._n = place, len(place)
        # the probability that so many neighbours all are training events
        steps = np.arange(place.shape[1])
        chance = np.cumprod(np.maximum(n_train - steps, 0) / np.maximum(n_true - steps, 1))
        self._chance = chance
        # beyond the neighbours that were found there may be others: no copy
        self._groups = [
            (r, np.flatnonzero(near == r)) for r in range(1, place.shape[1]) if (near == r).any()
        ]

    def of(self, is_train: np.ndarray) -> np.ndarray:
        """Labels [experiment, known event] -> [2, experiment]."""
        copied = np.zeros(len(is_train))
        for r, rows in self._groups:
            among = is_train[:, self._place[rows, 0]]
            for k in range(1, r):
                among = among & is_train[:, self._place[rows, k]]
            copied += self._beyond(among.sum(axis=1), len(rows), self._chance[r - 1])
        first = is_train[:, self._place[:, 0]].sum(axis=1)
        return np.stack([copied, self._beyond(first, self._n, self._chance[0])]) / self._n

    @staticmethod
    def _beyond(count: np.ndarray, n: int, chance: float) -> np.ndarray:
        return (count - n * chance) / (1 - chance)


def _labels(
    rng: np.random.Generator, size: int, known: int, n_train: int, n_true: int
) -> np.ndarray:
    """Random choices of n_train training events among n_true events, as far as some known ones are
    concerned [size, known].
    """
    count = rng.hypergeometric(n_train, n_true - n_train, known, size)
    lot = rng.random((size, known))
    ordered = np.sort(lot, axis=1)
    last = np.take_along_axis(ordered, np.maximum(count - 1, 0)[:, None], axis=1)
    return (lot <= last) & (count > 0)[:, None]


def _sizes(permutations: int) -> list[int]:
    full, rest = divmod(permutations, _BATCH)
    return [_BATCH] * full + [rest] * (rest > 0)


def _by_spacing(rng: np.random.Generator, x: np.ndarray, train: np.ndarray, seen: float) -> Copies:
    """Against the distances of training events to one another: a generated event is a near copy if
    it is twice as near to a training event as the nearest other one is to that.

    Where densities hardly change between neighbours, 2^-dim of generated events are so near,
    whatever their density is; training events, left out one by one, tell the true share.
    """
    distance, place = neighbours(x, train, 1)
    near = distance[:, 0] <= _spacing(train, place[:, 0]) / _REACH
    rows = rng.permutation(len(train))[: len(x)]
    nearest, gap = _nearest_other(train, rows)
    expected = gap <= _spacing(train, nearest, rows) / _REACH
    clumps = [np.bincount(p).astype(float) for p in (place[:, 0], nearest)]
    chance = float(expected.mean())
    pooled = max((near.mean() + chance) / 2, 1 / len(x))
    per_event = sum((c**2).sum() / c.sum() ** 2 for c in clumps)
    error = float(np.sqrt(pooled * (1 - pooled) * per_event))
    excess = float(near.mean()) - chance
    from scipy.special import ndtr

    scale = max(1 - chance, 1e-9) * seen
    return Copies(
        share=float(np.clip(excess / scale, 0, 1)),
        error=error / scale,
        p=float(ndtr(-excess / error)) if error > 0 else 1.0,
        nearer=float("nan"),
        p_nearer=float("nan"),
        ratio=_ratio(distance, gap),
        n_generated=len(x),
        n_train=len(train),
        n_holdout=0,
    )


def _nearest_other(
    train: np.ndarray, rows: np.ndarray, but: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of training events the nearest other one, and its distance; `but` for one each."""
    known, back = np.unique(rows, return_inverse=True)
    distance, place = (found[back] for found in neighbours(train[known], train, 3))
    allowed = place != rows[:, None]
    if but is not None:
        allowed &= place != but[:, None]
    at = np.arange(len(rows)), np.argmax(allowed, axis=1)
    return place[at], distance[at]


def _spacing(train: np.ndarray, rows: np.ndarray, but: np.ndarray | None = None) -> np.ndarray:
    return _nearest_other(train, rows, but)[1]


def _ratio(distance: np.ndarray, of_true: np.ndarray) -> float:
    """Of medians."""
    of_truth = float(np.median(of_true))
    return float(np.median(distance)) / of_truth if of_truth > 0 else float("nan")


def _most(dim: int, true: int) -> int:
    """Generated events that are looked at."""
    return _MOST_GENERATED if dim <= TREE else min(_MOST_GENERATED, max(_PAIRS // true, 200))
