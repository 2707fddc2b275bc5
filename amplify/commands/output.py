"""What every command leaves behind: OUT/results.json, report.html, table.csv and table.tex; verdict
and table on standard error; JSON on standard output if asked for.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from amplify.errors import InputError

if TYPE_CHECKING:
    from amplify.results.result import Result


def out_directory(command: str, out: Path | None, json_to: str | None = None) -> Path:
    """OUT, or amplify-runs/<command>-<time>; a directory with results in it is refused, so nothing
    is overwritten.

    Raises:
        InputError: results are there already, OUT is a file, or one of both places cannot be
            written: hours of work should not end there.
    """
    if json_to not in (None, "-"):
        json_file = Path(str(json_to))
        _check_writable(json_file, "--json")
        if json_file.is_dir():
            expected, fix = "a file, or - for standard output", f"give {json_file / 'results.json'}"
            raise InputError("--json", expected, "a directory", fix)
    directory = out or Path("amplify-runs") / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}"
    if directory.exists() and not directory.is_dir():
        raise InputError(str(directory), "a directory", "a file", "choose another --out")
    if (directory / "results.json").exists():
        fix = "choose another --out; nothing is overwritten"
        got = "results.json in it"
        raise InputError(str(directory), "a directory without results", got, fix)
    _check_writable(directory, "--out")
    return directory


def publish(result: "Result", directory: Path, json_to: str | None) -> None:
    """Writes results.json and says the verdict; then draws the page, which takes longest."""
    text = result.to_json(directory / "results.json")
    say(str(result))
    contents = json.loads(text)
    from amplify.report.export import write_exports
    from amplify.report.page import write_page

    write_exports(contents, directory)
    write_page(contents, directory / "report.html")
    say(f"{directory / 'report.html'}")
    if json_to == "-":
        print(json.dumps(contents, allow_nan=False))
    elif json_to is not None:
        result.to_json(json_to)


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def _check_writable(path: Path, what: str) -> None:
    """Whether the nearest directory that exists lets us write."""
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if nearest != path and not nearest.is_dir():
        got = f"{nearest}, which is a file"
        raise InputError(what, "a place in a directory", got, "choose another")
    if not os.access(nearest, os.W_OK):
        got = f"no permission for {nearest}"
        raise InputError(what, "a place that may be written", got, "choose another")
