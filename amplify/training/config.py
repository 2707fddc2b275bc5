"""Settings of one training, and the optimiser they stand for."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax

from amplify.types import Params

UNTRAINED = "fixed"  # key of a dict of params under which nothing is trained

Schedule = Literal["cosine", "constant"]
Products = Literal["float32", "bfloat16"]

# what JAX calls products of matrices whose factors are rounded, and whose sums are not
_ROUNDED = {"bfloat16": "BF16_BF16_F32"}


class FitConfig(NamedTuple):
    """One training: AdamW with gradient clipping and a learning rate that falls to zero along a
    cosine, or stays and leaves the calming down to an average of the params.

    Attributes:
        steps: minibatches; the most of them where a `Stopping` may end the training.
        batch: events per minibatch, drawn with replacement.
        learning_rate: at the start; the default is that of the ring study, where 2e-3 left a bias
            common to all members.
        weight_decay: decoupled, multiplied by the learning rate in each step; not of params under a
            key "fixed".
        clip: largest global norm of a gradient.
        micro_batch: events whose gradient is computed at once, a divisor of `batch`; gradients add
            up over a minibatch. Large networks are bound by memory traffic, and small parts stay in
            the cache of a CPU. None takes the whole minibatch.
        schedule: of the learning rate: "cosine" falls to zero at the last step, "constant" does not
            need to know which step that is.
        warm_up: steps in which the learning rate rises from zero.
        average: decay d of an exponential moving average of the params, d a + (1 - d) params in
            every step and less in the first ones; the average is what training returns. None or 0
            returns the params themselves.
        products: of matrices in the networks, and in their gradients: "bfloat16" rounds the factors
            to eight bits and adds up in single precision, which is faster where large products are
            what an accelerator is busy with. Params, their moments, splines, states of differential
            equations and losses stay in single precision, and so do rotations and boosts. A CPU,
            which has no such products, stays in single precision altogether.
    """

    steps: int = 1000
    batch: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    clip: float = 5.0
    micro_batch: int | None = None
    schedule: Schedule = "cosine"
    warm_up: int = 0
    average: float | None = None
    products: Products = "float32"

    @classmethod
    def for_integrals(cls, n_train: int) -> "FitConfig":
        """A training whose members have little bias in common, for averaging amplification: long,
        and calmed down by the learning rate (docs/method, Training that stops where it should).

        >>> FitConfig.for_integrals(10_000).steps
        2000
        """
        sizes, steps = np.log([1e3, 1e4, 1e5]), np.log([1000, 2000, 10_000])
        return cls(steps=round(float(np.exp(np.interp(np.log(max(n_train, 1)), sizes, steps)))))

    @classmethod
    def event_by_event(cls, n_train: int) -> "FitConfig":
        """A training for differential amplification, to be ended by `Stopping()`: a moving average
        of params at a learning rate that stays. Stopped early, it has a bias in common with all
        members, and its integrals are worse than those of `for_integrals`.

        >>> FitConfig.event_by_event(1000).average
        0.99
        """
        most = 10 * cls.for_integrals(n_train).steps  # `Stopping` ends it long before
        return cls(steps=most, schedule="constant", average=0.99)


def optimiser(config: FitConfig) -> optax.GradientTransformation:
    """AdamW with the learning rate of the config."""
    rate = config.learning_rate
    falling = max(config.steps - config.warm_up, 1)
    schedule = {
        "cosine": optax.cosine_decay_schedule(rate, falling),
        "constant": optax.constant_schedule(rate),
    }[config.schedule]
    if config.warm_up:
        rising = optax.linear_schedule(0.0, rate, config.warm_up)
        schedule = optax.join_schedules([rising, schedule], [config.warm_up])
    adamw = optax.adamw(schedule, weight_decay=config.weight_decay, mask=are_trained)
    return optax.chain(optax.clip_by_global_norm(config.clip), adamw)


def products_of(config: FitConfig) -> AbstractContextManager[Any]:
    """Inside of it, networks are traced with the products that the config asks for."""
    rounded = _ROUNDED.get(config.products)
    return nullcontext() if rounded is None else jax.default_matmul_precision(rounded)


def averaged(config: FitConfig, average: Params, params: Params, index: Any) -> Params:
    """The moving average after step `index` = 0, 1, ...: its memory is a third of the steps so far
    until it reaches 1 / (1 - d), so that the start is forgotten.
    """
    decay = jax.numpy.minimum(config.average or 0.0, (1 + index) / (4 + index))
    return jax.tree.map(lambda a, p: a + (1 - decay).astype(p.dtype) * (p - a), average, params)


def are_trained(params: Params) -> Params:
    """Which leaves are trained, and decay: all but those under a key "fixed"."""

    def is_trained(path: tuple[Any, ...], _: Any) -> bool:
        return all(getattr(key, "key", None) != UNTRAINED for key in path)

    return jax.tree_util.tree_map_with_path(is_trained, params)
