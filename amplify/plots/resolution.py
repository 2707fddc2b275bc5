"""G against resolution: how it falls or rises as the bins of a column become finer."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from amplify.plots.style import ACCENT, GREY, INK, WIDTH, log_ticks, plain

MOST = 6  # columns in one plot
_LOOKS = (
    ("o", "-", ACCENT),
    ("s", "--", INK),
    ("^", "-.", GREY),
    ("D", ":", ACCENT),
    ("v", (0, (5, 1, 1, 1)), INK),
    ("P", (0, (1, 3)), GREY),
)


def resolution(parts: list[dict[str, Any]]) -> Figure:
    """G pooled over K equiprobable bins against K, logarithmic; columns stand a little apart, an
    arrow is an interval without upper end.
    """
    drawn = parts[:MOST]
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    axis = figure.add_subplot()
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="number of equiprobable bins K",
        ylabel="G pooled over the bins",
    )
    curves = [
        {name: np.array(part[name], float) for name in ("bins", "amplification", "low", "high")}
        for part in drawn
    ]
    everything = np.concatenate(
        [c[name] for c in curves for name in ("amplification", "low", "high")] or [np.ones(1)]
    )
    everything = everything[np.isfinite(everything) & (everything > 0)]
    bottom, top = min(1, *everything, 1) / 1.5, max(1, *everything, 1) * 1.8
    for place, (part, c, (marker, line, colour)) in enumerate(
        zip(drawn, curves, _LOOKS, strict=False)
    ):
        k = c["bins"] * 1.045 ** (place - (len(drawn) - 1) / 2)
        axis.plot(
            k,
            c["amplification"],
            marker=marker,
            ls=line,
            color=colour,
            mfc="white",
            ms=6,
            lw=1.3,
            label=plain(part["column"]),
        )
        low, high = (
            np.where(c["low"] > 0, c["low"], bottom),
            np.where(np.isfinite(c["high"]), c["high"], top),
        )
        shown = np.isfinite(c["amplification"]) | (c["low"] > 0)
        axis.vlines(k[shown], low[shown], high[shown], color=colour, lw=1.3, zorder=1.5)
        endless = shown & ~np.isfinite(c["high"])
        axis.plot(
            k[endless],
            np.full(endless.sum(), top),
            marker="^",
            color=colour,
            ls="",
            ms=5,
            clip_on=False,
        )
    axis.axhline(1, color=INK, lw=1, ls="--", zorder=0.5)
    axis.set_ylim(bottom, top)
    log_ticks(axis.yaxis, bottom, top)
    bins = sorted({int(k) for c in curves for k in c["bins"]})
    axis.xaxis.set_major_locator(FixedLocator(bins))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:.0f}")
    figure.legend(loc="outside upper center", ncols=3)
    return figure
