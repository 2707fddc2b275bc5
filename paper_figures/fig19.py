"""Figure 19: the forecast. G that trainings on subsamples foretell over the actual G of trainings
on all events; and how G and the sliced Wasserstein distance go with training events and with the
size of a spline flow, where that was recorded.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from amplify.plots.looks import ACCENT, GREY, INK, LOOKS
from amplify.results.records import read_json
from paper_figures.recorded import DIRECTORY, study

KINDS = {
    "differential": ("event by event, free exponent", "o", ACCENT),
    "exponent_one_half": ("event by event, exponent 1/2", "s", GREY),
    "averaging": ("integrals, all regions", "^", INK),
}
NAMES = {"gmm": "Gaussian mixture", "kde": "kernel density", "flow": "spline flow"}
FLOWS = DIRECTORY / "forecast_flow.json"


def figure() -> Figure:
    """Left: medians and central 68 % of the training sets, and how often 68 % intervals hold the
    actual G. Right: differential G against training events, and W1 in units of its value for true
    events.
    """
    data = study("forecast")
    rows, scaling = list(data["forecasts"]), list(data["scaling"])
    if FLOWS.exists():
        flows = read_json(FLOWS)["study"]
        rows, scaling = rows + flows["forecasts"], scaling or flows["scaling"]
    fig = Figure(figsize=(9.0 if scaling else 6.0, 3.9), layout="constrained")
    axes = fig.subplots(1, 2 if scaling else 1, squeeze=False)[0]
    _forecasts(axes[0], rows)
    if scaling:
        _scaling(axes[1], scaling)
    return fig


def _forecasts(axis: Axes, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        for k, (kind, (label, marker, color)) in enumerate(KINDS.items()):
            found = row[kind]
            ratio, (low, high) = found["ratio"], found["ratio_16_84"]
            if ratio is None or low is None or high is None:
                continue
            y = -place - 0.25 * (k - 1)
            error = [[ratio - low], [high - ratio]]
            name = label if place == 0 else None
            axis.errorbar(ratio, y, xerr=error, fmt=marker, color=color, ms=5, label=name)
            axis.annotate(
                f"holds it in {found['covers']:.2f}",
                (high, y),
                xytext=(5, -3),
                textcoords="offset points",
                fontsize=7,
                color=color,
            )
    axis.axvspan(0.8, 1.25, color=GREY, alpha=0.15, lw=0)
    axis.axvline(1, color=INK, lw=0.8)
    axis.set(xscale="log", xlim=(0.3, 80), ylim=(0.5 - len(rows), 0.9))
    axis.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    labels = [
        f"{NAMES.get(r['generator'], r['generator'])}\non the problem {r['problem']}" for r in rows
    ]
    axis.set_yticks([-place for place in range(len(rows))], labels)
    axis.set_xlabel("forecast G / actual G")
    axis.legend(fontsize=7.5, frameon=False, loc="upper right")


def _scaling(axis: Axes, rows: list[dict[str, Any]]) -> None:
    right = axis.twinx()
    for look, hidden in zip(LOOKS, sorted({r["hidden"] for r in rows}), strict=False):
        mine = [r for r in rows if r["hidden"] == hidden]
        n = [r["n_train"] for r in mine]
        marker, _, color = look
        label = f"{mine[0]['params']} parameters"
        axis.plot(n, [r["differential"] for r in mine], color=color, marker=marker, label=label)
        ratio = [r["sliced_wasserstein"] / r["sliced_wasserstein_floor"] for r in mine]
        right.plot(n, ratio, color=color, marker=marker, ls=":", mfc="none")
    axis.set(xscale="log", yscale="log", xlabel="training events")
    sizes = sorted({r["n_train"] for r in rows})
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_ylabel("G event by event (solid)")
    right.set_ylim(bottom=0)
    right.set_ylabel("sliced W1 / that of true events (dotted)")
    axis.legend(fontsize=8, frameon=False)
