"""--dry-run: what would be read, and how long it may take. Nothing is written."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from amplify.commands.output import say
from amplify.results.records import write_json
from amplify.tables import files
from amplify.text import number


def announce(
    samples: Sequence[files.Selection],
    work: Callable[..., Any],
    regions: int,
    json_to: str | None,
    *,
    more: Sequence[str] = (),
) -> None:
    """Tells it on standard error, and as JSON if asked for.

    Args:
        samples: what would be read.
        work: what is done with each chunk (events, weights), timed on the first one.
        regions: how many are estimated.
        json_to: - prints JSON on standard output.
        more: lines about work that reading does not measure.
    """
    reading = [_read(sample, work) for sample in samples]
    for read in reading:
        say(_line(read))
    seconds = sum(read["seconds"] for read in reading)
    looked_at = f"{regions} region{'s' if regions > 1 else ''}"
    duration = number(max(seconds, 1))
    say(f"{looked_at}; reading and counting would take about {duration} s. Nothing was written.")
    for line in more:
        say(line)
    plan = {"dry_run": True, "inputs": reading, "regions": regions, "seconds": seconds}
    tell(plan | {"notes": list(more)}, json_to)


def tell(plan: dict[str, Any], json_to: str | None) -> None:
    """The plan for programs, where it was asked for."""
    if json_to == "-":
        print(json.dumps(plan))
    elif json_to is not None:
        write_json(Path(json_to), plan)


def _read(sample: files.Selection, work: Callable[..., Any]) -> dict[str, Any]:
    """What would be read of a sample, and the seconds that it would take."""
    table = sample.table
    return {
        "path": table.source,
        "files": len(table.parts),
        "events": table.n,
        "columns": sample.names,
        "weighted": sample.weight is not None,
        "bytes": sum(part.path.stat().st_size for part in table.parts),
        "seconds": _seconds(sample, work),
    }


def _line(read: Mapping[str, Any]) -> str:
    """The same for people."""
    parts = f" in {read['files']} files" if read["files"] > 1 else ""
    size = f"{read['bytes'] / 1e6:,.1f} MB"
    columns = ", ".join(read["columns"])
    weights = ", weighted" if read["weighted"] else ""
    return f"{read['path']}: {read['events']:,} events{parts}, {size}, columns {columns}{weights}"


def _seconds(sample: files.Selection, work: Callable[..., Any]) -> float:
    """From two chunks in the middle: the first call of anything is slow, the second one counts."""
    n = sample.table.n
    size = min(files.CHUNK, n)
    start = max((n - 2 * size) // 2, 0)
    chunks = files.chunks(sample, size, start=start, stop=min(start + 2 * size, n))
    first = next(chunks)
    work(*first)
    begin = time.perf_counter()
    work(*next(chunks, first))
    return (time.perf_counter() - begin) * n / size
