"""What power laws through trainings on subsamples say at n_train, and at which number of training
events a goal is reached (docs/method, Forecast from the training data alone).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import gammaincc

from amplify.analysis.forecast_goals import Goals
from amplify.analysis.subsample_looks import Looks
from amplify.estimators.power_law import PowerLaw, first_size, fit_power_law
from amplify.estimators.subsamples import (
    FREE,
    IntegralTrends,
    Trend,
    distance_factor,
    distance_trend,
    variance_factor,
)
from amplify.types import AveragingEstimate, Bounds, DifferentialEstimate, Interval, Status

_FEWEST = 10.0  # training events expected inside and outside of a region
_FITS = 0.05  # probability of chi^2 below which an exponent is contradicted
_REGULAR, _REGULAR_DISTANCE = 1.0, 0.5  # exponents of a variance and of D in regular problems


def enough(inside: np.ndarray, n: int) -> bool:
    """Whether events enough fall inside of a region, and outside, to forecast anything."""
    return bool(min(inside.mean(), 1 - inside.mean()) * n >= _FEWEST)


def _ends(level: float) -> list[float]:
    return [0.5, (1 - level) / 2, (1 + level) / 2]


def _fits(law: PowerLaw, sizes: int) -> bool:
    """Whether its chi^2 is likely enough, of one parameter."""
    free = sizes - 1
    return bool(free < 1 or gammaincc(free / 2, law.chi_square / 2) >= _FITS)


def region_view(
    label: str,
    trends: IntegralTrends | None,
    integral: float,
    goals: Goals,
    n_train: int,
    grid: np.ndarray,
    curve: np.ndarray,
) -> dict[str, Any]:
    """What the forecast says of a region beyond its record."""
    nothing = {"for_factor": [None] * 3, "for_precision": [None] * 3, "bias": None}
    if trends is None:
        regular = {"exponent": _REGULAR, "amplification": None, "fits": True}
        return {"region": label, **nothing, "regular": regular}
    draws = trends.draws()
    middle, low, high = _ends(goals.level)

    def factor(q: float) -> Callable[[float], bool]:
        enough = integral * (1 - integral) / goals.factor
        return lambda n: float(np.quantile(draws.at(n), 1 - q)) <= enough / n

    def precise(q: float) -> Callable[[float], bool]:
        enough = (goals.precision * integral) ** 2
        return lambda n: float(np.quantile(draws.at(n), 1 - q)) <= enough

    # G may fall with n: what is looked for is more of it
    ahead = np.append(float(n_train), grid[grid > n_train])
    for_factor = [first_size(factor(q), ahead) for q in (middle, high, low)]
    for_precision = [first_size(precise(q), grid) for q in (middle, high, low)]
    variances = [np.quantile(draws.at(k), [middle, low, high]) for k in curve]
    sigma = np.sqrt(np.array(variances))
    regular = _with_regular_variance(trends)
    at_n = np.quantile(regular.draws().at(n_train), 0.5)
    return {
        "region": label,
        "for_factor": for_factor,
        "for_precision": for_precision,
        "bias": float(np.median(draws.bias.at(n_train))),
        "bias_trend": _trend_view(trends.bias),
        "variance_trend": _trend_view(trends.variance),
        "regular": {
            "exponent": _REGULAR,
            "amplification": float(variance_factor(at_n, integral, n_train)),
            "fits": _fits(regular.variance.law, len(regular.variance.size)),
        },
        "curve": {
            "n": curve,
            "sigma": sigma[:, 0],
            "sigma_low": sigma[:, 1],
            "sigma_high": sigma[:, 2],
        },
    }


def _with_regular_variance(trends: IntegralTrends) -> IntegralTrends:
    """The same with the variance falling as 1/n."""
    variance = trends.variance
    law = fit_power_law(
        variance.value,
        variance.size,
        np.diag(variance.error**2),
        n=variance.law.n,
        exponents=_REGULAR,
    )
    return trends._replace(variance=variance._replace(law=law))


def _trend_view(trend: Trend) -> dict[str, Any]:
    law = trend.law
    return {
        "size": trend.size,
        "value": trend.value,
        "error": trend.error,
        "exponent": np.quantile(law.draws().exponent, _ends(0.68)),
        "chi_square": law.chi_square,
    }


def averaging_at(
    trends: Sequence[IntegralTrends | None], integral: np.ndarray, goals: Goals, n_train: int
) -> AveragingEstimate:
    """The estimate at n_train; sigma_model has the bias in it."""
    tails = [*_ends(goals.level), 1 - goals.limit_level, goals.limit_level]
    quantiles = np.full((5, len(trends)), np.nan)
    status = np.full(len(trends), Status.UNRESOLVED, np.int32)
    bias = np.zeros(len(trends))
    for r, trend in enumerate(trends):
        if trend is None:
            continue
        draws = trend.draws()
        quantiles[:, r] = np.quantile(draws.at(n_train), tails)
        bias[r] = abs(float(np.median(draws.bias.at(n_train))))
        hidden = float((draws.variance.at(n_train) <= 0).mean()) > (1 - goals.level) / 2
        status[r] = Status.LOWER_LIMIT if hidden else Status.RESOLVED
    factor = np.stack([variance_factor(v, integral, n_train) for v in quantiles])
    value, low, high, least, most = factor[0], factor[2], factor[1], factor[4], factor[3]
    limited, nothing = status == Status.LOWER_LIMIT, status == Status.UNRESOLVED
    value = np.where(limited | nothing, np.nan, value)
    low = np.where(nothing, 0.0, np.where(limited, least, low))
    high = np.where(nothing | limited, np.inf, high)
    sigma = np.sqrt(quantiles[:3])
    n_equiv = Interval(value * n_train, low * n_train, high * n_train)
    unknown = np.full(len(trends), np.nan)
    return AveragingEstimate(
        integral=integral,
        sigma_stat=np.zeros(len(trends)),
        sigma_model=Interval(np.where(limited, np.nan, sigma[0]), sigma[1], sigma[2]),
        n_equiv=n_equiv,
        n_equiv_at_n_gen=n_equiv.value,
        pull=unknown,
        bias=bias,
        n_equiv_bias_aware=Interval(unknown, unknown, unknown),
        n_equiv_least=unknown,
        factor=Interval(value, low, high),
        bounds=Bounds(np.where(nothing, 0.0, least), np.where(nothing | limited, np.inf, most)),
        status=status,
    )


def distance_at(
    looks: Looks, goals: Goals, n: int, n_train: int, grid: np.ndarray, curve: np.ndarray
) -> tuple[DifferentialEstimate, dict[str, Any]]:
    """The estimate event by event, and what the forecast says beyond it."""
    sides = looks.sides
    assert sides is not None
    subsamples = looks.subsamples._replace(tested=sides.tested)
    exponents = FREE if goals.exponent is None else goals.exponent
    given = (subsamples, sides.low, sides.low_gen, sides.n_gen)
    trend = distance_trend(*given, n=n, exponents=exponents)
    regular = distance_trend(*given, n=n, exponents=_REGULAR_DISTANCE)
    draws = trend.law.draws()
    at_n = draws.at(n_train)
    tails = _ends(goals.level)
    value, low, high = np.quantile(at_n, tails)
    least, most = np.quantile(at_n, [1 - goals.limit_level, goals.limit_level])
    status = Status.RESOLVED if low > 0 else Status.LOWER_LIMIT
    if sides.learned:
        status = Status.UPPER_LIMIT if least > 0 else Status.UNRESOLVED
        low, high = least, 1.0
    factor = {name: distance_factor(d, n_train) for name, d in (("low", high), ("high", low))}
    exact = distance_factor(value, n_train) if status is Status.RESOLVED else np.nan
    if status is Status.LOWER_LIMIT:
        factor = {"low": distance_factor(most, n_train), "high": np.inf}
    if sides.learned:
        factor["low"] = 0.0
    interval = Interval(*(np.array([float(g)]) for g in (exact, factor["low"], factor["high"])))
    n_equiv = Interval(*(g * n_train for g in interval))
    estimate = DifferentialEstimate(
        distance=Interval(*(np.array([float(d)]) for d in (value, max(low, 0.0), high))),
        n_equiv=n_equiv,
        n_equiv_at_n_gen=n_equiv.value,
        factor=interval,
        n_gen=np.array([float(sides.n_gen.min())]),
        n_holdout=np.array([float(sides.tested.sum(axis=1).min())]),
        status=np.array([status], np.int32),
    )
    bands = np.array([np.quantile(draws.at(k), tails) for k in curve])
    ahead = np.append(float(n_train), grid[grid > n_train])

    def reaches(q: float) -> Callable[[float], bool]:
        return lambda k: bool(distance_factor(np.quantile(draws.at(k), 1 - q), k) >= goals.factor)

    regular_at = float(np.median(regular.law.draws().at(n_train)))
    view = _trend_view(trend) | {
        "for_factor": [first_size(reaches(q), ahead) for q in (tails[0], tails[2], tails[1])],
        "learned": sides.learned,
        "regular": {
            "exponent": _REGULAR_DISTANCE,
            "amplification": float(distance_factor(regular_at, n_train)),
            "fits": _fits(regular.law, len(regular.size)),
        },
        "curve": {
            "n": curve,
            "distance": bands[:, 0],
            "distance_low": bands[:, 1],
            "distance_high": bands[:, 2],
        },
    }
    return estimate, view
