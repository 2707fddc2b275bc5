"""What figures 4 and 5 share: actual and estimated uncertainties of radial integrals, one panel per
dimension.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.drawing import legend_above
from paper_figures.recorded import study

LINES = (
    ("actual", "actual deviation, rms", {"color": INK, "marker": "o", "ls": "-"}),
    ("bootstrap", "estimate, bootstrap ensemble", {"color": ACCENT, "marker": "s", "ls": "--"}),
    ("same_data", "estimate, same-data ensemble", {"color": GREY, "marker": "^", "ls": ":"}),
)


def panels(regions: slice, ticks: list[str] | None, xlabel: str) -> Figure:
    """Relative uncertainty per region; 2-D left, 4-D right; filled markers n_train = 1e3, open ones
    1e4; thin line: n_train true events.
    """
    cases = study("ring")
    dims = sorted({case["dim"] for case in cases.values()})
    fig = Figure(figsize=(3.5 * len(dims), 3.9), layout="constrained")
    axes = fig.subplots(1, len(dims), sharey=True, squeeze=False)[0]
    for axis, dim in zip(axes, dims, strict=True):
        for case in sorted(
            (c for c in cases.values() if c["dim"] == dim), key=lambda c: c["n_train"]
        ):
            _draw(axis, case, regions, first=case["n_train"] == 1000)
        axis.set(yscale="log", xlabel=xlabel, title=f"{dim}-D")
        if ticks:
            axis.set_xticks(range(len(ticks)), ticks)
        else:
            axis.set_xticks(range(10), range(1, 11))
    axes[0].set_ylabel("relative uncertainty of the integral")
    for size, fill in (("10^3", None), ("10^4", "white")):
        axes[0].plot([], [], "o", color=INK, mfc=fill, ms=5, label=f"$n_{{\\rm train}} = {size}$")
    legend_above(fig, axes[0], ncols=3, fontsize=8.5)
    return fig


def _draw(axis: Any, case: dict[str, Any], regions: slice, *, first: bool) -> None:
    truth = np.asarray(case["truth"])[regions]
    place = np.arange(len(truth))
    for name, label, style in LINES:
        axis.plot(
            place,
            np.asarray(case[name])[regions] / truth,
            **style,
            mfc=None if first else "white",
            ms=5,
            lw=1.2,
            label=label if first else None,
        )
    events = np.sqrt(truth * (1 - truth) / case["n_train"]) / truth
    axis.plot(
        place, events, color=INK, lw=0.7, label="$n_{\\rm train}$ true events" if first else None
    )
