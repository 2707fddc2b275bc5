"""--dry-run: what would be read, how long it may take and how much memory. Nothing is written."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from amplify.commands.output import give_json, say
from amplify.results.records import finite
from amplify.tables import files
from amplify.text import listed, number

if TYPE_CHECKING:
    from amplify.analysis.cost import Forecast


def announce(
    samples: Sequence[files.Selection],
    forecast: "Forecast",
    regions: int,
    json_to: str | None,
    *,
    more: Sequence[str] = (),
) -> None:
    """Tells it on standard error, and as JSON if asked for.

    Args:
        samples: what would be read.
        forecast: of the whole command.
        regions: how many are estimated.
        json_to: - prints JSON on standard output.
        more: further lines.
    """
    from amplify.analysis.cost import available_bytes

    reading = [_read(sample) for sample in samples]
    for read in reading:
        say(_line(read))
    looked_at = f"{number(regions)} region{'s' if regions > 1 else ''}"
    say(f"{looked_at}; all of it would take {forecast.words}. Nothing was written.")
    if forecast.bytes > available_bytes():
        more = [*more, "There is not that much memory: the command would refuse."]
    for line in more:
        say(line)
    plan = {"dry_run": True, "inputs": reading, "regions": regions, **forecast._asdict()}
    tell(plan | {"notes": list(more)}, json_to)


def tell(plan: dict[str, Any], json_to: str | None) -> None:
    """The plan for programs, where it was asked for."""
    give_json(finite(plan), json_to)


def _read(sample: files.Selection) -> dict[str, Any]:
    """What would be read of a sample."""
    table = sample.table
    return {
        "path": table.source,
        "files": len(table.parts),
        "events": table.n,
        "columns": sample.names,
        "weighted": sample.weight is not None,
        "bytes": sum(part.path.stat().st_size for part in table.parts),
    }


def _line(read: Mapping[str, Any]) -> str:
    """The same for people."""
    parts = f" in {read['files']} files" if read["files"] > 1 else ""
    size = f"{read['bytes'] / 1e6:,.1f} MB"
    weights = ", weighted" if read["weighted"] else ""
    columns = listed(read["columns"], 12)
    return f"{read['path']}: {read['events']:,} events{parts}, {size}, columns {columns}{weights}"
