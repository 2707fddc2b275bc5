"""Tables for other programs: all digits and no formula in CSV, everything escaped in LaTeX."""

import csv
import io
import re

import numpy as np
import pytest

from amplify.report.export import escape_latex, table_csv, table_latex, write_exports
from tests.results.examples import averaging_record, rich_results, truth_of


def _rows(results):
    return list(csv.DictReader(io.StringIO(table_csv(results), newline="")))


def test_csv_holds_all_digits():
    results = rich_results()
    results["estimates"][0] = averaging_record("x", 1000 / 3)
    rows = _rows(results)
    assert float(rows[0]["n_equiv"]) == 1000 / 3
    assert float(rows[0]["amplification_high"]) == 2 / 3
    assert rows[0]["summary"] == "" and rows[0]["members"] == "8"
    for row, e in zip(rows, results["estimates"], strict=True):
        assert row["status"] == e["status"]
        assert float(row["n_equiv_high"]) == (e["n_equiv_interval"][1] or np.inf)
        assert row["pull"] == ("" if e["pull"] is None else str(e["pull"]))
    truth = truth_of(results)
    known = _rows(results | {"truth": truth})
    assert [float(r["actual_amplification"]) for r in known] == truth["actual_amplification"]


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1 <= x < 2", "@x", 'a,"b"\nc', "x >= 1"])
def test_csv_holds_no_formula(name):
    (row,) = _rows({"estimates": [averaging_record(name)]})
    assert row["region"] == (f"'{name}" if name[0] in "=+-@" else name)


def test_latex_escapes_labels():
    special = r"\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert escape_latex("a_b & 50% {$x$} #1 ~^\\") == rf"a\_b \& 50\% \{{\$x\$\}} \#1 {special}"
    path = escape_latex("0 <= x < 2\n\\input{/etc}")
    assert path == r"0 $\leq$ x $<$ 2 \textbackslash{}input\{/etc\}"
    assert escape_latex("[1]*") == "{[}1{]}{*}"


def test_latex_sets_numbers(tmp_path):
    results = rich_results()
    results["estimates"][0] = averaging_record("m_jj", 12345.0, integral=1.1e-5)
    results["estimates"][1] = averaging_record("tail", status="lower_limit")
    tex = table_latex(results)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == tex.count(r"\toprule")
    assert tex.count(r"\begin{tabular}") == 2
    assert r"m\_jj & $1.1 \times 10^{-5}$ &" in tex
    assert r"$12\,300$ & $[8\,230, 24\,700]$" in tex
    assert r", \infty)$" in tex
    for block in re.findall(r"\\midrule\n(.*?)\\bottomrule", tex, re.DOTALL):
        cells = {len(re.findall(r"(?<!\\)&", line)) for line in block.strip().splitlines()}
        assert len(cells) == 1
        assert "_" not in re.sub(r"\\_|\$[^$]*\$", "", block)
    write_exports(results, tmp_path / "new")
    assert (tmp_path / "new" / "table.tex").read_text() == tex
    assert (tmp_path / "new" / "table.csv").read_text() == table_csv(results)


def test_latex_has_the_formulas_of_the_user():
    labels = {"pt": {"label": r"$p_T^{\mathrm{lead}}$ & co", "unit": "GeV/c"}}
    names = {
        "0 <= pt < 10": r"0 $\leq$ $p_T^{\mathrm{lead}}$ \& co $<$ 10 GeV/c",
        "pt >= 10": r"$p_T^{\mathrm{lead}}$ \& co $\geq$ 10 GeV/c",
        "a_b": r"a\_b",
    }
    estimates = [averaging_record(name) for name in names]
    tex = table_latex({"estimates": estimates, "settings": {"labels": labels}})
    for shown in names.values():
        assert f"\n{shown} & " in tex


@pytest.mark.parametrize(
    "label", [r"\input{/etc/passwd}", r"$\input{x}$", "$x % y$", "$a & b$", "$x", r"$\nosuch$", 3]
)
def test_no_command_gets_into_latex(label):
    """Of labels in a results.json that somebody edited."""
    results = {"estimates": [averaging_record("pt < 1")], "settings": {}}
    plain = table_latex(results)
    tex = table_latex(results | {"settings": {"labels": {"pt": {"label": label}}}})
    line = next(line for line in tex.splitlines() if "$<$ 1 &" in line)
    assert "\\input" not in line and "$\\n" not in line and line.count(" & ") == 9
    assert tex.count("\n") == plain.count("\n")


def test_tables_hold_no_control_characters():
    results = {"estimates": [averaging_record("a\x1b[31m\udcff < 1")]}
    text = table_csv(results) + table_latex(results)
    assert "\x1b" not in text
    text.encode("utf-8")
