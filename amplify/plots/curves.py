"""Curves against a number of events or bins: the uncertainty of an integral, G against resolution,
and how much of a distance a learner finds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike

from amplify.errors import InputError
from amplify.plots.looks import (
    ACCENT,
    GREY,
    INK,
    LOOKS,
    WIDTH,
    axes_or_new,
    legend_above,
    log_ticks,
    plain,
)
from amplify.plots.naming import names_of
from amplify.plots.source import Source, results_of, view_of
from amplify.text import number

MOST = len(LOOKS)  # columns in one plot of the resolution
_REGIONS = 4  # curves in one plot of the uncertainty
_APART = 1.045  # factor between the points of curves that share their places


def sigma_curves(result: Source, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Relative uncertainty of an integral against n_gen, for at most four regions.

    It falls like that of true events (grey) until the plateau of sigma_model, and of the bias where
    one is seen; at the marker n_gen is n_equiv.

    Args:
        result: a Result, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        legend: whether one stands above the axes.

    Returns:
        The axes.

    >>> region = {"method": "averaging", "region": "pt > 400", "status": "resolved"}
    >>> region |= {"n_equiv": 4000.0, "n_train": 1000, "integral": 0.1}
    >>> sigma_curves({"estimates": [region]}).get_ylabel()
    'relative uncertainty of the integral'
    """
    chosen = with_plateau(results_of(result)["estimates"])
    with axes_or_new(ax, (WIDTH, 4.6)) as axes:
        if not chosen:
            words = "no region with a resolved model uncertainty"
            axes.text(0.5, 0.5, words, ha="center", transform=axes.transAxes)
            return axes
        n_train = chosen[0].get("n_train_region") or chosen[0]["n_train"]
        most = chosen[-1]["n_equiv"]
        n = np.geomspace(max(n_train / 30, 10), max(30 * most, 100 * n_train), 200)
        axes.set(xscale="log", yscale="log")
        for record, line, marker in zip(chosen, ("-", "--", "-.", ":"), "osD^", strict=False):
            label = names_of(result).region(record["region"], 36)
            _sigma_curve(axes, n, record, label, (line, marker))
        axes.axvline(n_train, color=INK, lw=1, ls="--")
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction")}
        where |= {"xytext": (3, -10), "textcoords": "offset points"}
        axes.annotate("n_train", (n_train, 1), **where)
        axes.set_xlabel("number of generated events n_gen")
        axes.set_ylabel("relative uncertainty of the integral")
        log_ticks(axes.xaxis, *axes.get_xlim())
        log_ticks(axes.yaxis, *axes.get_ylim())
        if legend:
            legend_above(axes, 2, handletextpad=0.3)
    return axes


def resolution(result: Source, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """G pooled over K equiprobable bins of a column against K, for the first six columns.

    Columns stand a little apart; an arrow is an interval without upper end.

    Args:
        result: a Result, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        legend: whether one stands above the axes.

    Returns:
        The axes.

    Raises:
        InputError: the result has no resolution.

    >>> curve = {"column": "pt", "bins": [2, 5, 10], "amplification": [3.0, 2.0, 1.2]}
    >>> curve |= {"low": [2.0, 1.2, 0.8], "high": [None, 4.0, 2.0]}
    >>> resolution({"resolution": [curve]}).get_xlabel()
    'number of equiprobable bins K'
    """
    drawn: list[dict[str, Any]] = view_of(result, "resolution")[:MOST]
    keys, names = ("bins", "amplification", "low", "high"), names_of(result)
    curves = [{key: np.array(column[key], float) for key in keys} for column in drawn]
    bottom, top = _around(np.concatenate([c[key] for c in curves for key in keys[1:]]))
    with axes_or_new(ax, (WIDTH, 4.8)) as axes:
        axes.set(xscale="log", yscale="log")
        for place, (column, curve) in enumerate(zip(drawn, curves, strict=True)):
            apart = _APART ** (place - (len(drawn) - 1) / 2)
            label = names.axis(column["column"])
            _resolution_curve(axes, place, curve, apart, label, (bottom, top))
        axes.axhline(1, color=INK, lw=1, ls="--", zorder=0.5)
        axes.set_ylim(bottom, top)
        log_ticks(axes.yaxis, bottom, top)
        every_k = sorted({int(k) for curve in curves for k in curve["bins"]})
        axes.xaxis.set_major_locator(FixedLocator(every_k))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel("number of equiprobable bins K")
        axes.set_ylabel("G pooled over the bins")
        if legend:
            legend_above(axes, 3)
    return axes


def efficiency(
    n: Sequence[float] | np.ndarray,
    mean: ArrayLike,
    error: ArrayLike | None = None,
    labels: Sequence[str] = (),
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Which part of the distance each learner finds, against the number of events that teach it.

    Args:
        n: true events that teach [point].
        mean: D_learned / D_inf [learner, point], or [point] of one learner; one is perfect.
        error: of the mean, in the same shape.
        labels: of the learners.
        ax: where to draw; a new figure otherwise.
        legend: whether the labels stand above the axes.

    Returns:
        The axes.

    Raises:
        InputError: the shapes do not fit.

    >>> ax = efficiency([200, 600], [[0.5, 0.7], [0.6, 0.9]], labels=["trees", "MLP"])
    >>> ax.get_xlabel()
    'true events that teach'
    """
    x, means = np.asarray(n, float), np.atleast_2d(np.asarray(mean, float))
    errors = None if error is None else np.atleast_2d(np.asarray(error, float))
    if means.shape[1:] != x.shape or (errors is not None and errors.shape != means.shape):
        got = f"mean {means.shape}, error {None if errors is None else errors.shape}"
        raise InputError("efficiency", f"arrays [learner, {len(x)}]", got, "one value for each n")
    with axes_or_new(ax, (6.0, 3.9)) as axes:
        axes.set_xscale("log")
        for place, values in enumerate(means):
            marker, line, colour = LOOKS[place % len(LOOKS)]
            shifted = x * _APART ** (place - (len(means) - 1) / 2)
            looks: dict[str, Any] = {"marker": marker, "ls": line, "color": colour, "mfc": "white"}
            looks["label"] = plain(labels[place]) if place < len(labels) else None
            bars = None if errors is None else errors[place]
            axes.errorbar(shifted, values, bars, capsize=3, ms=6, lw=1.3, **looks)
        axes.axhline(1, color=INK, lw=1, ls="--", zorder=0.5)
        axes.set_ylim(0, max(1.05, 1.05 * float(np.nanmax(means))))
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("true events that teach")
        axes.set_ylabel("efficiency D_learned / D_inf")
        if legend and labels:
            legend_above(axes, 3)
    return axes


def with_plateau(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most four averaging records whose plateau is seen, evenly spread over their n_equiv."""
    seen = [
        r
        for r in records
        if r["method"] == "averaging" and r["status"] in ("resolved", "biased") and r["n_equiv"]
    ]
    seen.sort(key=lambda r: r["n_equiv"])
    if len(seen) <= _REGIONS:
        return seen
    return [seen[round(i * (len(seen) - 1) / (_REGIONS - 1))] for i in range(_REGIONS)]


def _sigma_curve(
    axes: Axes, n: np.ndarray, record: Mapping[str, Any], label: str, look: tuple[str, str]
) -> None:
    line, marker = look
    integral, plateau = record["integral"], record["n_equiv"]
    of_one_event = np.sqrt((1 - integral) / integral)  # relative, of a single true event
    relative = of_one_event * np.sqrt(1 / plateau + 1 / n)
    axes.plot(n, relative, line, color=ACCENT, lw=1.6)
    axes.plot(n, of_one_event / np.sqrt(n), color=GREY, lw=0.8)
    label = f"{label}: n_equiv = {number(plateau)}"
    at = np.interp(plateau, n, relative)
    axes.plot(plateau, at, marker, mfc="white", mec=INK, ms=7, label=label)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits around everything that has a logarithm, and 1."""
    known = [1.0, *values[np.isfinite(values) & (values > 0)]]
    return float(min(known)) / 1.5, float(max(known)) * 1.8


def _resolution_curve(
    axes: Axes,
    place: int,
    curve: Mapping[str, np.ndarray],
    apart: float,
    label: str,
    limits: tuple[float, float],
) -> None:
    marker, line, colour = LOOKS[place]
    k, value = curve["bins"] * apart, curve["amplification"]
    looks: dict[str, Any] = {"marker": marker, "ls": line, "color": colour, "mfc": "white"}
    axes.plot(k, value, ms=6, lw=1.3, label=label, **looks)
    bottom, top = limits
    low = np.where(curve["low"] > 0, curve["low"], bottom)
    high = np.where(np.isfinite(curve["high"]), curve["high"], top)
    shown = np.isfinite(value) | (curve["low"] > 0)
    axes.vlines(k[shown], low[shown], high[shown], color=colour, lw=1.3, zorder=1.5)
    endless = k[shown & ~np.isfinite(curve["high"])]
    arrows: dict[str, Any] = {"marker": "^", "color": colour, "ls": "", "ms": 5, "clip_on": False}
    axes.plot(endless, np.full(len(endless), top), **arrows)
