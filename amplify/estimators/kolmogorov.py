"""Kolmogorov-Smirnov distance of two samples of one number per event, and what it says of the
distance of their densities.

A sample of n true events has E[sup |F_n - F|] = K1 / sqrt(n) for every continuous summary, hence
n_equiv = (K1 / D)^2 (arXiv:2509.08048; docs/method, Differential amplification). Everything between
two samples can be told from the counts of one between the sorted values of the other. Such counts
add up, so that a sample of any size streams through memory, and devices reduce it by a sum.

JAX is imported only by who has an array of it, scipy.stats only for `mean_distance`: each costs a
command half a second or more.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from amplify.namespace import namespace
from amplify.regions.places import number_up_to

K1 = np.sqrt(np.pi / 2) * np.log(2.0)  # .8687312, mean of the Kolmogorov distribution
_MANY = 10_000  # values of both samples from which on cells of them are left out
_CELLS, _PARTS = 1024, 8  # of the first look, and of a cell that is looked at again
_FEW_VALUES = 4  # of a grid: comparing costs less than sorting


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
    if xp is np and weight_x is None and weight_y is None and len(x) + len(y) > _MANY:
        few, many = sorted((np.asarray(x), np.asarray(y)), key=len)
        return _of_sorted(np.sort(few), np.sort(many))
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


def _of_sorted(x: np.ndarray, y: np.ndarray) -> np.floating:
    """D of two sorted samples. Between two values both distribution functions grow by what is
    known: cells of x in which they cannot differ more than at values seen so far are left out, the
    others are cut into smaller ones. Of two million values some ten thousand are looked at.
    """
    largest = np.float64(0.0)
    first, last = np.array([0]), np.array([len(x) - 1])
    parts = _CELLS
    while len(first):
        place = first[:, None] + (last - first)[:, None] * np.arange(parts + 1) // parts
        values = x[place]
        (below, up_to), (below_y, up_to_y) = (
            [np.searchsorted(t, values, side=side) / len(t) for side in ("left", "right")]
            for t in (x, y)
        )
        seen = max(np.abs(below - below_y).max(), np.abs(up_to - up_to_y).max())
        largest = max(largest, seen)
        before, after = slice(None, -1), slice(1, None)
        bound = np.maximum(
            below[:, after] - up_to_y[:, before], below_y[:, after] - up_to[:, before]
        )
        inside = place[:, after] - place[:, before] > 1
        again = (bound > largest) & inside
        first, last = place[:, before][again], place[:, after][again]
        parts = _PARTS
    return largest


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
    if xp is np and len(grid) <= _FEW_VALUES:
        return _compared(np.asarray(grid), values, weight)
    if weight is None:
        ordered = _sorted(values)
        below = xp.searchsorted(ordered, grid)
        if xp is np:
            up_to = number_up_to(ordered, np.asarray(grid), below)
        else:
            up_to = xp.searchsorted(ordered, grid, side="right")
        n = xp.asarray(len(values))
        return Counts(below, up_to, n, n)
    order = _order(values)
    ordered, w = values[order], xp.asarray(weight)[order]
    cumulative = xp.concatenate([xp.zeros(1, w.dtype), xp.cumsum(w)])
    below, up_to = (
        cumulative[xp.searchsorted(ordered, grid, side=side)] for side in ("left", "right")
    )
    return Counts(below, up_to, w.sum(), (w**2).sum())


def _compared(grid: np.ndarray, t: np.ndarray, weight: np.ndarray | None) -> Counts:
    """The counts of a few values, each compared with all."""
    w = None if weight is None else np.asarray(weight)
    below, up_to = (
        np.array([np.count_nonzero(m) if w is None else w[m].sum() for m in masks])
        for masks in ((t < value for value in grid), (t <= value for value in grid))
    )
    if w is None:
        n = np.asarray(len(t))
        return Counts(below, up_to, n, n)
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
