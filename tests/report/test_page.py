"""The page and its exports: everything a results.json may hold is drawn, what it lacks is not
missed, and no name can act.
"""

import base64
import csv
import hashlib
import html
import io
import re
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import pytest

from amplify.plots import by_region as region_plots
from amplify.report.export import escape_latex, table_csv, table_latex, write_exports
from amplify.report.methods import methods_paragraph, references
from amplify.report.page import write_page
from amplify.results.records import environment, finite, read_json, write_json
from amplify.results.verdicts import how_many, summary_verdict, verdict

EVIL = "<img src=x onerror=\"window.ran=1\"> & 'y' {{ 7 }}"
STATUSES = ("resolved", "resolved", "resolved", "lower_limit", "biased", "unresolved")


def averaging_record(region, n_equiv=4000.0, status="resolved", n_train=1000, **more):
    """A record as averaging_records makes them."""
    open_end, known = status in ("lower_limit", "unresolved"), status != "unresolved"
    interval = [n_equiv / 1.5 if known else 0.0, None if open_end else n_equiv * 2]
    record = {
        "method": "averaging",
        "region": region,
        "summary": None,
        "members": 8,
        "n_train": n_train,
        "n_gen": 100_000,
        "n_holdout": 20_000,
        "integral": 0.1,
        "sigma_stat": 0.001,
        "sigma_model": 0.004 if known else None,
        "distance": None,
        "n_equiv": n_equiv if known else None,
        "n_equiv_interval": interval,
        "pull": 4.2 if status == "biased" else -0.3,
        "bias": 0.0,
        "level": 0.68,
        "amplification": n_equiv / n_train if known else None,
        "amplification_interval": [v and v / n_train for v in interval],
        "status": status,
    } | more
    return record | {"verdict": verdict(record)}


def differential_record(
    region="all", n_equiv=60.0, status="resolved", summary="exact likelihood ratio", n_train=1000
):
    """A record as differential_records makes them."""
    low = 0.0 if status in ("upper_limit", "unresolved") else n_equiv / 1.3
    high = None if status in ("lower_limit", "unresolved") else n_equiv * 1.3
    value = n_equiv if status in ("resolved", "upper_limit") else None
    record = {
        "method": "differential",
        "region": region,
        "summary": summary,
        "members": None,
        "n_train": n_train,
        "n_gen": 500_000,
        "n_holdout": 20_000,
        "n_train_region": n_train,
        "n_gen_region": 500_000,
        "n_holdout_region": 20_000,
        "integral": None,
        "sigma_stat": None,
        "sigma_model": None,
        "distance": 0.87 / n_equiv**0.5,
        "n_equiv": value,
        "n_equiv_interval": [low, high],
        "n_holdout_for_30_percent": 14.6 * n_equiv,
        "pull": None,
        "bias": None,
        "level": 0.9 if summary.startswith("learned") else 0.68,
        "amplification": value and value / n_train,
        "amplification_interval": [low / n_train, high and high / n_train],
        "status": status,
    }
    return record | {"verdict": verdict(record)}


def rich_results(columns=("pt_lead", "eta_lead", "m_jj", "dphi_jj", "ht"), bins=12, evil=None):
    """Five columns, sixty regions of all statuses, differential estimates, panels, maps and
    resolution.
    """
    rng = np.random.default_rng(4)
    edges = [np.linspace(-2.2, 2.2, bins - 1) for _ in columns]
    estimates = []
    for name, inner in zip(columns, edges, strict=True):
        labels = [
            f"{name} < {inner[0]:.6g}",
            *(f"{a:.6g} <= {name} < {b:.6g}" for a, b in pairwise(inner)),
            f"{name} >= {inner[-1]:.6g}",
        ]
        estimates += [
            averaging_record(
                label,
                float(1000 * 10 ** rng.normal(0.3, 0.45)),
                STATUSES[rng.integers(len(STATUSES))],
            )
            for label in labels
        ]
    if evil:
        estimates[0] = averaging_record(evil)
    estimates += [
        differential_record(),
        differential_record("pt_lead >= 3", 200.0),
        differential_record(summary="learned likelihood ratio", status="upper_limit", n_equiv=80.0),
    ]
    t = np.linspace(-1, 1, 50)
    f = (np.tanh(2 * t) + 1) / 2
    n = np.geomspace(100, 5e5, 12)
    names = [evil or columns[0], *columns[1:]]
    results = environment(
        "amplify averaging --members gen_0.npy ...",
        7,
        {"n_train": 1000, "columns": list(columns), "nested": {"a": [1, None]}},
    ) | {
        "estimates": estimates,
        "inputs": [
            {
                "path": "gen_0.npy",
                "sha256": "ab" * 32,
                "events": 100_000,
                "columns": list(columns),
                "weighted": False,
                "dropped": 12,
            },
            {
                "path": "gen_*.h5",
                "events": 30,
                "files": [
                    {"path": f"gen_{i}.h5", "sha256": f"{i}" * 64, "events": 10} for i in range(3)
                ],
            },
        ],
        "warnings": ["the members differ in size: the smallest counts"],
        "failed_members": [{"member": 3, "reason": "its loss was not finite"}],
        "panels": [_panel(name, rng, holdout=i != 3) for i, name in enumerate(names)],
        "map": {
            "columns": names[:2],
            "edges": [[None, -1.0, -0.3, 0.3, 1.0, None], list(np.linspace(0, 500, 7))],
            "amplification": [
                [
                    None if (i, j) == (0, 3) else 10 ** (0.3 * (i - 2) + 0.2 * (j - 2))
                    for j in range(6)
                ]
                for i in range(5)
            ],
            "status": [
                [
                    {(0, 3): "unresolved", (2, 2): "biased", (4, 0): "lower_limit"}.get(
                        (i, j), "resolved"
                    )
                    for j in range(6)
                ]
                for i in range(5)
            ],
        },
        "resolution": [
            {
                "column": name,
                "bins": [2, 5, 10, 20, 50],
                "amplification": list(g := 3 * 1.3**i / np.array([1, 1.4, 2, 3.0, 5])),
                "low": list(g / 1.5),
                "high": [None, *(g[1:] * 1.7)],
            }
            for i, name in enumerate([*names, "sixth", "seventh"])
        ],
        "sensitivities": [{"shape": "smooth", "distance": 0.1, "efficiency": 0.8, "error": 0.02}],
        "differential": {
            "functions": {
                "t": t,
                "generated": f,
                "holdout": f**1.1,
                "place": 0.0,
                "generated_there": 0.5,
                "holdout_there": 0.47,
            },
            "approach": {
                "n_gen": n,
                "ks": 0.05 + 0.9 / np.sqrt(n),
                "null_mean": 0.87 / np.sqrt(n),
                "null_low": 0.5 / np.sqrt(n),
                "null_high": 1.3 / np.sqrt(n),
                "n_holdout": 20_000,
                "distance": 0.05,
            },
            "map": {
                "columns": names[:2],
                "edges": [np.linspace(-3, 3, 11)] * 2,
                "ratio": rng.normal(1, 0.1, (10, 10)),
                "pull": rng.normal(0, 1.5, (10, 10)),
            },
        },
    }
    return finite(results)


def _panel(name, rng, holdout):
    edges = np.linspace(0, 4, 21)
    shape = np.diff(-np.exp(-edges)) if name != "eta_lead" else np.diff(edges) / 5
    generated = shape * (1 + 0.04 * rng.normal(size=20))
    generated[-1] *= 2.5
    panel = {
        "column": name,
        "edges": edges,
        "generated": generated,
        "generated_error": 0.02 * shape,
        "holdout": None,
        "holdout_error": None,
    }
    if holdout:
        panel |= {"holdout": np.r_[shape[:-2], 0.0, shape[-1]], "holdout_error": 0.05 * shape**0.8}
    return panel | {
        "members_low": [*generated[:-1] * 0.9, None],
        "members_high": [*generated[:-1] * 1.1, None],
    }


def draw(results, directory):
    """The page of these results, read from a file as a user's would be."""
    write_json(directory / "results.json", results)
    write_page(read_json(directory / "results.json"), directory / "report.html")
    return (directory / "report.html").read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The rich page, drawn once."""
    return draw(rich_results(), tmp_path_factory.mktemp("page"))


def test_everything_is_drawn_in_order(page):
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
    words = html.unescape(page)
    for text in (
        "member 3 failed and is left out: its loss was not finite",
        "12 rows with values that are not finite were dropped",
        "gen_2.h5: 10 events, sha256 2222",
        "1 more column is",
        "Use up to ",
        "cells are drawn equally wide",
    ):
        assert text in " ".join(words.split()), text
    assert "<details><summary>63 estimates" in page
    ids = re.findall(r' id="(region-[^"]+)"', page)
    assert len(ids) == len(set(ids)) and {f"region-{row}-label" for row in range(63)} <= set(ids)


def test_only_our_script_may_run(page):
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == page.count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert (
        policy
        and html.unescape(policy[1]).startswith("default-src 'none'")
        and f"script-src 'sha256-{digest}';" in html.unescape(policy[1])
    )
    assert (
        "unsafe-inline" not in html.unescape(policy[1]).partition("script-src")[2]
        and len(scripts[0].splitlines()) <= 60
    )
    assert page.index("Content-Security-Policy") < page.index("<style>") and not re.findall(
        r"""(?:src|href)\s*=\s*["']?(?!["'#]|data:)""", page
    )
    assert not re.findall(r"\son[a-z]+=", page)


def test_names_are_escaped_everywhere(tmp_path):
    page = draw(
        rich_results(evil=EVIL, bins=3)
        | {"command": EVIL, "warnings": [EVIL], "failed_members": [{"member": 0, "reason": EVIL}]},
        tmp_path,
    )
    assert "<img" not in page and page.count("<script") == 1
    assert page.count(html.escape(EVIL).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) >= 5


def test_regions_of_one_observable_stand_together():
    assert [
        region_plots.observable(x)
        for x in ("0 <= pt lead < 1", "pt lead < -1e-05", "pt lead >= 2", "tail", "all")
    ] == ["pt lead"] * 3 + ["", ""]
    records = [averaging_record(f"{name} < {i}") for name in "abcde" for i in range(50)]
    figures = region_plots.amplification_by_region(list(enumerate(records)))
    assert (
        len(figures) == 4
        and sum(
            len(axis.get_yticks())
            for figure in figures
            for axis in figure.axes
            if axis.get_visible()
        )
        == 250
    )
    assert max(figure.get_figheight() for figure in figures) < 10
    few = region_plots.amplification_by_region(list(enumerate(records[:24])))
    assert len(few) == 1 and len(few[0].axes) == 1
    six = [averaging_record(f"{name} < {i}") for name in "abcd" for i in (5, 6, 7, 8, 9, 10, 11)]
    assert [
        len(a.get_yticks())
        for a in region_plots.amplification_by_region(list(enumerate(six)))[0].axes
    ] == [14, 14]


@pytest.mark.parametrize("left", ["none", "null", "old"])
def test_what_is_missing_is_not_missed(left, tmp_path):
    """Optional keys may be absent or null, numbers may be missing in every list."""
    results = rich_results(bins=3)
    optional = ("panels", "map", "resolution", "failed_members", "differential", "sensitivities")
    if left == "old":
        results = {k: v for k, v in results.items() if k not in optional} | {
            "inputs": [{"path": "a.npy", "sha256": "0", "events": 3}]
        }
    elif left == "none":
        results["estimates"] = []
        results = {k: v for k, v in results.items() if k not in optional}
    else:
        for panel in results["panels"]:
            for name in set(panel) - {"column", "edges"}:
                panel[name] = panel[name] and [None] * len(panel[name])
        for part in results["resolution"]:
            part.update({name: [None] * 5 for name in ("amplification", "low", "high")})
        results["map"]["amplification"] = [[None] * 6] * 5
        results["differential"]["map"].update(ratio=[[None] * 10] * 10, pull=[[None] * 10] * 10)
        results["failed_members"] = None
    page = draw(results, tmp_path)
    assert page.count("<svg") == {"none": 0, "old": 3, "null": 9}[left] and "None" not in page


def test_names_that_no_font_or_formula_knows(tmp_path):
    """Tabs, foreign letters, dollars and very long names are drawn without a warning."""
    names = ("p\t\u4f60$_x", "a" * 300, "$\\frac{1}$", "\U0001f600")
    page = draw(rich_results(columns=names, bins=3), tmp_path)
    assert "a" * 300 in page and page.count("<svg") == 9


def test_csv_holds_all_digits_and_no_formula(page):
    results = rich_results(bins=3)
    for row, label in enumerate(("=cmd()", "+1", "-1 <= x < 2", "@x", 'a,"b"\nc', "x >= 1")):
        results["estimates"][row] = averaging_record(label, 1000 / 3)
    rows = list(csv.DictReader(io.StringIO(table_csv(results), newline="")))
    assert [r["region"] for r in rows[:6]] == [
        "'=cmd()",
        "'+1",
        "'-1 <= x < 2",
        "'@x",
        'a,"b"\nc',
        "x >= 1",
    ]
    assert (
        float(rows[0]["n_equiv"]) == 1000 / 3
        and float(rows[0]["amplification_high"]) == 2 / 3
        and rows[0]["summary"] == ""
        and rows[0]["members"] == "8"
    )
    for row, e in zip(rows, results["estimates"], strict=True):
        assert row["status"] == e["status"] and float(row["n_equiv_high"]) == (
            e["n_equiv_interval"][1] or np.inf
        )
        assert row["pull"] == ("" if e["pull"] is None else str(e["pull"]))
    link = re.search(r'href="data:text/csv;charset=utf-8,([^"]*)" download="table.csv"', page)
    assert link and unquote(link[1]) == table_csv(rich_results())
    known = results | {
        "truth": {
            name: [0.5] * len(rows)
            for name in ("actual_sigma", "actual_distance", "actual_amplification")
        }
        | {"from": "an integral"}
    }
    assert next(csv.DictReader(io.StringIO(table_csv(known))))["actual_amplification"] == "0.5"


def test_latex_escapes_and_sets_numbers(tmp_path):
    assert (
        escape_latex("a_b & 50% {$x$} #1 ~^\\")
        == r"a\_b \& 50\% \{\$x\$\} \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert (
        escape_latex("0 <= x < 2\n\\input{/etc}")
        == r"0 $\leq$ x $<$ 2 \textbackslash{}input\{/etc\}"
    )
    assert escape_latex("[1]*") == "{[}1{]}{*}"
    results = rich_results(bins=3)
    results["estimates"][0] = averaging_record("m_jj", 12345.0, integral=1.1e-5)
    results["estimates"][1] = averaging_record("tail", status="lower_limit")
    tex = table_latex(results)
    assert (
        tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
        and tex.count(r"\toprule") == 2
    )
    assert (
        r"m\_jj & $1.1 \times 10^{-5}$ &" in tex
        and r"$12\,300$ & $[8\,230, 24\,700]$" in tex
        and r", \infty)$" in tex
    )
    for block in re.findall(r"\\midrule\n(.*?)\\bottomrule", tex, re.DOTALL):
        assert len(
            {len(re.findall(r"(?<!\\)&", line)) for line in block.strip().splitlines()}
        ) == 1 and "_" not in re.sub(r"\\_|\$[^$]*\$", "", block)
    write_exports(results, tmp_path / "new")
    assert (tmp_path / "new" / "table.tex").read_text() == tex and (
        tmp_path / "new" / "table.csv"
    ).read_text() == table_csv(results)


def test_methods_paragraph_and_references():
    results = rich_results(bins=3)
    words = methods_paragraph(results)
    for part in (
        "8 generators",
        "trained on 1 000 events",
        "100 000 events each",
        "15 regions",
        "68 %",
        "7 degrees of freedom",
        "holdout of 20 000 true events",
        "at 90 %",
        "exact likelihood ratio",
        "least-squares",
        "arXiv:2509.08048",
        "physics/9711021",
        f"amplify {results['version']}",
        "seed 7",
    ):
        assert part in words, part
    assert "\n" not in words and "  " not in words
    assert references(results).count("@article") == 3
    only = {
        "estimates": [
            differential_record(summary="observable pt"),
            differential_record(summary="learned likelihood ratio (MLP)"),
        ]
    }
    assert references(only).count("@article") == 1 and "Bahl" in references(only)
    bare = averaging_record("a") | {"members": None, "n_gen": None, "n_holdout": None}
    assert "No holdout" in methods_paragraph(results | {"estimates": [bare]})


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            [averaging_record("a", 4000.0), averaging_record("b", 900.0)],
            ("Use up to 40\u202f000 generated events: beyond that no region's", "which is enough"),
        ),
        (
            [averaging_record("a", 40_000.0), averaging_record("b", status="unresolved")],
            ("no resolved region's", "400\u202f000", "the other region."),
        ),
        (
            [averaging_record("a", status="lower_limit")],
            ("No limit on the number of generated events was found up to the 100\u202f000",),
        ),
        ([differential_record(n_equiv=60.0)], ("Use up to 600 generated events, ten times",)),
        (
            [differential_record(n_equiv=60.0, status="upper_limit")],
            ("Use at most 780 generated events",),
        ),
        (
            [differential_record(status="lower_limit")],
            ("No limit on the number of generated events was found up to the 500\u202f000",),
        ),
        ([differential_record(status="unresolved")], ("No limit",)),
        (
            [averaging_record("a"), differential_record()],
            (
                "for integrals over these regions: ",
                "; where single events count, ",
                "use up to 600",
            ),
        ),
        ([], ("",)),
    ],
)
def test_how_many_events_to_use(records, words):
    sentence = how_many(records)
    assert (
        all(w in sentence for w in words)
        and sentence.count(". ") == 0
        and (not records or sentence.endswith("."))
    )


def test_one_sentence_for_each_method():
    several = [
        differential_record(summary="observable pt", n_equiv=900.0),
        differential_record(),
        differential_record("tail", 5.0),
        differential_record(summary="learned x", status="unresolved"),
    ]
    assert summary_verdict(several) == several[1]["verdict"]
    assert summary_verdict([averaging_record("a"), *several]).endswith(several[1]["verdict"])
    assert summary_verdict(several[3:]) == several[3]["verdict"]
    for record in (*several, differential_record(summary="learned x", status="upper_limit")):
        assert record["verdict"].count(". ") == 0
