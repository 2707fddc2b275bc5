"""Figure 10: averaging against differential amplification of the same networks: integrals over ten
shells, and the likelihood ratio without averaging.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.scan import cases


def figure() -> Figure:
    """Against n_train; bars: central 68 % of the training sets."""
    fig = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    for axis, dim in zip(axes, (2, 4), strict=True):
        scan = cases(dim)
        n = np.array([c["n_train"] for c in scan])
        differential = np.array([np.asarray(c["amplification_of_sets"])[[0, 2], 0] for c in scan]).T
        lines = (
            (
                "averaging, actual",
                [c["averaging_actual"] for c in scan],
                [c["averaging_actual_of_sets"] for c in scan],
                "-",
                "o",
                INK,
            ),
            (
                "averaging, bootstrap estimate",
                [c["averaging_estimate"] for c in scan],
                [c["averaging_estimate_of_sets"] for c in scan],
                "--",
                "s",
                ACCENT,
            ),
        )
        for k, (label, value, sets, style, marker, color) in enumerate(lines):
            axis.plot(
                n * 1.08**k, value, style, marker=marker, color=color, ms=5, lw=1.2, label=label
            )
            axis.vlines(
                n * 1.08**k,
                *np.quantile(np.asarray(sets), [0.16, 0.84], axis=1),
                color=color,
                lw=1.2,
            )
        axis.plot(
            n,
            [c["amplification"][0] for c in scan],
            "-.",
            marker="^",
            color=GREY,
            ms=6,
            lw=1.2,
            label="differential, exact ratio",
        )
        axis.vlines(n, *differential, color=GREY, lw=1.2)
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        axis.set(xscale="log", yscale="log", xlabel=r"$n_{\rm train}$", title=f"{dim}-D")
    axes[0].set_ylabel("amplification factor G")
    fig.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return fig
