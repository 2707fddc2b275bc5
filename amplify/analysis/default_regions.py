"""Where one looks unless told otherwise.

Averaging: all that is counted in one pass over each sample, which are regions to estimate in (ten
equiprobable bins of each column and its tails), a scan of resolutions, a map of two columns, and a
histogram of each column. Differential: everything, bulk and tails.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.conditions import Condition
from amplify.analysis.panels import Panel, panel_edges
from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.two_samples import TwoSamples
from amplify.errors import InputError
from amplify.regions.cuts import Cut, as_regions
from amplify.regions.unusual import bulk_and_unusual
from amplify.tables import files
from amplify.text import listed
from amplify.types import Events

BINS = 10  # of each column
SCAN = (2, 5, 10, 20, 50, 100)  # bins of a column, from coarse to fine
MAP_CELLS = 6  # along each of two columns
TAIL = 0.01  # share of the events in a tail
# with few training events a tail is larger, so that some of them are there
TAIL_OF_FEW, FEW = 0.05, 5000
BULK_AND_TAILS = 1000  # holdout events from which on a differential estimate looks at both


class Scan(NamedTuple):
    """Bins of a column that partition everything: which of all regions they are."""

    column: str
    bins: int
    regions: np.ndarray


class Binning(NamedTuple):
    """Reported bins of a column: its edges, and which of all regions they are."""

    column: str
    edges: np.ndarray
    regions: np.ndarray


class Map(NamedTuple):
    """The grid of two columns: its finite edges, and which of all regions its cells are."""

    columns: tuple[str, str]
    edges: tuple[np.ndarray, np.ndarray]
    regions: np.ndarray


class Layout(NamedTuple):
    """All regions that are counted, and what they are for.

    Attributes:
        regions: all of them.
        estimated: which are reported.
        scans: for the resolution.
        panels: histograms.
        map: cells of two columns.
        notes: what was left out.
        binnings: which of the reported regions are bins of a column.
    """

    regions: rg.Regions
    estimated: np.ndarray
    scans: list[Scan]
    panels: list[Panel]
    map: Map | None
    notes: list[str]
    binnings: Sequence[Binning] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the reported regions."""
        return tuple(self.regions.labels[i] for i in self.estimated)


def only(regions: rg.Regions) -> Layout:
    """These regions and nothing else."""
    return Layout(regions, np.arange(len(regions.labels)), [], [], None, [])


def make_layout(
    events: Events,
    names: Sequence[str],
    *,
    n_train: int,
    bins: int | None,
    named: rg.Regions | None,
    map_columns: tuple[int, int] | None,
    pictures: bool = True,
) -> Layout:
    """Chooses edges from some events.

    Args:
        events: the first columns are `names`; more may follow that only `named` regions look at.
        names: columns to look at.
        n_train: decides how far out the tails are.
        bins: equiprobable bins of each column; None for ten of them and both tails.
        named: a user's regions instead.
        map_columns: places of the two columns of the map.
        pictures: count for the scan of resolutions and for histograms too. Without them columns
            may have fewer bins than are asked for.
    """
    parts: list[rg.Regions] = [] if named is None else [named]
    size = 0 if named is None else len(named.labels)
    estimated, scans, panels, notes = [np.arange(size)], [], [], []
    binnings: list[Binning] = []
    for i, name in enumerate(names):
        order = np.argsort(events.x[:, i])  # once: sorting what is sorted takes no time
        x = events.x[order, i]
        weight = None if events.weight is None else events.weight[order]
        if x.min() == x.max():
            value = f"one value, {x[0]:g}, in all events that were looked at"
            notes.append(f"column {name} has {value}: it has no bins")
            continue
        ends = _Ends(size)
        if named is None and bins is not None and pictures:
            edges = rg.equiprobable_or_fewer(x, weight, bins, name)
            if len(edges) <= bins:
                fewer = f"{len(edges) - 1} bins instead of {bins}"
                notes.append(f"column {name} has few values: it has {fewer}")
            estimated.append(ends.add(edges))
            binnings.append(Binning(name, edges, estimated[-1]))
        elif named is None:
            edges = rg.quantile_edges(x, weight, bins or BINS)
            if len(edges) < 3:
                notes.append(f"column {name} has nearly always one value: it has no bins")
                continue
            estimated.append(ends.add(edges))
            binnings.append(Binning(name, edges, estimated[-1]))
            if bins is None:
                estimated += [ends.add(tail) for tail in _tails(x, weight, n_train)]
        for k in SCAN if pictures else ():
            edges = rg.quantile_edges(x, weight, k)
            if len(edges) == k + 1:
                scans.append(Scan(name, k, ends.add(edges)))
        if pictures:
            edges = panel_edges(x)
            panels.append(Panel(name, edges, ends.add(edges)))
        if not len(ends.low):
            continue
        parts.append(rg.intervals(rg.column(i), ends.low, ends.high, name))
        size += len(ends.low)
    grid = None
    if map_columns is not None:
        cells, grid = _map(events, names, map_columns, size)
        parts += cells
    regions = rg.join(*parts)
    return Layout(regions, np.concatenate(estimated), scans, panels, grid, notes, binnings)


class _Ends:
    """Ends of the bins of one column, whose places among all regions begin at an offset."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self.low = self.high = np.zeros(0)

    def add(self, edges: np.ndarray) -> np.ndarray:
        """Adds the bins between edges; returns their places among all regions."""
        begin = self._offset + len(self.low)
        self.low = np.concatenate([self.low, edges[:-1]])
        self.high = np.concatenate([self.high, edges[1:]])
        return np.arange(begin, begin + len(edges) - 1)


def differential_regions(
    question: DifferentialQuestion,
    cuts: Sequence[Cut],
    two: TwoSamples,
    holdout: Events,
    condition: Condition | None = None,
) -> rg.Regions:
    """Everything first; then those of the condition, the user's regions, bins of each column, or
    bulk and tails.
    """
    everything = rg.mask(lambda x: np.ones(len(x), bool), "all")
    if condition is not None:
        return rg.join(everything, condition.regions())
    if isinstance(question.regions, rg.Regions):
        return rg.join(everything, question.regions)
    if cuts:
        return rg.join(everything, as_regions(cuts, two.generated.names))
    if question.bins is not None:
        edges = [
            rg.equiprobable_or_fewer(holdout.x[:, i], holdout.weight, question.bins, name)
            for i, name in enumerate(two.names)
        ]
        bins = [rg.bins(rg.column(i), edges[i], name) for i, name in enumerate(two.names)]
        return rg.join(everything, *bins)
    if len(holdout.x) >= BULK_AND_TAILS and two.names:
        looked_at = holdout.x[:, : len(two.names)]
        if len(two.names) > files.MANY:
            return rg.join(everything, bulk_and_unusual(looked_at, holdout.weight))
        return rg.join(everything, rg.bulk_and_tails(looked_at, holdout.weight))
    return rg.join(everything)


def map_places(columns: tuple[str, str] | None, names: Sequence[str]) -> tuple[int, int] | None:
    """Places of the two columns of the map: those that were asked for, else the first two.

    Raises:
        InputError: a column that is not looked at, or one twice.
    """
    if columns is None:
        return (0, 1) if len(names) > 1 else None
    for name in columns:
        if name not in names:
            expected = f"two of the columns {listed(names)}"
            raise InputError("--map", expected, name, "name it with --columns too")
    if columns[0] == columns[1]:
        raise InputError("--map", "two different columns", f"{columns[0]} twice", "choose another")
    return names.index(columns[0]), names.index(columns[1])


def _map(
    events: Events, names: Sequence[str], places: tuple[int, int], size: int
) -> tuple[list[rg.Regions], Map | None]:
    """The cells of two columns; none where one of them has too few values."""
    a, b = places
    edges_a, edges_b = (rg.quantile_edges(events.x[:, i], events.weight, MAP_CELLS) for i in places)
    if min(len(edges_a), len(edges_b)) <= 2:
        return [], None
    columns = names[a], names[b]
    cells = rg.cells(rg.column(a), rg.column(b), (edges_a, edges_b), columns)
    drawn = _drawn(edges_a, events.x[:, a]), _drawn(edges_b, events.x[:, b])
    return [cells], Map(columns, drawn, size + np.arange(len(cells.labels)))


def _tails(x: np.ndarray, weight: np.ndarray | None, n_train: int) -> list[np.ndarray]:
    """Both ends of a column, where it has ends: more than few values."""
    share = TAIL if n_train >= FEW else TAIL_OF_FEW
    inner = rg.quantile_edges(x, weight, round(1 / share))[1:-1]
    if len(inner) < 2 * BINS - 1:
        return []
    return [np.array([-np.inf, inner[0]]), np.array([inner[-1], np.inf])]


def _drawn(edges: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Finite edges for a picture: open ends stop where one event in a thousand is left."""
    low, high = np.quantile(x, [0.001, 0.999])
    return np.concatenate([[min(low, edges[1])], edges[1:-1], [max(high, edges[-2])]])
