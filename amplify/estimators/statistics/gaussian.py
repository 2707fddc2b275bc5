"""MMD with Gaussian kernels: exact for one bandwidth, and over many bandwidths at once.

No single bandwidth sees a shift and a bump alike. So there are several, from half of the small
distances between events to the large ones (as in MMD-FUSE, arXiv:2306.08777), and the one in which
the samples differ most decides. They are made comparable by the 99 % quantile that each has without
a difference, which follows from the pool's own kernel: its trace and its norm are mean and spread
of the squared MMD of relabelled events, taken as a gamma distribution. FUSE divides unbiased values
by the norm alone; that has no distance that falls as 1 / n for true events, and no more power
(`experiments.kernels`).

Kernels are projected onto some of the pooled events (Nystrom), so that differences of measures over
N events cost N sqrt N.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.errors import InputError
from amplify.estimators.statistics.pairs import in_double, mean_kernel, of_different_events, shares
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.estimators.statistics.shares import choose, column_scales
from amplify.namespace import namespace

BANDWIDTHS = 6
_QUANTILES = 0.05, 0.95  # of the distances between events: half of the first, to the second
_PAIRS = 1000  # events whose distances tell the bandwidths
_LEVEL = 0.99  # of the null distribution, where bandwidths are compared
_CENTRES = 2.0  # of sqrt N
_FLAT = 1e-6  # eigenvalues of a kernel matrix below this part of the largest see nothing


def gaussian_kernel(x: Float[Any, "n dim"], y: Float[Any, "m dim"], bandwidth: float) -> Any:
    """exp(-|x - y|^2 / (2 bandwidth^2)) of each pair of events [n, m]."""
    return _of_squares(namespace(x, y), _squares(x, y), bandwidth)


def gaussian_mmd(
    x: Float[Any, "n dim"],
    y: Float[Any, "m dim"],
    weight_x: Float[Any, " n"] | None = None,
    weight_y: Float[Any, " m"] | None = None,
    *,
    bandwidth: float,
    unbiased: bool = True,
) -> Any:
    """MMD^2 of two samples in one bandwidth, exact, from all pairs (doi:10.5555/2188385.2188410).

    >>> x = np.array([[0.0], [1.0]])
    >>> round(gaussian_mmd(x, x, bandwidth=1.0, unbiased=False), 6)
    0.0

    Args:
        x: events of one sample; NumPy, or JAX under jit and vmap.
        y: events of the other.
        weight_x: event weights, or None.
        weight_y: the same of y.
        bandwidth: sigma, in the units of the columns.
        unbiased: the U-statistic, over pairs of different events: it may be negative.
    """
    if not bandwidth > 0:
        raise InputError("bandwidth", "a positive number", str(bandwidth), "choose another")
    x, y = in_double(x), in_double(y)
    of_x, of_y = shares(x, weight_x), shares(y, weight_y)
    kernel = partial(gaussian_kernel, bandwidth=bandwidth)
    sides = ((x, x, of_x, of_x), (y, y, of_y, of_y), (x, y, of_x, of_y))
    xx, yy, xy = (mean_kernel(kernel, *side) for side in sides)
    if unbiased:  # an event has k = 1 with itself
        xx, yy = of_different_events(xx, of_x, 1.0), of_different_events(yy, of_y, 1.0)
    value = xx + yy - 2 * xy
    return float(value) if namespace(value) is np else value


class Nystrom(NamedTuple):
    """Kernel features of a pool, for each bandwidth.

    Attributes:
        mean: of each column; events are standardised by it.
        scale: standard deviation of each column.
        bandwidths: ascending, in standard deviations.
        centres: standardised events onto which kernels are projected.
        rotations: kernels to features [centre, feature] of each bandwidth.
        offsets: mean of each feature in the pool.
        features: of the pooled events [event, feature], with mean zero.
        quantile: n times the squared MMD that relabelled events exceed in 1 % [bandwidth].
    """

    mean: np.ndarray
    scale: np.ndarray
    bandwidths: np.ndarray
    centres: np.ndarray
    rotations: list[np.ndarray]
    offsets: list[np.ndarray]
    features: list[np.ndarray]
    quantile: np.ndarray


def nystrom(
    pool: Pooled,
    seed: int = 0,
    *,
    bandwidths: np.ndarray | None = None,
    centres: int | None = None,
) -> Nystrom:
    """What is computed once for a pool.

    Args:
        pool: both samples.
        seed: of the centres.
        bandwidths: in pooled standard deviations; by default from the distances between events.
        centres: onto how many events kernels are projected; 2 sqrt N by default.
    """
    rng = np.random.default_rng([seed, 12])
    mean, scale = column_scales(pool)
    z = (pool.x - mean) / scale
    if bandwidths is None:
        bandwidths = _bandwidths(z[choose(pool.weight, _PAIRS, rng)])
    count = centres or int(np.ceil(_CENTRES * np.sqrt(len(z))))
    at = z[choose(pool.weight, count, rng)]
    square, of_centres = _squares(z, at).astype(np.float32), _squares(at, at)
    weight = (pool.weight / pool.weight.sum()).astype(np.float32)
    rotations, offsets, features, quantile = [], [], [], []
    for bandwidth in bandwidths:
        value, vector = np.linalg.eigh(_of_squares(np, of_centres, bandwidth))
        kept = value > _FLAT * value[-1]
        rotations.append((vector[:, kept] / np.sqrt(value[kept])).astype(np.float32))
        found = _of_squares(np, square, bandwidth) @ rotations[-1]
        offsets.append(weight @ found)
        found -= offsets[-1]
        quantile.append(_null_quantile(found.T @ (weight[:, None] * found)))
        features.append(found)
    return Nystrom(
        mean, scale, np.asarray(bandwidths), at, rotations, offsets, features, np.array(quantile)
    )


def squared_mmd(
    of: Nystrom, difference: Float[np.ndarray, "experiment event"]
) -> Float[np.ndarray, "experiment bandwidth"]:
    """MMD^2 of each difference in each bandwidth, over all pairs (V-statistic)."""
    signs = difference.astype(np.float32)
    projected = (signs @ features for features in of.features)
    return np.stack([np.einsum("ij,ij->i", p, p, dtype=np.float64) for p in projected], axis=1)


def witness(
    pool: Pooled, x: Float[np.ndarray, "n dim"], seed: int = 0, *, of: Nystrom | None = None
) -> Float[np.ndarray, " n"]:
    """Mean kernel to the generated events minus that to the holdout, in the bandwidth in which they
    differ most: positive where there are too many generated events.

    Args:
        pool: both samples.
        x: where.
        seed: of the centres.
        of: `nystrom` of the pool, where it is known.
    """
    of = nystrom(pool, seed) if of is None else of
    k = int(np.argmax(squared_mmd(of, pool.difference[None])[0] / of.quantile))
    direction = of.rotations[k] @ (pool.difference.astype(np.float32) @ of.features[k])
    return gaussian_kernel((x - of.mean) / of.scale, of.centres, of.bandwidths[k]) @ direction


def _squares(x: Any, y: Any) -> Any:
    """Squared distance of each pair; rounding below zero counts as zero."""
    xp = namespace(x, y)
    square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T
    return xp.maximum(square, 0)


def _of_squares(xp: Any, square: Any, bandwidth: float) -> Any:
    return xp.exp(square * xp.asarray(-0.5 / bandwidth**2, square.dtype))


def _bandwidths(z: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist

    apart = pdist(z)
    apart = apart[apart > 0]
    if not apart.size:
        return np.ones(1)  # one value only: no bandwidth sees anything
    low, high = np.quantile(apart, _QUANTILES)
    return np.geomspace(low / 2, high, BANDWIDTHS)


def _null_quantile(covariance: np.ndarray) -> float:
    """Of n MMD^2 without a difference, sum_k lambda_k chi^2_k with the eigenvalues lambda of the
    features' covariance: that of the gamma distribution with its mean and variance.
    """
    from scipy.special import gammaincinv

    trace, norm = np.trace(covariance), np.sqrt((covariance**2).sum())
    if not norm > 0:
        return 1.0
    shape = trace**2 / (2 * norm**2)
    return float(trace * gammaincinv(shape, _LEVEL) / shape)


def _prepare(pool: Pooled, seed: int) -> Distances:
    of = nystrom(pool, seed)
    return lambda difference: (squared_mmd(of, difference) / of.quantile).max(axis=1)


GAUSSIAN_MMD = Statistic(
    "gaussian_mmd",
    "Gaussian MMD",
    2,
    _prepare,
    lambda distance, pool: pool.n * distance,
    most=20_000,
)
"""The largest MMD^2 over bandwidths, each in units of its null quantile. It is quoted times
n m / (n + m), so that without a difference a bandwidth has 1 % above 1.
"""
