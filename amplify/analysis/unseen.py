"""What members that were trained here are worth event by event: each against the training events
that its bootstrap sample left out (docs/method, Bias without a holdout).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.analysis.forecast import FEWEST_EVENTS, LEARNED_EVENTS
from amplify.estimators.out_of_bag import ON_ALL_EVENTS, OutOfBag, out_of_bag
from amplify.external.job import Job, read_job, stored_events
from amplify.external.protocol import training_rows
from amplify.results.records import finite
from amplify.results.refits import OUT_OF_BAG, out_of_bag_verdict
from amplify.summaries.default import learned_ratio
from amplify.tables import files
from amplify.types import Events

_MOST_TRUE = 100_000  # training events that are looked at


def unseen_views(directory: Path, members: Sequence[str], limit_level: float) -> dict[str, Any]:
    """The limit that out-of-bag events give, for results.json; nothing where events are few.

    Args:
        directory: where the members were trained on bootstrap samples.
        members: files of their events there.
        limit_level: of the limit, one-sided.
    """
    job = read_job(directory)
    x, weight = stored_events(directory, job)
    n = len(x)
    # a few of many events are enough
    kept = np.random.default_rng(job.seed).permutation(n)[:_MOST_TRUE]
    place = np.full(n, -1)
    place[kept] = np.arange(len(kept))
    rows = [place[training_rows(n, _number(m), job.seed, job.resample)] for m in members]
    generated = [_generated(member, job) for member in members]
    if min(len(kept) // 3, *(len(events.x) for events in generated)) < FEWEST_EVENTS:
        return {}
    train = Events(np.asarray(x[kept]), None if weight is None else np.asarray(weight[kept]))
    found = out_of_bag(learned_ratio(), generated, train, [r[r >= 0] for r in rows], seed=job.seed)
    return {OUT_OF_BAG: as_record(found, members=len(members), n_train=n, limit_level=limit_level)}


def as_record(found: OutOfBag, *, members: int, n_train: int, limit_level: float) -> dict[str, Any]:
    """What results.json says of it."""
    high = float(found.estimate(n_train=n_train, limit_level=limit_level).n_equiv.high[0])
    record = finite(
        {
            "members": members,
            "n_train": n_train,
            "distance": found.distance,
            "error": found.error,
            "n_unseen": found.n_unseen,
            "n_equiv_interval": [0.0, high],
            "n_equiv_on_all_events_interval": [0.0, ON_ALL_EVENTS * high],
            "limit_level": limit_level,
        }
    )
    return record | {"verdict": out_of_bag_verdict(record)}


def _number(member: str) -> int:
    """Of a member, from the name of its file."""
    return int(Path(member).stem.removeprefix("member_"))


def _generated(member: str, job: Job) -> Events:
    """Some of a member's events, in no order."""
    table = files.open_sample([member])
    weight = job.weight_column if job.weight_column in table.columns else None
    events = files.spread(files.select(table, job.columns, weight), LEARNED_EVENTS)
    table.close()
    return events.take(np.random.default_rng(_number(member)).permutation(len(events.x)))
