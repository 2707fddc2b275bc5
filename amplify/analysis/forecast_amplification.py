"""A forecast of amplification from the training data alone: the same generator is trained on
disjoint subsamples, each training is tested on the events that it has not seen, and power laws
extrapolate to all events and beyond (docs/method, Forecast from the training data alone).

The forecast is for a typical training, not for a network in hand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import gammaincc

from amplify import regions as rg
from amplify.analysis.default_regions import make_layout
from amplify.analysis.questions import check_level, check_limit
from amplify.analysis.subsample_looks import Looks, looked_at
from amplify.analysis.subsample_trainings import (
    TRAININGS,
    Trained,
    by_function,
    by_generator,
    planned,
)
from amplify.errors import InputError
from amplify.estimators.power_law import PowerLaw, first_size, fit_power_law
from amplify.estimators.subsamples import (
    FREE,
    IntegralTrends,
    Trend,
    distance_factor,
    distance_trend,
    integral_trends,
    variance_factor,
)
from amplify.external.protocol import training_events
from amplify.progress import Progress, silent
from amplify.results.forecasts import (
    FORECAST,
    distance_verdict,
    forecast_verdict,
    region_verdict,
    text_rows,
)
from amplify.results.records import finite
from amplify.results.result import Answer, Result
from amplify.summaries import Learner, LogProb
from amplify.text import harmless
from amplify.types import (
    AveragingEstimate,
    Bounds,
    DifferentialEstimate,
    Events,
    Generator,
    Interval,
    Status,
)

MOST = 1000  # times the training events, beyond which nothing is extrapolated
_STEPS = 25  # sizes for each factor of ten where a goal is looked for
_FEWEST = 10.0  # training events expected inside and outside of a region
_FITS = 0.05  # probability of chi^2 below which an exponent is contradicted
_CURVE = 33  # sizes that pictures show
_REGULAR, _REGULAR_DISTANCE = 1.0, 0.5  # exponents of a variance and of D in regular problems


@dataclass(frozen=True)
class Goals:
    """What a forecast is asked for.

    Attributes:
        factor: a G that is wanted.
        precision: a relative error of integrals that is wanted.
        n_train: training events that it is for; None for those at hand.
        exponent: of D, where it is known; free otherwise.
        level: of two-sided intervals.
        limit_level: of limits, one-sided.
    """

    factor: float = 10.0
    precision: float = 0.01
    n_train: int | None = None
    exponent: float | None = None
    level: float = 0.68
    limit_level: float = 0.95

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            InputError: a number out of its range.
        """
        check_level(self.level)
        check_limit(self.limit_level)
        for what, value in (("factor", self.factor), ("precision", self.precision)):
            if not 0 < value < np.inf:
                fix = "10 and 0.01 are usual"
                expected = "a number above zero"
                raise InputError(f"--target-{what}", expected, f"{value:g}", fix)
        if self.n_train is not None and self.n_train < 1:
            fix = "leave it out for the training events at hand"
            raise InputError("--n-train", "at least 1", str(self.n_train), fix)
        if self.exponent is not None and not 0 <= self.exponent <= 1:
            fix = "0.5 is that of a fit of parameters; leave it out where it is not known"
            raise InputError("--exponent", "between 0 and 1", f"{self.exponent:g}", fix)


@dataclass(frozen=True, repr=False)
class AmplificationForecast(Result):
    """What a generator trained on n_train events will be worth: a `Result` whose numbers are those
    at n_train, and whose view "forecast" holds the curves.

    Attributes:
        goals: what was asked for, as results.json has it.
    """

    goals: Mapping[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The `estimates` of results.json, with verdicts of a forecast."""
        view = self.views[FORECAST]
        places = iter(view["regions"])
        found = []
        for record in super().records:
            if record["method"] == "averaging":
                said = region_verdict(record, next(places), view["goals"])
            else:
                said = distance_verdict(record, view["distance"])
            found.append(record | {"verdict": said})
        return found

    @property
    def verdict(self) -> str:
        """The forecast in one or two sentences."""
        return forecast_verdict(self.records, self.views[FORECAST])

    def __str__(self) -> str:
        """Table, warnings, verdict."""
        records = self.records
        lines = [text_rows(records, self.views[FORECAST]), self._columns()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [forecast_verdict(records, self.views[FORECAST])]
        return harmless("\n".join(line for line in lines if line))


def forecast_amplification(
    generator: Generator | Callable[..., Any] | Iterable[Trained],
    x: Any,
    *,
    weight: Any = None,
    regions: rg.Regions | None = None,
    bins: int | None = None,
    names: Sequence[str] | None = None,
    parts: Sequence[int] | None = None,
    trainings: int = TRAININGS,
    n_gen: int | None = None,
    config: Callable[[int], Any] | None = None,
    differential: bool = True,
    log_prob_true: LogProb | None = None,
    learner: Learner | None = None,
    goals: Goals = Goals(),
    seed: int = 0,
    progress: Progress = silent,
) -> AmplificationForecast:
    """What a generator will be worth that is trained on x, or on more: from trainings on subsamples
    of x alone, without a holdout (docs/method, Forecast from the training data alone).

    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> from amplify.regions import column, tail
    >>> from amplify.training.fit import FitConfig
    >>> x = np.random.default_rng(0).normal(size=(4000, 1))
    >>> steps = lambda n: FitConfig(steps=100, learning_rate=0.1)
    >>> positive = tail(column(0), 0.0, "x")
    >>> forecast = forecast_amplification(
    ...     fitted_gaussian(1), x, regions=positive, config=steps, differential=False
    ... )
    >>> low, high = forecast.records[0]["amplification_interval"]
    >>> low < np.pi / 2 < high  # the truth
    True

    Args:
        generator: one of JAX; a function `fit(x_train, seed) -> sample(n, seed)`, in any framework;
            or trainings on subsamples that were made elsewhere.
        x: training events [n, dim]; for trainings that do not say what they have seen, events that
            none of them has.
        weight: of the events [n].
        regions: where integrals are forecast; default ten equiprobable bins of each column and its
            tails.
        bins: this many equiprobable bins of each column instead.
        names: of the columns, for labels.
        parts: sizes of subsamples are n over these; default 64, 32, 16, 8, 4, 2, without sizes
            below 100.
        trainings: of each size at most; the subsamples of a size are disjoint, so there are only 2
            of n/2.
        n_gen: events that each generates; default 4 for each training event, at least 20000.
        config: of a Generator: training events -> `FitConfig`.
        differential: forecast event by event too.
        log_prob_true: log density of the truth, where it is known. Without it a ratio is learned,
            which misses a part: then only "worth fewer than" is claimed.
        learner: of the ratio; default `learned_ratio`.
        goals: the G and the precision that are wanted, and for which n_train.
        seed: of subsamples and trainings.
        progress: of the trainings.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    goals.check()
    x, weight = training_events(x, weight)
    true = Events(x, weight)
    names = [f"x{i}" for i in range(x.shape[1])] if names is None else list(names)
    notes: Sequence[str] = ()
    if regions is None:
        regions, notes = default_regions(true, names, bins)
    if isinstance(generator, Generator) or callable(generator):
        plan = planned(len(x), parts=parts, trainings=trainings, n_gen=n_gen, seed=seed)
        if isinstance(generator, Generator):
            made = by_generator(generator, x, weight, plan, config=config, progress=progress)
        else:
            made = by_function(generator, x, weight, plan, progress=progress)
    else:
        made = generator
    looks = looked_at(
        made,
        true,
        regions,
        log_prob_true=log_prob_true,
        learner=learner,
        differential=differential,
        seed=seed,
    )
    return answer(looks, regions.labels, goals, n=len(x), seed=seed, warnings=notes, names=names)


def default_regions(
    true: Events, names: Sequence[str], bins: int | None = None
) -> tuple[rg.Regions, list[str]]:
    """Equiprobable bins of each column and its tails, and what is to be said of them.

    Args:
        true: events whose quantiles are the edges.
        names: of the columns.
        bins: of each column; ten, and tails, by default.

    Raises:
        InputError: no column has values enough for bins.
    """
    layout = make_layout(
        true,
        names,
        n_train=len(true.x),
        bins=bins,
        named=None,
        map_columns=None,
        pictures=False,
    )
    if not layout.regions.labels:
        got = f"one value in {', '.join(names)}"
        raise InputError("columns", "some with values to bin", got, "name others, or --regions")
    return layout.regions, list(layout.notes)


def check_reach(n_train: int | None, n: int) -> None:
    """Refuses to extrapolate too far.

    Args:
        n_train: training events that the forecast is for.
        n: those at hand.

    Raises:
        InputError: more than a thousand times as many.
    """
    if n_train is not None and n_train > MOST * n:
        expected = f"at most {MOST} times the {n} events at hand"
        raise InputError("--n-train", expected, str(n_train), "nothing is known of so many")


def answer(
    looks: Looks,
    labels: Sequence[str],
    goals: Goals,
    *,
    n: int,
    seed: int = 0,
    warnings: Sequence[str] = (),
    names: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    inputs: Sequence[Mapping[str, Any]] = (),
) -> AmplificationForecast:
    """The forecast from what was kept of the trainings.

    Args:
        looks: at all trainings.
        labels: of the regions.
        goals: what is asked for.
        n: training events at hand.
        seed: of the trainings.
        warnings: one line each.
        names: of the columns.
        settings: more of what was asked.
        inputs: files that were read.
    """
    n_train = goals.n_train or n
    check_reach(n_train, n)
    most = float(MOST * n)
    smallest = float(looks.subsamples.sizes[0])
    span = np.log10(most / smallest)
    grid = np.geomspace(smallest, most, max(int(_STEPS * span), 2))
    curve = np.geomspace(smallest, max(10.0 * n, 2.0 * n_train), _CURVE)
    trends = [
        integral_trends(looks.subsamples, looks.integral[:, r], looks.noise[:, r], inside, n=n)
        if _enough(inside, n)
        else None
        for r, inside in enumerate(looks.inside.T)
    ]
    share, _ = zip(*(looks.subsamples.shares(inside) for inside in looks.inside.T), strict=True)
    integral = np.array([each.mean() for each in share])
    views = [
        _region_view(label, trend, i, goals, n_train, grid, curve)
        for label, trend, i in zip(labels, trends, integral, strict=True)
    ]
    common: dict[str, Any] = {"level": goals.level, "limit_level": goals.limit_level}
    tested = int(looks.subsamples.tested.sum(axis=1).min())
    trainings = len(looks.subsamples.size)
    estimate = _averaging(trends, integral, goals, n_train)
    answers = [
        Answer(
            estimate,
            tuple(labels),
            n_train=n_train,
            n_gen=looks.n_gen,
            n_holdout=tested,
            members=trainings,
            **common,
        )
    ]
    distance = None
    if looks.sides is not None:
        made, distance = _distance(looks, goals, n, n_train, grid, curve)
        summary = "learned likelihood ratio" if looks.sides.learned else "exact likelihood ratio"
        least = int(looks.sides.tested.sum(axis=1).min())
        n_all, n_gen = np.array([n_train]), looks.n_gen
        answers.append(
            Answer(made, ("all",), n_all, n_gen, least, summary=summary, members=None, **common)
        )
    said = {"factor": goals.factor, "precision": goals.precision, "most": most}
    counts = [[float(k), int((looks.subsamples.size == k).sum())] for k in looks.subsamples.sizes]
    view = {
        "n_events": n,
        "n_train": n_train,
        "trainings": counts,
        "goals": said,
        "regions": views,
        "distance": distance,
    }
    asked = {
        "n_train": n_train,
        "columns": list(names),
        "goals": said,
        "exponent": goals.exponent,
        **common,
        "seed": seed,
    }
    return AmplificationForecast(
        answers=tuple(answers),
        settings=asked | dict(settings or {}),
        inputs=tuple(inputs),
        warnings=tuple(warnings),
        views={FORECAST: finite(view)},
        seed=seed,
        goals=said,
    )


def _enough(inside: np.ndarray, n: int) -> bool:
    return bool(min(inside.mean(), 1 - inside.mean()) * n >= _FEWEST)


def _ends(level: float) -> list[float]:
    return [0.5, (1 - level) / 2, (1 + level) / 2]


def _fits(law: PowerLaw, sizes: int) -> bool:
    """Whether its chi^2 is likely enough, of one parameter."""
    free = sizes - 1
    return bool(free < 1 or gammaincc(free / 2, law.chi_square / 2) >= _FITS)


def _region_view(
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


def _averaging(
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


def _distance(
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
