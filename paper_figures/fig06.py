"""Figure 6: distribution functions of the likelihood ratio for true and generated events, and their
largest distance D; fitted Gaussian and 2-D ring.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study


def figure() -> Figure:
    """Functions above, difference below; the bar is D at t = 0."""
    data = study("differential")
    ring = data["d2-n1000"]
    t, generated, true = ring["functions"]
    panels = (
        (
            f"fitted Gaussian, n_train = {data['gaussian']['n_train']}",
            data["gaussian"]["functions"],
        ),
        (
            "2-D ring, n_train = 1000",
            {"t": t, "generated": generated, "true": true, "distance": ring["distances"][0][0]},
        ),
    )
    fig = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = fig.subplots(2, 2, sharex="col", height_ratios=[3, 2])
    for column, (title, f) in zip(axes.T, panels, strict=True):
        t, generated, true = (np.asarray(f[name], float) for name in ("t", "generated", "true"))
        column[0].plot(t, true, color=INK, lw=1.6, label="true events")
        column[0].plot(t, generated, "--", color=ACCENT, lw=1.6, label="generated events")
        column[1].plot(t, true - generated, color=ACCENT, lw=1.4)
        at = [float(np.interp(0, t, v)) for v in (generated, true)]
        column[0].plot([0, 0], at, color=INK, lw=3, solid_capstyle="butt")
        column[1].plot(
            [0, 0], [0, at[1] - at[0]], color=INK, lw=3, solid_capstyle="butt", label="D at t = 0"
        )
        column[1].axhline(0, color=GREY, lw=0.8)
        column[1].annotate(
            f"D = {f['distance']:.3f}",
            (0, 0.15 * (at[1] - at[0])),
            xytext=(-6, 0),
            textcoords="offset points",
            va="center",
            ha="right",
            fontsize=9,
        )
        column[0].set_title(title, fontsize=10)
        column[1].set_xlabel(r"$t = \log\, p_\theta / p_{\rm true}$")
    axes[0, 0].set_ylabel("fraction of events below t")
    axes[1, 0].set_ylabel("true - generated")
    legend_above(fig, axes[0, 0], ncols=2)
    return fig
