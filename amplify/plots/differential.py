"""Plots of the differential part of a results.json: distribution functions, and the distance
against n_gen.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.style import ACCENT, GREY, INK, WIDTH, plain


def distribution_functions(part: dict[str, Any], summary: str) -> Figure:
    """Both distribution functions above, their difference below, with the place of the largest
    difference, or of the threshold.
    """
    f = {name: np.asarray(value, float) for name, value in part["functions"].items()}
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    top.plot(f["t"], f["holdout"], color=INK, lw=1.6, label="truth (holdout)")
    top.plot(f["t"], f["generated"], "--", color=ACCENT, lw=1.6, label="generated")
    bottom.plot(f["t"], f["holdout"] - f["generated"], color=ACCENT, lw=1.4)
    bottom.axhline(0, color=GREY, lw=0.8)
    gap = f["holdout_there"] - f["generated_there"]
    for axis in (top, bottom):
        axis.axvline(f["place"], color=GREY, lw=0.8, ls=":")
    ends = [f["generated_there"], f["holdout_there"]]
    top.plot([f["place"]] * 2, ends, color=INK, lw=3, solid_capstyle="butt", label=f"D = {gap:.3g}")
    bottom.plot([f["place"]] * 2, [0, ends[1] - ends[0]], color=INK, lw=3, solid_capstyle="butt")
    top.set_ylabel("fraction of events below")
    bottom.set(xlabel=f"summary t: {plain(summary)}", ylabel="truth - generated")
    bottom.set_xlim(*np.quantile(f["t"], [0.005, 0.995]))
    figure.legend(
        *top.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    return figure


def approach(part: dict[str, Any]) -> Figure:
    """KS distance to the holdout as the generated sample grows, against the band of true events."""
    a = {name: np.asarray(value, float) for name, value in part["approach"].items()}
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axis = figure.add_subplot()
    axis.fill_between(
        a["n_gen"],
        a["null_low"],
        a["null_high"],
        color=GREY,
        alpha=0.25,
        lw=0,
        label="true events, 90 % of samples",
    )
    axis.plot(a["n_gen"], a["null_mean"], "--", color=INK, lw=1.2, label="true events, mean")
    axis.plot(a["n_gen"], a["ks"], "o-", color=ACCENT, ms=4, lw=1.4, label="generated events")
    if a["distance"] > 0:
        axis.axhline(
            float(a["distance"]), color=ACCENT, lw=1, ls=":", label="estimate of the plateau D"
        )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="number of generated events n_gen",
        ylabel=f"KS distance to {float(a['n_holdout']):,.0f} holdout events".replace(",", " "),
    )
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
