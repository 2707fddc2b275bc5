"""Maps over two observables: G in cells, and generated over true events."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import NullLocator

from amplify.plots.style import GREY, INK, WIDTH, plain
from amplify.text import number

_SHADES = ListedColormap(
    mpl.colormaps["PuOr"](np.linspace(0.22, 0.78, 256))
)  # light enough for the numbers, and for any eye
_MINUS = "\N{MINUS SIGN}"
_EMPTY = "#e4e7ea"
_STEPS = (0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000)
_PREFIX = {"lower_limit": "> ", "upper_limit": "< "}


def amplification_map(part: dict[str, Any]) -> Figure:
    """G in cells of two columns, the number in each; cells are drawn equally wide, whatever their
    edges, so that every number can be read.
    """
    g = np.array(part["amplification"], float).reshape(
        len(part["edges"][0]) - 1, len(part["edges"][1]) - 1
    )
    known = np.isfinite(g) & (g > 0)
    spread = max(1.5, float(np.exp(np.max(np.abs(np.log(g[known])), initial=0))))
    figure = Figure(figsize=(WIDTH, 1.9 + 0.5 * g.shape[1]), layout="constrained")
    axis = figure.add_subplot()
    corners = [np.arange(n + 1) for n in g.shape]
    mesh = axis.pcolormesh(
        *corners,
        np.ma.masked_array(g, ~known).T,
        cmap=_SHADES,
        norm=LogNorm(1 / spread, spread),
        edgecolor="white",
    )
    for i, j in np.ndindex(*g.shape):
        if not known[i, j]:
            _hatch(axis, (i, j), (i + 1, j + 1), "xxx")
            continue
        if g[i, j] < 1:
            _hatch(axis, (i, j), (i + 1, j + 1))
        status, value = part["status"][i][j], float(g[i, j])
        _write(
            axis,
            mesh,
            i + 0.5,
            j + 0.5,
            f"{_PREFIX.get(status, '')}{number(value)}{'*' if status == 'biased' else ''}",
            value,
        )
    for place, edges in zip((axis.xaxis, axis.yaxis), part["edges"], strict=True):
        place.set_ticks(range(len(edges)), [_edge(e, k, len(edges)) for k, e in enumerate(edges)])
        place.set_minor_locator(NullLocator())
    axis.tick_params(length=0)
    axis.set(xlabel=plain(part["columns"][0]), ylabel=plain(part["columns"][1]))
    bar = figure.colorbar(
        mesh, label="G = n_equiv / n_train", ticks=[v for v in _STEPS if 1 / spread <= v <= spread]
    )
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    marks = [_below("G < 1"), Patch(fc="white", ec=GREY, hatch="xxx", label="nothing known")]
    figure.legend(handles=marks, loc="outside upper center", ncols=2)
    return figure


def ratio_map(part: dict[str, Any]) -> Figure:
    """Generated over true events in cells of two columns; the number is the pull where it exceeds
    2.
    """
    ratio, pull = (np.array(part[name], float) for name in ("ratio", "pull"))
    x, y = (np.asarray(e, float) for e in part["edges"])
    figure = Figure(figsize=(WIDTH, 6.0), layout="constrained")
    axis = figure.add_subplot()
    spread = (
        max(0.1, float(np.nanquantile(np.abs(ratio - 1), 0.9))) if np.isfinite(ratio).any() else 0.1
    )
    axis.set_facecolor(_EMPTY)
    mesh = axis.pcolormesh(
        x,
        y,
        np.ma.masked_invalid(ratio.T),
        cmap=_SHADES,
        vmin=1 - spread,
        vmax=1 + spread,
        edgecolor="white",
        lw=0.3,
    )
    for i, j in np.ndindex(*ratio.shape):
        low, high = (float(x[i]), float(y[j])), (float(x[i + 1]), float(y[j + 1]))
        if ratio[i, j] < 1:
            _hatch(axis, low, high)
        if abs(pull[i, j]) > 2:
            _write(
                axis,
                mesh,
                (low[0] + high[0]) / 2,
                (low[1] + high[1]) / 2,
                f"{pull[i, j]:+.0f}",
                float(ratio[i, j]),
            )
    figure.colorbar(mesh, label="generated / true events")
    figure.legend(
        handles=[_below("fewer generated than true events"), Patch(fc=_EMPTY, label="empty")],
        loc="outside upper center",
        ncols=2,
    )
    axis.set(xlabel=plain(part["columns"][0]), ylabel=plain(part["columns"][1]))
    return figure


def _below(label: str) -> Patch:
    return Patch(fc=_SHADES(0.25), ec=GREY, hatch="///", label=label, lw=0)


def _hatch(
    axis: Axes, low: tuple[float, float], high: tuple[float, float], hatch: str = "//"
) -> None:
    """Colour alone says nothing on grey paper."""
    axis.add_patch(
        Rectangle(low, high[0] - low[0], high[1] - low[1], fill=False, hatch=hatch, ec=GREY, lw=0)
    )


def _write(axis: Axes, mesh: QuadMesh, x: float, y: float, text: str, value: float) -> None:
    """A number on a patch of the colour of its cell, so that no hatching runs through it."""
    shade = mesh.to_rgba(np.array([value]))[0] if np.isfinite(value) else _EMPTY
    axis.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=9.5,
        color=INK,
        bbox={"boxstyle": "square,pad=.15", "fc": shade, "lw": 0},
    )


def _edge(value: float | None, place: int, count: int) -> str:
    """An open end has no number."""
    if value is None or not np.isfinite(value):
        return f"{_MINUS}∞" if place == 0 else "∞" if place == count - 1 else ""
    return f"{value:.3g}".replace("-", _MINUS)
