"""Figure 13: averaging amplification of four generators of top pairs by region, actual and
estimated by the members of a bootstrap, and by Bayesian spline flows.
"""

from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.drawing import legend_above
from paper_figures.top import (
    BAYESIAN,
    KINDS,
    NAMES,
    amount,
    bayesian,
    contradicted,
    generators,
    log_limits,
    region_axis,
)

ACTUAL = {"color": INK, "marker": "o", "mfc": INK}
ESTIMATE = {"color": ACCENT, "marker": "s", "mfc": "white"}


def figure() -> Figure:
    """All generated events, none rejected; bars: 68 % from the scatter of four training sets, and
    of the estimate. "all" pools ten bins.
    """
    _, shown = generators()
    fig = Figure(figsize=(7.0, 5.8), layout="constrained")
    axes = fig.subplots(2, 2, sharey=True)
    groups = [g for m, _ in shown for g in m["all"]["averaging"]["groups"].values()]
    values = []
    for g in groups:
        values += [g["actual"], g["estimated"], *g["actual_interval"], *g["estimated_interval"]]
    limits = log_limits(values, 1e-3, 1e2)
    for axis, (model, look) in zip(axes.flat, shown, strict=False):
        axis.set(yscale="log", ylim=limits)
        axis.axhline(1, color=INK, lw=0.8, ls=":")
        for x, (name, kind) in enumerate(product(NAMES, KINDS)):
            group = model["all"]["averaging"]["groups"][f"{name}, {kind}"]
            amount(axis, x - 0.17, group["actual"], group["actual_interval"], ACTUAL)
            y = amount(axis, x + 0.17, group["estimated"], group["estimated_interval"], ESTIMATE)
            if group["status"] == "biased":
                contradicted(axis, x + 0.17, y)
            if look.label == "spline flow":
                _bayesian(axis, x, f"{name}, {kind}")
        axis.set_title(look.label, fontsize=10)
        region_axis(axis, [(NAMES[name], KINDS) for name in NAMES])
    for axis in axes[:, 0]:
        axis.set_ylabel("averaging factor G")
        log_ticks(axis.yaxis, *limits)
    first = axes[0, 0]
    first.plot([], [], **ACTUAL, ls="", label="actual, rms of training sets")
    first.plot([], [], **ESTIMATE, ls="", label="estimate, bootstrap members")
    for name in bayesian():
        label, style = BAYESIAN[name]
        first.plot([], [], **style | {"ls": ""}, label=label)
    label = "no upper end; without a bar: lower limit"
    first.plot([], [], ls="", marker=r"$\uparrow$", color=GREY, ms=9, label=label)
    contradicted(first, [], [], "the holdout contradicts the estimate")
    legend_above(fig, first, ncols=2, fontsize=9, handletextpad=0.2)
    return fig


def _bayesian(axis: Axes, x: int, region: str) -> None:
    """Claims of the draws of Bayesian networks."""
    for place, (name, found) in enumerate(bayesian().items()):
        group = found["groups"][region]
        look = {k: v for k, v in BAYESIAN[name][1].items() if k != "ls"}
        shift = 0.3 + 0.13 * place
        amount(axis, x + shift, group["estimated"], group["estimated_interval"], look)
