"""Averaging amplification of generated samples: what several trainings of one generator are worth
for integrals over regions.

    question, members, holdout -> columns -> regions -> sums -> estimate -> Result

Members are files, arrays, `Samples` or a trained ensemble, and all go the same way.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import samples
from amplify.analysis.averaging_condition import answer_at_condition
from amplify.analysis.averaging_estimate import estimated
from amplify.analysis.averaging_forecast import ensemble_forecast, learned_forecast
from amplify.analysis.averaging_warnings import averaging_warnings
from amplify.analysis.copied import copies_in_selections
from amplify.analysis.cost import refuse_too_many
from amplify.analysis.default_regions import only
from amplify.analysis.in_regions import EVENTS, MOST_REGIONS
from amplify.analysis.member_events import event_notes, refuse_training_events
from amplify.analysis.opened_members import opened_as, prepare, some_events
from amplify.analysis.questions import AveragingQuestion
from amplify.errors import InputError
from amplify.external.observables import Function, observables_of
from amplify.progress import Progress, silent
from amplify.results.calibration import checked_kind, noted, transfer
from amplify.results.result import Result
from amplify.tables import files
from amplify.tables.opening import MAX_GB
from amplify.text import listed
from amplify.types import Events

_BLOCK = 1 << 15  # events that members generate at once (`amplify.sampling`)


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
    train: samples.Sample | None = None,
    same_data: Any = None,
    refits: Any = None,
    forecast: bool = False,
    members_are: str | None = None,
    n_gen: int | None = None,
    key: Any = None,
    columns: Sequence[str] | None = None,
    bins: int | None = None,
    map: tuple[str, str] | None = None,
    condition: str | None = None,
    condition_bins: int | None = None,
    observables: str | Function | None = None,
    weight_column: str | None = None,
    drop_nonfinite: bool = False,
    follow_links: bool = False,
    max_gb: float = MAX_GB,
    level: float = 0.68,
    limit_level: float = 0.95,
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
        train: the training events: to find them among the generated ones, to refuse a holdout that
            shares events with them, and to show large biases where there is no holdout
            (docs/method, Bias without a holdout).
        same_data: members that were all trained on the training events as they are, given as
            `members` are. They see what training alone leaves to chance: the limit on what the
            pool of the members is worth becomes a value.
        refits: members that were trained on generated events of `members`, n_train of their own
            each (`amplify.fit_refits`, `amplify.external.refits`), given as `members` are: what
            they get wrong includes the bias that regularisation makes.
        forecast: also say what a member is worth event by event, from members alone
            (`amplify.forecast_without_holdout`).
        members_are: how the members come to differ: "bootstrap", "same-data", "variational",
            "sgmcmc", "nuts" or "dropout". The result then says how members of this kind fared where
            truth is known (docs/calibration). Default what an ensemble says of itself.
        n_gen: events to generate with each member of an ensemble; default 100 000.
        key: of these events.
        columns: to look at, names or expressions such as "pt=sqrt(px**2 + py**2)"; default all
            but those that are no physics: row and event numbers, weights. Columns of arrays are
            x0, x1, ...
        bins: this many equiprobable bins of each column instead.
        map: two columns for the map of G; default the first two.
        condition: a column that was given to the generator: the regions are bins of the other
            columns at each value or bin of it, fractions are those of the events at that condition,
            all samples are weighted to the holdout's distribution of it (without one to the mean of
            the members'), and it is not tested itself (docs/method, Conditional generators).
        condition_bins: this many equiprobable bins of it; default its values, where they are 20 or
            fewer, else ten bins.
        observables: a function of a batch of events, or where it is, "FILE.py:function", that makes
            columns of their arrays: {name: numbers [event]} of {name: array [event, ...]}. They are
            looked at where no columns are named.
        weight_column: column, or expression, with event weights; negative ones are honoured.
            Samples that lack it, members or holdout, count one each event.
        drop_nonfinite: leave out events with nan or infinite values, instead of refusing them.
        follow_links: also read files that HDF5 files point to; they are listed among the inputs.
        max_gb: numbers in GB that a file may claim which is a hundred times smaller itself.
        level: confidence level of the two-sided intervals.
        limit_level: of the limits, one-sided.
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
        condition=condition,
        condition_bins=condition_bins,
        observables=observables_of(observables),
        weight_column=weight_column,
        holdout_columns=columns,
        holdout_weight=weight_column,
        train=train,
        same_data=same_data,
        refits=refits,
        forecast=forecast,
        members_are=checked_kind(members_are or getattr(members, "method", None), "members_are"),
        drop_nonfinite=drop_nonfinite,
        follow_links=follow_links,
        max_gb=max_gb,
        level=level,
        limit_level=limit_level,
        seed=seed,
    )
    for name, others in (("same_data", same_data), ("refits", refits)):
        if others is not None and _is_ensemble(members) != _is_ensemble(others):
            expected, got = "members of the same kind", "an ensemble and samples"
            raise InputError(name, expected, got, "give both as ensembles or both as samples")
    if not _is_ensemble(members):
        if n_gen is not None or key is not None:
            fix = "leave them out: the events are there"
            raise InputError("n_gen and key", "to go with a trained ensemble", "samples", fix)
        return answer(question, members, holdout, progress=progress)
    n_gen = n_gen or 100_000
    if key is None:
        fix = "give jax.random.key(0) or another"
        raise InputError("key", "a key for the generated events", "none", fix)
    views = ensemble_forecast(question, members, key) if forecast else {}
    by_place = isinstance(question.regions, rg.Regions)
    if by_place and condition is None and observables is None:
        result = _counted_and_forgotten(question, members, holdout, n_gen, key, progress)
        result = with_kind(result, question.members_are)
    else:
        drawn, again = (
            None if others is None else others.sample(key, n_gen) for others in (same_data, refits)
        )
        of_events = replace(
            question, same_data=drawn, refits=again, forecast=forecast and not views
        )
        generated = members.sample(key, n_gen)
        result = answer(of_events, generated, holdout, failed=(), progress=progress)
    return replace(result, views={**result.views, **views})


def answer(
    question: AveragingQuestion,
    members: Any,
    holdout: samples.Sample | None = None,
    *,
    failed: Sequence[Mapping[str, Any]] | None = None,
    bootstraps: bool = False,
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> Result:
    """Opens the samples, counts them in one pass and estimates.

    Args:
        question: what is asked.
        members: one sample for each.
        holdout: true events, or None.
        failed: members whose training failed, known where they were trained here.
        bootstraps: the members are known to be trained on bootstrap samples.
        notes: warnings that are known already.
        progress: of the reading.
    """
    bootstraps = bootstraps or question.members_are == "bootstrap"
    kind = question.members_are or ("bootstrap" if bootstraps else None)
    question = replace(question, members_are=kind)
    with ExitStack() as opened:
        prepared = prepare(question, members, holdout, opened)
        layout, selections = prepared.layout, prepared.selections
        if not len(layout.regions.labels):
            got = f"only constant ones: {listed(prepared.names)}"
            raise InputError(
                "columns", "one whose values differ", got, "name others with --columns"
            )
        refuse_too_many(selections, layout.regions, layout.estimated)
        every = [*selections, *([prepared.train] if prepared.train else [])]
        opened.enter_context(files.digesting(every))
        shared = event_notes(
            prepared.members,
            prepared.holdout,
            prepared.train,
            n_train=question.n_train,
            # means at a given condition scatter less than those of training events
            bootstraps=bootstraps or prepared.conditional is not None,
        )
        copied: dict[str, Any] = {}
        if prepared.train is not None:
            samples_of = prepared.members, prepared.train, prepared.holdout
            copied, of_copies = copies_in_selections(*samples_of, question.seed)
            shared = [*of_copies, *shared]
        if prepared.conditional is not None:
            at_condition = answer_at_condition(
                question,
                prepared,
                holdout,
                failed=failed,
                bootstraps=bootstraps,
                notes=[*notes, *prepared.notes, *shared],
                progress=progress,
            )
            at_condition = replace(at_condition, views={**at_condition.views, **copied})
            return with_kind(at_condition, kind)
        with progress("reading events", total=sum(s.table.n for s in every)) as bar:
            counted = [_count(s, layout.regions, bar.advance) for s in every]
        inputs = [files.describe(s) for s in every]
        events = None
        if len(layout.estimated) <= MOST_REGIONS:
            events = some_events(prepared.members, EVENTS)
        forecast = learned_forecast(question, prepared, progress) if question.forecast else {}
    counted_train = counted.pop() if prepared.train else None
    counted_holdout = counted.pop() if prepared.holdout else None
    count = len(prepared.members)
    counted, others = counted[:count], counted[count:]
    of_same_data = others[: len(prepared.same_data)]
    of_refits = others[len(prepared.same_data) :]
    every = [*prepared.members, *every[count + len(others) :]]
    answered, views, left_out = estimated(
        layout,
        [c.sums for c in counted],
        None if counted_holdout is None else counted_holdout.sums,
        n_train=question.n_train,
        level=question.level,
        limit_level=question.limit_level,
        named=question.regions is not None,
        transfer=transfer(kind),
        same_data=[c.sums for c in of_same_data],
        events=events,
        train=None if counted_train is None else counted_train.sums,
        refits=[c.sums for c in of_refits],
    )
    cautions = averaging_warnings(
        every,
        counted,
        counted_holdout,
        failed,
        bootstraps=bootstraps,
        train=counted_train,
        regions=layout.estimated,
        binnings=[binning.regions for binning in layout.binnings],
        n_train=question.n_train,
    )
    result = Result(
        answers=(answered,),
        settings=question.settings(prepared.names, holdout, prepared.ignored),
        inputs=tuple(inputs),
        warnings=(*notes, *prepared.notes, *shared, *layout.notes, *left_out, *cautions),
        views=views | forecast | copied | {"failed_members": list(failed or ())},
        seed=question.seed,
    )
    return with_kind(result, kind)


def _count(selection: files.Selection, regions: rg.Regions, advance: Any) -> Counted:
    """Sums of a sample over the regions, chunk by chunk."""
    total = None
    for chunk in files.over_chunks(partial(_count_chunk, regions), selection):
        total = chunk if total is None else total.plus(chunk)
        advance(chunk.sums.n)
    assert total is not None, "samples have at least one row"
    if not total.sums.weight > 0:
        what = f"weights of {selection.table.source}"
        got = f"{total.sums.weight:g}"
        raise InputError(what, "a positive sum", got, "check the weight column")
    return total


def _count_chunk(regions: rg.Regions, _: int, x: np.ndarray, weight: np.ndarray | None) -> Counted:
    negative = 0 if weight is None else int((weight < 0).sum())
    return Counted(rg.count(regions, x, weight), negative)


def with_kind(result: Result, kind: str | None) -> Result:
    """The same, with what the calibration study found of members of this kind."""
    views, cautions = noted(kind)
    warnings = (*result.warnings, *cautions)
    return replace(result, views={**result.views, **views}, warnings=warnings)


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
    other_sums: list[list[rg.Sums]] = []
    for others in (question.same_data, question.refits):
        found = []
        if others is not None:
            found = member_integrals(key, others.generator, others.params, regions, n_gen).integral
        other_sums.append([rg.unweighted(n_gen, share * n_gen) for share in found])
    inputs: list[dict[str, Any]] = []
    true, selections, counted_train = None, [], None
    with ExitStack() as opened:
        if holdout is not None:
            selections = [_selected(question, holdout, "holdout", opened)]
            true = _count(selections[0], regions, lambda n: None)
            inputs = [files.describe(selections[0])]
        if question.train is not None:
            train = _selected(question, question.train, "training events", opened)
            counted_train = _count(train, regions, lambda n: None)
            inputs.append(files.describe(train))
            if holdout is not None:
                refuse_training_events(selections[0], train)
    answered, views, left_out = estimated(
        only(regions),
        sums,
        None if true is None else true.sums,
        n_train=question.n_train,
        level=question.level,
        limit_level=question.limit_level,
        named=True,
        transfer=transfer(question.members_are),
        same_data=other_sums[0],
        refits=other_sums[1],
        events=_some_generated(ensemble, key, n_gen, len(regions.labels)),
        train=None if counted_train is None else counted_train.sums,
    )
    cautions = averaging_warnings(
        selections,
        [Counted(s, 0) for s in sums],
        true,
        failed=(),
        bootstraps=False,
        train=counted_train,
        regions=np.arange(len(regions.labels)),
        n_train=question.n_train,
    )
    return Result(
        answers=(answered,),
        settings=question.settings([], holdout) | {"n_gen": n_gen},
        inputs=tuple(inputs),
        warnings=(*left_out, *cautions),
        views=views,
        seed=question.seed,
    )


def _some_generated(ensemble: Any, key: Any, n_gen: int, regions: int) -> Events | None:
    """Some events of the members, in blocks of the size that was compiled."""
    if regions > MOST_REGIONS:
        return None
    x = np.asarray(ensemble.sample(key, min(n_gen, _BLOCK)).x)
    return Events(x[:, : max(EVENTS // len(x), 1)].reshape(-1, x.shape[-1]))


def _selected(
    question: AveragingQuestion, sample: samples.Sample, name: str, opened: ExitStack
) -> files.Selection:
    """The columns of true events, in the order of the generator's."""
    table = opened_as(sample, name, opened, question.observables)
    weight = samples.weight_of([sample], question.holdout_weight)
    ignored: dict[str, str] = {}
    if not question.holdout_columns:
        ignored = files.ignored_columns([table], files.names_in(weight or ""))
    selection = files.select(
        table,
        question.holdout_columns,
        weight,
        drop_nonfinite=question.drop_nonfinite,
        ignored=ignored,
    )
    return files.counted(selection)
