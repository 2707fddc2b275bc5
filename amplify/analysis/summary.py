"""How one number per event comes about: learned, or a column of the samples."""

from collections.abc import Callable
from typing import NamedTuple

from amplify.errors import InputError
from amplify.estimators.differential import Method
from amplify.summaries import Learner, LogProb


class ChosenSummary(NamedTuple):
    """A learner, or a column.

    Attributes:
        label: what results call it.
        learner: that makes it, or None.
        column: that is it, or None.
        method: how it is compared.
    """

    label: str
    learner: Learner | None
    column: str | None
    method: Method


def choose_summary(
    summary: str | Learner, seed: int, log_prob: LogProb | None = None
) -> ChosenSummary:
    """Reads what was asked for: the name of a learner, column:NAME, ratio:NAME, or a learner.

    Raises:
        InputError: anything else.
    """
    if not isinstance(summary, str):
        return ChosenSummary("learned likelihood ratio (own learner)", summary, None, "threshold")
    kind, _, column = summary.partition(":")
    if kind == "column" and column:
        return ChosenSummary(f"observable {column}", None, column, "ks")
    if kind == "ratio" and column:
        return ChosenSummary(f"likelihood ratio {column}", None, column, "threshold")
    if summary not in _LEARNERS:
        expected = "classifier, mlp, trees, column:NAME or ratio:NAME"
        raise InputError("--summary", expected, summary, "choose one of them")
    label, make = _LEARNERS[summary]
    return ChosenSummary(label, make(seed, log_prob), None, "threshold")


def at_the_same(summary: ChosenSummary, condition: str) -> ChosenSummary:
    """The summary of a conditional generator, whose label says so."""
    return summary._replace(label=f"{summary.label} at the same {condition}")


def _least_squares(seed: int, log_prob: LogProb | None) -> Learner:
    from amplify.summaries.default import learned_ratio

    return learned_ratio(log_prob)


def _mlp(seed: int, log_prob: LogProb | None) -> Learner:
    from amplify.summaries.mlp import mlp_ratio

    return mlp_ratio(log_prob, seed=seed)


def _trees(seed: int, log_prob: LogProb | None) -> Learner:
    from amplify.summaries.trees import boosted_trees

    return boosted_trees(log_prob, seed=seed)


# by the name that users give: what results call it, and what makes it
_LEARNERS: dict[str, tuple[str, Callable[[int, LogProb | None], Learner]]] = {
    "classifier": ("learned likelihood ratio", _least_squares),
    "mlp": ("learned likelihood ratio (MLP)", _mlp),
    "trees": ("learned likelihood ratio (boosted trees)", _trees),
}
