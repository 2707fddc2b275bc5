"""--dry-run: what would be read, and how long it may take. Nothing is written."""

import json
import time
from collections.abc import Callable, Sequence
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
    reading = [
        {
            "path": s.table.source,
            "files": len(s.table.parts),
            "events": s.table.n,
            "columns": s.names,
            "weighted": s.weight is not None,
            "bytes": sum(p.path.stat().st_size for p in s.table.parts),
            "seconds": _seconds(s, work),
        }
        for s in samples
    ]
    seconds = sum(r["seconds"] for r in reading)
    for r in reading:
        parts = f" in {r['files']} files" if r["files"] > 1 else ""
        weights = ", weighted" if r["weighted"] else ""
        say(
            f"{r['path']}: {r['events']:,} events{parts}, {r['bytes'] / 1e6:,.1f} MB, columns {', '.join(r['columns'])}{weights}"
        )
    say(
        f"{regions} region{'s' if regions > 1 else ''}; reading and counting would take about {number(max(seconds, 1))} s. Nothing was written."
    )
    for line in more:
        say(line)
    tell(
        {
            "dry_run": True,
            "inputs": reading,
            "regions": regions,
            "seconds": seconds,
            "notes": list(more),
        },
        json_to,
    )


def tell(found: dict[str, Any], json_to: str | None) -> None:
    """The plan for programs, where it was asked for."""
    if json_to == "-":
        print(json.dumps(found))
    elif json_to is not None:
        write_json(Path(json_to), found)


def _seconds(sample: files.Selection, work: Callable[..., Any]) -> float:
    """From two chunks in the middle: the first call of anything is slow, the second one counts."""
    size = min(files.CHUNK, sample.table.n)
    place = max((sample.table.n - 2 * size) // 2, 0)
    blocks = files.chunks(sample, size, start=place, stop=min(place + 2 * size, sample.table.n))
    first = next(blocks)
    work(*first)
    begin = time.perf_counter()
    work(*next(blocks, first))
    return (time.perf_counter() - begin) * sample.table.n / size
