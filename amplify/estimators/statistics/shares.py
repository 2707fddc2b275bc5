"""Two samples of which only the difference is known, where a statistic needs both.

The positive part of a difference is the generated sample, the negative one the holdout. For the
samples themselves and for relabelled events that is just so. The observed difference on a scale s
with relabelled noise on top becomes a subsample with weights: at s = 1 half of the events of each
sample with their own labels and twice their weight, whose chance is that of whole samples again.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

from amplify.devices import usable_cores
from amplify.estimators.statistics.protocol import Pooled

_Shares = Float[np.ndarray, "experiment event"]
_ROUNDING = 1e-5  # of sums of single precision
_BLOCK = 5_000_000  # numbers of one array: events times the experiments of a thread


def two_samples(
    difference: _Shares,
) -> tuple[_Shares, _Shares, Float[np.ndarray, " experiment"]]:
    """Shares of each event in the generated sample and in the holdout, float32, that both add up
    to one; and how many times larger the difference is than theirs.

    That is one for two samples. No two of them differ more than in every event: for s > 1 a
    statistic has to extrapolate.

    >>> [share.tolist() for share in two_samples(np.array([[1.5, 0.5, -2.0]]))]
    [[[0.75, 0.25, 0.0]], [[0.0, 0.0, 1.0]], [2.0]]
    """
    generated = np.maximum(difference, 0, dtype=np.float32, casting="same_kind")
    holdout = generated - difference.astype(np.float32)
    total = generated.sum(axis=1, dtype=np.float64)
    generated /= total[:, None]
    holdout /= holdout.sum(axis=1, keepdims=True)
    return generated, holdout, np.where(np.abs(total - 1) > _ROUNDING, total, 1.0)


def column_scales(pool: Pooled) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """Mean and standard deviation of each column of the pool; one for a constant column."""
    weight = pool.weight / pool.weight.sum()
    mean = weight @ pool.x
    deviation = np.sqrt(np.maximum(weight @ (pool.x - mean) ** 2, 0))
    return mean, np.where(deviation > 0, deviation, 1.0)


def standardised(pool: Pooled) -> Float[np.ndarray, "event dim"]:
    """Events with mean 0 and standard deviation 1 in each column of the pool, so that a unit does
    not decide; a constant column is zero.
    """
    mean, scale = column_scales(pool)
    return (pool.x - mean) / scale


def choose(
    weight: Float[np.ndarray, " event"], n: int, rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Some n different events in ascending order, or fewer where there are no more with a weight;
    their chance grows with their weight.
    """
    chance = np.maximum(weight, 0)
    n = min(n, int(np.count_nonzero(chance)))
    return np.sort(rng.choice(len(chance), n, replace=False, p=chance / chance.sum()))


def in_blocks(
    function: Callable[[_Shares], Float[np.ndarray, "some *numbers"]],
    difference: _Shares,
    most: int | None = None,
) -> Float[np.ndarray, "experiment *numbers"]:
    """A function of differences, a block of experiments at a time, in as many threads as there are
    cores.

    Args:
        function: differences [some, event] to what is found for each.
        difference: all of them.
        most: experiments of a block; by default as many as fit into memory.
    """
    size = most or max(1, _BLOCK // difference.shape[1])
    blocks = [difference[k : k + size] for k in range(0, len(difference), size)]
    if len(blocks) == 1:
        return function(blocks[0])
    with ThreadPoolExecutor(usable_cores()) as threads:  # NumPy lets other threads work meanwhile
        return np.concatenate(list(threads.map(function, blocks)))
