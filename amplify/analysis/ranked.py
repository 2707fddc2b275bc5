"""An observable at the same condition: its rank among generated events of the same stratum.

The rank is a function of the observable that rises with it, another one in each stratum, so that
distribution functions of different conditions lie over one another instead of being smeared.
"""

from typing import Any, NamedTuple

import numpy as np

from amplify.types import Events

_NODES = 512  # values of a stratum between which ranks are interpolated


class Nodes(NamedTuple):
    """Values of the observable that rise, and their ranks between 0 and 1."""

    value: np.ndarray
    rank: np.ndarray


class Ranked(NamedTuple):
    """The summary: events [n, dim], whose last column is the number of their stratum -> [n].

    Attributes:
        index: place of the observable among the columns.
        nodes: of each stratum; none where no generated event is.
    """

    index: int
    nodes: tuple[Nodes | None, ...]

    def __call__(self, x: Any) -> np.ndarray:
        """Ranks of events; those in no stratum, which count nothing, have rank 0."""
        strata, values = x[:, -1].astype(int), x[:, self.index]
        rank = np.zeros(len(strata))
        order = np.argsort(strata, kind="stable")
        ends = np.searchsorted(strata[order], np.arange(len(self.nodes) + 1))
        for nodes, start, stop in zip(self.nodes, ends[:-1], ends[1:], strict=True):
            rows = order[start:stop]
            if nodes is not None and len(rows):
                rank[rows] = _rank(nodes, values[rows])
        return rank


def ranked(index: int, generated: Events, strata: int) -> Ranked:
    """The rank of a column among these events.

    >>> x = np.column_stack([[1.0, 2.0, 3.0, 10.0, 20.0, 30.0], [0, 0, 0, 1, 1, 1]])
    >>> ranked(0, Events(x), 2)(x).tolist()
    [0.0, 0.5, 1.0, 0.0, 0.5, 1.0]

    Args:
        index: place of the column.
        generated: some generated events, whose last column is the number of their stratum.
        strata: how many there are.
    """
    of_event = generated.x[:, -1].astype(int)
    values = generated.x[:, index]
    return Ranked(index, tuple(_nodes(values[of_event == s]) for s in range(strata)))


def _nodes(values: np.ndarray) -> Nodes | None:
    if not len(values):
        return None
    distinct, count = np.unique(values, return_counts=True)
    # the middle of each value's share of the events, scaled so that the ends are 0 and 1
    middle = np.cumsum(count) - count / 2
    chosen = distinct.astype(float), middle
    if len(distinct) > _NODES:
        places = np.searchsorted(middle, np.linspace(0, middle[-1], _NODES))
        places = np.unique(np.clip(places, 0, len(distinct) - 1))
        chosen = distinct[places].astype(float), middle[places]
    value, rank = chosen
    span = rank[-1] - rank[0]
    return Nodes(value, (rank - rank[0]) / span if span > 0 else np.zeros(1))


def _rank(nodes: Nodes, values: np.ndarray) -> np.ndarray:
    """Between nodes on straight lines; beyond the last one on a curve that still rises."""
    value, rank = nodes
    scale = value[-1] - value[0] or 1.0
    above, below = np.maximum(values - value[-1], 0), np.maximum(value[0] - values, 0)
    inside = np.interp(values, value, rank)
    return inside + above / (above + scale) - below / (below + scale)
