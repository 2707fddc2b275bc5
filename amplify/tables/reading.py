"""The events of a selection, read in chunks and checked.

Chunks have a fixed size, counted through all files: the same sums are added in the same order
however a sample is split over files.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

import numpy as np

from amplify.devices import usable_cores
from amplify.engine import current_engine
from amplify.errors import InputError
from amplify.tables.nonfinite import finite_rows, nonfinite
from amplify.tables.parallel import Stop, in_order
from amplify.tables.pieces import in_pieces
from amplify.tables.selection import Selection
from amplify.tables.spans import MOST_CHUNKS, Span, ranges, spans
from amplify.types import Events

T = TypeVar("T")

CHUNK = 1 << 18  # rows read at once
_NUMBERS = 1 << 23  # in a chunk of many columns
MANY = 30  # columns
_MOST_THREADS = 16
_MOST_NUMBERS = 1 << 26  # in the chunks of all threads


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
    for first, last in ranges([(start, stop)], size):
        chunk = _chunk(selection, first, last)
        if chunk is None:
            raise _not_finite(selection)
        yield chunk


def over_chunks(
    function: Callable[[int, np.ndarray, np.ndarray | None], T],
    selection: Selection,
    size: int | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    rows: Sequence[tuple[int, int]] | None = None,
    held: int = MOST_CHUNKS,
) -> Iterator[T]:
    """function(first row, events [rows, column], weights [rows] or None) of each chunk of `chunks`,
    in the order of the chunks.

    Chunks are read and worked on in several threads at once, each with its own place in the files;
    or as tasks of an engine whose workers open the files themselves. What is given has to be small:
    that of some chunks is held until it is its turn.

    Args:
        function: pure, of one chunk; with an engine it goes to other machines, with what it holds.
        selection: the sample.
        size: rows of a chunk.
        start: the first row.
        stop: the row behind the last.
        rows: [start, stop) of several ranges, in place of one.
        held: chunks that are read one after the other before anything is given, at most; fewer of
            what is large.

    Raises:
        InputError: values that are not finite, as of `chunks`.
    """
    table, engine = selection.table, current_engine()
    size = rows_at_once(len(selection.columns)) if size is None else size
    wanted = [(start, table.n if stop is None else stop)] if rows is None else rows
    is_remote = engine.remote and table.is_movable()
    readers = engine.workers if is_remote else _threads(size * len(selection.columns))
    runs = spans(ranges(wanted, size), table.starts, readers, min(held, MOST_CHUNKS))
    if is_remote:
        given: Iterator[list[T | _NotFinite]]
        given = engine.in_order(partial(_over_span, function, selection), ((run,) for run in runs))
    elif len(runs) > 1:
        halt = Stop()
        work = partial(_over_span, function, selection, halt=halt)
        given = in_order(work, ((run,) for run in runs), readers, halt)
    else:  # it cannot be read at two places: the next chunk is read while the last is worked on
        chunk = partial(_chunk, selection)
        read = ((run[0], chunk(*run)) for run in chain(*runs))
        given = ([each] for each in in_order(partial(_of_one, function), read, readers))
    for span in given:
        for result in span:
            if isinstance(result, _NotFinite):
                raise _not_finite(selection)
            yield result


def _threads(numbers: int) -> int:
    """That read at once, where a chunk has so many numbers."""
    return min(usable_cores(), _MOST_THREADS, max(_MOST_NUMBERS // max(numbers, 1), 2))


class _NotFinite:
    """What a chunk gives that has values that are not finite."""


def _over_span(
    function: Callable[..., T], selection: Selection, span: Span, halt: Stop | None = None
) -> list[T | _NotFinite]:
    """What each chunk of a span gives, up to the first that is not finite."""
    given: list[T | _NotFinite] = []
    for first, last in span:
        if halt is not None and halt.is_set():
            break
        given.append(_of_one(function, first, _chunk(selection, first, last)))
        if isinstance(given[-1], _NotFinite):
            break
    return given


def _of_one(
    function: Callable[..., T], first: int, chunk: tuple[np.ndarray, np.ndarray | None] | None
) -> T | _NotFinite:
    return _NotFinite() if chunk is None else function(first, *chunk)


def _chunk(
    selection: Selection, first: int, last: int
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """These rows, without those that are dropped; None where some are not finite."""
    block, weight = _read(selection, first, last)
    finite = np.isfinite(block).all() and (weight is None or np.isfinite(weight).all())
    if finite:
        return block, weight
    if not selection.drop:
        return None
    good = finite_rows(block, weight)
    return block[good], None if weight is None else weight[good]


def _not_finite(selection: Selection) -> InputError:
    return nonfinite(selection, rows_at_once(len(selection.columns)), _read)


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
    left = sum(over_chunks(_rows_of, selection))
    dropped = selection.table.n - left
    if dropped == selection.table.n:
        raise InputError(
            selection.table.source,
            "events with finite values",
            "none",
            "repair the columns or leave them out with --columns",
        )
    return selection._replace(dropped=dropped)


def _rows_of(_: int, block: np.ndarray, weight: np.ndarray | None) -> int:
    return len(block)


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
    rows = [
        (first + gap, last + gap)
        for first, last, gap in zip(edges[:-1], edges[1:], left_out, strict=True)
    ]
    # what is read from its beginning only is read in one go
    threads = 1 if selection.table.starts is not None and len(selection.table.starts) == 1 else None

    def piece(start: int, stop: int) -> Events:
        return load(selection, start=start, stop=stop, as_read=as_read)

    pieces = list(in_order(piece, rows, threads))
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
