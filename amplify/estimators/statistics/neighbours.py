"""Nearest neighbours: how often an event and those next to it are of one sample.

Without a difference labels are blind to who is near whom (Schilling 1986; Henze 1988). The graph of
neighbours is that of the pool, so that a relabelling costs one sparse product.
"""

import weakref
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic, pooled
from amplify.estimators.statistics.shares import in_blocks, standardised, two_samples

K = 5
_TREE_DIMENSIONS = 8  # beyond, a tree visits nearly every event
_ROWS = 512  # of the matrix of distances at once
LISTED = 96  # neighbours of an event; who needs more takes the last one for its farthest
# lists of the last pool, for all statistics of it
_last: tuple[weakref.ref | None, Any] = (None, None)


def nearest(x: Float[np.ndarray, "event dim"], count: int) -> Int[np.ndarray, "event neighbour"]:
    """The nearest others of each event, nearest first; equal distances in the order of the events
    that a tree or a sort gives.

    Args:
        x: events.
        count: how many of them, fewer where there are not as many others.
    """
    count = min(count, len(x) - 1)
    if x.shape[1] <= _TREE_DIMENSIONS:
        from scipy.spatial import KDTree

        found = KDTree(x).query(x, count + 1, workers=1)[1].reshape(len(x), -1)
        return _without_self(found)
    return np.concatenate([_rows(x, k, count) for k in range(0, len(x), _ROWS)])


def _rows(x: np.ndarray, start: int, count: int) -> np.ndarray:
    some = x[start : start + _ROWS].astype(np.float32)
    every = x.astype(np.float32)
    square = (every**2).sum(axis=1) - 2 * some @ every.T
    square[np.arange(len(some)), start + np.arange(len(some))] = np.inf
    near = np.argpartition(square, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(square, near, 1), axis=1, kind="stable")
    return np.take_along_axis(near, order, 1).astype(np.int32)


def _without_self(found: np.ndarray) -> np.ndarray:
    """An event is its own neighbour; among equal ones it may come later, or not at all."""
    own = found == np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(found), -1).astype(np.int32)


def nearest_in(pool: Pooled, count: int) -> Int[np.ndarray, "event neighbour"]:
    """The same in standardised columns of a pool, remembered for its next statistic."""
    global _last
    of, lists = _last
    if of is not None and of() is pool.x and lists.shape[1] >= min(count, len(lists) - 1):
        return lists[:, :count]
    # shuffled: which of equal distances comes first must say nothing of the sample
    order = np.random.default_rng(13).permutation(len(pool.x))
    found = nearest(standardised(pool)[order], max(count, LISTED))
    lists = np.empty_like(found)
    lists[order] = order[found]
    _last = weakref.ref(pool.x), lists
    return lists[:, :count]


def _prepare(pool: Pooled, seed: int, k: int = K) -> Distances:
    from scipy.sparse import csr_array

    lists = nearest_in(pool, k)
    n, k = lists.shape
    ones = np.ones(n * k, np.float32)
    graph = csr_array((ones, lists.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    # of labels at random
    chance = (pool.share**2 + (1 - pool.share) ** 2) - 2 * pool.share * (1 - pool.share) / (n - 1)

    def part(difference: np.ndarray) -> np.ndarray:
        generated, holdout, larger = two_samples(difference)
        generated, holdout = generated.T * pool.n_gen, holdout.T * pool.n_holdout
        both = generated + holdout
        near, near_both = graph @ generated, graph @ both
        alike = (generated * near + holdout * (near_both - near)).sum(axis=0, dtype=np.float64)
        share = alike / (both * near_both).sum(axis=0, dtype=np.float64)
        return chance + (share - chance) * larger**2

    return lambda difference: in_blocks(part, difference)


def same_neighbours(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
    *,
    k: int = K,
) -> float:
    """Share of an event's k nearest neighbours in the pool that are of its own sample, mean over
    events; columns in units of the pooled standard deviation.

    A pair of weighted events counts as much as the product of their weights.

    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[10.0], [11.0], [12.0]])
    >>> round(same_neighbours(x, y, k=2), 6)
    1.0

    Args:
        x: generated events.
        y: events of the holdout.
        weight_x: event weights, or None.
        weight_y: the same of y.
        k: number of neighbours.
    """
    pool = pooled(x, y, weight_x, weight_y)
    return float(_prepare(pool, 0, k)(pool.difference[None])[0])


NEIGHBOURS = Statistic("neighbours", "nearest neighbours", 1, _prepare, signed=True, most=10_000)
"""Share of the five nearest neighbours that are of the same sample.

It grows with the square of a small difference, and its noise is that of counting. Equivalent events
compare the excess with the spread of n true events, as for an AUC.
"""
