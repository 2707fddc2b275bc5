"""The figures of the page as files of their own, for a talk or a note."""

import warnings
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from amplify.plots.looks import page_style
from amplify.report.compare_page import comparison_figures
from amplify.report.figures import page_figures
from amplify.results.comparisons import COMPARISON

Kind = Literal["pdf", "svg", "png"]
FOLDER = "figures"  # beside results.json

_NAMES = {"cells": "map_of_g", "map": "map_of_ratio", "sigma": "uncertainty"}
_DOTS = 200  # per inch of a PNG
_NO_DATE: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


def write_figures(results: dict[str, Any], directory: Path, kind: Kind) -> list[Path]:
    """Writes figures/averaging.pdf and so on, what the page shows under the same name; a figure
    that does not fit on a sheet is several, with numbers.

    Args:
        results: contents of a results.json.
        directory: where the folder of figures stands.
        kind: of file. Text stays text in a PDF; an SVG looks the same whatever fonts there are.
    """
    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with page_style(alone=True), warnings.catch_warnings():
        # a letter that matplotlib's font lacks is drawn as a box
        warnings.filterwarnings("ignore", "Glyph")
        for name, several in _every(results).items():
            for place, figure in enumerate(several):
                number = f"_{place + 1}" if len(several) > 1 else ""
                path = folder / f"{_NAMES.get(name, name)}{number}.{kind}"
                figure.savefig(path, format=kind, dpi=_DOTS, metadata=_NO_DATE[kind])
                written.append(path)
    return written


def _every(results: dict[str, Any]) -> dict[str, list[Figure]]:
    """The figures by name, of whatever the results are."""
    return comparison_figures(results) if results.get(COMPARISON) else page_figures(results)
