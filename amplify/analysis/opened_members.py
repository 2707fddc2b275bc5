"""Members, holdout and training events opened as samples with the same columns, and the regions to
count in.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import samples
from amplify.analysis.condition_cuts import cut
from amplify.analysis.conditions import at_condition, given_columns
from amplify.analysis.default_regions import Layout, make_layout, map_places, only
from amplify.analysis.member_events import about_columns, refuse_training_events, same_columns
from amplify.analysis.questions import AveragingQuestion, cuts_file, own_regions
from amplify.analysis.strata_sums import Layouts, make_layouts
from amplify.analysis.two_samples import refuse_no_weights, weight_in
from amplify.errors import InputError, NeedsMembersError
from amplify.external.observables import Observables
from amplify.regions.cuts import Cut, as_regions, columns_of, read_cuts
from amplify.tables import files
from amplify.tables.memory import WEIGHT
from amplify.tables.opening import opening
from amplify.tables.table import Table
from amplify.text import no_physics
from amplify.types import Events

# events that place the edges of bins, and numbers of them where columns are many
_EDGE_EVENTS, _EDGE_NUMBERS = 400_000, 1 << 26


class Conditional(NamedTuple):
    """Samples at the same condition, whose last column is the number of their stratum.

    Attributes:
        layouts: where one looks at each condition.
        members: one sample each.
        holdout: true events, or None.
        train: training events, at their own distribution of the condition, or None.
    """

    layouts: Layouts
    members: list[files.Selection]
    holdout: files.Selection | None
    train: files.Selection | None


class Prepared(NamedTuple):
    """Members, holdout and training events with the same columns, and the regions to count in.

    Attributes:
        members: one sample each.
        holdout: true events, or None.
        train: training events, or None.
        names: columns that are looked at.
        layout: regions.
        ignored: columns that are no physics, and why.
        notes: warnings about the columns.
        same_data: members of the same data, one sample each.
        refits: members trained on generated events, one sample each.
        conditional: the condition that was given to the generator, and where is looked at each; or
            None.
    """

    members: list[files.Selection]
    holdout: files.Selection | None
    train: files.Selection | None
    names: list[str]
    layout: Layout
    ignored: Mapping[str, str]
    notes: list[str]
    same_data: Sequence[files.Selection] = ()
    conditional: "Conditional | None" = None
    refits: Sequence[files.Selection] = ()

    @property
    def selections(self) -> list[files.Selection]:
        """All samples but the training events, the holdout last."""
        true = [self.holdout] if self.holdout else []
        return [*self.members, *self.same_data, *self.refits, *true]


def prepare(
    question: AveragingQuestion,
    members: Any,
    holdout: samples.Sample | None,
    opened: ExitStack,
    *,
    dry_run: bool = False,
) -> Prepared:
    """Opens and checks the samples, and chooses what is looked at; reads some events for edges.

    Args:
        question: what is asked.
        members: one sample for each.
        holdout: true events, or None.
        opened: closes the files.
        dry_run: do not read all events to count those that are dropped.
    """
    opened.enter_context(opening(follow_links=question.follow_links, max_gb=question.max_gb))
    each = samples.split_members(members)
    _check_members(each)
    question.check()
    same = [] if question.same_data is None else samples.split_members(question.same_data)
    if same:
        _check_members(same, "--same-data")
    refits = [] if question.refits is None else samples.split_members(question.refits)
    if refits:
        _check_members(refits, "--refits")
    given = [*each, *same, *refits, holdout, question.train]
    weight_column = samples.weight_of(given, question.weight_column)
    holdout_weight = samples.weight_of(given, question.holdout_weight)
    file = cuts_file(question.regions)
    cuts = [] if file is None else read_cuts(file)

    made = question.observables
    tables = [opened_as(member, f"member {m}", opened, made) for m, member in enumerate(each)]
    tables += [opened_as(s, f"same-data member {m}", opened, made) for m, s in enumerate(same)]
    tables += [opened_as(s, f"refit {r}", opened, made) for r, s in enumerate(refits)]
    true_table = None if holdout is None else opened_as(holdout, "holdout", opened, made)
    train_table = None
    if question.train is not None:
        train_table = opened_as(question.train, "training events", opened, made)
    if true_table is not None:
        everything = [*tables, true_table]
        sources = [part.source for table in everything for part in table.parts]
        files.refuse_twice(sources, "--members and --holdout")
    compared = tables if true_table is None else [*tables, true_table]
    ignored, notes = _ignored(compared, question, weight_column)
    question = _written_out(question, compared)
    others = [t for t in (true_table, train_table) if t is not None]
    weights = [
        *(weight_in(table, weight_column) for table in tables),
        *(weight_in(table, holdout_weight) for table in others),
    ]
    if weight_column is not None and not any(weights):
        refuse_no_weights(tables[0], weight_column)
    names, wanted = _columns(tables, question, cuts, weights[0], ignored)
    drop = question.drop_nonfinite
    given = given_columns(tables[0], question.condition)
    of_truth = [text for text in question.holdout_columns or () if text not in given]
    true_columns = [*(of_truth or names), *wanted[len(names) :]]
    columns = [*[wanted] * len(tables), *[true_columns] * len(others)]
    selected = [
        files.select(table, of_table, weight, drop_nonfinite=drop)
        for table, of_table, weight in zip([*tables, *others], columns, weights, strict=True)
    ]
    if question.regions is None:
        twice = same_columns(selected[: len(tables)])
        may_go = question.columns is None and not set(twice) & set(question.map or ())
        notes += about_columns(twice, left_out=may_go)
        if twice and may_go:
            ignored |= {name: f"the same as {other}" for name, other in twice.items()}
            selected = [_but(selection, twice, names) for selection in selected]
            names = [name for name in names if name not in twice]
    selected = files.same_precision(selected)
    notes += files.precision_notes(selected)
    if not dry_run:
        selected = [files.counted(s) for s in selected]
    train = selected.pop() if train_table is not None else None
    true_sample = selected.pop() if true_table is not None else None
    if true_sample is not None and train is not None and not dry_run:
        refuse_training_events(true_sample, train)

    named = as_regions(cuts, selected[0].names) if cuts else None
    named = named or own_regions(question.regions)
    if question.condition is not None:
        conditional, more = _conditional(question, selected, true_sample, train, names, named)
        layouts = conditional.layouts
        reported = np.arange(len(layouts.labels))
        layout = only(layouts.counted)._replace(estimated=reported)
        notes += [*more, *conditional.layouts.notes]
        return Prepared(
            selected, true_sample, train, names, layout, ignored, notes, (), conditional
        )
    layout = make_layout(
        _edge_events(selected[: len(each)], true_sample),
        names,
        n_train=question.n_train,
        bins=question.bins,
        named=named,
        map_columns=map_places(question.map, names),
    )
    first, last = len(each), len(each) + len(same)
    of_members, of_same_data, of_refits = selected[:first], selected[first:last], selected[last:]
    prepared = Prepared(of_members, true_sample, train, names, layout, ignored, notes)
    return prepared._replace(same_data=of_same_data, refits=of_refits)


def _conditional(
    question: AveragingQuestion,
    members: Sequence[files.Selection],
    holdout: files.Selection | None,
    train: files.Selection | None,
    names: Sequence[str],
    named: rg.Regions | None,
) -> tuple[Conditional, list[str]]:
    """Samples at the same condition, and warnings: reweighted to the holdout's distribution of it,
    or to the mean of the members'.
    """
    assert question.condition is not None
    every = [*members, *([] if holdout is None else [holdout])]
    condition, factors, notes = cut(question.condition, every, holdout, question.condition_bins)
    placed = [at_condition(condition, s, f) for s, f in zip(every, factors, strict=True)]
    true = placed.pop() if holdout is not None else None
    layouts = make_layouts(
        condition,
        _edge_events(placed, true),
        names,
        n_train=question.n_train,
        bins=question.bins,
        named=named,
    )
    trained = None if train is None else at_condition(condition, train)
    return Conditional(layouts, placed, true, trained), notes


def _check_members(members: Any, option: str = "--members") -> None:
    """There is no spread in one."""
    if not isinstance(members, Sequence) or len(members) >= 2:
        return
    quoted = any(c in str(member) for member in members for c in "*?[")
    fix = "train again on bootstrap samples of the training events"
    if quoted:
        fix = "a quoted glob is one sample, drop the quotes"
        if any(":" in str(member) for member in members):
            fix = (
                "a shell expands no FILE:inside, name each member, or a file of them, @members.txt"
            )
    expected = "at least 2 files, better 8 or more"
    raise NeedsMembersError(option, expected, str(len(members)), fix)


def opened_as(
    sample: samples.Sample, name: str, opened: ExitStack, made: Observables | None = None
) -> Table:
    """The sample as a table, which `opened` closes; messages call an array by this name."""
    table = samples.open_as_table(sample, name, made)
    opened.callback(table.close)
    return table


def _columns(
    tables: Sequence[Table],
    question: AveragingQuestion,
    cuts: Sequence[Cut],
    weight_column: str | None,
    ignored: Mapping[str, str],
) -> tuple[list[str], list[str]]:
    """The columns that are looked at, and with them those that only the user's regions need."""
    first = tables[0]
    files.refuse_twice([part.source for table in tables for part in table.parts], "--members")
    given = given_columns(first, question.condition)
    asked = [text for text in question.columns or () if text not in given]
    chosen = files.select(first, asked or None, weight_column, ignored=[*ignored, *given])
    names = chosen.names
    # a member may have weights that another lacks
    other = {*ignored, *(files.names_in(question.weight_column or WEIGHT))}
    for table in tables[1:]:
        if question.columns is None and _kinds(table, other) != _kinds(first, other):
            expected = f"the {len(first.columns)} columns of {first.source}"
            fix = "members have the same columns"
            raise InputError(table.source, expected, _short(table.columns), fix)
    wanted = asked or names
    if not wanted:
        fix = "name them with --columns"
        got = f"none but {no_physics(ignored) or 'the weight'}"
        raise InputError(first.source, "columns to look at", got, fix)
    more = [name for name in columns_of(cuts, names, first) if name not in names]
    return names, [*wanted, *more]


def _ignored(
    tables: Sequence[Table], question: AveragingQuestion, weight_column: str | None
) -> tuple[dict[str, str], list[str]]:
    """The columns that are no physics, where none are named, and what is worth a warning.

    Regions that are functions of events count columns by their place: nothing is left out then.
    """
    if question.columns:
        if weight_column is not None:
            return {}, []
        looked_at = (*question.columns, *(question.holdout_columns or ()), question.condition)
        named = [n for text in looked_at if text for n in files.names_in(text)]
        return {}, files.unused_weights(tables, named)
    asked = weight_column, question.holdout_weight, question.condition
    texts = [t for t in asked if t]
    ignored = files.ignored_columns(tables, [n for text in texts for n in files.names_in(text)])
    if not isinstance(question.regions, rg.Regions):
        return ignored, files.weight_notes(ignored, weight_column)
    if not ignored:
        return {}, []
    why = "the regions go by the place of columns"
    return {}, [f"{no_physics(ignored)} are looked at like other columns: {why}; name the columns"]


def _written_out(question: AveragingQuestion, tables: Sequence[Table]) -> AveragingQuestion:
    """The question with columns for names of arrays, or with those that a user's function makes."""
    if question.columns is None:
        made = tables[0].made or None
        return replace(question, columns=made, holdout_columns=made or question.holdout_columns)
    of_truth = question.holdout_columns and files.written_out(tables[-1], question.holdout_columns)
    columns = files.written_out(tables[0], question.columns)
    return replace(question, columns=columns, holdout_columns=of_truth)


def _but(
    selection: files.Selection, left_out: Collection[str], names: Sequence[str]
) -> files.Selection:
    """The selection without columns, by their places among the names."""
    kept = zip(selection.columns, names, strict=True)
    return selection._replace(columns=tuple(c for c, name in kept if name not in left_out))


def _kinds(table: Table, ignored: Collection[str]) -> tuple[list[str], list[str]]:
    """Columns of numbers, and others."""
    columns, refused = set(table.columns), set(table.refused)
    return sorted(columns - set(ignored)), sorted(refused - set(ignored))


def _short(columns: Sequence[str]) -> str:
    more = ", ..." if len(columns) > 6 else ""
    return f"{len(columns)} columns ({', '.join(columns[:6])}{more})"


def _edge_events(members: Sequence[files.Selection], holdout: files.Selection | None) -> Events:
    """Events that place the edges of bins: of the holdout where there is one."""
    if holdout is None:
        return some_events(members)
    events = some_events([holdout])
    if (events.x.min(axis=0) == events.x.max(axis=0)).any():
        return some_events(members)  # what the holdout has one value of may differ there
    return events


def some_events(selections: Sequence[files.Selection], n: int = _EDGE_EVENTS) -> Events:
    """Some events of all samples, about n, each sample with the same sum of weights."""
    most = min(n, _EDGE_NUMBERS // len(selections[0].columns))
    parts = [files.spread(s, most // len(selections)) for s in selections]
    x = np.concatenate([part.x for part in parts])
    unweighted = all(part.weight is None for part in parts)
    if unweighted and len({len(part.x) for part in parts}) == 1:
        return Events(x, None)
    weights = [np.ones(len(p.x)) if p.weight is None else p.weight for p in parts]
    shares = [w / w.sum() if w.sum() > 0 else 0 * w for w in weights]
    return Events(x, np.concatenate(shares))
