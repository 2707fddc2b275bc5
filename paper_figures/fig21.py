"""Figure 21: the mixtures of Gaussians of arXiv:2409.16336. Thresholds of five statistics over
those that were published, the statistics at the sizes of five deformations that just reach them,
and what such generators are worth.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.estimators.statistics import STATISTICS
from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study

MARKERS = {5: ("o", ACCENT), 20: ("s", INK), 100: ("^", GREY)}


def figure() -> Figure:
    """Left: ours over published with the errors of both. Middle: mean statistic over threshold at
    the published sizes. Right: true events, in the statistic (filled) and by the exact ratio
    (open).
    """
    data = study("thresholds")
    names = list(dict.fromkeys(row["statistic"] for row in data["thresholds"]))
    fig = Figure(figsize=(7.2, 3.9), layout="constrained")
    panels = fig.subplots(1, 3, sharey=True, width_ratios=[2, 2, 3])
    _thresholds(panels[0], data["thresholds"], names)
    _powers(panels[1], data["deformations"], names)
    _worth(panels[2], data["deformations"], names)
    titles = [STATISTICS[name].title for name in names]
    panels[0].set_yticks(range(len(names)), titles)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for axis in panels:
        axis.tick_params(axis="y", length=0)
        for row in range(1, len(names)):
            axis.axhline(row - 0.5, color=GREY, lw=0.3, alpha=0.5)
    legend_above(fig, panels[0], ncols=3)
    return fig


def _thresholds(axis: Axes, rows: list[dict[str, Any]], names: list[str]) -> None:
    dims = list(dict.fromkeys(row["dim"] for row in rows))
    for row in rows:
        marker, color = MARKERS[row["dim"]]
        first = row["statistic"] == names[0]
        error = (((row["error"] or 0.0) ** 2) + row["published_error"] ** 2) ** 0.5
        axis.errorbar(
            row["ratio"],
            names.index(row["statistic"]) + 0.22 * (dims.index(row["dim"]) - 1),
            xerr=error,
            fmt=marker,
            color=color,
            ms=4.5,
            lw=1.0,
            label=f"d = {row['dim']}" if first else None,
        )
    axis.axvspan(0.98, 1.02, color=GREY, alpha=0.2, lw=0)
    axis.axvline(1, color=INK, lw=0.8)
    axis.set_xlabel("threshold / published")


def _powers(axis: Axes, rows: list[dict[str, Any]], names: list[str]) -> None:
    dims = list(dict.fromkeys(row["dim"] for row in rows))
    for k, row in enumerate(rows):
        marker, color = MARKERS[row["dim"]]
        y = names.index(row["statistic"]) + 0.22 * (dims.index(row["dim"]) - 1)
        y += 0.03 * (k % 5 - 2)
        value, error = row["mean_over_threshold"], row["error"]
        axis.errorbar(value, y, xerr=error, fmt=marker, color=color, ms=3, lw=0.6)
    axis.axvline(1, color=INK, lw=0.8)
    axis.set_xlabel("mean / threshold\nat the published sizes")


def _worth(axis: Axes, rows: list[dict[str, Any]], names: list[str]) -> None:
    dims = list(dict.fromkeys(row["dim"] for row in rows))
    for k, row in enumerate(rows):
        marker, color = MARKERS[row["dim"]]
        y = names.index(row["statistic"]) + 0.22 * (dims.index(row["dim"]) - 1)
        y += 0.03 * (k % 5 - 2)
        axis.plot(row["claimed"], y, marker, color=color, ms=3.5)
        if row["true"] is not None:
            axis.plot(row["true"], y, marker, color=color, ms=3.5, mfc="white")
    axis.set(xscale="log", xlabel="equivalent true events:\nexact ratio (open), statistic (filled)")
