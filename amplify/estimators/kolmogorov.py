"""Kolmogorov-Smirnov distance of two samples of one number per event, and what it says of the
distance of their densities.

A sample of n true events has E[sup |F_n - F|] = K1 / sqrt(n) for every continuous summary, hence
n_equiv = (K1 / D)^2 (arXiv:2509.08048; docs/method, Differential amplification). Everything between
two samples can be told from the counts of one between the sorted values of the other. Such counts
add up, so that a sample of any size streams through memory, and devices reduce it by a sum.

JAX is imported only by who has an array of it, scipy.stats only for `mean_distance`: each costs a
command half a second or more.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from amplify.devices import usable_cores
from amplify.namespace import namespace

K1 = np.sqrt(np.pi / 2) * np.log(2.0)  # .8687312, mean of the Kolmogorov distribution
_NULL_BATCH = 50  # experiments of one random stream
_RANDOM_WORDS = 1 << 32  # the values of what is drawn to choose events


def mean_distance(n: int) -> float:
    """E[sup |F_n - F|] of n true events, exact; K1 / sqrt(n) - 1 / (6 n) beyond a thousand, where
    both agree to 4e-6.

    >>> round(mean_distance(100) * 10, 6)
    0.852435
    """
    if n > 1000:
        return float(K1 / np.sqrt(n) - 1 / (6 * n))
    from scipy.stats import kstwo

    return float(kstwo(n).mean())


def ks_distance(
    x: Float[Any, " n"],
    y: Float[Any, " m"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """Two-sided D = sup |F_x - F_y| of two samples, evaluated at the last of each group of tied
    values; for arrays of NumPy and, under jit and vmap, of JAX.

    >>> round(float(ks_distance(np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5]))), 4)
    0.3333

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

    given = [array for array in samples if array is not None]

    def on_host(*arrays: Any) -> np.ndarray:
        rest = iter(arrays)
        complete = (None if array is None else np.asarray(next(rest)) for array in samples)
        return np.asarray(_ks_distance(np, *complete), result.dtype)

    result = jax.ShapeDtypeStruct((), xp.result_type(float))
    return jax.pure_callback(on_host, result, *given, vmap_method="sequential")


def _ks_distance(xp: Any, x: Any, y: Any, weight_x: Any, weight_y: Any) -> Any:
    # without weights the order inside a sample means nothing, and sorted samples are merged
    x = xp.sort(xp.asarray(x)) if weight_x is None else xp.asarray(x)
    y = xp.sort(xp.asarray(y)) if weight_y is None else xp.asarray(y)
    n, m = len(x), len(y)
    values = xp.concatenate([x, y])
    order = xp.argsort(values, stable=True)
    if weight_x is None and weight_y is None:
        of_x = xp.cumsum(order < n, dtype=xp.int32)
        of_both = xp.arange(1, n + m + 1, dtype=xp.int32)
        # factors, not quotients: JAX divides whole numbers in single precision
        difference = of_x * (1 / n + 1 / m) - of_both * (1 / m)
    else:
        steps = xp.concatenate([_steps(xp, weight_x, n), -_steps(xp, weight_y, m)])
        difference = xp.cumsum(steps[order])
    ordered = xp.sort(values)
    last_of_ties = xp.concatenate([ordered[1:] != ordered[:-1], xp.ones(1, bool)])
    difference = difference * last_of_ties
    return xp.maximum(difference.max(), -difference.min())


def _steps(xp: Any, weight: Any, n: int) -> Any:
    """How much the distribution function grows at each of n events."""
    if weight is None:
        return xp.full(n, 1 / n)
    weight = xp.asarray(weight)
    return weight / weight.sum()


def ks_distance_to(u: Float[Any, " n"], weight: Float[Any, " n"] | None = None) -> Any:
    """One-sample D = sup |F_n - F|, for u = F(x) [n], the known distribution function at the
    events.

    >>> round(float(ks_distance_to(np.array([0.2, 0.5, 0.9]))), 4)
    0.2333
    """
    xp = namespace(u)
    values = xp.asarray(u)
    order = _order(values)
    values, steps = values[order], _steps(xp, weight, len(values))
    if weight is not None:
        steps = steps[order]
    after = xp.cumsum(steps)
    return xp.maximum(xp.abs(after - values), xp.abs(after - steps - values)).max()


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
        # the square of the total may exceed an integer
        return 1.0 * self.total / self.square * self.total


def count_between(
    grid: Float[Any, " k"], t: Float[Any, " n"], weight: Real[Any, " n"] | None = None
) -> Counts:
    """Counts of the values t against the sorted grid: integers without weights, or with weights
    that are. NumPy on the host; under jit and shard_map with JAX arrays.
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
    # 1.0: JAX divides whole numbers in single precision, also where double is asked for
    before = xp.abs(1.0 * a.below / a.total - 1.0 * b.below / b.total)
    after = xp.abs(1.0 * a.up_to / a.total - 1.0 * b.up_to / b.total)
    return xp.maximum(before, after).max()


def null_distances(
    n: int, m: int, experiments: int, *, seed: int = 0
) -> Float[np.ndarray, " experiment"]:
    """D of pseudo-experiments without a difference, n events against m, for every continuous
    summary.

    Which of the n + m ordered events belong to the first sample is a random choice of n, so nothing
    needs to be drawn from a density, nor sorted.
    """
    # n m (F_x - F_y) in integers, the smaller ones where they suffice
    dtype = np.int32 if (n + m) * max(n, m) < 1 << 31 else np.int64
    expected = n * np.arange(1, n + m + 1, dtype=dtype)

    def batch(start: int) -> np.ndarray:
        rng = np.random.default_rng([seed, start])
        distances = np.empty(min(_NULL_BATCH, experiments - start))
        for k in range(len(distances)):
            lot = rng.integers(0, _RANDOM_WORDS, n + m, dtype=np.uint32)
            is_first = lot <= np.partition(lot, n - 1)[n - 1]
            difference = (n + m) * np.cumsum(is_first, dtype=dtype) - expected
            distances[k] = max(difference.max(), -difference.min()) / (n * m)
        return distances

    with ThreadPoolExecutor(usable_cores()) as pool:  # NumPy lets other threads work meanwhile
        return np.concatenate(list(pool.map(batch, range(0, experiments, _NULL_BATCH))))


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
    import jax

    def on_host(values: Any) -> np.ndarray:
        return np.sort(np.asarray(values), axis=-1)

    result = jax.ShapeDtypeStruct(t.shape, t.dtype)
    return jax.pure_callback(on_host, result, t, vmap_method="expand_dims")


def _order(t: Any) -> Any:
    """Indices that sort the values, int32 from JAX."""
    xp = namespace(t)
    if xp is np or not _on_cpu():
        return xp.argsort(t)
    import jax

    def on_host(values: Any) -> np.ndarray:
        return np.argsort(np.asarray(values), axis=-1).astype(np.int32)

    result = jax.ShapeDtypeStruct(t.shape, xp.int32)
    return jax.pure_callback(on_host, result, t, vmap_method="expand_dims")
