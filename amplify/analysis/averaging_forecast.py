"""What a member is worth event by event, beside what it is worth for integrals: without a holdout,
from the members that a question of averaging is about.
"""

from typing import Any

from amplify.analysis.forecast import (
    LEARNED_EVENTS,
    as_record,
    forecast_without_holdout,
    learned_apart,
)
from amplify.analysis.opened_members import Prepared
from amplify.analysis.questions import AveragingQuestion
from amplify.progress import Progress
from amplify.results.pools import FORECAST
from amplify.tables import files
from amplify.types import Events


def ensemble_forecast(question: AveragingQuestion, ensemble: Any, key: Any) -> dict[str, Any]:
    """What a member of an ensemble that knows its density is worth event by event."""
    if getattr(ensemble.generator, "log_prob", None) is None:
        return {}
    found = forecast_without_holdout(
        ensemble,
        n_train=question.n_train,
        same_data=question.same_data,
        key=key,
        level=question.level,
        limit_level=question.limit_level,
        seed=question.seed,
    )
    return {FORECAST: found.record}


def learned_forecast(
    question: AveragingQuestion, prepared: Prepared, progress: Progress
) -> dict[str, Any]:
    """The same of events, in a learned ratio of the columns that are looked at."""
    found = {}
    for kind, members in (("bootstrap", prepared.members), ("same_data", prepared.same_data)):
        if members:
            loaded = [files.spread(s, LEARNED_EVENTS) for s in members]
            names = slice(len(prepared.names))
            events = [Events(e.x[:, names], e.weight) for e in loaded]
            found[kind] = learned_apart(events, seed=question.seed, progress=progress)
    levels = {"level": question.level, "limit_level": question.limit_level}
    return {FORECAST: as_record(found, n_train=question.n_train, learned=True, **levels)}
