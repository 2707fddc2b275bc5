"""A learned likelihood ratio from an ensemble of classifiers: the second opinion where polynomials
are doubtful, many dimensions or sharp features.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.nets.mlp import MLP
from amplify.summaries import Learner, LogProb, Summary, inputs
from amplify.training.fit import FitConfig, fit_members
from amplify.types import Params, Trainable


class MLPConfig(NamedTuple):
    """Members, their hidden layers, and their training. Each member learns from as many true as
    generated draws per batch.
    """

    members: int = 5
    hidden: tuple[int, ...] = (64, 64)
    training: FitConfig = FitConfig(steps=300, batch=512, learning_rate=2e-3, weight_decay=2.0)
    most_gen: int = 100_000


def mlp_ratio(
    log_prob: LogProb | None = None, config: MLPConfig = MLPConfig(), seed: int = 0
) -> Learner:
    """An ensemble of classifiers with the cross entropy; t is minus the mean of their logits, log
    p_gen / p_true.

    Args:
        log_prob: of the generator, one feature more.
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
        features = [inputs(x, log_prob) for x in (x_gen, x_true)]
        centre, width = features[0].mean(axis=0), features[0].std(axis=0)
        width = np.where(width > 0, width, 1.0)
        classifier, logits = _classifier(features[0].shape[1], config.hidden)
        labels = (np.zeros(len(x_gen)), np.ones(len(x_true)))
        table = np.concatenate(
            [
                np.column_stack([(x - centre) / width, label])
                for x, label in zip(features, labels, strict=True)
            ]
        )
        weights = [
            np.ones(len(x)) if w is None else np.asarray(w)
            for x, w in ((x_gen, weight_gen), (x_true, weight_true))
        ]
        weight = np.concatenate([w / w.mean() for w in (weights[0][: config.most_gen], weights[1])])
        # as many rows of truth as of generated events: the fewer ones repeat, true ones differently
        # in each member
        rng, n = np.random.default_rng(seed), max(len(x_gen), len(x_true))
        rows = np.concatenate(
            [
                np.tile(np.arange(n) % len(x_gen), (config.members, 1)),
                len(x_gen) + rng.integers(0, len(x_true), (config.members, n)),
            ],
            axis=1,
        )
        keys = jax.random.split(jax.random.key(seed), config.members)
        ensemble = fit_members(
            keys,
            classifier,
            jnp.asarray(table, jnp.float32),
            jnp.asarray(rows),
            weight=jnp.asarray(weight),
            config=config.training,
        )
        params = jax.tree.map(np.asarray, ensemble.params)

        def summary(x: np.ndarray) -> np.ndarray:
            size = 1 << 16
            values = [np.zeros(0)]
            for start in range(0, len(x), size):
                looked_at = inputs(x[start : start + size], log_prob)
                block = ((looked_at - centre) / width).astype(np.float32)
                padding = size - len(block) if len(x) > size else 0
                padded = np.pad(block, ((0, padding), (0, 0)))
                values.append(-np.asarray(logits(params, jnp.asarray(padded)))[: len(block)])
            return np.concatenate(values)

        return summary

    return learn


@lru_cache(maxsize=16)  # one compiled training for all fits of one size
def _classifier(dim: int, hidden: tuple[int, ...]) -> tuple[Trainable, Any]:
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
        return (weight * jax.nn.softplus(sign * logit(params, x[:, :-1]))).sum() / weight.sum()

    @jax.jit
    def mean_logit(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return jax.lax.map(lambda one: logit(one, x), params).mean(axis=0)

    return Trainable(init, loss, dim + 1), mean_logit
