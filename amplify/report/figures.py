"""The figures of the page: the pictures of `amplify.plots`, in axes that are placed by hand.

Finding room for words automatically means drawing everything several times, and a tick of
matplotlib is four artists: placed axes and minor ticks in one line draw in half the time.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKRIGHT, TICKUP
from matplotlib.textpath import text_to_path
from matplotlib.ticker import NullLocator

from amplify.plots.curves import resolution, sigma_curves, with_plateau
from amplify.plots.looks import WIDTH, inches
from amplify.plots.maps import amplification_map, ratio_map
from amplify.plots.marginals import panel_axes, panels, panels_height, panels_legend
from amplify.plots.naming import names_of
from amplify.plots.regions import by_region, label_of, legend_entries, observable
from amplify.plots.summaries import approach, distribution_functions
from amplify.results.columns import numbered

Record = dict[str, Any]
Figures = dict[str, list[Figure]]

# rows that stand in one column; rows of a column at most, so that a figure fits on a sheet
_ONE_COLUMN, _COLUMN = 24, 40
_PANELS = 6  # columns in a figure of panels, for the same reason
MOST_PANELS = 24  # columns that are drawn
MOST_REGIONS = 960  # of a method that are drawn; a figure takes half a second
# inches around axes: for numbers and words, for a legend of one row, and for a second row
_LEFT, _RIGHT, _LOW, _HEAD, _LINE = 0.85, 0.1, 0.55, 0.32, 0.22
_X_WORDS, _Y_WORDS = 0.28, 0.42  # inches from the axes to the words below and at the left
_LETTERS = 0.2  # inches that these words are high
_BAR = 1.35  # inches for a scale of colours
_MOST_OF = 0.65  # part of a column that labels of regions may take


def page_figures(results: dict[str, Any]) -> Figures:
    """The figures that these results have data for, several where one would not fit on a sheet;
    to be called in the style of the page.
    """
    figures = {
        method: _regions(results, records)
        for method, records in numbered(results).items()
        if records
    }
    if "averaging" in figures:
        lines = 1 if len(with_plateau(results["estimates"])) <= 2 else 2
        figures["sigma"] = _alone(sigma_curves(results, _axes(4.6, legend=lines)))
    if results.get("map"):
        cells = len(results["map"]["edges"][1]) - 1
        axes = _axes(1.9 + 0.5 * cells, right=_BAR)
        figures["cells"] = _alone(amplification_map(results, axes))
    if results.get("resolution"):
        lines = 1 if len(results["resolution"]) <= 3 else 2
        figures["resolution"] = _alone(resolution(results, _axes(4.8, legend=lines)))
    if results.get("panels"):
        figures["panels"] = _panels(results)
    if results.get("differential"):
        figures |= _differential(results)
    return figures


def _differential(results: dict[str, Any]) -> Figures:
    figures = {
        "functions": _functions(results),
        "approach": _alone(approach(results, _axes(4.6, legend=2))),
    }
    if results["differential"].get("map"):
        figures["map"] = _alone(ratio_map(results, _axes(6.0, right=_BAR)))
    return figures


def _axes(height: float, *, legend: int = 1, right: float = _RIGHT) -> Axes:
    """Axes that fill a figure of this height, below a legend of so many rows."""
    head = _HEAD + _LINE * (legend - 1)
    figure = Figure(figsize=(WIDTH, height))
    return _placed(figure, (_LEFT, _LOW, WIDTH - right, height - head))


def _placed(figure: Figure, box: tuple[float, float, float, float], **settings: Any) -> Axes:
    """Axes between these places in inches: left, low, right, high."""
    width, height = figure.get_size_inches()
    left, low, right, high = box
    within = (left / width, low / height, (right - left) / width, (high - low) / height)
    return figure.add_axes(within, **settings)


def _alone(*several: Axes) -> list[Figure]:
    """The figure of these axes, which stand one above the other, ready."""
    figure = several[0].figure
    assert isinstance(figure, Figure)
    numbers = _settle(*several)
    left = max(_LEFT, numbers + _LETTERS + 0.05) / WIDTH
    for axes in several:
        box = axes.get_position()
        axes.set_position((left, box.y0, box.x1 - left, box.height))
        axes.yaxis.set_label_coords(-numbers / (WIDTH * (box.x1 - left)), 0.5)
    return [figure]


def _regions(results: dict[str, Any], records: Sequence[Record]) -> list[Figure]:
    """G by region, in two columns and several figures where there are many regions."""
    if len(records) <= _ONE_COLUMN:
        return [_region_figure(results, [records])]
    figures, left = [], list(records[:MOST_REGIONS])
    while left:
        now, left = left[: 2 * _COLUMN], left[2 * _COLUMN :]
        cut = middle([r["region"] for r in now])
        figures.append(_region_figure(results, [now[:cut], now[cut:]]))
    return figures


def middle(labels: Sequence[str]) -> int:
    """Where the second column begins: between two observables, if that leaves both columns short
    enough.

    >>> middle(["pt < 1", "pt >= 1", "eta < 0", "0 <= eta < 1", "eta >= 1"])
    3
    """
    half = (len(labels) + 1) // 2
    names = [observable(label) for label in labels]
    between = [
        place
        for place in range(1, len(labels))
        if names[place] != names[place - 1] and max(place, len(labels) - place) <= _COLUMN
    ]
    best = min(between, key=lambda place: abs(place - half), default=half)
    return best if abs(best - half) <= len(labels) / 12 else half


def _region_figure(results: dict[str, Any], columns: Sequence[Sequence[Record]]) -> Figure:
    most = max(map(len, columns))
    crowded = len(columns) > 1
    high = (0.205 if crowded else 0.27) * most + 0.3
    figure = Figure(figsize=(WIDTH, _LOW + high + _HEAD))
    share = WIDTH / len(columns)
    drawn = []
    for place, records in enumerate(columns):
        if not records:
            continue
        several = len({r["summary"] for r in records}) > 1
        names = names_of(results)
        words = [label_of(r, several, 34 if crowded else 56, names) for r in records]
        needed = _words_width(words, "small" if crowded else "medium")
        needed = min(needed, _MOST_OF * share)  # whatever labels a user gives
        left, right = share * place + needed + 0.3, share * (place + 1) - _RIGHT - 0.05
        axes = _placed(figure, (left, _LOW, right, _LOW + high))
        rows = [r["row"] for r in records]
        by_region(results, ax=axes, method=records[0]["method"], rows=rows, legend=False)
        axes.set_ylim(most - 0.4, -0.6)
        _settle(axes)
        drawn.append(axes)
    looks: dict[str, Any] = {"loc": "upper center", "ncols": 6, "handletextpad": 0.3}
    figure.legend(**legend_entries(drawn), borderaxespad=0.1, **looks)
    return figure


def _panels(results: dict[str, Any]) -> list[Figure]:
    """Six columns in a figure."""
    figures, stored, chosen = [], results["panels"], shown_panels(results["panels"])
    for first in range(0, len(chosen), _PANELS):
        columns = chosen[first : first + _PANELS]
        drawn = [stored[column] for column in columns]
        figure = Figure(figsize=(WIDTH, panels_height(len(drawn))))
        pairs = panels(results, panel_axes(figure, drawn), columns=columns, legend=False)
        panels_legend(figure, drawn)
        for pair in pairs:
            _settle(*(panel for panel in pair if panel is not None))
        figures.append(figure)
    return figures


def shown_panels(stored: Sequence[Record]) -> list[int]:
    """Places of the columns that are drawn: those in which generated and true events differ most,
    in units of their errors, where there are too many.
    """
    apart = [_apart(panel) for panel in stored]
    first = sorted(range(len(stored)), key=lambda place: -apart[place])[:MOST_PANELS]
    return sorted(first)


def _apart(panel: Record) -> float:
    """Mean squared difference in units of the errors; none without a holdout."""
    names = "generated", "generated_error", "holdout", "holdout_error"
    if any(panel.get(name) is None for name in names):
        return 0.0
    generated, error, holdout, true_error = (np.array(panel[name], float) for name in names)
    variance = error**2 + true_error**2
    known = variance > 0
    squares = (generated - holdout)[known] ** 2 / variance[known]
    return float(squares.mean()) if len(squares) else 0.0


def _functions(results: dict[str, Any]) -> list[Figure]:
    height, low = 5.4, 1.85
    figure = Figure(figsize=(WIDTH, height))
    right = WIDTH - _RIGHT
    bottom = _placed(figure, (_LEFT, _LOW, right, _LOW + low))
    upper = (_LEFT, _LOW + low + 0.12, right, height - _HEAD)
    top = _placed(figure, upper, sharex=bottom)
    top.tick_params(axis="x", which="both", labelbottom=False)
    return _alone(*distribution_functions(results, (top, bottom)))


def _settle(*several: Axes) -> float:
    """Makes finished axes, which stand one above the other, quick to draw: words where they are,
    minor ticks in one line. Returns the inches between the axes and the words at the left.
    """
    numbers = _Y_WORDS
    for axes in several:
        for axis in (axes.xaxis, axes.yaxis):
            _minor_ticks(axes, axis)
        places = axes.yaxis.get_majorticklocs()
        numbers = max(numbers, _words_width(_ticks(axes.yaxis, places), "medium") + 0.14)
    for axes in several:
        width, height = inches(axes)
        below = max(_X_WORDS, 0.23 + axes.xaxis.get_tick_params().get("pad", 0) / 72)
        axes.xaxis.set_label_coords(0.5, -below / height)
        axes.yaxis.set_label_coords(-numbers / width, 0.5)
    return numbers


def _ticks(axis: Axis, places: np.ndarray, minor: bool = False) -> list[str]:
    """The words at ticks that are seen."""
    low, high = sorted(axis.get_view_interval())
    formatter = axis.get_minor_formatter() if minor else axis.get_major_formatter()
    return formatter.format_ticks([float(at) for at in places if low <= at <= high])


def _words_width(words: Sequence[str], size: str) -> float:
    """Inches that the longest of these words need; of plain ones, only the few with the most
    letters are measured.
    """
    font = FontProperties(size=size)
    formulas = [word for word in words if is_math_text(word) is True]
    longest = sorted(set(words) - set(formulas), key=len)[-3:]
    measured = [(word, False) for word in longest] + [(word, True) for word in formulas]
    width = text_to_path.get_text_width_height_descent
    sizes = [width(word, font, is_formula)[0] for word, is_formula in measured]
    return max(sizes, default=0.0) / 72


def _minor_ticks(axes: Axes, axis: Axis) -> None:
    """Draws minor ticks without words as markers of two lines, one for each side."""
    places = axis.get_minorticklocs()
    if any(_ticks(axis, places, minor=True)):
        return
    axis.set_minor_locator(NullLocator())
    low, high = sorted(axis.get_view_interval())
    places = places[(places >= low) & (places <= high)]
    along_x = isinstance(axis, XAxis)
    rc: Any = mpl.rcParams
    name = "xtick" if along_x else "ytick"
    looks: dict[str, Any] = {"ls": "", "color": "black", "zorder": 2.01}
    looks |= {"ms": rc[f"{name}.minor.size"], "mew": rc[f"{name}.minor.width"]}
    looks |= {"scalex": False, "scaley": False}
    for edge, marker in (
        (0.0, TICKUP if along_x else TICKRIGHT),
        (1.0, TICKDOWN if along_x else TICKLEFT),
    ):
        ends = np.full(len(places), edge)
        x, y = (places, ends) if along_x else (ends, places)
        transform = axes.get_xaxis_transform() if along_x else axes.get_yaxis_transform()
        axes.plot(x, y, marker=marker, transform=transform, **looks)
