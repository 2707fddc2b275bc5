"""The compiled part of training: one member as one scan over minibatches, members and their
minibatches shared out over the mesh of devices.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.training import own_events
from amplify.training.config import FitConfig, averaged, optimiser, products_of
from amplify.training.memory import in_groups, in_turns
from amplify.training.mesh import OF_ALL, OF_MEMBER, is_cpu, on_devices, split
from amplify.types import Generator, Params, Trainable, Truncation


class State(NamedTuple):
    """A member between two steps.

    Attributes:
        params: of the generator.
        optimiser: its moments.
        diverged_at: the step at which the loss was not finite, or -1. Nothing changes after it.
        average: moving average of the params, or None where the config asks for none.
        own: candidates of a truncated generator, or None of others.
    """

    params: Params
    optimiser: Any
    diverged_at: Int[Array, ""]
    average: Params | None = None
    own: own_events.OwnEvents | None = None

    @property
    def result(self) -> Params:
        """What training returns: the average, or the params themselves."""
        return self.params if self.average is None else self.average


class Report(NamedTuple):
    """What a step says.

    Attributes:
        loss: of the minibatch; nan from the step at which the member diverged.
        acceptance: share of the fresh candidates that passed; None of generators that are not
            truncated.
    """

    loss: Float[Array, "..."]
    acceptance: Float[Array, "..."] | None


class _Table(NamedTuple):
    """Events [n, dim] and their weights [n]."""

    x: Array
    weight: Array


@lru_cache(maxsize=32)  # compiling takes seconds, and the same generator is often trained again
def compiled(
    generator: Generator | Trainable, config: FitConfig, mesh: Mesh
) -> tuple[Callable, Callable]:
    """`start(keys) -> State` and `advance(state, keys, rows, x, weight, steps) -> (State, Report of
    arrays [member, step])`, with the members shared out over the mesh: one after the other on a
    CPU, where it is as fast as all at once; on accelerators as many at once as fit.
    """
    start, advance_by = jitted(generator, config, mesh)
    return start, advance_by(None) if is_cpu(mesh) else in_groups(advance_by, mesh)


def jitted(
    generator: Generator | Trainable, config: FitConfig, mesh: Mesh
) -> tuple[Callable, Callable[[int | None], Any]]:
    """Jitted `start`, and `advance` by the number of members of a device that train at once; None
    for one after the other.
    """
    adamw = optimiser(config)

    def start_member(key: PRNGKeyArray) -> State:
        params = generator.init(jax.random.fold_in(key, 0))
        average = params if config.average else None
        truncation = truncation_of(generator)
        own = None if truncation is None else own_events.none_yet(truncation, config.batch)
        return State(params, adamw.init(params), jnp.int32(-1), average, own)

    def advance_by(at_once: int | None) -> Any:
        def advance(
            state: State, keys: Array, rows: Array, x: Array, weight: Array, steps: Array
        ) -> tuple[State, Report]:
            def advance_member(member: tuple[State, PRNGKeyArray, Array]) -> tuple[State, Report]:
                state, key, rows = member
                step = partial(_step, generator, config, adamw, mesh, _Table(x, weight), rows, key)
                return jax.lax.scan(step, state, steps)

            return in_turns(advance_member, (state, keys, rows), at_once)

        specs = OF_MEMBER, OF_MEMBER, OF_MEMBER, OF_ALL, OF_ALL, OF_ALL
        return on_devices(advance, mesh, specs, donate=(0,))

    return on_devices(jax.vmap(start_member), mesh, OF_MEMBER), advance_by


def _step(
    generator: Generator | Trainable,
    config: FitConfig,
    adamw: optax.GradientTransformation,
    mesh: Mesh,
    table: _Table,
    rows: Int[Array, " n_train"],
    key: PRNGKeyArray,
    state: State,
    index: Int[Array, ""],
) -> tuple[State, Report]:
    """One minibatch. A member whose loss or gradient is not finite stays as it was before."""
    key_batch, key_loss = jax.random.split(jax.random.fold_in(key, index + 1))
    batch = rows[jax.random.randint(key_batch, (config.batch,), 0, rows.shape[0])]
    events = _Table(table.x[batch], table.weight[batch])
    own, acceptance, scale = state.own, None, 1.0
    truncation = truncation_of(generator)
    if truncation is not None and own is not None:
        key_loss, key_draw, key_choice = jax.random.split(key_loss, 3)
        own, acceptance = own_events.refreshed(
            truncation, state.params, own, key_draw, index, config.batch
        )
        strength = own_events.strength(index, config.steps)
        x, weight, scale = own_events.completed(truncation, own, key_choice, strength, *events)
        events = _Table(x, weight)
    loss, gradient = _loss_and_gradient(generator, config, mesh, state.params, key_loss, events)
    loss, gradient = jax.tree.map(lambda value: scale * value, (loss, gradient))
    updates, moments = adamw.update(gradient, state.optimiser, state.params)
    params = optax.apply_updates(state.params, updates)

    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
    was_alive = state.diverged_at < 0
    alive = was_alive & finite
    average = None
    if state.average is not None:
        average = averaged(config, state.average, params, index)
    before = state.params, state.optimiser, state.average
    after = params, moments, average
    params, moments, average = jax.tree.map(partial(jnp.where, alive), after, before)
    diverged_at = jnp.where(was_alive & ~finite, index, state.diverged_at).astype(jnp.int32)
    state = State(params, moments, diverged_at, average, own)
    return state, Report(jnp.where(alive, loss, jnp.nan), acceptance)


def truncation_of(generator: Generator | Trainable) -> Truncation | None:
    """Of a generator that has one; a classifier has none."""
    return generator.truncation if isinstance(generator, Generator) else None


def _loss_and_gradient(
    generator: Generator | Trainable,
    config: FitConfig,
    mesh: Mesh,
    params: Params,
    key: PRNGKeyArray,
    events: _Table,
) -> tuple[Float[Array, ""], Params]:
    """Of a minibatch, at once or as the weighted mean over micro-batches."""

    def loss_and_gradient(*arguments: Any) -> tuple[Array, Params]:
        with nullcontext() if is_cpu(mesh) else products_of(config):
            return jax.value_and_grad(generator.loss)(*arguments)

    count = config.batch // (config.micro_batch or config.batch)
    if count == 1:
        return loss_and_gradient(params, key, *split(mesh, events))
    x, weight = events
    all_weights = weight.sum()

    def add(
        total: tuple[Array, Params], micro_batch: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Params], None]:
        key, x, weight = micro_batch
        share = weight.sum() / all_weights  # a loss is a weighted mean over its events
        of_batch = loss_and_gradient(params, key, *split(mesh, _Table(x, weight)))
        return jax.tree.map(lambda a, b: a + share * b, total, of_batch), None

    nothing = (jnp.zeros((), x.dtype), jax.tree.map(jnp.zeros_like, params))
    keys = jax.random.split(key, count)
    micro_batches = keys, x.reshape(count, -1, x.shape[1]), weight.reshape(count, -1)
    return jax.lax.scan(add, nothing, micro_batches)[0]
