"""Do two files hold the same events? A holdout that the generator was trained on proves nothing."""

from collections.abc import Iterator

import numpy as np

from amplify.data.files import Selection, chunks

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # mixing constants of splitmix64


def common_events(few: Selection, many: Selection) -> tuple[int, float]:
    """Pairs of equal events, compared in single precision, and how many pairs chance explains: columns with few distinct values repeat among true events.

    Args:
        few: kept in memory as one number per event.
        many: read in chunks.
    """
    known, counts = np.unique(np.concatenate(list(_marks(few))), return_counts=True)
    n = int(counts.sum())
    repeated = float((counts * (counts - 1) / 2).sum())  # pairs within the sample: what chance, or copies in it, make
    pairs = 0
    for marks in _marks(many):
        place = np.minimum(np.searchsorted(known, marks), len(known) - 1)
        pairs += int(counts[place[known[place] == marks]].sum())
    expected = (repeated + 3 * np.sqrt(repeated)) * 2 * many.table.n / max(n, 1)
    return pairs, expected


def overlap(few: Selection, many: Selection) -> int:
    """Pairs of equal events where these are more than chance explains (ten more, and twice as many), else 0."""
    pairs, expected = common_events(few, many)
    return pairs if pairs > 10 + 2 * expected else 0


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
