"""Figure 12: actual and estimated uncertainty of integrals over bins of m_tt and pT_t for four
generators, in units of the error of n_train true events.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.top import NAMES, bins, contradicted, floats, generators

OBSERVABLES = ("m_tt", "pT_t")
TICKS = (0, 4, 8)  # edges between bins that are written out


def figure() -> Figure:
    """All generated events, none rejected. Triangles at the lower edge: no more than the noise of
    n_gen events is seen.
    """
    data, found = generators()
    fig = Figure(figsize=(7.0, 5.0), layout="constrained")
    axes = fig.subplots(len(OBSERVABLES), len(found), sharey=True, squeeze=False)
    squares = np.concatenate(
        [
            floats(m["all"]["averaging"][part])[bins(data, name)[0]]
            for m, _ in found
            for part in ("actual", "estimated")
            for name in OBSERVABLES
        ]
    )
    sigma = np.sqrt(squares[squares > 0])
    limits = (max(0.1, 0.6 * sigma.min(initial=0.5)), 1.3 * max(2.0, sigma.max(initial=2.0)))
    for row, name in zip(axes, OBSERVABLES, strict=True):
        places, edges = bins(data, name)
        for axis, (model, look) in zip(row, found, strict=True):
            axis.set(yscale="log", ylim=limits, xlim=(0.4, 10.6))
            part = model["all"]["averaging"]
            _draw(
                axis,
                *(floats(part[key])[places] for key in ("actual", "estimated")),
                np.asarray(part["biased"])[places],
            )
            axis.set_xticks(
                [i + 1.5 for i in TICKS], [f"{edges[i]:.0f}" for i in TICKS], fontsize=9
            )
            axis.set_xlabel(f"{NAMES[name]} [GeV]")
            log_ticks(axis.yaxis, *limits)
            if name == OBSERVABLES[0]:
                axis.set_title(look.label, fontsize=10)
    fig.supylabel(r"uncertainty of the integral / $\sigma_n$", fontsize=10)
    axes[0, 0].plot([], [], "v", color=GREY, ms=5, label=r"below the noise of $n_{\rm gen}$")
    axes[0, 0].axhline(1, color=INK, lw=0.7, label=r"$n_{\rm train}$ true events")
    contradicted(axes[0, 0], [], [], "the holdout contradicts the estimate")
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    return fig


def _draw(axis: Axes, actual: np.ndarray, estimated: np.ndarray, biased: np.ndarray) -> None:
    bottom = axis.get_ylim()[0]
    lines = (
        (
            actual,
            -0.15,
            {"color": INK, "marker": "o", "ls": "-", "label": "actual, rms of training sets"},
        ),
        (
            estimated,
            0.15,
            {
                "color": ACCENT,
                "marker": "s",
                "mfc": "white",
                "ls": "--",
                "label": "estimate, bootstrap members",
            },
        ),
    )
    for squares, shift, style in lines:
        place = np.arange(1, 11) + shift
        sigma = np.sqrt(np.maximum(squares, 0))
        seen = sigma > 1.1 * bottom
        axis.plot(place, np.where(seen, sigma, np.nan), **style, ms=4.5, lw=1.2)
        noise = np.isfinite(squares) & ~seen
        axis.plot(
            place[noise],
            np.full(noise.sum(), 1.12 * bottom),
            "v",
            color=style["color"],
            mfc=style.get("mfc"),
            ms=5,
        )
    contradicted(axis, place[biased], np.where(seen, sigma, 1.12 * bottom)[biased])
    axis.axhline(1, color=INK, lw=0.7)
