"""A result for other programs: its table as CSV with all digits and in LaTeX for a note; for fits a
covariance matrix, a workspace of pyhf, and histograms.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amplify.results.columns import DASH, Column, columns, levels, numbered
from amplify.results.comparison_table import HEADS, comparison_csv, rows
from amplify.results.comparisons import COMPARISON
from amplify.results.fit_inputs import TOGETHER, covariance_json, histograms_of, pyhf_of
from amplify.results.labels import text_can_be_drawn
from amplify.text import at_condition, harmless, parts_of

Record = dict[str, Any]

_TEXTS = ("method", "region", "summary", "status")
_NUMBERS = (
    "members",
    "n_train",
    "n_gen",
    "n_holdout",
    "integral",
    "sigma_stat",
    "sigma_model",
    "distance",
    "n_equiv",
    "level",
    "limit_level",
    "amplification",
    "pull",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


def write_exports(results: dict[str, Any], directory: Path) -> None:
    """Writes table.csv and table.tex, and what there is of covariance.json, pyhf.json and
    histograms.json.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "table.csv").write_text(table_csv(results), encoding="utf-8")
    (directory / "table.tex").write_text(table_latex(results), encoding="utf-8")
    for name, contents in fit_inputs(results).items():
        text = json.dumps(contents, indent=1, allow_nan=False) + "\n"
        (directory / name).write_text(text, encoding="utf-8")


def fit_inputs(results: dict[str, Any]) -> dict[str, Any]:
    """Files for fits by their names, of what a result has."""
    files: dict[str, Any] = {}
    if results.get(TOGETHER):
        files["covariance.json"] = covariance_json(results)
        files["pyhf.json"] = pyhf_of(results)
    histograms = histograms_of(results)
    return files | ({"histograms.json": histograms} if histograms else {})


def table_csv(results: dict[str, Any]) -> str:
    """One line per estimate, all digits; an empty cell is a missing number, inf the end of an
    interval that has none.

    Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    if results.get(COMPARISON):
        return comparison_csv(results)
    truth = results.get("truth") or {}
    names = ("actual_sigma", "actual_distance", "actual_amplification")
    actual = {name: truth[name] for name in names if name in truth}
    ends = [f"{name}_{end}" for name in ("n_equiv", "amplification") for end in ("low", "high")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_TEXTS, *_NUMBERS, *ends, *actual])
    for row, record in enumerate(results["estimates"]):
        texts = [_harmless(record.get(name)) for name in _TEXTS]
        numbers = [record.get(name) for name in _NUMBERS]
        for name in ("n_equiv_interval", "amplification_interval"):
            low, high = record[name]
            numbers += [low, "inf" if high is None and low is not None else high]
        writer.writerow([*texts, *numbers, *(values[row] for values in actual.values())])
    return out.getvalue()


def _harmless(text: str | None) -> str:
    if text is None:
        return ""
    text = harmless(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def table_latex(results: dict[str, Any]) -> str:
    r"""A table for each method, with \usepackage{booktabs}; labels are escaped, but for formulas of
    columns that the user gave.
    """
    if results.get(COMPARISON):
        return comparison_latex(results)
    labels = (results.get("settings") or {}).get("labels")
    pretty = labels if isinstance(labels, Mapping) else {}
    tables = [
        _table(method, records, columns(method, results.get("truth")), pretty)
        for method, records in numbered(results).items()
        if records
    ]
    return "\n\n".join([r"% \usepackage{booktabs}", *tables]) + "\n"


def _table(
    method: str, records: Sequence[Record], chosen: Sequence[Column], labels: Mapping[str, Any]
) -> str:
    alignment = "".join("l" if c.kind in ("text", "status") else "r" for c in chosen)
    heads = " & ".join(column.tex for column in chosen)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(method, records)}}}",
        r"\footnotesize",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        rf"{heads} \\",
        r"\midrule",
    ]
    for record in records:
        cells = [_region(record["region"], labels), *(_cell(c, record) for c in chosen[1:])]
        lines.append(rf"{' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _caption(method: str, records: Sequence[Record]) -> str:
    said = levels(records).replace(" %", r"\,\%")
    most = max(r["n_train"] for r in records)
    n_train = f"{most:,.0f}".replace(",", r"\,")
    factor = r"$G = n_\mathrm{equiv} / n_\mathrm{train}$"
    train = rf"$n_\mathrm{{train}} = {n_train}$"
    meaning = r"$D$ is the distance of the distribution functions of the summary"
    if method == "averaging":
        meaning = r"$I$ is the fraction of events in a region"
    return (
        rf"{method.capitalize()} amplification, {factor}, {train}. {said.capitalize()}. {meaning}."
    )


def _region(label: str, labels: Mapping[str, Any]) -> str:
    """The label of a region, with the formula and the unit of the column that it bins."""
    condition, rest = at_condition(label)
    if condition:
        return f"{_region(condition[:-2], labels)}: {_region(rest, labels)}"
    low, name, high = parts_of(label) or ("", "", "")
    given = labels.get(name)
    if not isinstance(given, Mapping) or not isinstance(given.get("label"), str):
        return escape_latex(label)
    unit = given.get("unit")
    parts = escape_latex(low), _formula(given["label"]), escape_latex(high)
    words = [*parts, *([escape_latex(unit)] if isinstance(unit, str) else [])]
    return " ".join(word for word in words if word)


def _formula(label: str) -> str:
    """What stands between dollars as it is, where matplotlib understands it: its mathematics has no
    command that reads or runs anything.
    """
    pieces = re.split(r"(?<!\\)\$", label)
    formulas = pieces[1::2]
    if len(pieces) % 2 == 0 or not text_can_be_drawn(label):
        return escape_latex(label)
    if any(re.search(r"[%&#~]", formula) for formula in formulas):
        return escape_latex(label)
    words = [re.sub(r"\S(.*\S)?", lambda word: escape_latex(word[0]), p) for p in pieces]
    return "".join(f"${p}$" if i % 2 else words[i] for i, p in enumerate(pieces))


def _cell(column: Column, record: Record) -> str:
    text, value = column.text(record), column.of(record)
    if isinstance(value, str):
        return escape_latex(text)
    if text == DASH:
        return "--"
    if column.kind == "interval" and text[0] in "<>":
        return f"${text[0]} {_number(text[2:])}$"
    if column.kind == "interval":
        low, high = text.split(" to ")
        return f"$[{_number(low)}, {_number(high)}{')' if high == '∞' else ']'}$"
    return f"${_number(text)}$"


def _number(text: str) -> str:
    r"""A number as LaTeX sets it: 1.1e-05 becomes 1.1 \times 10^{-5}."""
    text = text.replace("\N{NARROW NO-BREAK SPACE}", r"\,")
    text = text.replace("∞", r"\infty").replace("infinity", r"\infty")
    return re.sub(r"e([+-]\d+)$", _power, text)


def _power(exponent: re.Match[str]) -> str:
    return rf" \times 10^{{{int(exponent[1])}}}"


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


def comparison_latex(results: dict[str, Any]) -> str:
    """The table of a comparison of generators."""
    cells = rows(results["estimates"], results[COMPARISON])
    titles = " & ".join(escape_latex(head.title) for head in HEADS)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{Generators against one holdout, in equivalent true events.}",
        r"\footnotesize",
        rf"\begin{{tabular}}{{{''.join('l' if head.is_text else 'r' for head in HEADS)}}}",
        r"\toprule",
        rf"{titles} \\",
        r"\midrule",
    ]
    for row in cells:
        texts = [
            escape_latex(cell.replace(DASH, "--")) if head.is_text else _number_cell(cell)
            for head, cell in zip(HEADS, row, strict=True)
        ]
        lines.append(rf"{' & '.join(texts)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _number_cell(cell: str) -> str:
    """A number, an interval or a limit as LaTeX sets it."""
    if cell == DASH:
        return "--"
    words = [_number(word).replace("%", r"\%") for word in cell.split(" ")]
    together = r"\ ".join(words).replace(r"\ to\ ", r"\text{ to }")
    return f"${together}$"


def escape_latex(text: str) -> str:
    """A label as LaTeX prints it, on one line; brackets and stars are braced because a line of a
    table must not begin with them.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    escaped = "".join(_LATEX.get(c, c) for c in text)
    return escaped.replace("$<$=", r"$\leq$").replace("$>$=", r"$\geq$")
