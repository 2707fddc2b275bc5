"""Figure 3: training data on the Gaussian ring, with the regions of the integrals."""

import jax
import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from amplify.truth import ring
from paper_figures.recorded import study


def figure() -> Figure:
    """1000 true events, ten equiprobable shells, and the tail of large radii; no training
    needed.
    """
    recorded = study("ring")
    case = next(c for c in recorded.values() if c["dim"] == 2)
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=1000))
    fig = Figure(figsize=(4.4, 4.6), layout="constrained")
    axis = fig.add_subplot()
    axis.plot(*x.T, ".", color=ACCENT, ms=2.5, label="1000 training events")
    angle = np.linspace(0, 2 * np.pi, 300)
    for k, radius in enumerate(e for e in case["edges"] if e):
        axis.plot(
            radius * np.cos(angle),
            radius * np.sin(angle),
            color=GREY,
            lw=0.8,
            label="shells of equal probability" if k == 0 else None,
        )
    axis.plot(
        6 * np.cos(angle), 6 * np.sin(angle), "--", color=INK, lw=1.4, label="large radii, r > 6"
    )
    axis.set(xlabel="$x_0$", ylabel="$x_1$", aspect="equal", xlim=(-8, 8), ylim=(-8, 8))
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8.5)
    return fig
