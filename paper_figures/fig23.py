"""Figure 23: files laid out as showers of the CaloChallenge and as jets of JetNet. What two
generators of each are worth in every statistic, in equivalent true events.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.estimators.statistics import STATISTICS
from amplify.plots.looks import ACCENT, GREY, INK
from experiments.layouts import LAYOUTS
from paper_figures.drawing import legend_above
from paper_figures.recorded import study

LOOK = {"Gaussian": ("s", INK), "mixture": ("o", ACCENT)}
N_TRAIN = 2000


def figure() -> Figure:
    """A panel for each layout; bars are 68 % intervals, arrows lower limits."""
    data = study("layouts")
    fig = Figure(figsize=(7.2, 3.8), layout="constrained")
    panels = fig.subplots(1, len(data), sharey=True)
    for axis, (name, rows) in zip(panels, data.items(), strict=True):
        _panel(axis, rows)
        axis.set_title(LAYOUTS[name].title, fontsize=10)
    legend_above(fig, panels[0], ncols=3, fontsize=9)
    return fig


def _panel(axis: Axes, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(row["statistic"] for row in rows))
    seen = set()
    for row in rows:
        marker, color = LOOK[row["generator"]]
        y = names.index(row["statistic"]) + (-0.15 if row["generator"] == "Gaussian" else 0.15)
        label = None if row["generator"] in seen else f"{row['generator']} of the latent numbers"
        seen.add(row["generator"])
        if row["n_equiv"] is None:
            end = (3 * row["low"], y)
            line = {"arrowstyle": "-|>", "color": color, "lw": 1.0, "shrinkA": 2}
            axis.annotate("", end, (row["low"], y), arrowprops=line)
            axis.plot(row["low"], y, marker, color=color, mfc="white", ms=5, label=label)
            continue
        high = row["high"] or 1e9
        error = [[row["n_equiv"] - row["low"]], [high - row["n_equiv"]]]
        axis.errorbar(row["n_equiv"], y, xerr=error, fmt=marker, color=color, ms=5, label=label)
    axis.axvline(N_TRAIN, color=GREY, lw=0.8, ls="--", label="training events")
    for line in range(1, len(names)):
        axis.axhline(line - 0.5, color=GREY, lw=0.3, alpha=0.5)
    axis.set(xscale="log", xlabel="equivalent true events")
    axis.set_yticks(range(len(names)), [STATISTICS[name].title for name in names], fontsize=9)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
