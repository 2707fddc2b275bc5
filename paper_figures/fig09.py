"""Figure 9: differential amplification by region and n_train for spline flows on the Gaussian ring,
and what a learned ratio can say of it.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.scan import cases, dims

STYLES = (("-", "o", INK), ("--", "s", ACCENT), ("-.", "^", GREY))


def figure() -> Figure:
    """G of the mean distance; bars: central 68 % of the training sets.

    Open triangles: median limit at 90 % of a learned ratio with 1e5 holdout events, where it is
    below 10.
    """
    fig = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = fig.subplots(1, len(dims()), sharey=True, squeeze=False)[0]
    for axis, dim in zip(axes, dims(), strict=True):
        scan = cases(dim)
        n = np.array([c["n_train"] for c in scan])
        for r, (style, marker, color) in enumerate(STYLES):
            shift = 1.08 ** (r - 1)
            value = np.array([c["amplification"][r] for c in scan])
            low, _, high = np.array([np.asarray(c["amplification_of_sets"])[:, r] for c in scan]).T
            axis.plot(
                n * shift,
                value,
                style,
                marker=marker,
                color=color,
                ms=5,
                lw=1.2,
                label=scan[0]["regions"][r],
            )
            axis.vlines(n * shift, low, high, color=color, lw=1.2)
            limit = np.array([c["learned_limit"][-1][r] or np.nan for c in scan], float)
            axis.plot(
                n * shift,
                limit,
                "v",
                mfc="none",
                mec=color,
                ms=7,
                label="learned ratio: limit at 90 %" if r == 0 else None,
            )
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        axis.set(xscale="log", yscale="log", xlabel=r"$n_{\rm train}$", title=f"{dim}-D")
    axes[0].set_ylim(0.6 * min(c["amplification"][0] for dim in dims() for c in cases(dim)), 10)
    axes[0].set_ylabel("differential amplification factor G")
    legend_above(fig, axes[0], ncols=4, fontsize=8.5)
    return fig
