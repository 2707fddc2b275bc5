"""The events of a selection, read in chunks and checked.

Chunks have a fixed size, counted through all files: the same sums are added in the same order
however a sample is split over files.
"""

from collections.abc import Iterator

import numpy as np

from amplify.errors import InputError
from amplify.tables.pieces import in_pieces
from amplify.tables.selection import Selection
from amplify.tables.table import locate
from amplify.types import Events

CHUNK = 1 << 18  # rows read at once
_NUMBERS = 1 << 23  # in a chunk of many columns
MANY = 30  # columns


def chunks(
    selection: Selection, size: int | None = None, *, start: int = 0, stop: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Blocks of events [rows, column] and their weights [rows] or None, of the rows from start to
    stop; columns are contiguous.

    Values are float32 where all columns are, else float64; weights are float64.

    Raises:
        InputError: values that are not finite: how many, the first with its file, row and column.
    """
    stop = selection.table.n if stop is None else stop
    size = rows_at_once(len(selection.columns)) if size is None else size
    for first in range(start, stop, size):
        block, weight = _read(selection, first, min(first + size, stop))
        finite = np.isfinite(block).all() and (weight is None or np.isfinite(weight).all())
        if not finite and not selection.drop:
            raise _nonfinite(selection)
        if not finite:
            good = _finite_rows(block, weight)
            block, weight = block[good], None if weight is None else weight[good]
        yield block, weight


def rows_at_once(columns: int) -> int:
    """Rows of a chunk: `CHUNK` up to 32 columns, fewer of more."""
    return min(CHUNK, max(_NUMBERS // max(columns, 1), 1))


def kept_as_read(selection: Selection) -> bool:
    """Whether events are kept in memory in the precision in which they are read: of many columns
    in single precision, where nothing is gained by twice the memory.
    """
    columns = selection.columns
    many = len(columns) > MANY and all(column.plain for column in columns)
    return many and selection.table.all_single([column.needs[0] for column in columns])


def counted(selection: Selection) -> Selection:
    """Counts the rows that are dropped, by reading the sample once; a selection that drops nothing
    is what it was.

    Raises:
        InputError: no row is left.
    """
    if not selection.drop:
        return selection
    dropped = selection.table.n - sum(len(block) for block, _ in chunks(selection))
    if dropped == selection.table.n:
        raise InputError(
            selection.table.source,
            "events with finite values",
            "none",
            "repair the columns or leave them out with --columns",
        )
    return selection._replace(dropped=dropped)


def load(
    selection: Selection, *, start: int = 0, stop: int | None = None, as_read: bool = False
) -> Events:
    """The events of the rows from start to stop, or all, in memory; float64, or `as_read`: float32
    where all columns are.
    """
    blocks = list(chunks(selection, start=start, stop=stop))
    if not blocks:
        return Events(np.zeros((0, len(selection.columns))))
    weights = [weight for _, weight in blocks if weight is not None]
    # many columns are read event by event, few column by column
    x = np.concatenate([np.ascontiguousarray(x) if as_read else x for x, _ in blocks])
    return Events(
        x if as_read else x.astype(np.float64), np.concatenate(weights) if weights else None
    )


def spread(selection: Selection, limit: int, blocks: int = 64, *, as_read: bool = False) -> Events:
    """At most `limit` events, and so many where there are, in blocks that are evenly spread over
    the sample, in memory: enough for the edges of bins, and soon read.
    """
    n = selection.table.n
    if n <= limit:
        return load(selection, as_read=as_read)
    blocks = max(min(blocks, limit), 1)
    # what is read and what is left out, each in equal parts: blocks do not overlap
    edges = [k * limit // blocks for k in range(blocks + 1)]
    left_out = [k * (n - limit) // blocks for k in range(blocks)]
    pieces = [
        load(selection, start=first + gap, stop=last + gap, as_read=as_read)
        for first, last, gap in zip(edges[:-1], edges[1:], left_out, strict=True)
    ]
    weights = [piece.weight for piece in pieces if piece.weight is not None]
    return Events(
        np.concatenate([piece.x for piece in pieces]),
        np.concatenate(weights) if weights else None,
    )


def _read(selection: Selection, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Values [row, column] and weights [row] of the rows from start to stop, unchecked."""
    table, columns, weight = selection.table, selection.columns, selection.weight
    wanted = columns if weight is None else (*columns, weight)
    needs = list(dict.fromkeys(name for expression in wanted for name in expression.needs))
    plain = all(column.plain for column in columns)
    single = plain and table.all_single([column.needs[0] for column in columns])
    block = np.empty((len(columns), stop - start), np.float32 if single else np.float64)
    weights = None if weight is None else np.empty(stop - start, np.float64)
    first = 0
    for n, values in in_pieces(table, start, stop, needs):
        here = slice(first, first + n)
        for row, column in zip(block, columns, strict=True):
            row[here] = column.value(values)
            if column.label in selection.rounded:
                row[here] = row[here].astype(np.float32)
        if weight is not None and weights is not None:
            weights[here] = weight.value(values)
        first += n
    return block.T, weights


def _finite_rows(block: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    good = np.asarray(np.isfinite(block).all(axis=1))
    return good if weight is None else np.logical_and(good, np.isfinite(weight))


def _nonfinite(selection: Selection) -> InputError:
    """Counts what is not finite in the whole sample, and finds the first."""
    table, events, place, fix = selection.table, 0, "", "repair the column"
    size = rows_at_once(len(selection.columns))
    for start in range(0, table.n, size):
        block, weight = _read(selection, start, min(start + size, table.n))
        good = _finite_rows(block, weight)
        events += int((~good).sum())
        if not place and not good.all():
            row = int(np.argmin(good))
            values = [*block[row], *([] if weight is None else [weight[row]])]
            column = int(np.argmin(np.isfinite(values)))
            place = _place(selection, start + row, column, float(values[column]))
            fix = _instead(selection, column) or fix
    more = f", and {events - 1} more such events" if events > 1 else ""
    return InputError(
        table.source,
        "finite numbers",
        place + more,
        f"{fix}, or leave such events out with --drop-nonfinite",
    )


def _place(selection: Selection, row: int, column: int, value: float) -> str:
    """Where a value is that is not finite."""
    table, weight = selection.table, selection.weight
    labels = [*selection.names, *([] if weight is None else [weight.label])]
    source, row_in_file = locate(table, row)
    of_file = f" of {source}" if len(table.parts) > 1 else ""
    return f"{value} in row {row_in_file}, column {labels[column]}{of_file}"


def _instead(selection: Selection, column: int) -> str:
    """What to write where an event may have nothing that a column could be made of."""
    every = (*selection.columns, *([] if selection.weight is None else [selection.weight]))
    arrays = selection.table.arrays
    for name in every[column].needs:
        if name in arrays and None in arrays[name].shape:
            return f"where an event has no {name} write at({name}, 0, -1), or where(...)"
    return ""
