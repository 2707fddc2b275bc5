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

from amplify.report import plots
from amplify.report.results import number, summary_verdict


def write_page(results: dict[str, Any], path: Path) -> None:
    """Writes the page; every word from a file is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    template = environment.from_string(files("amplify.report").joinpath("page.html").read_text())
    with mpl.rc_context(plots.STYLE):  # pyright: ignore[reportArgumentType]
        figures = [_svg(draw(results)) for draw in (plots.amplification_by_region, plots.sigma_curves)]
    page = template.render(results=results, estimates=results["estimates"], verdict=summary_verdict(results["estimates"]), figures=figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(page)
    os.replace(unfinished, path)


def _svg(figure: Figure) -> Markup:
    """The figure as inline SVG; matplotlib escapes the text in it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704
