"""Do two files hold the same events? A holdout that the generator was trained on proves nothing."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

from amplify.tables.files import Selection, chunks
from amplify.tables.parallel import in_order

_KEPT = 2_000_000  # events of a large sample whose repeats are counted
_FALSE_ALARM = 1e-6
_BITS = 22
_BLOCK = 1 << 16  # events marked at once
_LAST = np.uint64((1 << _BITS) - 1)
_ODD = (
    0x9E3779B97F4A7C15,
    0xBF58476D1CE4E5B9,
    0x94D049BB133111EB,
)  # mixing constants of splitmix64


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
    seen, pairs, kept, n = np.zeros(len(known), bool), 0, [], 0
    likely = np.zeros(1 << _BITS, bool)  # by the last bits: most events need no search
    likely[known & _LAST] = True
    for part in _marks(many):
        some = part[likely[part & _LAST]]
        place = np.minimum(np.searchsorted(known, some), len(known) - 1)
        equal = place[known[place] == some]
        seen[equal] = True
        pairs += int(counts[equal].sum())
        if n < _KEPT:
            kept.append(part)
        n += len(part)
    if n == len(marks) and np.array_equal(np.sort(np.concatenate(kept)), np.sort(marks)):
        return n
    repeats, all_pairs = (
        np.sum(v) for v in zip(_repeats(marks), _repeats(np.concatenate(kept)), strict=True)
    )
    ratio = len(marks) * n / all_pairs  # pairs across, for each pair within
    chance = binom.sf(pairs - 1, pairs + repeats, ratio / (1 + ratio))
    return int(counts[seen].sum()) if chance < _FALSE_ALARM and pairs > 1.5 * ratio * repeats else 0


def repeated(few: Selection) -> float:
    """Fraction of the events that have a copy in their own sample."""
    _, counts = np.unique(np.concatenate(list(_marks(few))), return_counts=True)
    return float(counts[counts > 1].sum() / max(counts.sum(), 1))


def _repeats(marks: np.ndarray) -> tuple[float, float]:
    """Pairs of equal events within a sample, and all pairs."""
    _, counts = np.unique(marks, return_counts=True)
    return float((counts * (counts - 1) / 2).sum()), max(len(marks) * (len(marks) - 1) / 2, 1.0)


def _marks(selection: Selection) -> Iterator[np.ndarray]:
    """One 64-bit number per event, the same for the same columns in single precision."""
    return in_order(_marked, chunks(selection))


def _marked(block: np.ndarray, _: np.ndarray | None) -> np.ndarray:
    columns = np.asarray(block.T, np.float32)
    found = np.empty(len(block), np.uint64)
    with jax.enable_x64(True):
        for start in range(0, len(block), _BLOCK):
            part = columns[:, start : start + _BLOCK]
            padded = np.pad(part, ((0, 0), (0, _BLOCK - part.shape[1])))
            found[start : start + _BLOCK] = np.asarray(_mixed(padded))[: part.shape[1]]
    return found


@jax.jit
def _mixed(columns: Any) -> Any:
    """Values [column, n] in single precision to one 64-bit number each [n]."""
    mark = jnp.zeros(columns.shape[1], jnp.uint64)
    for column in columns:
        bits = jax.lax.bitcast_convert_type(
            jnp.where(column == 0, jnp.float32(0), column), jnp.uint32
        ).astype(jnp.uint64)  # -0 becomes 0
        mark = (mark ^ bits) * jnp.uint64(_ODD[0])
        mark = (mark ^ (mark >> 30)) * jnp.uint64(_ODD[1])
        mark = (mark ^ (mark >> 27)) * jnp.uint64(_ODD[2])
    return mark
