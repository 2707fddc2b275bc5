"""The events of files for which a condition holds: `FILES where CONDITION`.

Columns of the condition are read once, and nothing of rows that cannot pass by what the file says
of them. Where a value is no number a comparison is false, and the row is no event.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.expressions import Expression, parse
from amplify.tables.in_events import Jagged
from amplify.tables.joined import together
from amplify.tables.limits import Limits, limits
from amplify.tables.reading import CHUNK, over_chunks
from amplify.tables.selection import Selection, names_in_table, refuse_no_numbers
from amplify.tables.spans import ranges
from amplify.tables.table import Table

_MOST_MOVED = 1 << 24  # bytes that go with each task


class _Block(NamedTuple):
    """Events among the rows from `begin` on: how many, and their bits; None where all are."""

    begin: int
    count: int
    bits: np.ndarray | None


def where(table: Table, text: str, source: str) -> Table:
    """The rows for which a condition holds, as a table.

    Args:
        table: of files.
        text: the condition.
        source: what the user called the rows.

    Raises:
        InputError: no condition, or one that no row passes.
    """
    what, names = f"events where {text}", names_in_table(table)
    refuse_no_numbers(table, text, what)
    condition = parse(text, names, what)
    if not condition.condition:
        got, fix = f"'{text}'", "compare a column with a number"
        raise InputError(what, "a condition like pt > 400", got, fix)
    blocks = _blocks(table, condition, limits(text, names))
    rows = _Rows(table, blocks)
    if not blocks:
        got, fix = f"none of {table.n:,} rows", "correct the condition"
        raise InputError(source, "events that pass", got, fix)
    bits = sum(0 if block.bits is None else len(block.bits) for block in blocks)
    return table._replace(
        source=source,
        n=int(rows.ends[-1]),
        read=rows.read,
        starts=None if table.starts is None else rows.before(table.starts),
        batch=None,
        bounds=None,
        row_of=rows.row_of,
        is_here=table.is_here or bits > _MOST_MOVED,
    )


def _blocks(table: Table, condition: Expression, needed: Limits) -> list[_Block]:
    """Blocks of rows with events in them."""
    starts = [0] if table.starts is None else [int(start) for start in table.starts]
    groups = [
        pair for pair in zip(starts, [*starts[1:], table.n], strict=True) if pair[0] < pair[1]
    ]
    read = [rows for rows in ranges(groups, CHUNK) if _may_pass(table, rows, needed)]
    selection = Selection(table, (condition,), None)
    counted = over_chunks(_passing, selection, CHUNK, rows=read)
    return [_Block(*block) for block in counted if block[1]]


def _may_pass(table: Table, rows: tuple[int, int], needed: Limits) -> bool:
    for name, (low, high) in needed.items():
        bounds = None if table.bounds is None else table.bounds(*rows, name)
        if bounds is not None and (bounds[1] < low or bounds[0] > high):
            return False
    return True


def _passing(first: int, x: np.ndarray, _: Any) -> tuple[int, int, np.ndarray | None]:
    held = x[:, 0] != 0
    count = int(held.sum())
    return first, count, None if count == len(held) else np.packbits(held)


class _Rows:
    """Where in the files the events are."""

    def __init__(self, table: Table, blocks: Sequence[_Block]) -> None:
        self.table, self.blocks = table, blocks
        self.ends = np.cumsum([block.count for block in blocks])
        self.begins = np.array([block.begin for block in blocks], int)

    def read(self, start: int, stop: int, names: Sequence[str]) -> list[Any]:
        """Columns of the events from start to stop."""
        if stop <= start:
            return self.table.read(0, 0, names)
        pieces = []
        k = int(np.searchsorted(self.ends, start, side="right"))
        while k < len(self.blocks) and int(self.ends[k]) - self.blocks[k].count < stop:
            before = int(self.ends[k]) - self.blocks[k].count
            places = self._places(k)[max(start - before, 0) : stop - before]
            first, last = int(places[0]), int(places[-1]) + 1
            values = self.table.read(first, last, names)
            if len(places) < last - first:
                keep = np.zeros(last - first, bool)
                keep[places - first] = True
                values = [_kept(value, keep) for value in values]
            pieces.append(values)
            k += 1
        return [together(each) for each in zip(*pieces, strict=True)]

    def row_of(self, event: int) -> int:
        """The row in the files of an event."""
        k = int(np.searchsorted(self.ends, event, side="right"))
        return int(self._places(k)[event - (int(self.ends[k]) - self.blocks[k].count)])

    def before(self, starts: np.ndarray) -> np.ndarray:
        """How many events are before these rows, at which blocks begin."""
        return np.concatenate([[0], self.ends])[np.searchsorted(self.begins, starts)]

    def _places(self, k: int) -> np.ndarray:
        """Rows of the events of a block."""
        begin, count, bits = self.blocks[k]
        if bits is None:
            return np.arange(begin, begin + count)
        return begin + np.flatnonzero(np.unpackbits(bits))


def _kept(values: Any, keep: np.ndarray) -> Any:
    if not isinstance(values, Jagged):
        return values[keep]
    return Jagged(values.values[np.repeat(keep, values.count)], values.count[keep])
