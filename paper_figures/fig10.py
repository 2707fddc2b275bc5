"""Figure 10: averaging against differential amplification of the same generators: integrals over
ten shells, and the likelihood ratio without averaging; single flows, and pools of members.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from amplify.estimators.kolmogorov import K1
from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study
from paper_figures.scan import cases, dims

AVERAGING = (
    ("averaging_actual", "averaging, actual", "-", {"marker": "o", "color": INK}),
    ("averaging_estimate", "averaging, bootstrap estimate", "--", {"marker": "s", "color": ACCENT}),
)
POOLS = (
    ("pool_averaging", "averaging, pool", {"marker": "o", "color": INK}),
    ("pool_g", "differential, pool", {"marker": "^", "color": GREY}),
)
PARAMETERS = ((5, 1.2e5, "top"), (50, 1.2e5, "bottom"), (500, 2.8e3, "bottom"))  # k, label at n


def figure() -> Figure:
    """Against n_train; bars: central 68 % of the training sets, for pools of resampled ones.

    Thin lines: G of k effective parameters, and the fall of a kernel estimate with n_train, through
    the first pool.
    """
    fig = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = fig.subplots(1, len(dims()), sharey=True, squeeze=False)[0]
    for axis, dim in zip(axes, dims(), strict=True):
        _flows(axis, cases(dim))
        if pools(dim, rotated=False):
            _pools(axis, pools(dim, rotated=False))
        if pools(dim, rotated=True):  # not in a short rerun
            _told_of_rotations(axis, pools(dim, rotated=True))
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        axis.set(xscale="log", yscale="log", xlabel=r"$n_{\rm train}$", title=f"{dim}-D")
    axes[0].set_ylabel("amplification factor G")
    legend_above(fig, axes[0], ncols=3, fontsize=8)
    return fig


def pools(dim: int, *, rotated: bool) -> list[dict[str, Any]]:
    """The pools that tuning preferred, by n_train: told of rotations, or knowing no symmetry."""
    best: dict[int, dict[str, Any]] = {}
    for case in study("ring_pools").values():
        if case["dim"] == dim and case["rotated"] == rotated:
            best.setdefault(case["n_train"], case)
    return [best[n] for n in sorted(best)]


def _flows(axis: Any, scan: list[dict[str, Any]]) -> None:
    n = np.array([c["n_train"] for c in scan])
    for k, (name, label, line, look) in enumerate(AVERAGING):
        value = [c[name] for c in scan]
        ends = np.quantile([c[f"{name}_of_sets"] for c in scan], [0.16, 0.84], axis=1)
        axis.plot(n * 1.08**k, value, line, **look, ms=5, lw=1.2, label=f"{label}, one flow")
        axis.vlines(n * 1.08**k, *ends, color=look["color"], lw=1.2)
    value = [c["amplification"][0] for c in scan]
    ends = np.array([np.asarray(c["amplification_of_sets"])[[0, 2], 0] for c in scan]).T
    label = "differential, one flow"
    axis.plot(n, value, "-.", marker="^", color=GREY, ms=6, lw=1.2, label=label)
    axis.vlines(n, *ends, color=GREY, lw=1.2)


def _told_of_rotations(axis: Any, pools: list[dict[str, Any]]) -> None:
    n = np.array([c["n_train"] for c in pools])
    value = [c["pool_g"]["value"] for c in pools]
    ends = np.array([c["pool_g"]["interval_68"] for c in pools]).T
    label = "differential, pool told of rotations"
    axis.plot(n * 1.25, value, ls="none", marker="*", color=ACCENT, ms=9, label=label)
    axis.vlines(n * 1.25, *ends, color=ACCENT, lw=1.2)


def _pools(axis: Any, pools: list[dict[str, Any]]) -> None:
    n = np.array([c["n_train"] for c in pools])
    for name, label, look in POOLS:
        value = np.array([c[name]["value"] for c in pools])
        ends = np.array([c[name]["interval_68"] for c in pools]).T
        axis.plot(n / 1.12, value, ls="none", **look, mfc="white", ms=8, mew=1.5, label=label)
        axis.vlines(n / 1.12, *ends, color=look["color"], lw=1.2)
    dim, first = pools[0]["dim"], pools[0]["pool_g"]["value"]
    reach = np.array([n[0], 1e5])
    falls = first * (reach / n[0]) ** (-dim / (4 + dim))
    label = r"kernel rate, $D \sim n_{\rm train}^{-2/(4+d)}$"
    axis.plot(reach, falls, color=ACCENT, lw=1.0, label=label)
    for k, place, side in PARAMETERS:
        bound = 2 * np.pi * K1**2 / k
        axis.axhline(bound, color=GREY, lw=0.6)
        axis.annotate(f"k = {k}", (place, bound), fontsize=7.5, va=side, ha="right")
    axis.plot([], [], color=GREY, lw=0.6, label="4.74 / k, k fitted parameters")
