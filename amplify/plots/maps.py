"""Maps over two observables: G in cells, and generated over true events."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from amplify.plots.looks import GREY, INK, WIDTH, axes_or_new, legend_above
from amplify.plots.naming import names_of
from amplify.plots.source import Source, view_of
from amplify.text import edge_words, number

# light enough for the numbers, and for any eye
_SHADES = ListedColormap(mpl.colormaps["PuOr"](np.linspace(0.22, 0.78, 256)))
_MINUS = "\N{MINUS SIGN}"
_EMPTY = "#e4e7ea"
_STEPS = (0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000)
_PREFIX = {"lower_limit": "> ", "upper_limit": "< "}
_BELOW, _UNKNOWN = "///", "xxx"  # hatches: colour alone says nothing on grey paper
_BAR = (1.02, 0.0, 0.03, 1.0)  # where the scale of colours stands, in fractions of the axes

Edges = Sequence[float | None]


def amplification_map(result: Source, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """G of integrals over cells of two columns, the number in each.

    Cells are drawn equally wide, whatever their edges, so that every number can be read. > is a
    lower limit, < an upper limit, * a bias against the holdout.

    Args:
        result: a Result, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        legend: whether one stands above the axes.

    Returns:
        The axes; the scale of colours is an inset of them.

    Raises:
        InputError: the result has no map.

    >>> cells = {"columns": ["pt", "eta"], "edges": [[0, 1, 2], [None, 0, None]]}
    >>> cells |= {"amplification": [[0.5, 2.0], [None, 4.0]]}
    >>> cells |= {"status": [["resolved", "lower_limit"], ["unresolved", "resolved"]]}
    >>> ax = amplification_map({"map": cells})
    >>> [text.get_text() for text in ax.texts]
    ['0.5', '> 2', '4']
    """
    cells = view_of(result, "map")
    shape = len(cells["edges"][0]) - 1, len(cells["edges"][1]) - 1
    g = np.array(cells["amplification"], float).reshape(shape)
    known = np.isfinite(g) & (g > 0)
    spread = max(1.5, float(np.exp(np.max(np.abs(np.log(g[known])), initial=0))))
    corners = [np.arange(n + 1.0) for n in shape]
    with axes_or_new(ax, (WIDTH, 1.9 + 0.5 * shape[1])) as axes:
        mesh = axes.pcolormesh(
            *corners,
            np.ma.masked_array(g, ~known).T,
            cmap=_SHADES,
            norm=LogNorm(1 / spread, spread),
            edgecolor="white",
        )
        _hatch(axes, corners, ~known, _UNKNOWN)
        _hatch(axes, corners, known & (g < 1), _BELOW)
        for i, j in np.argwhere(known):
            status, value = cells["status"][i][j], float(g[i, j])
            star = "*" if status == "biased" else ""
            words = f"{_PREFIX.get(status, '')}{number(value)}{star}"
            _write(axes, mesh, (i + 0.5, j + 0.5), words, value)
        for axis, edges in zip((axes.xaxis, axes.yaxis), cells["edges"], strict=True):
            axis.set_ticks(range(len(edges)), _edges(edges))
            axis.set_minor_locator(NullLocator())
        axes.tick_params(length=0)
        axes.tick_params(axis="x", pad=8)  # numbers of both axes meet in the corner
        names = names_of(result)
        axes.set(xlabel=names.axis(cells["columns"][0]), ylabel=names.axis(cells["columns"][1]))
        steps = [v for v in _STEPS if 1 / spread <= v <= spread]
        _scale(axes, mesh, "G = n_equiv / n_train", steps)
        if legend:
            unknown = Patch(fc="white", ec=GREY, hatch=_UNKNOWN, label="nothing known")
            legend_above(axes, 2, handles=[_below("G < 1"), unknown])
    return axes


def ratio_map(result: Source, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Generated over true events in cells of two columns; the number is the pull of the cell, in
    standard deviations, where it exceeds 2.

    Args:
        result: a Result of differential amplification, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        legend: whether one stands above the axes.

    Returns:
        The axes; the scale of colours is an inset of them.

    Raises:
        InputError: the result has no such map.

    >>> cells = {"columns": ["pt", "eta"], "edges": [[0, 1, 2], [0, 1, 2]]}
    >>> cells |= {"ratio": [[1.0, 1.2], [0.9, None]], "pull": [[0.1, 3.2], [-1.0, 0.0]]}
    >>> ax = ratio_map({"differential": {"map": cells}})
    >>> [text.get_text() for text in ax.texts]
    ['+3']
    """
    cells = view_of(result, "differential", "map")
    ratio, pull = (np.array(cells[name], float) for name in ("ratio", "pull"))
    edges = [np.asarray(ends, float) for ends in cells["edges"]]
    middles = [(ends[1:] + ends[:-1]) / 2 for ends in edges]
    far = np.abs(ratio[np.isfinite(ratio)] - 1)
    spread = max(0.1, float(np.quantile(far, 0.9))) if len(far) else 0.1
    with axes_or_new(ax, (WIDTH, 6.0)) as axes:
        axes.set_facecolor(_EMPTY)
        mesh = axes.pcolormesh(
            *edges,
            np.ma.masked_invalid(ratio.T),
            cmap=_SHADES,
            vmin=1 - spread,
            vmax=1 + spread,
            edgecolor="white",
            lw=0.3,
        )
        _hatch(axes, edges, ratio < 1, _BELOW)
        for i, j in np.argwhere(np.abs(pull) > 2):
            centre = float(middles[0][i]), float(middles[1][j])
            _write(axes, mesh, centre, f"{pull[i, j]:+.0f}", float(ratio[i, j]))
        _scale(axes, mesh, "generated / true events")
        names = names_of(result)
        axes.set(xlabel=names.axis(cells["columns"][0]), ylabel=names.axis(cells["columns"][1]))
        if legend:
            empty = Patch(fc=_EMPTY, label="empty")
            legend_above(axes, 2, handles=[_below("fewer generated than true events"), empty])
    return axes


def _below(label: str) -> Patch:
    return Patch(fc=_SHADES(0.25), ec=GREY, hatch=_BELOW, label=label, lw=0)


def _hatch(axes: Axes, edges: Sequence[np.ndarray], chosen: np.ndarray, hatch: str) -> None:
    """Hatches the chosen cells [x, y]."""
    i, j = np.nonzero(chosen)
    if not len(i):
        return
    x = edges[0][np.stack([i, i + 1, i + 1, i], axis=1)]
    y = edges[1][np.stack([j, j, j + 1, j + 1], axis=1)]
    looks: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "lw": 0, "hatch": hatch}
    axes.add_collection(PolyCollection([*np.stack([x, y], axis=2)], **looks), autolim=False)


def _write(
    axes: Axes, mesh: ScalarMappable, at: tuple[float, float], words: str, value: float
) -> None:
    """A number on a patch of the colour of its cell, so that no hatching runs through it."""
    shade = mesh.to_rgba(np.array([value]))[0] if np.isfinite(value) else _EMPTY
    patch = {"boxstyle": "square,pad=.15", "fc": shade, "lw": 0}
    axes.text(*at, words, ha="center", va="center", fontsize="medium", color=INK, bbox=patch)


def _scale(
    axes: Axes, mesh: ScalarMappable, label: str, steps: Sequence[float] | None = None
) -> None:
    """The scale of colours, with round numbers at these steps."""
    bar = axes.figure.colorbar(mesh, cax=axes.inset_axes(_BAR), label=label, ticks=steps)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    if steps is not None:
        bar.ax.yaxis.set_major_formatter("{x:g}")


def _edges(edges: Edges) -> list[str]:
    """An open end has no number."""
    last = len(edges) - 1
    words = edge_words([np.nan if value is None else value for value in edges])
    for place, value in enumerate(edges):
        if value is None or not np.isfinite(value):
            words[place] = {0: f"{_MINUS}∞", last: "∞"}.get(place, "")
    return [word.replace("-", _MINUS) for word in words]
