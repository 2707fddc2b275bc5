"""What a reader of differential amplification should know before the numbers. None of it is said
of every run: what holds for all is in the verdicts and on the page.
"""

from collections.abc import Mapping

from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.summary import ChosenSummary
from amplify.analysis.two_samples import TwoSamples
from amplify.estimators.differential import weight_correlation
from amplify.summaries import Summary
from amplify.tables import files
from amplify.tables.selection import Selection
from amplify.types import Events

_CORRELATED = 0.1  # rank correlation of weights and summary that is worth a warning
_ENOUGH_GENERATED = 10  # for each holdout event


def differential_warnings(
    question: DifferentialQuestion,
    summary: ChosenSummary,
    two: TwoSamples,
    train: Selection | None,
    *,
    n_loaded: int,
    negative_holdout: int,
    negative_generated: int,
    summary_of_everything: Summary | None,
    tested: Mapping[str, Events],
) -> list[str]:
    """One line each.

    Args:
        question: what was asked.
        summary: how the summary came about.
        two: both samples.
        train: the training events, where they were given.
        n_loaded: holdout events in memory.
        negative_holdout: negative weights.
        negative_generated: the same.
        summary_of_everything: one number per event, or None.
        tested: events of the "holdout" and some of the "generated" ones.
    """
    notes = [
        *_about_reading(question, two, train),
        *_about_sizes(two, n_loaded),
    ]
    negative = {"holdout": negative_holdout, "generated": negative_generated}
    for name, events in tested.items():
        if negative[name]:
            what = f"{negative[name]} negative weights in the {name} sample"
            notes.append(f"{what}: honoured, they lower its effective number of events")
        own_weights = getattr(two, name).weight is not None  # not those to the same condition
        if own_weights and events.weight is not None and summary_of_everything is not None:
            correlation = weight_correlation(summary_of_everything(events.x), events.weight)
            notes += _about_correlation(name, correlation, summary)
    return notes


def _about_reading(
    question: DifferentialQuestion, two: TwoSamples, train: Selection | None
) -> list[str]:
    notes = files.weight_notes(two.ignored, question.weight_column)
    if question.columns and question.weight_column is None:
        both = [two.generated, two.holdout]
        named = [name for sample in both for column in sample.columns for name in column.needs]
        notes += files.unused_weights([sample.table for sample in both], named)
    notes += files.precision_notes([two.generated, two.holdout])
    for name, sample in (
        ("generated", two.generated),
        ("holdout", two.holdout),
        ("training", train),
    ):
        if sample is not None and sample.dropped:
            what = f"{sample.dropped} {name} events have values that are not finite"
            notes.append(f"{what} and were left out (--drop-nonfinite)")
    for sample in (two.generated, two.holdout):
        if question.weight_column and sample.weight is None:
            what = f"{sample.table.source} has no weight column {question.weight_column}"
            notes.append(f"{what}: its events count one each")
    return notes


def _about_sizes(two: TwoSamples, n_loaded: int) -> list[str]:
    notes = []
    n_gen, n_holdout = two.generated.n, two.holdout.n
    if n_holdout > n_loaded:
        what = f"of the {n_holdout} holdout events {n_loaded} are used"
        notes.append(f"{what}, in blocks spread over the file: more are not kept in memory")
    if n_gen < _ENOUGH_GENERATED * n_holdout:
        what = f"{n_gen} generated events are fewer than ten times the {n_holdout} holdout events"
        notes.append(f"{what}: their own noise limits the answer, generate more")
    return notes


def _about_correlation(name: str, correlation: float, summary: ChosenSummary) -> list[str]:
    if abs(correlation) <= _CORRELATED:
        return []
    meaning = "calibrated KS then claims too much (size .14 to .19 at .05)"
    if summary.method == "threshold":
        meaning = "the threshold estimate honours that"
    what = f"weights of the {name} sample go with the summary"
    return [f"{what} (rank correlation {correlation:.2f}): {meaning}"]
