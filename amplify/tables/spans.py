"""Which chunks of a sample are read one after the other: runs that begin where reading may begin,
enough of them for all who read.
"""

from collections.abc import Sequence

import numpy as np

Span = tuple[tuple[int, int], ...]  # chunks, each the rows [start, stop)

MOST_CHUNKS = 16  # of a span: what they give is held until their turn
_SPANS_EACH = 4  # for each reader, where there are so many, so that all end at the same time
_READ_TWICE = 0.25  # of the rows of a span, at most, are those before it that are decoded again


def ranges(rows: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Chunks of these rows.

    >>> ranges([(0, 5), (7, 8)], 2)
    [(0, 2), (2, 4), (4, 5), (7, 8)]
    """
    return [
        (first, min(first + size, stop))
        for start, stop in rows
        for first in range(start, stop, size)
    ]


def spans(
    chunks: Sequence[tuple[int, int]],
    starts: np.ndarray | None,
    readers: int,
    most: int = MOST_CHUNKS,
) -> list[Span]:
    """The chunks, in their order, as runs.

    A reader that begins in the middle of a group of rows decodes the group from its start. Runs end
    where that is little, and are longer where it is not; a file that is read from its beginning
    only is one run.

    Args:
        chunks: rows [start, stop) of each.
        starts: rows at which reading may begin; None is anywhere.
        readers: that read at the same time.
        most: chunks of a run, where reading may begin behind them.
    """
    if not chunks:
        return []
    sizes = np.array([stop - start for start, stop in chunks])
    done = np.concatenate([[0], np.cumsum(sizes)])  # rows before each chunk, and all
    wanted = min(int(done[-1]) // (_SPANS_EACH * readers), most * int(sizes[0]))
    again = _decoded_again([start for start, _ in chunks], starts)
    found: list[Span] = []
    first = 0
    while first < len(chunks):
        last = _end(first, wanted, done, again)
        found.append(tuple(chunks[first:last]))
        first = last
    return found


def _decoded_again(firsts: Sequence[int], starts: np.ndarray | None) -> np.ndarray:
    """Rows before each chunk that a reader decodes that begins there."""
    if starts is None:
        return np.zeros(len(firsts), int)
    place = np.searchsorted(starts, firsts, side="right") - 1
    return np.asarray(firsts) - np.asarray(starts)[place]


def _end(first: int, wanted: int, done: np.ndarray, again: np.ndarray) -> int:
    """The chunk behind the span that begins with `first`: of those that give about as many rows as
    are wanted the one with the best place to begin, else the next with a good one.
    """
    rows = done[first + 1 : -1] - done[first]  # of spans that end before each later chunk
    cost = again[first + 1 :]
    is_good = cost <= _READ_TWICE * rows
    near = np.flatnonzero(is_good & (rows > wanted / 2) & (rows <= wanted))
    if len(near):
        return first + 1 + int(near[-1 - np.argmin(cost[near][::-1])])
    later = np.flatnonzero(is_good & (rows >= wanted))
    return first + 1 + int(later[0]) if len(later) else len(again)
