"""Training that ends at a time instead of a step: the learning rate falls along a cosine in the
share of the seconds that is over, so that no step of finding out how long a step takes is wasted,
and one compiled function serves any number of steps.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from amplify.latents import uniform_latents
from amplify.training.config import FitConfig, optimiser
from amplify.types import Generator


class Compiled(NamedTuple):
    """What is compiled for the networks of a kind, all members side by side.

    Attributes:
        start: keys -> (params, state of the optimiser, diverged_at), each [member, ...].
        advance: (state, keys, rows, x, steps, scale of the learning rate at each) -> (state, losses
            [member, step]).
        draw: (params, key) -> events [member, block, dim].
    """

    start: Callable[..., Any]
    advance: Callable[..., Any]
    draw: Callable[..., Any]


class Trained(NamedTuple):
    """Params [member, ...], losses [member, step], seconds, members that diverged."""

    params: Any
    losses: np.ndarray
    seconds: float
    diverged: int


class Drawn(NamedTuple):
    """Events x [member, event, dim], and the seconds they took."""

    x: np.ndarray
    seconds: float


def lowered(
    generator: Generator,
    config: FitConfig,
    n: int,
    n_train: int,
    members: int,
    calls: int,
    block: int,
) -> list[Any]:
    """What is to be compiled, in the order of `Compiled`.

    Args:
        generator: of all members.
        config: batch, learning rate, warm-up and clipping.
        n: events of the table.
        n_train: events of a member.
        members: side by side.
        calls: steps of a call.
        block: events that a member generates at once.
    """
    adamw = optimiser(config._replace(schedule="constant", warm_up=0))

    def start(keys: Any) -> Any:
        params = jax.vmap(lambda key: generator.init(jax.random.fold_in(key, 0)))(keys)
        return params, jax.vmap(adamw.init)(params), jnp.full(members, -1)

    def step(x: Any, rows: Any, key: Any, state: Any, now: Any) -> Any:
        (params, moments, diverged_at), (index, scale) = state, now
        key_batch, key_loss = jax.random.split(jax.random.fold_in(key, index + 1))
        batch = x[rows[jax.random.randint(key_batch, (config.batch,), 0, n_train)]]
        loss, gradient = jax.value_and_grad(generator.loss)(
            params, key_loss, batch, jnp.ones(config.batch)
        )
        updates, after = adamw.update(gradient, moments, params)
        moved = optax.apply_updates(params, jax.tree.map(lambda u: scale * u, updates))
        alive = (diverged_at < 0) & jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        kept = jax.tree.map(partial(jnp.where, alive), (moved, after), (params, moments))
        diverged_at = jnp.where((diverged_at < 0) & ~alive, index, diverged_at)
        return (*kept, diverged_at), jnp.where(alive, loss, jnp.nan)

    def advance(state: Any, keys: Any, rows: Any, x: Any, steps: Any, scales: Any) -> Any:
        def of_member(state: Any, key: Any, rows: Any) -> Any:
            return jax.lax.scan(partial(step, x, rows, key), state, (steps, scales))

        return jax.vmap(of_member)(state, keys, rows)

    def draw(params: Any, key: Any) -> Any:
        keys = jax.random.split(key, members)
        latent = jax.vmap(lambda k: uniform_latents(k, block, generator.dim))(keys)
        return jax.vmap(generator.sample)(params, latent)

    keys = jax.random.split(jax.random.key(0), members)
    state = jax.eval_shape(start, keys)
    of_member = jax.ShapeDtypeStruct((members, n_train), jnp.int32)
    table = jax.ShapeDtypeStruct((n, generator.dim), jnp.float32)
    times = jnp.arange(calls), jnp.ones(calls)
    return [
        jax.jit(start).lower(keys),
        jax.jit(advance, donate_argnums=0).lower(state, keys, of_member, table, *times),
        jax.jit(draw).lower(state[0], jax.random.key(0)),
    ]


def trained(
    compiled: Compiled, config: FitConfig, x: np.ndarray, rows: Any, seconds: float, calls: int
) -> Trained:
    """Members on x[rows[member]] for so many seconds, one call at least.

    Args:
        compiled: for these shapes.
        config: its warm-up.
        x: events.
        rows: [member, event].
        seconds: of all steps.
        calls: steps of a call.
    """
    keys = jax.random.split(jax.random.key(4), len(rows))
    table, losses = jnp.asarray(x, jnp.float32), []
    state = jax.block_until_ready(compiled.start(keys))
    started, first, over, last = time.monotonic(), 0, 0.0, False
    while not last:
        # how much of the time a call takes, by those before; the first one does not know
        share = over / (first // calls) if first else 0.0
        last = over + 1.5 * share >= 1 and first > 0
        end = 1.0 if last else over + share
        scales = _scales(over, end, first, config.warm_up, calls)
        steps = jnp.arange(first, first + calls)
        state, loss = compiled.advance(state, keys, rows, table, steps, scales)
        losses.append(np.asarray(loss))
        first += calls
        over = (time.monotonic() - started) / seconds
    diverged = int((np.asarray(state[2]) >= 0).sum())
    return Trained(state[0], np.concatenate(losses, 1), time.monotonic() - started, diverged)


def _scales(begin: float, end: float, first: int, warm_up: int, calls: int) -> jax.Array:
    """Factors of the learning rate in a call: a cosine in the share of the time that is over, after
    a rise over the first steps.
    """
    over = np.linspace(begin, end, calls, endpoint=False)
    rising = np.minimum((first + 1 + np.arange(calls)) / max(warm_up, 1), 1.0)
    return jnp.asarray(rising * 0.5 * (1 + np.cos(np.pi * np.clip(over, 0, 1))), jnp.float32)


def generated(compiled: Compiled, params: Any, most: int, seconds: float, block: int) -> Drawn:
    """Events of all members until the seconds are over or there are `most`; one block at least."""
    started, blocks, took = time.monotonic(), [], 0.0
    while not blocks or (
        len(blocks) * block < most and time.monotonic() - started + took < seconds
    ):
        before = time.monotonic()
        key = jax.random.fold_in(jax.random.key(5), len(blocks))
        blocks.append(np.asarray(compiled.draw(params, key)))
        took = time.monotonic() - before
    x = np.concatenate(blocks, axis=1)[:, :most]
    return Drawn(x, time.monotonic() - started)
