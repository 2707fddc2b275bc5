"""Precision, recall, density and coverage: modes that are invented, and modes that are lost.

Around each event of a sample lies a ball up to its k-th nearest neighbour in that sample. Precision
is the share of generated events in any ball of the holdout, recall the share of the holdout in any
ball of the generated sample (arXiv:1904.06991). Density counts how many balls of the holdout hold a
generated event, over k, and coverage is the share of these balls that hold any (arXiv:2002.09797).
A generator that invents events has low precision and density; one that loses a mode has low recall
and coverage. Columns are in units of the pooled standard deviation. What one finds depends on the
size of the samples, so both are taken equally large; weights choose who is kept. Columns of few
different values leave it to chance, or to none, who is inside of a ball.

Who is near whom does not change with the labels: the nearest events of the pool are listed once,
and a ball is followed along its list until k of its own sample have come. The labels of 64
experiments are the bits of one word, so that these are followed at once.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from amplify.estimators.statistics.neighbours import LISTED, K, nearest_in
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic, pooled
from amplify.estimators.statistics.shares import in_blocks, standardised, two_samples

_Words = UInt64[np.ndarray, " event"]
_BITS = 64
_ROWS = 1000  # of a matrix of distances at once


class Prdc(NamedTuple):
    """Of the generated sample against the holdout.

    Attributes:
        precision: share of generated events where the holdout is.
        recall: share of the holdout where the generated sample is.
        density: like precision, but an event counts more where the holdout is dense; about one
            without a difference.
        coverage: share of the holdout with a generated event nearby.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
    *,
    k: int = K,
    seed: int = 0,
) -> Prdc:
    """Precision, recall, density and coverage, from all distances.

    >>> y = np.arange(10.0)[:, None]
    >>> x = np.concatenate([y[:5] + 0.1, y[:5] + 0.3])  # half of the holdout is lost
    >>> prdc(x, y, k=1)
    Prdc(precision=1.0, recall=0.5, density=2.0, coverage=0.6)

    Args:
        x: generated events.
        y: events of the holdout.
        weight_x: event weights, or None.
        weight_y: the same of y.
        k: neighbours of its own sample that the ball of an event reaches to.
        seed: of the events that are kept, where sizes or weights differ.
    """
    pool = pooled(x, y, weight_x, weight_y)
    z = standardised(pool)
    in_x, in_y = (z[kept[0]] for kept in _kept(pool, seed)(pool.difference[None])[:2])
    close_x, close_y = _radii(in_x, k), _radii(in_y, k)
    in_ball_of_y, in_ball_of_x = np.zeros(len(in_x)), np.zeros(len(in_y), bool)
    covered = np.zeros(len(in_y), bool)
    for start, distance in _distances(in_x, in_y):
        rows = slice(start, start + len(distance))
        inside = distance < close_y
        in_ball_of_y[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        in_ball_of_x |= (distance < close_x[rows, None]).any(axis=0)
    return Prdc(
        float((in_ball_of_y > 0).mean()),
        float(in_ball_of_x.mean()),
        float(in_ball_of_y.mean() / k),
        float(covered.mean()),
    )


def _distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """All distances, some rows at a time, and the first of these rows."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(x), _ROWS):
        yield start, cdist(x[start : start + _ROWS], y)


def _radii(x: np.ndarray, k: int) -> Float[np.ndarray, " n"]:
    """Distance of each event to its k-th nearest other."""
    k = min(k, len(x) - 1)
    return np.concatenate([np.partition(of, k, axis=1)[:, k] for _, of in _distances(x, x)])


def _kept(
    pool: Pooled, seed: int
) -> Callable[
    [np.ndarray],
    tuple[
        Bool[np.ndarray, "experiment event"],
        Bool[np.ndarray, "experiment event"],
        Float[np.ndarray, " experiment"],
    ],
]:
    """Differences to the events of each sample, equally many of both, and how much larger the
    difference is than theirs.

    Systematic sampling of events in a random order: sizes are what they should be but for one.
    """
    rng = np.random.default_rng([seed, 14])
    order = rng.permutation(len(pool.x))
    back = np.argsort(order)

    def kept(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y, larger = two_samples(difference)
        x, y = (share / share.max(axis=1, keepdims=True) for share in (x, y))
        sizes = [share.sum(axis=1, dtype=np.float64)[:, None] for share in (x, y)]
        fewer = np.minimum(*sizes)
        found = []
        for share, size in zip((x, y), sizes, strict=True):
            # half of one more: whole numbers stay clear of the next one
            passed = np.cumsum(share[:, order] * (fewer / size), axis=1) + 0.5
            taken = np.diff(np.floor(passed), axis=1, prepend=0.0) > 0
            found.append(taken[:, back])
        return found[0], found[1], larger

    return kept


class _Found(NamedTuple):
    """Words, a bit for each experiment.

    Attributes:
        covered: a ball of the own sample has one of the other in it.
        member: an event of the other sample is in a ball.
        counts: planes of bits of the number of others in a ball.
    """

    covered: _Words
    member: _Words
    counts: list[_Words]


def _follow(lists: Int[np.ndarray, "event rank"], own: _Words, other: _Words, k: int) -> _Found:
    """Follows the ball of each event of the own sample along its neighbours."""
    seen = [np.zeros_like(own) for _ in range(k)]  # one, two ... of the own sample have come
    found = _Found(np.zeros_like(own), np.zeros_like(own), [])
    for near in lists.T:
        open_ = own & ~seen[-1]
        if not open_.any():
            break
        inside = open_ & other[near]
        found.covered[...] |= inside
        np.bitwise_or.at(found.member, near, inside)
        for plane in found.counts:
            carry = plane & inside
            plane ^= inside
            inside = carry
        if inside.any():
            found.counts.append(inside)
        is_own = own[near]
        for fewer, more in zip(seen[-2::-1], seen[:0:-1], strict=True):
            more |= fewer & is_own
        seen[0] |= is_own
    return found


def _words(of: Bool[np.ndarray, "experiment event"]) -> _Words:
    """Bits of up to 64 experiments for each event."""
    padded = np.zeros((_BITS, of.shape[1]), bool)
    padded[: len(of)] = of
    packed = np.packbits(padded, axis=0, bitorder="little")
    return np.ascontiguousarray(packed.T).view("<u8").ravel().astype(np.uint64)


def _sums(words: _Words) -> Int[np.ndarray, " bit"]:
    """How many events have the bit of each experiment."""
    of = np.ascontiguousarray(words.astype("<u8")).view(np.uint8).reshape(len(words), -1)
    return np.unpackbits(of, axis=1, bitorder="little").sum(axis=0, dtype=np.int64)


_BALLS_OF = {"precision": "y", "density": "y", "coverage": "y", "recall": "x"}


def _shares(pool: Pooled, seed: int, name: str, k: int = K) -> Distances:
    lists, kept = nearest_in(pool, LISTED), _kept(pool, seed)

    def of_samples(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        of_x, of_y = _words(x), _words(y)
        own, other = (of_y, of_x) if _BALLS_OF[name] == "y" else (of_x, of_y)
        found = _follow(lists, own, other, k)
        if name == "coverage":
            share = _sums(found.covered) / np.maximum(_sums(own), 1)
        elif name == "density":
            inside = sum(_sums(plane) << bit for bit, plane in enumerate(found.counts))
            share = inside / np.maximum(k * _sums(other), 1)
        else:
            share = _sums(found.member) / np.maximum(_sums(other), 1)
        return share[: len(x)]

    def part(difference: np.ndarray) -> np.ndarray:
        x, y, larger = kept(difference)
        share = of_samples(x, y)
        if (larger != 1).any():
            chance = without_difference()
            share = chance + (share - chance) * larger
        return share

    known: list[float] = []

    def without_difference() -> float:
        if not known:
            rng = np.random.default_rng([seed, 15])
            relabelled = np.stack([rng.permutation(pool.difference) for _ in range(_BITS)])
            known.append(float(of_samples(*kept(relabelled)[:2]).mean()))
        return known[0]

    return lambda difference: in_blocks(part, difference, _BITS)


def _statistic(name: str) -> Statistic:
    return Statistic(
        name,
        name,
        1,
        lambda pool, seed: _shares(pool, seed, name),
        signed=True,
        most=10_000,
    )


PRECISION = _statistic("precision")
"""Share of generated events where the holdout is: invention makes it small.

Equivalent events compare its distance from what relabelled events have with the spread of n true
events. It says of which kind a difference is; others notice it earlier.
"""

RECALL = _statistic("recall")
"""Share of the holdout where the generated sample is: a lost mode makes it small. Equivalent events
as of precision.
"""

DENSITY = _statistic("density")
"""How many balls of the holdout a generated event is in, over k: invention makes it small, a sample
that is too narrow large. Equivalent events as of precision.
"""

COVERAGE = _statistic("coverage")
"""Share of the balls of the holdout with a generated event: a lost mode makes it small. Equivalent
events as of precision.
"""
