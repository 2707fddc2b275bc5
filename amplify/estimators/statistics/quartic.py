"""MMD with the quartic kernel (x y / d + 1)^4 (KPD; arXiv:2211.10295, arXiv:2409.16336), exact.

Sums over pairs of events are sums over the features of `monomials`, so that n events cost n, not
n^2; where columns are so many that features are more than events, the kernel is summed by blocks.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.estimators.statistics.lines import in_threads
from amplify.estimators.statistics.monomials import Quartic, monomials, squares
from amplify.estimators.statistics.pairs import in_double, mean_kernel, of_different_events, shares
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.estimators.statistics.shares import standardised
from amplify.namespace import namespace

_BLOCK = 1 << 24  # numbers of a block of features
_ROWS = 2048  # of a block of the kernel
_KERNEL_COSTS = 10  # additions, beside those of the scalar product


def quartic_kernel(x: Float[Any, "n dim"], y: Float[Any, "m dim"]) -> Any:
    """(x y / d + 1)^4 of each pair of events [n, m].

    >>> quartic_kernel(np.array([[1.0, 1.0]]), np.array([[2.0, 2.0]])).tolist()
    [[81.0]]
    """
    square = (x @ y.T / x.shape[1] + 1) ** 2
    return square * square


def quartic_mmd(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
) -> Any:
    """Unbiased MMD^2, the U-statistic over pairs of different events; it may be negative. `kpd` of
    jetnet is the median of it in small subsamples, with columns divided by their largest |x|.

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> round(quartic_mmd(x, x + 1), 6)  # (1 + 1 + 81 + 81 + 256 + 2401) / 3 - 2 * 3463 / 9
    170.777778

    Args:
        x: events of one sample; NumPy, or JAX under jit and vmap.
        y: events of the other.
        weight_x: event weights, or None.
        weight_y: the same of y.
    """
    x, y = in_double(x), in_double(y)
    of_x, of_y = shares(x, weight_x), shares(y, weight_y)
    xx, yy, xy = _means(x, y, of_x, of_y)
    within = (
        of_different_events(mean, share, ((s**2).sum(axis=1) / s.shape[1] + 1) ** 4)
        for s, share, mean in ((x, of_x, xx), (y, of_y, yy))
    )
    value = sum(within) - 2 * xy
    return float(value) if namespace(value) is np else value


def _means(x: Any, y: Any, of_x: Any, of_y: Any) -> tuple[Any, Any, Any]:
    """Mean kernel over pairs in x, in y, and between both."""
    n, dim = len(x) + len(y), x.shape[1]
    pairs = (dim + 1) * (dim + 2) // 2
    if pairs**2 > n * (dim + _KERNEL_COSTS):
        sides = ((x, x, of_x, of_x), (y, y, of_y, of_y), (x, y, of_x, of_y))
        xx, yy, xy = (mean_kernel(quartic_kernel, *side) for side in sides)
        return xx, yy, xy
    a, b = _fourth(x, of_x), _fourth(y, of_y)
    return (a**2).sum(), (b**2).sum(), (a * b).sum()


def _fourth(x: Any, share: Any) -> Any:
    """Sum of share q q^T with q the products of two [pair, pair]. Scalar products of two of them
    are mean kernels.
    """
    pairs = (x.shape[1] + 1) * (x.shape[1] + 2) // 2
    rows = max(1, _BLOCK // pairs)

    def part(start: int) -> Any:
        q = squares(x[start : start + rows])
        return (q * share[start : start + rows, None]).T @ q

    return sum(part(start) for start in range(0, len(x), rows))


def _of_features(x: np.ndarray, quartic: Quartic) -> Distances:
    events = max(1, _BLOCK // quartic.features)

    def distances(difference: Float[np.ndarray, "experiment event"]) -> np.ndarray:
        sums = np.zeros((len(difference), quartic.features), x.dtype)
        for start in range(0, len(x), events):
            some = slice(start, start + events)
            sums += difference[:, some].astype(x.dtype) @ quartic(x[some]).T
        return np.einsum("ij,ij->i", sums, sums, dtype=np.float64)

    return distances


def _of_kernel(x: np.ndarray) -> Distances:
    """The same by blocks of the kernel below its diagonal."""

    def distances(difference: Float[np.ndarray, "experiment event"]) -> np.ndarray:
        signs = difference.astype(x.dtype)

        def part(start: int) -> np.ndarray:
            rows = slice(start, start + _ROWS)
            kernel = quartic_kernel(x[rows], x[: start + _ROWS])
            kernel[:, :start] *= 2
            summed = signs[:, : start + _ROWS] @ kernel.T
            return np.einsum("ij,ij->i", summed, signs[:, rows], dtype=np.float64)

        return np.sum(in_threads(part, range(0, len(x), _ROWS)), axis=0)

    return distances


def quartic_statistic(*, standardise: bool = True) -> Statistic:
    """MMD^2 of the two samples with all pairs of events (V-statistic), which falls as 1 / n for
    true events; quoted is the unbiased one, `quartic_mmd`.

    Args:
        standardise: columns with mean 0 and variance 1 in the pool, so that no unit decides. False
            is the definition of arXiv:2409.16336, for columns as they are, in double precision.
    """

    def columns(pool: Pooled) -> np.ndarray:
        return standardised(pool) if standardise else np.asarray(pool.x, np.float64)

    def prepare(pool: Pooled, seed: int) -> Distances:
        x = columns(pool)
        if standardise:  # |x| < sqrt N: no fourth power leaves single precision
            x = x.astype(np.float32)
        dim = x.shape[1]
        if monomials(dim) <= len(x):
            return _of_features(x, Quartic(dim))
        return _of_kernel(x)

    def quoted(distance: float, pool: Pooled) -> float:
        x, (p, q) = columns(pool), pool.measures(pool.difference)
        first = np.abs(p) > np.abs(q)  # also where a weight is negative
        parts = x[first], x[~first], p[first], q[~first]
        return quartic_mmd(*parts)

    raw = ("quartic_mmd", "quartic MMD") if standardise else ("raw_quartic_mmd", "quartic MMD, raw")
    return Statistic(*raw, 2, prepare, quoted, most=20_000)


QUARTIC_MMD = quartic_statistic()
"""Of standardised columns."""
