"""Figure 2: mean quadratic deviation of integrals against the number of samples drawn from a fitted
Gaussian, with the analytic curve.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY
from paper_figures.drawing import mark
from paper_figures.recorded import study


def figure() -> Figure:
    """50 experiments, ten equiprobable bins."""
    data = study("gaussian")
    n, integral = np.asarray(data["n_gen"]), np.asarray(data["truth"])
    binomial = (integral * (1 - integral)).mean()
    model = np.mean(data["sigma_model_squared"])
    fine = np.geomspace(n[0], n[-1], 200)
    fig = Figure(figsize=(4.8, 3.9), layout="constrained")
    axis = fig.add_subplot()
    axis.plot(fine, binomial / fine, "--", color=GREY, label="true events, analytic")
    axis.plot(fine, binomial / fine + model, "-", color=ACCENT, label="fitted Gaussian, analytic")
    for name, marker, color, label in (
        ("true", "^", GREY, "true events"),
        ("generated", "o", ACCENT, "fitted Gaussian, 50 experiments"),
    ):
        axis.errorbar(
            n,
            data[name],
            data[f"{name}_error"],
            fmt=marker,
            color=color,
            mfc="white",
            ms=4.5,
            lw=1,
            label=label,
        )
    mark(axis, data["n_train"], r"$n_{\rm train}$", height=0.02, lift=2)
    mark(axis, binomial / model, r"$n_{\rm equiv}$", height=0.02, lift=2)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel=r"number of events drawn, $n_{\rm gen}$",
        ylabel="mean squared deviation of the integral",
    )
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8.5)
    return fig
