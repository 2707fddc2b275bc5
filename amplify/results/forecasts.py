"""A forecast from trainings on subsamples in words, and its table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from amplify.results.columns import DASH, limit_level, percent
from amplify.results.verdicts import typical, with_value
from amplify.text import number

Record = dict[str, Any]
FORECAST = "forecast"  # key of results.json
TITLE = "Forecast from trainings on subsamples"


class Head(NamedTuple):
    """A column of the table of a forecast."""

    title: str
    text: Any


def region_verdict(record: Record, view: Mapping[str, Any], goals: Mapping[str, Any]) -> str:
    """One sentence on one region.

    Args:
        record: of results.json.
        view: what the forecast says beyond it.
        goals: the G and the precision that are asked for.
    """
    where = f"In {record['region']}"
    n_train = number(record["n_train"])
    if record["status"] == "unresolved":
        return f"{where} too few events fall to forecast anything."
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    if record["status"] == "lower_limit":
        limit = f"more than {number(low)} true events (G > {number(g_low)}, one-sided"
        worth = f"{limit} {percent(limit_level(record))})"
    else:
        n, g = number(record["n_equiv"]), number(record["amplification"])
        interval = f"{number(low)} to {number(high)}, {percent(record['level'])}"
        worth = f"{n} true events ({interval}): G = {g} ({number(g_low)} to {number(g_high)})"
    start = f"{where} a generator trained on {n_train} events will be worth {worth}"
    if record["status"] == "lower_limit":  # the error has no value, so no size has one either
        return f"{start}; how many events a goal takes is not resolved."
    factor = f"G = {number(goals['factor'])} {_needs(view['for_factor'], goals)}"
    precision = percent(goals["precision"])
    precise = f"{precision} on this integral {_needs(view['for_precision'], goals)}"
    return f"{start}; {factor}; {precise}."


def _needs(sizes: Sequence[float | None], goals: Mapping[str, Any]) -> str:
    """How many training events a goal takes; `sizes` are value and ends."""
    value, low, high = sizes
    most = f"{number(goals['most'])} training events"
    if value is None:
        chance = "" if low is None else f", {number(low)} at the most hopeful end"
        return f"is not reached with {most}{chance}"
    ends = (
        f"{number(low)} to {'more than ' + number(goals['most']) if high is None else number(high)}"
    )
    return f"takes {number(value)} training events ({ends})"


def distance_verdict(record: Record, view: Mapping[str, Any]) -> str:
    """One sentence on the generator event by event."""
    start = f"Event by event a generator trained on {number(record['n_train'])} events"
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    if record["status"] == "unresolved":
        return f"{start} is not told from the truth by what could be learned: nothing is claimed."
    if record["status"] == "upper_limit":
        limit = f"fewer than {number(high)} true events (G < {number(g_high)}, one-sided"
        why = "a learned ratio misses a part of the difference"
        return f"{start} will be worth {limit} {percent(limit_level(record))}): {why}."
    if record["status"] == "lower_limit":
        limit = f"more than {number(low)} true events (G > {number(g_low)}, one-sided"
        return f"{start} will be worth {limit} {percent(limit_level(record))})."
    n, g = number(record["n_equiv"]), number(record["amplification"])
    interval = f"{number(low)} to {number(high)}, {percent(record['level'])}"
    worth = f"{n} true events ({interval}): G = {g} ({number(g_low)} to {number(g_high)})"
    return f"{start} will be worth {worth}; D falls as n^-{view['exponent'][0]:.2f}."


def forecast_verdict(records: Sequence[Record], view: Mapping[str, Any]) -> str:
    """What stands on top: integrals in a typical region, then event by event."""
    averaging = [r for r in records if r["method"] == "averaging"]
    said = [_typical(averaging, view)] if averaging else []
    said += [r["verdict"] for r in records if r["method"] == "differential"]
    return " ".join(said) or "Nothing was forecast."


def _typical(records: Sequence[Record], view: Mapping[str, Any]) -> str:
    sizes = [size for size, _ in view["trainings"]]
    count = sum(number_of for _, number_of in view["trainings"])
    made = f"{count} trainings on {number(min(sizes))} to {number(max(sizes))} events"
    n_train = records[0]["n_train"]
    start = f"Forecast from {made}: a generator trained on {number(n_train)}"
    if not with_value(records):
        return f"{start} is resolved in no region: train on more subsamples, or generate more."
    median = typical(records)
    more, sign = ("", "=") if median.exact else ("more than ", ">")
    worth = f"{more}{number(median.value * n_train)} true events"
    sure = sum((r["amplification_interval"][0] or 0) > 1 for r in records)
    level = percent(records[0]["level"])
    gains = f"G > 1 by the whole interval at {level} in {sure} of {len(records)} regions"
    typically = f"will describe a typical region like {worth} (median G {sign}"
    return f"{start} {typically} {number(median.value)}); {gains}."


def heads(goals: Mapping[str, Any]) -> list[Head]:
    """Columns of the table, of pairs of a record and what the forecast says beyond it."""
    return [
        Head("region", lambda r, v: r["region"]),
        Head("I", lambda r, v: number(r["integral"])),
        Head("bias", lambda r, v: number(v["bias"])),
        Head("sigma", lambda r, v: DASH if r["sigma_model"] is None else number(r["sigma_model"])),
        Head("G", lambda r, v: DASH if r["amplification"] is None else number(r["amplification"])),
        Head("interval", lambda r, v: _interval(r)),
        Head("regular", lambda r, v: _regular(v)),
        Head(f"for G = {number(goals['factor'])}", lambda r, v: _goal(r, v["for_factor"], goals)),
        Head(
            f"for {percent(goals['precision'])}", lambda r, v: _goal(r, v["for_precision"], goals)
        ),
        Head("status", lambda r, v: r["status"].replace("_", " ")),
    ]


def _goal(record: Record, sizes: Sequence[float | None], goals: Mapping[str, Any]) -> str:
    return DASH if record["status"] == "lower_limit" else _size(sizes, goals)


def _interval(record: Record) -> str:
    low, high = record["amplification_interval"]
    if record["status"] == "lower_limit":
        return f"> {number(low)}"
    if low is None and high is None:
        return DASH
    return f"{number(low or 0.0)} to {'∞' if high is None else number(high)}"


def _regular(view: Mapping[str, Any]) -> str:
    """G where the variance falls as 1/n; in brackets where the trainings contradict that."""
    value = view["regular"]["amplification"]
    if value is None:
        return DASH
    return number(value) if view["regular"]["fits"] else f"({number(value)})"


def _size(sizes: Sequence[float | None], goals: Mapping[str, Any]) -> str:
    value = sizes[0]
    return f"> {number(goals['most'])}" if value is None else number(value)


def rows(records: Sequence[Record], view: Mapping[str, Any]) -> list[list[str]]:
    """The cells of the table, a row for each region."""
    averaging = [r for r in records if r["method"] == "averaging"]
    pairs = zip(averaging, view["regions"], strict=True)
    return [[head.text(r, v) for head in heads(view["goals"])] for r, v in pairs]


def text_rows(records: Sequence[Record], view: Mapping[str, Any]) -> str:
    """The table for a terminal."""
    titles = [head.title for head in heads(view["goals"])]
    cells = [titles, *rows(records, view)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(titles))]
    last = len(titles) - 1
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
