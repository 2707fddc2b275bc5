"""Histograms of the columns of a sample beside those of a holdout, for the pictures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.summaries.looks import Sample, moments, significance, square, value
from amplify.types import Events

PANEL_BINS = 40
MOST_PANELS = 24  # more columns are not looked at one by one


class Panel(NamedTuple):
    """The histogram of a column: its edges, and which of all regions its bins are."""

    column: str
    edges: np.ndarray
    regions: np.ndarray


def most_different(generated: Events, holdout: Events, columns: int) -> list[int]:
    """The columns, of the first so many, whose means or mean squares differ most, in standard
    deviations; all of them where there are few.
    """
    both = [_sample(events, columns) for events in (generated, holdout)]
    if columns <= MOST_PANELS or not all(len(sample.x) for sample in both):
        return list(range(columns))[:MOST_PANELS]
    of_gen, of_true = (moments(sample, [value, square]) for sample in both)
    sizes = both[0].n, both[1].n
    pairs = zip(of_gen, of_true, strict=True)
    apart = np.max([significance(gen, true, *sizes) for gen, true in pairs], axis=0)
    return sorted(np.argsort(-apart, kind="stable")[:MOST_PANELS].tolist())


def _sample(events: Events, columns: int) -> Sample:
    weight = np.ones(len(events.x)) if events.weight is None else events.weight
    return Sample(events.x[:, :columns], weight / weight.sum())


class Panels:
    """Histograms of columns, filled chunk by chunk with generated events beside a holdout.

    Attributes:
        regions: the bins of all of them; None where no column varies.
    """

    def __init__(
        self, names: Sequence[str], holdout: Events, columns: Sequence[int] | None = None
    ) -> None:
        x = holdout.x
        wanted = range(len(names)) if columns is None else columns
        varying = [i for i in wanted if len(x) and x[:, i].min() < x[:, i].max()]
        edges = [panel_edges(x[:, i]) for i in varying]
        stops = np.cumsum([len(e) - 1 for e in edges], dtype=int)
        places = [np.arange(stop - len(e) + 1, stop) for e, stop in zip(edges, stops, strict=True)]
        self._panels = [
            Panel(names[i], e, place) for i, e, place in zip(varying, edges, places, strict=True)
        ]
        bins = [rg.bins(rg.column(i), e, names[i]) for i, e in zip(varying, edges, strict=True)]
        self.regions = rg.join(*bins) if bins else None
        self._holdout = self.count(x, holdout.weight)
        self._generated: rg.Sums | None = None

    def count(self, x: np.ndarray, weight: np.ndarray | None) -> rg.Sums | None:
        """Counts a chunk of events."""
        return None if self.regions is None else rg.count(self.regions, x, weight)

    def add(self, counted: rg.Sums | None) -> None:
        """Adds what was counted of the generated events."""
        before = self._generated
        if before is None or counted is None:
            self._generated = counted
        else:
            self._generated = before.plus(counted)

    def finished(self) -> list[dict[str, Any]]:
        """The panels for results.json."""
        generated = self._generated
        if generated is None or not generated.weight > 0:
            return []
        return [panel_record(panel, generated, self._holdout) for panel in self._panels]


def panel_edges(x: np.ndarray) -> np.ndarray:
    """Bins of equal width that show all but the outer half per mille; around the values where
    there are few.
    """
    values = np.unique(x)
    if len(values) <= PANEL_BINS:
        middle = (values[1:] + values[:-1]) / 2
        first, last = 2 * values[0] - middle[0], 2 * values[-1] - middle[-1]
        return np.concatenate([[first], middle, [last]])
    low, high = np.quantile(x, [0.0005, 0.9995])
    if not low < high:
        low, high = values[0], values[-1]
    return np.linspace(low, high, PANEL_BINS + 1)


def panel_record(
    panel: Panel,
    generated: rg.Sums,
    holdout: rg.Sums | None,
    members: np.ndarray | None = None,
) -> dict[str, Any]:
    """The panel for results.json.

    Args:
        panel: of which column.
        generated: sums over all regions, pooled over members.
        holdout: the same of the holdout.
        members: shares [member, bin], for the band of their central 68 %.

    Returns:
        Shares of all events, and errors sqrt(sum w^2) / sum w.
    """
    record: dict[str, Any] = {
        "column": panel.column,
        "edges": panel.edges,
        "holdout": None,
        "holdout_error": None,
    }
    for name, sums in (("generated", generated), ("holdout", holdout)):
        if sums is not None:
            error = np.sqrt(sums.square_inside[panel.regions]) / sums.weight
            record |= {name: sums.weight_inside[panel.regions] / sums.weight}
            record |= {f"{name}_error": error}
    low, high = (None, None) if members is None else np.quantile(members, [0.16, 0.84], axis=0)
    return record | {"members_low": low, "members_high": high}
