"""What figures 4 and 5 share: actual and estimated uncertainties of radial integrals, one panel per
dimension and training-set size.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK, log_ticks
from paper_figures.drawing import legend_above
from paper_figures.recorded import is_recorded, study
from paper_figures.top import BAYESIAN

LINES = (
    ("actual", "actual deviation, rms", {"color": INK, "marker": "o", "ls": "-"}),
    ("bootstrap", "estimate, bootstrap ensemble", {"color": ACCENT, "marker": "s", "ls": "--"}),
    ("same_data", "estimate, same-data ensemble", {"color": GREY, "marker": "^", "ls": ":"}),
)


def panels(regions: slice, ticks: list[str] | None, xlabel: str) -> Figure:
    """Relative uncertainty per region; dimensions side by side, n_train below each other; thin
    line: n_train true events.
    """
    cases = study("ring")
    bayesian = study("ring_bayesian") if is_recorded("ring_bayesian") else {}
    dims = sorted({case["dim"] for case in cases.values()})
    sizes = sorted({case["n_train"] for case in cases.values()})
    fig = Figure(figsize=(3.5 * len(dims), 1.2 + 2.3 * len(sizes)), layout="constrained")
    axes = fig.subplots(len(sizes), len(dims), sharex=True, sharey="row", squeeze=False)
    for row, n_train in zip(axes, sizes, strict=True):
        for axis, dim in zip(row, dims, strict=True):
            axis.set(yscale="log")
            for name, case in cases.items():
                if (case["dim"], case["n_train"]) == (dim, n_train):
                    _draw(axis, case | bayesian.get(name, {}), regions)
            axis.set_title(rf"{dim}-D, $n_{{\rm train}} = 10^{len(str(n_train)) - 1}$", fontsize=10)
        log_ticks(row[0].yaxis, *row[0].get_ylim())
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
        if ticks:
            axis.set_xticks(range(len(ticks)), ticks)
        else:
            axis.set_xticks(range(10), range(1, 11))
    fig.supylabel("relative uncertainty of the integral", fontsize=10)
    legend_above(fig, axes[0, 0], ncols=3, fontsize=8.5)
    return fig


def _draw(axis: Axes, case: dict[str, Any], regions: slice) -> None:
    truth = np.asarray(case["truth"])[regions]
    place = np.arange(len(truth))
    for name, label, style in (*LINES, *((k, *look) for k, look in BAYESIAN.items())):
        if name in case:
            sigma = np.asarray(case[name])[regions] / truth
            axis.plot(place, sigma, **style, ms=5, lw=1.2, label=label)
    events = np.sqrt(truth * (1 - truth) / case["n_train"]) / truth
    axis.plot(place, events, color=INK, lw=0.7, label=r"$n_{\rm train}$ true events")
