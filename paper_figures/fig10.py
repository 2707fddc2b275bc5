"""Figure 10: averaging against differential amplification of the same networks: integrals over ten
shells, and the likelihood ratio without averaging.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.scan import cases

AVERAGING = (
    ("averaging_actual", "averaging, actual", "-", {"marker": "o", "color": INK}),
    ("averaging_estimate", "averaging, bootstrap estimate", "--", {"marker": "s", "color": ACCENT}),
)


def figure() -> Figure:
    """Against n_train; bars: central 68 % of the training sets."""
    fig = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    for axis, dim in zip(axes, (2, 4), strict=True):
        scan = cases(dim)
        n = np.array([c["n_train"] for c in scan])
        for k, (name, label, line, look) in enumerate(AVERAGING):
            value = [c[name] for c in scan]
            ends = np.quantile([c[f"{name}_of_sets"] for c in scan], [0.16, 0.84], axis=1)
            axis.plot(n * 1.08**k, value, line, **look, ms=5, lw=1.2, label=label)
            axis.vlines(n * 1.08**k, *ends, color=look["color"], lw=1.2)
        value = [c["amplification"][0] for c in scan]
        ends = np.array([np.asarray(c["amplification_of_sets"])[[0, 2], 0] for c in scan]).T
        label = "differential, exact ratio"
        axis.plot(n, value, "-.", marker="^", color=GREY, ms=6, lw=1.2, label=label)
        axis.vlines(n, *ends, color=GREY, lw=1.2)
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        axis.set(xscale="log", yscale="log", xlabel=r"$n_{\rm train}$", title=f"{dim}-D")
    axes[0].set_ylabel("amplification factor G")
    legend_above(fig, axes[0], ncols=3, fontsize=9)
    return fig
