"""Averaging amplification of generated samples: what several trainings of one generator are worth
for integrals over regions.

    question, members, holdout -> columns -> regions -> sums -> estimate -> Result

Members are files, arrays, `Samples` or a trained ensemble, and all go the same way.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import samples
from amplify.analysis.averaging_estimate import estimated
from amplify.analysis.averaging_warnings import averaging_warnings
from amplify.analysis.default_regions import Layout, make_layout, map_places, only
from amplify.analysis.questions import AveragingQuestion, cuts_file, own_regions
from amplify.errors import InputError, NeedsMembersError
from amplify.progress import Progress, silent
from amplify.regions.cuts import Cut, as_regions, columns_of, read_cuts
from amplify.results.result import Result
from amplify.tables import files
from amplify.tables.parallel import in_order
from amplify.tables.table import Table
from amplify.text import listed
from amplify.types import Events

_EDGE_EVENTS = 400_000  # events that place the edges of bins


class Prepared(NamedTuple):
    """Members and holdout with the same columns, and the regions to count in."""

    members: list[files.Selection]
    holdout: files.Selection | None
    names: list[str]
    layout: Layout

    @property
    def selections(self) -> list[files.Selection]:
        """All samples, the holdout last."""
        return [*self.members, *([self.holdout] if self.holdout else [])]


class Counted(NamedTuple):
    """Sums of a sample over all regions, and how many weights were negative."""

    sums: rg.Sums
    negative: int

    def plus(self, other: "Counted") -> "Counted":
        """Those of both parts of a sample."""
        return Counted(self.sums.plus(other.sums), self.negative + other.negative)


def averaging(
    members: Any,
    regions: rg.Regions | Path | str | None = None,
    *,
    n_train: int,
    holdout: samples.Sample | None = None,
    n_gen: int | None = None,
    key: Any = None,
    columns: Sequence[str] | None = None,
    bins: int | None = None,
    map: tuple[str, str] | None = None,
    weight_column: str | None = None,
    drop_nonfinite: bool = False,
    level: float = 0.68,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """How many true events generated samples are worth for integrals over regions (docs/method,
    Averaging amplification); what the command `amplify averaging` does.

    >>> rng = np.random.default_rng(0)
    >>> members = [rng.normal(0.03 * rng.normal(), 1, (50_000, 1)) for _ in range(8)]
    >>> result = averaging(members, n_train=1000, bins=2)
    >>> [record["status"] for record in result.records]
    ['resolved', 'resolved']

    Args:
        members: one sample for each network that was trained on a bootstrap sample of the training
            events: a list of files (several formats, globs, FILE:path/inside) or arrays [event,
            dim], an array [member, event, dim], `Samples`, or a trained `Ensemble`.
        regions: `Regions`, or the path of a YAML or JSON file of them; default ten equiprobable
            bins of each column and its tails. Of an ensemble, events in `Regions` are counted and
            forgotten, so that n_gen may exceed memory; the result then has no other pictures.
        n_train: training events of each member.
        holdout: true events that no member was trained on: a file, several, or an array. Shows
            biases that all members share.
        n_gen: events to generate with each member of an ensemble; default 100 000.
        key: of these events.
        columns: to look at, names or expressions such as "pt=sqrt(px**2 + py**2)"; default all.
            Columns of arrays are x0, x1, ...
        bins: this many equiprobable bins of each column instead.
        map: two columns for the map of G; default the first two.
        weight_column: column, or expression, with event weights; negative ones are honoured.
        drop_nonfinite: leave out events with nan or infinite values, instead of refusing them.
        level: confidence level of the intervals.
        seed: recorded in the result; nothing is random here.
        progress: `amplify.progress.progress_bar` shows how far it is.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    question = AveragingQuestion(
        n_train=n_train,
        columns=columns,
        regions=regions if isinstance(regions, rg.Regions) or regions is None else Path(regions),
        bins=bins,
        map=map,
        weight_column=weight_column,
        holdout_columns=columns,
        holdout_weight=weight_column,
        drop_nonfinite=drop_nonfinite,
        level=level,
        seed=seed,
    )
    if not _is_ensemble(members):
        if n_gen is not None or key is not None:
            fix = "leave them out: the events are there"
            raise InputError("n_gen and key", "to go with a trained ensemble", "samples", fix)
        return answer(question, members, holdout, progress=progress)
    n_gen = n_gen or 100_000
    if key is None:
        fix = "give jax.random.key(0) or another"
        raise InputError("key", "a key for the generated events", "none", fix)
    if isinstance(question.regions, rg.Regions):
        return _counted_and_forgotten(question, members, holdout, n_gen, key, progress)
    return answer(question, members.sample(key, n_gen), holdout, failed=(), progress=progress)


def answer(
    question: AveragingQuestion,
    members: Any,
    holdout: samples.Sample | None = None,
    *,
    failed: Sequence[Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> Result:
    """Opens the samples, counts them in one pass and estimates.

    Args:
        question: what is asked.
        members: one sample for each.
        holdout: true events, or None.
        failed: members whose training failed, known where they were trained here.
        notes: warnings that are known already.
        progress: of the reading.
    """
    with ExitStack() as opened:
        prepared = prepare(question, members, holdout, opened)
        layout, selections = prepared.layout, prepared.selections
        if not len(layout.regions.labels):
            got = f"only constant ones: {listed(prepared.names)}"
            raise InputError(
                "columns", "one whose values differ", got, "name others with --columns"
            )
        with progress("reading events", total=sum(s.table.n for s in selections)) as bar:
            counted = [_count(s, layout.regions, bar.advance) for s in selections]
        inputs = [files.describe(s) for s in selections]
    counted_holdout = counted.pop() if prepared.holdout else None
    answered, views, left_out = estimated(
        layout,
        [c.sums for c in counted],
        None if counted_holdout is None else counted_holdout.sums,
        n_train=question.n_train,
        level=question.level,
        named=question.regions is not None,
    )
    cautions = averaging_warnings(selections, counted, counted_holdout, failed)
    return Result(
        answers=(answered,),
        settings=question.settings(prepared.names, holdout),
        inputs=tuple(inputs),
        warnings=(*notes, *layout.notes, *left_out, *cautions),
        views=views | {"failed_members": list(failed or ())},
        seed=question.seed,
    )


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
    _check_members(members)
    question.check()
    each = samples.split_members(members)
    given = [*each, holdout]
    weight_column = samples.weight_of(given, question.weight_column)
    holdout_weight = samples.weight_of(given, question.holdout_weight)
    file = cuts_file(question.regions)
    cuts = [] if file is None else read_cuts(file)

    tables = [_opened(member, f"member {m}", opened) for m, member in enumerate(each)]
    true_table = None if holdout is None else _opened(holdout, "holdout", opened)
    if true_table is not None:
        everything = [*tables, true_table]
        sources = [part.source for table in everything for part in table.parts]
        files.refuse_twice(sources, "--members and --holdout")
    names, wanted = _columns(tables, question, cuts, weight_column)
    drop = question.drop_nonfinite
    selected = [files.select(t, wanted, weight_column, drop_nonfinite=drop) for t in tables]
    if true_table is not None:
        true_columns = [*(question.holdout_columns or names), *wanted[len(names) :]]
        has_weight = holdout_weight and files.has_column(true_table, holdout_weight)
        true_weight = holdout_weight if has_weight else None
        selected.append(files.select(true_table, true_columns, true_weight, drop_nonfinite=drop))
    selected = files.same_precision(selected)
    if not dry_run:
        selected = [files.counted(s) for s in selected]
    true_sample = selected.pop() if true_table is not None else None

    named = as_regions(cuts, selected[0].names) if cuts else None
    layout = make_layout(
        _edge_events(selected, true_sample),
        names,
        n_train=question.n_train,
        bins=question.bins,
        named=named or own_regions(question.regions),
        map_columns=map_places(question.map, names),
    )
    return Prepared(selected, true_sample, names, layout)


def _check_members(members: Any) -> None:
    """There is no spread in one."""
    if not isinstance(members, Sequence) or len(members) >= 2:
        return
    quoted = any(c in str(member) for member in members for c in "*?[")
    fix = "train again on bootstrap samples of the training events"
    if quoted:
        fix = "a quoted glob is one sample, drop the quotes"
    expected = "at least 2 files, better 8 or more"
    raise NeedsMembersError("--members", expected, str(len(members)), fix)


def _opened(sample: samples.Sample, name: str, opened: ExitStack) -> Table:
    table = samples.open_as_table(sample, name)
    opened.callback(table.close)
    return table


def _columns(
    tables: Sequence[Table],
    question: AveragingQuestion,
    cuts: Sequence[Cut],
    weight_column: str | None,
) -> tuple[list[str], list[str]]:
    """The columns that are looked at, and with them those that only the user's regions need."""
    first = tables[0]
    files.refuse_twice([part.source for table in tables for part in table.parts], "--members")
    names = files.select(first, question.columns, weight_column).names
    for table in tables[1:]:
        if question.columns is None and _kinds(table) != _kinds(first):
            expected = f"the {len(first.columns)} columns of {first.source}"
            fix = "members have the same columns"
            raise InputError(table.source, expected, _short(table.columns), fix)
    wanted = list(question.columns) if question.columns else names
    if not wanted:
        fix = "name them with --columns"
        raise InputError(first.source, "columns to look at", "none but the weight", fix)
    more = [name for name in columns_of(cuts, names, first) if name not in names]
    return names, [*wanted, *more]


def _kinds(table: Table) -> tuple[list[str], list[str]]:
    return sorted(table.columns), sorted(table.refused)


def _short(columns: Sequence[str]) -> str:
    more = ", ..." if len(columns) > 6 else ""
    return f"{len(columns)} columns ({', '.join(columns[:6])}{more})"


def _edge_events(members: Sequence[files.Selection], holdout: files.Selection | None) -> Events:
    """Events that place the edges of bins: of the holdout where there is one."""
    if holdout is None:
        return _pooled(members)
    events = _pooled([holdout])
    if (events.x.min(axis=0) == events.x.max(axis=0)).any():
        return _pooled(members)  # what the holdout has one value of may differ there
    return events


def _pooled(selections: Sequence[files.Selection]) -> Events:
    """Some events of all samples, each with the same sum of weights, to choose edges from."""
    parts = [files.spread(s, _EDGE_EVENTS // len(selections)) for s in selections]
    x = np.concatenate([part.x for part in parts])
    unweighted = all(part.weight is None for part in parts)
    if unweighted and len({len(part.x) for part in parts}) == 1:
        return Events(x, None)
    weights = [np.ones(len(p.x)) if p.weight is None else p.weight for p in parts]
    shares = [w / w.sum() if w.sum() > 0 else 0 * w for w in weights]
    return Events(x, np.concatenate(shares))


def _count(selection: files.Selection, regions: rg.Regions, advance: Any) -> Counted:
    """Sums of a sample over the regions, chunk by chunk."""

    def count(x: np.ndarray, weight: np.ndarray | None) -> Counted:
        negative = 0 if weight is None else int((weight < 0).sum())
        return Counted(rg.count(regions, x, weight), negative)

    total = None
    for chunk in in_order(count, files.chunks(selection)):
        total = chunk if total is None else total.plus(chunk)
        advance(chunk.sums.n)
    assert total is not None, "samples have at least one row"
    if not total.sums.weight > 0:
        what = f"weights of {selection.table.source}"
        got = f"{total.sums.weight:g}"
        raise InputError(what, "a positive sum", got, "check the weight column")
    return total


def _is_ensemble(members: Any) -> bool:
    """A trained `Ensemble`, told without importing JAX."""
    return hasattr(members, "params") and hasattr(members, "sample")


def _counted_and_forgotten(
    question: AveragingQuestion,
    ensemble: Any,
    holdout: samples.Sample | None,
    n_gen: int,
    key: Any,
    progress: Progress,
) -> Result:
    """The members' events are generated, counted in the regions, and not kept."""
    from amplify.integrals import member_integrals

    question.check()
    regions = question.regions
    assert isinstance(regions, rg.Regions)
    with progress("generating events") as bar:
        integrals = member_integrals(
            key, ensemble.generator, ensemble.params, regions, n_gen, progress=bar.count
        )
    sums = [rg.unweighted(n_gen, share * n_gen) for share in integrals.integral]
    inputs: list[dict[str, Any]] = []
    true, selections = None, []
    if holdout is not None:
        with ExitStack() as opened:
            table = _opened(holdout, "holdout", opened)
            weight = samples.weight_of([holdout], question.holdout_weight)
            drop = question.drop_nonfinite
            chosen = files.select(table, question.holdout_columns, weight, drop_nonfinite=drop)
            selections = [files.counted(chosen)]
            true = _count(selections[0], regions, lambda n: None)
            inputs = [files.describe(selections[0])]
    answered, views, left_out = estimated(
        only(regions),
        sums,
        None if true is None else true.sums,
        n_train=question.n_train,
        level=question.level,
        named=True,
    )
    cautions = averaging_warnings(selections, [Counted(s, 0) for s in sums], true, failed=())
    return Result(
        answers=(answered,),
        settings=question.settings([], holdout) | {"n_gen": n_gen},
        inputs=tuple(inputs),
        warnings=(*left_out, *cautions),
        views=views,
        seed=question.seed,
    )
