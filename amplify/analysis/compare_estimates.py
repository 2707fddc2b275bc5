"""Each generator in each statistic: p-value, equivalent true events, all statistics together; which
generator is closer to the truth; what would have been noticed.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from amplify.analysis.compare_question import CompareQuestion
from amplify.analysis.compare_resolution import resolution
from amplify.estimators.combined import combined
from amplify.estimators.equivalent import EquivalentEstimate, equivalent_events
from amplify.estimators.null_curve import Curve, null_curve
from amplify.estimators.paired import ranking
from amplify.estimators.permutations import Null, permute
from amplify.progress import Progress, silent
from amplify.results.comparisons import METHOD
from amplify.types import Events

EXPERIMENTS = 200  # of each scale of the difference, and of all generators together
QUOTED = "cauchy"  # combination of p-values that the verdict tells: no ties of many statistics

Record = dict[str, Any]


class Compared(NamedTuple):
    """What was found in all statistics.

    Attributes:
        nulls: of each generator, by statistic, of the events that all statistics look at.
        estimates: the same, in equivalent true events.
        streamed: estimates of statistics that looked at all events of larger samples.
        larger: their nulls.
        curves: the yardstick of each statistic, for each generator.
        seconds: that each statistic took.
    """

    nulls: list[dict[str, Null]]
    estimates: list[dict[str, EquivalentEstimate]]
    streamed: list[dict[str, EquivalentEstimate]]
    larger: list[dict[str, Null]]
    curves: list[dict[str, Curve]]
    seconds: dict[str, float]


def compared(
    question: CompareQuestion,
    generated: Sequence[Events],
    holdout: Events,
    *,
    progress: Progress = silent,
) -> Compared:
    """All statistics of all generators, from the same permutations.

    Args:
        question: what is asked.
        generated: events of each generator, as many as all statistics look at.
        holdout: the same of the holdout.
        progress: watches.
    """
    nulls, estimates, streamed, larger, curves = ([{} for _ in generated] for _ in range(5))
    found = Compared(nulls, estimates, streamed, larger, curves, {})
    sizes = {statistic.most for statistic in question.chosen}
    with progress("statistics", total=len(question.chosen) * len(generated)) as bar:
        for statistic in question.chosen:
            start = time.perf_counter()
            for place, events in enumerate(generated):
                bar.count(sum(map(len, estimates)), note=statistic.title)
                null = permute(
                    [statistic],
                    events.x,
                    holdout.x,
                    weight_gen=events.weight,
                    weight_holdout=holdout.weight,
                    permutations=question.permutations,
                    seed=question.seed,
                    sizes=sizes,
                )[statistic.name]
                curve = null_curve(null, experiments=EXPERIMENTS, seed=question.seed)
                found.curves[place][statistic.name] = curve
                found.nulls[place][statistic.name] = null
                found.estimates[place][statistic.name] = _worth(question, null, curve)
            found.seconds[statistic.name] = time.perf_counter() - start
    return found


def with_all_events(
    question: CompareQuestion, found: Compared, place: int, nulls: Mapping[str, Null]
) -> None:
    """Adds the estimates of statistics that looked at all events of a generator."""
    for name, null in nulls.items():
        curve = found.curves[place][name]
        found.streamed[place][name] = _worth(question, null, curve)
        found.larger[place][name] = null


def _worth(question: CompareQuestion, null: Null, curve: Curve) -> EquivalentEstimate:
    return equivalent_events(
        null,
        curve,
        level=question.level,
        limit_level=question.limit_level,
        experiments=EXPERIMENTS,
    )


def records(
    question: CompareQuestion, found: Compared, n_gen: Sequence[int], n_holdout: int
) -> list[Record]:
    """One for each generator and statistic, as results.json has them.

    Args:
        question: what is asked.
        found: the estimates.
        n_gen: events of each generated sample, all of them.
        n_holdout: of the holdout.
    """
    made = []
    for place, name in enumerate(question.names):
        for statistic in question.chosen:
            of_some = found.estimates[place][statistic.name]
            estimate = found.streamed[place].get(statistic.name, of_some)
            n_train = question.n_train[place]
            factor = estimate.factor(n_train)
            made.append(
                {
                    "method": METHOD,
                    "region": "all",
                    "generator": name,
                    "statistic": statistic.name,
                    "title": statistic.title,
                    "value": float(estimate.quoted),
                    "p": estimate.p,
                    "z": estimate.z,
                    "streamed": estimate is not of_some,
                    "score": statistic.signed,
                    "distance": float(estimate.distance.value),
                    "distance_interval": _ends(estimate.distance),
                    "n_train": n_train,
                    "n_gen": n_gen[place],
                    "n_holdout": n_holdout,
                    "n_gen_used": float(estimate.n_gen),
                    "n_holdout_used": float(estimate.n_holdout),
                    "n_equiv": float(estimate.n_equiv.value),
                    "n_equiv_interval": _ends(estimate.n_equiv),
                    "n_equiv_bounds": [float(end) for end in estimate.bounds],
                    "level": question.level,
                    "limit_level": question.limit_level,
                    "amplification": float(factor.value),
                    "amplification_interval": _ends(factor),
                    "status": estimate.status.name.lower(),
                }
            )
    return made


def of_generators(question: CompareQuestion, found: Compared, n_gen: Sequence[int]) -> list[Record]:
    """All statistics together, for each generator: of the events that all of them look at, so that
    their permutations are the same.
    """
    made = []
    for place, name in enumerate(question.names):
        together = combined(found.nulls[place])
        made.append(
            {
                "name": name,
                "n_train": question.n_train[place],
                "n_gen": n_gen[place],
                "p_combined": together[QUOTED].p,
                "z_combined": together[QUOTED].z,
                "combinations": {rule: each.p for rule, each in together.items()},
            }
        )
    return made


def of_statistics(
    question: CompareQuestion, found: Compared, *, progress: Progress = silent
) -> list[Record]:
    """What each statistic would have noticed at this holdout, and how long it took."""
    made = []
    with progress("resolution", total=len(question.chosen)) as bar:
        for statistic in question.chosen:
            bar.count(len(made), note=statistic.title)
            null = found.nulls[0][statistic.name]
            seen = resolution(null, limit_level=question.limit_level, seed=question.seed)
            made.append(
                {
                    "name": statistic.name,
                    "title": statistic.title,
                    "score": statistic.signed,
                    "tv_50": seen.tv_50,
                    "tv_90": seen.tv_90,
                    "chance_at_1_percent": seen.asked,
                    "threshold": _threshold(null, question.limit_level),
                    "yardstick": found.curves[0][statistic.name].source,
                    "seconds": found.seconds[statistic.name],
                }
            )
    return made


def pairs_of(question: CompareQuestion, found: Compared) -> list[Record]:
    """Which of two generators is closer to the truth, in each statistic."""
    made: list[Record] = []
    if len(question.names) < 2:
        return made
    for statistic in question.chosen:
        nulls = [nulls[statistic.name] for nulls in found.nulls]
        estimates = [each[statistic.name] for each in found.estimates]
        ranked = ranking(nulls, estimates, experiments=EXPERIMENTS, seed=question.seed)
        for i, j in combinations(range(len(nulls)), 2):
            closer, farther = (i, j) if ranked.sigma[i, j] >= 0 else (j, i)
            made.append(
                {
                    "statistic": statistic.name,
                    "title": statistic.title,
                    "closer": question.names[closer],
                    "farther": question.names[farther],
                    "distances": [float(ranked.distance[k]) for k in (closer, farther)],
                    "sigma": abs(float(ranked.sigma[i, j])),
                    "first": [float(ranked.first[k]) for k in (closer, farther)],
                }
            )
    return made


def _threshold(null: Null, limit_level: float) -> float | None:
    """The field's number that equal densities exceed once in 1 / (1 - limit_level) times; none of a
    score, which has two sides.
    """
    if null.statistic.signed:
        return None
    quantile = float(np.quantile(null.permuted, limit_level))
    return float(null.statistic.quoted(quantile, null.pool))


def _ends(interval: Any) -> list[float]:
    return [float(interval.low), float(interval.high)]
