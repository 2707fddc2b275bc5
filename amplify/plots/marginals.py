"""Each column, generated against holdout: densities above, their ratio below, as the field draws
them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from amplify.plots.looks import (
    ACCENT,
    GREY,
    INK,
    WIDTH,
    keep_ticks,
    legend_above,
    log_ticks,
    new_figure,
    style,
)
from amplify.plots.naming import Names, names_of
from amplify.plots.source import Source, view_of

_ROW, _HEAD = 3.4, 0.35  # inches: a row of panels, the legend
_LEFT, _RIGHT, _LOW = 0.8, 0.2, 0.55  # inches around a panel, for numbers and words
_RATIO, _GAP = 0.75, 0.06  # inches: the lower panel, and what is between both
_ROUND = [1, 2, 5, 10]

Panel = tuple[Axes, Axes | None]  # densities, and their ratio where there is a holdout


def panels(
    result: Source,
    axes: Sequence[Panel] | None = None,
    *,
    columns: Sequence[int] | None = None,
    legend: bool = True,
) -> list[Panel]:
    """Density of every column, generated and holdout, and their ratio below.

    The hatched band at 1 is the error of the holdout; an arrow lies outside the panel. Bars are
    the root of the sum of squared weights.

    Args:
        result: a Result, or the dict of its results.json.
        axes: a pair for every column: for the densities, and for the ratio, or None; a new figure
            otherwise.
        columns: places of the columns to draw; all, if not given.
        legend: whether one stands above the panels.

    Returns:
        A pair for every column; None where there is no holdout, hence no ratio.

    Raises:
        InputError: the result has no panels.

    >>> pt = {"column": "pt", "edges": [0, 1, 2], "generated": [0.6, 0.4]}
    >>> pt |= {"generated_error": [0.02, 0.02], "holdout": [0.5, 0.5]}
    >>> pt |= {"holdout_error": [0.05, 0.05]}
    >>> [(top, bottom)] = panels({"panels": [pt]})
    >>> top.get_ylabel(), bottom.get_xlabel()
    ('1/N dN/dx', 'pt')
    """
    stored = view_of(result, "panels")
    drawn = stored if columns is None else [stored[place] for place in columns]
    if axes is not None:
        pairs = _draw(drawn, axes, names_of(result))
        if legend and pairs:
            legend_above(pairs[0][0], **_entries(drawn))
        return pairs
    with style():
        figure = new_figure((WIDTH, panels_height(len(drawn))), layout=None)
        pairs = _draw(drawn, panel_axes(figure, drawn), names_of(result))
        if legend:
            panels_legend(figure, drawn)
        for pair in pairs:
            figure.align_ylabels([panel for panel in pair if panel])
            for panel in pair:
                if panel:
                    keep_ticks(panel)
    return pairs


def panels_height(count: int) -> float:
    """Inches that panels of so many columns need, two in a row."""
    return _ROW * ((count + 1) // 2) + _HEAD


def panel_axes(figure: Figure, drawn: Sequence[dict[str, Any]]) -> list[Panel]:
    """Axes for these columns, two in a row; placed by hand, because matplotlib takes a second for
    every panel to find the same place.
    """
    height, width = panels_height(len(drawn)), WIDTH / 2 - _LEFT - _RIGHT
    pairs = []
    for place, column in enumerate(drawn):
        left = _LEFT + WIDTH / 2 * (place % 2)
        low = height - _HEAD - _ROW * (place // 2 + 1) + _LOW
        tall = _ROW - _LOW - 0.15

        def at(bottom: float, tall: float, left: float = left, **shared: Any) -> Axes:
            box = (left / WIDTH, bottom / height, width / WIDTH, tall / height)
            return figure.add_axes(box, **shared)

        if column["holdout"] is None:
            pairs.append((at(low, tall), None))
            continue
        bottom = at(low, _RATIO)
        top = at(low + _RATIO + _GAP, tall - _RATIO - _GAP, sharex=bottom)
        pairs.append((top, bottom))
    return pairs


def panels_legend(figure: Figure, drawn: Sequence[dict[str, Any]]) -> None:
    """One legend for all panels of a figure."""
    figure.legend(loc="upper center", frameon=False, borderaxespad=0.1, **_entries(drawn))


def _entries(drawn: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a legend of these columns shows."""
    band = Patch(fc="none", ec=ACCENT, hatch="////", lw=0)
    step = Line2D([], [], color=ACCENT, lw=1.5, marker="|", ms=10, mew=1.2)
    bar, point = Line2D([], [], marker="|", ms=12), Line2D([], [], marker="o", ms=3.5)
    for line in (bar, point):
        line.set(color=INK, linestyle="")
    handles: dict[str, Any] = {}
    if any(column.get("members_low") is not None for column in drawn):
        handles["members, central 68 %"] = band
    handles["generated"] = step
    if any(column["holdout"] is not None for column in drawn):
        handles["holdout (true events)"] = (bar, point)
    return {
        "handles": list(handles.values()),
        "labels": list(handles),
        "ncols": len(handles),
        "handler_map": {tuple: HandlerTuple(ndivide=1)},
    }


def _draw(drawn: Sequence[dict[str, Any]], pairs: Sequence[Panel], names: Names) -> list[Panel]:
    for column, (top, bottom) in zip(drawn, pairs, strict=True):
        values = {
            name: np.array(value, float)
            for name, value in column.items()
            if name != "column" and value is not None
        }
        _densities(top, values)
        if bottom is not None and "holdout" in values:
            _ratio(bottom, values)
            top.tick_params(axis="x", which="both", labelbottom=False)
        lowest = top if bottom is None else bottom
        lowest.set_xlabel(names.axis(column["column"]))
        for panel in {top, lowest}:
            panel.xaxis.set_major_locator(MaxNLocator(6, steps=_ROUND))
            panel.ticklabel_format(axis="x", scilimits=(-3, 5))
            panel.set_xlim(values["edges"][0], values["edges"][-1])
    return list(pairs)


def _densities(axes: Axes, v: dict[str, np.ndarray]) -> None:
    """Share of all events per unit of the column."""
    edges, width = v["edges"], np.diff(v["edges"])
    middle = (edges[1:] + edges[:-1]) / 2
    generated = v["generated"] / width
    if "members_low" in v:
        low, high = v["members_low"] / width, v["members_high"] / width
        _band(axes, edges, low, high, ACCENT, "////")
    axes.stairs(generated, edges, color=ACCENT, lw=1.5, baseline=None)
    _bars(axes, middle, generated, v["generated_error"] / width, ACCENT, 1.2)
    if "holdout" in v:
        holdout = v["holdout"] / width
        _bars(axes, middle, holdout, v["holdout_error"] / width, INK, 1.0)
        axes.plot(middle, holdout, "o", ms=3.5, color=INK)
    positive = generated[generated > 0]
    if len(positive) > 2 and positive.max() > 100 * np.quantile(positive, 0.1):
        axes.set_yscale("log")
        low, high = float(positive.min()) / 3, float(positive.max()) * 3
        axes.set_ylim(low, high)
        log_ticks(axes.yaxis, low, high)
    else:
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    axes.set_ylabel("1/N dN/dx")


def _ratio(axes: Axes, v: dict[str, np.ndarray]) -> None:
    """Generated over holdout with its bars; the hatched band is the error of the holdout. What lies
    outside is an arrow at the border.
    """
    edges, middle = v["edges"], (v["edges"][1:] + v["edges"][:-1]) / 2
    # negative weights may leave less than nothing: no ratio
    truth = np.where(v["holdout"] > 0, v["holdout"], np.nan)
    ratio, error = v["generated"] / truth, v["generated_error"] / truth
    relative = v["holdout_error"] / truth
    far = np.abs(ratio - 1) + error
    far = far[np.isfinite(far)]
    reach = float(np.clip(1.3 * np.quantile(far, 0.9), 0.05, 1.0)) if len(far) else 0.5
    border = 0.95 * reach
    _band(axes, edges, 1 - relative, 1 + relative, GREY, "\\\\\\\\")
    axes.axhline(1, color=INK, lw=0.8, ls="--")
    inside = np.abs(ratio - 1) < border
    _bars(axes, middle[inside], ratio[inside], error[inside], ACCENT, 1.2)
    axes.plot(middle[inside], ratio[inside], "o", ms=3.5, color=ACCENT)
    above, below = ratio >= 1 + border, ratio <= 1 - border
    for outside, height, marker in ((above, 0.93, "^"), (below, 0.07, "v")):
        looks: dict[str, Any] = {"color": ACCENT, "ms": 6, "transform": axes.get_xaxis_transform()}
        axes.plot(middle[outside], np.full(outside.sum(), height), marker, **looks)
    axes.set_ylim(1 - reach, 1 + reach)
    away = _round_part(0.7 * reach)  # higher up a number meets the zero of the densities
    axes.set_yticks([1 - away, 1, 1 + away])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("gen. / true")


def _round_part(value: float) -> float:
    """The largest round number, in one digit, that is not above this one of .02 to 1.

    >>> _round_part(0.49), _round_part(0.035)
    (0.4, 0.02)
    """
    step = max(step for step in (0.02, 0.05, 0.1, 0.2, 0.5) if step <= value)
    return round(step * (value // step), 2)


def _bars(
    axes: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, colour: str, width: float
) -> None:
    """Bars of errors, as one artist."""
    axes.vlines(x, y - error, y + error, color=colour, lw=width)


def _band(
    axes: Axes, edges: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, hatch: str
) -> None:
    """A hatched band of steps, which greys out no point and needs no colour."""
    known = np.isfinite(low) & np.isfinite(high)
    baseline = np.where(known, low, np.nan)
    looks: dict[str, Any] = {"fill": True, "fc": "none", "ec": colour, "hatch": hatch, "lw": 0}
    axes.stairs(np.where(known, high, np.nan), edges, baseline=baseline, **looks)
