"""What an observed Kolmogorov-Smirnov distance says of the distance of two densities, both ways
(docs/method, Differential amplification).

The observed distance times sqrt(n) is distributed like S(L) = sup_u |L g(u) + B(u)|, with a
Brownian bridge B, L = D_inf sqrt(n), and g the shape of a smooth difference. Its quantiles are
tabulated and inverted.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from amplify.namespace import namespace

TABLE = Path(__file__).with_name("calibrated_ks.npz")  # made by experiments/calibrated_ks.py
_STEPS = 30  # of a contraction by a factor of a hundred


class Calibration(NamedTuple):
    """Quantiles [L, level] and mean [L] of S(L).

    Attributes:
        L: distances times sqrt(n).
        scores: of the levels, in standard deviations.
        quantiles: [L, level].
        mean: [L].
    """

    L: np.ndarray
    scores: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The table of `experiments/calibrated_ks.py`."""
    with np.load(TABLE, allow_pickle=False) as stored:
        scores = ndtri(stored["levels"])
        quantiles = stored["quantiles"].astype(float)
        return Calibration(stored["L"], scores, quantiles, stored["mean"])


def calibrated_quantile(scale: float, level: float) -> float:
    """Quantile of S(scale). Beyond the table S - scale changes like scale^(-1/3), the law of the
    maximum of a walk with a parabolic drift.
    """
    grid, excess = calibration().L, _excess(level)
    if scale <= grid[-1]:
        return scale + float(np.interp(scale, grid, excess))
    return scale + float(_far_excess(scale, level))


def calibrated_distance(distance: Any, n_effective: Any, level: float) -> tuple[Any, Any, Any]:
    """D_inf that an observed KS distance stands for: median and the ends of its central interval at
    the level, by inversion of S(L), L = D_inf sqrt(n).

    An observation below the median of equal densities gives the upper end of that median: no
    stronger exclusion than the sample is sensitive to (power constraint, arXiv:1105.3166), so the
    interval over-covers there. S(L) is that of a smooth difference. One at a single value, as of a
    discrete observable, is seen without its upward fluctuation: the upper end is at least z / (2
    sqrt(n)) above the observation.

    >>> [round(float(d), 3) for d in calibrated_distance(0.1, 1000, 0.68)]
    [0.089, 0.074, 0.116]

    Args:
        distance: observed two-sided D.
        n_effective: 1 / n_effective = 1 / n_holdout + 1 / n_gen.
        level: of the central interval.
    """
    xp = namespace(distance, n_effective)
    root = xp.sqrt(n_effective)
    observed = _observed(distance, root)
    sensitive = xp.maximum(observed, calibrated_quantile(0.0, 0.5))
    value = _scale_at(xp, observed, 0.5)
    low = _scale_at(xp, observed, (1 + level) / 2)
    high = _scale_at(xp, sensitive, (1 - level) / 2)
    least_high = distance + ndtri((1 + level) / 2) / 2 / root
    return value / root, low / root, xp.maximum(high / root, least_high)


def calibrated_bound(distance: Any, n_effective: Any, level: float) -> Any:
    """One-sided: the D_inf that is exceeded at this confidence; 0 where equal densities may give
    the observed distance.
    """
    xp = namespace(distance, n_effective)
    root = xp.sqrt(n_effective)
    return _scale_at(xp, _observed(distance, root), level) / root


def calibrated_limit(n_effective: Any, level: float, limit_level: float) -> Any:
    """The D_inf whose observation would be so small that the interval reaches zero with the
    probability 1 - limit_level: what is quoted where it does.

    >>> round(float(calibrated_limit(1000, 0.68, 0.95)), 3)
    0.062
    """
    xp = namespace(n_effective)
    largest = calibrated_quantile(0.0, (1 + level) / 2)
    smooth = _scale_at(np, np.asarray(largest), 1 - limit_level)
    single = largest + ndtri(limit_level) / 2  # a difference at one value has no upward fluctuation
    return max(float(smooth), float(single)) / xp.sqrt(n_effective)


def _observed(distance: Any, root: Any) -> Any:
    """With the correction of finite samples, good to 1e-3 from n = 20 on."""
    return root * distance + 1 / (6 * root)


def _scale_at(xp: Any, observed: Any, level: float) -> Any:
    """The L whose quantile is the observed value, 0 where all are larger.

    In the table quantiles are interpolated linearly, and so is the inverse. Beyond it the excess
    hardly changes with L, and L = observed - excess(L) is iterated.
    """
    grid = calibration().L
    quantiles = grid + _excess(level)
    inside = xp.interp(observed, quantiles, grid)
    outside = xp.maximum(observed, quantiles[-1])
    scale = outside
    for _ in range(_STEPS):
        scale = outside - _far_excess(scale, level)
    return xp.where(observed <= quantiles[-1], inside, scale)


def _far_excess(scale: Any, level: float) -> Any:
    """Quantile of S(L) - L beyond the table."""
    grid, excess = calibration().L, _excess(level)
    half = ndtri(level) / 2  # of B(1/2)
    return half + float(excess[-1] - half) * (grid[-1] / scale) ** (1 / 3)


@lru_cache(maxsize=64)
def _excess(level: float) -> np.ndarray:
    """Quantile of S(L) - L for every L of the table."""
    table = calibration()
    score = ndtri(level)
    quantiles = [np.interp(score, table.scores, row) for row in table.quantiles]
    return np.array(quantiles) - table.L
