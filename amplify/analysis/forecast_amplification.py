"""A forecast of amplification from the training data alone: the same generator is trained on
disjoint subsamples, each training is tested on the events that it has not seen, and power laws
extrapolate to all events and beyond (docs/method, Forecast from the training data alone).

The forecast is for a typical training, not for a network in hand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.analysis.default_regions import make_layout
from amplify.analysis.forecast_estimates import averaging_at, distance_at, enough, region_view
from amplify.analysis.forecast_goals import MOST, Goals, check_reach
from amplify.analysis.subsample_looks import Looks, looked_at
from amplify.analysis.subsample_trainings import (
    TRAININGS,
    Trained,
    by_function,
    by_generator,
    planned,
)
from amplify.errors import InputError
from amplify.estimators.subsamples import integral_trends
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
from amplify.types import Events, Generator

_STEPS = 25  # sizes for each factor of ten where a goal is looked for
_CURVE = 33  # sizes that pictures show


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
        if enough(inside, n)
        else None
        for r, inside in enumerate(looks.inside.T)
    ]
    share, _ = zip(*(looks.subsamples.shares(inside) for inside in looks.inside.T), strict=True)
    integral = np.array([each.mean() for each in share])
    views = [
        region_view(label, trend, i, goals, n_train, grid, curve)
        for label, trend, i in zip(labels, trends, integral, strict=True)
    ]
    common: dict[str, Any] = {"level": goals.level, "limit_level": goals.limit_level}
    tested = int(looks.subsamples.tested.sum(axis=1).min())
    trainings = len(looks.subsamples.size)
    estimate = averaging_at(trends, integral, goals, n_train)
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
        made, distance = distance_at(looks, goals, n, n_train, grid, curve)
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
