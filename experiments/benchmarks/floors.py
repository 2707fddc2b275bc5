"""The record of the floors: how far each hot path is from its physical limit, by release.

Benchmarks measure an item and its floor in one run and write rows {"floor...": ..., "ratio": ...}
into a JSON file. `python -m experiments.benchmarks.floors FILES` joins the rows of such files into
one record with release, machine and date, and appends it to paper_figures/results/floors.json;
`--run` makes the files first. A ratio that is worse than in the last record of the same machine by
more than a factor is named, and the exit code is 1: a check for whoever releases, no timed test.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from amplify.errors import InputError
from amplify.results.records import write_json
from amplify.version import release as installed
from experiments import study

RESULTS = Path(__file__).parents[2] / "paper_figures" / "results"
BENCHMARKS = ("network_floors", "statistic_floors")  # that write such files with --out
_WORSE = 1.5  # ratios of two runs on one machine differ by .8 to 1.3


def main(
    files: Annotated[tuple[Path, ...], tyro.conf.Positional] = (),
    out: Path = RESULTS / "floors.json",
    release: str | None = None,
    worse: float = _WORSE,
    run: bool = False,
) -> None:
    """Appends a record, prints it beside the last one, and exits with 1 where a ratio is worse.

    Args:
        files: JSON of benchmarks; accelerator.json too.
        out: the history.
        release: of the package; the installed one by default.
        worse: factor over the last record of the same machine.
        run: run the benchmarks first, two minutes of one core.
    """
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        made = _made(Path(scratch)) if run else ()
        for path in (*files, *made):
            rows |= {f"{path.stem}: {name}": row for name, row in rows_of(_json(path))}
    if not rows:
        fix = "give files that benchmarks wrote, or --run"
        raise InputError("floors", "rows with a floor and a ratio", "none", fix)
    history = _json(out)["records"] if out.exists() else []
    record = {
        "release": release or installed(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "jax": jax.__version__,
        "rows": rows,
    }
    before = last(history, record)
    found = regressions(before, rows, worse)
    for name, row in rows.items():
        then = f", was {before[name]['ratio']:.2f}" if name in before else ""
        print(f"{name:70s} {row['ratio']:6.2f} of its floor{then}")
    write_json(out, {"command": _command(files), "records": [*history, record]})
    for line in found:
        print(f"worse: {line}")
    if found:
        sys.exit(1)


def rows_of(found: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a benchmark's JSON that has a floor and a ratio, with its place as a name; of
    the accelerator's file what follows from the compiler's counts.

    >>> list(rows_of({"sort": {"us": 3.0, "floor_us": 2.0, "ratio": 1.5}}))
    [('sort', {'us': 3.0, 'floor_us': 2.0, 'ratio': 1.5})]
    """
    if not isinstance(found, dict):
        return
    if "parts" in found and "card" in found:
        yield from _of_accelerator(found)
        return
    if isinstance(found.get("ratio"), int | float) and any("floor" in key for key in found):
        numbers = (int, float, str)
        yield place, {key: value for key, value in found.items() if isinstance(value, numbers)}
        return
    for key, inner in found.items():
        yield from rows_of(inner, f"{place}, {key}" if place else str(key))


def _of_accelerator(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compiled functions: the time of their bytes at the rate of a copy, or of their operations at
    that of a product in single precision, whichever is longer.
    """
    fast = {name: item.get("figures", {}) for name, item in found["parts"]["fast"].items()}
    ceilings = fast["ceilings"]
    copy, product = ceilings["copy, bytes/s"], ceilings["product in float32, flop/s"]

    def measured(figures: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if not isinstance(figures, dict):
            return
        if {"flops", "bytes", "seconds"} <= figures.keys():
            floor = max(figures["bytes"] / copy, figures["flops"] / product)
            row = {"seconds": figures["seconds"], "floor_seconds": floor}
            yield f"{found['card']}, {place}", row | {"ratio": figures["seconds"] / floor}
            return
        for key, inner in figures.items():
            yield from measured(inner, f"{place}, {key}")

    for name, figures in fast.items():
        if name == "matching_events":
            continue  # of a loop the compiler counts one turn
        yield from measured(figures, name)


def last(history: list[dict[str, Any]], record: dict[str, Any]) -> dict[str, Any]:
    """Rows by name, each of the newest record of the same machine that has it."""
    found: dict[str, Any] = {}
    for old in history:
        if old["machine"] == record["machine"]:
            found |= old["rows"]
    return found


def regressions(before: dict[str, Any], rows: dict[str, Any], worse: float) -> list[str]:
    """What became worse by more than a factor.

    >>> regressions({"sort": {"ratio": 1.0}}, {"sort": {"ratio": 1.6}}, 1.5)
    ['sort: 1.60 of its floor, was 1.00']
    """
    return [
        f"{name}: {row['ratio']:.2f} of its floor, was {before[name]['ratio']:.2f}"
        for name, row in rows.items()
        if name in before and row["ratio"] > worse * before[name]["ratio"]
    ]


def machine() -> str:
    """Processor and cores, without the name of the computer."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else 'unknown processor'}, {os.cpu_count()} cores"


def _made(scratch: Path) -> list[Path]:
    paths = [scratch / f"{name}.json" for name in BENCHMARKS]
    for name, path in zip(BENCHMARKS, paths, strict=True):
        command = [sys.executable, "-m", f"experiments.benchmarks.{name}", "--out", str(path)]
        subprocess.run(command, check=True)  # noqa: S603  a fixed command
    return paths


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        expected, fix = "a JSON file of a benchmark", "check the file"
        raise InputError(str(path), expected, str(error)[:80], fix) from None


def _command(files: tuple[Path, ...]) -> str:
    return " ".join(["python -m experiments.benchmarks.floors", *(path.name for path in files)])


if __name__ == "__main__":
    study.run(main)
