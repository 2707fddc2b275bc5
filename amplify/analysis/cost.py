"""What a question will cost in time and memory, told before work starts, and refused where memory
cannot hold it.

The constants were measured on two cores of 2026 and are good to a factor of two
(`experiments.many_columns`); a machine that is busy with other work takes longer.
"""

import os
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import NamedTuple

from amplify import regions as rg
from amplify.analysis.inside import MASKS
from amplify.errors import InputError
from amplify.tables import files
from amplify.text import number

LIMIT = "AMPLIFY_MEMORY_GB"  # environment variable: memory that may be used
_GB = 1e9
_CHUNKS, _MASKS = 6, 4  # of a sample in memory at a time; tables of booleans
_MARK = 40  # bytes for each holdout event while samples are compared for copies
_NOTHING = 0.15 * _GB  # of Python itself
_LEARNER = 0.45 * _GB  # and with a learner for some hundred thousand events

# seconds
_START = 4.5
_PER_NUMBER = 6e-8  # of a sample: read, compared, digested, tallied
_PER_TAUGHT = 1.2e-7  # number of many columns that teach
_PER_LEARNER = 0.4  # for few columns, or the few that many are condensed to
_PER_LEARNER_AGAIN = 0.06  # for few columns, with the same generated events
_PER_EVENT = 2e-6  # generated event whose summary is learned
_PER_REGION = 0.012  # a line of the page and its figure
_PER_TALLY = 4e-5  # a chunk of events in a region
_PER_MASK = 2e-9  # an event in a region
_PER_COUNT = 3e-8  # an event in the regions of a column

# bytes
_PER_SUM = 48  # a region of a sample
_PER_VALUE = 16  # of a sketch, with its weight
_PER_RECORD = 3e4  # a region in results.json and on the page


class Forecast(NamedTuple):
    """Seconds of work on an idle machine, and bytes at the peak."""

    seconds: float
    bytes: float

    @property
    def words(self) -> str:
        """For people."""
        return f"about {number(max(self.seconds, 1))} s and {_gigabytes(self.bytes)} of memory"


class Size(NamedTuple):
    """How large a question of two samples is.

    Attributes:
        columns: of both samples.
        generated: events.
        holdout: events.
        kept: holdout events in memory.
        taught: generated events that teach; zero where nothing is learned.
        regions: all of them.
        per_event: regions that an event is in, on average.
        learners: learned ratios.
        learned_again: beside the answer, for known distortions and null experiments.
        values: whether the values of each region are kept, as calibrated KS needs them.
        single: events are kept in single precision.
        compared: holdout events that are looked for in other samples; all of them without.
        sketched: values that stand for more of them, in all regions together.
    """

    columns: int
    generated: int
    holdout: int
    kept: int
    taught: int
    regions: int
    per_event: float
    learners: int
    learned_again: int
    values: bool
    single: bool
    compared: int | None = None
    sketched: int = 0


def differential_cost(size: Size) -> Forecast:
    """Of `differential`."""
    per_event = size.columns * (4 if size.single else 8)
    many = size.columns > files.MANY
    rows = min(files.rows_at_once(size.columns), max(MASKS // size.regions, 1))
    in_memory = 2 * size.kept + (3 if many else 2) * size.taught
    pairs = size.kept * size.per_event
    memory = (
        (_LEARNER if size.learners else _NOTHING)
        + in_memory * per_event
        + rows * (_CHUNKS * per_event + _MASKS * size.regions)
        + _MARK * _compared(size)
        + _PER_VALUE * size.sketched
        + 16 * pairs
        + (120 * pairs if size.values else 0)
    )
    numbers = (size.generated + size.holdout) * size.columns
    taught = (size.taught + size.kept / 3) * size.columns if many else 0
    again = _PER_LEARNER + _PER_TAUGHT * taught / 3 if many else _PER_LEARNER_AGAIN
    chunks = max(size.generated / rows, 1)
    seconds = (
        _START
        + _PER_NUMBER * numbers
        + _PER_TAUGHT * taught
        + _PER_LEARNER * size.learners
        + again * size.learned_again
        + (_PER_EVENT * size.generated if size.learners else 0)
        + size.regions * (_PER_REGION + _PER_TALLY * chunks)
        + _PER_MASK * size.regions * (size.generated + size.kept + size.taught)
    )
    return Forecast(seconds, memory)


def averaging_cost(
    samples: Sequence[files.Selection], regions: rg.Regions, estimated: Sized
) -> Forecast:
    """Of `averaging`.

    Args:
        samples: members, and a holdout.
        regions: that are counted.
        estimated: those that are reported.
    """
    columns, counted = len(samples[0].columns), len(regions.labels)
    events = sum(sample.table.n for sample in samples)
    chunk = files.rows_at_once(columns) * columns * 8
    memory = (
        _NOTHING
        + 2 * _CHUNKS * chunk
        + len(samples) * counted * _PER_SUM
        + len(estimated) * _PER_RECORD
    )
    seconds = _START + (_PER_NUMBER + _PER_COUNT) * events * columns + _PER_REGION * len(estimated)
    return Forecast(seconds, memory)


def available_bytes() -> float:
    """Memory that may be used: what is free, less where the control group of a batch system has
    less, or what the environment variable says.

    Raises:
        InputError: the variable is no number.
    """
    told = os.environ.get(LIMIT)
    if told is not None:
        try:
            return float(told) * _GB
        except ValueError:
            raise InputError(LIMIT, "a number of gigabytes", told, "set it to 16, say") from None
    free = float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        found = [line.split() for line in meminfo.read_text().splitlines()]
        free = next((1024.0 * int(n) for name, n, *_ in found if name == "MemAvailable:"), free)
    return min([free, *_left_in_group()])


def refuse_too_large(size: Size) -> None:
    """Refuses what memory cannot hold, before hours of work end without a word.

    Raises:
        InputError: how much would be needed, and what to do.
    """
    needed = differential_cost(size).bytes
    fix = "name fewer regions, or fewer --columns"
    if _MARK * _compared(size) > needed / 2:
        fix = f"give a part of the holdout, {size.kept:,} events, say, or use --approximate 1e-4"
    what = f"{size.holdout:,} holdout events, {size.columns} columns and {size.regions:,} regions"
    _refuse(needed, what, fix)


def _compared(size: Size) -> int:
    return size.holdout if size.compared is None else size.compared


def refuse_too_many(
    samples: Sequence[files.Selection], regions: rg.Regions, estimated: Sized
) -> None:
    """The same for `averaging`.

    Raises:
        InputError: how much would be needed, and what to do.
    """
    needed = averaging_cost(samples, regions, estimated).bytes
    what = f"{len(samples)} samples and {len(regions.labels):,} regions that are counted"
    _refuse(needed, what, "name fewer --columns or regions")


def _refuse(needed: float, what: str, fix: str) -> None:
    available = available_bytes()
    if needed > available:
        got = f"{_gigabytes(needed)} for {what}"
        more = f"{fix} (or set {LIMIT}, if this is too careful)"
        raise InputError("memory", f"at most {_gigabytes(available)}, what is free", got, more)


def _left_in_group() -> list[float]:
    """Bytes that control groups, of version 2 or 1, leave this process."""
    pairs = (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    )
    left = []
    for limit, used in pairs:
        try:
            left.append(float(Path(limit).read_text()) - float(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return left


def _gigabytes(size: float) -> str:
    return f"{number(max(size / _GB, 0.1))} GB"
