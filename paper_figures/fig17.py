"""Figure 17: calibration. How often intervals on G are true, against their level, on three problems
that served for no choice; and claimed over actual sigma of every kind of members by problem.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study
from paper_figures.top import RUST

GROUPS = {"bulk": ("-", "o"), "tail": ("--", "s")}
KINDS = {
    "bootstrap": (INK, "o"),
    "same data": (RUST, "v"),
    "refit": (ACCENT, "s"),
    "variational": (GREY, "D"),
    "sgmcmc": ("#7a5195", "^"),
}
_NAMES = {"top_pairs": "top pairs", "correlated5": "correlated"}
_GENERATOR = "autoregressive"


def figure() -> Figure:
    """Above: bootstraps of eight autoregressive flows; the band is 60 to 76 % at 68 %. Below: four
    coupling flows or eight, or sixteen draws; bars are 68 %.
    """
    data = study("calibration")
    fig = Figure(figsize=(7.0, 6.2), layout="constrained")
    upper, lower = fig.subfigures(2, 1, height_ratios=[4, 5])
    covered = [row for row in data["coverage"] if _is_shown(row)]
    axes = upper.subplots(1, len(covered), sharey=True, squeeze=False)[0]
    for axis, row in zip(axes, covered, strict=True):
        _coverage(axis, row)
    axes[0].set_ylabel("intervals that are true")
    legend_above(upper, axes[0], ncols=2, fontsize=9)
    rows = [r for r in data["ratios"] if r["generator"] == "coupling" and not r["chosen"]]
    _ratios(lower, rows)
    return fig


def _is_shown(row: dict[str, Any]) -> bool:
    shown = row["generator"] == _GENERATOR and row["method"] == "bootstrap"
    return shown and not row["chosen"]


def _coverage(axis: Axes, row: dict[str, Any]) -> None:
    levels = np.array(row["alone"]["levels"])
    axis.plot([0, 1], [0, 1], color=INK, lw=0.7)
    axis.vlines(0.68, 0.60, 0.76, color=GREY, lw=5, alpha=0.4)
    for kind, color in (("alone", RUST), ("with_transfer", INK)):
        if kind not in row:
            continue
        words = "the spread alone" if kind == "alone" else "with the transfer"
        for group, (line, _) in GROUPS.items():
            found = row[kind][group]
            label = f"{words}, {'ten bins' if group == 'bulk' else 'tails'}"
            axis.plot(levels, found["observed"], line, color=color, lw=1.2, label=label)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="level of the interval")
    title = f"{_NAMES.get(row['problem'], row['problem'])}, {row['sets']} training sets"
    axis.set_title(title, fontsize=9)


def _ratios(fig: Any, rows: list[dict[str, Any]]) -> None:
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    left, right = fig.subplots(1, 2, sharey=True)
    for axis, group in ((left, "bulk"), (right, "tail")):
        for k, (kind, (color, marker)) in enumerate(KINDS.items()):
            shift = 0.15 * (k - (len(KINDS) - 1) / 2)
            of_kind = [row for row in rows if row["method"] == kind]
            places = [problems.index(row["problem"]) + shift for row in of_kind]
            values = np.array([row[group] for row in of_kind]).reshape(-1, 3)
            axis.vlines(places, values[:, 1], values[:, 2], color=color, lw=1.2)
            axis.plot(places, values[:, 0], ls="", marker=marker, color=color, ms=4, label=kind)
        axis.axhspan(0.85, 1.15, color=GREY, alpha=0.25, lw=0)
        axis.axhline(1, color=INK, lw=0.7)
        names = [_NAMES.get(name, name) for name in problems]
        axis.set_xticks(range(len(problems)), names, fontsize=8, rotation=40, ha="right")
        axis.set(yscale="log", ylim=(0.15, 4))
        axis.set_title("ten bins" if group == "bulk" else "tails", fontsize=9)
    left.set_yticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
    left.set_yticks([], minor=True)
    left.set_ylabel(r"claimed / actual $\sigma$")
    legend_above(fig, left, ncols=5, fontsize=9)
