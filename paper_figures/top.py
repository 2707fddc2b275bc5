"""What figures 11 to 15 share: the generators of the top-pair study and how they are drawn, its
bins and regions, values of G and limits on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from amplify.plots.looks import ACCENT, GREY, INK
from paper_figures.recorded import is_recorded, study

RUST = "#b4501e"
FILL = "#e2e5e9"
NAMES = {"m_tt": r"$m_{tt}$", "pT_t": r"$p_{T,t}$", "pT_tt": r"$p_{T,tt}$"}
KINDS = ("all", "bulk", "tail")


# members of Bayesian networks: what they are called, and how they are drawn
BAYESIAN: dict[str, tuple[str, dict[str, Any]]] = {
    "variational": ("estimate, variational", {"color": RUST, "marker": "D", "ls": "-."}),
    "sgmcmc": ("estimate, SGHMC", {"color": RUST, "marker": "v", "ls": ":", "mfc": "white"}),
}


# which study of top pairs is drawn: that of a CPU, or "ttbar_gpu"
_drawn: ContextVar[str] = ContextVar("drawn", default="ttbar")


@contextmanager
def drawn(name: str) -> Iterator[None]:
    """Inside, figures 11 to 15 show this study."""
    token = _drawn.set(name)
    try:
        yield
    finally:
        _drawn.reset(token)


class Look(NamedTuple):
    """A generator in words, line and marker."""

    label: str
    color: str
    line: str
    marker: str


LOOKS = {
    "spline": Look("spline flow", INK, "-", "o"),
    "transformer": Look("transformer", ACCENT, "--", "s"),
    "lloca": Look("LLoCa", GREY, "-.", "^"),
    "lgatr": Look("L-GATr", RUST, ":", "D"),
}


def generators() -> tuple[dict[str, Any], list[tuple[dict[str, Any], Look]]]:
    """The recorded study, and its generators with several networks, in the order of LOOKS."""
    data = study(_drawn.get())
    models = data["models"]
    return data, [(models[name], look) for name, look in LOOKS.items() if name in models]


def bayesian() -> dict[str, dict[str, Any]]:
    """Claims of the Bayesian spline flows, by method; none where they were not recorded, nor beside
    another study than the one whose events they were trained on.
    """
    if _drawn.get() != "ttbar" or not is_recorded("ttbar_bayesian"):
        return {}
    found = study("ttbar_bayesian")
    return {name: found[name] for name in BAYESIAN}


def bins(data: dict[str, Any], name: str) -> tuple[list[int], list[float]]:
    """Places of the ten bins of an observable among the regions, and the edges between them in GeV,
    read off the labels.
    """
    places = [i for i, label in enumerate(data["regions"]) if f"{name} [GeV]" in label][:10]
    return places, [float(data["regions"][i].rsplit("<", 1)[1]) for i in places[:-1]]


def floats(values: Any) -> np.ndarray:
    """Numbers as recorded; null, which stands for infinity and for nan, becomes nan."""
    return np.asarray(values, float)


def amount(
    axis: Axes, x: float, value: float | None, interval: list[float | None], style: dict[str, Any]
) -> float:
    """G with its interval, and an arrow up where that has no upper end; the place of the marker in
    y. Set the limits of the axis first.

    Args:
        axis: logarithmic in y.
        x: place.
        value: of G; where null, for infinity, the marker is at the lower end: a lower limit.
        interval: of G, null for infinity.
        style: color, marker, mfc.
    """
    bottom, top = axis.get_ylim()
    low, high = (np.inf if end is None else end for end in interval)
    # what is outside of the axis is drawn on its edge
    highest = 0.4 * top if high > top else 0.9 * top
    y = float(np.clip(low if value is None else value, 1.2 * bottom, highest))
    ends = [min(low, y), max(high, y) if high <= top else y]
    axis.vlines(x, *np.clip(ends, bottom, top), color=style["color"], lw=1.2)
    if high > top:
        arrow(axis, x, y, up=True, color=style["color"])
    axis.plot(x, y, **style, ls="", ms=5)
    return y


def arrow(axis: Axes, x: float, y: float, *, up: bool, color: str) -> None:
    """An arrow of 14 points from (x, y)."""
    props = {
        "arrowstyle": "<|-,head_length=0.3,head_width=0.15",
        "color": color,
        "lw": 1.2,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 10,
    }
    tip = (0, 14 if up else -14)
    axis.annotate("", (x, y), xytext=tip, textcoords="offset points", arrowprops=props)


def contradicted(axis: Axes, x: Any, y: Any, label: str | None = None) -> None:
    """Crosses over estimates that the holdout contradicts."""
    axis.plot(x, y, "x", color=INK, ms=9, mew=1.3, zorder=6, label=label)


def region_axis(axis: Axes, groups: list[tuple[str, tuple[str, ...]]]) -> None:
    """Ticks for kinds of regions side by side, the name of their group below them, lines between
    groups.
    """
    kinds = [kind for _, of_group in groups for kind in of_group]
    axis.set_xticks(range(len(kinds)), kinds, fontsize=8.5)
    axis.tick_params(axis="x", length=0)
    start = 0
    below = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    for name, of_group in groups:
        middle = (start + (len(of_group) - 1) / 2, 0)
        axis.annotate(name, middle, xytext=(0, -17), ha="center", va="top", **below)
        start += len(of_group)
        if start < len(kinds):
            axis.axvline(start - 0.5, color=GREY, lw=0.6)
    axis.set_xlim(-0.6, len(kinds) - 0.4)


def log_limits(values: list[float | None], low: float, high: float) -> tuple[float, float]:
    """Limits of a logarithmic axis for G: what is finite and between low and high, and one, with
    room for arrows.
    """
    inside = [v for v in values if v is not None and low < v < high]
    return 0.5 * min([1.0, *inside]), 3.0 * max([1.0, *inside])
