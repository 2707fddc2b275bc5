"""A forecast in pictures: the measured sizes, the curve through them with its band, and where it is
extrapolated to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from amplify.estimators.kolmogorov import K1
from amplify.plots.looks import ACCENT, GREY, INK, axes_or_new, legend_above, log_ticks, plain
from amplify.results.forecasts import FORECAST

MOST_REGIONS = 6
_SIZE = (5.4, 4.0)
_LEAST = 1e-3  # of the largest value, where a band is cut off


def forecast_distance(results: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """The distance D of a typical training to the truth against its training events; grey that of
    so many true events, G = 1.
    """
    view = results[FORECAST]
    distance = view["distance"]
    curve = distance["curve"]
    with axes_or_new(ax, _SIZE) as axes:
        n = np.array(curve["n"])
        band = [np.array(curve[f"distance{end}"]) for end in ("", "_low", "_high")]
        _law(axes, n, band)
        _points(axes, distance["size"], distance["value"], distance["error"])
        axes.plot(n, K1 / np.sqrt(n), color=GREY, ls="--", label="true events: G = 1")
        _at_n_train(axes, view)
        axes.set_ylabel("distance D to the truth")
        _finish(axes, n)
    return axes


def forecast_region(results: Mapping[str, Any], place: int, ax: Axes | None = None) -> Axes:
    """The error of the integral over one region, relative to it, against training events; grey that
    of so many true events, G = 1.
    """
    view = results[FORECAST]
    region = view["regions"][place]
    record = [r for r in results["estimates"] if r["method"] == "averaging"][place]
    integral, curve = record["integral"], region["curve"]
    with axes_or_new(ax, _SIZE) as axes:
        n = np.array(curve["n"])
        band = [np.array(curve[f"sigma{end}"]) / integral for end in ("", "_low", "_high")]
        _law(axes, n, band)
        _measured(axes, region, integral)
        binomial = np.sqrt((1 - integral) / integral / n)
        axes.plot(n, binomial, color=GREY, ls="--", label="true events: G = 1")
        _at_n_train(axes, view)
        axes.set_ylabel("relative error of the integral")
        axes.set_title(plain(region["region"], 40), fontsize="medium", pad=18)
        _finish(axes, n)
    return axes


def drawn_regions(results: Mapping[str, Any]) -> list[int]:
    """Places of the regions that have a picture: the first ones with a curve."""
    regions = results[FORECAST]["regions"]
    return [i for i, region in enumerate(regions) if region.get("curve")][:MOST_REGIONS]


def _measured(axes: Axes, region: Mapping[str, Any], integral: float) -> None:
    """The square roots of bias^2 less its error, and variance, of each size."""
    bias, variance = region["bias_trend"], region["variance_trend"]
    square = np.array(bias["value"]) ** 2 - np.array(bias["error"]) ** 2
    of_size = dict(zip(variance["size"], variance["value"], strict=True))
    error_of = dict(zip(variance["size"], variance["error"], strict=True))
    total = square + np.array([of_size.get(k, 0.0) for k in bias["size"]])
    error = np.hypot(
        2 * np.abs(bias["value"]) * np.array(bias["error"]),
        [error_of.get(k, 0.0) for k in bias["size"]],
    )
    root = np.sqrt(np.maximum(total, 0)) / integral
    up = np.sqrt(np.maximum(total + error, 0)) / integral - root
    down = root - np.sqrt(np.maximum(total - error, 0)) / integral
    _points(axes, bias["size"], root, np.array([down, up]))


def _law(axes: Axes, n: np.ndarray, band: list[np.ndarray]) -> None:
    middle, low, high = band
    least = _LEAST * float(np.nanmax(high))
    axes.fill_between(n, np.maximum(low, least), np.maximum(high, least), color=ACCENT, alpha=0.2)
    axes.plot(n, np.where(middle > 0, middle, np.nan), color=ACCENT, label="power law")


def _points(axes: Axes, size: Any, value: Any, error: Any) -> None:
    axes.errorbar(
        size, value, error, fmt="o", color=INK, ms=4, lw=1, label="trainings on subsamples"
    )


def _at_n_train(axes: Axes, view: Mapping[str, Any]) -> None:
    axes.axvline(view["n_train"], color=INK, lw=1, ls=":")


def _finish(axes: Axes, n: np.ndarray) -> None:
    axes.set(xscale="log", yscale="log", xlim=(n[0] / 1.3, n[-1]))
    axes.set_xlabel("training events")
    shown = [line.get_ydata() for line in axes.get_lines()]
    values = np.concatenate([np.asarray(y, float) for y in shown if len(np.asarray(y)) > 2])
    values = values[np.isfinite(values) & (values > 0)]
    axes.set_ylim(values.min() / 3, values.max() * 2)
    log_ticks(axes.xaxis, *axes.get_xlim())
    log_ticks(axes.yaxis, *axes.get_ylim())
    legend_above(axes, 3, fontsize="small", handletextpad=0.3, columnspacing=0.8)
