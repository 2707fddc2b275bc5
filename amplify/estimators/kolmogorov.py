"""Kolmogorov-Smirnov distance of two samples of one number per event, and what it says of the
distance of their densities.

A sample of n true events has E[sup |F_n - F|] = K1 / sqrt(n) for every continuous summary, hence
n_equiv = (K1 / D)^2 (arXiv:2509.08048; docs/method, Differential amplification). Everything between two samples can be
told from the counts of one between the sorted values of the other. Such counts add up, so that a
sample of any size streams through memory, and devices reduce it by a sum.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from amplify.namespace import namespace

K1 = np.sqrt(np.pi / 2) * np.log(2.0)  # .8687312, mean of the Kolmogorov distribution
_NULL_BATCH = 50  # experiments of one random stream


def mean_distance(n: int) -> float:
    """E[sup |F_n - F|] of n true events, exact; K1 / sqrt(n) - 1 / (6 n) beyond a thousand, where
    both agree to 4e-6.

    >>> round(mean_distance(100) * 10, 6)
    0.852435
    """
    if n > 1000:
        return float(K1 / np.sqrt(n) - 1 / (6 * n))
    from scipy.stats import kstwo  # which takes half a second to import

    return float(kstwo(n).mean())


def ks_distance(
    x: Shaped[Any, " n"],
    y: Shaped[Any, " m"],
    weight_x: Shaped[Any, " n"] | None = None,
    weight_y: Shaped[Any, " m"] | None = None,
) -> Any:
    """Two-sided D = sup |F_x - F_y| of two samples, evaluated at the last of each group of tied
    values; for arrays of NumPy and, under jit and vmap, of JAX.

    Args:
        x: values of one sample.
        y: values of the other.
        weight_x: event weights, which may be negative; counts in integers without.
        weight_y: the same for y.
    """
    samples = (x, y, weight_x, weight_y)
    xp = namespace(*samples)
    if xp is np or not _on_cpu():
        return _ks_distance(xp, *samples)
    import jax

    given = [a for a in samples if a is not None]
    dtype = xp.result_type(float)

    def on_host(*arrays: Any) -> np.ndarray:
        rest = iter(np.asarray(a) for a in arrays)
        in_place = [None if a is None else next(rest) for a in samples]
        return np.asarray(_ks_distance(np, *in_place), dtype)

    return jax.pure_callback(
        on_host, jax.ShapeDtypeStruct((), dtype), *given, vmap_method="sequential"
    )


def _ks_distance(xp: Any, x: Any, y: Any, weight_x: Any, weight_y: Any) -> Any:
    both = [
        xp.sort(xp.asarray(v)) if w is None else xp.asarray(v)
        for v, w in ((x, weight_x), (y, weight_y))
    ]
    n, m = len(both[0]), len(both[1])
    values = xp.concatenate(both)
    order = xp.argsort(values, stable=True)  # which merges sorted samples instead of sorting again
    if weight_x is None and weight_y is None:
        count = xp.cumsum(order < n, dtype=xp.int32)
        difference = count * (1 / n + 1 / m) - xp.arange(1, n + m + 1, dtype=xp.int32) / m
    else:
        step_x, step_y = _steps(xp, n, weight_x), _steps(xp, m, weight_y)
        difference = xp.cumsum(xp.concatenate([step_x, -step_y])[order])
    ordered = xp.sort(values)
    last = xp.concatenate([ordered[1:] != ordered[:-1], xp.ones(1, bool)])
    difference = difference * last
    return xp.maximum(difference.max(), -difference.min())


def ks_distance_to(u: Shaped[Any, " n"], weight: Shaped[Any, " n"] | None = None) -> Any:
    """One-sample D = sup |F_n - F|, for u = F(x) [n], the known distribution function at the
    events.
    """
    xp = namespace(u)
    value = xp.asarray(u)
    order = _order(value)
    value = value[order]
    w = _steps(xp, len(value), weight)[order]
    after = xp.cumsum(w)
    return xp.maximum(xp.abs(after - value), xp.abs(after - w - value)).max()


class Counts(NamedTuple):
    """A sample against a sorted grid of values [k]. Additive: `plus`, or a sum over devices.

    Attributes:
        below: events (weights) below each value.
        up_to: events (weights) at or below each value.
        total: of all events.
        square: sum of squared weights; the number of events without weights.
    """

    below: Any
    up_to: Any
    total: Any
    square: Any

    def plus(self, other: "Counts") -> "Counts":
        """Counts of both samples together."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def n_effective(self) -> Any:
        """(sum w)^2 / sum w^2."""
        return self.total / self.square * self.total  # whose square may exceed an integer


def count_between(
    grid: Shaped[Any, " k"],
    t: Shaped[Any, " n"],
    weight: Shaped[Any, " n"] | None = None,
) -> Counts:
    """Counts of the values t against the sorted grid: integers without weights. NumPy on the host;
    under jit and shard_map with JAX arrays.
    """
    xp = namespace(t)
    values = xp.asarray(t)
    if weight is None:
        ordered = _sorted(values)
        below, up_to = (xp.searchsorted(ordered, grid, side=side) for side in ("left", "right"))
        n = xp.asarray(len(values))
        return Counts(below, up_to, n, n)
    order = _order(values)
    ordered, w = values[order], xp.asarray(weight)[order]
    cumulative = xp.concatenate([xp.zeros(1, w.dtype), xp.cumsum(w)])
    below, up_to = (
        cumulative[xp.searchsorted(ordered, grid, side=side)] for side in ("left", "right")
    )
    return Counts(below, up_to, w.sum(), (w**2).sum())


def distance_between(a: Counts, b: Counts) -> Any:
    """D = sup |F_a - F_b| of two samples counted against one grid: exact where the grid holds all
    values of one of them.
    """
    xp = namespace(a.below)
    below = xp.abs(a.below / a.total - b.below / b.total)
    up_to = xp.abs(a.up_to / a.total - b.up_to / b.total)
    return xp.maximum(below, up_to).max()


def null_distances(
    n: int, m: int, experiments: int, *, seed: int = 0
) -> Float[np.ndarray, " experiment"]:
    """D of pseudo-experiments without a difference, n events against m, for every continuous
    summary.

    Which of the n + m ordered events belong to the first sample is a random choice of n, so nothing
    needs to be drawn from a density, nor sorted.
    """

    def batch(start: int) -> np.ndarray:
        rng = np.random.default_rng([seed, start])
        dtype = np.int32 if (n + m) * max(n, m) < 1 << 31 else np.int64
        expected = n * np.arange(1, n + m + 1, dtype=dtype)
        found = np.empty(min(_NULL_BATCH, experiments - start))
        for k in range(len(found)):
            lot = rng.integers(0, 1 << 32, n + m, dtype=np.uint32)
            first = np.cumsum(lot <= np.partition(lot, n - 1)[n - 1], dtype=dtype)
            difference = (n + m) * first - expected  # n m (F_x - F_y), in integers
            found[k] = max(difference.max(), -difference.min()) / (n * m)
        return found

    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0))
    ) as pool:  # NumPy lets other threads work meanwhile
        return np.concatenate(list(pool.map(batch, range(0, experiments, _NULL_BATCH))))


def _steps(xp: Any, n: int, weight: Any) -> Any:
    """How much the distribution function grows at each event [n]."""
    if weight is None:
        return xp.full(n, 1 / n)
    return xp.asarray(weight) / xp.asarray(weight).sum()


def _on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"


def _sorted(t: Any) -> Any:
    """Sorted values. On a CPU NumPy sorts a million values in a tenth of XLA's time, also from
    inside a compiled function.
    """
    xp = namespace(t)
    if xp is np or not _on_cpu():
        return xp.sort(t)
    return _called_back(lambda v: np.sort(v, axis=-1), t, t.dtype)


def _order(t: Any) -> Any:
    """Indices that sort the values, int32 in JAX."""
    xp = namespace(t)
    if xp is np or not _on_cpu():
        return xp.argsort(t)
    return _called_back(lambda v: np.argsort(v, axis=-1).astype(np.int32), t, np.int32)


def _called_back(function: Callable[[np.ndarray], np.ndarray], t: Any, dtype: Any) -> Any:
    """A function of NumPy, called from inside a compiled one."""
    import jax

    result = jax.ShapeDtypeStruct(t.shape, dtype)
    return jax.pure_callback(
        lambda v: function(np.asarray(v)), result, t, vmap_method="expand_dims"
    )
