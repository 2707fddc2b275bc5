"""Do two files hold the same events? A holdout that the generator was trained on proves nothing."""

from collections.abc import Iterator

import numpy as np

from amplify.data.files import Selection, chunks

_KEPT = 2_000_000  # events of a large sample whose repeats are counted
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # mixing constants of splitmix64


def overlap(few: Selection, many: Selection) -> int:
    """Events of `few` that are in `many` too, where these are more than chance explains, else 0.

    Events are compared in single precision. True events repeat by chance where columns have few distinct values: how often, the pairs of equal events
    within each sample tell. Where they repeat so often that any overlap may be chance, none is found.

    Args:
        few: kept in memory as one number per event.
        many: read in chunks.
    """
    marks = np.concatenate(list(_marks(few)))
    known, counts = np.unique(marks, return_counts=True)
    seen, kept, n = np.zeros(len(known), bool), [], 0
    for part in _marks(many):
        place = np.minimum(np.searchsorted(known, part), len(known) - 1)
        seen[place[known[place] == part]] = True
        if sum(map(len, kept)) < _KEPT:
            kept.append(part)
        n += len(part)
    matched = int(counts[seen].sum())
    repeats, pairs = (np.sum(v, axis=0) for v in zip(_repeats(marks), _repeats(np.concatenate(kept)), strict=True))
    chance = len(marks) * n * (repeats + 3 + 3 * np.sqrt(repeats)) / pairs  # matches at most, with the Poisson error of the repeats
    return matched if matched > 10 + chance + 5 * np.sqrt(chance) else 0


def repeated(few: Selection) -> float:
    """Fraction of the events that have a copy in their own sample."""
    _, counts = np.unique(np.concatenate(list(_marks(few))), return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())


def _repeats(marks: np.ndarray) -> tuple[float, float]:
    """Pairs of equal events within a sample, and all pairs."""
    _, counts = np.unique(marks, return_counts=True)
    return float((counts * (counts - 1) / 2).sum()), max(len(marks) * (len(marks) - 1) / 2, 1.0)


def _marks(selection: Selection) -> Iterator[np.ndarray]:
    """One 64-bit number per event, the same for the same columns in single precision."""
    for block, _ in chunks(selection):
        values = np.ascontiguousarray(block, np.float32) + np.float32(0)  # -0 becomes 0
        mark = np.zeros(len(values), np.uint64)
        for column in values.T:
            mark = (mark ^ np.ascontiguousarray(column).view(np.uint32)) * np.uint64(_ODD[0])
            mark = (mark ^ (mark >> np.uint64(30))) * np.uint64(_ODD[1])
            mark = (mark ^ (mark >> np.uint64(27))) * np.uint64(_ODD[2])
        yield mark
