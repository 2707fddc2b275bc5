"""The differential part of a result: distribution functions of the summary, and the distance
against n_gen.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from amplify.plots.looks import (
    ACCENT,
    GREY,
    INK,
    WIDTH,
    axes_or_new,
    keep_ticks,
    legend_above,
    log_ticks,
    new_figure,
    plain,
    style,
)
from amplify.plots.source import Source, results_of, view_of

_BAR = {"color": INK, "lw": 3, "solid_capstyle": "butt"}


def distribution_functions(
    result: Source, axes: Sequence[Axes] | None = None, *, legend: bool = True
) -> tuple[Axes, Axes]:
    """Distribution functions of truth and generator above, their difference below.

    The thick bar is the distance D, at the largest difference or at the threshold.

    Args:
        result: a Result of differential amplification, or the dict of its results.json.
        axes: two to draw in, upper and lower; a new figure otherwise.
        legend: whether one stands above the upper axes.

    Returns:
        Both axes.

    Raises:
        InputError: the result has no distribution functions.

    >>> functions = {"t": [-1, 0, 1], "holdout": [0.1, 0.6, 1], "generated": [0.1, 0.5, 1]}
    >>> functions |= {"place": 0, "holdout_there": 0.6, "generated_there": 0.5}
    >>> estimate = {"method": "differential", "summary": "observable pt"}
    >>> result = {"estimates": [estimate], "differential": {"functions": functions}}
    >>> top, bottom = distribution_functions(result)
    >>> top.get_ylabel(), bottom.get_xlabel()
    ('fraction of events below', 'summary t: observable pt')
    """
    stored = view_of(result, "differential", "functions")
    summary = next(
        record["summary"]
        for record in results_of(result)["estimates"]
        if record["method"] == "differential"
    )
    functions = {name: np.asarray(value, float) for name, value in stored.items()}
    if axes is not None:
        top, bottom = axes
        _functions(top, bottom, functions, summary, legend)
        return top, bottom
    with style():
        figure = new_figure((WIDTH, 5.4))
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _functions(top, bottom, functions, summary, legend)
        keep_ticks(top)
        keep_ticks(bottom)
    return top, bottom


def _functions(
    top: Axes, bottom: Axes, functions: dict[str, np.ndarray], summary: str, legend: bool
) -> None:
    t, holdout, generated = (functions[name] for name in ("t", "holdout", "generated"))
    place = float(functions["place"])
    ends = [float(functions["generated_there"]), float(functions["holdout_there"])]
    top.plot(t, holdout, color=INK, lw=1.6, label="truth (holdout)")
    top.plot(t, generated, "--", color=ACCENT, lw=1.6, label="generated")
    bottom.plot(t, holdout - generated, color=ACCENT, lw=1.4)
    bottom.axhline(0, color=GREY, lw=0.8)
    for axis in (top, bottom):
        axis.axvline(place, color=GREY, lw=0.8, ls=":")
    gap = ends[1] - ends[0]
    looks: dict[str, Any] = _BAR
    top.plot([place, place], ends, label=f"D = {gap:.3g}", **looks)
    bottom.plot([place, place], [0, gap], **looks)
    top.set_ylabel("fraction of events below")
    bottom.set(xlabel=f"summary t: {plain(summary)}", ylabel="truth - generated")
    left, right = np.quantile(t, [0.005, 0.995])
    if left < right:  # a summary may have one value
        bottom.set_xlim(left, right)
    if legend:
        legend_above(top, 3)


def approach(result: Source, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """KS distance to the holdout as the generated sample grows, against the band of true events.

    Args:
        result: a Result of differential amplification, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        legend: whether one stands above the axes.

    Returns:
        The axes.

    Raises:
        InputError: the result does not hold the distances.

    >>> distances = {"n_gen": [100, 1000], "ks": [0.1, 0.05], "null_mean": [0.087, 0.027]}
    >>> distances |= {"null_low": [0.05, 0.02], "null_high": [0.13, 0.04]}
    >>> distances |= {"n_holdout": 20_000, "distance": 0.04}
    >>> approach({"differential": {"approach": distances}}).get_xlabel()
    'number of generated events n_gen'
    """
    stored = view_of(result, "differential", "approach")
    curves = {name: np.asarray(value, float) for name, value in stored.items()}
    n, plateau = curves["n_gen"], float(curves["distance"])
    with axes_or_new(ax, (WIDTH, 4.6)) as axes:
        axes.set(xscale="log", yscale="log")
        band: dict[str, Any] = {"color": GREY, "alpha": 0.25, "lw": 0}
        band["label"] = "true events, 90 % of samples"
        axes.fill_between(n, curves["null_low"], curves["null_high"], **band)
        axes.plot(n, curves["null_mean"], "--", color=INK, lw=1.2, label="true events, mean")
        axes.plot(n, curves["ks"], "o-", color=ACCENT, ms=4, lw=1.4, label="generated events")
        if plateau > 0:
            axes.axhline(plateau, color=ACCENT, lw=1, ls=":", label="estimate of the plateau D")
        n_holdout = f"{float(curves['n_holdout']):,.0f}".replace(",", " ")
        axes.set_xlabel("number of generated events n_gen")
        axes.set_ylabel(f"KS distance to {n_holdout} holdout events")
        log_ticks(axes.xaxis, *axes.get_xlim())
        log_ticks(axes.yaxis, *axes.get_ylim())
        if legend:
            legend_above(axes, 2)
    return axes
