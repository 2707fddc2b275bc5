"""The report: one self-contained HTML file, drawn from a results.json alone.

Names come from files of others: every word is escaped, and the browser runs the one script whose
hash the page's policy names, so markup in a name cannot act.
"""

import base64
import hashlib
import io
import warnings
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.plots.curves import MOST
from amplify.plots.looks import page_style
from amplify.report.compare_page import comparison_page
from amplify.report.export import table_csv, table_latex
from amplify.report.figures import MOST_PANELS, MOST_REGIONS, page_figures, shown_panels
from amplify.report.forecast_page import forecast_page
from amplify.report.methods import methods_paragraph, references
from amplify.results.calibration import said_of_kind
from amplify.results.columns import columns, levels, member_columns, numbered, pool_columns
from amplify.results.comparisons import COMPARISON
from amplify.results.conditions import said_of_condition
from amplify.results.copied import said_of_copies
from amplify.results.forecasts import FORECAST
from amplify.results.pools import EACH, POOL, said_of_members
from amplify.results.refits import REFITS
from amplify.results.verdicts import how_many, summary_verdict
from amplify.storage import whole
from amplify.text import harmless, number, said_of_columns

_SHOWN = {
    "averaging": "G by region, averaging",
    "differential": "G by region, differential",
    "sigma": "uncertainty against number of generated events",
    "cells": "map of G over two columns",
    "resolution": "G against number of bins",
    "panels": "generated and holdout, column by column",
    "functions": "distribution functions",
    "approach": "KS distance against number of generated events",
    "map": "map of generated over true events",
}


def write_page(results: dict[str, Any], path: Path) -> None:
    """Writes the page; every word from a file is escaped, control characters are written out."""
    results = _harmless(results)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    template = environment.from_string(_resource("page.html"))
    if results.get(COMPARISON):
        page = comparison_page(results)
    elif results.get(FORECAST):
        page = forecast_page(results)
    else:
        page = template.render(results=results, figures=_figures(results), **_words(results))
    with whole(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


def _words(results: dict[str, Any]) -> dict[str, Any]:
    """What the template says, but for the figures."""
    records, script = numbered(results), _resource("page.js")
    panels = results.get("panels") or []
    return {
        "records": records,
        "columns": {method: columns(method, results.get("truth")) for method in records},
        "levels": {method: levels(of_method) for method, of_method in records.items()},
        "verdict": " ".join([*said_of_copies(results), summary_verdict(results["estimates"])]),
        "of_members": said_of_members(results),
        "of_kind": said_of_kind(results),
        "tables_of_members": _tables_of_members(results),
        "enough": how_many(results["estimates"], results.get("pooled")),
        "of_condition": said_of_condition(results),
        "more_columns": len(results.get("resolution") or []) - MOST,
        "more_panels": _more_panels(results),
        "most_regions": MOST_REGIONS,
        "has_holdout": any(panel.get("holdout") is not None for panel in panels),
        "columns_used": _sentence(said_of_columns(results["settings"])),
        "methods": methods_paragraph(results),
        "references": references(results),
        "downloads": {
            "csv": _link("text/csv", table_csv(results)),
            "tex": _link("application/x-tex", table_latex(results)),
        },
        "style": _ours(_resource("page.css")),
        "script": _ours(script),
        "policy": _policy(script),
    }


def _tables_of_members(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Tables of the pool, of refits and of each member: a title, its columns and rows."""
    tables = []
    if results.get(POOL):
        rows = results[POOL]["regions"]
        title = "The pool of the members, integrals"
        tables.append({"title": title, "columns": pool_columns(rows), "rows": rows})
    if results.get(REFITS):
        rows = results[REFITS]["regions"]
        title = "Refits to generated events, integrals"
        tables.append({"title": title, "columns": pool_columns(rows), "rows": rows})
    if results.get(EACH):
        rows = results[EACH]["members"]
        title = "Each member by itself, event by event"
        tables.append({"title": title, "columns": member_columns(), "rows": rows})
    return tables


def _more_panels(results: dict[str, Any]) -> int:
    """Columns that have no panel because there are too many; constant ones never have one."""
    stored = results.get("panels") or []
    shown, columns = len(shown_panels(stored)), results["settings"].get("columns")
    count = len(columns) if isinstance(columns, list) else 0
    return max(count, len(stored)) - shown if shown >= MOST_PANELS else 0


def _sentence(said: str) -> str:
    """Words with a capital letter and a full stop, where there are any."""
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _harmless(value: Any) -> Any:
    """The same structure, texts without what a terminal or a browser would obey."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, Mapping):
        return {key: _harmless(inner) for key, inner in value.items()}
    return [_harmless(inner) for inner in value] if isinstance(value, list) else value


def _resource(name: str) -> str:
    return files("amplify.report").joinpath(name).read_text(encoding="utf-8")


def _ours(text: str) -> Markup:
    """Markup that needs no escaping: our own, or matplotlib's, which escapes the words in it."""
    return Markup(text)  # noqa: S704


def _policy(script: str) -> str:
    """Nothing is loaded, and nothing runs but this script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _link(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8,{quote(text)}"


def _figures(results: dict[str, Any]) -> dict[str, list[Markup]]:
    """The figures by name, as inline SVG."""
    with page_style(), warnings.catch_warnings():
        # a letter that matplotlib's font lacks is only measured: the browser draws it
        warnings.filterwarnings("ignore", "Glyph")
        return {
            name: [_svg(figure, name) for figure in several]
            for name, several in page_figures(results).items()
        }


def _svg(figure: Figure, name: str) -> Markup:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    drawing = text[text.index("<svg") + len("<svg") :]
    return _ours(f'<svg role="img" aria-label="{_SHOWN[name]}"{drawing}')
