"""The compiled part of training: one member as one scan over minibatches, members shared out over
the devices.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.types import Generator, Params, Trainable


class FitConfig(NamedTuple):
    """One training: AdamW with gradient clipping and a learning rate that falls to zero along a
    cosine.

    Attributes:
        steps: minibatches.
        batch: events per minibatch, drawn with replacement.
        learning_rate: at the start; the default is that of the ring study, where 2e-3 left a bias
            common to all members.
        weight_decay: decoupled, multiplied by the learning rate in each step.
        clip: largest global norm of a gradient.
        micro_batch: events whose gradient is computed at once, a divisor of `batch`; gradients add
            up over a minibatch. Large networks are bound by memory traffic, and small parts stay in
            the cache of a CPU. None takes the whole minibatch.
    """

    steps: int = 1000
    batch: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    clip: float = 5.0
    micro_batch: int | None = None


class State(NamedTuple):
    """A member between two steps.

    Attributes:
        params: of the generator.
        optimiser: its moments.
        diverged_at: the step at which the loss was not finite, or -1. Nothing changes after it.
    """

    params: Params
    optimiser: Any
    diverged_at: Int[Array, ""]


class _Table(NamedTuple):
    """Events [n, dim] and their weights [n]."""

    x: Array
    weight: Array


@lru_cache(maxsize=32)  # compiling takes seconds, and the same generator is often trained again
def compiled(
    generator: Generator | Trainable, config: FitConfig, devices: tuple[Any, ...]
) -> tuple[Callable, Callable]:
    """Jitted `start(keys) -> State` and `advance(state, keys, rows, x, weight, steps) -> (State,
    losses [member, step])`, with the members shared out over the devices.
    """
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    optimiser = optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(schedule, weight_decay=config.weight_decay),
    )
    of_member, of_all = PartitionSpec("member"), PartitionSpec()
    mesh = Mesh(np.asarray(devices), ("member",))
    shared_out = partial(jax.shard_map, mesh=mesh, out_specs=of_member, check_vma=False)

    def start_member(key: PRNGKeyArray) -> State:
        params = generator.init(jax.random.fold_in(key, 0))
        return State(params, optimiser.init(params), jnp.int32(-1))

    @jax.jit
    @partial(shared_out, in_specs=of_member)
    def start(keys: Array) -> State:
        return jax.vmap(start_member)(keys)

    @partial(jax.jit, donate_argnums=0)
    @partial(shared_out, in_specs=(of_member, of_member, of_member, of_all, of_all, of_all))
    def advance(
        state: State, keys: Array, rows: Array, x: Array, weight: Array, steps: Array
    ) -> tuple[State, Array]:
        def advance_member(member: tuple[State, PRNGKeyArray, Array]) -> tuple[State, Array]:
            state, key, rows = member
            step = partial(_step, generator, config, optimiser, _Table(x, weight), rows, key)
            return jax.lax.scan(step, state, steps)

        # one member after the other on a CPU, where it is as fast as all at once
        at_once = None if devices[0].platform == "cpu" else keys.shape[0]
        return jax.lax.map(advance_member, (state, keys, rows), batch_size=at_once)

    return start, advance


def _step(
    generator: Generator | Trainable,
    config: FitConfig,
    optimiser: optax.GradientTransformation,
    table: _Table,
    rows: Int[Array, " n_train"],
    key: PRNGKeyArray,
    state: State,
    index: Int[Array, ""],
) -> tuple[State, Float[Array, ""]]:
    """One minibatch. A member whose loss or gradient is not finite stays as it was before."""
    key_batch, key_loss = jax.random.split(jax.random.fold_in(key, index + 1))
    batch = rows[jax.random.randint(key_batch, (config.batch,), 0, rows.shape[0])]
    events = _Table(table.x[batch], table.weight[batch])
    loss, gradient = _loss_and_gradient(generator, config, state.params, key_loss, events)
    updates, moments = optimiser.update(gradient, state.optimiser, state.params)
    params = optax.apply_updates(state.params, updates)

    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
    was_alive = state.diverged_at < 0
    alive = was_alive & finite
    before = state.params, state.optimiser
    params, moments = jax.tree.map(partial(jnp.where, alive), (params, moments), before)
    diverged_at = jnp.where(was_alive & ~finite, index, state.diverged_at).astype(jnp.int32)
    return State(params, moments, diverged_at), jnp.where(alive, loss, jnp.nan)


def _loss_and_gradient(
    generator: Generator | Trainable,
    config: FitConfig,
    params: Params,
    key: PRNGKeyArray,
    events: _Table,
) -> tuple[Float[Array, ""], Params]:
    """Of a minibatch, at once or as the weighted mean over micro-batches."""
    loss_and_gradient = jax.value_and_grad(generator.loss)
    count = config.batch // (config.micro_batch or config.batch)
    if count == 1:
        return loss_and_gradient(params, key, *events)
    x, weight = events
    all_weights = weight.sum()

    def add(
        total: tuple[Array, Params], micro_batch: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Params], None]:
        key, x, weight = micro_batch
        share = weight.sum() / all_weights  # a loss is a weighted mean over its events
        of_batch = loss_and_gradient(params, key, x, weight)
        return jax.tree.map(lambda a, b: a + share * b, total, of_batch), None

    nothing = (jnp.zeros((), x.dtype), jax.tree.map(jnp.zeros_like, params))
    keys = jax.random.split(key, count)
    micro_batches = keys, x.reshape(count, -1, x.shape[1]), weight.reshape(count, -1)
    return jax.lax.scan(add, nothing, micro_batches)[0]
