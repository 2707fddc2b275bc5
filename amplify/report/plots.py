"""Plots of a results.json, as matplotlib figures that stay legible at column width and without colour."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "path", "svg.hashsalt": "amplify"}
INK, ACCENT, GREY = "#1b1f24", "#0b5fa5", "#7a828c"
_MARKERS = {"resolved": "o", "lower_limit": "^", "upper_limit": "v", "biased": "X", "unresolved": "|"}
_WORDS = {"resolved": "resolved", "lower_limit": "lower limit", "upper_limit": "upper limit", "biased": "biased (holdout)", "unresolved": "unresolved"}


def plain(label: str) -> str:
    """A user's label as it is: matplotlib would read dollars as formulas."""
    return label.replace("$", r"\$")


def amplification_by_region(results: dict[str, Any]) -> Figure:
    """G per region with its interval on a logarithmic axis, line at G = 1; open diamonds are the actual G where truth is known."""
    records = results["estimates"]
    actual = results.get("truth", {}).get("actual_amplification")
    figure = Figure(figsize=(7.0, 1.3 + 0.27 * len(records)), layout="constrained")
    axis = figure.add_subplot()
    axis.set_xscale("log")
    ends = [v for r in records for v in (r["amplification"], *r["amplification_interval"]) if v]
    ends += [v for v in actual or [] if v]
    low_end, high_end = (min([1, *ends]) / 1.6, max([1, *ends]) * 1.6) if ends else (0.1, 10)
    seen = set()
    for row, record in enumerate(records):
        low, high = record["amplification_interval"]
        status = record["status"]
        label = None if status in seen else _WORDS[status]
        seen.add(status)
        if status == "unresolved" and (record["amplification"] is None or (not low and high is None)):
            axis.plot([low_end, high_end], [row, row], color=GREY, lw=1, ls=":", label=label)
            continue
        axis.plot([low or low_end, high or high_end], [row, row], color=ACCENT if status != "biased" else INK, lw=2, solid_capstyle="butt")
        if status == "upper_limit":
            axis.plot(low_end, row, marker="<", color=ACCENT, ms=6, clip_on=False)
        if high is None:
            axis.plot(high_end, row, marker=">", color=ACCENT, ms=6, clip_on=False)
        at = high if status == "upper_limit" else record["amplification"]
        if at:
            axis.plot(at, row, marker=_MARKERS[status], color=ACCENT if status != "biased" else INK, ms=7, ls="", label=label)
        if actual and actual[row]:
            axis.plot(actual[row], row, marker="D", mfc="white", mec=INK, ms=5, ls="", label=None if "actual" in seen else "actual (truth known)")
            seen.add("actual")
    axis.axvline(1, color=INK, lw=1, ls="--")
    axis.set_xlim(low_end, high_end)
    both = len({r["method"] for r in records}) > 1
    axis.set_yticks(range(len(records)), [plain(f"{r['region']}, {r['summary']}" if both and r["summary"] else r["region"]) for r in records])
    axis.set_ylim(len(records) - 0.4, -0.6)
    axis.set_xlabel("amplification factor G = n_equiv / n_train")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False, handletextpad=0.3)
    return figure


def sigma_curves(results: dict[str, Any]) -> Figure:
    """Uncertainty of an integral against n_gen: it falls like that of true events until the plateau of sigma_model, and of the bias where one is seen."""
    records = [r for r in results["estimates"] if r["n_equiv"] and r["method"] == "averaging"]
    chosen = _spread(sorted(records, key=lambda r: r["n_equiv"]), 4)
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axis = figure.add_subplot()
    if not chosen:
        axis.text(0.5, 0.5, "no region with a resolved model uncertainty", ha="center", transform=axis.transAxes)
        return figure
    n_train = chosen[0]["n_train"]
    top = 30 * max(r["n_equiv"] for r in chosen)
    n = np.geomspace(max(n_train / 30, 10), max(top, 100 * n_train), 200)
    for record, style, marker in zip(chosen, ("-", "--", "-.", ":"), "osD^", strict=False):
        integral, plateau = record["integral"], record["n_equiv"]
        relative = np.sqrt(integral * (1 - integral) * (1 / plateau + 1 / n)) / integral
        axis.plot(n, relative, style, color=ACCENT, lw=1.6)
        mark = np.interp(plateau, n, relative)
        axis.plot(plateau, mark, marker, mfc="white", mec=INK, ms=7, label=f"{plain(record['region'])}: plateau at n_equiv = {plateau:,.0f}".replace(",", " "))
        axis.plot(n, np.sqrt(integral * (1 - integral) / n) / integral, color=GREY, lw=0.8)
    axis.axvline(n_train, color=INK, lw=1, ls="--")
    axis.annotate("n_train", (n_train, 1), xycoords=("data", "axes fraction"), xytext=(3, -10), textcoords="offset points")
    axis.set(xscale="log", yscale="log", xlabel="number of generated events n_gen", ylabel="relative uncertainty of the integral")
    figure.legend(loc="outside upper center", ncols=1, frameon=False, handletextpad=0.3)
    return figure


def _spread(records: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` records, evenly spread over the list."""
    if len(records) <= most:
        return records
    return [records[round(i * (len(records) - 1) / (most - 1))] for i in range(most)]
