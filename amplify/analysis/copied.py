"""Are generated events copies of the training events? Some events of each sample are read and
compared (`amplify.estimators.copies`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify.analysis import samples
from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.two_samples import TwoSamples
from amplify.estimators.copies import copies
from amplify.results.copied import COPIES, copies_record, copies_warning
from amplify.tables import files
from amplify.tables.marks import marks_of
from amplify.tables.overlap import marks_in_common
from amplify.types import Events

_READ = 100_000  # events of each sample
_NUMBERS = 10_000_000  # the same, times columns
_MEMBERS = 3  # members that are looked at
_COLUMNS = 500


def copied(
    generated: Events,
    train: Events,
    holdout: Events | None = None,
    *,
    source: str = "the generated sample",
    of_train: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """What results.json says of copies among generated events in memory.

    Args:
        generated: generated events.
        train: the training events, in the same columns.
        holdout: true events that were not trained on, or None.
        source: how the generated sample is called.
        of_train: what part of the training events these are.
        seed: of the random choices.
    """
    found = copies(
        generated.x,
        train.x,
        None if holdout is None else holdout.x,
        weight=generated.weight,
        weight_train=train.weight,
        weight_holdout=None if holdout is None else holdout.weight,
        of_train=of_train,
        seed=seed,
    )
    exact = min(_same(generated.x, train.x) / max(len(generated.x), 1) / of_train, 1.0)
    return copies_record(found, source, exact)


def copies_in_selections(
    generated: Sequence[files.Selection],
    train: files.Selection,
    holdout: files.Selection | Events | None,
    seed: int = 0,
) -> tuple[dict[str, Any], list[str]]:
    """The same of samples with the same columns: views of a result, and warnings. Of many members
    some are looked at.
    """
    columns = min(len(train.columns), _COLUMNS)
    most = min(_READ, max(_NUMBERS // columns, 1))
    trained = _some(train, columns, most)
    if not len(trained.x):
        return {}, []
    true = None
    if isinstance(holdout, Events):
        true = Events(holdout.x[:most, :columns], holdout.take(slice(most)).weight)
    elif holdout is not None:
        true = _some(holdout, columns, most)
    places = np.unique(np.linspace(0, len(generated) - 1, _MEMBERS).astype(int))
    records = [
        copied(
            _some(generated[m], columns, most),
            trained,
            true,
            source=generated[m].table.source,
            of_train=min(len(trained.x) / max(train.n, 1), 1.0),
            seed=seed,
        )
        for m in places
    ]
    return {COPIES: records}, [note for record in records for note in copies_warning(record)][:1]


def copies_in_differential(
    question: DifferentialQuestion, two: TwoSamples, holdout: Events
) -> tuple[dict[str, Any], list[str]]:
    """Views and warnings of a differential question; nothing where no training events are given.

    Args:
        question: what was asked.
        two: both samples as they are.
        holdout: true events in memory, in the columns of both.
    """
    if question.train is None:
        return {}, []
    count = len(two.names) or len(two.texts)
    if not count:
        return {}, []
    table = samples.open_as_table(question.train, "training events", question.observables)
    weight = question.weight_column
    if weight is not None and not files.has_column(table, weight):
        weight = None
    train = files.select(table, two.texts[:count], weight, drop_nonfinite=True)
    generated = two.generated._replace(columns=two.generated.columns[:count], drop=True)
    true = Events(holdout.x[:, :count], holdout.weight)
    found = copies_in_selections([generated], train, true, question.seed)
    table.close()
    return found


def _some(selection: files.Selection, columns: int, most: int) -> Events:
    """Events from all over a sample, in its first columns."""
    few = selection._replace(columns=selection.columns[:columns], drop=True)
    return files.spread(few, most)


def _same(x: np.ndarray, train: np.ndarray) -> int:
    """How many events are training events in every number, where chance does not explain it."""
    single = [_is_single(a) or _is_single(b) for a, b in zip(x.T, train.T, strict=True)]
    return marks_in_common(marks_of(x, single), marks_of(train, single), true=True)


def _is_single(values: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return bool((values == values.astype(np.float32)).all())
