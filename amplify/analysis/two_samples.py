"""What `amplify differential` is asked and given: generated events, a holdout, and regions;
checked, and refused where both are the same events.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.errors import InputError
from amplify.estimators import differential as df
from amplify.regions.cuts import Cut, as_regions, columns_of
from amplify.summaries import Learner
from amplify.tables import files
from amplify.tables.overlap import overlap, repeated
from amplify.tables.table import Table
from amplify.text import listed
from amplify.types import Events

_MOST_HOLDOUT = 1 << 26  # numbers of the holdout kept in memory, 512 MB
_MOST_COMPARED = 32  # columns in which events are compared
_BULK_AND_TAILS = 1000  # holdout events from which on both are looked at


class Request(NamedTuple):
    """What the user asked; see `amplify differential --help`."""

    generated: Sequence[str]
    holdout: Sequence[str]
    n_train: int
    summary: str = "classifier"
    train: Sequence[str] | None = None
    columns: Sequence[str] | None = None
    log_prob_column: str | None = None
    weight_column: str | None = None
    regions: Path | None = None
    bins: int | None = None
    map: tuple[str, str] | None = None
    fraction: float = 1 / 3
    cross_fit: bool = False
    drop_nonfinite: bool = False
    level: float | None = None
    seed: int = 0


class Plan(NamedTuple):
    """How t comes from a row: a learner, or a column of the file."""

    label: str
    learner: Learner | None
    column: str | None
    method: df.Method


class Inputs(NamedTuple):
    """Both samples with the same columns: those that are looked at, `names`, then those only cuts
    need, then a log density or a summary.

    Attributes:
        generated: the generated sample.
        holdout: the true events.
        names: labels of the columns to look at.
        texts: how the user wrote the columns that regions look at, names and cuts.
        learned: index of the columns that a learner sees: names and log density.
        summary: place of the column that is the summary, if one is.
    """

    generated: files.Selection
    holdout: files.Selection
    names: list[str]
    texts: list[str]
    learned: Any
    summary: int


def check(request: Request) -> None:
    """Refuses settings that make no sense."""
    if not 1 <= request.n_train <= 10**15:
        raise InputError(
            "--n-train",
            "at least 1, at most 1e15",
            str(request.n_train)[:30],
            "give the number of training events of the generator",
        )
    if not 0 < request.fraction < 1:
        raise InputError(
            "--fraction",
            "between 0 and 1",
            str(request.fraction),
            "a third of the holdout for learning is usual",
        )
    if request.cross_fit and request.summary.partition(":")[0] in ("column", "ratio"):
        raise InputError(
            "--cross-fit",
            "a learned summary",
            request.summary,
            "drop --cross-fit: all of the holdout is tested as it is",
        )
    if request.bins is not None and request.regions is not None:
        raise InputError("--bins and --regions", "one of them", "both", "drop one")
    if request.level is not None and not 0 < request.level < 1:
        raise InputError(
            "--level",
            "between 0 and 1",
            str(request.level),
            "0.68 is usual, or 0.9 for a learned ratio",
        )


def check_weights(source: str, weight: np.ndarray | None) -> None:
    """Refuses weights without a positive sum: they make no sample."""
    if weight is not None and len(weight) and not weight.sum() > 0:
        raise InputError(
            f"weights of {source}", "a positive sum", f"{weight.sum():g}", "check the weight column"
        )


def make_plan(summary: str, seed: int) -> Plan:
    """Reads --summary."""
    kind, _, column = summary.partition(":")
    if kind == "column" and column:
        return Plan(f"observable {column}", None, column, "ks")
    if kind == "ratio" and column:
        return Plan(f"likelihood ratio {column}", None, column, "threshold")
    if summary == "classifier":
        from amplify.summaries.default import learned_ratio

        return Plan("learned likelihood ratio", learned_ratio(), None, "threshold")
    if summary == "mlp":
        from amplify.summaries.mlp import mlp_ratio

        return Plan("learned likelihood ratio (MLP)", mlp_ratio(seed=seed), None, "threshold")
    if summary == "trees":
        from amplify.summaries.trees import boosted_trees

        return Plan(
            "learned likelihood ratio (boosted trees)", boosted_trees(seed=seed), None, "threshold"
        )
    raise InputError(
        "--summary",
        "classifier, mlp, trees, column:NAME or ratio:NAME",
        summary,
        "choose one of them",
    )


def open_samples(request: Request, plan: Plan, cuts: Sequence[Cut], opened: ExitStack) -> Inputs:
    """Both samples with the same columns: those to look at first, then what the summary needs, then
    what only cuts need.
    """
    tables = [files.open_sample(source) for source in (request.generated, request.holdout)]
    for table in tables:
        opened.callback(table.close)
    weights = [
        request.weight_column
        if request.weight_column and files.has_column(t, request.weight_column)
        else None
        for t in tables
    ]
    if request.weight_column and weights == [None, None]:
        expected = f"one of {listed(tables[0].columns)}"
        raise InputError(
            f"column {request.weight_column}",
            expected,
            "no such column in either file",
            "choose another",
        )
    own = [tuple(c for c in t.columns if c != request.weight_column) for t in tables]
    if request.columns is None and set(own[0]) != set(own[1]):
        expected = f"the columns of {tables[0].source}, {listed(own[0], 6)}"
        raise InputError(
            tables[1].source, expected, listed(own[1], 6), "name the common ones with --columns"
        )
    # an observable is looked at like other columns; a density or a ratio is not
    extra = [
        c
        for c in (request.log_prob_column, plan.column if plan.method == "threshold" else None)
        if c
    ]
    wanted = (
        list(request.columns)
        if request.columns
        else [c for c in files.select(tables[0], None, weights[0]).names if c not in extra]
    )
    names = files.select(tables[0], wanted).names if wanted else []
    extra = [c for c in [*extra, *([plan.column] if plan.column else [])] if c not in names]
    if not names and plan.column is None:
        raise InputError(
            tables[0].source,
            "columns to learn from",
            "none but weight and log_prob",
            "name them with --columns",
        )
    texts = wanted + [c for c in columns_of(cuts, names, tables[0]) if c not in names]
    chosen = list(dict.fromkeys([*texts, *extra]))
    selections = files.same_precision(
        [
            files.select(t, chosen, w, drop_nonfinite=request.drop_nonfinite)
            for t, w in zip(tables, weights, strict=True)
        ]
    )
    learned = [i for i, text in enumerate(chosen) if text in wanted or text in extra]
    place = 0
    if plan.column:
        place = (
            selections[0].names.index(plan.column)
            if plan.column in names
            else chosen.index(plan.column)
        )
    return Inputs(
        selections[0],
        selections[1],
        names,
        texts,
        slice(None) if len(learned) == len(chosen) else learned,
        place,
    )


def load_holdout(holdout: files.Selection) -> Events:
    """The holdout in memory, or as much of it as may be."""
    return files.spread(holdout, _MOST_HOLDOUT // len(holdout.columns))


def make_regions(
    request: Request, cuts: Sequence[Cut], inputs: Inputs, events: Events
) -> rg.Regions:
    """Everything first; then the user's regions, bins of each column, or bulk and tails."""
    parts = [rg.mask(lambda x: np.ones(len(x), bool), "all")]
    if cuts:
        return rg.join(*parts, as_regions(cuts, inputs.generated.names))
    if request.bins is not None:
        parts += [
            rg.equiprobable(events.x, rg.column(i), request.bins, name, events.weight)
            for i, name in enumerate(inputs.names)
        ]
    elif len(events.x) >= _BULK_AND_TAILS and inputs.names:
        parts.append(rg.bulk_and_tails(events.x[:, : len(inputs.names)], events.weight))
    return rg.join(*parts)


def refuse_same_events(inputs: Inputs, request: Request, plan: Plan) -> list[str]:
    """Refuses a holdout that was generated or trained on; returns what is worth a warning.

    Raises:
        InputError: more events in common than chance explains.
    """
    unlike = {
        request.weight_column,
        request.log_prob_column,
        plan.column if plan.method == "threshold" else None,
    }
    looked_at = (list(request.columns) if request.columns else inputs.names) or [plan.column or ""]

    def everything(other: Table) -> list[str]:
        """The columns that both tables have, but for weights and densities."""
        return [c for c in inputs.holdout.table.columns if c in other.columns and c not in unlike][
            :_MOST_COMPARED
        ] or looked_at

    def common(other: Table) -> int:
        """Events in common, in the columns that are looked at or in all that both files have."""
        several = {tuple(c): c for c in (looked_at, everything(other))}.values()
        return max(
            overlap(
                *(
                    files.select(t, columns, drop_nonfinite=True)
                    for t in (inputs.holdout.table, other)
                )
            )
            for columns in several
        )

    sources = [
        {Path(part.source).resolve() for part in s.table.parts}
        for s in (inputs.generated, inputs.holdout)
    ]  # with the path inside
    same = inputs.holdout.table.n if sources[0] == sources[1] else common(inputs.generated.table)
    if same:
        got = f"{same} events of {inputs.holdout.table.source} that are in {inputs.generated.table.source}"
        raise InputError(
            "--generated and --holdout",
            "different events",
            got,
            "the holdout are true events of their own",
        )
    notes, copies = (
        [],
        repeated(
            files.select(
                inputs.holdout.table,
                looked_at if plan.learner else everything(inputs.holdout.table),
                drop_nonfinite=True,
            )
        ),
    )
    if copies > 0.01:
        share = f"{100 * copies:.0f} % of the holdout events have a copy in it"
        why = (
            "some teach and are tested, and the limit"
            if plan.learner
            else "they count as more events than they are, and the interval"
        )
        notes.append(
            f"{share}: if they are repeated events, and not values that recur by nature, {why} claims too much; use weights instead"
        )
    if request.train is None:
        return [*notes, "without --train nobody checked that the holdout was not used in training"]
    train = files.open_sample(request.train)
    files.select(train, looked_at)
    same = common(train)
    train.close()
    if same:
        got = f"{same} events of {train.source} in {inputs.holdout.table.source}"
        raise InputError(
            "--holdout",
            "events that were not used in training",
            got,
            "give true events that were kept aside",
        )
    return notes
