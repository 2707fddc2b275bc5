"""Differences of two samples over the events of their pool: relabelled ones, which have none in
truth, and those of a smaller or larger true difference with the same noise.

Statistics that are affordable only for a part of the events see a part, and one relabelling serves
all of them: labels are exchanged inside of shells, which are the events of the smallest part, those
that the next one adds, and so on. Any exchange that does not look at the events is allowed in a
permutation test, so p-values stay exact for each statistic and for all of them together.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.estimators.statistics import Pooled, pooled

_BYTES = 1 << 26  # of a batch of differences in double precision


class Shell(NamedTuple):
    """Events whose labels are exchanged with one another.

    Attributes:
        rows: of the pool of all events, rising.
        first: how many of them are labelled generated.
        n: n m / (n + m) of their effective numbers.
    """

    rows: Int[np.ndarray, " event"]
    first: int
    n: float


class Part(NamedTuple):
    """The events that a statistic sees.

    Attributes:
        pool: of them.
        n_first: how many of its rows are generated events; those of the holdout follow.
        shells: that they consist of, their rows in this pool.
        numbers: of these shells, which name the random streams.
        seed: of the relabellings.
    """

    pool: Pooled
    n_first: int
    shells: tuple[Shell, ...]
    numbers: tuple[int, ...]
    seed: int

    @property
    def n(self) -> float:
        """What the null distances fall with: `pool.n` where there is one shell. The composition of
        a shell does not vary, and so with several of them there is less noise.
        """
        inverse = 1 / self.pool.n_gen + 1 / self.pool.n_holdout
        return 1 / (inverse**2 * sum(shell.n for shell in self.shells))

    def relabelled(self, start: int, stop: int) -> Float[np.ndarray, "experiment event"]:
        """The differences of the relabellings start, start + 1, ..., stop - 1: whoever asks again,
        in whatever portions, gets the same.
        """
        labels = np.zeros((stop - start, len(self.pool.x)), bool)
        for number, row in zip(range(start, stop), labels, strict=True):
            for stream, shell in zip(self.numbers, self.shells, strict=True):
                rng = np.random.default_rng([self.seed, number, stream])
                row[rng.choice(shell.rows, shell.first, replace=False, shuffle=False)] = True
        return of_labels(self.pool.weight, labels)

    def batches(self, experiments: int) -> Iterator[tuple[int, int]]:
        """Starts and stops of so many differences as fit into memory together."""
        size = max(1, _BYTES // (8 * len(self.pool.x)))
        for start in range(0, experiments, size):
            yield start, min(start + size, experiments)


def of_labels(
    weight: Float[np.ndarray, " event"], labels: np.ndarray
) -> Float[np.ndarray, "experiment event"]:
    """Differences of the samples that the labels [experiment, event] make of the pool.

    An event takes its weight along. That is exact where weights are drawn alike in both samples.
    Where they are not, the noise of a fraction of events is that of the samples if these are worth
    as many events as each other, and nearly else.

    >>> of_labels(np.full(4, 0.25), np.array([[True, False, True, False]])).tolist()
    [[0.5, -0.5, 0.5, -0.5]]
    """
    first = labels @ weight
    up, down = 1 / first[:, None], 1 / (1 - first)[:, None]
    return np.where(labels, up, -down) * weight


def parts(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None,
    weight_y: Float[np.ndarray, " m"] | None,
    most: set[int],
    seed: int,
) -> dict[int, Part]:
    """What a statistic sees that is affordable for so many events of each sample, for each of these
    numbers. Of more events a random part is taken; of two such parts the smaller is in the larger.
    """
    samples = ((x, weight_x, 0), (y, weight_y, 1))
    orders = [np.random.default_rng([seed, k]).permutation(len(z)) for z, _, k in samples]
    sizes = sorted({min(size, max(len(x), len(y))) for size in most})
    nested = [[np.sort(order[:size]) for order in orders] for size in sizes]
    made = {}
    for k, (of_x, of_y) in enumerate(nested):
        pool = pooled(x[of_x], y[of_y], _take(weight_x, of_x), _take(weight_y, of_y))
        added = _added(nested[: k + 1], len(of_x))
        shells = tuple(_shell(pool.difference, *rows) for rows in added)
        made[sizes[k]] = Part(pool, len(of_x), shells, tuple(range(k + 1)), seed)
    return {size: made[min(size, sizes[-1])] for size in most}


def _added(nested: list[list[np.ndarray]], n_gen: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows, in the pool of the largest part, of generated and of true events that each part
    adds to the one before.
    """
    largest = nested[-1]
    before = [np.empty(0, np.int64)] * 2
    for rows in nested:
        new = [np.setdiff1d(a, b, assume_unique=True) for a, b in zip(rows, before, strict=True)]
        of_gen, of_true = (np.searchsorted(a, b) for a, b in zip(largest, new, strict=True))
        if len(of_gen) + len(of_true):
            yield of_gen, n_gen + of_true
        before = rows


def _shell(difference: np.ndarray, of_gen: np.ndarray, of_true: np.ndarray) -> Shell:
    n_gen, n_true = (_effective(difference[rows]) for rows in (of_gen, of_true))
    rows = np.concatenate([of_gen, of_true])
    share = n_gen / (n_gen + n_true)
    return Shell(rows, round(share * len(rows)), share * n_true)


def _effective(weight: np.ndarray) -> float:
    square = (weight**2).sum()
    return float(weight.sum() ** 2 / square) if square > 0 else 0.0


def _take(weight: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if weight is None else weight[rows]
