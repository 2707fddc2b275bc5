"""What a reader of averaging amplification should know before the numbers. None of it is said of
every run: what holds for all is in the verdicts and on the page.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.analysis.training_weights import about_training_weights
from amplify.estimators.same_data import Agreement, agreement
from amplify.estimators.trained_on import agreement_in_bins
from amplify.tables.selection import Selection
from amplify.text import number
from amplify.types import Holdout

_USUAL = 8  # members


def averaging_warnings(
    selections: Sequence[Selection],
    members: Sequence[Any],
    holdout: Any | None,
    failed: Sequence[Mapping[str, Any]] | None,
    *,
    bootstraps: bool,
    regions: np.ndarray | None = None,
    binnings: Sequence[np.ndarray] = (),
    train: Any | None = None,
    n_train: int | None = None,
) -> list[str]:
    """One line each.

    Args:
        selections: the samples: members, holdout, training events.
        members: what was counted of each member, with `sums` and `negative` weights.
        holdout: the same of the holdout, or None.
        failed: members whose training failed, known where they were trained here.
        bootstraps: the members are known to be trained on bootstrap samples.
        regions: places of the reported regions; None where somebody else looks at how well members
            agree with true events.
        binnings: places of regions that are the bins of a column.
        train: what was counted of the training events, or None.
        n_train: training events of each member, where what their weights mean is to be said.
    """
    sums = [m.sums for m in members]
    notes = [
        *_about_weights(selections, members, holdout),
        *_about_n_train(n_train, holdout, train),
        *_about_dropped(selections),
        *_about_failed(failed),
        *_about_members(sums),
    ]
    if regions is None:
        return notes
    if holdout is not None:
        found = _agreement(sums, holdout.sums, regions, trained_on=False)
        return notes + about_truth(found, bootstraps)
    if train is not None:
        if len(binnings):
            return notes + _about_training(_in_bins(sums, train.sums, binnings))
        found = _agreement(sums, train.sums, regions, trained_on=True)
        return notes + _about_training(found)
    return notes


def _about_weights(
    selections: Sequence[Selection], members: Sequence[Any], holdout: Any | None
) -> list[str]:
    compared = selections[: len(members) + (holdout is not None)]
    notes = _about_unweighted(compared)
    every = [*members, *([] if holdout is None else [holdout])]
    negative = [counted.negative for counted in every if counted.negative]
    if negative:
        what = f"{sum(negative)} negative weights in {len(negative)} samples"
        notes.append(f"{what}: honoured, they lower the effective number of events")
    return notes


def _about_unweighted(selections: Sequence[Selection]) -> list[str]:
    """Samples without the weights that others have."""
    weights = [s.weight.label for s in selections if s.weight is not None]
    without = [s.table.source for s in selections if s.weight is None]
    if not weights or not without:
        return []
    who = f"{without[0]} and {len(without) - 1} more have" if without[1:] else f"{without[0]} has"
    whose = "their" if without[1:] else "its"
    return [f"{who} no weight column {weights[0]}: {whose} events count one each"]


def _about_n_train(n_train: int | None, holdout: Any | None, train: Any | None) -> list[str]:
    known = holdout if train is None else train
    if n_train is None or known is None or np.ndim(known.sums.weight) != 0:
        return []
    sums = known.sums
    n_effective = sums.weight**2 / sums.square
    return about_training_weights(n_train, sums.n, n_effective, of_training=train is not None)


def _about_dropped(selections: Sequence[Selection]) -> list[str]:
    fate = "have values that are not finite and were left out (--drop-nonfinite)"
    return [f"{s.dropped} events of {s.table.source} {fate}" for s in selections if s.dropped]


def _about_failed(failed: Sequence[Mapping[str, Any]] | None) -> list[str]:
    if not failed:
        return []
    fate = f"{len(failed)} members failed and are missing"
    why = "if trainings fail for a reason, those that are left are no fair sample of them"
    return [f"{fate}: {why}"]


def _about_members(sums: Sequence[Any]) -> list[str]:
    notes = []
    if len(sums) < _USUAL:
        what = f"{len(sums)} members fix the variance poorly: the intervals are wide"
        notes.append(f"{what}; {_USUAL} or more are usual")
    if len({s.n for s in sums}) > 1:
        what = "members have different numbers of events: each one's noise is its own"
        notes.append(f"{what}, n_gen quotes the smallest")
    return notes


def _agreement(
    members: Sequence[rg.Sums], truth: rg.Sums, regions: np.ndarray, *, trained_on: bool
) -> Agreement:
    """Members against true events in the regions where both have a fraction."""
    *generated, true = _usable([*members, truth], regions)
    return agreement(
        np.stack([f.integral for f in generated]),
        np.stack([f.n_effective for f in generated]),
        Holdout(true.integral, true.n_effective),
        trained_on=trained_on,
    )


def _in_bins(
    members: Sequence[rg.Sums], train: rg.Sums, binnings: Sequence[np.ndarray]
) -> Agreement:
    """Members against their training events in the bins of the column that fits worst. With many
    columns one of them fits badly by chance.
    """
    found = []
    for regions in binnings:
        *generated, true = _usable([*members, train], regions)
        integral = np.stack([f.integral for f in generated])
        found.append(agreement_in_bins(integral, Holdout(true.integral, true.n_effective)))
    worst = min(found, key=lambda agreement: agreement.probability)
    return Agreement(worst.ratio, min(worst.probability * len(found), 1.0))


def _usable(samples: Sequence[rg.Sums], regions: np.ndarray) -> list[rg.Fractions]:
    """Fractions of all samples in those of the regions where all have one."""
    every = [s.take(regions) for s in samples]
    usable = np.all([rg.measurable(s) for s in every], axis=0)
    return [rg.fractions(s.take(usable)) for s in every]


def about_truth(found: Agreement, bootstraps: bool) -> list[str]:
    """A warning where the holdout contradicts the spread of the members as a whole."""
    if not found.improbable:
        return []
    what = "the members agree with one another better than with the holdout"
    share = f"{number(found.ratio)} times the squared distance that their spread explains"
    why = (
        "a common bias" if bootstraps else "a common bias, or they were trained on the same events"
    )
    return [f"{what}, {share}: {why}, and G comes out too high"]


def _about_training(found: Agreement) -> list[str]:
    if not found.improbable:
        return []
    what = "the members agree with one another better than with their training events"
    share = f"{number(found.ratio)} times the squared distance that errors explain"
    return [f"{what}, {share}: a common bias, and G comes out too high"]
