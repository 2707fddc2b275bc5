"""The table of a result for people: text for a terminal, HTML for a notebook."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from amplify.results.columns import columns, levels, numbered
from amplify.text import number

_LONGEST = 60  # characters of a label


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
    parts = [f"<p>{escape(verdict)}</p>"]
    for method, of_method in numbered({"estimates": records}).items():
        if not of_method:
            continue
        chosen = columns(method, truth)
        head = "".join(f"<th>{column.title}</th>" for column in chosen)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{escape(column.text(record))}</td>" for column in chosen)
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
    rows = [[column.name for column in chosen]]
    rows += [[_short(column.text(record)) for column in chosen] for record in records]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    left = [column.kind in ("text", "status") for column in chosen]
    lines = [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    ]
    title = f"{method} amplification by region, {levels(records)}"
    return "\n".join([title, lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _short(text: str) -> str:
    """A cell fit for a terminal: printable, and not endless."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _sensitivities(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["a distortion of this size would have been seen with the efficiency:"]
    for row in rows:
        error = "" if row["error"] is None else f" +- {row['error']:.2f}"
        shown = f"{row['efficiency']:.2f}{error}"
        lines.append(f"  {row['shape']:8s} D = {number(row['distance'])}: {shown}")
    return "\n".join(lines)
