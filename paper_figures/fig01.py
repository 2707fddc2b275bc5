"""Figure 1: illustration of the averaging estimate. The statistical uncertainty of the generated
sample falls until the model uncertainty is left.
"""

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import mark
from paper_figures.recorded import study


def figure() -> Figure:
    """From the recorded fitted Gaussian: one decile, closed forms."""
    data = study("gaussian")
    integral, model, n_train = data["truth"][1], data["sigma_model_squared"][1], data["n_train"]
    n_equiv = integral * (1 - integral) / model
    n = np.geomspace(n_train / 10, 300 * n_equiv, 300)
    stat = integral * (1 - integral) / n
    fig = Figure(figsize=(4.8, 3.9), layout="constrained")
    axis = fig.add_subplot()
    axis.plot(
        n,
        np.sqrt(stat) / integral,
        "--",
        color=GREY,
        label=r"$\sigma_{\rm stat}$, as for true events",
    )
    axis.plot(
        n,
        np.full_like(n, np.sqrt(model) / integral),
        ":",
        color=INK,
        label=r"$\sigma_{\rm model}$, the plateau",
    )
    axis.plot(
        n,
        np.sqrt(stat + model) / integral,
        "-",
        color=ACCENT,
        lw=2,
        label=r"$\sigma_{\rm true}$ of the generated sample",
    )
    for x, text in ((n_train, r"$n_{\rm train}$"), (n_equiv, r"$n_{\rm equiv}$")):
        mark(axis, x, text, height=0.02, lift=2)
    height = np.sqrt(stat[0] + model) / integral * 0.75
    axis.annotate(
        "", (n_equiv, height), (n_train, height), arrowprops={"arrowstyle": "->", "color": INK}
    )
    axis.text(
        np.sqrt(n_train * n_equiv), height * 1.06, f"G = {n_equiv / n_train:.1f}", ha="center"
    )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="number of generated events $n_{\\rm gen}$",
        ylabel="relative uncertainty of an integral",
    )
    fig.legend(loc="outside upper center", frameon=False)
    return fig
