"""The table of generators and statistics: for a terminal, as CSV and for a page."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from amplify.results.columns import DASH
from amplify.results.comparisons import p_words
from amplify.text import harmless, number

Record = dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one
_TEXTS = "generator", "statistic", "status"
_NUMBERS = (
    "value",
    "p",
    "z",
    "n_train",
    "n_gen",
    "n_holdout",
    "n_gen_used",
    "n_holdout_used",
    "n_equiv",
    "level",
    "limit_level",
    "amplification",
)


class Head(NamedTuple):
    """A column of the table: its title, its cell of a record and what is known of the statistic."""

    title: str
    text: Callable[[Record, Mapping[str, Any]], str]
    is_text: bool = False


HEADS = (
    Head("generator", lambda r, s: r["generator"], is_text=True),
    Head("statistic", lambda r, s: r["title"], is_text=True),
    Head("value", lambda r, s: DASH if r["value"] is None else f"{r['value']:.4g}"),
    Head("p", lambda r, s: DASH if r["p"] is None else p_words(r["p"])),
    Head("n_equiv", lambda r, s: _value(r, "n_equiv")),
    Head("interval", lambda r, s: _interval(r, "n_equiv_interval")),
    Head("G", lambda r, s: _value(r, "amplification")),
    Head("interval", lambda r, s: _interval(r, "amplification_interval")),
    Head("would notice", lambda r, s: noticed(s)),
    Head("status", lambda r, s: r["status"].replace("_", " "), is_text=True),
)


def noticed(statistic: Mapping[str, Any]) -> str:
    """The smooth distortion that is noticed with a chance of one half, in percent."""
    half = statistic.get("tv_50")
    return DASH if half is None else f"{100 * half:.2g} %"


def rows(records: Sequence[Record], view: Mapping[str, Any]) -> list[list[str]]:
    """The cells, a row for each record."""
    known = {s["name"]: s for s in view["statistics"]}
    return [[head.text(r, known.get(r["statistic"], {})) for head in HEADS] for r in records]


def text_rows(records: Sequence[Record], view: Mapping[str, Any]) -> str:
    """The table for a terminal."""
    if not records:
        return ""
    cells = [[head.title for head in HEADS], *rows(records, view)]
    cells = [[harmless(cell) for cell in row] for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADS))]
    lines = [
        "  ".join(
            cell.ljust(width) if head.is_text else cell.rjust(width)
            for head, cell, width in zip(HEADS, row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def comparison_csv(results: Mapping[str, Any]) -> str:
    """One line for each generator and statistic, all digits; an empty cell is a missing number,
    inf the end of an interval that has none.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = [f"{name}_{end}" for name in ("n_equiv", "amplification") for end in ("low", "high")]
    writer.writerow([*_TEXTS, *_NUMBERS, *ends])
    for record in results["estimates"]:
        cells = [_harmless(record[name]) for name in _TEXTS]
        cells += [record.get(name) for name in _NUMBERS]
        for name in ("n_equiv_interval", "amplification_interval"):
            low, high = record[name]
            cells += [low, "inf" if high is None and low is not None else high]
        writer.writerow(cells)
    return out.getvalue()


def _harmless(text: str) -> str:
    text = harmless(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _value(record: Record, name: str) -> str:
    return number(record[name]) if record["status"] == "resolved" else DASH


def _interval(record: Record, name: str) -> str:
    low, high = record[name]
    if record["status"] == "lower_limit":
        return f"> {number(low)}"
    if record["status"] == "upper_limit":
        return f"< {number(high)}"
    if low is None and high is None:
        return DASH
    return f"{number(low or 0.0)} to {'∞' if high is None else number(high)}"
