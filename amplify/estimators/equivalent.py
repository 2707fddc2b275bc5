"""Any two-sample statistic in equivalent true events (docs/method, One scale for every statistic).

n true events have E[T] = c n^(-k / 2) to the truth, with k the degree of the statistic T in the
difference. The distance D of the generated density to the truth, both samples' noise taken out, is
that of n_equiv = (c / D)^(2 / k) true events. c is found by relabelling true events, and D by
comparing the observed T with that of known differences: the observed one on all scales, with the
noise of a relabelling on top.
"""

from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.estimators.null_curve import NEVER, Curve, null_curve
from amplify.estimators.permutations import Null, permute
from amplify.estimators.scales import Experiments, Target, scales_of, shape_noise
from amplify.estimators.statistics import STATISTICS
from amplify.estimators.statistics.protocol import Statistic
from amplify.estimators.variance import check_limit_level
from amplify.progress import Progress, silent
from amplify.types import Bounds, Interval, Status

_NOTHING = Interval(np.nan, 0.0, np.inf)


class EquivalentEstimate(NamedTuple):
    """What a generated sample is worth in a statistic.

    Attributes:
        statistic: its name.
        quoted: its number as the field quotes it.
        p: of the permutations.
        z: the same in standard deviations.
        distance: D, of the generated density to the truth in this statistic.
        n_equiv: true events whose mean T to the truth is D.
        bounds: of n_equiv, one-sided, each at the limit level.
        status: RESOLVED, or LOWER_LIMIT where T is compatible with no difference, and where the
            statistic learns from the events that it is tested on: then n_equiv has
            no value and no upper end, and exceeds its lower end at the limit level. UNRESOLVED
            where T is the same for all true events, so that they are no yardstick.
        found: D as it is found, also where it may be chance.
        scale: of the observed difference, at which its experiments have the observed median.
        curve: the yardstick.
        n_gen: generated events that were compared, effective ones for weights.
        n_holdout: the same of the holdout.
    """

    statistic: str
    quoted: float
    p: float
    z: float
    distance: Interval
    n_equiv: Interval
    bounds: Bounds
    status: Status
    found: float
    scale: float
    curve: Curve
    n_gen: float
    n_holdout: float

    def factor(self, n_train: float) -> Interval:
        """Amplification G = n_equiv / n_train."""
        return Interval(*(end / n_train for end in self.n_equiv))


def equivalent_sample_size(
    statistic: Statistic | str,
    generated: Any,
    holdout: Any,
    *,
    weight_gen: Any = None,
    weight_holdout: Any = None,
    level: float = 0.68,
    limit_level: float = 0.95,
    permutations: int = 1000,
    experiments: int = 400,
    seed: int = 0,
    progress: Progress = silent,
) -> EquivalentEstimate:
    """How many true events a generated sample is worth in any two-sample statistic.

    It is about the density behind the sample, as if n_gen were infinite; the noise of both samples
    is in the interval.

    >>> rng = np.random.default_rng(0)
    >>> generated, holdout = rng.normal(0.3, 1, (2000, 1)), rng.normal(0, 1, (2000, 1))
    >>> found = equivalent_sample_size("mean_ks", generated, holdout, permutations=200)
    >>> bool(found.n_equiv.low < (0.8687 / 0.11924) ** 2 < found.n_equiv.high)  # the truth
    True

    Args:
        statistic: its name, or one of your own.
        generated: events of the generator [n, dim].
        holdout: true events that it was not trained on [m, dim].
        weight_gen: event weights [n], or None.
        weight_holdout: the same of the holdout.
        level: of the interval.
        limit_level: of limits, one-sided.
        permutations: for the p-value.
        experiments: pseudo-experiments at each scale of the difference, and at each n.
        seed: of everything random.
        progress: watches.

    Raises:
        InputError: samples of which no statistic can be made, no such statistic, levels that are
            none.
    """
    _check(level, limit_level)
    if isinstance(statistic, str):
        statistic = named(statistic)
    samples: dict[str, Any] = {"weight_gen": weight_gen, "weight_holdout": weight_holdout}
    settings = samples | {"permutations": permutations, "seed": seed, "progress": progress}
    nulls = permute([statistic], generated, holdout, **settings)
    null = nulls[statistic.name]
    curve = null_curve(null, experiments=experiments, seed=seed)
    levels = {"level": level, "limit_level": limit_level}
    return equivalent_events(null, curve, **levels, experiments=experiments)


def named(name: str) -> Statistic:
    """The statistic of this name.

    Raises:
        InputError: there is none.
    """
    if name not in STATISTICS:
        raise InputError("statistic", " or ".join(STATISTICS), name, "choose one of them")
    return STATISTICS[name]


def equivalent_events(
    null: Null,
    curve: Curve,
    *,
    level: float = 0.68,
    limit_level: float = 0.95,
    experiments: int = 400,
) -> EquivalentEstimate:
    """The estimate from the permutations of a statistic and its yardstick.

    The difference s o + r, with o the observed difference and r that of a relabelling, is an
    experiment whose true difference is s o, at the distance T(s o). Of these s the one in whose
    experiments the observed T is the median gives the value, those in which it is a quantile give
    the ends. An observation below the median of no difference gives the upper end of that median
    (power constraint, arXiv:1105.3166).

    Args:
        null: of the generated sample against the holdout.
        curve: of the holdout.
        level: of the interval.
        limit_level: of limits, one-sided.
        experiments: of each s.

    Raises:
        InputError: levels that are none.
    """
    _check(level, limit_level)
    at_zero = null.away(null.permuted)
    observed = float(null.away(null.observed))
    if not (at_zero.max() > NEVER and np.isfinite(curve.constant).all()):
        return _estimate(null, curve, _NOTHING, _NOTHING, Bounds(0.0, np.inf), observed, 0.0)
    sensitive = max(observed, float(np.median(at_zero)))
    shown = float(np.quantile(at_zero, (1 + level) / 2))
    targets = [
        Target(0.5, observed),
        Target((1 + level) / 2, observed),
        Target((1 - level) / 2, sensitive),
        Target(1 - limit_level, shown),
        Target(limit_level, observed),
        Target(1 - limit_level, sensitive),
        Target(None, observed),
    ]
    drawn = Experiments(null, experiments)
    scales = scales_of(null, targets, drawn)
    resolved = bool(scales[1] > 0)
    found = scales[:-1] ** null.statistic.degree * observed
    if resolved:
        found = found * shape_noise(null, scales[-1], drawn)
    value, low, high, limit, least, most = found
    if null.statistic.signed:
        # an excess that is none by chance says nothing on any scale: noise is added to what it is
        noise = float(np.quantile(null.permuted - null.permuted.mean(), limit_level))
        limit, most = max(limit, shown + noise), max(most, sensitive + noise)
    distance = Interval(value if resolved else np.nan, low, high if resolved else limit)
    wide = 2 / curve.degree * curve.error  # of log n_equiv
    n = [float(curve.inverse(end)) for end in distance]
    n_equiv = Interval(
        n[0] if resolved else np.nan,
        _away(n[0], n[2], wide) if resolved else n[2] * np.exp(-wide),
        _away(n[0], n[1], wide) if resolved else np.inf,
    )
    bounds = Bounds(
        float(curve.inverse(most) * np.exp(-wide)), float(curve.inverse(least) * np.exp(wide))
    )
    if null.statistic.in_sample:
        distance, n_equiv, bounds = _at_most(most, n_equiv, bounds)
    return _estimate(null, curve, distance, n_equiv, bounds, float(value), float(scales[0]))


def _at_most(most: float, n_equiv: Interval, bounds: Bounds) -> tuple[Interval, Interval, Bounds]:
    """The same where D may be found too large: no value, and no upper end of n_equiv."""
    low = min(bounds.low, n_equiv.low)
    return Interval(np.nan, 0.0, most), Interval(np.nan, low, np.inf), Bounds(low, np.inf)


def _estimate(
    null: Null,
    curve: Curve,
    distance: Interval,
    n_equiv: Interval,
    bounds: Bounds,
    found: float,
    scale: float,
) -> EquivalentEstimate:
    status = Status.RESOLVED if np.isfinite(n_equiv.value) else Status.LOWER_LIMIT
    return EquivalentEstimate(
        null.statistic.name,
        null.quoted,
        null.p,
        null.z,
        distance,
        n_equiv,
        bounds,
        status if n_equiv.low > 0 else Status.UNRESOLVED,
        found,
        scale,
        curve,
        null.pool.n_gen,
        null.pool.n_holdout,
    )


def _check(level: float, limit_level: float) -> None:
    if not 0 < level < 1:
        raise InputError("level", "between 0 and 1", str(level), "0.68 is usual")
    check_limit_level(limit_level)


def _away(value: float, end: float, wide: float) -> float:
    """The end of an interval of a positive number, with another relative error added to it."""
    distance = np.log(end / value)
    return float(value * np.exp(np.sign(distance) * np.hypot(distance, wide)))
