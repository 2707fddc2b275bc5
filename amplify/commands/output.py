"""What every command leaves behind: OUT/results.json, OUT/report.html, a table on standard error and, if asked for, JSON on standard output."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.report.results import finite, number, summary_verdict, write_json


def out_directory(command: str, out: Path | None) -> Path:
    """OUT, or amplify-runs/<command>-<time>; a directory with results in it is refused, so nothing is overwritten.

    Raises:
        InputError: results are there already, or OUT is a file.
    """
    directory = out or Path("amplify-runs") / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}"
    if directory.exists() and not directory.is_dir():
        raise InputError(str(directory), "a directory", "a file", "choose another --out")
    if (directory / "results.json").exists():
        raise InputError(str(directory), "a directory without results", "results.json in it", "choose another --out; nothing is overwritten")
    return directory


def publish(results: dict[str, Any], directory: Path, json_to: str | None) -> None:
    """Writes results.json and report.html, prints the table for people and the JSON for programs."""
    from amplify.report.page import write_page

    results = finite(results)
    write_json(directory / "results.json", results)
    write_page(results, directory / "report.html")
    print_table(results)
    for warning in results["warnings"]:
        say(f"warning: {warning}")
    say(summary_verdict(results["estimates"]))
    say(f"{directory / 'report.html'}")
    if json_to == "-":
        print(json.dumps(results, allow_nan=False))
    elif json_to is not None:
        write_json(Path(json_to), results)


def print_table(results: dict[str, Any]) -> None:
    """G per region on standard error."""
    from rich.console import Console
    from rich.table import Table

    truth = results.get("truth")
    table = Table(title="averaging amplification, by region")
    for name in ("region", "I", "sigma_model", "n_equiv", "G", "68 % interval", *(("actual sigma", "actual G") if truth else ()), "status"):
        table.add_column(name, justify="left" if name in ("region", "status") else "right", no_wrap=name == "region")
    for i, r in enumerate(results["estimates"]):
        low, high = r["amplification_interval"]
        known = (number(truth["actual_sigma"][i]), number(truth["actual_amplification"][i])) if truth else ()
        value = "-" if r["amplification"] is None else number(r["amplification"])
        n_equiv = "-" if r["n_equiv"] is None else number(r["n_equiv"])
        sigma = "-" if r["sigma_model"] is None else number(r["sigma_model"])
        table.add_row(r["region"], number(r["integral"]), sigma, n_equiv, value, f"{number(low)} to {number(high)}", *known, r["status"])
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 140)
    console.print(table)


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr)
