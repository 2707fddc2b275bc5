"""A generated sample and a holdout with the same columns."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

import numpy as np

from amplify.analysis import samples
from amplify.analysis.condition_cuts import cut
from amplify.analysis.conditions import Condition, at_condition, given_columns
from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.summary import ChosenSummary
from amplify.errors import InputError
from amplify.regions.cuts import Cut, columns_of
from amplify.tables import files
from amplify.tables.table import Table
from amplify.text import listed, no_physics
from amplify.types import Events

# of the holdout kept in memory, of few and of many columns
_FEW_BYTES, _MANY_BYTES = 1 << 29, 3 << 29
APPROXIMATED = 1 << 22  # events of a holdout that is tested from the file: enough to choose regions


class TwoSamples(NamedTuple):
    """Both samples with the same columns: those that are looked at, `names`, then those only cuts
    need, then a log density or a summary.

    Attributes:
        generated: the generated sample.
        holdout: the true events.
        names: labels of the columns to look at.
        texts: how the user wrote the columns that regions look at, names and cuts.
        learned: index of the columns that a learner sees: names and log density.
        summary: place of the column that is the summary, if one is.
        ignored: columns that are no physics, and why.
    """

    generated: files.Selection
    holdout: files.Selection
    names: list[str]
    texts: list[str]
    learned: Any
    summary: int
    ignored: Mapping[str, str] = {}


def open_two_samples(
    question: DifferentialQuestion,
    summary: ChosenSummary,
    cuts: Sequence[Cut],
    generated: samples.Sample,
    holdout: samples.Sample,
    opened: ExitStack,
) -> TwoSamples:
    """Opens both; the columns to look at come first, then what the summary needs, then what only
    cuts need.

    Raises:
        InputError: columns that differ, or that one of the samples lacks.
    """
    tables = [
        samples.open_as_table(generated, "generated", question.observables),
        samples.open_as_table(holdout, "holdout", question.observables),
    ]
    for table in tables:
        opened.callback(table.close)
    weights = _weights(tables, question.weight_column)
    ignored: dict[str, str] = {}
    if not question.columns:
        ignored = files.ignored_columns(tables, _named(question, summary))
    columns = files.written_out(tables[0], question.columns or tables[0].made)
    question = replace(question, columns=columns or None)
    _check_columns(tables, question, ignored)
    # an observable is looked at like other columns; a density or a ratio is not
    ratio = summary.column if summary.method == "threshold" else None
    extra = [c for c in (question.log_prob_column, ratio) if c]
    given = given_columns(tables[0], question.condition)
    wanted = [c for c in question.columns or () if c not in given]
    if not wanted:
        every = files.select(tables[0], None, weights[0], ignored=ignored).names
        wanted = [c for c in every if c not in (*extra, *given)]
    names = files.select(tables[0], wanted).names if wanted else []
    if not names and summary.column is None:
        fix = "name them with --columns"
        got = f"none but {no_physics(ignored) or 'weight and log_prob'}"
        raise InputError(tables[0].source, "columns to learn from", got, fix)
    extra = [c for c in (*extra, summary.column) if c and c not in names]
    for name in extra:
        files.refuse_several(tables[0], name)
    texts = wanted + [c for c in columns_of(cuts, names, tables[0]) if c not in names]
    chosen = list(dict.fromkeys([*texts, *extra]))
    drop = question.drop_nonfinite
    both = [
        files.select(table, chosen, weight, drop_nonfinite=drop)
        for table, weight in zip(tables, weights, strict=True)
    ]
    of_gen, of_holdout = files.same_precision(both)
    learned = [i for i, text in enumerate(chosen) if text in wanted or text in extra]
    place = 0
    if summary.column:
        among = of_gen.names if summary.column in names else chosen
        place = among.index(summary.column)
    everything = len(learned) == len(chosen)
    columns = slice(None) if everything else learned
    return TwoSamples(of_gen, of_holdout, names, texts, columns, place, ignored)


def at_same_condition(
    question: DifferentialQuestion, two: TwoSamples
) -> tuple[TwoSamples, Condition, list[str]]:
    """Both samples at the condition of the question: the number of the stratum comes behind their
    columns, and generated events are weighted to the holdout's distribution of it. With warnings.
    """
    assert question.condition is not None
    found = cut(
        question.condition, [two.generated, two.holdout], two.holdout, question.condition_bins
    )
    of_gen, of_holdout = (
        at_condition(found.condition, sample, factor)
        for sample, factor in zip((two.generated, two.holdout), found.factors, strict=True)
    )
    learned = two.learned
    if not isinstance(learned, slice):
        learned = [*learned, len(two.generated.columns)]
    placed = two._replace(generated=of_gen, holdout=of_holdout, learned=learned)
    return placed, found.condition, found.notes


def load_holdout(holdout: files.Selection, *, approximate: bool = False) -> Events:
    """The holdout in memory, or as much of it as may be, or is worth it where all of it is tested
    from the file.
    """
    limit = most_holdout(holdout, approximate=approximate)
    return files.spread(holdout, limit, as_read=files.kept_as_read(holdout))


def most_holdout(holdout: files.Selection, *, approximate: bool = False) -> int:
    """Events of the holdout that are kept in memory at most."""
    columns = len(holdout.columns)
    most = APPROXIMATED if approximate else holdout.table.n
    if columns <= files.MANY:
        return min(most, _FEW_BYTES // (8 * columns))
    return min(most, _MANY_BYTES // ((4 if files.kept_as_read(holdout) else 8) * columns))


def check_weights(source: str, weight: np.ndarray | None) -> None:
    """Refuses weights without a positive sum: they make no sample."""
    if weight is not None and len(weight) and not weight.sum() > 0:
        got = f"{weight.sum():g}"
        raise InputError(f"weights of {source}", "a positive sum", got, "check the weight column")


def _weights(tables: Sequence[Table], column: str | None) -> list[str | None]:
    """The column of weights where a sample has it; one of both must."""
    if not column:
        return [None, None]
    weights = [weight_in(table, column) for table in tables]
    if weights == [None, None]:
        refuse_no_weights(tables[0], column)
    return weights


def weight_in(table: Table, column: str | None) -> str | None:
    """The column of weights, where this sample has it; the events of others count one each."""
    return column if column and files.has_column(table, column) else None


def refuse_no_weights(table: Table, column: str) -> NoReturn:
    """Refuses a column of weights that no sample has; `table` is one of them."""
    expected = f"one of {listed(table.columns)}"
    got = "no such column in any sample"
    raise InputError(f"column {column}", expected, got, "choose another")


def _named(question: DifferentialQuestion, summary: ChosenSummary) -> list[str]:
    """The columns that somebody asked for: as weights, log density or summary."""
    asked = question.weight_column, question.log_prob_column, summary.column, question.condition
    return [name for text in asked if text for name in files.names_in(text)]


def _check_columns(
    tables: Sequence[Table], question: DifferentialQuestion, ignored: Collection[str]
) -> None:
    """Unless columns are named, both samples have the same."""
    other = {question.weight_column, *ignored}
    of_gen, of_holdout = ([c for c in t.columns if c not in other] for t in tables)
    if question.columns is None and set(of_gen) != set(of_holdout):
        expected = f"the columns of {tables[0].source}, {listed(of_gen, 6)}"
        fix = "name the common ones with --columns"
        raise InputError(tables[1].source, expected, listed(of_holdout, 6), fix)
