"""All of a holdout that memory cannot hold, in one pass: how much of it is on either side of a
threshold is counted, and a sketch stands for the values that calibrated KS looks at.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.inside import MASKS
from amplify.analysis.tallies import RegionSummary, Rows
from amplify.estimators.distances import Tally
from amplify.estimators.kolmogorov import Counts, count_between
from amplify.estimators.sketches import Piece, Sketch, condensed, groups_for
from amplify.progress import Progress
from amplify.summaries import Summary
from amplify.tables import files
from amplify.text import number

_Look = tuple[Summary | None, float, bool]  # a summary, its threshold, whether a sketch is needed


class Tested(NamedTuple):
    """What all of the holdout left.

    Attributes:
        regions: how each is looked at, with what stands for the holdout there.
        unknown: how far off its distribution function may be in each.
        n: events.
        negative: negative weights.
    """

    regions: list[RegionSummary]
    unknown: list[float]
    n: int
    negative: int


class _Part(NamedTuple):
    """What is kept of some events in a region. Additive.

    Attributes:
        total: of their weights.
        square: of the squares.
        low: at or below the threshold.
        low_square: squared weights there.
    """

    total: Any
    square: Any
    low: Any
    low_square: Any


class _Chunk(NamedTuple):
    """Of a chunk: sums and values in each region, its events, its negative weights."""

    parts: list[_Part]
    pieces: list[Piece | None]
    n: int
    negative: int


def on_all(
    chosen: Sequence[RegionSummary],
    regions: rg.Regions,
    holdout: files.Selection,
    rows: Rows,
    *,
    error: float,
    by_values: bool,
    progress: Progress,
) -> Tested:
    """The regions as they were chosen, tested on all these rows of the holdout.

    Args:
        chosen: how each region is looked at.
        regions: everything first.
        holdout: the true events.
        rows: those that did not teach.
        error: of the distribution function of a summary, at most.
        by_values: calibrated KS, which looks at the values in every region; a threshold only counts
            them, and everything has values for the pictures.
        progress: watches.
    """
    at_once = min(files.rows_at_once(len(holdout.columns)), max(MASKS // len(chosen), 1))
    chunks = sum(-(-(stop - start) // at_once) for start, stop in rows)
    groups = groups_for(error, chunks)
    looks: list[_Look] = [
        (c.summary, c.threshold, by_values or r == 0) for r, c in enumerate(chosen)
    ]
    sums = [_Part(*[0] * len(_Part._fields)) for _ in chosen]
    sketches = [Sketch(groups) for _ in chosen]
    n = negative = 0
    with progress("reading the holdout", total=sum(stop - start for start, stop in rows)) as bar:
        look = partial(_looked_at, regions, looks, groups)
        for chunk in files.over_chunks(look, holdout, at_once, rows=rows):
            for r, (part, piece) in enumerate(zip(chunk.parts, chunk.pieces, strict=True)):
                sums[r] = _Part(*(a + b for a, b in zip(sums[r], part, strict=True)))
                if piece is not None:
                    sketches[r] = sketches[r].plus(piece)
            n, negative = n + chunk.n, negative + chunk.negative
            bar.advance(chunk.n)
    tested = [_tested(*each) for each in zip(chosen, sums, sketches, strict=True)]
    return Tested([c for c, _ in tested], [bound for _, bound in tested], n, negative)


def view(tested: Tested, error: float, *, by_values: bool) -> dict[str, Any]:
    """What results.json says of it."""
    return {
        "error_at_most": error,
        "holdout_events": tested.n,
        "distance_error": tested.unknown if by_values else [0.0] * len(tested.unknown),
        "values": [len(region.grid) for region in tested.regions],
    }


def notes(tested: Tested, *, by_values: bool) -> list[str]:
    """What a reader should know."""
    if not by_values:
        return []
    largest = max(tested.unknown)
    what = f"{number(len(tested.regions[0].grid))} values stand for the {tested.n:,} holdout events"
    return [f"{what} (--approximate): distances are off by {largest:.1e} at most, intervals allow"]


def _looked_at(
    regions: rg.Regions,
    looks: Sequence[_Look],
    groups: int,
    _: int,
    x: np.ndarray,
    weight: np.ndarray | None,
) -> _Chunk:
    inside = np.ascontiguousarray(np.asarray(regions.contains(x)).T)
    common = looks[0][0]
    of_all = None if common is None else common(x)
    parts, pieces = [], []
    for mask, (summary, threshold, by_values) in zip(inside, looks, strict=True):
        if summary is None:
            parts.append(_Part(*[0] * len(_Part._fields)))
            pieces.append(None)
            continue
        within = slice(None) if mask.all() else mask
        t = summary(x[within]) if of_all is None or summary is not common else of_all[within]
        w = None if weight is None else weight[within]
        parts.append(_part(t, w, threshold))
        pieces.append(condensed(t, w, groups) if by_values else None)
    return _Chunk(parts, pieces, len(x), 0 if weight is None else int((weight < 0).sum()))


def _part(t: np.ndarray, w: np.ndarray | None, threshold: float) -> _Part:
    below = t <= threshold
    if w is None:
        low, n = int(np.count_nonzero(below)), len(t)
        return _Part(n, n, low, low)
    return _Part(w.sum(), w @ w, w @ below, (w * w) @ below)


def _tested(region: RegionSummary, part: _Part, sketch: Sketch) -> tuple[RegionSummary, float]:
    """The region with the tally of the holdout, and how far off its distribution function may
    be.
    """
    if region.summary is None:
        return region, 0.0
    piece = sketch.finished()
    grid = np.unique(piece.values) if len(piece.values) else np.zeros(1)
    counts = count_between(grid, piece.values, piece.weights)
    total, square = np.asarray(part.total), np.asarray(part.square)
    tally = Tally(Counts(counts.below, counts.up_to, total, square), part.low, part.low_square)
    bound = float(piece.error / total) if total > 0 else 0.0
    return region._replace(grid=grid, holdout=tally), bound
