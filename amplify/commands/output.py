"""What every command leaves behind: OUT/results.json, report.html, table.csv and table.tex; a table
on standard error; JSON on standard output if asked for.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.results.records import finite, write_json
from amplify.results.verdicts import how_many, summary_verdict
from amplify.text import number


def out_directory(command: str, out: Path | None, json_to: str | None = None) -> Path:
    """OUT, or amplify-runs/<command>-<time>; a directory with results in it is refused, so nothing
    is overwritten.

    Raises:
        InputError: results are there already, OUT is a file, or one of both places cannot be
            written: hours of work should not end there.
    """
    if json_to not in (None, "-"):
        _check_writable(Path(str(json_to)), "--json")
        if Path(str(json_to)).is_dir():
            raise InputError(
                "--json",
                "a file, or - for standard output",
                "a directory",
                f"give {Path(str(json_to)) / 'results.json'}",
            )
    directory = out or Path("amplify-runs") / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}"
    if directory.exists() and not directory.is_dir():
        raise InputError(str(directory), "a directory", "a file", "choose another --out")
    if (directory / "results.json").exists():
        raise InputError(
            str(directory),
            "a directory without results",
            "results.json in it",
            "choose another --out; nothing is overwritten",
        )
    _check_writable(directory, "--out")
    return directory


def _check_writable(path: Path, what: str) -> None:
    """Whether the nearest directory that exists lets us write."""
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if nearest != path and not nearest.is_dir():
        raise InputError(
            what, "a place in a directory", f"{nearest}, which is a file", "choose another"
        )
    if not os.access(nearest, os.W_OK):
        raise InputError(
            what, "a place that may be written", f"no permission for {nearest}", "choose another"
        )


def publish(results: dict[str, Any], directory: Path, json_to: str | None) -> None:
    """Writes results.json and report.html, prints the table for people and the JSON for
    programs.
    """
    from amplify.report.export import write_exports
    from amplify.report.page import write_page

    results = finite(results)
    write_json(directory / "results.json", results)
    write_exports(results, directory)
    write_page(results, directory / "report.html")
    print_table(results)
    for warning in results["warnings"]:
        say(f"warning: {warning}")
    say(summary_verdict(results["estimates"]))
    say(how_many(results["estimates"]))
    say(f"{directory / 'report.html'}")
    if json_to == "-":
        print(json.dumps(results, allow_nan=False))
    elif json_to is not None:
        write_json(Path(json_to), results)


def print_table(results: dict[str, Any]) -> None:
    """G per region on standard error, one table for each method."""
    for method in dict.fromkeys(r["method"] for r in results["estimates"]):
        _print_method(method, results)
    if results.get("sensitivities"):
        say("a distortion of this size would have been seen with the efficiency:")
        for s in results["sensitivities"]:
            say(
                f"  {s['shape']:8s} D = {number(s['distance'])}: {s['efficiency']:.2f} +- {s['error']:.2f}"
            )


def _print_method(method: str, results: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    truth = results.get("truth")
    rows = [(i, r) for i, r in enumerate(results["estimates"]) if r["method"] == method]
    table = Table(title=f"{method} amplification, by region")
    own = {"averaging": ("I", "sigma_model"), "differential": ("summary", "D")}[method]
    known = (
        (("actual sigma", "actual G") if method == "averaging" else ("actual D", "actual G"))
        if truth
        else ()
    )
    for name in (
        "region",
        *own,
        "n_equiv",
        "G",
        f"{100 * rows[0][1]['level']:.0f} % interval",
        *known,
        "status",
    ):
        table.add_column(
            name,
            justify="left" if name in ("region", "summary", "status") else "right",
            no_wrap=name == "region",
        )
    for i, r in rows:
        low, high = r["amplification_interval"]
        actual = (
            (
                number(truth["actual_sigma" if method == "averaging" else "actual_distance"][i]),
                number(truth["actual_amplification"][i]),
            )
            if truth
            else ()
        )
        first = (
            (number(r["integral"]), _or_dash(r["sigma_model"]))
            if method == "averaging"
            else (r["summary"], _or_dash(r["distance"]))
        )
        worth = (
            ("-", "-")
            if r["status"] == "upper_limit"
            else (_or_dash(r["n_equiv"]), _or_dash(r["amplification"]))
        )
        table.add_row(
            r["region"], *first, *worth, f"{number(low)} to {number(high)}", *actual, r["status"]
        )
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 150)
    console.print(table)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr)
