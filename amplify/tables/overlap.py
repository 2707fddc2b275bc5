"""Do two samples hold the same events? A holdout that the generator was trained on proves
nothing, nor do members that share their events.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from scipy.special import betainc

from amplify.tables.marks import Met, Search, marks_of
from amplify.tables.reading import chunks, over_chunks, spread
from amplify.tables.selection import Selection

_FALSE_ALARM = 1e-6

_HEAD = 4096  # events that tell the precision of a column
_JUDGED = 20_000  # events that tell whether values recur by nature
_NUMBERS, _FEWEST = 1 << 22, 128  # of all columns together, and events at least
_BY_NATURE = 0.002  # expected copies of a value that are none to speak of
_ATOM = 100  # a value that recurs so often, and in one event of a hundred, is one: zero, say


def overlap(few: Selection, many: Selection, most: int | None = None) -> int:
    """Events of `few` that are in `many` too, where these are more than chance explains, else 0.

    A column is compared in double precision, or in single where one of the samples has no more of
    it. True events repeat by chance where columns have few distinct values: how often, the pairs of
    equal events within each sample tell. Where they repeat so often that any overlap may be chance,
    none is found.

    Args:
        few: kept in memory as one number per event.
        many: read in chunks, with the same columns.
        most: events of `few` that are looked for, blocks spread over it; all without.
    """
    search = search_for(few, many, most)
    return in_common(search, over_chunks(search.chunk, many))


def search_for(few: Selection, many: Selection, most: int | None = None) -> Search:
    """A search for the events of a sample, or `most` of them, in another one with the same
    columns.
    """
    single = single_columns([few, many])
    return Search(_marks(few, single, most), single)


def marks_in_common(few: np.ndarray, many: np.ndarray, *, true: bool = False) -> int:
    """The same of events that are given by `marks_of`. Where `many` are `true` ones, they alone may
    tell how often events repeat by chance: the others may be copies of them.
    """
    search = Search(few, single=())
    met = [search.among(many, keep=True)] if len(few) else []
    found = in_common(search, met)
    return found if found or not true else in_common(search, met, only_many=True)


def single_columns(selections: Sequence[Selection]) -> tuple[bool, ...]:
    """Which columns one of the samples has in single precision only: it is stored so, or its values
    are such numbers though they are stored in double.
    """
    of_samples = [_is_single(selection) for selection in selections]
    return tuple(any(column) for column in zip(*of_samples, strict=True))


def repeated(few: Selection, most: int | None = None) -> float:
    """Fraction of the events, or of `most` of them, that have a copy among these; zero where all
    columns have few values, which recur by nature.
    """
    single = single_columns([few])
    looked_at = spread(few, min(_JUDGED, max(_NUMBERS // len(single), _FEWEST))).x
    if _recur_by_nature(looked_at, few.n, single):
        return 0.0
    return _copies(_marks(few, single, most))


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


def in_common(search: Search, met: Iterable[Met], *, only_many: bool = False) -> int:
    """Events that a search has found, as `overlap` gives them.

    Args:
        search: for the events of one sample.
        met: what each chunk of the other sample gave, in their order.
        only_many: the other sample alone tells how often events repeat by chance.
    """
    marks = search.marks
    if not len(marks):
        return 0  # rows with a value that is not finite are no events here
    in_both = np.zeros(len(search.known), bool)
    pairs, n = 0, 0
    kept = [np.zeros(0, np.uint64)]
    for chunk in met:
        in_both[chunk.places] = True
        pairs += int(search.counts[chunk.places].sum())
        if chunk.marks is not None:
            kept.append(chunk.marks)
        n += chunk.n
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
        return int(search.counts[in_both].sum())
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


def _marks(selection: Selection, single: Sequence[bool], most: int | None = None) -> np.ndarray:
    """One 64-bit number per event [n], the same for the same columns in the same precision."""
    if most is not None and selection.table.n > most:
        return marks_of(spread(selection, most).x, single)
    marked = over_chunks(partial(_marks_of_chunk, tuple(single)), selection)
    return np.concatenate([np.zeros(0, np.uint64), *marked])


def _marks_of_chunk(
    single: Sequence[bool], _: int, x: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    return marks_of(x, single)
