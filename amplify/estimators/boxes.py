"""Boxes in one to three columns in which two samples may differ: all of them are known before it is
known which event belongs to which sample.

The columns are cut into bins of equal numbers of pooled events; a box is an interval of such bins
in each of its columns. What is in it is the sum over its cells, so thousands of boxes cost little
more than one pass over the events.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from amplify.regions.binning import quantile_edges

BINS = {1: 32, 2: 8, 3: 4}
"""Bins of each column, by the number of columns of a box."""

MOST_PAIRS, MOST_TRIPLES = 15, 20
_LOOKED = 200  # columns of which pairs are made
_COARSE = 4  # bins of a column that tell where a ratio varies


class Boxes(NamedTuple):
    """Candidate boxes over the events of a pool.

    Attributes:
        columns: of each box.
        low: ends of its intervals, in the order of its columns; a box holds low <= x < high.
        high: the other ends.
        in_cells: which cell of each set of columns an event is in, a sparse [cell, event].
        of_cells: which cells a box consists of, a sparse [box, cell].
    """

    columns: list[tuple[int, ...]]
    low: list[tuple[float, ...]]
    high: list[tuple[float, ...]]
    in_cells: Any
    of_cells: Any

    def sums(
        self, numbers: Float[np.ndarray, "experiment event"]
    ) -> Float[np.ndarray, "experiment box"]:
        """Sums of numbers per event over each box."""
        return (self.of_cells @ (self.in_cells @ np.ascontiguousarray(numbers.T))).T

    def inside(self, x: Float[np.ndarray, "event dim"], box: int) -> Bool[np.ndarray, " event"]:
        """Which events a box holds."""
        held = np.ones(len(x), bool)
        for column, low, high in zip(self.columns[box], self.low[box], self.high[box], strict=True):
            held &= (x[:, column] >= low) & (x[:, column] < high)
        return held

    def take(self, rows: Int[np.ndarray, " box"]) -> "Boxes":
        """Some of the boxes."""
        return Boxes(
            [self.columns[row] for row in rows],
            [self.low[row] for row in rows],
            [self.high[row] for row in rows],
            self.in_cells,
            self.of_cells[rows],
        )


def candidate_boxes(
    x: Float[np.ndarray, "event dim"],
    weight: Float[np.ndarray, " event"],
    subsets: Sequence[tuple[int, ...]],
) -> Boxes:
    """All boxes in these sets of columns. Columns of one value have none.

    Args:
        x: pooled events.
        weight: of them, whose shares the bins have in common.
        subsets: sets of one to three columns.
    """
    from scipy import sparse

    share = np.abs(weight)

    @cache
    def binned(column: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the bins of a column, and in which of them each event is."""
        ends = quantile_edges(x[:, column], share, bins)
        return ends, np.searchsorted(ends[1:-1], x[:, column], side="right")

    columns, lows, highs = [], [], []
    in_cells, of_cells = [], []
    for subset in subsets:
        each = [binned(column, BINS[len(subset)]) for column in subset]
        edges = [ends for ends, _ in each]
        if min(map(len, edges)) < 3:
            continue
        cell, cells = np.zeros(len(x), np.int64), 1
        for ends, number in each:
            cell, cells = cell * (len(ends) - 1) + number, cells * (len(ends) - 1)
        events = np.arange(len(x))
        ones = np.ones(len(x))
        in_cells.append(sparse.csr_array((ones, (cell, events)), shape=(cells, len(x))))
        ends_of, held = [[((), ())], sparse.csr_array(np.ones((1, 1)))]
        for ends in edges:
            intervals = _intervals(len(ends) - 1)
            bins = np.arange(len(ends) - 1)
            of_bins = [(bins >= a) & (bins < b) for a, b in intervals]
            held = sparse.kron(held, sparse.csr_array(np.stack(of_bins).astype(float)), "csr")
            ends_of = [
                ((*low, ends[a]), (*high, ends[b])) for low, high in ends_of for a, b in intervals
            ]
        of_cells.append(held)
        columns += [subset] * len(ends_of)
        lows += [low for low, _ in ends_of]
        highs += [high for _, high in ends_of]
    if not in_cells:
        nothing = sparse.csc_array((0, len(x)))
        return Boxes([], [], [], nothing, sparse.csr_array((0, 0)))
    # by events: their numbers are read in order, and sums of cells stay in the cache
    together = sparse.csc_array(sparse.vstack(in_cells))
    return Boxes(columns, lows, highs, together, sparse.csr_array(sparse.block_diag(of_cells)))


def _intervals(bins: int) -> list[tuple[int, int]]:
    """Runs of 1, 2, 4, ... bins wherever they start, but for all bins."""
    lengths = [1 << k for k in range(bins.bit_length()) if 1 << k < bins]
    return [(a, a + length) for length in lengths for a in range(bins - length + 1)]


def subsets_of(dim: int) -> list[tuple[int, ...]]:
    """All sets of one to three columns.

    >>> subsets_of(2)
    [(0,), (1,), (0, 1)]
    """
    return [s for k in (1, 2, 3) for s in combinations(range(dim), k)]


def are_few(dim: int) -> bool:
    """Whether there are so few sets of columns that all of them are looked at.

    >>> are_few(6), are_few(7)
    (True, False)
    """
    subsets = subsets_of(min(dim, 20))
    sizes = [sum(len(s) == k for s in subsets) for k in (2, 3)]
    return sizes[0] <= MOST_PAIRS and sizes[1] <= MOST_TRIPLES


def chosen_subsets(
    x: Float[np.ndarray, "event dim"], ratios: Float[np.ndarray, "ratio event"]
) -> list[tuple[int, ...]]:
    """Every column, and the pairs and triples of columns over whose cells a ratio varies more than
    it does over those of fewer columns; each ratio names some of them.

    Args:
        x: events.
        ratios: at the events: learned log ratios, witness functions, the difference of the samples
            itself.
    """
    deviation = ratios.std(axis=1, keepdims=True)
    f = (ratios - ratios.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    dim = x.shape[1]
    edges = [quantile_edges(x[:, c], None, _COARSE)[1:-1] for c in range(dim)]
    cell = [np.searchsorted(e, x[:, c], side="right") for c, e in enumerate(edges)]
    alone = np.array([_explained([c], f) for c in cell])
    best = sorted(np.argsort(-alone.max(axis=1), kind="stable")[:_LOOKED].tolist())
    pairs = {
        (a, b): _explained([cell[a], cell[b]], f) - np.maximum(alone[a], alone[b])
        for a, b in combinations(best, 2)
    }
    first = _largest(pairs, MOST_PAIRS)
    triples = {}
    for a, b in first:
        for c in best:
            triple = tuple(sorted((a, b, c)))
            if len(set(triple)) == 3 and triple not in triples:
                within = [pairs[p] + alone[list(p)].max(axis=0) for p in combinations(triple, 2)]
                of_three = _explained([cell[k] for k in triple], f)
                triples[triple] = of_three - np.max(within, axis=0)
    return [*((c,) for c in range(dim)), *first, *_largest(triples, MOST_TRIPLES)]


def _explained(cells: Sequence[np.ndarray], f: np.ndarray) -> np.ndarray:
    """Variance of the cells' means of each function."""
    cell = np.zeros(f.shape[1], np.int64)
    for number in cells:
        cell = cell * _COARSE + number
    count = np.bincount(cell)
    held = count > 0
    sums = np.stack([np.bincount(cell, row)[held] for row in f])
    return (sums**2 / count[held]).sum(axis=1) / f.shape[1]


def _largest(gains: dict[Any, np.ndarray], most: int) -> list[Any]:
    """The best of each ratio in turn."""
    every = list(gains)
    if not every:
        return []
    orders = np.argsort(-np.stack([gains[s] for s in every], axis=1), axis=1, kind="stable")
    in_turn = dict.fromkeys(orders.T.ravel().tolist())
    return [every[k] for k in list(in_turn)[:most]]
