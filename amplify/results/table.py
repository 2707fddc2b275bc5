"""The table of a result for people: text for a terminal, HTML for a notebook."""

import shutil
from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

from amplify.results.columns import Column, columns, levels, numbered
from amplify.text import harmless, number, shortened

_FEWEST = 80  # characters of a line where there is no terminal
_LONGEST = 60  # characters of a label
_SHORT = 24  # the same where there is little room
_ESSENTIAL = 2  # rank of columns that are worth more than long labels
_GAP = "  "


def text_table(
    records: Sequence[dict[str, Any]],
    truth: Mapping[str, Any] | None = None,
    sensitivities: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """Aligned columns, one table for each method."""
    parts = []
    for method, of_method in numbered({"estimates": records}).items():
        if of_method:
            parts.append(_aligned(method, of_method, truth))
    if sensitivities:
        parts.append(_sensitivities(sensitivities))
    return "\n".join(parts)


def html_table(
    verdict: str, records: Sequence[dict[str, Any]], truth: Mapping[str, Any] | None = None
) -> str:
    """The verdict, and a table for each method; every word is escaped."""
    parts = [f"<p>{escape(harmless(verdict))}</p>"]
    for method, of_method in numbered({"estimates": records}).items():
        if not of_method:
            continue
        chosen = columns(method, truth)
        head = "".join(f"<th>{column.title}</th>" for column in chosen)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{escape(harmless(column.text(record)))}</td>" for column in chosen)
            + "</tr>"
            for record in of_method
        )
        parts.append(
            f"<table><caption>{method} amplification, {levels(of_method)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
    return "".join(parts)


def _aligned(
    method: str, records: Sequence[dict[str, Any]], truth: Mapping[str, Any] | None
) -> str:
    chosen = columns(method, truth)
    cells = {c: [c.name, *(harmless(c.text(record)) for record in records)] for c in chosen}
    room = _room()
    # rows that differ in a text are nothing without it
    ranks = {c: 0 if c.kind == "text" and len(set(cells[c])) > 2 else c.rank for c in chosen}
    widths = _fitting({c: max(map(len, cells[c])) for c in chosen}, ranks, room)
    shown = [column for column in chosen if column in widths]
    lines = []
    for row in range(len(records) + 1):
        words = []
        for column in shown:
            word = shortened(cells[column][row], widths[column])
            is_text = column.kind in ("text", "status")
            words.append(word.ljust(widths[column]) if is_text else word.rjust(widths[column]))
        lines.append(_GAP.join(words).rstrip())
    title = f"{method} amplification by region, {levels(records)}"
    if len(shown) < len(chosen):
        title += "; more columns in results.json"
    return "\n".join(
        [
            *wrap(title, room, break_on_hyphens=False),
            lines[0],
            "-" * max(map(len, lines)),
            *lines[1:],
        ]
    )


def _room() -> int:
    """Characters of a line: those of the terminal, and 80 where there is none."""
    return max(shutil.get_terminal_size((_FEWEST, 24)).columns, _FEWEST)


def _fitting(
    needed: Mapping[Column, int], ranks: Mapping[Column, int], room: int
) -> dict[Column, int]:
    """Widths of the columns that fit beside one another: first those that say most, with short
    labels; then labels get the room that they need, and others what is left of it.
    """
    widths: dict[Column, int] = {}
    left = room + len(_GAP)
    by_rank = sorted(needed, key=lambda c: ranks[c])
    first = [column for column in by_rank if ranks[column] <= _ESSENTIAL]
    for column in first:
        width = min(needed[column], _SHORT) if column.kind == "text" else needed[column]
        if width + len(_GAP) <= left:
            widths[column] = width
            left -= width + len(_GAP)
    for column in [c for c in widths if c.kind == "text"]:
        more = min(needed[column], _LONGEST) - widths[column]
        more = min(more, left)
        widths[column] += more
        left -= more
    for column in by_rank[len(first) :]:
        if needed[column] + len(_GAP) <= left:
            widths[column] = needed[column]
            left -= needed[column] + len(_GAP)
    return widths


def _sensitivities(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["a distortion of this size would have been seen with the efficiency:"]
    for row in rows:
        error = "" if row["error"] is None else f" +- {row['error']:.2f}"
        known = row["efficiency"] is not None
        shown = f"{row['efficiency']:.2f}{error}" if known else "unknown"
        lines.append(f"  {row['shape']:8s} D = {number(row['distance'])}: {shown}")
    return "\n".join(lines)
