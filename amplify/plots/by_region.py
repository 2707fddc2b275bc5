"""G region by region: one figure for each method, in two columns and several figures where there
are many regions.
"""

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.style import ACCENT, GREY, INK, WIDTH, log_ticks, plain

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
    "biased": "biased (holdout)",
    "unresolved": "unresolved",
}
_ACTUAL = "actual (truth known)"
_ONE_COLUMN, _COLUMN = (
    24,
    40,
)  # rows that stand in one column; rows of a column at most, so that a figure fits on a sheet
_BIN = re.compile(
    r"(\S+ <= )?(.+?)( (?:<|>=) \S+)"
)  # labels of bins, `0 <= pt < 1`; a name of one's own is its own group

Row = tuple[int, dict[str, Any]]


def observable(label: str) -> str:
    """What a region bins: regions of the same observable stand together."""
    found = _BIN.fullmatch(label)
    return found[2] if found else ""


def _label(record: dict[str, Any], with_summary: bool, most: int) -> str:
    """A long name is shortened, the edges of its bin are not."""
    if with_summary and record["summary"]:
        return plain(f"{record['region']}, {record['summary']}", most)
    found = _BIN.fullmatch(record["region"])
    if not found:
        return plain(record["region"], most)
    low, name, high = found[1] or "", found[2], found[3]
    return f"{plain(low)} {plain(name, max(most - len(low) - len(high), 8))} {plain(high)}".strip()


def amplification_by_region(
    rows: Sequence[Row], actual: Sequence[float | None] | None = None
) -> list[Figure]:
    """G with its interval on a logarithmic axis, line at G = 1; open diamonds are the actual G
    where truth is known.

    Everything drawn for a region has the id `region-<row>-...`, its label `region-<row>-label`: the
    page hides it.

    Args:
        rows: records of one method, each with its place in results["estimates"].
        actual: actual amplification of every estimate.
    """
    ends = [v for _, r in rows for v in (r["amplification"], *r["amplification_interval"]) if v]
    ends += [v for i, _ in rows if actual and (v := actual[i])]
    limits = (min([1, *ends]) / 1.6, max([1, *ends]) * 1.6) if ends else (0.1, 10)
    if len(rows) <= _ONE_COLUMN:
        return [_figure([rows], limits, actual)]
    figures, left = [], list(rows)
    while left:
        now, left = left[: 2 * _COLUMN], left[2 * _COLUMN :]
        cut = _middle(now)
        figures.append(_figure([now[:cut], now[cut:]], limits, actual))
    return figures


def _middle(rows: Sequence[Row]) -> int:
    """Where the second column begins: between two observables, if that leaves both columns short
    enough.
    """
    half = (len(rows) + 1) // 2
    names = [observable(r["region"]) for _, r in rows]
    between = [
        i
        for i in range(1, len(rows))
        if names[i] != names[i - 1] and max(i, len(rows) - i) <= _COLUMN
    ]
    best = min(between, key=lambda i: abs(i - half), default=half)
    return best if abs(best - half) <= len(rows) / 12 else half


def _figure(
    columns: Sequence[Sequence[Row]],
    limits: tuple[float, float],
    actual: Sequence[float | None] | None,
) -> Figure:
    most = max(len(rows) for rows in columns)
    figure = Figure(
        figsize=(WIDTH, 1.3 + (0.27 if len(columns) == 1 else 0.205) * most), layout="constrained"
    )
    handles = {}
    for axis, rows in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        if not rows:
            axis.set_visible(False)
            continue
        _draw(axis, rows, limits, actual, small=len(columns) > 1)
        axis.set_ylim(most - 0.4, -0.6)
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    words = [w for w in (*_WORDS.values(), _ACTUAL) if w in handles]
    figure.legend(
        [handles[w] for w in words], words, loc="outside upper center", ncols=6, handletextpad=0.3
    )
    return figure


def _draw(
    axis: Axes,
    rows: Sequence[Row],
    limits: tuple[float, float],
    actual: Sequence[float | None] | None,
    small: bool,
) -> None:
    axis.set_xscale("log")
    log_ticks(axis.xaxis, *limits)
    groups = [observable(r["region"]) for _, r in rows]
    for place, (row, record) in enumerate(rows):
        _region(axis, place, row, record, limits)
        if actual and (known := actual[row]):
            axis.plot(
                known,
                place,
                marker="D",
                mfc="white",
                mec=INK,
                ms=5,
                ls="",
                label=_ACTUAL,
                gid=f"region-{row}-actual",
            )
        if place and groups[place] != groups[place - 1] and len(rows) > 2 * len(set(groups)):
            axis.axhline(place - 0.5, color=GREY, lw=0.6)
    axis.axvline(1, color=INK, lw=1, ls="--", zorder=0.5)
    axis.set_xlim(*limits)
    several = len({r["summary"] for _, r in rows}) > 1
    names = [_label(r, several, 34 if small else 56) for _, r in rows]
    labels = axis.set_yticks(range(len(rows)), names, fontsize=8.5 if small else 10)
    for (row, _), tick in zip(rows, labels, strict=True):
        tick.label1.set_gid(f"region-{row}-label")
    axis.tick_params(axis="y", which="both", left=False, right=False, pad=8)
    axis.set_xlabel(
        "amplification factor G = n_equiv / n_train" if not small else "G = n_equiv / n_train"
    )


def _region(
    axis: Axes, place: int, row: int, record: dict[str, Any], limits: tuple[float, float]
) -> None:
    """Bar and marker of a region; an arrow at the border where the interval has no end."""
    (low, high), status = record["amplification_interval"], record["status"]
    common = {"color": INK if status == "biased" else ACCENT, "clip_on": False}
    if status == "unresolved" and (record["amplification"] is None or (not low and high is None)):
        axis.plot(
            limits,
            [place, place],
            color=GREY,
            lw=1,
            ls=":",
            label=_WORDS[status],
            gid=f"region-{row}-bar",
        )
        return
    axis.plot(
        [low or limits[0], high or limits[1]],
        [place, place],
        lw=2,
        solid_capstyle="butt",
        gid=f"region-{row}-bar",
        **common,
    )
    if status == "upper_limit" or not low:
        axis.plot(limits[0], place, marker="<", ms=6, gid=f"region-{row}-low", **common)
    if high is None:
        axis.plot(limits[1], place, marker=">", ms=6, gid=f"region-{row}-high", **common)
    at = (
        high
        if status == "upper_limit"
        else record["amplification"] or (low if status == "lower_limit" else None)
    )
    if at:
        axis.plot(
            at,
            place,
            marker=_MARKERS[status],
            ms=7 if status != "unresolved" else 11,
            ls="",
            label=_WORDS[status],
            gid=f"region-{row}-value",
            **common,
        )
