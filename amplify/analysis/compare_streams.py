"""All events of samples that are larger than what is relabelled, in the statistics that stream.

What relabelling says of the noise of a part holds for all events on another scale: differences of
samples of n and m events go with sqrt(1 / n + 1 / m).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from amplify.analysis.two_samples import most_holdout
from amplify.estimators.differences import Part
from amplify.estimators.permutations import Null
from amplify.estimators.statistics import Statistic, streamed
from amplify.progress import Progress, silent
from amplify.tables import files
from amplify.tables.marks import Met, Search

_NUMBERS = 4_000_000  # values along columns or directions in memory, of the holdout
_CHUNK_NUMBERS = 1 << 24  # of a chunk
_ROWS_PER_VALUE = 8  # of the holdout, in a chunk
_HELD = 1 << 22  # numbers of states that wait for their turn, in each thread
_DIRECTIONS = 100


class _Larger(Part):
    """A part of the events with the noise of more of them."""

    factor: float = 1.0

    @property
    def n(self) -> float:
        return self.pool.n

    def relabelled(self, start: int, stop: int) -> np.ndarray:
        return self.factor * super().relabelled(start, stop)


def larger(null: Null, distance: float, n_gen: float, n_holdout: float) -> Null:
    """A statistic between all events: the difference of a part of them, on the scale on which its
    distance is that of all.

    Args:
        null: of a part of them, with its permutations.
        distance: between all of them.
        n_gen: how many all are, effective ones.
        n_holdout: of the holdout.
    """
    degree = null.statistic.degree
    scale = (distance / null.observed) ** (1 / degree) if null.observed > 0 else 1.0
    shape = scale * null.pool.difference
    pool = null.pool._replace(difference=shape, n_gen=n_gen, n_holdout=n_holdout)
    part = _Larger(*null.part._replace(pool=pool))
    part.factor = float(np.sqrt((1 / n_gen + 1 / n_holdout) * null.part.n))
    permuted = part.factor**degree * null.permuted
    return null._replace(part=part, observed=distance, permuted=permuted)


def streams(statistics: list[Statistic]) -> list[str]:
    """Names of those that stream."""
    return [s.name for s in statistics if s.name in streamed.STREAMED]


def streamed_nulls(
    nulls: Mapping[str, Null],
    generated: files.Selection,
    holdout: files.Selection,
    search: Search | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[dict[str, Null], list[Met]]:
    """Each statistic that streams between all events of a generated sample and the holdout; and
    what a search for events has found among them.

    Args:
        nulls: of a part of the events.
        generated: read in chunks.
        holdout: kept in memory, as much of it as may be.
        search: for events that should not be there, or None.
        seed: of the directions, that of the permutations.
        progress: watches.
    """
    names = streams([null.statistic for null in nulls.values()])
    sliced = [name for name in names if name.startswith("sliced")]
    dim = len(holdout.columns)
    kinds = [([name for name in names if name not in sliced], dim), (sliced, _DIRECTIONS)]
    references = [_reference(holdout, some, lines, seed=seed) for some, lines in kinds if some]
    if not references:
        return {}, []
    lines, values = (max(each.grid.shape[i] for each in references) for i in (0, 1))
    states: list[streamed.State] | None = None
    met: list[Met] = []
    size = min(
        max(_ROWS_PER_VALUE * values, files.rows_at_once(dim)),
        max(_CHUNK_NUMBERS // max(lines, dim), 1),
    )
    held = max(_HELD // max(lines * values, 1), 1)
    work = partial(_states, references, search)
    with progress(f"{generated.table.source}, all events", total=generated.table.n) as bar:
        for given in files.over_chunks(work, generated, size, held=held):
            states = given.states if states is None else _together(states, given.states)
            met += [] if given.met is None else [given.met]
            bar.advance(given.n)
    assert states is not None, "samples have at least one row"
    found: dict[str, Null] = {}
    for reference, state in zip(references, states, strict=True):
        assert reference.own is not None
        n, m = (float(s.total) ** 2 / float(s.square) for s in (state, reference.own))
        for name, seen in streamed.compared(reference, state).items():
            found[name] = larger(nulls[name], seen.distance, n, m)
    return found, met


class _Given(NamedTuple):
    """The states of a chunk of n events, one against each reference, and what a search has found
    among them.
    """

    states: list[streamed.State]
    n: int
    met: Met | None


def _states(
    references: Sequence[streamed.Reference],
    search: Search | None,
    first: int,
    x: np.ndarray,
    weight: np.ndarray | None,
) -> _Given:
    met = None if search is None else search.chunk(first, x, weight)
    return _Given([streamed.state(each, x, weight) for each in references], len(x), met)


def _together(
    some: Sequence[streamed.State], others: Sequence[streamed.State]
) -> list[streamed.State]:
    return [one.plus(other) for one, other in zip(some, others, strict=True)]


def _reference(
    holdout: files.Selection, names: list[str], lines: int, *, seed: int
) -> streamed.Reference:
    """The holdout along so many lines, as much of it as fits into memory."""
    true = files.spread(holdout, min(most_holdout(holdout), _NUMBERS // lines))
    return streamed.reference(true.x, true.weight, names=names, seed=seed)
