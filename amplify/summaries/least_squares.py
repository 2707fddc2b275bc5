"""A learned likelihood ratio in closed form, averaged over models instead of chosen: the default
learner (docs/method, Differential amplification).

With features phi of zero mean under the generator, r(x) = p_true / p_gen = 1 + a phi(x) minimises
E_gen[(r - r_true)^2] at (H + lambda) a = d, where H is the covariance of phi under the generator
and d the mean of phi under truth (least-squares importance fitting, Kanamori, Hido and Sugiyama,
JMLR 10 (2009) 1391). Families of models offer solutions with their cross-validated loss; all of
them are averaged with weights exp(-temper n loss), where n counts both samples, as a difference of
two means is known as well as both. For the same reason both are cut into folds: a mean of generated
events that is off by chance would be confirmed by every fold of the true ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from amplify.summaries import LogProb, OnTrue, Summary, TwoStepLearner, inputs


class Teaching(NamedTuple):
    """Events that teach: inputs [n, dim] of both kinds and their shares of the weight [n], which
    sum to one.
    """

    gen: np.ndarray
    true: np.ndarray
    share_gen: np.ndarray
    share_true: np.ndarray


class Models(NamedTuple):
    """What a family offers.

    Attributes:
        features: inputs [n, dim] -> phi [n, feature], of zero mean under the generator.
        coefficients: of r - 1 [model, feature].
        loss: E_gen[(r - 1)^2] / 2 - E_true[r - 1], cross-validated with folds of both samples
            [model].
        penalty: subtracted from the logarithm of a model's weight [model].
        value: (inputs, coefficients [feature]) -> phi a [n] without the table of features, which is
            faster where events stream; None for none.
    """

    features: Callable[[np.ndarray], np.ndarray]
    coefficients: np.ndarray
    loss: np.ndarray
    penalty: np.ndarray
    value: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


Family = Callable[[Teaching], Models]
ModelsOfTrue = Callable[[np.ndarray, np.ndarray], Models]  # true events and their shares -> Models


@dataclass(frozen=True)
class TwoStepFamily:
    """A family that does its work on the generated events once, for any number of true samples.

    Attributes:
        on_generated: generated events and their shares -> a function of true events and their
            shares -> Models.
        most_gen: generated events that it looks at.
        most_numbers: and their numbers, events times columns.
    """

    on_generated: Callable[[np.ndarray, np.ndarray], ModelsOfTrue]
    most_gen: int = 100_000
    most_numbers: int | None = None

    def __call__(self, teaching: Teaching) -> Models:
        """The models that these events offer."""
        models, _ = self.prepared(teaching.gen, teaching.share_gen)
        return models(teaching.true, teaching.share_true)

    def prepared(self, gen: np.ndarray, share: np.ndarray) -> tuple[ModelsOfTrue, float]:
        """The first step, and how many effective generated events it has seen."""
        most = self.most_gen
        if self.most_numbers is not None:
            most = min(most, max(self.most_numbers // gen.shape[1], 1))
        gen, share = gen[:most], share[:most] / share[:most].sum()
        return self.on_generated(gen, share), _effective(share)


FOLDS = 5
_BLOCK = 1 << 16  # events evaluated at once


def least_squares_ratio(
    families: Sequence[Family],
    log_prob: LogProb | None = None,
    *,
    temper: float = 0.3,
    most_gen: int = 1_000_000,
) -> TwoStepLearner:
    """The average of all models of the families; t = 1 - r, which is log p_gen / p_true to first
    order.

    Args:
        families: e.g. `polynomials()`, `bumps()` and `margins()`.
        log_prob: of the generator where it is known: one feature more, the last of the inputs.
        temper: models weigh exp(-temper n loss - penalty), 1 / n = 1 / n_true + 1 / n_gen.
        most_gen: generated events that teach; a family may look at fewer.
    """

    def on_generated(x_gen: np.ndarray, weight_gen: np.ndarray | None) -> OnTrue:
        gen = inputs(x_gen[:most_gen], log_prob)
        share_gen = _shares(len(gen), None if weight_gen is None else weight_gen[:most_gen])
        prepared = [_prepared(family, gen, share_gen) for family in families]

        def learn(x_true: np.ndarray, weight_true: np.ndarray | None = None) -> Summary:
            true, share_true = inputs(x_true, log_prob), _shares(len(x_true), weight_true)
            n_true = _effective(share_true)
            offers = [models(true, share_true) for models, _ in prepared]
            logarithms = [
                -temper / (1 / n_true + 1 / n_gen) * offer.loss - offer.penalty
                for offer, (_, n_gen) in zip(offers, prepared, strict=True)
            ]
            largest = max(logarithm.max() for logarithm in logarithms)
            weights = [np.exp(logarithm - largest) for logarithm in logarithms]
            total = sum(w.sum() for w in weights)
            averages = [w @ o.coefficients / total for o, w in zip(offers, weights, strict=True)]

            def summary(x: np.ndarray) -> np.ndarray:
                looked_at = inputs(x, log_prob)
                t = np.zeros(len(looked_at))
                for offer, a in zip(offers, averages, strict=True):
                    t -= _value(offer, looked_at, a)
                return t

            return summary

        return learn

    return TwoStepLearner(on_generated)


def _prepared(family: Family, gen: np.ndarray, share_gen: np.ndarray) -> tuple[ModelsOfTrue, float]:
    """The family with its generated events given, and how many effective ones it has seen."""
    if isinstance(family, TwoStepFamily):
        return family.prepared(gen, share_gen)

    def models(true: np.ndarray, share_true: np.ndarray) -> Models:
        return family(Teaching(gen, true, share_gen, share_true))

    return models, _effective(share_gen)


def _effective(share: np.ndarray) -> float:
    """Effective events, (sum w)^2 / sum w^2, of shares that sum to one."""
    return float(1 / (share**2).sum())


def _value(offer: Models, x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The part of r - 1 that comes from one family [n]."""
    return offer.features(x) @ a if offer.value is None else offer.value(x, a)


def streamed(function: Callable[..., Any], x: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    """A jitted function of (columns [dim, block], arguments) -> [block] in double precision, for
    events x [n, dim], in blocks of one size: it compiles once.
    """
    values = np.empty(len(x))
    with jax.enable_x64(True):
        for start in range(0, len(x), _BLOCK):
            block = x[start : start + _BLOCK].T
            n = block.shape[1]
            if n < _BLOCK:
                block = np.pad(block, ((0, 0), (0, _BLOCK - n)))
            values[start : start + n] = np.asarray(function(block, *arguments))[:n]
    return values


def fold_sums(
    phi: Float[np.ndarray, "n feature"], share: Float[np.ndarray, " n"], first: int = 0
) -> Float[np.ndarray, "fold feature"]:
    """Sum of phi in each fold. Events come in no order, so every fifth one is a fold; these begin
    with the event number `first`.
    """
    in_fold = np.zeros((len(phi), FOLDS), phi.dtype)
    places = np.arange(len(phi))
    in_fold[places, (first + places) % FOLDS] = share
    return in_fold.T @ phi


def fold_means(
    sums: Float[np.ndarray, "fold feature"], share: Float[np.ndarray, " n"]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of phi in each fold, and in all others [fold, feature], from its sums and the shares of
    all events.
    """
    size = np.bincount(np.arange(len(share)) % FOLDS, share, FOLDS)[:, None]
    return sums / size, (sums.sum(axis=0) - sums) / (1 - size)


def _shares(n: int, weight: np.ndarray | None) -> np.ndarray:
    return np.full(n, 1 / n) if weight is None else np.asarray(weight, np.float64) / np.sum(weight)
