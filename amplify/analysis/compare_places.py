"""Where each generator is wrong, with what the pictures of these places show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify.analysis.local_test import where_it_is_wrong
from amplify.types import Events

_BINS = 24
_ENDS = 0.002, 0.998  # quantiles that a picture reaches to


def places(
    name: str, generated: Events, holdout: Events, columns: Sequence[str], **settings: Any
) -> dict[str, Any]:
    """Boxes with too many or too few generated events, each with a histogram of its first column
    through the box.

    Args:
        name: of the generator.
        generated: its events.
        holdout: true events.
        columns: names of the columns.
        settings: of `where_it_is_wrong`.
    """
    found = where_it_is_wrong(generated, holdout, columns, **settings)
    boxes = [box | {"panel": _panel(box, generated, holdout, columns)} for box in found["boxes"]]
    return {"generator": name, **found, "boxes": boxes}


def _panel(
    box: Mapping[str, Any], generated: Events, holdout: Events, columns: Sequence[str]
) -> dict[str, Any]:
    """Shares of all events in bins of the first column, of those that are in the box otherwise."""
    first, *others = (columns.index(column) for column in box["columns"])
    within = list(zip(others, box["intervals"][1:], strict=True))
    slices = [_inside(events, within) for events in (generated, holdout)]
    values = np.concatenate([events.x[rows, first] for events, rows in slices])
    low, high = np.quantile(values, _ENDS)
    for end in box["intervals"][0]:
        if end is not None:
            low, high = min(low, end), max(high, end)
    edges = np.linspace(low, high, _BINS + 1)
    panel: dict[str, Any] = {"column": box["columns"][0], "edges": edges}
    for key, (events, rows) in zip(("generated", "holdout"), slices, strict=True):
        weight = np.ones(len(events.x)) if events.weight is None else events.weight
        total, inside = weight.sum(), weight[rows]
        x = events.x[rows, first]
        panel[key] = np.histogram(x, edges, weights=inside)[0] / total
        panel[f"{key}_error"] = np.sqrt(np.histogram(x, edges, weights=inside**2)[0]) / total
    return panel


def _inside(
    events: Events, within: Sequence[tuple[int, Sequence[float | None]]]
) -> tuple[Events, np.ndarray]:
    """Events that are between the ends of some columns."""
    rows = np.ones(len(events.x), bool)
    for column, (low, high) in within:
        x = events.x[:, column]
        rows &= (x >= (-np.inf if low is None else low)) & (x < (np.inf if high is None else high))
    return events, rows
