"""Do two samples hold the same events? A holdout that the generator was trained on proves
nothing, nor do members that share their events.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from scipy.special import betainc

from amplify.tables.parallel import in_order
from amplify.tables.reading import chunks, spread
from amplify.tables.selection import Selection

_KEPT = 2_000_000  # events of a large sample whose repeats are counted
_FALSE_ALARM = 1e-6
_BITS = 22
_BLOCK = 1 << 15  # events marked at once
_LAST = np.uint64((1 << _BITS) - 1)
# mixing constants of splitmix64
_ODD = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))
_SHIFTS = tuple(map(np.uint64, (30, 27)))

_HEAD = 4096  # events that tell the precision of a column
_JUDGED = 20_000  # events that tell whether values recur by nature
_NUMBERS, _FEWEST = 1 << 22, 128  # of all columns together, and events at least
_BY_NATURE = 0.002  # expected copies of a value that are none to speak of
_ATOM = 100  # a value that recurs so often, and in one event of a hundred, is one: zero, say


def overlap(few: Selection, many: Selection) -> int:
    """Events of `few` that are in `many` too, where these are more than chance explains, else 0.

    A column is compared in double precision, or in single where one of the samples has no more of
    it. True events repeat by chance where columns have few distinct values: how often, the pairs of
    equal events within each sample tell. Where they repeat so often that any overlap may be chance,
    none is found.

    Args:
        few: kept in memory as one number per event.
        many: read in chunks, with the same columns.
    """
    single = single_columns([few, many])
    marks = np.concatenate(list(_marks(few, single)))
    return _in_common(marks, _marks(many, single))


def marks_in_common(few: np.ndarray, many: np.ndarray, *, true: bool = False) -> int:
    """The same of events that are given by `marks_of`. Where `many` are `true` ones, they alone may
    tell how often events repeat by chance: the others may be copies of them.
    """
    found = _in_common(few, [many])
    return found if found or not true else _in_common(few, [many], only_many=True)


def marks_of(x: np.ndarray, single: Sequence[bool]) -> np.ndarray:
    """One number per event [n] of events in memory [n, column], the same for the same event.

    Args:
        x: events in double precision.
        single: columns that are compared in single precision, from `single_columns`.
    """
    return _marked(x, None, single=single)


def single_columns(selections: Sequence[Selection]) -> tuple[bool, ...]:
    """Which columns one of the samples has in single precision only: it is stored so, or its values
    are such numbers though they are stored in double.
    """
    of_samples = [_is_single(selection) for selection in selections]
    return tuple(any(column) for column in zip(*of_samples, strict=True))


def repeated(few: Selection) -> float:
    """Fraction of the events that have a copy in their own sample; zero where all columns have few
    values, which recur by nature.
    """
    single = single_columns([few])
    looked_at = spread(few, min(_JUDGED, max(_NUMBERS // len(single), _FEWEST))).x
    if _recur_by_nature(looked_at, few.n, single):
        return 0.0
    return _copies(np.concatenate(list(_marks(few, single))))


def copies_among(x: np.ndarray, marks: np.ndarray, single: Sequence[bool]) -> float:
    """The same of events in memory [n, column] and their marks [n]."""
    looked_at = x[:: max(len(x) // _JUDGED, 1)]
    return 0.0 if _recur_by_nature(looked_at, len(x), single) else _copies(marks)


def _copies(marks: np.ndarray) -> float:
    _, counts = np.unique(marks, return_counts=True)
    is_copy = (counts > 1) & (counts <= max(_ATOM, len(marks) / 100))
    return float(counts[is_copy].sum() / max(counts.sum(), 1))


def _recur_by_nature(x: np.ndarray, n: int, single: Sequence[bool]) -> bool:
    """Whether all columns have values that recur among n events."""
    columns = zip(x.T, single, strict=True)
    return all(_recurring(column, n, one) > _BY_NATURE for column, one in columns)


def _in_common(marks: np.ndarray, many: Iterable[np.ndarray], *, only_many: bool = False) -> int:
    if not len(marks):
        return 0  # rows with a value that is not finite are no events here
    known, counts = np.unique(marks, return_counts=True)
    in_both = np.zeros(len(known), bool)
    likely = np.zeros(1 << _BITS, bool)  # by the last bits: most events need no search
    likely[known & _LAST] = True
    pairs, n = 0, 0
    kept: list[np.ndarray] = []
    for chunk in many:
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
    repeats_few, pairs_few = (0.0, 0.0) if only_many else _repeats(marks)
    repeats_many, pairs_many = _repeats(sample)
    repeats = repeats_few + repeats_many
    ratio = len(marks) * n / (pairs_few + pairs_many)  # pairs across, for each pair within
    # so many pairs across or more, of all, if each falls across with this probability: a binomial
    chance = betainc(pairs, repeats + 1, ratio / (1 + ratio)) if pairs else 1.0
    if chance < _FALSE_ALARM and pairs > 1.5 * ratio * repeats:
        return int(counts[in_both].sum())
    return 0


def _repeats(marks: np.ndarray) -> tuple[float, float]:
    """Pairs of equal events within a sample, and all pairs."""
    _, counts = np.unique(marks, return_counts=True)
    equal_pairs = float((counts * (counts - 1) / 2).sum())
    return equal_pairs, max(len(marks) * (len(marks) - 1) / 2, 1.0)


def _is_single(selection: Selection) -> list[bool]:
    """Of one sample, a column each."""
    table = selection.table
    most = min(_HEAD, max(_NUMBERS // len(selection.columns), _FEWEST))
    head = next(chunks(selection, most, stop=min(most, table.n)))[0]
    singles = []
    for x, column in zip(head.T, selection.columns, strict=True):
        stored = all(table.dtype(name) == np.float32 for name in column.needs)
        rounded = column.label in selection.rounded
        # whole numbers are equal in any precision that holds them
        fits = not (x == np.floor(x)).all() and bool((x == _as_single(x)).all())
        singles.append(stored or rounded or fits)
    return singles


def _as_single(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(x, np.float32)


def _recurring(x: np.ndarray, n: int, single: bool) -> float:
    """How often a value of a column recurs by nature among n events: n times its density times the
    distance of the numbers that it could be.
    """
    values = np.unique(x)  # copies are what it is about
    if len(values) < 3:
        return np.inf
    distance = np.full(len(values), _grid(values))
    if single:
        distance = np.maximum(distance, np.spacing(np.abs(_as_single(values))))
    ends = np.quantile(values, np.linspace(0, 1, min(len(values), 64) + 1))
    width = np.diff(ends)
    if not (width > 0).all():
        return np.inf
    place = np.clip(np.searchsorted(ends, values, side="right") - 1, 0, len(width) - 1)
    return float(n * np.mean(distance / width[place]) / len(width))


def _grid(values: np.ndarray) -> float:
    """The step of which the gaps between sorted values are multiples; 0 where there is none."""
    gaps = np.diff(values)
    step = gaps.min()
    multiples = gaps[gaps < 20 * step] / step
    is_grid = (np.abs(multiples - np.rint(multiples)) < 0.1).all()
    return float(step) if is_grid else 0.0


def _marks(selection: Selection, single: Sequence[bool]) -> Iterator[np.ndarray]:
    """One 64-bit number per event [rows], the same for the same columns in the same precision,
    chunk by chunk.
    """
    return in_order(partial(_marked, single=single), chunks(selection))


def _marked(
    block: np.ndarray, _: np.ndarray | None, *, single: Sequence[bool] | None = None
) -> np.ndarray:
    """Events [rows, column] to one 64-bit number each [rows]; columns count in double precision
    unless they are `single`, as all are in a block of single precision.

    The finisher of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) after each column. Products wrap
    around; a few thousand events at a time stay in the cache.
    """
    is_single = [block.dtype == np.float32] * block.shape[1] if single is None else single
    marks = np.zeros(len(block), np.uint64)
    shorts, longs = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float64)
    shifted = np.empty(_BLOCK, np.uint64)
    for start in range(0, len(block), _BLOCK):
        mark = marks[start : start + _BLOCK]  # a view: all that follows is in place
        n = len(mark)
        short, long, spare = shorts[:n], longs[:n], shifted[:n]
        for i, column in enumerate(block.T[:, start : start + _BLOCK]):
            if is_single[i]:
                with np.errstate(over="ignore"):
                    np.add(column, 0.0, out=short, casting="same_kind")  # -0 becomes 0
                mark ^= short.view(np.uint32)
            else:
                np.add(column, 0.0, out=long)
                mark ^= long.view(np.uint64)
            mark *= _ODD[0]
            np.right_shift(mark, _SHIFTS[0], out=spare)
            mark ^= spare
            mark *= _ODD[1]
            np.right_shift(mark, _SHIFTS[1], out=spare)
            mark ^= spare
            mark *= _ODD[2]
    return marks
