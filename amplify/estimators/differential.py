"""Differential amplification: how many true events are as hard to tell from the truth as the
generated sample is (arXiv:2509.08048; docs/method, Differential amplification).

One number t per event, the summary; D_inf is the distance of its distribution functions, and
n_equiv = (K1 / D_inf)^2. It is about the trained generator in hand. Arrays in, estimate out:
nothing here knows what a generator or a summary is. NumPy's arrays give NumPy's in double
precision; JAX's give JAX's, also under jit and vmap.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from amplify.errors import InputError
from amplify.estimators.distances import METHODS, Tally, learned_bound, tally, two_sided
from amplify.estimators.kolmogorov import K1, Counts
from amplify.estimators.variance import check_limit_level
from amplify.namespace import is_traced, namespace
from amplify.types import DifferentialEstimate, Interval, Status

MIN_EVENTS = 100  # fewer effective holdout or generated events in a region say nothing
_NOTHING = (np.nan, 0.0, 1.0)  # what too few events say of D
Method = Literal["threshold", "ks"]


def differential_amplification(
    t_gen: Any,
    t_holdout: Any,
    *,
    n_train: Any,
    weight_gen: Any = None,
    weight_holdout: Any = None,
    inside_gen: Any = None,
    inside_holdout: Any = None,
    threshold: Any = 0.0,
    method: Method = "threshold",
    learned: bool = False,
    level: float = 0.68,
    limit_level: float = 0.95,
) -> DifferentialEstimate:
    """Amplification of a trained generator from one number per event, n_equiv = (K1 / D)^2
    (arXiv:2509.08048; docs/method, Differential amplification).

    method "threshold" takes t for a log-likelihood ratio log p_gen / p_true: D0 = P_holdout(t <= 0)
    - P_gen(t <= 0) is unbiased and, for the exact ratio, the full distance. Its interval is that of
    Feldman and Cousins for a Gaussian mean that cannot be negative: exact coverage, and one rule
    for where both ends are given (arXiv:physics/9711021). method "ks" takes any summary and inverts
    the calibrated distribution of the two-sided KS distance. Where the interval reaches D = 0 the
    answer is a limit, "worth more than": the n_equiv below which this would happen less often than
    1 - limit_level, so that it does not gain from the fluctuation that made it appear.

    >>> rng = np.random.default_rng(0)
    >>> generated, holdout = rng.normal(0.3, 1, 100_000), rng.normal(0, 1, 4000)
    >>> ratio = lambda x: 0.3 * x - 0.3**2 / 2  # log N(.3, 1) / N(0, 1)
    >>> estimate = differential_amplification(ratio(generated), ratio(holdout), n_train=1000)
    >>> bool(estimate.n_equiv.low[0] < 53.1 < estimate.n_equiv.high[0])  # the truth
    True

    Args:
        t_gen: summary of the generated events [gen].
        t_holdout: summary of true events [holdout] that neither the generator nor the summary was
            trained on.
        n_train: training events of the generator; with regions, those inside each [region].
        weight_gen: event weights [gen]. The threshold estimate honours weights that depend on the
            event; calibrated KS wants them independent of t.
        weight_holdout: the same of the holdout.
        inside_gen: which events are in which region [gen, region]; both samples are cut to it. One
            region, everything, by default.
        inside_holdout: the same of the holdout.
        threshold: of t, a number or [region]. In a region the exact ratio of the cut densities is
            t - log(P_gen(R) / P_true(R)): `region_threshold`.
        method: "threshold" or "ks".
        learned: t was learned, so it misses a part of the difference. Then only "n_equiv < X" is
            claimed, one-sided, where the distance is significant.
        level: of the two-sided intervals.
        limit_level: of limits, one-sided: where the interval reaches D = 0, and of all that a
            learned summary claims.

    Returns:
        Arrays [region]. LOWER_LIMIT: the difference is not significant, n_equiv has no upper end
        and no value. UPPER_LIMIT: a learned summary sees a significant difference; no value and no
        lower end. UNRESOLVED: it does not, or there are fewer than 100 effective events.

    Raises:
        InputError: values that are not finite, shapes that do not fit.
    """
    xp = namespace(t_gen, t_holdout, weight_gen, weight_holdout, inside_gen, inside_holdout)
    t_gen = _checked(xp, "t_gen", t_gen, weight_gen, inside_gen)
    t_holdout = _checked(xp, "t_holdout", t_holdout, weight_holdout, inside_holdout)
    if (inside_gen is None) != (inside_holdout is None):
        fix = "cut both samples to the region"
        raise InputError("regions", "masks of both samples", "one of them", fix)
    masks_gen, masks_holdout = _masks(xp, inside_gen), _masks(xp, inside_holdout)
    if len(masks_gen) != len(masks_holdout):
        got = f"{len(masks_gen)} and {len(masks_holdout)}"
        raise InputError("regions", "as many for both samples", got, "use the same regions")
    generated, holdout = [], []
    thresholds = xp.broadcast_to(xp.asarray(threshold), (len(masks_gen),))
    for in_gen, in_holdout, value in zip(masks_gen, masks_holdout, thresholds, strict=True):
        tested, weight_tested = _cut(xp, t_holdout, weight_holdout, in_holdout)
        grid = xp.sort(tested)
        drawn, weight_drawn = _cut(xp, t_gen, weight_gen, in_gen)
        generated.append(tally(grid, drawn, weight_drawn, threshold=value))
        holdout.append(tally(grid, tested, weight_tested, threshold=value))
    return estimate(
        generated,
        holdout,
        n_train=n_train,
        method=method,
        learned=learned,
        level=level,
        limit_level=limit_level,
    )


def estimate(
    generated: Sequence[Tally],
    holdout: Sequence[Tally],
    *,
    n_train: Any,
    method: Method = "threshold",
    learned: bool = False,
    unknown: Sequence[float] | None = None,
    level: float = 0.68,
    limit_level: float = 0.95,
) -> DifferentialEstimate:
    """The same from the tallies of both samples, one per region, which may have come in chunks or
    from many devices.

    Args:
        generated: tallies.
        holdout: tallies against the same values.
        n_train: training events, in each region.
        method: "threshold" or "ks".
        learned: t was learned.
        unknown: how far off the holdout's distribution function may be where a sketch stands for
            it, in each region; intervals of "ks" are wider by it on either side.
        level: of the two-sided intervals.
        limit_level: of limits.
    """
    if not 0 < level < 1:
        raise InputError("level", "between 0 and 1", str(level), "0.68 is usual")
    check_limit_level(limit_level)
    ends_of = learned_bound if learned else two_sided
    if method not in METHODS:
        raise InputError("method", "threshold or ks", str(method), "choose one of them")
    xp = namespace(*(part.counts.below for part in (*generated, *holdout)))
    distances, numbers = [], []
    bounds = [0.0] * len(holdout) if unknown is None else unknown
    for drawn, tested, bound in zip(generated, holdout, bounds, strict=True):
        n_gen, n_holdout = (_effective(xp, part.counts) for part in (drawn, tested))
        enough = xp.minimum(n_gen, n_holdout) >= MIN_EVENTS
        if is_traced(enough) or enough:
            measured = METHODS[method](drawn, tested, bound)
            ends = ends_of(xp, measured, level, limit_level)
        else:
            ends = _NOTHING
        distances.append([xp.where(enough, a, b) for a, b in zip(ends, _NOTHING, strict=True)])
        numbers.append((n_gen, n_holdout))
    value, low, high = (xp.stack(column) for column in zip(*distances, strict=True))
    n_gen, n_holdout = (xp.stack(column) for column in zip(*numbers, strict=True))
    return _assembled(xp, Interval(value, low, high), n_gen, n_holdout, n_train, learned=learned)


def limit_estimate(
    distance: float,
    error: float,
    *,
    n_train: float,
    n_gen: float,
    n_holdout: float,
    limit_level: float = 0.95,
) -> DifferentialEstimate:
    """The one-sided estimate of one region from a distance and its error, however they were
    found.
    """
    low = max(float(distance - ndtri(limit_level) * error), 0.0)
    ends = Interval(*(np.array([end], float) for end in (distance, low, 1.0)))
    sizes = np.array([n_gen], float), np.array([n_holdout], float)
    return _assembled(np, ends, *sizes, n_train, learned=True)


def region_threshold(fraction_gen: float, fraction_holdout: float) -> float:
    """Where the exact log-ratio of two densities cut to a region is zero, given the fraction of
    each sample inside.

    The holdout's fraction moves the threshold off the best place: D0 stays a lower bound on the
    distance, on average 2 % below it at n_holdout = 4 n_equiv in the region and 10 % at n_holdout =
    n_equiv.

    >>> round(region_threshold(0.2, 0.1), 4)
    0.6931
    """
    if not (fraction_gen > 0 and fraction_holdout > 0):
        return 0.0
    return float(np.log(fraction_gen / fraction_holdout))


def holdout_for(n_equiv: float, precision: float = 0.3, level: float = 0.68) -> float:
    """Holdout events that fix n_equiv to a relative half-width of the interval: n_equiv (z / (K1
    precision))^2, 15 n_equiv for 30 % at 68 %.

    >>> round(holdout_for(100.0))
    1456
    """
    return float(n_equiv * (ndtri((1 + level) / 2) / (K1 * precision)) ** 2)


def _assembled(
    xp: Any, distance: Interval, n_gen: Any, n_holdout: Any, n_train: Any, *, learned: bool
) -> DifferentialEstimate:
    """The estimate from D with its ends, and from the effective numbers of generated and holdout
    events, of each region.
    """
    enough = xp.minimum(n_gen, n_holdout) >= MIN_EVENTS
    n_equiv = Interval(
        _equivalent(xp, distance.value, np.nan),
        xp.zeros_like(distance.high) if learned else _equivalent(xp, distance.high, np.inf),
        _equivalent(xp, distance.low, np.inf),
    )
    n_equiv = n_equiv._replace(low=xp.where(enough, n_equiv.low, 0.0))
    finite = xp.isfinite(n_equiv.high)
    # a limit has no number beside it
    quoted = xp.zeros_like(finite) if learned else finite
    n_equiv = n_equiv._replace(value=xp.where(quoted, n_equiv.value, np.nan))
    limited = Status.UPPER_LIMIT if learned else Status.RESOLVED
    unlimited = Status.UNRESOLVED if learned else Status.LOWER_LIMIT
    status = xp.where(enough, xp.where(finite, limited, unlimited), Status.UNRESOLVED)

    trained = xp.broadcast_to(xp.asarray(n_train, float), distance.value.shape)
    known = trained > 0
    unknown = (np.nan, 0.0, np.inf)
    factor = [
        xp.where(known, n / xp.where(known, trained, 1.0), otherwise)
        for n, otherwise in zip(n_equiv, unknown, strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        at_n_gen = 1 / (1 / n_equiv.value + 1 / n_gen)
    return DifferentialEstimate(
        distance=distance,
        n_equiv=n_equiv,
        n_equiv_at_n_gen=at_n_gen,
        factor=Interval(*factor),
        n_gen=n_gen,
        n_holdout=n_holdout,
        status=status,
    )


def _equivalent(xp: Any, distance: Any, otherwise: float) -> Any:
    """(K1 / D)^2 of a positive distance."""
    positive = distance > 0
    return xp.where(positive, (K1 / xp.where(positive, distance, 1.0)) ** 2, otherwise)


def _effective(xp: Any, counts: Counts) -> Any:
    """Events, effective ones of weights; none where weights do not sum to a positive number."""
    positive = counts.total > 0
    if is_traced(positive) or positive:
        return xp.where(positive, counts.n_effective, 0.0)
    return xp.asarray(0.0)


def _masks(xp: Any, inside: Any) -> list[Any]:
    """One mask per region; None is everything."""
    return [None] if inside is None else list(xp.asarray(inside, bool).T)


def _cut(xp: Any, t: Any, weight: Any, inside: Any) -> tuple[Any, Any]:
    """The values and weights in a region. Where shapes must not depend on values, all values stay
    and those outside weigh nothing.
    """
    if weight is not None:
        weight = xp.asarray(weight, float)
    if inside is None:
        return t, weight
    if xp is np:
        return t[inside], None if weight is None else weight[inside]
    return t, inside.astype(np.int32) if weight is None else weight * inside


def _checked(xp: Any, name: str, t: Any, weight: Any, inside: Any) -> Any:
    values = xp.asarray(t)
    if values.ndim != 1:
        fix = "repair the summary"
        raise InputError(name, "finite numbers, one per event", f"shape {values.shape}", fix)
    for label, other in (("weights", weight), ("inside", inside)):
        if other is not None and len(other) != len(values):
            fix = "give one for each event"
            raise InputError(f"{label} of {name}", f"{len(values)} rows", str(len(other)), fix)
    if is_traced(values):
        return values
    infinite = int((~np.isfinite(np.asarray(values))).sum())
    if infinite:
        got = f"{infinite} values that are not"
        raise InputError(name, "finite numbers, one per event", got, "repair the summary")
    if weight is not None and not np.isfinite(np.asarray(weight)).all():
        raise InputError(f"weights of {name}", "finite numbers", "nan or infinity", "repair them")
    return values


def weight_correlation(t: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> float:
    """Rank correlation of weights and summary; 0 for constant weights. Calibrated KS is too wide
    awake where it is large (docs/method, Differential amplification).
    """
    from scipy.stats import rankdata  # which takes half a second to import

    if np.ptp(weight) == 0 or np.ptp(t) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(t), rankdata(weight))[0, 1])
