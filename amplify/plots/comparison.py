"""Generators in the equivalent true events of each statistic, on one axis; and a stream of batches
against its threshold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from amplify.plots.looks import (
    ACCENT,
    GREY,
    INK,
    LOOKS,
    axes_or_new,
    legend_above,
    log_ticks,
    plain,
)
from amplify.plots.naming import names_of
from amplify.plots.source import Source, results_of
from amplify.results.comparisons import COMPARISON

Record = dict[str, Any]
MOST_GENERATORS = len(LOOKS)  # that are drawn in one figure
_HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\")
_FILL = 0.25  # of a bar
_ROW, _MARGIN = 0.24, 1.3  # inches
_ARROW = 1.6  # factor that the arrow of a limit is long


def comparison_height(results: Mapping[str, Any]) -> float:
    """Inches that the figure of a comparison takes."""
    generators = min(len(results[COMPARISON]["generators"]), MOST_GENERATORS)
    statistics = len(drawn_statistics(results[COMPARISON]))
    return _MARGIN + statistics * (generators * _ROW + 0.14)


def drawn_statistics(view: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Distances, or scores where there is nothing else: these say something else in true events."""
    every = view["statistics"]
    return [each for each in every if not each.get("score")] or every


def by_statistic(result: Source, ax: Axes | None = None) -> Axes:
    """n_equiv of each generator in each statistic with its interval, limits as arrows; dotted the
    training events, dashed the holdout.
    """
    results = results_of(result)
    view = results[COMPARISON]
    generators = view["generators"][:MOST_GENERATORS]
    known = [row for row in results["estimates"] if _ends(row) is not None]
    with axes_or_new(ax, (7.0, comparison_height(results))) as axes:
        marks = [g["n_train"] for g in generators] + [view["n_holdout"]]
        statistics = drawn_statistics(view)
        names = [statistic["name"] for statistic in statistics]
        known = [row for row in known if row["statistic"] in names]
        low, high = _limits(known, marks)
        for place, statistic in enumerate(statistics):
            for i, generator in enumerate(generators):
                row = _row_of(known, statistic["name"], generator["name"])
                if row is not None:
                    y = place + (i - (len(generators) - 1) / 2) * 0.8 / len(generators)
                    _bar(axes, row, y, i, len(generators), low)
        _lines(axes, generators, view["n_holdout"])
        axes.set(xscale="log", xlim=(low, high), ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), [plain(s["title"]) for s in statistics])
        axes.tick_params(axis="y", which="both", length=0)
        axes.yaxis.set_minor_locator(_nothing())
        axes.set_xlabel("equivalent true events")
        # numbers at 2 and 5 also where a page is wide enough for three decades
        log_ticks(axes.xaxis, low, min(high, 59 * low) if 59 * low < high < 1e3 * low else high)
        handles = [_handle(i, g["name"]) for i, g in enumerate(generators)]
        lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
        legend_above(axes, 3, handles=[*handles, *lines], fontsize="small")
    return axes


def alarms(result: Source, place: int = 0, ax: Axes | None = None) -> Axes:
    """The statistic of each batch of a stream over its threshold; alarms are filled."""
    view = results_of(result)[COMPARISON]["batches"]
    statistic = view["statistics"][place]
    with axes_or_new(ax, (7.0, 3.0)) as axes:
        value = np.array(statistic["values"], float) / statistic["threshold"]
        alarm = np.zeros(len(value), bool)
        alarm[statistic["alarms"]] = True
        number = np.arange(len(value))
        axes.plot(number[~alarm], value[~alarm], ".", color=GREY, ms=3, label="batch")
        axes.plot(number[alarm], value[alarm], "s", color=ACCENT, ms=4, label="alarm")
        axes.axhline(1.0, color=INK, lw=1, ls="--", label="threshold")
        axes.set(xlabel="batch", ylim=(0, None))
        axes.set_ylabel(f"{plain(statistic['title'], 30)} / threshold")
        legend_above(axes, 3, fontsize="small")
    return axes


def _nothing() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _row_of(rows: Sequence[Record], statistic: str, generator: str) -> Record | None:
    found = (r for r in rows if (r["statistic"], r["generator"]) == (statistic, generator))
    return next(found, None)


def _ends(row: Record) -> tuple[float | None, float | None] | None:
    """Of the interval, where anything is known."""
    low, high = row["n_equiv_interval"]
    return None if low is None and high is None else (low, high)


def _limits(rows: Sequence[Record], marks: Sequence[float]) -> tuple[float, float]:
    """Of the axis: everything that is known, with room for arrows."""
    values = [end for row in rows for end in row["n_equiv_interval"] if end]
    values += [row["n_equiv"] for row in rows if row["n_equiv"]]
    values = [value for value in [*values, *marks] if value and value > 0]
    return min(values) / 2, max(values) * 2 * _ARROW


def _bar(axes: Axes, row: Record, y: float, place: int, count: int, left: float) -> None:
    """A bar to the value, the interval across its end."""
    marker, _, colour = LOOKS[place]
    low, high = row["n_equiv_interval"]
    status, height = row["status"], 0.62 / count
    value = row["n_equiv"] if status == "resolved" else (low if status == "lower_limit" else high)
    if not value:
        return
    axes.barh(y, value - left, height, left=left, **_looks(place))
    if status == "resolved":
        ends = [[value - max(low or left, left)], [(high or value * 1e6) - value]]
        axes.errorbar(value, y, xerr=ends, fmt=marker, color=INK, mfc=colour, ms=4, lw=1.1)
        return
    end = value * _ARROW if status == "lower_limit" else value / _ARROW
    arrow = {"arrowstyle": "->", "color": INK, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, y), (value, y), arrowprops=arrow)
    axes.plot([value], [y], marker="|", color=INK, ms=7)


def _lines(axes: Axes, generators: Sequence[Mapping[str, Any]], n_holdout: float) -> None:
    trained = list(dict.fromkeys(g["n_train"] for g in generators))
    for n_train in trained:
        label = "training events" if n_train == trained[0] else None
        axes.axvline(n_train, color=INK, lw=1, ls=":", label=label)
    axes.axvline(n_holdout, color=GREY, lw=1.2, ls="--", label="holdout events")


def _handle(place: int, name: str) -> Any:
    return Rectangle((0, 0), 1, 1, label=plain(name, 30), **_looks(place))


def _looks(place: int) -> dict[str, Any]:
    """Of the bars of a generator; hatches tell them apart without colour."""
    colour = LOOKS[place][2]
    fill = _FILL if _HATCHES[place] else 2 * _FILL
    # mixed with white: an SVG takes no transparent colour behind a hatch
    shade = [1 - fill * (1 - part) for part in to_rgb(colour)]
    return {"facecolor": shade, "edgecolor": colour, "hatch": _HATCHES[place], "lw": 0.8}


def box(result: Source, generator: int, number: int, ax: Axes | None = None) -> Axes:
    """A box in which a generator is wrong: its first column through the box, which is shaded.
    Shares of all events, generated ones as steps and true ones as points.
    """
    results = results_of(result)
    found = results[COMPARISON]["local"][generator]["boxes"][number]
    panel = found["panel"]
    with axes_or_new(ax, (3.2, 2.6)) as axes:
        edges = np.array(panel["edges"], float)
        middle = (edges[1:] + edges[:-1]) / 2
        low, high = found["intervals"][0]
        low, high = edges[0] if low is None else low, edges[-1] if high is None else high
        axes.axvspan(low, high, color=GREY, alpha=0.18, lw=0)
        axes.stairs(panel["generated"], edges, color=ACCENT, lw=1.4, label="generated")
        axes.errorbar(
            middle,
            panel["holdout"],
            panel["holdout_error"],
            fmt="o",
            color=INK,
            ms=2.5,
            lw=0.9,
            label="true",
        )
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None))
        axes.set_xlabel(names_of(results).axis(panel["column"], 30))
        axes.set_title(names_of(results).region(found["label"], 40), fontsize="small")
    return axes
