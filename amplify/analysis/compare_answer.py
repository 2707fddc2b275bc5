"""From several generated samples and a holdout to a comparison.

question, samples -> columns -> events in memory -> statistics -> ranking, places, copies
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from amplify.analysis import compare_batches, cost, samples
from amplify.analysis.compare_estimates import (
    compared,
    of_generators,
    of_statistics,
    pairs_of,
    records,
    with_all_events,
)
from amplify.analysis.compare_places import places
from amplify.analysis.compare_question import CompareQuestion, about_batches
from amplify.analysis.compare_samples import (
    Opened,
    about_units,
    counted,
    in_memory,
    negative,
    open_samples,
    refuse_generated,
    refuse_same_events,
)
from amplify.analysis.compare_streams import streamed_nulls, streams
from amplify.analysis.copied import copied
from amplify.estimators.statistics.multiclass import multiclass_log_posterior
from amplify.progress import Progress, silent
from amplify.results.comparison import Comparison
from amplify.results.comparisons import COMPARISON
from amplify.results.copied import copies_warning
from amplify.results.records import finite
from amplify.tables import files
from amplify.tables.marks import Search
from amplify.tables.opening import opening
from amplify.tables.overlap import in_common
from amplify.types import Events

_START = 5.0  # seconds, with the page
_PER_NUMBER = 1.5e-8  # of a difference of two samples, in one column
_BYTES = 1.0e9
_PER_READ = 6e-8  # number
_TRAINING = 10_000_000  # training events that are looked at, times columns


def answer(
    question: CompareQuestion,
    generated: Sequence[samples.Sample],
    holdout: samples.Sample,
    *,
    progress: Progress = silent,
) -> Comparison:
    """Opens all samples, takes as many events as all statistics look at, and compares.

    Raises:
        InputError: one line with what was expected, what came and what to do.
    """
    question.check()
    with ExitStack() as opened:
        opened.enter_context(opening(follow_links=question.follow_links, max_gb=question.max_gb))
        read = counted(open_samples(question, generated, holdout, opened))
        opened.enter_context(files.digesting(read.every))
        of_events, searches = refuse_same_events(read, _streamed(question, read))
        notes = [*of_events, *_about_reading(question, read)]
        if question.batches is not None:
            rows, (view, more) = [], _monitored(question, read, progress)
        else:
            rows, view, more = _compared(question, read, searches, progress)
        notes += more
        inputs = [files.describe(sample) for sample in read.every]
    names = read.holdout.names
    return Comparison(
        answers=(),
        settings=question.settings(names, generated, holdout, read.ignored),
        inputs=tuple(inputs),
        warnings=tuple(notes),
        views={COMPARISON: finite(view)},
        seed=question.seed,
        rows=tuple(finite(rows)),
    )


def _streamed(question: CompareQuestion, read: Opened) -> list[int]:
    """The generated samples, by their places, of which statistics look at all events."""
    if question.batches is not None or not streams(question.chosen):
        return []
    is_larger = [sample.table.n > question.most for sample in read.generated]
    whole_holdout = read.holdout.table.n <= question.most
    return [place for place, larger in enumerate(is_larger) if larger or not whole_holdout]


def _compared(
    question: CompareQuestion, read: Opened, searches: Mapping[int, Search], progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """Records, everything else that is found, and warnings; refuses events of the holdout that a
    search finds in a generated sample.
    """
    events = [in_memory(sample, question.most) for sample in read.generated]
    true = in_memory(read.holdout, question.most)
    found = compared(question, events, true, progress=progress)
    for place in _streamed(question, read):
        search = searches.get(place)
        nulls, met = streamed_nulls(
            found.nulls[place],
            read.generated[place],
            read.holdout,
            search,
            seed=question.seed,
            progress=progress,
        )
        if search is not None:
            refuse_generated(read, place, in_common(search, met))
        with_all_events(question, found, place, nulls)
    n_gen, n_holdout = [sample.n for sample in read.generated], read.holdout.n
    view: dict[str, Any] = {
        "generators": of_generators(question, found, n_gen),
        "n_holdout": n_holdout,
        "n_gen_looked_at": [len(each.x) for each in events],
        "n_holdout_looked_at": len(true.x),
        "permutations": question.permutations,
        "statistics": of_statistics(question, found, progress=progress),
        "ranking": pairs_of(question, found),
    }
    view |= _more(question, read, events, true)
    notes = _about_subsamples(question, read, events, true)
    notes += about_units(read.holdout.names, true, [s.name for s in question.chosen])
    notes += [note for each in view["copies"] for note in copies_warning(each)]
    return records(question, found, n_gen, n_holdout), view, notes


def _more(
    question: CompareQuestion, read: Opened, events: Sequence[Events], true: Events
) -> dict[str, Any]:
    """What looks at several generators together, at training events, at places."""
    more: dict[str, Any] = {"copies": [], "local": [], "multiclass": None}
    if question.local:
        columns, look = read.holdout.names, {"seed": question.seed}
        for name, each in zip(question.names, events, strict=True):
            more["local"].append(places(name, each, true, columns, **look))
    if len(events) > 1:
        found = multiclass_log_posterior(events, true, seed=question.seed)
        more["multiclass"] = {
            "generators": list(question.names),
            "log_posterior": found.mean,
            "error": found.error,
            "nearest": question.names[found.nearest],
        }
    if read.train is not None:
        most = max(_TRAINING // max(len(read.train.columns), 1), question.most)
        train = in_memory(read.train, most)
        of_train = min(len(train.x) / read.train.n, 1.0)
        for name, each in zip(question.names, events, strict=True):
            record = copied(each, train, true, source=name, of_train=of_train, seed=question.seed)
            more["copies"].append({"generator": name, **record})
    return more


def _monitored(
    question: CompareQuestion, read: Opened, progress: Progress
) -> tuple[dict[str, Any], list[str]]:
    """The stream of batches, and warnings."""
    stream, count = read.generated[0], question.batches or 0
    names = question.statistics or compare_batches.DEFAULT
    chosen = [s for s in question.chosen if s.name in names]
    reference = in_memory(read.holdout, question.most)
    compare_batches.check_streamable(chosen)
    compare_batches.check_reference(len(reference.x), stream.n / count)
    found = compare_batches.monitored(
        chosen,
        lambda: compare_batches.batches_of(stream, count),
        reference,
        count=count,
        false_alarms=question.false_alarms,
        seed=question.seed,
        progress=progress,
    )
    notes = about_units(read.holdout.names, reference, [s.name for s in chosen])
    own = {"name": question.names[0], "n_train": question.n_train[0], "n_gen": stream.n}
    view = {
        "generators": [own],
        "n_holdout": read.holdout.n,
        "n_holdout_looked_at": len(reference.x),
        "permutations": found[0].experiments,
        "statistics": [],
        "ranking": [],
        "batches": {
            "count": count,
            "events": stream.n / count,
            "false_alarms": question.false_alarms,
            "reference_batches": found[0].experiments,
            "statistics": [_stream_record(each) for each in found],
        },
    }
    return view, [*about_batches(question), *notes]


def _stream_record(found: compare_batches.Monitored) -> dict[str, Any]:
    return {
        "name": found.statistic.name,
        "title": found.statistic.title,
        "values": found.values,
        "p": found.p,
        "alarms": found.alarms,
        "threshold": found.threshold,
        "milliseconds": found.milliseconds,
        "seconds": found.seconds,
    }


def cost_of(question: CompareQuestion, read: Opened) -> cost.Forecast:
    """Of the whole comparison: seconds and bytes."""
    n = sum(min(sample.table.n, question.most) for sample in (read.generated[0], read.holdout))
    columns = len(read.holdout.columns)
    evaluations = question.permutations + 3000  # of each statistic and generator
    work = len(question.chosen) * len(question.names) * evaluations * n * min(columns, 20)
    numbers = sum(sample.table.n for sample in read.every) * columns
    return cost.Forecast(_START + _PER_NUMBER * work + _PER_READ * numbers, _BYTES)


def _about_reading(question: CompareQuestion, read: Opened) -> list[str]:
    """What was left out, and weights that were not used."""
    notes = files.weight_notes(dict(read.ignored), question.weight_column)
    notes += files.precision_notes(read.every)
    for sample in read.every:
        if sample.dropped:
            dropped = f"{sample.dropped} events of {sample.table.source} have values that are not"
            notes.append(f"{dropped} finite and were left out (--drop-nonfinite)")
    return notes


def _about_subsamples(
    question: CompareQuestion, read: Opened, events: Sequence[Events], true: Events
) -> list[str]:
    """Which samples were not looked at as a whole, and what weights below zero mean."""
    looked_at = [*zip([*read.generated, read.holdout], [*events, true], strict=True)]
    parts = [
        f"{len(kept.x):,} of the {sample.n:,} events of {sample.table.source}"
        for sample, kept in looked_at
        if len(kept.x) < sample.n
    ]
    notes = []
    if parts:
        streaming = streams(question.chosen)
        said = f"{' and '.join(parts)} were looked at"
        if streaming:
            said = f"{said}; {', '.join(streaming)} looked at all of them, but ranking, combined p,"
            said = f"{said} resolution and p-values are those of that part, and p-values of these"
            said = f"{said} approximate on the scale of all events"
        notes.append(f"{said}; --most takes more")
    for sample, kept in looked_at:
        below = negative(kept)
        if below:
            what = f"{below} of the events of {sample.table.source} have negative weights"
            notes.append(f"{what}: relabelled they change sides, and p-values are approximate")
    return notes
