"""The report: one self-contained HTML file, drawn from a results.json alone."""

import io
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.report import differential_plots, plots
from amplify.report.verdicts import number, summary_verdict


def write_page(results: dict[str, Any], path: Path) -> None:
    """Writes the page; every word from a file is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    template = environment.from_string(files("amplify.report").joinpath("page.html").read_text())
    with mpl.rc_context(plots.STYLE):  # pyright: ignore[reportArgumentType]
        figures = {name: _svg(figure) for name, figure in _figures(results).items()}
    estimates = [e | {"row": row} for row, e in enumerate(results["estimates"])]  # the row finds the truth of a demonstration
    methods = {name: [e for e in estimates if e["method"] == name] for name in ("averaging", "differential")}
    page = template.render(results=results, estimates=estimates, **methods, verdict=summary_verdict(estimates), figures=figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(page)
    os.replace(unfinished, path)


def _figures(results: dict[str, Any]) -> dict[str, Figure]:
    """The figures that these results have data for."""
    figures = {"regions": plots.amplification_by_region(results)}
    if any(e["method"] == "averaging" for e in results["estimates"]):
        figures["sigma"] = plots.sigma_curves(results)
    part = results.get("differential")
    if part:
        summary = next(e["summary"] for e in results["estimates"] if e["method"] == "differential")
        figures |= {"functions": differential_plots.distribution_functions(part, summary), "approach": differential_plots.approach(part)}
        if "map" in part:
            figures["map"] = differential_plots.ratio_map(part)
    return figures


def _svg(figure: Figure) -> Markup:
    """The figure as inline SVG; matplotlib escapes the text in it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704
