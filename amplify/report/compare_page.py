"""The page of a comparison of generators: one self-contained HTML file without a script."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from amplify.plots.comparison import alarms, by_statistic, comparison_height
from amplify.plots.comparison import box as draw_box
from amplify.plots.looks import WIDTH, page_style
from amplify.results.columns import DASH
from amplify.results.comparison_table import HEADS, rows
from amplify.results.comparisons import (
    COMPARISON,
    box_words,
    comparison_sentences,
    p_words,
    ranking_rows,
    resolution_words,
)
from amplify.text import number, said_of_columns

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NO_DATE = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_BESIDE = 3  # pictures of places in a row
_LABELS = {
    "places": "columns through the boxes in which a generator is wrong",
    "comparison": "equivalent true events of each generator in each statistic",
    "batches": "statistic of each batch over its threshold",
}


def comparison_page(results: dict[str, Any]) -> str:
    """The page of the contents of a results.json; every word from a file is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "p": p_words, "digits": _digits, "share": _share}
    template = environment.from_string(_resource("compare.html"))
    view, records, figures = results[COMPARISON], results["estimates"], _svgs(results)
    return template.render(
        results=results,
        view=view,
        sentences=comparison_sentences(records, view),
        records=records,
        heads=[head.title for head in HEADS],
        texts=[head.is_text for head in HEADS],
        rows=rows(records, view) if records else [],
        ranking=ranking_rows(view),
        resolutions=[(s, resolution_words(s)) for s in view["statistics"]],
        local=_local(view, figures.get("places", [])),
        copies=view.get("copies") or [],
        multiclass=_multiclass(view.get("multiclass")),
        batches=view.get("batches"),
        figures=figures,
        columns_used=said_of_columns(results["settings"]),
        style=Markup(_resource("page.css")),  # noqa: S704  ours
        policy=_POLICY,
    )


def comparison_figures(results: Mapping[str, Any]) -> dict[str, list[Figure]]:
    """The figures by name; to be called in the style of the page."""
    view = results[COMPARISON]
    if view.get("batches"):
        places = range(len(view["batches"]["statistics"]))
        return {"batches": [_of_batches(results, place) for place in places]}
    bars = _drawn(lambda ax: by_statistic(results, ax), comparison_height(results))
    figures = {"comparison": [bars]}
    local = view.get("local") or []
    drawn = [_of_places(results, k) for k, each in enumerate(local) if each["boxes"]]
    return figures | ({"places": drawn} if drawn else {})


def _of_places(results: Mapping[str, Any], generator: int) -> Figure:
    """The boxes of a generator, beside one another."""
    count = len(results[COMPARISON]["local"][generator]["boxes"])
    rows = -(-count // _BESIDE)
    figure = Figure(figsize=(WIDTH, 2.6 * rows), layout="constrained")
    for box in range(count):
        axes = figure.add_subplot(rows, _BESIDE, box + 1)
        draw_box(results, generator, box, axes)
        if box == 0:
            axes.legend(fontsize="small")
            axes.set_ylabel("share of all events")
    return figure


def _of_batches(results: Mapping[str, Any], place: int) -> Figure:
    return _drawn(lambda ax: alarms(results, place, ax), 2.6)


def _drawn(draw: Callable[[Any], Any], height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure.add_subplot())
    return figure


def _svgs(results: Mapping[str, Any]) -> dict[str, list[Markup]]:
    """The figures as inline SVG."""
    with page_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        return {
            name: [_svg(figure, _LABELS[name]) for figure in several]
            for name, several in comparison_figures(results).items()
        }


def _svg(figure: Figure, label: str) -> Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_DATE)
    text = buffer.getvalue()
    rest = text[text.index("<svg") + len("<svg") :]
    return Markup(f'<svg role="img" aria-label="{label}"{rest}')  # noqa: S704  matplotlib escapes


def _local(
    view: Mapping[str, Any], drawn: Sequence[Markup]
) -> list[tuple[Mapping[str, Any], list[str], list[Markup]]]:
    """Each generator with its boxes in words, and their picture."""
    left = iter(drawn)
    return [
        (each, [box_words(box) for box in each["boxes"]], [next(left)] if each["boxes"] else [])
        for each in view.get("local") or []
    ]


def _multiclass(
    found: Mapping[str, Any] | None,
) -> list[tuple[str, float | None, float | None]]:
    """Generators with their mean log posterior, the nearest first."""
    if not found:
        return []
    each = zip(found["generators"], found["log_posterior"], found["error"], strict=True)
    return sorted(each, key=lambda row: -(row[1] if row[1] is not None else -1e300))


def _digits(value: float | None, form: str) -> str:
    """A number, or a dash where there is none: infinite ones are null in results.json.

    >>> _digits(1.25, "%.1f"), _digits(None, "%.1f")
    ('1.2', '\N{EN DASH}')
    """
    return DASH if value is None else form % value


def _share(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return DASH if value is None else number(value)


def _resource(name: str) -> str:
    return files("amplify.report").joinpath(name).read_text(encoding="utf-8")
