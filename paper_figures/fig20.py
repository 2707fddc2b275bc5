"""Figure 20: which statistic sees what. True events that a two-sample statistic says a wrong
generator is worth, over those it is worth by the exact ratio, for six kinds of error in 2 to 100
dimensions.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from amplify.estimators.statistics import STATISTICS
from amplify.plots.looks import ACCENT, GREY, INK
from experiments.known_differences import TITLES
from paper_figures.recorded import study

MARKERS = {2: ("o", ACCENT), 5: ("s", INK), 20: ("^", GREY), 100: ("D", ACCENT)}
MOST = 3000.0  # shown
NOISE = 0.5  # of a distance: more is no measurement


def figure() -> Figure:
    """A panel for each kind of error; filled where measured, an arrow where only a lower limit."""
    cells = study("what_sees_what")["cells"]
    names = list(dict.fromkeys(cell["statistic"] for cell in cells))
    fig = Figure(figsize=(7.2, 7.0), layout="constrained")
    panels = fig.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axis, (kind, title) in zip(panels, TITLES.items(), strict=True):
        _panel(axis, [cell for cell in cells if cell["difference"] == kind], names)
        axis.set_title(title, fontsize=10)
    panels[0].set(xscale="log", xlim=(0.08, 3 * MOST), ylim=(len(names) - 0.4, -0.6))
    titles = [STATISTICS[name].title for name in names]
    for axis in panels[::3]:
        axis.set_yticks(range(len(names)), titles, fontsize=9)
    dims = dict.fromkeys(cell["dim"] for cell in cells)
    handles = [
        Line2D([], [], ls="", marker=MARKERS[dim][0], color=MARKERS[dim][1], label=f"d = {dim}")
        for dim in dims
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    fig.supxlabel("true events claimed / true events by the exact ratio", fontsize=10)
    return fig


def _panel(axis: Axes, cells: list[dict[str, Any]], names: list[str]) -> None:
    dims = list(dict.fromkeys(cell["dim"] for cell in cells))
    for cell in cells:
        marker, color = MARKERS[cell["dim"]]
        y = names.index(cell["statistic"]) + 0.17 * (dims.index(cell["dim"]) - 1.5)
        ratio = cell["claimed_over_true"]
        blind = cell["noise"] > NOISE or ratio > MOST
        style: dict[str, Any] = {"color": color, "ms": 4.5, "mew": 1.0}
        if blind:
            ratio = min(ratio, MOST)
            line = {"arrowstyle": "->", "color": color, "lw": 0.8, "shrinkA": 2, "shrinkB": 0}
            axis.annotate("", (2.6 * ratio, y), (ratio, y), arrowprops=line)
        axis.plot(ratio, y, marker, mfc="white" if blind else color, **style)
    axis.axvline(1, color=INK, lw=0.8)
    for row in range(1, len(names)):
        axis.axhline(row - 0.5, color=GREY, lw=0.3, alpha=0.5)
    axis.tick_params(axis="y", length=0)
