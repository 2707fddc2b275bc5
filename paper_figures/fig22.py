"""Figure 22: monitoring. How often batches of events from a toy of drift tubes raise an alarm, by
what is wrong with the tubes, at one false alarm in a hundred.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.estimators.statistics import STATISTICS
from amplify.plots.looks import GREY, INK, LOOKS
from paper_figures.recorded import study


def figure() -> Figure:
    """A panel for each size of batches; dotted the rate of false alarms that was asked for."""
    cells = study("monitoring")["cells"]
    sizes = list(dict.fromkeys(cell["batch"] for cell in cells))
    fig = Figure(figsize=(7.2, 3.4), layout="constrained")
    panels = np.atleast_1d(fig.subplots(1, len(sizes), sharey=True))
    for axis, size in zip(panels, sizes, strict=True):
        _panel(axis, [cell for cell in cells if cell["batch"] == size])
        axis.set_title(f"batches of {size} events", fontsize=10)
    fig.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    return fig


def _panel(axis: Axes, cells: list[dict[str, Any]]) -> None:
    faults = list(cells[0]["alarms"])
    for k, (cell, (marker, _, color)) in enumerate(zip(cells, LOOKS, strict=False)):
        rates = [cell["alarms"][fault][0] for fault in faults]
        places = np.arange(len(faults)) + 0.16 * (k - (len(cells) - 1) / 2)
        label = f"{STATISTICS[cell['statistic']].title}"
        axis.plot(np.maximum(rates, 2e-3), places, marker, color=color, ms=5, label=label)
    rate = cells[0]["rates"][0]
    axis.axvline(rate, color=INK, lw=0.8, ls=":")
    for row in range(1, len(faults)):
        axis.axhline(row - 0.5, color=GREY, lw=0.3, alpha=0.5)
    axis.set(xscale="log", xlim=(1.5e-3, 1.3), xlabel="share of batches with an alarm")
    axis.set_yticks(range(len(faults)), faults)
    axis.set_ylim(len(faults) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
