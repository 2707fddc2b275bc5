"""How large a question of two samples is: how many events teach, how often something is learned, in
how many regions; told before the samples are read.
"""

from collections.abc import Sequence

import numpy as np

from amplify.analysis import cost
from amplify.analysis.conditions import Condition
from amplify.analysis.questions import DifferentialQuestion, own_regions
from amplify.analysis.summary import ChosenSummary
from amplify.analysis.two_samples import APPROXIMATED, TwoSamples, most_holdout
from amplify.estimators.learned import GEN_PER_TRUE
from amplify.estimators.sketches import most_values
from amplify.regions.cuts import Cut, as_regions
from amplify.tables import files

_MOST_TEACHING, _MOST_BYTES = 400_000, 1 << 30  # generated events kept in memory
_JUDGED = 500  # holdout events that tell how much regions overlap
_THOUSAND = 1000  # columns; of more the learner is tried on fewer distortions
_CROSS_FIT = 5 * 201  # learned ratios of its folds and null experiments


def most_teaching(generated: files.Selection) -> int:
    """Generated events that teach at most: fewer of many columns."""
    per_event = len(generated.columns) * (4 if files.kept_as_read(generated) else 8)
    return min(_MOST_TEACHING, _MOST_BYTES // per_event)


def n_first(generated: files.Selection, n_teach: int) -> int:
    """Generated events that teach beside so many true ones."""
    most = most_teaching(generated)
    return min(max(GEN_PER_TRUE * n_teach, 20_000), most, generated.table.n // 2)


def repetitions(columns: int) -> int:
    """Distortions of each shape that the learner is tried on."""
    return 5 if columns <= _THOUSAND else 2


def size_of(
    question: DifferentialQuestion,
    summary: ChosenSummary,
    cuts: Sequence[Cut],
    two: TwoSamples,
    condition: Condition | None = None,
) -> cost.Size:
    """How large the question is, before the holdout is read."""
    columns, n = len(two.generated.columns), two.holdout.table.n
    approximate = question.approximate is not None
    kept = min(most_holdout(two.holdout, approximate=approximate), n)
    regions, per_event = 3, 2.0  # bulk and tails
    if question.bins is not None:
        regions, per_event = 1 + question.bins * len(two.names), 1.0 + len(two.names)
    if condition is not None:
        regions = 1 + len(condition.labels)
    own = own_regions(question.regions) or (as_regions(cuts, two.generated.names) if cuts else None)
    if own is not None:
        some = files.load(two.holdout, stop=min(n, _JUDGED)).x
        regions = 1 + len(own.labels)
        per_event = 1 + float(np.asarray(own.contains(some)).sum() / max(len(some), 1))
    learned = summary.learner is not None
    n_teach = int(question.fraction * kept)
    taught = n_first(two.generated, n_teach) if learned else 0
    is_own = own is not None or question.bins is not None
    again = 3 * repetitions(columns) if taught >= 9 * n_teach else 0
    again += _CROSS_FIT if question.cross_fit else 0
    return cost.Size(
        columns=columns,
        generated=two.generated.table.n,
        holdout=n,
        kept=kept,
        taught=taught,
        regions=regions,
        per_event=per_event,
        learners=(regions if is_own else 1) if learned else 0,
        learned_again=again if learned else 0,
        values=summary.method == "ks",
        single=files.kept_as_read(two.holdout),
        compared=min(n, APPROXIMATED) if approximate else n,
        sketched=_sketched(question, summary, two.holdout, regions),
    )


def _sketched(
    question: DifferentialQuestion, summary: ChosenSummary, holdout: files.Selection, regions: int
) -> int:
    """Values that stand for the holdout while it is read."""
    if question.approximate is None:
        return 0
    chunks = max(holdout.table.n // files.rows_at_once(len(holdout.columns)), 1)
    return (regions if summary.method == "ks" else 1) * most_values(question.approximate, chunks)
