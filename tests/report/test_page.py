"""The page: everything a results.json may hold is drawn, what it lacks is not missed, and no name
can act.
"""

import base64
import hashlib
import html
import re
from urllib.parse import unquote

import matplotlib as mpl
import pytest

from amplify.report.export import table_csv
from amplify.report.figures import middle, page_figures
from amplify.report.page import write_page
from amplify.results.records import read_json, write_json
from amplify.results.verdicts import summary_verdict
from tests.results.examples import COLUMNS, EVIL, averaging_record, rich_results, truth_of


def draw(results, directory):
    """The page of these results, read from a file as a user's would be."""
    write_json(directory / "results.json", results)
    write_page(read_json(directory / "results.json"), directory / "report.html")
    return (directory / "report.html").read_text()


@pytest.fixture(scope="module")
def results():
    """Sixty regions of five columns."""
    return rich_results(bins=12)


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    """The rich page, drawn once."""
    return draw(results, tmp_path_factory.mktemp("page"))


def test_everything_is_drawn_in_order(page, results):
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == [
        "Before you use these numbers",
        "Amplification by region",
        "Where in phase space",
        "How fine may one look",
        "Generated against holdout, column by column",
        "Where the distribution functions part",
        "Distance as the generated sample grows",
        "How many events to generate",
        "In words",
        "What this means, and what not",
        "For the methods section of a note",
        "To repeat it",
    ]
    assert page.count("<svg") == page.count("</svg>") == 9
    words = " ".join(html.unescape(page).split())
    for text in (
        summary_verdict(results["estimates"]),
        "Averaging: integrals",
        "Differential: event by event",
        "member 3 failed and is left out: its loss was not finite",
        "12 rows with values that are not finite were dropped",
        "gen_2.h5: 10 events, sha256 2222",
        "1 more column is",
        "Use up to ",
        "cells are drawn equally wide",
    ):
        assert " ".join(text.split()) in words, text
    assert "<details><summary>63 estimates" in page
    ids = re.findall(r' id="(region-[^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {f"region-{row}-label" for row in range(63)} <= set(ids)


def test_words_of_figures_are_words(page):
    """Not paths: a browser finds them, reads them aloud, and draws letters of any language."""
    assert re.search(r"<text[^>]*>number of generated events n_gen</text>", page)


def test_only_our_script_may_run(page):
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == page.count("<script") == 1
    assert len(scripts[0].splitlines()) <= 60
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    stated = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert stated
    policy = html.unescape(stated[1])
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["'#]|data:)""", page)
    assert not re.findall(r"\son[a-z]+=", page)


def test_names_are_escaped_everywhere(tmp_path):
    results = rich_results(COLUMNS[:2], evil=EVIL)
    results |= {"command": EVIL, "warnings": [EVIL]}
    results |= {"failed_members": [{"member": 0, "reason": EVIL}]}
    page = draw(results, tmp_path)
    assert "<img" not in page and page.count("<script") == 1
    escaped = html.escape(EVIL).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    assert page.count(escaped) >= 5


@pytest.mark.parametrize(("left", "figures"), [("nothing", 0), ("old", 3), ("null", 9)])
def test_what_is_missing_is_not_missed(left, figures, tmp_path):
    """Optional keys may be absent or null, numbers may be missing in every list."""
    results = rich_results()
    optional = ("panels", "map", "resolution", "failed_members", "differential", "sensitivities")
    if left == "null":
        for panel in results["panels"]:
            for name in set(panel) - {"column", "edges"}:
                panel[name] = panel[name] and [None] * len(panel[name])
        for curve in results["resolution"]:
            curve.update({name: [None] * 5 for name in ("amplification", "low", "high")})
        results["map"]["amplification"] = [[None] * 6] * 5
        results["differential"]["map"].update(ratio=[[None] * 10] * 10, pull=[[None] * 10] * 10)
        results["failed_members"] = None
    else:
        results = {k: v for k, v in results.items() if k not in optional}
    if left == "nothing":
        results["estimates"] = []
    if left == "old":
        results["inputs"] = [{"path": "a.npy", "sha256": "0", "events": 3}]
    page = draw(results, tmp_path)
    assert page.count("<svg") == figures and "None" not in page


def test_names_that_no_font_or_formula_knows(tmp_path):
    """Tabs, foreign letters, dollars and very long names are drawn without a warning."""
    names = ("p\t\u4f60$_x", "a" * 300, "$\\frac{1}$", "\U0001f600")
    page = draw(rich_results(columns=names), tmp_path)
    assert page.count("<svg") == 9
    assert "a" * 300 in page
    assert re.search(r"<text[^>]*>p \u4f60\$_x", page)


def test_known_truth_is_shown(tmp_path):
    results = rich_results(COLUMNS[:2])
    page = draw(results | {"truth": truth_of(results)}, tmp_path)
    assert "Diamonds: actual amplification, an integral" in " ".join(page.split())
    for row in range(len(results["estimates"])):
        assert f'id="region-{row}-actual"' in page


def test_settings_of_the_user_leave_the_page_alone(tmp_path):
    results = rich_results(COLUMNS[:2])
    for quick in ("panels", "map", "differential"):
        del results[quick]
    plain = draw(results, tmp_path)
    theirs = {"font.size": 20, "lines.linewidth": 9, "figure.facecolor": "red"}
    with mpl.rc_context(theirs | {"text.usetex": True}):
        assert draw(results, tmp_path) == plain


def test_many_regions_fill_several_sheets():
    regions = [averaging_record(f"{name} < {i}") for name in "abcde" for i in range(50)]
    figures = page_figures({"estimates": regions})["averaging"]
    assert len(figures) == 4
    rows = [len(axes.get_yticks()) for figure in figures for axes in figure.axes]
    assert sum(rows) == 250
    assert max(figure.get_figheight() for figure in figures) < 10
    (few,) = page_figures({"estimates": regions[:24]})["averaging"]
    assert len(few.axes) == 1


def test_of_very_many_regions_some_are_drawn(tmp_path, results, monkeypatch):
    """A figure takes half a second; the table has them all, and the page says so."""
    regions = [averaging_record(f"a < {i}") for i in range(200)]
    monkeypatch.setattr("amplify.report.figures.MOST_REGIONS", 30)
    (figure,) = page_figures({"estimates": regions})["averaging"]
    assert sum(len(axes.get_yticks()) for axes in figure.axes) == 30
    monkeypatch.setattr("amplify.report.page.MOST_REGIONS", 1)
    assert "The first 1 regions are drawn; all " in draw(results, tmp_path)


def test_columns_of_regions_part_between_observables():
    def labels(counts):
        return [f"{name} < {i}" for name, count in counts.items() for i in range(count)]

    assert middle(labels({"a": 7, "b": 7, "c": 7, "d": 7})) == 14
    assert middle(labels({"a": 13, "b": 15})) == 13
    assert middle(labels({"a": 3, "b": 25})) == 14  # too uneven: in the middle of b


def test_the_table_is_behind_the_link(page, results):
    link = re.search(r'href="data:text/csv;charset=utf-8,([^"]*)" download="table.csv"', page)
    assert link and unquote(link[1]) == table_csv(results)
