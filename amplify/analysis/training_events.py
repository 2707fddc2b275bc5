"""How many training events are in each region of a differential question, and what their weights
mean for their number.
"""

import numpy as np

from amplify import regions as rg
from amplify.analysis import samples, tallies
from amplify.analysis.conditions import Condition, at_condition
from amplify.analysis.questions import DifferentialQuestion
from amplify.analysis.training_weights import about_training_weights
from amplify.analysis.two_samples import TwoSamples
from amplify.tables import files
from amplify.types import Events


def training_events(
    question: DifferentialQuestion,
    regions: rg.Regions,
    read: TwoSamples,
    condition: Condition | None,
    test: Events,
) -> tuple[np.ndarray, files.Selection | None, list[str]]:
    """Training events in each region: n_train times the fraction of the training events where they
    are given, else of the holdout; both by weight. With them, and what their weights mean.

    Args:
        question: what is asked.
        regions: everything first.
        read: both samples as they are.
        condition: that was given to the generator, or None.
        test: true events that are tested.
    """
    if question.train is None:
        sums = rg.count(regions, test.x, test.weight)
        shares = rg.fractions(sums, regions.labels)
        own = read.holdout.weight is not None
        notes = _about_n_train(question, len(test.x), shares) if own else []
        return question.n_train * shares.integral, None, notes
    table = samples.open_as_table(question.train, "training events", question.observables)
    weight = question.weight_column
    if weight is not None and not files.has_column(table, weight):
        weight = None
    columns = read.texts or [table.columns[0]]
    drop = question.drop_nonfinite
    train = files.counted(files.select(table, columns, weight, drop_nonfinite=drop))
    placed = train if condition is None else at_condition(condition, train)
    shares = tallies.fractions_in(regions, placed)
    table.close()
    return question.n_train * shares.integral, train, _about_n_train(question, train.n, shares)


def _about_n_train(question: DifferentialQuestion, n: int, shares: rg.Fractions) -> list[str]:
    """What weights of a sample of n events mean for n_train; its first region is everything."""
    of_training, n_effective = question.train is not None, float(shares.n_effective[0])
    return about_training_weights(question.n_train, n, n_effective, of_training=of_training)
