"""Plots of a results.json, as matplotlib figures that stay legible at column width and without
colour.
"""

from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from amplify.text import number

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "amplify",
}
INK, ACCENT, GREY = "#1b1f24", "#0b5fa5", "#7a828c"
# on the page ticks point inwards on all four sides, as the field draws them
PAGE_STYLE = STYLE | {
    "axes.spines.top": True,
    "axes.spines.right": True,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
WIDTH = 9.5  # inches; fills the page with letters of the size of its text


def plain(label: str, most: int = 48) -> str:
    """A user's label as it is, shortened in the middle: matplotlib would read dollars as
    formulas.
    """
    label = " ".join("".join(c if c.isprintable() else " " for c in label).split())
    if len(label) > most:
        label = f"{label[: most // 2]}…{label[-(most // 2 - 1) :]}"
    return label.replace("$", r"\$")


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Numbers instead of powers of ten; where few decades are shown also at 2 and 5."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(
        FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else "")
        if high < 30 * low
        else NullFormatter()
    )


def sigma_curves(results: dict[str, Any]) -> Figure:
    """Uncertainty of an integral against n_gen: it falls like that of true events until the plateau
    of sigma_model, and of the bias where one is seen.
    """
    records = [
        r
        for r in results["estimates"]
        if r["method"] == "averaging" and r["status"] in ("resolved", "biased") and r["n_equiv"]
    ]
    chosen = _spread(sorted(records, key=lambda r: r["n_equiv"]), 4)
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axis = figure.add_subplot()
    if not chosen:
        axis.text(
            0.5,
            0.5,
            "no region with a resolved model uncertainty",
            ha="center",
            transform=axis.transAxes,
        )
        return figure
    n_train = chosen[0]["n_train"]
    top = 30 * max(r["n_equiv"] for r in chosen)
    n = np.geomspace(max(n_train / 30, 10), max(top, 100 * n_train), 200)
    for record, style, marker in zip(chosen, ("-", "--", "-.", ":"), "osD^", strict=False):
        integral, plateau = record["integral"], record["n_equiv"]
        relative = np.sqrt(integral * (1 - integral) * (1 / plateau + 1 / n)) / integral
        axis.plot(n, relative, style, color=ACCENT, lw=1.6)
        mark = np.interp(plateau, n, relative)
        axis.plot(
            plateau,
            mark,
            marker,
            mfc="white",
            mec=INK,
            ms=7,
            label=f"{plain(record['region'], 36)}: n_equiv = {number(plateau)}",
        )
        axis.plot(n, np.sqrt(integral * (1 - integral) / n) / integral, color=GREY, lw=0.8)
    axis.axvline(n_train, color=INK, lw=1, ls="--")
    axis.annotate(
        "n_train",
        (n_train, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, -10),
        textcoords="offset points",
    )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="number of generated events n_gen",
        ylabel="relative uncertainty of the integral",
    )
    figure.legend(loc="outside upper center", ncols=2, frameon=False, handletextpad=0.3)
    return figure


def _spread(records: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` records, evenly spread over the list."""
    if len(records) <= most:
        return records
    return [records[round(i * (len(records) - 1) / (most - 1))] for i in range(most)]
