"""A few values with weights that stand for a sample too large to sort: its distribution function to
within a bound that is known, from one pass in little memory.

Sorted values are cut into groups of equal weight, and the middle one of a group gets all of it: no
distribution function is then wrong by more than half a group, at any value. What chunks leave is
condensed again, sixteen pieces at a time, so that an event goes through few such steps, and the
largest errors of all steps add up to the bound (Munro and Paterson, Theor. Comput. Sci. 12 (1980)
315; Manku, Rajagopalan and Lindsay, SIGMOD 1998). Nothing is random: the same chunks in the same
order give the same bits. Weights may be of either sign; groups are equal in their size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from amplify.errors import InputError

FAN = 16  # pieces that are condensed to one


class Piece(NamedTuple):
    """Values that stand for a part of a sample.

    Attributes:
        values: sorted [k].
        weights: how much each stands for; whole numbers where events count one each [k].
        error: weight that may be on the wrong side of a value, at most.
    """

    values: Float[np.ndarray, " k"]
    weights: Real[np.ndarray, " k"]
    error: float


class Sketch(NamedTuple):
    """What is known of the chunks so far. Additive: `plus` a piece, or `joined` with another.

    Attributes:
        groups: values that a piece may have.
        levels: pieces that wait, those that were condensed once, twice ...
        error: of all steps so far.
    """

    groups: int
    levels: tuple[tuple[Piece, ...], ...] = ()
    error: float = 0.0

    def plus(self, piece: Piece, level: int = 0) -> "Sketch":
        """With one more piece, which was condensed `level` times before; sixteen of a level become
        one of the next.
        """
        levels = [*self.levels, *[()] * (level + 1 - len(self.levels))]
        error = self.error + piece.error
        levels[level] = (*levels[level], piece._replace(error=0.0))
        if len(levels[level]) < FAN:
            return self._replace(levels=tuple(levels), error=error)
        full, levels[level] = levels[level], ()
        return self._replace(levels=tuple(levels), error=error).plus(
            together(full, self.groups), level + 1
        )

    def joined(self, other: "Sketch") -> "Sketch":
        """With all that another knows, as of another file or machine."""
        joined = self._replace(error=self.error + other.error)
        for level, pieces in enumerate(other.levels):
            for piece in pieces:
                joined = joined.plus(piece, level)
        return joined

    def finished(self) -> Piece:
        """All of the sample as one piece, with the bound of every step."""
        waiting = [piece for level in self.levels for piece in level]
        piece = together(waiting, self.groups)
        return piece._replace(error=self.error + piece.error)


def groups_for(error: float, chunks: int) -> int:
    """Values of a piece, so that a sample of so many chunks is known to within `error`, a fraction
    of its weight.

    >>> groups_for(1e-3, 4000)
    5000
    """
    # groups are cut between values: one has at most twice its share of the weight
    return int(np.ceil(_depth(chunks) / error))


def most_values(error: float, chunks: int) -> int:
    """Values that are held while so many chunks are read."""
    return FAN * _depth(chunks) * groups_for(error, chunks)


def _depth(chunks: int) -> int:
    """How often an event is condensed: with its chunk, with fifteen others of its kind again and
    again, and in the end.
    """
    depth, reach = 2, 1
    while reach < chunks:
        depth, reach = depth + 1, reach * FAN
    return depth


def check_error(error: float) -> None:
    """Refuses what is no error of a distribution function.

    Raises:
        InputError: it is too small or too large.
    """
    if not 1e-7 <= error <= 0.1:
        fix = "1e-4 is a tenth of what a million events tell"
        raise InputError("--approximate", "an error between 1e-7 and 0.1", str(error), fix)


def condensed(
    t: Float[np.ndarray, " n"], weight: Real[np.ndarray, " n"] | None, groups: int
) -> Piece:
    """The piece that stands for a chunk of values t [n], in no order.

    Args:
        t: values.
        weight: event weights; each counts one without.
        groups: values that it may have.
    """
    if weight is not None:
        order = np.argsort(t)
        return _grouped(t[order], np.asarray(weight)[order], groups)
    ordered, n = np.sort(t), len(t)
    if n <= groups:
        return Piece(ordered, np.ones(n, np.int64), 0.0)
    ends = np.arange(groups + 1) * n // groups
    middle = (ends[:-1] + ends[1:]) // 2
    error = max((middle - ends[:-1]).max(), (ends[1:] - middle).max() - 1)
    return Piece(ordered[middle], np.diff(ends), float(error))


def together(pieces: Sequence[Piece], groups: int) -> Piece:
    """One piece that stands for several, and what this step alone adds to the error."""
    if not pieces:
        return Piece(np.zeros(0), np.zeros(0, np.int64), 0.0)
    values = np.concatenate([piece.values for piece in pieces])
    weights = np.concatenate([piece.weights for piece in pieces])
    order = np.argsort(values)
    return _grouped(values[order], weights[order], groups)


def _grouped(values: Any, weights: Any, groups: int) -> Piece:
    """Sorted values with weights in groups of the same weight."""
    if len(values) <= groups:
        return Piece(values, weights, 0.0)
    size = np.concatenate([np.zeros(1, weights.dtype), np.cumsum(np.abs(weights))])
    if not size[-1] > 0:
        return Piece(values[:0], weights[:0], 0.0)
    middles = (size[:-1] + size[1:]) / 2
    group = np.minimum((middles * (groups / size[-1])).astype(np.int64), groups - 1)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    start, end = size[first], size[np.append(first[1:], len(values))]
    last = np.append(first[1:], len(values)) - 1
    # the value with as much of the group on either side
    middle = np.searchsorted(size, (start + end) / 2, side="right") - 1
    middle = np.clip(middle, first, last)
    error = np.maximum(size[middle] - start, end - size[middle + 1]).max()
    return Piece(values[middle], np.add.reduceat(weights, first), float(error))
