"""Figure 15: differential amplification of four generators of top pairs by region, limits of a
learned ratio, next to their averaging amplification.
"""

from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.drawing import legend_above
from paper_figures.top import NAMES, RUST, amount, arrow, generators, log_limits, region_axis

REGIONS = ("bulk", "tail")
OF_HOLDOUT = {"color": ACCENT, "marker": "s", "mfc": ACCENT}
OF_TRUTH = {"color": RUST, "marker": "D", "mfc": RUST}
LIMITS = (
    ("after cuts, holdout", "differential, user's holdout: limit at 90 %", OF_HOLDOUT),
    ("after cuts, truth", "differential, all of the truth: limit at 90 %", OF_TRUTH),
)
AVERAGING = {"color": INK, "marker": "o", "mfc": INK}


def figure() -> Figure:
    """Events after the cuts. Limits at 90 %; open symbols at the upper edge: none in range.
    Averaging: actual, rms of training sets, 68 % interval.
    """
    _, shown = generators()
    fig = Figure(figsize=(7.0, 5.8), layout="constrained")
    axes = fig.subplots(2, 2, sharey=True)
    limits = log_limits(_values([m for m, _ in shown]), 1e-4, 3e1)
    for axis, (model, look) in zip(axes.flat, shown, strict=False):
        axis.set(yscale="log", ylim=limits)
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        for x, region in enumerate(
            ["all", *(f"{name}, {kind}" for name, kind in product(NAMES, REGIONS))]
        ):
            for shift, (source, _, style) in zip((-0.25, 0.0), LIMITS, strict=True):
                _limit(axis, x + shift, model["differential"][source][region], style)
            if region != "all":
                group = model["cut"]["averaging"]["groups"][region]
                amount(axis, x + 0.25, group["actual"], group["actual_interval"], AVERAGING)
        axis.set_title(look.label, fontsize=10)
        region_axis(axis, [("events", ("all",)), *((NAMES[name], REGIONS) for name in NAMES)])
    for axis in axes[:, 0]:
        axis.set_ylabel("amplification factor G")
        log_ticks(axis.yaxis, *limits)
    for _, label, style in LIMITS:
        axes[0, 0].plot([], [], **style, ls="", label=label)
    axes[0, 0].plot([], [], **AVERAGING, ls="", label="averaging, actual")
    label = "open, at the upper edge: no limit"
    axes[0, 0].plot([], [], ls="", marker="s", color=GREY, mfc="white", label=label)
    legend_above(fig, axes[0, 0], ncols=2, fontsize=9, handletextpad=0.2)
    return fig


def _values(models: list[dict[str, Any]]) -> list[float | None]:
    values: list[float | None] = []
    for model in models:
        for name, group in model["cut"]["averaging"]["groups"].items():
            if not name.endswith("all"):
                values += [group["actual"], *group["actual_interval"]]
        for source, *_ in LIMITS:
            records = model["differential"][source].values()
            values += [record["amplification_interval"][1] for record in records]
    return values


def _limit(axis: Axes, x: float, record: dict[str, Any], style: dict[str, Any]) -> None:
    """An upper limit with an arrow down; open at the upper edge without one where there is none in
    range.
    """
    bottom, top = axis.get_ylim()
    high = record["amplification_interval"][1]
    if record["status"] == "unresolved" or high is None or high > top:
        axis.plot(x, 0.85 * top, **(style | {"mfc": "white"}), ls="", ms=5)
        return
    y = float(np.clip(high, 3 * bottom, top))
    arrow(axis, x, y, up=False, color=style["color"])
    axis.plot(x, y, **style, ls="", ms=5)
