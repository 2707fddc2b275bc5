"""Members of one training procedure beside their pool: each by itself against the holdout, and each
against the pool of the others, without it.
"""

from collections.abc import Sequence
from typing import Any

from amplify.analysis.forecast import FEWEST_EVENTS, as_record, learned_apart
from amplify.analysis.questions import DifferentialQuestion
from amplify.progress import Progress
from amplify.results.pools import EACH, FORECAST, each_verdict
from amplify.types import Events


def views_of_members(
    question: DifferentialQuestion,
    records: Sequence[dict[str, Any]],
    events: Sequence[Events],
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """What results.json says of them, and warnings.

    Args:
        question: what was asked.
        records: of each member by itself, against the holdout.
        events: some of each member, in the columns that are looked at.
        progress: of the learning.
    """
    of_each: dict[str, Any] = {"members": list(records)}
    views = {EACH: of_each | {"verdict": each_verdict(of_each)}}
    if min(len(e.x) for e in events) >= FEWEST_EVENTS and events[0].x.shape[1]:
        kind = "bootstrap" if question.members == "bootstrap" else "same_data"
        views[FORECAST] = as_record(
            {kind: learned_apart(events, seed=question.seed, progress=progress)},
            n_train=question.n_train,
            learned=True,
            level=question.level,
            limit_level=question.limit_level,
        )
    notes = []
    if len({record["n_gen"] for record in records}) > 1:
        what = "members have different numbers of events"
        notes.append(f"{what}: the pool has more from those that generated more")
    return views, notes
