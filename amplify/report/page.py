"""The report: one self-contained HTML file, drawn from a results.json alone.

Names come from files of others: every word is escaped, and the browser runs the one script whose
hash the page's policy names, so markup in a name cannot act.
"""

import base64
import hashlib
import io
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.plots import by_region as region_plots
from amplify.plots import differential as differential_plots
from amplify.plots import maps, panels
from amplify.plots import resolution as resolution_plot
from amplify.plots import style as plots
from amplify.report.export import table_csv, table_latex
from amplify.report.methods import methods_paragraph, references
from amplify.results.columns import columns, numbered
from amplify.results.verdicts import how_many, summary_verdict
from amplify.storage import whole
from amplify.text import number


def write_page(results: dict[str, Any], path: Path) -> None:
    """Writes the page; every word from a file is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    template = environment.from_string(_part("page.html"))
    with mpl.rc_context(plots.PAGE_STYLE):  # pyright: ignore[reportArgumentType]
        figures = {
            name: [_svg(figure, name) for figure in several]
            for name, several in _figures(results).items()
        }
    records, script, parts = numbered(results), _part("page.js"), results.get("panels") or []
    page = template.render(
        results=results,
        records=records,
        columns={method: columns(method, results.get("truth")) for method in records},
        levels={
            method: " and ".join(dict.fromkeys(f"{100 * r['level']:.0f} %" for r in of))
            for method, of in records.items()
        },
        verdict=summary_verdict(results["estimates"]),
        enough=how_many(results["estimates"]),
        figures=figures,
        more_columns=len(results.get("resolution") or []) - resolution_plot.MOST,
        has_holdout=any(p.get("holdout") is not None for p in parts),
        methods=methods_paragraph(results),
        references=references(results),
        downloads={
            "csv": _link("text/csv", table_csv(results)),
            "tex": _link("application/x-tex", table_latex(results)),
        },
        style=Markup(_part("page.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=_policy(script),
    )
    with whole(path) as part:
        part.write_text(page, encoding="utf-8")


def _part(name: str) -> str:
    return files("amplify.report").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Nothing is loaded, and nothing runs but this script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _link(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8,{quote(text)}"


def _figures(results: dict[str, Any]) -> dict[str, list[Figure]]:
    """The figures that these results have data for."""
    figures, actual = {}, results.get("truth", {}).get("actual_amplification")
    for method, records in numbered(results).items():
        if records:
            figures[method] = region_plots.amplification_by_region(
                [(r["row"], r) for r in records], actual
            )
    if "averaging" in figures:
        figures["sigma"] = [plots.sigma_curves(results)]
    if results.get("map"):
        figures["cells"] = [maps.amplification_map(results["map"])]
    if results.get("resolution"):
        figures["resolution"] = [resolution_plot.resolution(results["resolution"])]
    if results.get("panels"):
        figures["panels"] = panels.panels(results["panels"])
    part = results.get("differential")
    if part:
        summary = next(e["summary"] for e in results["estimates"] if e["method"] == "differential")
        figures |= {
            "functions": [differential_plots.distribution_functions(part, summary)],
            "approach": [differential_plots.approach(part)],
        }
        if part.get("map"):
            figures["map"] = [maps.ratio_map(part["map"])]
    return figures


_SEEN = {
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


def _svg(figure: Figure, name: str) -> Markup:
    """The figure as inline SVG; matplotlib escapes the text in it."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph"
        )  # a letter that the font lacks is a box here, and stands in the table
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    return Markup(
        text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{_SEEN[name]}"', 1)
    )
