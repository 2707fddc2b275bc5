"""Differential amplification of a generated sample against a holdout of true events: what one
trained generator is worth event by event.

    question, generated, holdout -> columns -> summary, regions -> tallies -> estimate -> Result

The generated sample streams through memory, the holdout stays in it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import cost, cross_fitted, samples, tallies
from amplify.analysis.default_regions import differential_regions, map_places
from amplify.analysis.differential_size import most_teaching, n_first, size_of
from amplify.analysis.differential_views import curves_of, sensitivity_table
from amplify.analysis.differential_warnings import differential_warnings
from amplify.analysis.each_member import views_of_members
from amplify.analysis.forecast import LEARNED_EVENTS
from amplify.analysis.panels import MOST_PANELS, Panels, most_different
from amplify.analysis.questions import DifferentialQuestion, cuts_file
from amplify.analysis.same_events import refuse_same_events
from amplify.analysis.summary import ChosenSummary, choose_summary
from amplify.analysis.two_samples import (
    TwoSamples,
    check_weights,
    load_holdout,
    open_two_samples,
)
from amplify.estimators import differential as df
from amplify.progress import Progress, silent
from amplify.regions.cuts import read_cuts
from amplify.results.result import Answer, Result
from amplify.summaries import Learner, LogProb
from amplify.tables import files
from amplify.types import Events

_SHOWN = 20_000  # generated events that choose the panels where none teach


class Prepared(NamedTuple):
    """What is read, how the summary comes about, and where it is looked at."""

    summary: ChosenSummary
    two: TwoSamples
    holdout: Events
    regions: rg.Regions
    map: tuple[int, int] | None
    forecast: cost.Forecast


def differential(
    generated: samples.Sample,
    holdout: samples.Sample,
    *,
    n_train: int,
    members: Literal["bootstrap", "same-data"] | None = None,
    regions: rg.Regions | Path | str | None = None,
    summary: str | Learner = "classifier",
    log_prob: LogProb | None = None,
    log_prob_column: str | None = None,
    train: samples.Sample | None = None,
    columns: Sequence[str] | None = None,
    bins: int | None = None,
    map: tuple[str, str] | None = None,
    weight_column: str | None = None,
    fraction: float = 1 / 3,
    cross_fit: bool = False,
    drop_nonfinite: bool = False,
    level: float = 0.68,
    limit_level: float = 0.95,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """How many true events the events of one trained generator are worth, one by one (docs/method,
    Differential amplification); what the command `amplify differential` does.

    >>> rng = np.random.default_rng(0)
    >>> generated, holdout = rng.normal(0.3, 1, (50_000, 1)), rng.normal(0, 1, (4000, 1))
    >>> result = differential(generated, holdout, n_train=1000, summary="column:x0")
    >>> low, high = result["all"]["n_equiv_interval"]
    >>> low < 53.1 < high  # the truth
    True

    Args:
        generated: events, as many as there are: a file, several, a glob, or an array [event, dim].
        holdout: true events that were not used in training.
        n_train: training events of the generator.
        members: `generated` are the members of one training procedure, given as `amplify.averaging`
            takes them, and how they were trained: on bootstrap samples, or all on the same data.
            The estimates are then those of their pool, each event from one of them; the result has
            each member by itself too, and what members say without the holdout
            (`amplify.forecast_without_holdout`).
        regions: `Regions`, or the path of a YAML or JSON file of them; both samples are cut to
            each, and each has a learned ratio of its own. Default: everything, bulk and tails.
        summary: one number per event: "classifier" (learned likelihood ratio), "mlp" or "trees"
            (other learners), "column:NAME", "ratio:NAME" for a column that is log p_generated /
            p_true, or a learner of one's own (`amplify.summaries.Learner`).
        log_prob: the generator's log density, events [n, dim] -> [n]: the learned ratio sees more
            with it.
        log_prob_column: the same as a column of both samples.
        train: the training events: to refuse a holdout that shares events with them, and to count
            those in each region.
        columns: to learn from and to cut on, names or expressions; default all. Columns of arrays
            are x0, x1, ...
        bins: this many equiprobable bins of each column instead.
        map: two columns for the map of generated over true events; default the first two.
        weight_column: column, or expression, with event weights, in one or both samples.
        fraction: part of the holdout that teaches a learned ratio; the rest is tested.
        cross_fit: also test every holdout event, by a ratio that the others taught; takes minutes.
        drop_nonfinite: leave out events with nan or infinite values, instead of refusing them.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided; a learned ratio claims nothing else.
        seed: of the split of the holdout and the learner.
        progress: `amplify.progress.progress_bar` shows how far it is.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    question = DifferentialQuestion(
        n_train=n_train,
        members=members,
        summary=summary,
        log_prob=log_prob,
        train=train,
        columns=columns,
        log_prob_column=log_prob_column,
        weight_column=samples.weight_of(
            [*(samples.split_members(generated) if members else [generated]), holdout],
            weight_column,
        ),
        regions=regions if isinstance(regions, rg.Regions) or regions is None else Path(regions),
        bins=bins,
        map=map,
        fraction=fraction,
        cross_fit=cross_fit,
        drop_nonfinite=drop_nonfinite,
        level=level,
        limit_level=limit_level,
        seed=seed,
    )
    return answer(question, generated, holdout, progress=progress)


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
        notes = refuse_same_events(prepared.two, question, prepared.summary)
        names = prepared.two.names
        answers, inputs, views, cautions = _answered(question, prepared, progress)
    if question.members is not None:
        each = _alone(question, samples.split_members(given), holdout, progress)
        of_members, more = views_of_members(question, *each, progress)
        notes = [*notes, *more]
    return Result(
        answers=tuple(answers),
        settings=question.settings(names, given, holdout, prepared.two.ignored),
        inputs=tuple(inputs),
        warnings=(*notes, *cautions),
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
    summary = choose_summary(question.summary, question.seed, question.log_prob)
    file = cuts_file(question.regions)
    cuts = [] if file is None else read_cuts(file)
    two = open_two_samples(question, summary, cuts, generated, holdout, opened)
    if not dry_run:
        counted = files.counted(two.generated), files.counted(two.holdout)
        two = two._replace(generated=counted[0], holdout=counted[1])
    places = map_places(question.map, two.names)
    size = size_of(question, summary, cuts, two)
    if not dry_run:
        cost.refuse_too_large(size)
    events = load_holdout(two.holdout)
    check_weights(two.holdout.table.source, events.weight)
    regions = differential_regions(question, cuts, two, events)
    return Prepared(summary, two, events, regions, places, cost.differential_cost(size))


class _Split(NamedTuple):
    """Which events teach and which are tested.

    Attributes:
        teach: holdout events that teach.
        test: holdout events that are tested.
        first: generated events that teach.
        rows: of the generated events that are tested.
    """

    teach: Events
    test: Events
    first: Events
    rows: tallies.Rows


def _answered(
    question: DifferentialQuestion, prepared: Prepared, progress: Progress, *, brief: bool = False
) -> tuple[list[Answer], list[dict[str, Any]], dict[str, Any], list[str]]:
    """Answers, inputs, what the pictures show unless it is to be brief, and warnings."""
    summary, two, events, regions, places, _ = prepared
    learner = summary.learner
    split = _split(question, learner, two, events)
    if learner is None:
        chosen = tallies.column_summaries(
            two.summary, summary.method, regions, two.generated, split.test
        )
    else:
        # bulk and tails look at the ratio of everything
        own = question.regions is not None or question.bins is not None
        chosen = tallies.learned_summaries(
            learner,
            regions,
            split.first,
            split.teach,
            split.test,
            two.learned,
            own=own,
            progress=progress,
        )
    panels = Panels(two.names, events, _shown(two, split.first, events))
    streamed = tallies.stream(two.generated, split.rows, regions, chosen, panels, progress)
    if chosen[0].summary is not None and not streamed.totals[0].counts.total > 0:
        check_weights(two.generated.table.source, np.zeros(1))
    n_train, train = _training_events(question, regions, two, split.test)
    estimate = df.estimate(
        streamed.totals,
        [c.holdout for c in chosen],
        n_train=n_train,
        method=summary.method,
        learned=learner is not None,
        level=question.level,
        limit_level=question.limit_level,
    )
    answers = [
        Answer(
            estimate,
            regions.labels,
            n_train=n_train,
            n_gen=two.generated.n,
            n_holdout=len(events.x),
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
    cautions = differential_warnings(
        question,
        summary,
        two,
        train,
        n_loaded=len(events.x),
        negative_holdout=_negative(events),
        negative_generated=_negative(split.first) + streamed.negative,
        summary_of_everything=chosen[0].summary,
        tested={"holdout": split.test, "generated": streamed.looked_at},
    )
    read = [two.generated, two.holdout, *([train] if train else [])]
    return answers, [files.describe(s) for s in read], views, cautions


def _shown(two: TwoSamples, first: Events, holdout: Events) -> list[int]:
    """The columns that get a panel."""
    if not len(first.x) and len(two.names) > MOST_PANELS:
        first = files.spread(two.generated, _SHOWN, as_read=True)
    return most_different(first, holdout, len(two.names))


def _split(
    question: DifferentialQuestion, learner: Learner | None, two: TwoSamples, events: Events
) -> _Split:
    generated, nothing = two.generated, events.take(slice(0))
    if learner is None:
        return _Split(nothing, events, nothing, [(0, generated.table.n)])
    order = np.random.default_rng(question.seed).permutation(len(events.x))
    n_teach = int(question.fraction * len(events.x))
    size = n_first(generated, n_teach)
    teaching_rows, rows = tallies.spread_blocks(generated.table.n, size)
    split = _Split(
        events.take(order[:n_teach]),
        events.take(order[n_teach:]),
        tallies.load_rows(generated, teaching_rows),
        rows,
    )
    check_weights(generated.table.source, split.first.weight)
    check_weights(two.holdout.table.source, split.teach.weight)
    check_weights(two.holdout.table.source, split.test.weight)
    return split


def _training_events(
    question: DifferentialQuestion, regions: rg.Regions, two: TwoSamples, test: Events
) -> tuple[np.ndarray, files.Selection | None]:
    """Training events in each region: n_train times the fraction of the training events where they
    are given, else of the holdout; both by weight.
    """
    if question.train is None:
        sums = rg.count(regions, test.x, test.weight)
        return question.n_train * rg.fractions(sums, regions.labels).integral, None
    table = samples.open_as_table(question.train, "training events")
    weight = question.weight_column
    if weight is not None and not files.has_column(table, weight):
        weight = None
    columns = two.texts or [table.columns[0]]
    drop = question.drop_nonfinite
    train = files.counted(files.select(table, columns, weight, drop_nonfinite=drop))
    shares = tallies.fractions_in(regions, train).integral
    table.close()
    return question.n_train * shares, train


def _negative(events: Events) -> int:
    return 0 if events.weight is None else int((events.weight < 0).sum())
