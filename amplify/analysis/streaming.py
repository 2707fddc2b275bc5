"""From files to tallies, region by region: which rows teach a summary, which are tested, and one
pass over the generated events.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.view import Panels
from amplify.estimators import differential as df
from amplify.estimators.kolmogorov import distance_between
from amplify.progress import progress_bar
from amplify.summaries import Learner, Summary
from amplify.tables import files
from amplify.tables.parallel import in_order
from amplify.types import Events

LOOKED_AT = 400_000  # generated events kept for maps and correlations

Rows = list[tuple[int, int]]  # [start, stop)


class Region(NamedTuple):
    """The summary of a region, None where too few events teach; the sorted values of the holdout
    events inside, and their tally.
    """

    summary: Summary | None
    threshold: float
    grid: np.ndarray
    holdout: df.Tally


class Pieces(NamedTuple):
    """What a chunk gave: its events, a list of tallies for each region, negative weights, and
    counts for panels.
    """

    events: Events
    tallies: list[list[df.Tally]]
    negative: int
    shown: rg.Sums | None


class Found(NamedTuple):
    """The generated events of a region: their tally; of everything, (n, KS distance) as the sample
    grew, some events to look at, and negative weights.
    """

    total: df.Tally
    grown: list[tuple[float, float]]
    looked: Events
    negative: int


def spread_blocks(n: int, n_teach: int, most: int = 64) -> tuple[Rows, Rows]:
    """Rows that teach and rows that are tested: blocks spread over the file, in case its events
    come in an order.
    """
    if n_teach == 0:
        return [], [(0, n)]
    count = min(most, n_teach)
    starts = [k * n // count for k in range(count + 1)]
    teach = [(start, start + n_teach // count) for start in starts[:-1]]
    return teach, [
        (stop, after) for (_, stop), after in zip(teach, starts[1:], strict=True) if stop < after
    ]


def load_rows(selection: files.Selection, rows: Rows) -> Events:
    """The events of these rows, in memory."""
    return _joined(
        [files.load(selection, start=start, stop=stop) for start, stop in rows],
        len(selection.columns),
    )


def fractions_in(regions: rg.Regions, selection: files.Selection) -> rg.Fractions:
    """Fractions of a sample's events in the regions, chunk by chunk."""
    total = None
    for block, weight in files.chunks(selection):
        part = rg.count(regions, block, weight)
        total = part if total is None else total.plus(part)
    assert total is not None, "samples have at least one row"
    return rg.fractions(total, regions.labels)


def learned_regions(
    learner: Learner,
    regions: rg.Regions,
    first: Events,
    teach: Events,
    test: Events,
    learned: Any,
    *,
    own: bool,
) -> list[Region]:
    """Learns the summary of each region from the `learned` columns of the generated (`first`) and
    true (`teach`) events inside.

    Without `own` summaries, all regions look at the ratio that was learned of everything; in each
    its zero is where those events say.
    """
    found: list[Region] = []
    inside = [np.asarray(regions.contains(part.x)) for part in (first, teach, test)]
    with progress_bar("learning", total=len(regions.labels)) as bar:
        for r in range(len(regions.labels)):
            a, b, tested = (
                part.take(mask[:, r])
                for part, mask in zip((first, teach, test), inside, strict=True)
            )
            if r > 0 and not own and found[0].summary is not None:
                shares = [
                    rg.fractions(rg.count(regions, part.x, part.weight), regions.labels).integral[r]
                    for part in (first, teach)
                ]
                found.append(
                    _region(found[0].summary, df.region_threshold(*map(float, shares)), tested)
                )
            elif min(len(a.x), len(b.x)) < 20:
                found.append(Region(None, 0.0, np.zeros(1), df.tally(np.zeros(1), np.zeros(0))))
            else:
                summary = learner(a.x[:, learned], b.x[:, learned], a.weight, b.weight)
                found.append(
                    _region(lambda x, summary=summary: summary(x[:, learned]), 0.0, tested)
                )
            bar.advance(1)
    return found


def column_regions(
    index: int, method: df.Method, regions: rg.Regions, generated: files.Selection, test: Events
) -> list[Region]:
    """A column as the summary, in single precision so that both files round alike. A ratio of
    densities cut to a region has its zero elsewhere.
    """

    def summary(x: np.ndarray) -> np.ndarray:
        return x[:, index].astype(np.float32)

    count = len(regions.labels)
    threshold = np.zeros(count)
    if method == "threshold" and count > 1:
        shares = (
            fractions_in(regions, generated).integral,
            rg.fractions(rg.count(regions, test.x, test.weight), regions.labels).integral,
        )
        threshold = np.array(
            [df.region_threshold(float(a), float(b)) for a, b in zip(*shares, strict=True)]
        )
    inside = np.asarray(regions.contains(test.x))
    return [_region(summary, float(threshold[r]), test.take(inside[:, r])) for r in range(count)]


def stream(
    generated: files.Selection,
    rows: Rows,
    regions: rg.Regions,
    summaries: Sequence[Region],
    panels: Panels,
) -> list[Found]:
    """Tallies these generated events chunk by chunk; `panels` count each chunk too."""

    def pieces(first: bool, x: np.ndarray, w: np.ndarray | None) -> Pieces:
        inside = np.asarray(regions.contains(x))
        common = summaries[0].summary
        whole = None if common is None else common(x)
        tallies: list[list[df.Tally]] = []
        for r, region in enumerate(summaries):
            if region.summary is None:
                tallies.append([])
                continue
            within = slice(None) if inside[:, r].all() else inside[:, r]
            t = (
                whole[within]
                if region.summary is common and whole is not None
                else region.summary(x[within])
            )
            weight = None if w is None else w[within]
            cuts = _growing(len(t)) if first and r == 0 else [slice(0, len(t))]
            tallies.append(
                [
                    df.tally(
                        region.grid,
                        t[cut],
                        None if weight is None else weight[cut],
                        threshold=region.threshold,
                    )
                    for cut in cuts
                ]
            )
        return Pieces(
            Events(x, w), tallies, 0 if w is None else int((w < 0).sum()), panels.count(x, w)
        )

    totals: list[df.Tally | None] = [None] * len(summaries)
    grown: list[tuple[float, float]] = []
    looked: list[Events] = []
    done, due, negative = 0, 100.0, 0
    chunks = (
        chunk for start, stop in rows for chunk in files.chunks(generated, start=start, stop=stop)
    )
    numbered = ((k == 0, *chunk) for k, chunk in enumerate(chunks))
    with progress_bar(
        "reading generated events", total=sum(stop - start for start, stop in rows)
    ) as bar:
        for part in in_order(pieces, numbered):
            for r, tallies in enumerate(part.tallies):
                for tally in tallies:
                    before = totals[r]
                    total = totals[r] = tally if before is None else before.plus(tally)
                    size = float(total.counts.n_effective) if total.counts.total > 0 else 0.0
                    if r == 0 and size >= due:
                        grown.append(
                            (
                                size,
                                float(distance_between(total.counts, summaries[r].holdout.counts)),
                            )
                        )
                        due = size * 10**0.25
            if done < LOOKED_AT:
                looked.append(part.events)
            panels.add(part.shown)
            negative += part.negative
            done += len(part.events.x)
            bar.advance(len(part.events.x))
    seen = _joined(looked, len(generated.columns))
    nothing = np.zeros(0)
    return [
        Found(
            df.tally(summaries[r].grid, nothing) if total is None else total, grown, seen, negative
        )
        for r, total in enumerate(totals)
    ]


def _region(summary: Summary, threshold: float, tested: Events) -> Region:
    t = summary(tested.x)
    grid = np.unique(t) if len(t) else np.zeros(1)
    return Region(summary, threshold, grid, df.tally(grid, t, tested.weight, threshold=threshold))


def _growing(n: int) -> list[slice]:
    """A chunk in pieces whose ends grow by 10^(1/4) from 100 events."""
    ends = [end for end in (100 * 10 ** (np.arange(60) / 4)).astype(int) if end < n]
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


def _joined(parts: Sequence[Events], columns: int) -> Events:
    if not parts:
        return Events(np.zeros((0, columns)))
    weights = [part.weight for part in parts if part.weight is not None]
    return Events(
        np.concatenate([part.x for part in parts]), np.concatenate(weights) if weights else None
    )
