"""Figure 16: top pairs after the cuts, with and without a training that knows them: deviations of
ten bins from the truth, and averaging G by group of regions, actual and estimated.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.drawing import legend_above
from paper_figures.recorded import study
from paper_figures.top import NAMES, RUST, floats

STYLES = {
    "plain": {"color": RUST, "marker": "D", "ls": ":", "label": "flow, cut afterwards"},
    "member": {"color": ACCENT, "marker": "s", "ls": "--", "label": "training that knows the cuts"},
    "pool": {"color": INK, "marker": "o", "ls": "-", "label": "pool of four of these"},
}
WORDS = NAMES | {
    "y_t": "$y_t$",
    "Delta R": r"$\Delta R$",
    "m_tt x pT_t": r"$m_{tt}$, $p_{T,t}$",
}
_TOP = 30.0  # of G on the axis


def figure() -> Figure:
    """Above: mean deviation over the training sets, in statistical errors of n_train true events.
    Below: actual G, with the standard error over the sets.
    """
    data = study("ttbar_truncated")
    found, places = data["n10000"], data["places"]
    fig = Figure(figsize=(7.0, 5.6), layout="constrained")
    upper, lower = fig.subfigures(2, 1, height_ratios=[5, 6])
    axes = upper.subplots(1, len(NAMES), sharey=True)
    for axis, (short, symbol) in zip(axes, NAMES.items(), strict=True):
        of_bins = places[f"{short}, ten bins"]
        for name in ("plain", "member"):  # the mean of a pool is that of its members
            deviation = floats(found[name]["deviation"])[of_bins]
            axis.plot(np.arange(1, 11), deviation, **STYLES[name], ms=4, lw=1.2)
        axis.axhspan(-1, 1, color=GREY, alpha=0.25, lw=0)
        axis.axhline(0, color=INK, lw=0.7)
        axis.set_xlabel(f"bin of {symbol}")
        axis.set_xticks([1, 4, 7, 10])
    axes[0].set_ylabel(r"(generated - true) / $\sigma_n$")
    axes[0].plot([], [], **STYLES["pool"] | {"ls": ""}, ms=5)
    legend_above(upper, axes[0], ncols=3, fontsize=9)
    _worth(lower.subplots(), found)
    return fig


def _worth(axis: Axes, found: dict[str, Any]) -> None:
    groups = list(found["pool"]["groups"])
    axis.set(yscale="log", ylim=(0.02, _TOP), xlim=(-0.6, len(groups) - 0.4))
    for shift, (name, style) in zip((-0.2, 0.0, 0.2), STYLES.items(), strict=True):
        look = {"color": style["color"], "marker": style["marker"]}
        for x, group in enumerate(groups):
            of_group = found[name]["groups"][group]
            ends = [_TOP if end is None else end for end in of_group["amplification_interval"]]
            value = of_group["amplification"] or _TOP
            axis.vlines(x + shift, *np.clip(ends, 0.021, 0.98 * _TOP), color=style["color"], lw=1.2)
            axis.plot(x + shift, min(value, 0.85 * _TOP), ls="", ms=5, **look)
    axis.axhline(1, color=INK, lw=0.7)
    names = [WORDS.get(name, name) for name in (group.split(",")[0] for group in groups)]
    kinds = [group.split(", ")[1] if ", " in group else "cells" for group in groups]
    labels = [f"{name}\n{kind}" for name, kind in zip(names, kinds, strict=True)]
    axis.set_xticks(range(len(groups)), labels, fontsize=8, rotation=40, ha="right")
    axis.set_ylabel("actual G, after the cuts")
    log_ticks(axis.yaxis, *axis.get_ylim())
