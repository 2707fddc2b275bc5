"""Do two samples hold the same events? A holdout that the generator was trained on proves
nothing.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import betainc

from amplify.tables.parallel import in_order
from amplify.tables.reading import chunks
from amplify.tables.selection import Selection

_KEPT = 2_000_000  # events of a large sample whose repeats are counted
_FALSE_ALARM = 1e-6
_BITS = 22
_BLOCK = 1 << 15  # events marked at once
_LAST = np.uint64((1 << _BITS) - 1)
# mixing constants of splitmix64
_ODD = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))
_SHIFTS = tuple(map(np.uint64, (30, 27)))


def overlap(few: Selection, many: Selection) -> int:
    """Events of `few` that are in `many` too, where these are more than chance explains, else 0.

    Events are compared in single precision. True events repeat by chance where columns have few
    distinct values: how often, the pairs of equal events within each sample tell. Where they repeat
    so often that any overlap may be chance, none is found.

    Args:
        few: kept in memory as one number per event.
        many: read in chunks.
    """
    marks = np.concatenate(list(_marks(few)))
    if not len(marks):
        return 0  # rows with a value that is not finite are no events here
    known, counts = np.unique(marks, return_counts=True)
    in_both = np.zeros(len(known), bool)
    likely = np.zeros(1 << _BITS, bool)  # by the last bits: most events need no search
    likely[known & _LAST] = True
    pairs, n = 0, 0
    kept: list[np.ndarray] = []
    for chunk in _marks(many):
        candidates = chunk[likely[chunk & _LAST]]
        place = np.minimum(np.searchsorted(known, candidates), len(known) - 1)
        equal = place[known[place] == candidates]
        in_both[equal] = True
        pairs += int(counts[equal].sum())
        if n < _KEPT:
            kept.append(chunk)
        n += len(chunk)
    sample = np.concatenate(kept)
    if n == len(marks) and np.array_equal(np.sort(sample), np.sort(marks)):
        return n
    repeats_few, pairs_few = _repeats(marks)
    repeats_many, pairs_many = _repeats(sample)
    repeats = repeats_few + repeats_many
    ratio = len(marks) * n / (pairs_few + pairs_many)  # pairs across, for each pair within
    # so many pairs across or more, of all, if each falls across with this probability: a binomial
    chance = betainc(pairs, repeats + 1, ratio / (1 + ratio)) if pairs else 1.0
    if chance < _FALSE_ALARM and pairs > 1.5 * ratio * repeats:
        return int(counts[in_both].sum())
    return 0


def repeated(few: Selection) -> float:
    """Fraction of the events that have a copy in their own sample."""
    _, counts = np.unique(np.concatenate(list(_marks(few))), return_counts=True)
    return float(counts[counts > 1].sum() / max(counts.sum(), 1))


def _repeats(marks: np.ndarray) -> tuple[float, float]:
    """Pairs of equal events within a sample, and all pairs."""
    _, counts = np.unique(marks, return_counts=True)
    equal_pairs = float((counts * (counts - 1) / 2).sum())
    return equal_pairs, max(len(marks) * (len(marks) - 1) / 2, 1.0)


def _marks(selection: Selection) -> Iterator[np.ndarray]:
    """One 64-bit number per event [rows], the same for the same columns in single precision, chunk
    by chunk.
    """
    return in_order(_marked, chunks(selection))


def _marked(block: np.ndarray, _: np.ndarray | None) -> np.ndarray:
    """Events [rows, column] to one 64-bit number each [rows].

    The finisher of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) after each column. Products wrap
    around; a few thousand events at a time stay in the cache.
    """
    columns = np.asarray(block.T, np.float32)
    marks = np.zeros(len(block), np.uint64)
    values, shifted = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.uint64)
    for start in range(0, len(block), _BLOCK):
        mark = marks[start : start + _BLOCK]  # a view: all that follows is in place
        value, spare = values[: len(mark)], shifted[: len(mark)]
        for column in columns[:, start : start + _BLOCK]:
            np.add(column, np.float32(0), out=value)  # -0 becomes 0
            mark ^= value.view(np.uint32)
            mark *= _ODD[0]
            np.right_shift(mark, _SHIFTS[0], out=spare)
            mark ^= spare
            mark *= _ODD[1]
            np.right_shift(mark, _SHIFTS[1], out=spare)
            mark ^= spare
            mark *= _ODD[2]
    return marks
