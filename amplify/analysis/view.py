"""What is counted in one pass over each sample: regions to estimate in, a resolution scan, a map of
two columns, and a histogram of each column.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.errors import InputError
from amplify.types import Events

SCAN = (2, 5, 10, 20, 50, 100)  # bins of a column
BINS = 10
MAP_CELLS = 6  # along each of two columns
PANEL_BINS = 40
_TAIL, _TAIL_OF_FEW, _FEW = (
    0.01,
    0.05,
    5000,
)  # share of the events in a tail; of a small training sample, so that some of its events are there


class Scan(NamedTuple):
    """Bins of a column that partition everything: which of all regions they are."""

    column: str
    bins: int
    regions: np.ndarray


class Panel(NamedTuple):
    """The histogram of a column: its edges, and which of all regions its bins are."""

    column: str
    edges: np.ndarray
    regions: np.ndarray


class Map(NamedTuple):
    """The grid of two columns: its finite edges, and which of all regions its cells are."""

    columns: tuple[str, str]
    edges: tuple[np.ndarray, np.ndarray]
    regions: np.ndarray


class View(NamedTuple):
    """All regions that are counted, and what they are for. The first `estimated` ones are reported;
    `notes` say what was left out.
    """

    regions: rg.Regions
    estimated: np.ndarray
    scans: list[Scan]
    panels: list[Panel]
    map: Map | None
    notes: list[str]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the reported regions."""
        return tuple(self.regions.labels[i] for i in self.estimated)


def make_view(
    events: Events,
    names: Sequence[str],
    *,
    n_train: int,
    bins: int | None,
    named: rg.Regions | None,
    map_columns: tuple[int, int] | None,
) -> View:
    """Chooses edges from some events.

    Args:
        events: the first columns are `names`; more may follow that only `named` regions look at.
        names: columns to look at.
        n_train: decides how far out the tails are.
        bins: equiprobable bins of each column; None for ten of them and both tails.
        named: a user's regions instead.
        map_columns: places of the two columns of the map.
    """
    parts: list[rg.Regions] = [] if named is None else [named]
    size = 0 if named is None else len(named.labels)
    estimated, scans, panels, notes = [np.arange(size)], [], [], []
    for i, name in enumerate(names):
        order = np.argsort(events.x[:, i])  # once: sorting what is sorted takes no time
        x, weight = events.x[order, i], None if events.weight is None else events.weight[order]
        bounds: list[np.ndarray] = []

        def add(
            edges: np.ndarray, bounds: list[np.ndarray] = bounds, offset: int = size
        ) -> np.ndarray:
            """Adds the bins between edges; their places among all regions."""
            begin = offset + sum(map(len, bounds))
            bounds.append(np.stack([edges[:-1], edges[1:]], axis=1))
            return np.arange(begin, begin + len(edges) - 1)

        if x.min() == x.max():
            notes.append(
                f"column {name} has one value, {x[0]:g}, in all events that were looked at: it has no bins"
            )
            continue
        if named is None:
            if bins is not None:
                estimated.append(add(rg.equiprobable_edges(x, weight, bins, name)))
            else:
                edges = rg.quantile_edges(x, weight, BINS)
                if len(edges) < 3:
                    notes.append(f"column {name} has nearly always one value: it has no bins")
                    continue
                estimated += [add(edges), *(add(tail) for tail in _tails(x, weight, n_train))]
        for k in SCAN:
            edges = rg.quantile_edges(x, weight, k)
            if len(edges) == k + 1:
                scans.append(Scan(name, k, add(edges)))
        panels.append(Panel(name, panel_edges(x), add(panel_edges(x))))
        low, high = np.concatenate(bounds).T
        parts.append(rg.intervals(rg.column(i), low, high, name))
        size += len(low)
    grid = None
    if map_columns is not None:
        a, b = map_columns
        edges = [rg.quantile_edges(events.x[:, i], events.weight, MAP_CELLS) for i in (a, b)]
        if min(map(len, edges)) > 2:
            cells = rg.cells(rg.column(a), rg.column(b), edges, (names[a], names[b]))
            parts.append(cells)
            grid = Map(
                (names[a], names[b]),
                (_drawn(edges[0], events.x[:, a]), _drawn(edges[1], events.x[:, b])),
                size + np.arange(len(cells.labels)),
            )
    return View(rg.join(*parts), np.concatenate(estimated), scans, panels, grid, notes)


def map_columns(columns: tuple[str, str] | None, names: Sequence[str]) -> tuple[int, int] | None:
    """Places of the two columns of the map: those that were asked for, else the first two.

    Raises:
        InputError: a column that is not looked at, or one twice.
    """
    if columns is None:
        return (0, 1) if len(names) > 1 else None
    for name in columns:
        if name not in names:
            raise InputError(
                "--map",
                f"two of the columns {', '.join(names)}",
                name,
                "name it with --columns too",
            )
    if columns[0] == columns[1]:
        raise InputError("--map", "two different columns", f"{columns[0]} twice", "choose another")
    return names.index(columns[0]), names.index(columns[1])


class Panels:
    """Histograms of columns, filled chunk by chunk with generated events beside those of a
    holdout.
    """

    def __init__(self, names: Sequence[str], holdout: Events) -> None:
        columns = [
            i
            for i in range(len(names))
            if len(holdout.x) and holdout.x[:, i].min() < holdout.x[:, i].max()
        ]
        edges = [panel_edges(holdout.x[:, i]) for i in columns]
        ends = np.cumsum([0, *(len(e) - 1 for e in edges)])
        self._panels = [
            Panel(names[i], e, np.arange(a, b))
            for i, e, a, b in zip(columns, edges, ends, ends[1:], strict=False)
        ]
        parts = [rg.bins(rg.column(i), e, names[i]) for i, e in zip(columns, edges, strict=True)]
        self._regions = rg.join(*parts) if parts else None
        self._holdout = (
            rg.count(self._regions, holdout.x, holdout.weight) if self._regions else None
        )
        self._generated: rg.Sums | None = None

    def count(self, x: np.ndarray, weight: np.ndarray | None) -> rg.Sums | None:
        """Counts a chunk of generated events."""
        return None if self._regions is None else rg.count(self._regions, x, weight)

    def add(self, counted: rg.Sums | None) -> None:
        """Adds what was counted."""
        self._generated = (
            counted if self._generated is None or counted is None else self._generated.plus(counted)
        )

    def finished(self) -> list[dict[str, Any]]:
        """The panels for results.json."""
        generated = self._generated
        return (
            []
            if generated is None or not generated.weight > 0
            else [panel(p, generated, self._holdout) for p in self._panels]
        )


def panel_edges(x: np.ndarray) -> np.ndarray:
    """Bins of equal width that show all but the outer half per mille; around the values where there
    are few.
    """
    values = np.unique(x)
    if len(values) <= PANEL_BINS:
        middle = (values[1:] + values[:-1]) / 2
        return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    low, high = np.quantile(x, [0.0005, 0.9995])
    if not low < high:
        low, high = values[0], values[-1]
    return np.linspace(low, high, PANEL_BINS + 1)


def panel(
    part: Panel, generated: rg.Sums, holdout: rg.Sums | None, members: np.ndarray | None = None
) -> dict[str, Any]:
    """The panel for results.json: shares of all events, errors sqrt(sum w^2) / sum w, and the
    central 68 % of the members' shares [member, bin].
    """
    low, high = (None, None) if members is None else np.quantile(members, [0.16, 0.84], axis=0)
    shares = {"generated": generated} | ({} if holdout is None else {"holdout": holdout})
    found: dict[str, Any] = {
        "column": part.column,
        "edges": part.edges,
        "holdout": None,
        "holdout_error": None,
    }
    for name, sums in shares.items():
        found |= {
            name: sums.weight_inside[part.regions] / sums.weight,
            f"{name}_error": np.sqrt(sums.square_inside[part.regions]) / sums.weight,
        }
    return found | {"members_low": low, "members_high": high}


def _tails(x: np.ndarray, weight: np.ndarray | None, n_train: int) -> list[np.ndarray]:
    """Both ends of a column, where it has ends: more than few values."""
    inner = rg.quantile_edges(x, weight, round(1 / (_TAIL if n_train >= _FEW else _TAIL_OF_FEW)))[
        1:-1
    ]
    if len(inner) < 2 * BINS - 1:
        return []
    return [np.array([-np.inf, inner[0]]), np.array([inner[-1], np.inf])]


def _drawn(edges: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Finite edges for a picture: open ends stop where one event in a thousand is left."""
    low, high = np.quantile(x, [0.001, 0.999])
    return np.concatenate([[min(low, edges[1])], edges[1:-1], [max(high, edges[-2])]])
