"""Averaging amplification of conditional generators: fractions of the events at one condition, at a
common distribution of it (docs/method, Conditional generators).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify.analysis import samples
from amplify.analysis.averaging_estimate import (
    binnings_of,
    panels_of,
    pooled_worth,
    with_bias,
)
from amplify.analysis.averaging_warnings import about_truth, averaging_warnings
from amplify.analysis.conditions import condition_record
from amplify.analysis.in_regions import (
    EVENTS,
    MOST_REGIONS,
    members_in_regions,
    overlaps,
    together,
)
from amplify.analysis.opened_members import Prepared, some_events
from amplify.analysis.questions import AveragingQuestion
from amplify.analysis.strata_sums import (
    Layouts,
    StrataSums,
    at_each_condition,
    condition_share,
    count_strata,
)
from amplify.errors import EmptyRegionError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.bias import squared_bias_of_marked
from amplify.estimators.pooled import pooled_amplification
from amplify.estimators.same_data import Agreement, agreement
from amplify.progress import Progress
from amplify.results.calibration import transfer
from amplify.results.fit_inputs import BINNINGS, TOGETHER
from amplify.results.result import Answer, Result
from amplify.tables import files
from amplify.types import AveragingEstimate, Events, Holdout, Interval


def answer_at_condition(
    question: AveragingQuestion,
    prepared: Prepared,
    holdout: samples.Sample | None,
    *,
    failed: Sequence[Mapping[str, Any]] | None,
    bootstraps: bool,
    notes: Sequence[str],
    progress: Progress,
) -> Result:
    """Counts the samples stratum by stratum and estimates.

    Args:
        question: what is asked.
        prepared: samples at the same condition.
        holdout: true events as they were given, or None.
        failed: members whose training failed.
        bootstraps: the members are known to be trained on bootstrap samples.
        notes: warnings that are known already.
        progress: of the reading.
    """
    at = prepared.conditional
    assert at is not None
    every = [*at.members, *([] if at.holdout is None else [at.holdout])]
    every += [] if at.train is None else [at.train]
    with progress("reading events", total=sum(s.table.n for s in every)) as bar:
        counted = [count_strata(s, at.layouts, bar.advance) for s in every]
    events = some_events(at.members, EVENTS)
    train = None if at.train is None else counted.pop()
    true = None if at.holdout is None else counted.pop()
    answer, views, left_out, found = estimated_at(
        at.layouts,
        counted,
        true,
        train,
        n_train=question.n_train,
        level=question.level,
        limit_level=question.limit_level,
        named=question.regions is not None,
        events=events,
        transfer=transfer(question.members_are),
    )
    read = [*prepared.selections, *([] if prepared.train is None else [prepared.train])]
    cautions = averaging_warnings(
        read, counted, true, failed, bootstraps=bootstraps, train=train, n_train=question.n_train
    )
    cautions += [] if found is None else about_truth(found, bootstraps)
    if train is None and true is None:
        what = "n_train is shared out over the conditions as the members' own events are"
        cautions.append(f"{what}: give the training events with --train")
    return Result(
        answers=(answer,),
        settings=question.settings(prepared.names, holdout, prepared.ignored),
        inputs=tuple(files.describe(s) for s in read),
        warnings=(*notes, *left_out, *cautions),
        views=views | {"failed_members": list(failed or ())},
        seed=question.seed,
    )


def estimated_at(
    layouts: Layouts,
    members: Sequence[StrataSums],
    holdout: StrataSums | None,
    train: StrataSums | None,
    *,
    n_train: int,
    level: float,
    limit_level: float,
    named: bool,
    events: Events,
    transfer: float = 0.0,
) -> tuple[Answer, dict[str, Any], list[str], Agreement | None]:
    """The answer, what the pictures show, warnings, and how well members agree with the holdout.

    Args:
        layouts: what was counted.
        members: sums of each.
        holdout: those of the true events.
        train: those of the training events, which say how many of them are at each condition.
        n_train: training events of each member.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided.
        named: the regions are the user's.
        events: some of the members', which tell how regions overlap.
        transfer: how well the spread of such members is known to stand for their error.

    Raises:
        EmptyRegionError: no region with events.
    """
    of_members = [at_each_condition(layouts, m) for m in members]
    true = None if holdout is None else at_each_condition(layouts, holdout)
    every = [*of_members, *([] if true is None else [true])]
    some = np.sum([f.n_inside for f in every], axis=0) > 0
    usable = some & np.all([f.usable for f in every], axis=0)
    labels = np.array(layouts.labels, object)
    notes = _left_out(labels, some, usable, named)
    if not usable.any():
        fix = "name wider regions, or fewer --condition-bins"
        raise EmptyRegionError("regions", "events at each condition inside", "none", fix)

    share = condition_share(layouts, layouts.condition.region_share)[usable]
    trained = _trained(layouts, train)[usable] * n_train
    integral = np.stack([f.integral[usable] for f in of_members])
    noise_n = np.stack([f.n_effective[usable] for f in of_members])
    of_one = np.mean([f.of_one[usable] for f in of_members], axis=0)
    compared = None
    if true is not None:
        compared = Holdout(true.integral[usable], true.n_effective[usable])
    estimate = averaging_amplification(
        integral,
        n_train=trained,
        n_gen=noise_n,
        holdout=compared,
        one_event=of_one,
        transfer=transfer,
        level=level,
        limit_level=limit_level,
    )
    answer = Answer(
        estimate,
        tuple(labels[usable]),
        n_train=n_train,
        n_train_region=trained,
        n_gen=min(m.n_compared for m in members),
        n_holdout=None if holdout is None else holdout.n_compared,
        level=level,
        limit_level=limit_level,
        members=len(members),
    )
    pooled = pooled_worth(answer, integral, noise_n, share=share, one_event=of_one)
    of_all = None if holdout is None else holdout.panels
    at = np.repeat(np.arange(len(layouts.regions)), [len(r.labels) for r in layouts.regions])
    by_condition = _worth_by_condition(answer, integral, noise_n, at[usable], of_one)
    views = {
        "condition": condition_record(layouts.condition) | {"averaging": by_condition},
        "pooled": pooled,
        "panels": panels_of(layouts.panels, [m.panels for m in members], of_all),
    }
    views[BINNINGS] = _binnings(layouts, at, usable)
    if usable.sum() <= MOST_REGIONS:
        views[TOGETHER] = _together(layouts, events, integral, at, usable)
    found = None if compared is None else agreement(integral, noise_n, compared, trained_on=False)
    return answer, views, notes, found


def _binnings(layouts: Layouts, at: np.ndarray, usable: np.ndarray) -> list[dict[str, Any]]:
    """Bins of columns at each condition, for results.json."""
    records = []
    place = np.cumsum(usable) - 1
    for r, (label, binnings) in enumerate(
        zip(layouts.condition.labels, layouts.binnings, strict=True)
    ):
        first = int(np.argmax(at == r))
        of_all = [b._replace(regions=first + b.regions) for b in binnings]
        kept = [b for b in of_all if usable[b.regions].all()]
        moved = [b._replace(regions=place[b.regions]) for b in kept]
        records += binnings_of(moved, np.arange(int(usable.sum())), label)
    return records


def _together(
    layouts: Layouts, events: Events, integral: np.ndarray, at: np.ndarray, usable: np.ndarray
) -> dict[str, Any]:
    """Fractions of each member, and how regions overlap at each condition."""
    strata = events.x[:, -1].astype(int)
    region = np.where(strata < 0, -1, layouts.condition.region[strata])
    parts = []
    for r, regions in enumerate(layouts.regions):
        chosen = np.flatnonzero(usable[at == r])
        if len(chosen):
            parts.append(overlaps(regions, chosen, events.take(region == r)))
    return members_in_regions(integral, together(parts), at[usable])


def _worth_by_condition(
    answer: Answer, integral: np.ndarray, noise_n: np.ndarray, at: np.ndarray, of_one: np.ndarray
) -> list[dict[str, Any]]:
    """All regions of each condition together, with the bias of regions that are marked, for
    results.json.

    Args:
        answer: of the regions.
        integral: fractions [member, region].
        noise_n: numbers of equally noisy events [member, region].
        at: which condition each region belongs to.
        of_one: as for `averaging_amplification`.
    """
    records = []
    estimate = answer.estimate
    assert isinstance(estimate, AveragingEstimate)
    squares = squared_bias_of_marked(estimate, answer.level)
    for r in np.unique(at):
        rows = np.flatnonzero((at == r) & (integral > 0).any(axis=0))
        if not len(rows):
            continue  # only the holdout has events there
        n_train = float(answer.n_train_region[rows[0]])
        factor, status = pooled_amplification(
            integral[:, rows],
            n_train=max(n_train, 1.0),
            n_gen=noise_n[:, rows],
            one_event=of_one[rows],
            level=answer.level,
            limit_level=answer.limit_level,
        )
        inside = estimate.integral[at == r]
        binomial = float((of_one[at == r] * inside * (1 - inside)).sum())
        bias = Interval(*(float(b[at == r].sum()) / (binomial or 1.0) for b in squares))
        trained = max(n_train, 1.0)
        worth = with_bias(Interval(*(float(f) * trained for f in factor)), bias)
        value, low, high = (end / trained for end in worth)
        records.append(
            {
                "condition": int(r),
                "n_train": n_train,
                "amplification": value,
                "amplification_interval": [low, high],
                "status": "biased" if bias.value > 0 else status.name.lower(),
            }
        )
    return records


def _trained(layouts: Layouts, train: StrataSums | None) -> np.ndarray:
    """Part of the training events at each region's condition: of the training sample where it was
    given, else as in the common distribution.
    """
    condition = layouts.condition
    share = condition.region_share
    if train is not None:
        weights = [0.0 if s is None else s.weight for s in train.strata]
        share = np.bincount(condition.region, weights, len(share)) / train.panels.weight
    return condition_share(layouts, np.maximum(share, 0.0))


def _left_out(labels: np.ndarray, some: np.ndarray, usable: np.ndarray, named: bool) -> list[str]:
    notes = []
    if named and not some.all():
        empty = labels[~some]
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        notes.append(f"no events in {empty[0]}{more}: left out")
    dominated = labels[some & ~usable]
    if len(dominated):
        where = " and in ".join(dominated[:4])
        what = f"negative weights dominate or cancel in {where}"
        notes.append(f"{what}: no fraction of events, and left out")
    return notes
