"""Figure 12: actual and estimated uncertainty of integrals over bins of m_tt and pT_t for four
generators, in units of the error of n_train true events; of the spline flow also by Bayesian
networks.
"""

from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.drawing import legend_above
from paper_figures.top import BAYESIAN, NAMES, bayesian, bins, contradicted, floats, generators

OBSERVABLES = ("m_tt", "pT_t")
TICKS = (0, 4, 8)  # edges between bins that are written out
ACTUAL = {"color": INK, "marker": "o", "ls": "-", "label": "actual, rms of training sets"}
ESTIMATE = {
    "color": ACCENT,
    "marker": "s",
    "mfc": "white",
    "ls": "--",
    "label": "estimate, bootstrap members",
}


def figure() -> Figure:
    """All generated events, none rejected. Triangles at the lower edge: no more than the noise of
    n_gen events is seen.
    """
    data, shown = generators()
    fig = Figure(figsize=(7.0, 5.0), layout="constrained")
    axes = fig.subplots(len(OBSERVABLES), len(shown), sharey=True, squeeze=False)
    averaged = [model["all"]["averaging"] for model, _ in shown]
    squares = np.concatenate(
        [
            floats(averaging[kind])[bins(data, name)[0]]
            for averaging, kind, name in product(averaged, ("actual", "estimated"), OBSERVABLES)
        ]
    )
    sigma = np.sqrt(squares[squares > 0])
    limits = (max(0.1, 0.6 * sigma.min(initial=0.5)), 1.3 * max(2.0, sigma.max(initial=2.0)))
    for row, name in zip(axes, OBSERVABLES, strict=True):
        places, edges = bins(data, name)
        for axis, averaging, (_, look) in zip(row, averaged, shown, strict=True):
            axis.set(yscale="log", ylim=limits, xlim=(0.4, 10.6))
            actual, estimated = (floats(averaging[kind]) for kind in ("actual", "estimated"))
            biased = np.asarray(averaging["biased"])
            _draw(axis, actual[places], estimated[places], biased[places])
            if look.label == "spline flow":
                _bayesian(axis, places)
            labels = [f"{edges[i]:.0f}" for i in TICKS]
            axis.set_xticks([i + 1.5 for i in TICKS], labels, fontsize=9)
            axis.set_xlabel(f"{NAMES[name]} [GeV]")
            log_ticks(axis.yaxis, *limits)
            if name == OBSERVABLES[0]:
                axis.set_title(look.label, fontsize=10)
    fig.supylabel(r"uncertainty of the integral / $\sigma_n$", fontsize=10)
    axes[0, 0].plot([], [], "v", color=GREY, ms=5, label=r"below the noise of $n_{\rm gen}$")
    axes[0, 0].axhline(1, color=INK, lw=0.7, label=r"$n_{\rm train}$ true events")
    contradicted(axes[0, 0], [], [], "the holdout contradicts the estimate")
    legend_above(fig, axes[0, 0], ncols=2, fontsize=9)
    return fig


def _bayesian(axis: Axes, places: list[int]) -> None:
    """Claims of the draws, where they are above the noise."""
    for name, found in bayesian().items():
        label, look = BAYESIAN[name]
        sigma = np.sqrt(np.maximum(floats(found["estimated"])[places], 0))
        visible = np.where(sigma > axis.get_ylim()[0], sigma, np.nan)
        axis.plot(np.arange(1, 11), visible, **look, ms=3.5, lw=1.0, label=label)


def _draw(axis: Axes, actual: np.ndarray, estimated: np.ndarray, biased: np.ndarray) -> None:
    bottom = axis.get_ylim()[0]
    for squares, shift, style in ((actual, -0.15, ACTUAL), (estimated, 0.15, ESTIMATE)):
        place = np.arange(1, 11) + shift
        sigma = np.sqrt(np.maximum(squares, 0))
        visible = sigma > 1.1 * bottom
        axis.plot(place, np.where(visible, sigma, np.nan), **style, ms=4.5, lw=1.2)
        noise = np.isfinite(squares) & ~visible
        look = {"color": style["color"], "mfc": style.get("mfc"), "ms": 5}
        axis.plot(place[noise], np.full(noise.sum(), 1.12 * bottom), "v", **look)
    contradicted(axis, place[biased], np.where(visible, sigma, 1.12 * bottom)[biased])
    axis.axhline(1, color=INK, lw=0.7)
