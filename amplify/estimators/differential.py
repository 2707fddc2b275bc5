"""Differential amplification: how many true events are as hard to tell from the truth as the
generated sample is (arXiv:2509.08048).

One number t per event, the summary; D_inf is the distance of its distribution functions, and
n_equiv = (K1 / D_inf)^2 (method.md section 3). It is about the trained generator in hand. Arrays
in, estimate out: nothing here knows what a generator or a summary is.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from amplify.errors import InputError
from amplify.estimators.kolmogorov import (
    K1,
    Counts,
    calibrated_bound,
    calibrated_distance,
    count_between,
    distance_between,
)
from amplify.types import DifferentialEstimate, Interval, Status

MIN_EVENTS = 100  # fewer effective holdout or generated events in a region say nothing
_FEW = 10  # holdout events on one side of the threshold
Method = Literal["threshold", "ks"]


class Tally(NamedTuple):
    """What is kept of a sample in one region. Additive: `plus`, or a sum over devices.

    Attributes:
        counts: against the sorted values of the holdout.
        low: events (weights) with t at or below the threshold.
        low_square: their squared weights.
    """

    counts: Counts
    low: Any
    low_square: Any

    def plus(self, other: "Tally") -> "Tally":
        """The tally of both samples together."""
        return Tally(
            self.counts.plus(other.counts), self.low + other.low, self.low_square + other.low_square
        )


def tally(
    grid: Float[ArrayLike, " k"],
    t: Float[ArrayLike, " n"],
    weight: Float[ArrayLike, " n"] | None = None,
    *,
    threshold: float = 0.0,
) -> Tally:
    """Tally of the events t; the grid are the sorted values of the holdout. A sample may come in
    chunks.
    """
    counts = count_between(grid, t, weight)
    inside: Any = t <= threshold  # pyright: ignore[reportOperatorIssue]
    if weight is None:
        low = inside.sum()
        return Tally(counts, low, low)
    return Tally(counts, (weight * inside).sum(), (weight**2 * inside).sum())


def differential_amplification(
    t_gen: Float[ArrayLike, " gen"],
    t_holdout: Float[ArrayLike, " holdout"],
    *,
    n_train: float | Float[ArrayLike, " region"],
    weight_gen: Float[ArrayLike, " gen"] | None = None,
    weight_holdout: Float[ArrayLike, " holdout"] | None = None,
    inside_gen: Bool[ArrayLike, "gen region"] | None = None,
    inside_holdout: Bool[ArrayLike, "holdout region"] | None = None,
    threshold: float | Float[ArrayLike, " region"] = 0.0,
    method: Method = "threshold",
    learned: bool = False,
    level: float | None = None,
) -> DifferentialEstimate:
    """Amplification of a trained generator from one number per event, n_equiv = (K1 / D)^2
    (arXiv:2509.08048, method.md section 3).

    method "threshold" takes t for a log-likelihood ratio log p_gen / p_true: D0 = P_holdout(t <= 0)
    - P_gen(t <= 0) is unbiased and, for the exact ratio, the full distance. Its interval is that of
      Feldman and Cousins for a Gaussian mean that cannot be negative: exact coverage, and one rule
      that gives either both
    ends or a limit (arXiv:physics/9711021). method "ks" takes any summary and inverts the
    calibrated distribution of the two-sided KS distance.

    Args:
        t_gen: summary of the generated events.
        t_holdout: summary of true events that neither the generator nor the summary was trained on.
        n_train: training events of the generator; with regions, those inside each.
        weight_gen: event weights. The threshold estimate honours weights that depend on the event;
            calibrated KS wants them independent of t.
        weight_holdout: the same of the holdout.
        inside_gen: which events are in which region; both samples are cut to it. One region,
            everything, by default.
        inside_holdout: the same of the holdout.
        threshold: of t. In a region the exact ratio of the cut densities is t - log(P_gen(R) /
            P_true(R)): `region_threshold`.
        method: "threshold" or "ks".
        learned: t was learned, so it misses a part of the difference. Then only "n_equiv < X" is
            claimed, one-sided, where the distance is significant.
        level: of the intervals; .68, or .90 one-sided for a learned summary.

    Returns:
        Arrays [region]. LOWER_LIMIT: the difference is not significant, n_equiv has no upper end.
            UPPER_LIMIT: a learned summary sees a significant
        difference. UNRESOLVED: it does not, or there are fewer than 100 effective events.

    Raises:
        InputError: values that are not finite, shapes that do not fit.
    """
    t_gen, t_holdout = (
        _checked("t_gen", t_gen, weight_gen, inside_gen),
        _checked("t_holdout", t_holdout, weight_holdout, inside_holdout),
    )
    if (inside_gen is None) != (inside_holdout is None):
        raise InputError(
            "regions", "masks of both samples", "one of them", "cut both samples to the region"
        )
    masks_gen, masks_holdout = (
        _masks(inside_gen, len(t_gen)),
        _masks(inside_holdout, len(t_holdout)),
    )
    if masks_gen.shape[1] != masks_holdout.shape[1]:
        raise InputError(
            "regions",
            "as many for both samples",
            f"{masks_gen.shape[1]} and {masks_holdout.shape[1]}",
            "use the same regions",
        )
    generated, holdout = [], []
    for region, value in enumerate(np.broadcast_to(threshold, masks_gen.shape[1])):
        in_gen, in_holdout = masks_gen[:, region], masks_holdout[:, region]
        grid = np.unique(t_holdout[in_holdout])
        generated.append(tally(grid, t_gen[in_gen], _cut(weight_gen, in_gen), threshold=value))
        holdout.append(
            tally(grid, t_holdout[in_holdout], _cut(weight_holdout, in_holdout), threshold=value)
        )
    return estimate(
        generated, holdout, n_train=n_train, method=method, learned=learned, level=level
    )


def estimate(
    generated: Sequence[Tally],
    holdout: Sequence[Tally],
    *,
    n_train: float | Float[ArrayLike, " region"],
    method: Method = "threshold",
    learned: bool = False,
    level: float | None = None,
) -> DifferentialEstimate:
    """The same from the tallies of both samples, one per region, which may have come in chunks or
    from many devices.
    """
    level = (0.9 if learned else 0.68) if level is None else level
    if not 0 < level < 1:
        raise InputError("level", "between 0 and 1", str(level), "0.68 is usual")
    if method not in ("threshold", "ks"):
        raise InputError("method", "threshold or ks", str(method), "choose one of them")
    per_region = {"threshold": _from_threshold, "ks": _from_ks}[method]
    numbers = [
        (float(g.counts.n_effective), float(h.counts.n_effective))
        if _positive(g, h)
        else (0.0, 0.0)
        for g, h in zip(generated, holdout, strict=True)
    ]
    nothing = (np.nan, 0.0, 1.0)
    parts = [
        per_region(g, h, level, learned) if min(pair) >= MIN_EVENTS else nothing
        for g, h, pair in zip(generated, holdout, numbers, strict=True)
    ]
    return _assembled(parts, numbers, n_train, learned=learned)


def _assembled(
    parts: Sequence[tuple[float, float, float]],
    numbers: Sequence[tuple[float, float]],
    n_train: float | Float[ArrayLike, " region"],
    *,
    learned: bool,
) -> DifferentialEstimate:
    """The estimate from D with its ends, and from the effective numbers of generated and holdout
    events, of each region.
    """
    value, low, high = (np.array(column, float) for column in zip(*parts, strict=True))
    n_gen, n_holdout = np.array(numbers, float).T
    enough = np.minimum(n_gen, n_holdout) >= MIN_EVENTS
    with np.errstate(divide="ignore", invalid="ignore"):
        n_equiv = [
            np.where(value > 0, (K1 / value) ** 2, np.nan),
            (K1 / high) ** 2,
            np.where(low > 0, (K1 / low) ** 2, np.inf),
        ]
    n_equiv[1] = np.where(enough & (not learned), n_equiv[1], 0.0)
    finite = np.isfinite(n_equiv[2])
    if learned:  # where nothing is claimed, no number is quoted
        n_equiv[0] = np.where(finite, n_equiv[0], np.nan)
    status = np.where(
        finite,
        Status.UPPER_LIMIT if learned else Status.RESOLVED,
        Status.UNRESOLVED if learned else Status.LOWER_LIMIT,
    )
    trained = np.broadcast_to(np.asarray(n_train, float), len(value))
    with np.errstate(divide="ignore", invalid="ignore"):
        at_n_gen = 1 / (1 / n_equiv[0] + 1 / n_gen)
        factor = [
            np.where(trained > 0, n / trained, unknown)
            for n, unknown in zip(n_equiv, (np.nan, 0.0, np.inf), strict=True)
        ]
    return DifferentialEstimate(
        distance=Interval(*(jnp.asarray(v) for v in (value, low, high))),
        n_equiv=Interval(*(jnp.asarray(n) for n in n_equiv)),
        n_equiv_at_n_gen=jnp.asarray(at_n_gen),
        factor=Interval(*(jnp.asarray(f) for f in factor)),
        n_gen=jnp.asarray(n_gen),
        n_holdout=jnp.asarray(n_holdout),
        status=jnp.asarray(np.where(enough, status, Status.UNRESOLVED)),
    )


def limit_estimate(
    distance: float,
    error: float,
    *,
    n_train: float,
    n_gen: float,
    n_holdout: float,
    level: float = 0.9,
) -> DifferentialEstimate:
    """The one-sided estimate of one region from a distance and its error, however they were
    found.
    """
    return _assembled(
        [(distance, max(float(distance - norm.ppf(level) * error), 0.0), 1.0)],
        [(n_gen, n_holdout)],
        n_train,
        learned=True,
    )


def threshold_distance(generated: Tally, holdout: Tally) -> tuple[float, float]:
    """D0 = P_holdout(t <= threshold) - P_gen(t <= threshold) and its standard deviation, sqrt of
    the variances of two (weighted) fractions.
    """
    (c, variance_c), (u, variance_u) = (_fraction(part) for part in (holdout, generated))
    n = float(holdout.counts.n_effective)
    if (
        n * min(c, 1 - c) < _FEW
    ):  # a fraction of so few events does not know its error; the other sample does, or nobody
        variance_c = max(variance_c, u * (1 - u) / n if n * min(u, 1 - u) >= _FEW else 0.25 / n)
    return c - u, float(np.sqrt(variance_c + variance_u))


def region_threshold(fraction_gen: float, fraction_holdout: float) -> float:
    """Where the exact log-ratio of two densities cut to a region is zero, given the fraction of
    each sample inside.

    The holdout's fraction moves the threshold off the best place: D0 stays a lower bound on the
    distance, on average 2 % below it at n_holdout = 4 n_equiv in the region and 10 % at n_holdout =
    n_equiv.
    """
    return (
        float(np.log(fraction_gen / fraction_holdout))
        if fraction_gen > 0 and fraction_holdout > 0
        else 0.0
    )


def holdout_for(n_equiv: float, precision: float = 0.3, level: float = 0.68) -> float:
    """Holdout events that fix n_equiv to a relative half-width of the interval: n_equiv (z / (K1
    precision))^2, 15 n_equiv for 30 % at 68 %.
    """
    return float(n_equiv * (norm.ppf((1 + level) / 2) / (K1 * precision)) ** 2)


def weight_correlation(t: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> float:
    """Rank correlation of weights and summary; 0 for constant weights. Calibrated KS is too wide
    awake where it is large (method.md section 3).
    """
    if np.ptp(weight) == 0 or np.ptp(t) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(t), rankdata(weight))[0, 1])


def unified_interval(value: float, error: float, level: float) -> tuple[float, float]:
    """Interval of Feldman and Cousins for a mean that cannot be negative, from a Gaussian
    measurement (arXiv:physics/9711021, table X).

    >>> [round(float(end), 2) for end in unified_interval(2.0, 1.0, 0.9)]
    [0.58, 3.64]
    """
    mean, lowest, highest = _belt(level)
    x = value / error
    low = (
        0.0
        if x <= highest[0]
        else float(np.interp(x, highest, mean))
        if x < highest[-1]
        else x - highest[-1] + mean[-1]
    )
    high = float(np.interp(x, lowest, mean)) if x < lowest[-1] else x - lowest[-1] + mean[-1]
    return float(low * error), float(high * error)


@lru_cache(maxsize=32)
def _belt(level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, and the ends of the measurements that each accepts, ordered by likelihood ratio.
    Beyond the last mean the ends are +-z around it.

    A mean m accepts up to m + d. The same likelihood ratio below zero, where the best mean is 0, is
    at m / 2 - d^2 / (2 m).
    """
    z = norm.ppf((1 + level) / 2)
    mean = z * np.linspace(0, 1, 801)[1:] ** 2  # dense near zero, where very low measurements end

    def lower(m: Any, d: Any) -> Any:
        return m / 2 - d**2 / (2 * m)

    reach = np.array(
        [
            brentq(
                lambda d, m=m: norm.cdf(d) - norm.cdf(lower(m, d) - m) - level,
                norm.ppf(level) - 1e-9,
                z + 1e-9,
            )
            for m in mean
        ]
    )
    return mean, lower(mean, reach), mean + reach


def _from_threshold(
    generated: Tally, holdout: Tally, level: float, learned: bool
) -> tuple[float, float, float]:
    value, error = threshold_distance(generated, holdout)
    if value < -5 * error:
        raise InputError(
            "summary",
            "truth to be the denser one where t <= threshold",
            f"D0 = {value:.3g}, {-value / error:.0f} standard deviations below zero",
            "a ratio is log p_generated / p_true, and events of a file must come in no order",
        )
    if learned:
        return value, max(float(value - norm.ppf(level) * error), 0.0), 1.0
    return value, *unified_interval(value, error, level)


def _from_ks(
    generated: Tally, holdout: Tally, level: float, learned: bool
) -> tuple[float, float, float]:
    n = 1 / (1 / holdout.counts.n_effective + 1 / generated.counts.n_effective)
    observed = float(distance_between(generated.counts, holdout.counts))
    value, low, high = calibrated_distance(observed, n, level)
    return (value, calibrated_bound(observed, n, level), 1.0) if learned else (value, low, high)


def _fraction(part: Tally) -> tuple[float, float]:
    """Weighted fraction at or below the threshold and its variance, sum w^2 (1_low - c)^2 / (sum
    w)^2; c (1 - c) / n without weights.
    """
    c = float(part.low / part.counts.total)
    square = part.low_square * (1 - 2 * c) + c**2 * part.counts.square
    return c, max(float(square / part.counts.total**2), 0.0)


def _positive(*parts: Tally) -> bool:
    return all(p.counts.total > 0 for p in parts)


def _masks(inside: Any, n: int) -> np.ndarray:
    return np.ones((n, 1), bool) if inside is None else np.asarray(inside, bool)


def _cut(weight: Any, inside: np.ndarray) -> np.ndarray | None:
    return None if weight is None else np.asarray(weight, np.float64)[inside]


def _checked(name: str, t: Any, weight: Any, inside: Any) -> np.ndarray:
    values = np.asarray(t)
    if values.ndim != 1 or not np.isfinite(values).all():
        got = (
            f"shape {values.shape}"
            if values.ndim != 1
            else f"{int((~np.isfinite(values)).sum())} values that are not"
        )
        raise InputError(name, "finite numbers, one per event", got, "repair the summary")
    for label, other in (("weights", weight), ("inside", inside)):
        if other is not None and len(other) != len(values):
            raise InputError(
                f"{label} of {name}",
                f"{len(values)} rows",
                str(len(other)),
                "give one for each event",
            )
    if weight is not None and not np.isfinite(np.asarray(weight)).all():
        raise InputError(f"weights of {name}", "finite numbers", "nan or infinity", "repair them")
    return values
