"""Several generated samples and a holdout with the same columns, opened, checked, and as much of
each in memory as all statistics look at.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amplify.analysis import samples
from amplify.analysis.compare_question import FEWEST_EVENTS, CompareQuestion
from amplify.analysis.two_samples import check_weights, refuse_no_weights, weight_in
from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.marks import Search
from amplify.tables.overlap import overlap, repeated, search_for
from amplify.tables.table import Table
from amplify.text import listed, no_physics, number
from amplify.types import Events

_MOST_COMPARED = 32  # columns in which events are compared for copies
_COPIES = 0.01  # of the holdout that are worth a warning
_FACTOR = 10.0  # between widths of columns that are worth one
_CENTRAL = 0.16, 0.84  # quantiles, a width apart


class Opened(NamedTuple):
    """All samples with the same columns.

    Attributes:
        generated: each generated sample.
        holdout: the true events.
        train: the training events, or None.
        ignored: columns that are no physics, and why.
    """

    generated: tuple[files.Selection, ...]
    holdout: files.Selection
    train: files.Selection | None
    ignored: Mapping[str, str]

    @property
    def every(self) -> list[files.Selection]:
        """All of them."""
        return [*self.generated, self.holdout, *([self.train] if self.train else [])]


def open_samples(
    question: CompareQuestion,
    generated: Sequence[samples.Sample],
    holdout: samples.Sample,
    opened: ExitStack,
) -> Opened:
    """Opens all of them and chooses the columns.

    Raises:
        InputError: columns that differ, or that one of the samples lacks.
    """
    named = [*zip(generated, question.names, strict=True), (holdout, "holdout")]
    if question.train is not None:
        named.append((question.train, "training events"))
    tables = []
    for sample, name in named:
        tables.append(samples.open_as_table(sample, name, question.observables))
        opened.callback(tables[-1].close)
    compared = tables[: len(generated) + 1]
    weights = [weight_in(table, question.weight_column) for table in tables]
    if question.weight_column and not any(weights[: len(compared)]):
        refuse_no_weights(tables[0], question.weight_column)
    ignored: dict[str, str] = {}
    if not question.columns:
        ignored = files.ignored_columns(compared, files.names_in(question.weight_column or ""))
    columns = files.written_out(tables[0], question.columns or tables[0].made)
    if not columns:
        _same_columns(compared, {question.weight_column, *ignored})
        columns = files.select(tables[0], None, weights[0], ignored=ignored).names
    if not columns:
        got = f"none but {no_physics(ignored) or 'the weight'}"
        raise InputError(tables[0].source, "columns to compare", got, "name them with --columns")
    chosen = [
        files.select(table, columns, weight, drop_nonfinite=question.drop_nonfinite)
        for table, weight in zip(tables, weights, strict=True)
    ]
    chosen = files.same_precision(chosen)
    n = len(generated)
    train = chosen[n + 1] if question.train is not None else None
    return Opened(tuple(chosen[:n]), chosen[n], train, ignored)


def _same_columns(tables: Sequence[Table], others: Collection[str | None]) -> None:
    """Unless columns are named, all samples have the same."""
    first, *rest = ([c for c in table.columns if c not in others] for table in tables)
    for table, columns in zip(tables[1:], rest, strict=True):
        if set(columns) != set(first):
            expected = f"the columns of {tables[0].source}, {listed(first, 6)}"
            fix = "name the common ones with --columns"
            raise InputError(table.source, expected, listed(columns, 6), fix)


def counted(opened: Opened) -> Opened:
    """The same, with events that are dropped counted.

    Raises:
        InputError: a sample of a few events.
    """
    generated = tuple(files.counted(sample) for sample in opened.generated)
    train = None if opened.train is None else files.counted(opened.train)
    read = opened._replace(generated=generated, holdout=files.counted(opened.holdout), train=train)
    for sample in read.every:
        if sample.n < FEWEST_EVENTS:
            fix = "fewer tell nothing of a density: give more"
            got = str(sample.n)
            raise InputError(sample.table.source, f"at least {FEWEST_EVENTS} events", got, fix)
    return read


def in_memory(selection: files.Selection, most: int) -> Events:
    """At most so many events, spread evenly over the sample; in double precision."""
    events = files.spread(selection, most)
    check_weights(selection.table.source, events.weight)
    return events


class Looked(NamedTuple):
    """What was found out.

    Attributes:
        notes: what is worth a warning.
        searches: for events of the holdout, to be looked for while these generated samples, by
            their places, are read for other reasons.
    """

    notes: list[str]
    searches: Mapping[int, Search]


def refuse_same_events(opened: Opened, streamed: Collection[int] = ()) -> Looked:
    """Looks for events of the holdout in the other samples.

    Args:
        opened: all samples.
        streamed: generated samples, by their places, that are read as a whole later.

    Raises:
        InputError: a generated sample or the training events have more events of the holdout than
            chance explains, or two generated samples are the same file.
    """
    named = [part.source for sample in opened.generated for part in sample.table.parts]
    files.refuse_twice(named, "--generated")
    holdout = _few(opened.holdout)
    searches = {}
    for place, sample in enumerate(opened.generated):
        if _same_files(sample, opened.holdout):
            refuse_generated(opened, place, holdout.n)
        elif place in streamed:
            searches[place] = search_for(holdout, _few(sample))
        else:
            refuse_generated(opened, place, overlap(holdout, _few(sample)))
    if opened.train is not None:
        same = overlap(holdout, _few(opened.train))
        if same:
            got = f"{same} events of {opened.train.table.source} in {holdout.table.source}"
            fix = "give true events that were kept aside"
            raise InputError("--holdout", "events that were not used in training", got, fix)
    return Looked(_about_repeats(repeated(holdout), "the holdout"), searches)


def refuse_generated(opened: Opened, place: int, same: int) -> None:
    """Refuses so many events of the holdout in a generated sample, if there are any."""
    if same:
        holdout, sample = opened.holdout.table.source, opened.generated[place].table.source
        got = f"{same} events of {holdout} that are in {sample}"
        fix = "the holdout are true events of their own"
        raise InputError("--generated and --holdout", "different events", got, fix)


def _few(selection: files.Selection) -> files.Selection:
    """With the columns in which events are compared."""
    return selection._replace(columns=selection.columns[:_MOST_COMPARED], weight=None, drop=True)


def _same_files(one: files.Selection, other: files.Selection) -> bool:
    places = [{Path(p.source).resolve() for p in s.table.parts} for s in (one, other)]
    return bool(places[0]) and places[0] == places[1]


def _about_repeats(share: float, whose: str) -> list[str]:
    if share <= _COPIES:
        return []
    unless = "if they are repeated events, and not values that recur by nature"
    claims = "they count as more events than they are: use weights instead"
    return [f"{100 * share:.0f} % of the events of {whose} have a copy in it: {unless}, {claims}"]


def about_units(columns: Sequence[str], true: Events, statistics: Sequence[str]) -> list[str]:
    """A warning where directions through all columns are those of the widest.

    Args:
        columns: names, in the order of those of the events.
        true: the holdout.
        statistics: names of those that are computed.
    """
    sliced = [name for name in statistics if name.startswith("sliced")]
    low, high = np.quantile(true.x, _CENTRAL, axis=0)
    width = high - low
    if not sliced or not (width > 0).any():
        return []
    narrow = int(np.argmin(np.where(width > 0, width, np.inf)))
    wide = int(np.argmax(width))
    factor = width[wide] / width[narrow]
    if factor <= _FACTOR:
        return []
    looks = "looks" if len(sliced) == 1 else "look"
    what = f"{' and '.join(sliced)} {looks} along directions in the units of the columns"
    scales = f"{columns[wide]} is {number(factor)} times as wide as {columns[narrow]}"
    fix = "scale the columns, or look at mean_ks and mean_wasserstein, which do not depend on units"
    return [f"{what}, and {scales}, which hardly counts in them: {fix}"]


def negative(events: Events) -> int:
    """Events with weights below zero."""
    return 0 if events.weight is None else int(np.sum(events.weight < 0))
