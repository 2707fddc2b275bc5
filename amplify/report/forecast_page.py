"""The page of a forecast: one self-contained HTML file without a script."""

import io
import warnings
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.plots.forecast import drawn_regions, forecast_distance, forecast_region
from amplify.plots.looks import page_style
from amplify.results.forecasts import FORECAST, distance_verdict, forecast_verdict, heads, rows
from amplify.text import number, said_of_columns

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NO_DATE = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def forecast_page(results: dict[str, Any]) -> str:
    """The page of the contents of a results.json; every word from a file is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    template = environment.from_string(_resource("forecast.html"))
    view, records = results[FORECAST], results["estimates"]
    event_by_event = [r for r in records if r["method"] == "differential"]
    said = [distance_verdict(r, view["distance"]) for r in event_by_event]
    return template.render(
        results=results,
        view=view,
        verdict=forecast_verdict(records, view),
        event_by_event=said,
        heads=[head.title for head in heads(view["goals"])],
        rows=rows(records, view),
        sentences=[r["verdict"] for r in records],
        figures=_figures(results),
        columns_used=said_of_columns(results["settings"]),
        style=Markup(_resource("page.css")),  # noqa: S704  ours
        policy=_POLICY,
    )


def _figures(results: Mapping[str, Any]) -> dict[str, list[Markup]]:
    """Pictures by name, as inline SVG."""
    with page_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        regions = [
            _drawn(lambda ax, place=place: forecast_region(results, place, ax), "error by n_train")
            for place in drawn_regions(results)
        ]
        if not results[FORECAST]["distance"]:
            return {"distance": [], "regions": regions}
        drawn = _drawn(lambda ax: forecast_distance(results, ax), "distance by n_train")
        return {"distance": [drawn], "regions": regions}


def _drawn(draw: Callable[[Any], Any], label: str) -> Markup:
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    draw(figure.add_subplot())
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_DATE)
    text = buffer.getvalue()
    rest = text[text.index("<svg") + len("<svg") :]
    return Markup(f'<svg role="img" aria-label="{label}"{rest}')  # noqa: S704  matplotlib escapes


def _resource(name: str) -> str:
    return files("amplify.report").joinpath(name).read_text(encoding="utf-8")
