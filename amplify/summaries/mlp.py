"""A learned likelihood ratio from an ensemble of classifiers: the second opinion where polynomials
are doubtful, many dimensions or sharp features.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.nets.mlp import MLP
from amplify.summaries import Learner, LogProb, Summary, inputs
from amplify.summaries.atoms import atoms_first
from amplify.training.fit import FitConfig, fit_members
from amplify.types import Params, Trainable

_BLOCK = 1 << 16  # events evaluated at once


class MLPConfig(NamedTuple):
    """Size and training of the ensemble.

    Attributes:
        members: networks.
        hidden: widths of their hidden layers.
        training: of each; a batch has as many true as generated draws.
        most_gen: generated events that teach.
    """

    members: int = 5
    hidden: tuple[int, ...] = (64, 64)
    training: FitConfig = FitConfig(steps=300, batch=512, learning_rate=2e-3, weight_decay=2.0)
    most_gen: int = 100_000


def mlp_ratio(
    log_prob: LogProb | None = None, config: MLPConfig = MLPConfig(), seed: int = 0
) -> Learner:
    """An ensemble of classifiers with the cross entropy; t is minus the mean of their logits, log
    p_gen / p_true (docs/method, Differential amplification).

    Args:
        log_prob: of the generator, one feature more: events [n, dim] -> [n].
        config: size and training.
        seed: of networks and batches.
    """

    def learn(
        x_gen: np.ndarray,
        x_true: np.ndarray,
        weight_gen: np.ndarray | None = None,
        weight_true: np.ndarray | None = None,
    ) -> Summary:
        x_gen = x_gen[: config.most_gen]
        weight_gen = None if weight_gen is None else weight_gen[: config.most_gen]
        gen, true = inputs(x_gen, log_prob), inputs(x_true, log_prob)
        centre, width = gen.mean(axis=0), gen.std(axis=0)
        width = np.where(width > 0, width, 1.0)
        classifier, mean_logit = _classifier(gen.shape[1], config.hidden)

        labelled = [
            np.column_stack([(x - centre) / width, np.full(len(x), label)])
            for x, label in ((gen, 0.0), (true, 1.0))
        ]
        weights = [_of_mean_one(len(gen), weight_gen), _of_mean_one(len(true), weight_true)]
        ensemble = fit_members(
            jax.random.split(jax.random.key(seed), config.members),
            classifier,
            jnp.asarray(np.concatenate(labelled), jnp.float32),
            jnp.asarray(_balanced_rows(len(gen), len(true), config.members, seed)),
            weight=jnp.asarray(np.concatenate(weights)),
            config=config.training,
        )
        params = jax.tree.map(np.asarray, ensemble.params)

        def summary(x: np.ndarray) -> np.ndarray:
            values = [np.zeros(0)]
            for start in range(0, len(x), _BLOCK):
                looked_at = inputs(x[start : start + _BLOCK], log_prob)
                block = ((looked_at - centre) / width).astype(np.float32)
                padding = _BLOCK - len(block) if len(x) > _BLOCK else 0
                padded = jnp.asarray(np.pad(block, ((0, padding), (0, 0))))
                values.append(-np.asarray(mean_logit(params, padded))[: len(block)])
            return np.concatenate(values)

        return summary

    return atoms_first(learn)


def _of_mean_one(n: int, weight: np.ndarray | None) -> Float[np.ndarray, " n"]:
    return np.ones(n) if weight is None else np.asarray(weight) / np.mean(weight)


def _balanced_rows(
    n_gen: int, n_true: int, members: int, seed: int
) -> Int[np.ndarray, "member both"]:
    """Rows of the table of generated, then true events that each member learns from, as many of
    both: the fewer ones repeat, true ones differently in each member.
    """
    rng, n = np.random.default_rng(seed), max(n_gen, n_true)
    of_gen = np.tile(np.arange(n) % n_gen, (members, 1))
    of_true = n_gen + rng.integers(0, n_true, (members, n))
    return np.concatenate([of_gen, of_true], axis=1)


@lru_cache(maxsize=16)  # one compiled training for all fits of one size
def _classifier(dim: int, hidden: tuple[int, ...]) -> tuple[Trainable, Any]:
    """What is trained on events with their label as last column, and the jitted mean logit of all
    members (params [member, ...], x [n, dim]) -> [n].
    """
    net = MLP(hidden, 1)

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, jnp.zeros((1, dim)))

    def logit(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        out: Any = net.apply(params, x)
        return out[:, 0]

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n labelled"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        sign = 1 - 2 * x[:, -1]
        cross_entropy = jax.nn.softplus(sign * logit(params, x[:, :-1]))
        return (weight * cross_entropy).sum() / weight.sum()

    @jax.jit
    def mean_logit(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return jax.lax.map(lambda member: logit(member, x), params).mean(axis=0)

    return Trainable(init, loss, dim + 1), mean_logit
