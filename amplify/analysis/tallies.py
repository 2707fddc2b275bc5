"""From samples to tallies, region by region: which rows teach a summary, which are tested, and one
pass over the generated events.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.conditions import Condition
from amplify.analysis.inside import MASKS, rows_inside
from amplify.analysis.panels import Panels
from amplify.analysis.ranked import ranked
from amplify.estimators import differential as df
from amplify.estimators.kolmogorov import distance_between
from amplify.progress import Progress
from amplify.summaries import Learner, Summary
from amplify.tables import files
from amplify.tables.marks import Met, Search
from amplify.types import Events

LOOKED_AT = 400_000  # generated events kept for maps and correlations
_MOST_LOOKED_AT = 1 << 24  # numbers of them
FEWEST_THAT_TEACH = 20  # generated or true events in a region
_ROWS_PER_VALUE = 4  # of the holdout, in a chunk
_MOST_ROWS, _MOST_NUMBERS = 1 << 21, 1 << 24
_HELD = 1 << 22  # rows of chunks whose tallies wait for their turn, in each thread
_FIRST, _GROWTH = 100.0, 10**0.25  # the distance of the growing sample is noted from, by

Rows = list[tuple[int, int]]  # [start, stop)


class RegionSummary(NamedTuple):
    """How a region is looked at.

    Attributes:
        summary: one number per event; None where too few events teach.
        threshold: of it.
        grid: the sorted values of the holdout events inside.
        holdout: their tally.
    """

    summary: Summary | None
    threshold: float
    grid: np.ndarray
    holdout: df.Tally


class Streamed(NamedTuple):
    """What the generated events left.

    Attributes:
        totals: their tally in each region.
        grown: (n, KS distance) of everything as the sample grew.
        looked_at: some events, in memory.
        negative: negative weights.
        met: what a search has found, chunk by chunk.
    """

    totals: list[df.Tally]
    grown: list[tuple[float, float]]
    looked_at: Events
    negative: int
    met: Sequence[Met] = ()


class _Chunk(NamedTuple):
    """What a chunk gave: how many events, these where they are looked at, tallies of its pieces in
    each region, negative weights, counts for panels, and what a search has found.
    """

    n: int
    events: Events | None
    tallies: list[list[df.Tally]]
    negative: int
    shown: rg.Sums | None
    met: Met | None


def spread_blocks(n: int, n_teach: int, most: int = 64) -> tuple[Rows, Rows]:
    """Rows that teach and rows that are tested: blocks spread over the file, in case its events
    come in an order.
    """
    if n_teach == 0:
        return [], [(0, n)]
    count = min(most, n_teach)
    starts = [k * n // count for k in range(count + 1)]
    teach = [(start, start + n_teach // count) for start in starts[:-1]]
    between = [(stop, after) for (_, stop), after in zip(teach, starts[1:], strict=True)]
    return teach, [(start, stop) for start, stop in between if start < stop]


def load_rows(selection: files.Selection, rows: Rows) -> Events:
    """The events of these rows, in memory."""
    as_read = files.kept_as_read(selection)
    parts = [files.load(selection, start=start, stop=stop, as_read=as_read) for start, stop in rows]
    return _joined(parts, len(selection.columns))


def fractions_in(regions: rg.Regions, selection: files.Selection) -> rg.Fractions:
    """Fractions of a sample's events in the regions, chunk by chunk."""
    total = None
    for sums in files.over_chunks(partial(_sums_of_chunk, regions), selection):
        total = sums if total is None else total.plus(sums)
    assert total is not None, "samples have at least one row"
    return rg.fractions(total, regions.labels)


def _sums_of_chunk(
    regions: rg.Regions, _: int, x: np.ndarray, weight: np.ndarray | None
) -> rg.Sums:
    return rg.count(regions, x, weight)


def learned_summaries(
    learner: Learner,
    regions: rg.Regions,
    first: Events,
    teach: Events,
    test: Events,
    learned: Any,
    *,
    own: bool,
    same_condition: bool = False,
    progress: Progress,
) -> list[RegionSummary]:
    """Learns the summary of each region from the events inside.

    Args:
        learner: of the summary.
        regions: everything first.
        first: generated events that teach.
        teach: true events that teach.
        test: true events that are tested.
        learned: which columns the learner sees.
        own: every region learns a summary of its own. Otherwise all look at the ratio that was
            learned of everything; in each its zero is where the teaching events say.
        same_condition: regions are those of a condition, which both samples have the same share of:
            zero stays zero.
        progress: of the learning.
    """
    summaries: list[RegionSummary] = []
    inside = [rows_inside(regions, events.x) for events in (first, teach, test)]
    shares = [_fractions_of(regions, events) for events in (first, teach)]
    of_all: np.ndarray | None = None
    with progress("learning", total=len(regions.labels)) as bar:
        for r in range(len(regions.labels)):
            in_gen, in_true, in_test = (rows[r] for rows in inside)
            everything = summaries[0].summary if r > 0 and not own else None
            if everything is not None and of_all is not None:
                threshold = 0.0
                if not same_condition:
                    threshold = df.region_threshold(*(float(share[r]) for share in shares))
                tested = _Tested(of_all, test.weight, keep=False).take(in_test)
                summaries.append(_region(everything, threshold, tested))
            else:
                taught = first.take(in_gen), teach.take(in_true)
                if min(len(events.x) for events in taught) < FEWEST_THAT_TEACH:
                    summaries.append(_nothing())
                else:
                    summary = _learned(learner, *taught, learned)
                    events = test.take(in_test)
                    tested = _Tested(summary(events.x), events.weight, keep=r == 0)
                    of_all = tested.t if r == 0 else of_all
                    summaries.append(_region(summary, 0.0, tested))
            bar.advance(1)
    return summaries


def column_summaries(
    index: int,
    method: df.Method,
    regions: rg.Regions,
    generated: files.Selection,
    test: Events,
    condition: Condition | None = None,
) -> list[RegionSummary]:
    """A column as the summary, in the precision in which both samples are read; an observable at a
    condition is its rank among generated events of the same condition. A ratio of densities cut to
    a region has its zero elsewhere.
    """

    def summary(x: np.ndarray) -> np.ndarray:
        return x[:, index]

    if condition is not None and method == "ks":
        summary = ranked(index, files.spread(generated, LOOKED_AT), len(condition.share))
    count = len(regions.labels)
    thresholds = [0.0] * count
    if method == "threshold" and count > 1 and condition is None:
        of_gen = fractions_in(regions, generated).integral
        of_test = _fractions_of(regions, test)
        pairs = zip(of_gen, of_test, strict=True)
        thresholds = [df.region_threshold(float(a), float(b)) for a, b in pairs]
    t, several = summary(test.x), method == "ks"
    rows = rows_inside(regions, test.x)
    tested = [_Tested(t, test.weight, keep=several or r == 0).take(rows[r]) for r in range(count)]
    return [_region(summary, *pair) for pair in zip(thresholds, tested, strict=True)]


def stream(
    generated: files.Selection,
    rows: Rows,
    regions: rg.Regions,
    summaries: Sequence[RegionSummary],
    panels: Panels,
    progress: Progress,
    search: Search | None = None,
) -> Streamed:
    """Tallies these generated events chunk by chunk; `panels` count each chunk too, and events are
    searched for in their first columns.
    """
    totals: list[df.Tally | None] = [None] * len(summaries)
    grown: list[tuple[float, float]] = []
    looked_at: list[Events] = []
    done, due, negative = 0, _FIRST, 0
    columns, size = len(generated.columns), sum(stop - start for start, stop in rows)
    most_kept = min(LOOKED_AT, _MOST_LOOKED_AT // columns)
    at_once = _rows_at_once(columns, summaries)
    kept = _row(rows, most_kept)
    work = _Work(regions, tuple(summaries), panels.regions, rows[0][0], kept, search)
    met: list[Met] = []
    held = max(_HELD // max(at_once, 1), 1)
    with progress("reading generated events", total=size) as bar:
        for chunk in files.over_chunks(work.of_chunk, generated, at_once, rows=rows, held=held):
            for r, pieces in enumerate(chunk.tallies):
                for piece in pieces:
                    before = totals[r]
                    total = totals[r] = piece if before is None else before.plus(piece)
                    counts = total.counts
                    n = float(counts.n_effective) if counts.total > 0 else 0.0
                    if r == 0 and n >= due:
                        distance = distance_between(counts, summaries[r].holdout.counts)
                        grown.append((n, float(distance)))
                        due = n * _GROWTH
            if done < most_kept and chunk.events is not None:
                looked_at.append(chunk.events)
            if chunk.met is not None:
                met.append(chunk.met)
            panels.add(chunk.shown)
            negative += chunk.negative
            done += chunk.n
            bar.advance(chunk.n)
    empty = [df.tally(s.grid, np.zeros(0)) for s in summaries]
    complete = [e if t is None else t for t, e in zip(totals, empty, strict=True)]
    return Streamed(complete, grown, _joined(looked_at, columns), negative, met)


class _Work(NamedTuple):
    """What is done with a chunk of generated events.

    Attributes:
        regions: everything first.
        summaries: how each is looked at.
        shown: bins of the panels, or None.
        first: the first row of all.
        kept: the row from which on events are not looked at.
        search: for events that should not be there, or None.
    """

    regions: rg.Regions
    summaries: tuple[RegionSummary, ...]
    shown: rg.Regions | None
    first: int
    kept: int
    search: Search | None

    def of_chunk(self, row: int, x: np.ndarray, weight: np.ndarray | None) -> _Chunk:
        """Of the events x from this row on."""
        events = None
        if row < self.kept:
            some = slice(files.CHUNK)
            events = Events(x[some], None if weight is None else weight[some])
        return _Chunk(
            len(x),
            events,
            _tallies(self.regions, self.summaries, x, weight, row == self.first),
            0 if weight is None else int((weight < 0).sum()),
            None if self.shown is None else rg.count(self.shown, x, weight),
            None if self.search is None else self.search.chunk(row, x, weight),
        )


def _rows_at_once(columns: int, summaries: Sequence[RegionSummary]) -> int:
    """Rows of a chunk: more of them where counting between the values of a large holdout takes
    longer than all else.
    """
    usual = files.rows_at_once(columns)
    values = max(len(region.grid) for region in summaries)
    wanted = min(_ROWS_PER_VALUE * values, _MOST_ROWS, _MOST_NUMBERS // columns)
    return min(max(usual, wanted), max(MASKS // len(summaries), 1))


def _row(rows: Rows, n: int) -> int:
    """The row before which n of these rows are."""
    for start, stop in rows:
        if n <= stop - start:
            return start + n
        n -= stop - start
    return rows[-1][1]


def _tallies(
    regions: rg.Regions,
    summaries: Sequence[RegionSummary],
    x: np.ndarray,
    weight: np.ndarray | None,
    is_first: bool,
) -> list[list[df.Tally]]:
    """Tallies of a chunk in each region; everything of the first chunk comes in growing pieces."""
    inside = np.ascontiguousarray(np.asarray(regions.contains(x)).T)
    common = summaries[0].summary
    of_all = None if common is None else common(x)
    tallies: list[list[df.Tally]] = []
    for r, region in enumerate(summaries):
        if region.summary is None:
            tallies.append([])
            continue
        within = slice(None) if inside[r].all() else inside[r]
        if of_all is not None and region.summary is common:
            t = of_all[within]
        else:
            t = region.summary(x[within])
        w = None if weight is None else weight[within]
        cuts = _growing(len(t)) if is_first and r == 0 else [slice(0, len(t))]
        tallies.append(
            [
                df.tally(
                    region.grid,
                    t[cut],
                    None if w is None else w[cut],
                    threshold=region.threshold,
                )
                for cut in cuts
            ]
        )
    return tallies


def _learned(learner: Learner, generated: Events, true: Events, columns: Any) -> Summary:
    """The summary of all columns that looks at those which the learner saw."""
    summary = learner(generated.x[:, columns], true.x[:, columns], generated.weight, true.weight)
    return lambda x: summary(x[:, columns])


def _fractions_of(regions: rg.Regions, events: Events) -> np.ndarray:
    sums = rg.count(regions, events.x, events.weight)
    return rg.fractions(sums, regions.labels).integral


class _Tested(NamedTuple):
    """Values of the summary of tested events [n], their weights, and whether the values themselves
    are needed later, or only how many are below the threshold.
    """

    t: np.ndarray
    weight: np.ndarray | None
    keep: bool

    def take(self, rows: Any) -> "_Tested":
        """Those of these rows."""
        weight = None if self.weight is None else self.weight[rows]
        return self._replace(t=self.t[rows], weight=weight)


def _region(summary: Summary, threshold: float, tested: _Tested) -> RegionSummary:
    t = tested.t
    grid = np.unique(t) if len(t) and tested.keep else np.zeros(1)
    tally = df.tally(grid, t, tested.weight, threshold=threshold)
    return RegionSummary(summary, threshold, grid, tally)


def _nothing() -> RegionSummary:
    """Too few events teach."""
    return RegionSummary(None, 0.0, np.zeros(1), df.tally(np.zeros(1), np.zeros(0)))


def _growing(n: int) -> list[slice]:
    """A chunk in pieces whose ends grow by 10^(1/4) from 100 events."""
    sizes = (100 * 10 ** (np.arange(60) / 4)).astype(int)
    ends = [end for end in sizes if end < n]
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


def _joined(parts: Sequence[Events], columns: int) -> Events:
    if not parts:
        return Events(np.zeros((0, columns)))
    weights = [part.weight for part in parts if part.weight is not None]
    x = np.concatenate([part.x for part in parts])
    return Events(x, np.concatenate(weights) if weights else None)
