"""Values that recur in one sample and never occur in the other: a category that is missing, a
constant that differs. They tell both samples apart for certain, which no smooth ratio can say.

Every learner of the package looks for them first. A ratio has mean one under the generator, so
that of samples that share nothing would be one everywhere: events with such values are taken out
before it is learned, and its threshold moves by what they leave. Where no value recurs, as in
continuous columns, nothing is taken out and nothing changes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from amplify.summaries import Learner, Summary, TwoStepLearner

CERTAIN = 10.0  # size of t of an event that the other sample cannot have
_FEWEST = 5  # events with a value before it can be called a category
_CHANCE = 1e-3  # that any value of a column is called foreign where there is no difference
_LEAST_TAUGHT = 20  # events of both kinds that a ratio is learned from
_LOOKED_AT = 100_000  # events whose values are counted, fewer where they have many columns
_NUMBERS = 10_000_000  # of these events
_FIRST = 2000  # events that nearly all values of equal samples are among

Moved = Callable[[np.ndarray, float], np.ndarray]  # (t, odds) -> t of a ratio p_true / p_gen * odds


def log_moved(t: np.ndarray, odds: float) -> np.ndarray:
    """For t = log p_gen / p_true."""
    return t - np.log(odds)


def linear_moved(t: np.ndarray, odds: float) -> np.ndarray:
    """For t = 1 - p_true / p_gen."""
    return 1 - odds * (1 - t)


def atoms_first(learner: Learner, moved: Moved = log_moved) -> TwoStepLearner:
    """The learner, for samples that may have values of their own.

    >>> def blind(x_gen, x_true, weight_gen=None, weight_true=None):
    ...     return lambda x: np.zeros(len(x))
    >>> summary = atoms_first(blind)(np.zeros((500, 1)), np.ones((400, 1)))
    >>> summary(np.array([[0.0], [1.0]])).tolist()
    [10.0, -10.0]

    Args:
        learner: of the events that are left.
        moved: how its t follows when the ratio is multiplied.
    """
    prepare = getattr(learner, "on_generated", None)

    def on_generated(x_gen: np.ndarray, weight_gen: np.ndarray | None) -> Callable[..., Summary]:
        n_gen = _looked_at(x_gen)
        recurring_gen = [_recurring(column) for column in _single(x_gen[:n_gen]).T]
        prepared: list[Callable[..., Summary]] = []  # once it is needed

        def learn(x_true: np.ndarray, weight_true: np.ndarray | None = None) -> Summary:
            foreign = _foreign(x_gen, recurring_gen, x_true)
            if not foreign:
                if prepare is None:
                    return learner(x_gen, x_true, weight_gen, weight_true)
                if not prepared:
                    prepared.append(prepare(x_gen, weight_gen))
                return prepared[0](x_true, weight_true)
            return _around(foreign, learner, moved, (x_gen, weight_gen), (x_true, weight_true))

        return learn

    return TwoStepLearner(on_generated)


class _Recurring(NamedTuple):
    """Values of a column that occur several times.

    Attributes:
        values: in single precision.
        count: events that have them.
        tried: values of the column, also those that occur once.
    """

    values: Float[np.ndarray, " value"]
    count: Int[np.ndarray, " value"]
    tried: int


class _Foreign(NamedTuple):
    """Values of one column that one sample alone has, in single precision.

    Attributes:
        column: its place.
        gen: values that truth lacks.
        true: values that the generator lacks.
    """

    column: int
    gen: Float[np.ndarray, " a"]
    true: Float[np.ndarray, " b"]


def _single(x: np.ndarray) -> np.ndarray:
    """Single precision: one sample may have passed through it on its way to a file."""
    with np.errstate(over="ignore"):
        return np.asarray(x, np.float32)


def _looked_at(x: np.ndarray) -> int:
    """Events whose values are counted: the first ones, as they come in no order."""
    return min(len(x), _LOOKED_AT, max(_NUMBERS // x.shape[1], 1000))


def _recurring(column: np.ndarray) -> _Recurring:
    """What recurs among these events."""
    ordered = np.sort(column)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    count = np.diff(np.append(first, len(ordered)))
    often = count >= _FEWEST
    return _Recurring(ordered[first[often]], count[often], len(count))


def _foreign(
    x_gen: np.ndarray, recurring_gen: list[_Recurring], x_true: np.ndarray
) -> list[_Foreign]:
    """What each sample has for itself; columns without are left out."""
    found = []
    n_true = _looked_at(x_true)
    for column, of_gen in enumerate(recurring_gen):
        of_true = _recurring(_single(x_true[:n_true, column]))
        alone_gen = _alone(of_gen, _looked_at(x_gen), x_true[:, column])
        alone_true = _alone(of_true, n_true, x_gen[:, column])
        if len(alone_gen) or len(alone_true):
            found.append(_Foreign(column, alone_gen, alone_true))
    return found


def _alone(recurring: _Recurring, n: int, other: np.ndarray) -> np.ndarray:
    """Recurring values of n events that the other sample lacks, and not by chance: of k events of
    equal samples all are among these n with probability (n / (n + n_other))^k.
    """
    log_chance = recurring.count * np.log(n / (n + len(other))) + np.log(recurring.tried)
    values = recurring.values[log_chance < np.log(_CHANCE)]
    for seen in (other[:_FIRST], other):  # most values are found among the first
        if len(values):
            values = values[~np.isin(values, _single(seen))]
    return values


def _around(
    foreign: list[_Foreign],
    learner: Learner,
    moved: Moved,
    generated: tuple[np.ndarray, np.ndarray | None],
    true: tuple[np.ndarray, np.ndarray | None],
) -> Summary:
    """The summary where some events are certain: the others by the learner, with the odds that are
    left to them.
    """

    def certain(x: np.ndarray) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Which events only the generator has, and which only truth."""
        of_gen, of_true = np.zeros((2, len(x)), bool)
        for column, values_gen, values_true in foreign:
            value = _single(x[:, column])
            of_gen |= np.isin(value, values_gen)
            of_true |= np.isin(value, values_true)
        return of_gen, of_true

    kept, shares = [], []
    for x, weight in (generated, true):
        rest = ~np.logical_or(*certain(x))
        counted = np.ones(len(x)) if weight is None else np.asarray(weight)
        kept.append((x[rest], None if weight is None else counted[rest]))
        shares.append(counted[rest].sum() / counted.sum())
    (gen_left, weight_gen), (true_left, weight_true) = kept
    share_gen, share_true = shares
    odds = share_true / share_gen if min(shares) > 0 else 1.0
    if min(len(gen_left), len(true_left)) < _LEAST_TAUGHT or min(shares) <= 0:
        side = CERTAIN if share_gen > share_true else -CERTAIN

        def others(x: np.ndarray) -> np.ndarray:
            return np.full(len(x), side)

    else:
        learned = learner(gen_left, true_left, weight_gen, weight_true)

        def others(x: np.ndarray) -> np.ndarray:
            return moved(learned(x), odds)

    def summary(x: np.ndarray) -> np.ndarray:
        t = np.asarray(others(x), np.float64)
        of_gen, of_true = certain(x)
        # events of both kinds at once are nobody's: as the larger sample has it
        return np.where(of_true, -CERTAIN, np.where(of_gen, CERTAIN, t))

    return summary
