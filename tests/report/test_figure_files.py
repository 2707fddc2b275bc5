"""Figures as files of their own: of every kind, the same for the same results, labels in them."""

import re

import pytest

from amplify.plots.looks import page_style
from amplify.report.figure_files import write_figures
from amplify.report.figures import page_figures
from tests.results.examples import COLUMNS, averaging_record, rich_results

MAGIC = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG"}


@pytest.fixture(scope="module")
def small():
    """Two of the figures of the page, the quick ones."""
    results = rich_results(COLUMNS[:1], bins=2)
    kept = "schema", "settings", "estimates", "resolution"
    results = {key: results[key] for key in kept}
    results["estimates"] = results["estimates"][:2]
    return results


@pytest.mark.parametrize("kind", MAGIC)
def test_figures_are_files(kind, small, tmp_path):
    written = write_figures(small, tmp_path, kind)
    names = [f"{name}.{kind}" for name in ("averaging", "uncertainty", "resolution")]
    assert [path.name for path in written] == names
    assert {path.parent for path in written} == {tmp_path / "figures"}
    for path in written:
        assert path.read_bytes().startswith(MAGIC[kind]) and path.stat().st_size > 3000


def test_the_same_results_give_the_same_files(small, tmp_path):
    first, again = (write_figures(small, tmp_path / name, "svg") for name in "ab")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_text_is_text_in_a_pdf_and_paths_in_an_svg(small, tmp_path):
    (pdf, *_) = write_figures(small, tmp_path, "pdf")
    (svg, *_) = write_figures(small, tmp_path, "svg")
    assert b"DejaVuSans" in pdf.read_bytes()
    assert "<text" not in svg.read_text()


@pytest.mark.parametrize("count", [3, 26])
def test_the_longest_labels_leave_room_for_the_picture(count):
    """Formulas are as wide as they are drawn, not as they are written."""
    labels = {"pt": {"label": "$" + "x" * 70 + "$"}, "ht": {"label": r"$H_{\mathrm{T}}$"}}
    for column, least in (("pt", 0.2), ("ht", 0.4)):
        names = [f"1024 <= {column} < {i + 1025}" for i in range(count)]
        estimates = [averaging_record(name, status="unresolved") for name in names]
        with page_style():
            (figure,) = page_figures({"estimates": estimates, "settings": {"labels": labels}})[
                "averaging"
            ]
        widths = [axes.get_position().width * len(figure.axes) for axes in figure.axes]
        assert min(widths) > least


def test_labels_are_drawn_and_many_regions_are_several_files(tmp_path):
    labels = {"pt": {"label": r"$p_T$", "unit": "GeV"}}
    estimates = [averaging_record(f"{i} <= pt < {i + 1}", status="unresolved") for i in range(90)]
    results = {"estimates": estimates, "settings": {"labels": labels}}
    written = write_figures(results, tmp_path, "svg")
    names = [path.name for path in written]
    assert names == ["averaging_1.svg", "averaging_2.svg", "uncertainty.svg"]
    # matplotlib notes the text of what it draws as paths
    assert re.search(r"<!-- 0 &lt;= \$p_T\$ &lt; 1 GeV -->", written[0].read_text())
