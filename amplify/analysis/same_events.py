"""Refuses a holdout that was generated or trained on: it would prove nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from amplify.analysis import samples
from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.summary import ChosenSummary
from amplify.analysis.two_samples import APPROXIMATED, TwoSamples
from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.marks import Search
from amplify.tables.overlap import overlap, repeated, search_for
from amplify.tables.table import Table

_MOST_COMPARED = 32  # columns in which events are compared
_COPIES = 0.01  # of the holdout that is worth a warning


class Looked(NamedTuple):
    """What was found out.

    Attributes:
        notes: what is worth a warning.
        search: for events of the holdout, to be looked for while the generated events are tallied:
            a file larger than memory is read once. None where that is done.
    """

    notes: list[str]
    search: Search | None


def refuse_same_events(
    two: TwoSamples, question: DifferentialQuestion, summary: ChosenSummary
) -> Looked:
    """Looks for events of the holdout among those that were generated or trained on.

    Raises:
        InputError: more events in common than chance explains.
    """
    holdout, generated = two.holdout.table, two.generated.table
    ratio = summary.column if summary.method == "threshold" else None
    unlike = {question.weight_column, question.log_prob_column, ratio}
    looked_at = list(question.columns or two.names) or [summary.column or ""]

    def everything(other: Table) -> list[str]:
        """The columns that both tables have, but for weights, densities and numbers of rows."""
        no_physics = files.ignored_columns([holdout, other], looked_at)
        both = [c for c in holdout.columns if c in other.columns]
        return [c for c in both if c not in unlike | set(no_physics)][:_MOST_COMPARED] or looked_at

    limit = None if question.approximate is None else APPROXIMATED

    def common(other: Table) -> int:
        """Events in common, in the columns that are looked at or in all that both have."""
        most = 0
        for columns in {tuple(looked_at), tuple(everything(other))}:
            few, many = (files.select(t, columns, drop_nonfinite=True) for t in (holdout, other))
            most = max(most, overlap(few, many, limit))
        return most

    # files with the path inside; arrays are no files
    places = [{Path(p.source).resolve() for p in t.parts} for t in (generated, holdout)]
    is_same_file = bool(places[0]) and places[0] == places[1]
    search = None
    if is_same_file:
        refuse_generated(two, holdout.n)
    elif looked_at == everything(generated) and _all_tallied(two, looked_at, summary):
        few, many = (files.select(t, looked_at, drop_nonfinite=True) for t in (holdout, generated))
        search = search_for(few, many, limit)
    else:
        refuse_generated(two, common(generated))

    compared = looked_at if summary.learner else everything(holdout)
    of_holdout = files.select(holdout, compared, drop_nonfinite=True)
    notes = _about_copies(repeated(of_holdout, limit), summary)
    if question.train is None:
        return Looked(notes, search)
    train = samples.open_as_table(question.train, "training events", question.observables)
    files.select(train, looked_at)
    same = common(train)
    train.close()
    if same:
        got = f"{same} events of {train.source} in {holdout.source}"
        fix = "give true events that were kept aside"
        raise InputError("--holdout", "events that were not used in training", got, fix)
    return Looked(notes, search)


def refuse_generated(two: TwoSamples, same: int) -> None:
    """Refuses so many events of the holdout among the generated ones, if there are any."""
    if same:
        holdout, generated = two.holdout.table.source, two.generated.table.source
        got = f"{same} events of {holdout} that are in {generated}"
        fix = "the holdout are true events of their own"
        raise InputError("--generated and --holdout", "different events", got, fix)


def _all_tallied(two: TwoSamples, columns: Sequence[str], summary: ChosenSummary) -> bool:
    """Whether all generated events are tallied, with these columns first."""
    return summary.learner is None and two.generated.names[: len(columns)] == list(columns)


def _about_copies(copies: float, summary: ChosenSummary) -> list[str]:
    if copies <= _COPIES:
        return []
    why = "they count as more events than they are, and the interval"
    if summary.learner:
        why = "some teach and are tested, and the limit"
    share = f"{100 * copies:.0f} % of the holdout events have a copy in it"
    unless = "if they are repeated events, and not values that recur by nature"
    return [f"{share}: {unless}, {why} claims too much; use weights instead"]
