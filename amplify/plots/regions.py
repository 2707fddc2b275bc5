"""G region by region."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from amplify.errors import InputError
from amplify.plots.looks import (
    ACCENT,
    GREY,
    INK,
    WIDTH,
    axes_or_new,
    inches,
    legend_above,
    log_ticks,
    plain,
)
from amplify.plots.naming import Names, names_of
from amplify.plots.source import Source, results_of
from amplify.results.columns import numbered
from amplify.text import at_condition, parts_of

_MARKERS = {
    "resolved": "o",
    "lower_limit": "^",
    "upper_limit": "v",
    "biased": "X",
    "unresolved": "|",
}
_WORDS = {
    "resolved": "resolved",
    "lower_limit": "lower limit",
    "upper_limit": "upper limit",
    "biased": "biased",
    "unresolved": "unresolved",
}
_ACTUAL = "actual (truth known)"
_ROW, _FRAME = 0.27, 1.3  # inches: a region, axis and legend
_CROWDED = 0.24  # inches for a region, below which its label is small
_NARROW = 5.0  # inches of axes, below which labels are shortened

Record = dict[str, Any]


def by_region(
    result: Source,
    *,
    ax: Axes | None = None,
    method: str | None = None,
    actual: Sequence[float | None] | None = None,
    rows: Collection[int] | None = None,
    legend: bool = True,
) -> Axes:
    """G with its interval for every region, logarithmic, and a line at G = 1.

    The marker is the status: a dot is resolved, a triangle a limit, a cross biased, a dotted line
    unresolved; an arrow at the border is an interval without end on that side. Open diamonds are
    the actual G, where truth is known.

    Everything drawn for a region has the id `region-<row>-...` in an SVG, its label
    `region-<row>-label`, where row is the place in the estimates of results.json.

    Args:
        result: a Result, or the dict of its results.json.
        ax: where to draw; a new figure otherwise.
        method: "averaging" or "differential"; the first that the result has, if not given.
        actual: actual G of each region drawn; the truth that the result knows, if not given.
        rows: places in the estimates of results.json; all of the method, if not given.
        legend: whether one stands above the axes.

    Returns:
        The axes.

    Raises:
        InputError: the result has no such estimate, or `actual` has another length.

    >>> region = {"method": "averaging", "region": "pt > 400", "summary": None}
    >>> region |= {"amplification": 3.0, "amplification_interval": [2, 5], "status": "resolved"}
    >>> ax = by_region({"estimates": [region]}, actual=[3.6])
    >>> ax.get_xlabel(), [label.get_text() for label in ax.get_yticklabels()]
    ('amplification factor G = n_equiv / n_train', ['pt > 400'])
    """
    results = results_of(result)
    of_method = _of_method(results, method)
    drawn = [r for r in of_method if rows is None or r["row"] in rows]
    known = _known(results, drawn, actual)
    limits = _limits(of_method, known.values())
    several = len({r["summary"] for r in of_method}) > 1
    with axes_or_new(ax, (WIDTH, _FRAME + _ROW * len(drawn))) as axes:
        axes.set_xscale("log")
        axes.set_xlim(*limits)
        log_ticks(axes.xaxis, *limits)
        for place, record in enumerate(drawn):
            _region(axes, place, record, limits)
            if record["row"] in known:
                _diamond(axes, place, record["row"], known[record["row"]])
        _separate(axes, drawn)
        axes.axvline(1, color=INK, lw=1, ls="--", zorder=0.5)
        _labels(axes, drawn, several, names_of(results))
        if legend:
            legend_above(axes, 6, **legend_entries([axes]), handletextpad=0.3)
    return axes


def observable(label: str) -> str:
    """What a region bins: regions of the same observable stand together.

    >>> observable("0 <= pt < 1"), observable("E = 5: pt < 1"), observable("tail")
    ('pt', 'E = 5: pt', '')
    """
    condition, rest = at_condition(label)
    parts = parts_of(rest)
    return f"{condition}{parts[1]}" if parts else ""


def legend_entries(several: Sequence[Axes]) -> dict[str, list[Any]]:
    """What a legend of one or more of these axes shows: every status once, in one order."""
    handles: dict[str, Any] = {}
    for axes in several:
        lines, words = axes.get_legend_handles_labels()
        handles |= dict(zip(words, lines, strict=True))
    shown = [word for word in (*_WORDS.values(), _ACTUAL) if word in handles]
    return {"handles": [handles[word] for word in shown], "labels": shown}


def label_of(
    record: Mapping[str, Any], with_summary: bool, most: int, names: Names | None = None
) -> str:
    """The label of a region: a long name is shortened, the edges of its bin are not."""
    if with_summary and record["summary"]:
        return plain(f"{record['region']}, {record['summary']}", most)
    return (names or Names()).region(record["region"], most)


def _of_method(results: Mapping[str, Any], method: str | None) -> list[Record]:
    every = numbered(results)
    chosen = next((name for name in every if every[name]), None) if method is None else method
    if not every.get(chosen or ""):
        got = ", ".join(name for name in every if every[name]) or "none"
        raise InputError("method", "one that the result has", repr(method), f"it has {got}")
    return every[str(chosen)]


def _known(
    results: Mapping[str, Any], drawn: Sequence[Record], actual: Sequence[float | None] | None
) -> dict[int, float]:
    """Actual G by row, where there is one."""
    rows = [r["row"] for r in drawn]
    if actual is None:
        truth = (results.get("truth") or {}).get("actual_amplification")
        values = [truth[row] for row in rows] if truth else [None] * len(rows)
    elif len(actual) != len(rows):
        expected, got = f"one value for each of {len(rows)} regions", f"{len(actual)} values"
        raise InputError("actual", expected, got, "give None where nothing is known")
    else:
        values = list(actual)
    return {row: float(value) for row, value in zip(rows, values, strict=True) if value}


def _limits(records: Sequence[Record], known: Collection[float]) -> tuple[float, float]:
    """Of the axis of G: everything with a number, and G = 1."""
    ends = [v for r in records for v in (r["amplification"], *r["amplification_interval"]) if v]
    ends += known
    return (min([1, *ends]) / 1.6, max([1, *ends]) * 1.6) if ends else (0.1, 10)


def _region(axes: Axes, place: int, record: Record, limits: tuple[float, float]) -> None:
    """Bar and marker of a region; an arrow at the border where the interval has no end."""
    (low, high), status = record["amplification_interval"], record["status"]
    value, gid = record["amplification"], f"region-{record['row']}"
    looks: dict[str, Any] = {"color": INK if status == "biased" else ACCENT, "clip_on": False}
    level = [place, place]
    if status == "unresolved" and (value is None or (not low and high is None)):
        dotted: dict[str, Any] = {"color": GREY, "lw": 1, "ls": ":", "label": _WORDS[status]}
        axes.plot(limits, level, gid=f"{gid}-bar", **dotted)
        return
    ends = [low or limits[0], high or limits[1]]
    axes.plot(ends, level, lw=2, solid_capstyle="butt", gid=f"{gid}-bar", **looks)
    if status == "upper_limit" or not low:
        axes.plot(limits[0], place, marker="<", ms=6, gid=f"{gid}-low", **looks)
    if high is None:
        axes.plot(limits[1], place, marker=">", ms=6, gid=f"{gid}-high", **looks)
    at = high if status == "upper_limit" else value
    if not at and status == "lower_limit":
        at = low
    if at:
        size = 11 if status == "unresolved" else 7
        marker: dict[str, Any] = {"marker": _MARKERS[status], "ms": size, "ls": ""}
        axes.plot(at, place, label=_WORDS[status], gid=f"{gid}-value", **marker, **looks)


def _diamond(axes: Axes, place: int, row: int, value: float) -> None:
    looks: dict[str, Any] = {"marker": "D", "mfc": "white", "mec": INK, "ms": 5, "ls": ""}
    axes.plot(value, place, label=_ACTUAL, gid=f"region-{row}-actual", **looks)


def _separate(axes: Axes, drawn: Sequence[Record]) -> None:
    """A line between two observables, or else two conditions, where they have several regions
    each.
    """
    labels = [r["region"] for r in drawn]
    for group in (observable, lambda label: at_condition(label)[0]):
        groups = [group(label) for label in labels]
        if len(drawn) > 2 * len(set(groups)):
            for place in range(1, len(drawn)):
                if groups[place] != groups[place - 1]:
                    axes.axhline(place - 0.5, color=GREY, lw=0.6)
            return


def _labels(axes: Axes, drawn: Sequence[Record], several: bool, pretty: Names) -> None:
    """Regions downwards, and the words of both axes."""
    width, height = inches(axes)
    narrow, crowded = width < _NARROW, height < _CROWDED * len(drawn)
    names = [label_of(r, several, 34 if narrow else 56, pretty) for r in drawn]
    ticks = axes.set_yticks(range(len(drawn)), names, fontsize="small" if crowded else "medium")
    for record, tick in zip(drawn, ticks, strict=True):
        tick.label1.set_gid(f"region-{record['row']}-label")
    axes.set_yticks([], minor=True)
    axes.tick_params(axis="y", which="both", left=False, right=False, pad=8)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    ratio = "G = n_equiv / n_train"
    axes.set_xlabel(ratio if narrow else f"amplification factor {ratio}")
