"""Chains of stochastic gradient dynamics (`sgmcmc`) from their start to the last draw, or on from a
checkpoint.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from amplify.training import posterior
from amplify.training.checkpoint import Checkpoints
from amplify.training.dynamics import SGMCMCConfig, State, compiled
from amplify.training.fingerprint import Settings, code_of, digest_of, machine_of
from amplify.training.mesh import everywhere, layout, local, on_host, padded
from amplify.training.trained import Ensemble
from amplify.types import Generator, Params


class Chains(NamedTuple):
    """Chains where they start, the events, and what is wanted of them.

    Attributes:
        keys: one per chain.
        generator: whose posterior it is.
        params: where each chain starts [chain, ...].
        x: training events.
        weight: of the events.
        members: draws of all chains together.
        config: settings of the chains.
    """

    keys: Key[Any, " chain"]
    generator: Generator
    params: Params
    x: Float[Array, "n dim"]
    weight: Float[Array, " n"]
    members: int
    config: SGMCMCConfig

    @property
    def draws(self) -> int:
        """Of each chain, with those that are dropped."""
        return self.config.burn_in + math.ceil(self.members / len(self.keys))

    def settings(self) -> Settings:
        """What decides the bits of the draws."""
        mesh = layout(len(self.keys), self.config.batch).mesh
        return {
            "start": digest_of(*jax.tree.leaves(self.params)),
            "events": digest_of(self.x),
            "weights": digest_of(self.weight),
            "keys": digest_of(self.keys),
            "members": self.members,
            "config": str(self.config),
            "generator": code_of(self.generator),
        } | machine_of(mesh)


class _Position(NamedTuple):
    """Where chains are: `state`, and of each draw so far, those that are dropped left out, `params`
    [draw, chain, parameter] and `losses` [draw, chain, step]; None without a draw.
    """

    state: State
    params: np.ndarray | None
    losses: np.ndarray | None


def drawn(chains: Chains, kept: Checkpoints, progress: Callable[..., None] | None) -> Ensemble:
    """Members by turns of the chains: member m is a draw of chain m modulo chains.

    Args:
        chains: what is drawn.
        kept: checkpoints of these chains.
        progress: of `fit_sgmcmc`.
    """
    generator, config, number = chains.generator, chains.config, len(chains.keys)
    shared = layout(number, config.batch)
    keys, params = padded(shared, (chains.keys, chains.params))
    x, weight = everywhere(shared, (chains.x, chains.weight))
    start, advance = compiled(generator, config, shared.mesh)
    state, frame = start(keys, params, x, weight)
    positions: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    done = 0

    def position() -> _Position:
        if not positions:
            return _Position(state, None, None)
        return _Position(state, np.stack(positions), np.stack(losses))

    found = kept.resumed(lambda draw: _of_shape(state, draw - config.burn_in, config))
    if found is not None:
        done, (state, *before) = found
        positions, losses = ([] if values is None else list(values) for values in before)
    for draw in range(done, chains.draws):
        first = draw * config.between
        steps = everywhere(shared, jnp.arange(first, first + config.between))
        state, *of_draw = advance(state, frame, x, weight, steps)
        flat, loss = on_host(of_draw)
        if progress is not None:
            steps_in_all = chains.draws * config.between
            progress(first + config.between, steps_in_all, loss[:number].mean(axis=1))
        if draw >= config.burn_in:
            positions.append(flat)
            losses.append(loss)
        kept.save(draw + 1, position, last=draw + 1 == chains.draws)
    of_chain = np.arange(chains.members) % number
    flat, loss = (np.concatenate([v[:number] for v in p]) for p in (positions, losses))
    # a draw is fine if the gradient at it was finite, which the step after it says
    end = (config.burn_in + np.arange(chains.members) // number + 1) * config.between
    state, fixed = local((state, frame.fixed))
    failed = np.asarray(state.diverged_at)[of_chain]
    diverged = np.where((failed >= 0) & (failed <= end), failed, -1).astype(np.int32)
    fixed = jax.tree.map(lambda leaf: leaf[of_chain], fixed)
    params = jax.vmap(posterior.joiner(generator))(jnp.asarray(flat[: chains.members]), fixed)
    at = jnp.asarray(loss[: chains.members]), jnp.asarray(diverged)
    return Ensemble(params, *at, generator, method="sgmcmc")


def _of_shape(state: State, draws: int, config: SGMCMCConfig) -> _Position:
    """Of the shape of a position after so many draws."""
    if draws <= 0:
        return _Position(state, None, None)
    chains, parameters = state.z.shape
    losses = np.zeros((draws, chains, config.between), np.float32)
    return _Position(state, np.zeros((draws, chains, parameters), state.z.dtype), losses)
