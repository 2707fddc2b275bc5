"""Kolmogorov-Smirnov distance of two samples of one number per event, and what it says of the
distance of their densities.

A sample of n true events has E[sup |F_n - F|] = K1 / sqrt(n) for every continuous summary, hence
n_equiv = (K1 / D)^2 (arXiv:2509.08048, method.md section 3). Everything between two samples can be
told from the counts of one between the sorted values of the other. Such counts add up, so that a
sample of any size streams through memory, and devices reduce it by a sum.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import kstwo

K1 = np.sqrt(np.pi / 2) * np.log(2.0)  # .8687312, mean of the Kolmogorov distribution
_NULL_BATCH = 50  # experiments of one random stream
TABLE = Path(__file__).with_name("calibrated_ks.npz")  # made by experiments/calibrated_ks.py


def mean_distance(n: int) -> float:
    """E[sup |F_n - F|] of n true events, exact; K1 / sqrt(n) - 1 / (6 n) beyond a thousand, where
    both agree to 4e-6.

    >>> round(mean_distance(100) * 10, 6)
    0.852435
    """
    return float(kstwo(n).mean()) if n <= 1000 else float(K1 / np.sqrt(n) - 1 / (6 * n))


def ks_distance(
    x: Float[ArrayLike, " n"],
    y: Float[ArrayLike, " m"],
    weight_x: Float[ArrayLike, " n"] | None = None,
    weight_y: Float[ArrayLike, " m"] | None = None,
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
    if not any(isinstance(a, jax.Array) for a in samples):
        return _ks_distance(np, *samples)
    if not _on_cpu():
        return _ks_distance(jnp, *samples)
    given = [a for a in samples if a is not None]

    def on_host(*arrays: Any) -> np.ndarray:
        rest = iter(np.asarray(a) for a in arrays)
        return np.asarray(
            _ks_distance(np, *(None if a is None else next(rest) for a in samples)), dtype
        )

    dtype = jnp.result_type(float)
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
        step_x = (
            xp.full(n, 1 / n)
            if weight_x is None
            else xp.asarray(weight_x) / xp.asarray(weight_x).sum()
        )
        step_y = (
            xp.full(m, 1 / m)
            if weight_y is None
            else xp.asarray(weight_y) / xp.asarray(weight_y).sum()
        )
        difference = xp.cumsum(xp.concatenate([step_x, -step_y])[order])
    ordered = xp.sort(values)
    last = xp.concatenate([ordered[1:] != ordered[:-1], xp.ones(1, bool)])
    difference = difference * last
    return xp.maximum(difference.max(), -difference.min())


def ks_distance_to(u: Float[ArrayLike, " n"], weight: Float[ArrayLike, " n"] | None = None) -> Any:
    """One-sample D = sup |F_n - F|, for u = F(x) [n], the known distribution function at the
    events.
    """
    xp: Any = jnp if isinstance(u, jax.Array) else np
    value: Any = xp.asarray(u)
    order = _order(value)
    value = value[order]
    w = (
        xp.full(len(value), 1 / len(value))
        if weight is None
        else (xp.asarray(weight) / xp.asarray(weight).sum())[order]
    )
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
        return self.total**2 / self.square


def count_between(
    grid: Float[ArrayLike, " k"],
    t: Float[ArrayLike, " n"],
    weight: Float[ArrayLike, " n"] | None = None,
) -> Counts:
    """Counts of the values t against the sorted grid: integers without weights. NumPy on the host;
    under jit and shard_map with JAX arrays.
    """
    xp: Any = jnp if isinstance(t, jax.Array) else np
    values: Any = xp.asarray(t)
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
    xp: Any = jnp if isinstance(a.below, jax.Array) else np
    return xp.maximum(
        xp.abs(a.below / a.total - b.below / b.total), xp.abs(a.up_to / a.total - b.up_to / b.total)
    ).max()


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


class Table(NamedTuple):
    """Quantiles [L, level] and mean [L] of S(L) = sup_u |L g(u) + B(u)|."""

    L: np.ndarray
    scores: np.ndarray  # of the levels, in standard deviations
    quantiles: np.ndarray
    mean: np.ndarray


@lru_cache(maxsize=1)
def calibration() -> Table:
    """The table of `experiments/calibrated_ks.py`."""
    with np.load(TABLE, allow_pickle=False) as stored:
        return Table(
            stored["L"], ndtri(stored["levels"]), stored["quantiles"].astype(float), stored["mean"]
        )


def calibrated_quantile(scale: float, level: float) -> float:
    """Quantile of S(scale). Beyond the table S - scale changes like scale^(-1/3), the law of the
    maximum of a walk with a parabolic drift.
    """
    grid, excess = calibration().L, _excess(level)
    if scale <= grid[-1]:
        return scale + float(np.interp(scale, grid, excess))
    half = ndtri(level) / 2  # of B(1/2)
    return scale + half + float(excess[-1] - half) * (grid[-1] / scale) ** (1 / 3)


@lru_cache(maxsize=64)
def _excess(level: float) -> np.ndarray:
    """Quantile of S(L) - L for every L of the table."""
    table = calibration()
    return (
        np.array([np.interp(ndtri(level), table.scores, row) for row in table.quantiles]) - table.L
    )


def calibrated_distance(
    distance: float, n_effective: float, level: float
) -> tuple[float, float, float]:
    """D_inf that an observed KS distance stands for: median and the ends of its central interval at
    the level, by inversion of S(L), L = D_inf sqrt(n).

    An observation below the median of equal densities gives the upper end of that median: no
    stronger exclusion than the sample is sensitive to (power constraint, arXiv:1105.3166), so the
    interval over-covers there. S(L) is that of a smooth difference. One at a single value, as of a
    discrete observable, is seen without its upward fluctuation: the upper end is at least z / (2
    sqrt(n)) above the observation.

    Args:
        distance: observed two-sided D.
        n_effective: 1 / n_effective = 1 / n_holdout + 1 / n_gen.
        level: of the central interval.
    """
    root = np.sqrt(n_effective)
    observed = root * distance + 1 / (
        6 * root
    )  # the correction of finite samples, good to 1e-3 from n = 20 on
    sensitive = max(observed, calibrated_quantile(0.0, 0.5))
    ends = (
        _scale_at(observed, 0.5),
        _scale_at(observed, (1 + level) / 2),
        _scale_at(sensitive, (1 - level) / 2),
    )
    return (
        ends[0] / root,
        ends[1] / root,
        max(ends[2] / root, distance + ndtri((1 + level) / 2) / 2 / root),
    )


def calibrated_bound(distance: float, n_effective: float, level: float) -> float:
    """One-sided: the D_inf that is exceeded at this confidence; 0 where equal densities may give
    the observed distance.
    """
    root = np.sqrt(n_effective)
    return _scale_at(root * distance + 1 / (6 * root), level) / root


def _scale_at(observed: float, level: float) -> float:
    """The L whose quantile is the observed value, 0 where all are larger."""
    if calibrated_quantile(0.0, level) >= observed:
        return 0.0
    return float(
        brentq(lambda scale: calibrated_quantile(scale, level) - observed, 0.0, observed + 5.0)
    )  # pyright: ignore[reportArgumentType]


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _sorted(t: Any) -> Any:
    """Sorted values. On a CPU NumPy sorts a million values in a tenth of XLA's time, also from
    inside a compiled function.
    """
    if not isinstance(t, jax.Array):
        return np.sort(t)
    if not _on_cpu():
        return jnp.sort(t)
    return jax.pure_callback(
        lambda v: np.sort(np.asarray(v), axis=-1),
        jax.ShapeDtypeStruct(t.shape, t.dtype),
        t,
        vmap_method="expand_dims",
    )


def _order(t: Any) -> Any:
    """Indices that sort the values, int32."""
    if not isinstance(t, jax.Array):
        return np.argsort(t)
    if not _on_cpu():
        return jnp.argsort(t)
    shape: Array | Any = jax.ShapeDtypeStruct(t.shape, jnp.int32)
    return jax.pure_callback(
        lambda v: np.argsort(np.asarray(v), axis=-1).astype(np.int32),
        shape,
        t,
        vmap_method="expand_dims",
    )
