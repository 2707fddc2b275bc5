"""Own candidates in the loss of a truncated generator: a likelihood that knows the cuts.

Where training events passed cuts and a generator is cut by rejection, the density of an event is
p(x) / Z with Z = P(pass). The gradient of log Z needs no integral, only own candidates,

    d log Z = E_own[ (1[pass] / Z - beta) d log p ]      for every beta, since E_own[d log p] = 0,

so that an own candidate enters the loss like an event of weight beta - 1[pass] / Z
(docs/method, Training events that passed cuts). beta = 1 / Z is expectation maximisation: rejected
candidates complete the data, in the proportion (1 - Z) / Z, with weights that are never negative.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.latents import uniform_latents
from amplify.types import Params, Truncation

# fewer passing candidates than that say nothing of Z: the step looks at the data alone, which
# raises Z, and a loss with negative weights has nothing to run away to
LEAST_ACCEPTANCE = 0.01
_RISING = 1 / 3  # of the steps, until own candidates count fully,
_MOST_RISING = 1000  # and no more steps than that: a training may be stopped early
_MEMORY = 0.9  # of the running mean of Z, in steps: its noise would bias 1 / Z

_NONE, _FAILED, _PASSED = -1, 0, 1


class OwnEvents(NamedTuple):
    """Candidates of a member in training.

    Attributes:
        x: candidates [kept, dim].
        outcome: whether each passed (1), failed (0), or is none (-1): not drawn yet, or not finite.
        acceptance: running mean of Z.
    """

    x: Float[Array, "kept dim"]
    outcome: Int[Array, " kept"]
    acceptance: Float[Array, ""]


class Sizes(NamedTuple):
    """Numbers of own candidates: in the loss, drawn in each step, kept of this and earlier ones."""

    in_loss: int
    drawn: int
    kept: int


def sizes(truncation: Truncation, batch: int) -> Sizes:
    """Half a minibatch of own candidates, fresh ones where the truncation says nothing else."""
    in_loss = max(batch // 2, 1)
    drawn = truncation.draws or in_loss
    return Sizes(in_loss, drawn, max(truncation.kept * drawn, drawn))


def none_yet(truncation: Truncation, batch: int) -> OwnEvents:
    """Before the first step."""
    kept = sizes(truncation, batch).kept
    unknown = jnp.full(kept, _NONE, jnp.int32)
    return OwnEvents(jnp.zeros((kept, truncation.candidates.dim)), unknown, jnp.float32(0))


def refreshed(
    truncation: Truncation,
    params: Params,
    own: OwnEvents,
    key: PRNGKeyArray,
    index: Int[Array, ""],
    batch: int,
) -> tuple[OwnEvents, Float[Array, ""]]:
    """Fresh candidates in the place of the oldest, and the share of them that passed."""
    drawn = sizes(truncation, batch).drawn
    latent = uniform_latents(key, drawn, truncation.candidates.dim)
    x = jax.lax.stop_gradient(truncation.candidates.sample(params, latent))
    finite = jnp.isfinite(x).all(axis=-1)
    x = jnp.where(finite[:, None], x, 0.0)
    passed = jnp.where(truncation.passes(x), _PASSED, _FAILED)
    outcome = jnp.where(finite, passed, _NONE).astype(jnp.int32)
    share = (outcome == _PASSED).sum() / jnp.maximum(finite.sum(), 1)
    acceptance = jnp.where(index == 0, share, _MEMORY * own.acceptance + (1 - _MEMORY) * share)
    start = (index * drawn) % len(own.outcome)
    kept = (
        jax.lax.dynamic_update_slice(own.x, x.astype(own.x.dtype), (start, 0)),
        jax.lax.dynamic_update_slice(own.outcome, outcome, (start,)),
    )
    return OwnEvents(*kept, acceptance.astype(jnp.float32)), share


def strength(index: Int[Array, ""], steps: int) -> Float[Array, ""]:
    """How much own candidates count in a step: the loss is -log p + strength log Z. It rises in the
    first part of a training, because an untrained generator learns from its own candidates what is
    wrong with itself, and runs away.
    """
    rising = min(_RISING * steps, _MOST_RISING)
    return jnp.minimum(1.0, index / max(rising, 1))


def completed(
    truncation: Truncation,
    own: OwnEvents,
    key: PRNGKeyArray,
    strength: Float[Array, ""],
    x: Float[Array, "n dim"],
    weight: Float[Array, " n"],
) -> tuple[Float[Array, "more dim"], Float[Array, " more"], Float[Array, ""]]:
    """A minibatch and own candidates with their weights, mixed so that every part of it has both;
    and the sum of all weights over that of the minibatch, by which a weighted mean is a sum over
    training events.
    """
    in_loss, kept = sizes(truncation, len(x)).in_loss, len(own.outcome)
    own_x, outcome = own.x, own.outcome
    if kept != in_loss:
        chosen = jax.random.randint(key, (in_loss,), 0, kept)
        own_x, outcome = own_x[chosen], outcome[chosen]
    z = jnp.maximum(own.acceptance, LEAST_ACCEPTANCE)
    baseline = 1 / z if truncation.baseline is None else truncation.baseline
    valid = outcome != _NONE
    by_candidate = jnp.where(valid, baseline - (outcome == _PASSED) / z, 0.0)
    by_candidate *= jnp.where(own.acceptance > LEAST_ACCEPTANCE, strength, 0.0)
    total = weight.sum()
    own_weight = by_candidate * total / jnp.maximum(valid.sum(), 1)
    # a candidate that counts nothing must not harm either
    own_x = jnp.where(valid[:, None], own_x.astype(x.dtype), x[:in_loss])
    if len(x) % in_loss:
        x = jnp.concatenate([x, own_x])
        weight = jnp.concatenate([weight, own_weight])
    else:
        x = jnp.concatenate([x.reshape(in_loss, -1, x.shape[1]), own_x[:, None]], axis=1)
        weight = jnp.concatenate([weight.reshape(in_loss, -1), own_weight[:, None]], axis=1)
        x, weight = x.reshape(-1, x.shape[-1]), weight.reshape(-1)
    return x, weight, weight.sum() / total
