"""What a reader of averaging amplification should know before the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from amplify.tables.selection import Selection

_USUAL = 8  # members


def averaging_warnings(
    selections: Sequence[Selection],
    members: Sequence[Any],
    holdout: Any | None,
    failed: Sequence[Mapping[str, Any]] | None,
) -> list[str]:
    """One line each.

    Args:
        selections: the samples, the holdout last.
        members: what was counted of each member, with `sums` and `negative` weights.
        holdout: the same of the holdout, or None.
        failed: members whose training failed, known where they were trained here.
    """
    notes = [
        *_about_weights(selections, members, holdout),
        *_about_dropped(selections),
        *_about_training(failed, holdout is not None),
        *_about_members([m.sums for m in members]),
    ]
    return notes


def _about_weights(
    selections: Sequence[Selection], members: Sequence[Any], holdout: Any | None
) -> list[str]:
    notes = []
    if holdout is not None:
        first, last = selections[0], selections[-1]
        if first.weight is not None and last.weight is None:
            missing = f"{last.table.source} has no weight column {first.weight.label}"
            notes.append(f"{missing}: its events count one each")
    every = [*members, *([] if holdout is None else [holdout])]
    negative = [counted.negative for counted in every if counted.negative]
    if negative:
        what = f"{sum(negative)} negative weights in {len(negative)} samples"
        notes.append(f"{what}: honoured, they lower the effective number of events")
    return notes


def _about_dropped(selections: Sequence[Selection]) -> list[str]:
    fate = "have values that are not finite and were left out (--drop-nonfinite)"
    return [f"{s.dropped} events of {s.table.source} {fate}" for s in selections if s.dropped]


def _about_training(failed: Sequence[Mapping[str, Any]] | None, has_holdout: bool) -> list[str]:
    notes = []
    if failed:
        fate = f"{len(failed)} members failed and are missing"
        why = "if trainings fail for a reason, those that are left are no fair sample of them"
        notes.append(f"{fate}: {why}")
    if failed is None:
        which = "members trained on the same events, without a bootstrap"
        see = "see only the randomness of training"
        notes.append(f"{which}, {see}: G then comes out 3 to 7 times too high")
    if not has_holdout:
        what = "without a holdout a bias common to all members stays invisible"
        notes.append(f"{what}: n_equiv is precision only")
    return notes


def _about_members(sums: Sequence[Any]) -> list[str]:
    notes = []
    if len(sums) < _USUAL:
        what = f"{len(sums)} members fix the variance poorly: the intervals are wide"
        notes.append(f"{what}; {_USUAL} or more are usual")
    if len({s.n for s in sums}) > 1:
        what = "members have different numbers of events: each one's noise is its own"
        notes.append(f"{what}, n_gen quotes the smallest")
    shares = [s.weight_inside / s.weight for s in sums]
    if any((share == shares[0]).all() for share in shares[1:]):
        what = "two members have the same fraction in every region"
        notes.append(f"{what}: are they the same sample?")
    return notes
