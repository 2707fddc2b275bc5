"""Figure 18: resolution. Parameters that seem to have been learned, and averaging and differential
amplification of the same bins on one axis, for a fitted Gaussian and spline flows on the ring.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.estimators.kolmogorov import K1
from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study

EVEN = 2 * np.pi * K1**2  # G differential times k; both are equal at as many bins and one
LOOKS = {
    "fitted Gaussian": {"color": GREY, "marker": "^"},
    "radius": {"color": ACCENT, "marker": "s"},
    "radius and angle": {"color": INK, "marker": "o"},
}


def figure() -> Figure:
    """Left: k_N, and its N - 1 for true events. Right: (N - 1) / k_N and (K1 / D_N)^2 / n_train;
    dotted the differential G of the densities. Bars: 68 %.
    """
    data = study("resolution")
    ring = next(case for name, case in data.items() if name.startswith("d2-"))
    curves = {"fitted Gaussian": _of_gaussian(data["gaussian"])}
    curves |= {name: _of_view(ring["views"][name]) for name in list(LOOKS)[1:]}
    fig = Figure(figsize=(7.0, 4.4), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=[2, 3])
    bins = np.geomspace(2, 1e4, 50)
    left.plot(bins, bins - 1, "--", color=INK, lw=0.8, label=r"$n_{\rm train}$ true events")
    for name, curve in curves.items():
        look, n = LOOKS[name], curve["bins"]
        words = name if name == "fitted Gaussian" else f"ring, bins of {name}"
        left.plot(n, curve["k"], **look, ms=3.5, lw=1.2, label=words)
        right.plot(n, curve["averaging"], "-", **look, ms=3.5, lw=1.2)
        right.plot(n, curve["differential"], "--", **look, mfc="white", ms=3.5, lw=1.2)
        for kind in ("averaging", "differential"):
            if f"{kind}_ends" in curve:
                right.vlines(n, *curve[f"{kind}_ends"], color=look["color"], lw=1.0)
    left.plot([], [], "-", color=INK, label="right: averaging, bins one by one")
    left.plot([], [], "--", color=INK, label="right: differential, all bins at once")
    left.set(xscale="log", yscale="log", ylim=(0.4, 3e3), ylabel="parameters learned, $k_N$")
    right.set(xscale="log", yscale="log", ylim=(0.02, 1e4), ylabel="amplification factor G")
    right.axhline(1, color=INK, lw=0.8, ls=":")
    _mark(right, ring)
    for axis in (left, right):
        axis.set_xlabel("number of equiprobable bins N")
    title = f"ring: spline flows, $n_{{\\rm train}}$ = {ring['n_train']}"
    legend_above(fig, left, ncols=2, fontsize=8.5, title=title, title_fontsize=9)
    return fig


def _of_gaussian(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("bins", "k", "averaging", "differential")}


def _of_view(found: dict[str, Any]) -> dict[str, Any]:
    curve = {name: found[name] for name in ("bins", "k")}
    for kind in ("averaging", "differential"):
        curve[kind] = found[kind]["value"]
        curve[f"{kind}_ends"] = np.transpose(found[kind]["interval_68"])
    return curve


def _mark(axis: Axes, ring: dict[str, Any]) -> None:
    """Where both agree, and the two numbers that differ by fifty."""
    limit = ring["differential_limit"]["value"]
    axis.axvline(1 + EVEN, color=GREY, lw=0.8, ls="-.")
    text = {"textcoords": "offset points", "fontsize": 8}
    axis.annotate("both agree", (1 + EVEN, 4e3), xytext=(4, 0), **text)
    axis.axhline(limit, color=INK, lw=0.8, ls=":")
    axis.annotate(f"event by event: {limit:.3f}", (1e4, limit), xytext=(0, -10), ha="right", **text)
    cases = [case for case in study("ring").values() if case["dim"] == 2]
    shells = next(c for c in cases if c["n_train"] == ring["n_train"])
    value = shells["pooled_amplification_actual"]["value"]
    axis.plot(10, value, "*", color=ACCENT, ms=11, mec="white", zorder=6)
    line = {"arrowstyle": "-", "color": ACCENT, "lw": 0.8, "shrinkB": 4}
    words = f"averaging,\nten shells:\n{value:.1f}"
    axis.annotate(words, (10, value), xytext=(1.75, 60), fontsize=8, arrowprops=line)
