"""Each column, generated against holdout: densities above, their ratio below, as the field draws
them.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.ticker import MaxNLocator, NullLocator

from amplify.plots.style import ACCENT, GREY, INK, WIDTH, plain

_PER_FIGURE = 6  # so that a figure fits on a sheet
_ROW, _HEAD = 3.4, 0.35  # inches: a row of panels, the legend


def panels(parts: list[dict[str, Any]]) -> list[Figure]:
    """Two panels in a row; six in a figure."""
    return [_figure(parts[i : i + _PER_FIGURE]) for i in range(0, len(parts), _PER_FIGURE)]


def _figure(parts: list[dict[str, Any]]) -> Figure:
    """Axes are placed by hand: the automatic layout takes a second for each panel."""
    rows = (len(parts) + 1) // 2
    height = _ROW * rows + _HEAD
    figure = Figure(figsize=(WIDTH, height))
    handles: dict[str, Any] = {}
    for place, part in enumerate(parts):
        left, low = (
            (0.8 + WIDTH / 2 * (place % 2)) / WIDTH,
            (_ROW * (rows - 1 - place // 2) + 0.55) / height,
        )
        width, ratio, whole = (WIDTH / 2 - 1.0) / WIDTH, 0.75 / height, (_ROW - 0.7) / height
        values = {
            name: np.array(part[name], float)
            for name in part
            if name != "column" and part[name] is not None
        }
        if "holdout" in values:
            bottom = figure.add_axes((left, low, width, ratio))
            top = figure.add_axes(
                (left, low + ratio + 0.06 / height, width, whole - ratio - 0.06 / height),
                sharex=bottom,
            )
            top.tick_params(axis="x", labelbottom=False)
            _ratio(bottom, values)
            figure.align_ylabels([top, bottom])
        else:
            top = bottom = figure.add_axes((left, low, width, whole))
        handles |= _densities(top, values)
        bottom.set_xlabel(plain(part["column"]))
        bottom.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        bottom.ticklabel_format(axis="x", scilimits=(-3, 5))
        bottom.set_xlim(values["edges"][0], values["edges"][-1])
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="upper center",
        ncols=len(handles),
        handler_map={tuple: HandlerTuple(ndivide=1)},
        borderaxespad=0.1,
    )
    return figure


def _densities(axis: Axes, v: dict[str, np.ndarray]) -> dict[str, Any]:
    """Share of all events per unit of the column; returns what the legend shows."""
    edges, width = v["edges"], np.diff(v["edges"])
    middle = (edges[1:] + edges[:-1]) / 2
    generated = v["generated"] / width
    handles = {}
    if "members_low" in v:
        handles["members, central 68 %"] = _band(
            axis, edges, v["members_low"] / width, v["members_high"] / width, ACCENT, "////"
        )
    step = axis.stairs(generated, edges, color=ACCENT, lw=1.5, baseline=None)
    bars = axis.errorbar(
        middle, generated, v["generated_error"] / width, fmt="none", ecolor=ACCENT, elinewidth=1.2
    )
    handles["generated"] = (step, bars)
    if "holdout" in v:
        handles["holdout (true events)"] = axis.errorbar(
            middle,
            v["holdout"] / width,
            v["holdout_error"] / width,
            fmt="o",
            ms=3.5,
            color=INK,
            elinewidth=1,
        )
    positive = generated[generated > 0]
    if len(positive) > 2 and positive.max() > 100 * np.quantile(positive, 0.1):
        axis.set_yscale("log")
        axis.set_ylim(positive.min() / 3, positive.max() * 3)
    else:
        axis.set_ylim(bottom=0)
        axis.ticklabel_format(axis="y", scilimits=(-3, 4))
    axis.set_ylabel("1/N dN/dx")
    return handles


def _ratio(axis: Axes, v: dict[str, np.ndarray]) -> None:
    """Generated over holdout with its bars; the hatched band is the error of the holdout. What lies
    outside is an arrow at the border.
    """
    edges, middle = v["edges"], (v["edges"][1:] + v["edges"][:-1]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        truth = np.where(
            v["holdout"] > 0, v["holdout"], np.nan
        )  # negative weights may leave less than nothing: no ratio
        ratio, error, own = (
            v["generated"] / truth,
            v["generated_error"] / truth,
            v["holdout_error"] / truth,
        )
    far = np.abs(ratio - 1) + error
    far = far[np.isfinite(far)]
    reach = float(np.clip(1.3 * np.quantile(far, 0.9), 0.05, 1.0)) if len(far) else 0.5
    _band(axis, edges, 1 - own, 1 + own, GREY, "\\\\\\\\")
    axis.axhline(1, color=INK, lw=0.8, ls="--")
    inside = np.abs(ratio - 1) < 0.95 * reach
    axis.errorbar(
        middle[inside], ratio[inside], error[inside], fmt="o", ms=3.5, color=ACCENT, elinewidth=1.2
    )
    for outside, place, marker in (
        (ratio >= 1 + 0.95 * reach, 0.93, "^"),
        (ratio <= 1 - 0.95 * reach, 0.07, "v"),
    ):
        axis.plot(
            middle[outside],
            np.full(outside.sum(), place),
            marker,
            color=ACCENT,
            ms=6,
            transform=axis.get_xaxis_transform(),
        )
    axis.set_ylim(1 - reach, 1 + reach)
    axis.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="both"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylabel("gen. / true")


def _band(
    axis: Axes, edges: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, hatch: str
) -> Any:
    """A hatched band of steps, which greys out no point and needs no colour."""
    known = np.isfinite(low) & np.isfinite(high)
    return axis.stairs(
        np.where(known, high, np.nan),
        edges,
        baseline=np.where(known, low, np.nan),
        fill=True,
        fc="none",
        ec=colour,
        hatch=hatch,
        lw=0,
    )
