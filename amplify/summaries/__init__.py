"""One number per event, t(x): the summary in which two samples are compared. `t <= 0` is where
truth is the denser one, for all that are ratios.

A Summary is a function of events. A Learner makes one from generated and true events; it never sees
the events that are tested, nor the training events of the generator. Your own needs nothing else:
`fit(x_gen, x_true, weight_gen=None, weight_true=None) -> t`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Summary = Callable[[np.ndarray], np.ndarray]  # events [n, dim] -> t [n]
LogProb = Callable[[np.ndarray], np.ndarray]  # events [n, dim] -> log density [n]


@runtime_checkable
class Learner(Protocol):
    """Learns log p_gen / p_true, or anything that grows with it and is zero with it."""

    def __call__(
        self,
        x_gen: Float[np.ndarray, "gen dim"],
        x_true: Float[np.ndarray, "true dim"],
        weight_gen: Float[np.ndarray, " gen"] | None = None,
        weight_true: Float[np.ndarray, " true"] | None = None,
    ) -> Summary:
        """Events of both kinds and their weights to a summary."""
        ...


OnTrue = Callable[..., Summary]  # true events [n, dim] and their weights [n] or None -> Summary


@dataclass(frozen=True)
class TwoStepLearner:
    """A learner that does its work on the generated events once, for any number of true samples:
    studies that teach again and again with the same generated events look for `on_generated`.

    Attributes:
        on_generated: generated events [n, dim] and their weights [n] or None -> a function of
            true events and their weights -> Summary.
    """

    on_generated: Callable[[np.ndarray, np.ndarray | None], OnTrue]

    def __call__(
        self,
        x_gen: Float[np.ndarray, "gen dim"],
        x_true: Float[np.ndarray, "true dim"],
        weight_gen: Float[np.ndarray, " gen"] | None = None,
        weight_true: Float[np.ndarray, " true"] | None = None,
    ) -> Summary:
        """Events of both kinds and their weights to a summary."""
        return self.on_generated(x_gen, weight_gen)(x_true, weight_true)


def exact_ratio(log_prob_gen: LogProb, log_prob_true: LogProb) -> Summary:
    """Log p_gen / p_true of two known densities: the summary in which nothing is lost (Neyman and
    Pearson).

    >>> t = exact_ratio(lambda x: -0.5 * (x[:, 0] - 0.1) ** 2, lambda x: -0.5 * x[:, 0] ** 2)
    >>> t(np.array([[0.0], [1.0]])).round(3).tolist()
    [-0.005, 0.095]
    """

    def summary(x: np.ndarray) -> np.ndarray:
        return np.asarray(log_prob_gen(x)) - np.asarray(log_prob_true(x))

    return summary


def observable(value: Callable[[np.ndarray], np.ndarray]) -> Summary:
    """Any number per event; compared by calibrated KS, because it has no threshold of its own.

    >>> observable(lambda x: x[:, 0])(np.array([[2.0, 3.0]])).tolist()
    [2.0]
    """
    return lambda x: np.asarray(value(x))


def inputs(x: np.ndarray, log_prob: LogProb | None) -> np.ndarray:
    """What a learner looks at [n, dim or dim + 1], float64: the events and, where it is known,
    their log density under the generator.
    """
    x = np.asarray(x, np.float64)
    return x if log_prob is None else np.column_stack([x, np.asarray(log_prob(x), np.float64)])
