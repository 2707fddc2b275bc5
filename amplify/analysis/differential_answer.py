"""From a generated sample and a holdout of true events to the differential answer.

    question, generated, holdout -> columns -> summary, regions -> tallies -> estimate -> Result

The generated sample streams through memory, the holdout stays in it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import approximate, cost, cross_fitted, samples, tallies
from amplify.analysis.conditions import Condition, condition_record, stratified
from amplify.analysis.copied import copies_in_differential
from amplify.analysis.default_regions import differential_regions, map_places
from amplify.analysis.differential_size import most_teaching, n_first, size_of
from amplify.analysis.differential_views import curves_of, sensitivity_table
from amplify.analysis.differential_warnings import differential_warnings
from amplify.analysis.each_member import views_of_members
from amplify.analysis.forecast import LEARNED_EVENTS
from amplify.analysis.panels import MOST_PANELS, Panels, most_different
from amplify.analysis.questions import DifferentialQuestion, cuts_file
from amplify.analysis.same_events import refuse_generated, refuse_same_events
from amplify.analysis.summary import ChosenSummary, at_the_same, choose_summary
from amplify.analysis.training_events import training_events
from amplify.analysis.two_samples import (
    TwoSamples,
    at_same_condition,
    check_weights,
    load_holdout,
    open_two_samples,
)
from amplify.estimators import differential as df
from amplify.progress import Progress, silent
from amplify.regions.cuts import read_cuts
from amplify.results.result import Answer, Result
from amplify.summaries import Learner
from amplify.tables import files
from amplify.tables.marks import Search
from amplify.tables.opening import opening
from amplify.tables.overlap import in_common
from amplify.types import Events

_SHOWN = 20_000  # generated events that choose the panels where none teach


class Prepared(NamedTuple):
    """What is read, how the summary comes about, and where it is looked at.

    Attributes:
        summary: how it comes about.
        two: both samples; where there is a condition, at the same one.
        read: both samples as they are.
        holdout: true events, in memory.
        regions: everything first.
        map: places of two columns.
        forecast: of time and memory.
        condition: that was given to the generator, or None.
        notes: warnings about it.
    """

    summary: ChosenSummary
    two: TwoSamples
    read: TwoSamples
    holdout: Events
    regions: rg.Regions
    map: tuple[int, int] | None
    forecast: cost.Forecast
    condition: Condition | None = None
    notes: Sequence[str] = ()


def answer(
    question: DifferentialQuestion,
    generated: samples.Sample,
    holdout: samples.Sample,
    *,
    progress: Progress = silent,
) -> Result:
    """Opens both samples, learns where a summary is learned, tallies in one pass and estimates."""
    given, of_members = generated, {}
    if question.members is not None:
        question.check()
        generated = samples.pool_of(given)
    with ExitStack() as opened:
        prepared = prepare(question, generated, holdout, opened)
        read = [prepared.read.generated, prepared.read.holdout]
        opened.enter_context(files.digesting(read))
        notes, search = refuse_same_events(prepared.two, question, prepared.summary)
        names = prepared.two.names
        answers, inputs, views, cautions = _answered(question, prepared, progress, search=search)
    if question.members is not None:
        each = _alone(question, samples.split_members(given), holdout, progress)
        of_members, more = views_of_members(question, *each, progress)
        notes = [*notes, *more]
    return Result(
        answers=tuple(answers),
        settings=question.settings(names, given, holdout, prepared.two.ignored),
        inputs=tuple(inputs),
        warnings=(*notes, *prepared.notes, *cautions),
        views=views | of_members,
        seed=question.seed,
    )


def _alone(
    question: DifferentialQuestion,
    members: Sequence[samples.Sample],
    holdout: samples.Sample,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[Events]]:
    """The record of each member by itself, and some of its events."""
    narrow = {"regions": None, "bins": None, "map": None, "cross_fit": False, "log_prob": None}
    alone = replace(question, members=None, **narrow)
    records, events = [], []
    with progress("each member", total=len(members)) as bar:
        for m, member in enumerate(members):
            with ExitStack() as opened:
                prepared = prepare(alone, member, holdout, opened)
                answers, *_ = _answered(alone, prepared, silent, brief=True)
                generated, names = prepared.two.generated, prepared.two.names
                kept = files.spread(generated, LEARNED_EVENTS)
            records.append({"member": m, **answers[0].records()[0]})
            events.append(Events(kept.x[:, : len(names)], kept.weight))
            bar.advance(1)
    return records, events


def prepare(
    question: DifferentialQuestion,
    generated: samples.Sample,
    holdout: samples.Sample,
    opened: ExitStack,
    *,
    dry_run: bool = False,
) -> Prepared:
    """Checks, opens both samples, loads the holdout and chooses the regions.

    Args:
        question: what is asked.
        generated: the generated sample.
        holdout: the true events.
        opened: closes the files.
        dry_run: do not read all events to count those that are dropped, and refuse nothing for
            its size.
    """
    question.check()
    opened.enter_context(opening(follow_links=question.follow_links, max_gb=question.max_gb))
    summary = choose_summary(question.summary, question.seed, question.log_prob)
    file = cuts_file(question.regions)
    cuts = [] if file is None else read_cuts(file)
    two = open_two_samples(question, summary, cuts, generated, holdout, opened)
    if not dry_run:
        counted = files.counted(two.generated), files.counted(two.holdout)
        two = two._replace(generated=counted[0], holdout=counted[1])
    read, condition, notes = two, None, []
    if question.condition is not None:
        two, condition, notes = at_same_condition(question, two)
        summary = at_the_same(summary, condition.name)
    places = map_places(question.map, two.names)
    size = size_of(question, summary, cuts, two, condition)
    if not dry_run:
        cost.refuse_too_large(size)
    events = load_holdout(two.holdout, approximate=question.approximate is not None)
    check_weights(two.holdout.table.source, events.weight)
    regions = differential_regions(question, cuts, two, events, condition)
    forecast = cost.differential_cost(size)
    return Prepared(summary, two, read, events, regions, places, forecast, condition, notes)


class _Split(NamedTuple):
    """Which events teach and which are tested.

    Attributes:
        teach: holdout events that teach.
        test: holdout events that are tested.
        first: generated events that teach.
        rows: of the generated events that are tested.
        rows_true: of the holdout, where all of it is tested from the file.
    """

    teach: Events
    test: Events
    first: Events
    rows: tallies.Rows
    rows_true: tallies.Rows = []


def _answered(
    question: DifferentialQuestion,
    prepared: Prepared,
    progress: Progress,
    *,
    brief: bool = False,
    search: Search | None = None,
) -> tuple[list[Answer], list[dict[str, Any]], dict[str, Any], list[str]]:
    """Answers, inputs, what the pictures show unless it is to be brief, and warnings; refuses
    events of the holdout that the search finds among the generated ones.
    """
    summary, two, read, events, regions, places, _, condition, _ = prepared
    learner = summary.learner
    split = _split(question, learner, two, events)
    if learner is None:
        chosen = tallies.column_summaries(
            two.summary, summary.method, regions, two.generated, split.test, condition
        )
    else:
        # bulk and tails look at the ratio of everything
        own = question.regions is not None or question.bins is not None
        chosen = tallies.learned_summaries(
            learner,
            regions,
            split.first,
            split.teach if condition is None else stratified(condition, split.teach),
            split.test,
            two.learned,
            own=own,
            same_condition=condition is not None,
            progress=progress,
        )
    tested = None
    n_holdout, negative_holdout = len(events.x), _negative(events)
    by_values = summary.method == "ks"
    if question.approximate is not None:
        tested = approximate.on_all(
            chosen,
            regions,
            two.holdout,
            split.rows_true,
            error=question.approximate,
            by_values=by_values,
            progress=progress,
        )
        chosen, n_holdout, negative_holdout = tested.regions, two.holdout.n, tested.negative
    panels = Panels(two.names, events, _shown(two, split.first, events))
    streamed = tallies.stream(two.generated, split.rows, regions, chosen, panels, progress, search)
    if search is not None:
        refuse_generated(two, in_common(search, streamed.met))
    if chosen[0].summary is not None and not streamed.totals[0].counts.total > 0:
        check_weights(two.generated.table.source, np.zeros(1))
    n_train, train, of_weights = training_events(question, regions, read, condition, split.test)
    estimate = df.estimate(
        streamed.totals,
        [c.holdout for c in chosen],
        n_train=n_train,
        method=summary.method,
        learned=learner is not None,
        unknown=None if tested is None else tested.unknown,
        level=question.level,
        limit_level=question.limit_level,
    )
    answers = [
        Answer(
            estimate,
            regions.labels,
            n_train=n_train,
            n_gen=two.generated.n,
            n_holdout=n_holdout,
            level=question.level,
            limit_level=question.limit_level,
            summary=summary.label,
        )
    ]
    if question.cross_fit and learner is not None:
        answers.append(
            cross_fitted.answer(
                learner,
                two,
                events,
                label=summary.label,
                n_train=question.n_train,
                level=question.level,
                limit_level=question.limit_level,
                seed=question.seed,
                most=most_teaching(two.generated),
                progress=progress,
            )
        )
    views: dict[str, Any] = {}
    if np.isfinite(estimate.distance.value[0]):
        views["differential"] = curves_of(
            summary, chosen[0], streamed, split.test, places, two.names, estimate
        )
        if learner is not None and not brief and len(split.first.x) >= 9 * len(split.teach.x):
            taught = Events(split.first.x[:, two.learned], split.first.weight)
            views["sensitivities"] = sensitivity_table(
                learner, taught, len(split.teach.x), estimate, question.seed, progress
            )
    views["panels"] = panels.finished()
    copied, of_copies = ({}, []) if brief else copies_in_differential(question, read, events)
    cautions = differential_warnings(
        question,
        summary,
        read,
        train,
        n_loaded=n_holdout,
        negative_holdout=negative_holdout,
        negative_generated=_negative(split.first) + streamed.negative,
        summary_of_everything=chosen[0].summary,
        tested={"holdout": split.test, "generated": streamed.looked_at},
    )
    if condition is not None:
        views["condition"] = condition_record(condition)
    if tested is not None and question.approximate is not None:
        views["approximation"] = approximate.view(tested, question.approximate, by_values=by_values)
        cautions += approximate.notes(tested, by_values=by_values)
    inputs = [read.generated, read.holdout, *([train] if train else [])]
    notes = [*of_copies, *cautions, *of_weights]
    described = [] if brief else [files.describe(s) for s in inputs]
    return answers, described, views | copied, notes


def _shown(two: TwoSamples, first: Events, holdout: Events) -> list[int]:
    """The columns that get a panel."""
    if not len(first.x) and len(two.names) > MOST_PANELS:
        first = files.spread(two.generated, _SHOWN, as_read=True)
    return most_different(first, holdout, len(two.names))


def _split(
    question: DifferentialQuestion, learner: Learner | None, two: TwoSamples, events: Events
) -> _Split:
    generated, nothing = two.generated, events.take(slice(0))
    everything = [(0, two.holdout.table.n)]
    if learner is None:
        return _Split(nothing, events, nothing, [(0, generated.table.n)], everything)
    order = np.random.default_rng(question.seed).permutation(len(events.x))
    n_teach = int(question.fraction * len(events.x))
    size = n_first(generated, n_teach)
    teaching_rows, rows = tallies.spread_blocks(generated.table.n, size)
    first = tallies.load_rows(generated, teaching_rows)
    if question.approximate is None:
        teach, test = events.take(order[:n_teach]), events.take(order[n_teach:])
        split = _Split(teach, test, first, rows)
    else:
        rows_teach, rows_true = tallies.spread_blocks(two.holdout.table.n, n_teach)
        teach = tallies.load_rows(two.holdout, rows_teach)
        split = _Split(teach, events, first, rows, rows_true)
    check_weights(generated.table.source, split.first.weight)
    check_weights(two.holdout.table.source, split.teach.weight)
    check_weights(two.holdout.table.source, split.test.weight)
    return split


def _negative(events: Events) -> int:
    return 0 if events.weight is None else int((events.weight < 0).sum())
