"""The report: one self-contained HTML file, drawn from a results.json alone.

Names come from files of others: every word is escaped, and the browser runs the one script whose
hash the page's policy names, so markup in a name cannot act.
"""

import base64
import hashlib
import io
import warnings
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.plots.curves import MOST
from amplify.plots.looks import page_style
from amplify.report.export import table_csv, table_latex
from amplify.report.figures import page_figures
from amplify.report.methods import methods_paragraph, references
from amplify.results.columns import columns, numbered
from amplify.results.verdicts import how_many, summary_verdict
from amplify.storage import whole
from amplify.text import number

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
    """Writes the page; every word from a file is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    template = environment.from_string(_resource("page.html"))
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
        "levels": {method: _levels(of_method) for method, of_method in records.items()},
        "verdict": summary_verdict(results["estimates"]),
        "enough": how_many(results["estimates"]),
        "more_columns": len(results.get("resolution") or []) - MOST,
        "has_holdout": any(panel.get("holdout") is not None for panel in panels),
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


def _levels(records: Iterable[dict[str, Any]]) -> str:
    return " and ".join(dict.fromkeys(f"{100 * r['level']:.0f} %" for r in records))


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
