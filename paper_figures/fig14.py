"""Figure 14: distribution functions of the learned ratio for true and generated top pairs, and the
KS distance of ever more events with its plateau.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.approach import true_events
from paper_figures.top import floats, generators


def figure() -> Figure:
    """One network of each generator, after the cuts, the ratio learned with the whole truth; the
    bar is D at t = 0, open markers are limits on n_equiv.
    """
    _, shown = generators()
    fig = Figure(figsize=(7.0, 6.6), layout="constrained")
    upper, lower = fig.subfigures(2, 1, height_ratios=[3, 3])
    axes = upper.subplots(
        2, len(shown), sharex="col", sharey="row", height_ratios=[3, 2], squeeze=False
    )
    for column, (model, look) in zip(axes.T, shown, strict=True):
        _functions(
            column,
            *(
                floats(model["differential"]["functions"][key])
                for key in ("t", "generated", "true")
            ),
        )
        column[0].set_title(look.label, fontsize=10)
        column[1].set_xlabel(r"$t = \log\, p_\theta / p_{\rm true}$")
    axes[0, 0].set_ylabel("fraction below t")
    axes[1, 0].set_ylabel("true - generated")
    upper.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )

    axis = lower.subplots()
    for k, (model, look) in enumerate(shown):
        approach = model["differential"]["approach"]
        sizes = floats(approach["sizes"])
        if k == 0:
            axis.plot(
                sizes,
                floats(approach["true"]),
                "P",
                color=GREY,
                mfc="white",
                ms=6,
                label="true events",
            )
            true_events(axis, sizes.tolist())
        axis.plot(
            sizes,
            floats(approach["generated"]),
            look.line,
            color=look.color,
            marker=look.marker,
            ms=4,
            lw=1.3,
            label=look.label,
        )
        if approach["plateau"] and approach["n_equiv_below"]:
            axis.hlines(
                approach["plateau"],
                approach["n_equiv_below"],
                sizes[-1],
                color=look.color,
                lw=0.8,
                ls=":",
            )
            axis.plot(
                approach["n_equiv_below"],
                approach["plateau"],
                look.marker,
                mfc="white",
                mec=look.color,
                mew=1.5,
                ms=8,
                zorder=5,
            )
    axis.plot(
        [],
        [],
        "o",
        mfc="white",
        mec=INK,
        mew=1.5,
        ms=8,
        label="open: $n_{\\rm equiv}$ is\nless, at 90 %",
    )
    axis.set_ylabel("KS distance in the learned ratio")
    log_ticks(axis.yaxis, *axis.get_ylim())
    lower.legend(
        *axis.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9
    )
    return fig


def _functions(column: np.ndarray, t: np.ndarray, generated: np.ndarray, true: np.ndarray) -> None:
    top, bottom = column
    top.plot(t, true, color=INK, lw=1.6, label="true events")
    top.plot(t, generated, "--", color=ACCENT, lw=1.6, label="generated events")
    at = [float(np.interp(0, t, v)) for v in (generated, true)]
    top.plot([0, 0], at, color=INK, lw=3, solid_capstyle="butt", label="D at t = 0")
    bottom.plot(t, true - generated, color=ACCENT, lw=1.4)
    bottom.plot([0, 0], [0, at[1] - at[0]], color=INK, lw=3, solid_capstyle="butt")
    bottom.axhline(0, color=GREY, lw=0.8)
    bottom.set_title(f"D = {at[1] - at[0]:.3f}", fontsize=9, loc="right")
