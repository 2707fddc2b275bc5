"""Choosing one of several components by a uniform number, and more uniform numbers from those that
are there.

`Generator.sample` is a function of as many latents as there are dimensions. A mixture also has to
choose a component: the latent that chooses says by its place inside the component's share what is
uniform again, so no other number is needed and Sobol points stay evenly spread. Where a density
needs further numbers (the noise of a decoder), they come from a random generator whose key is the
latent: they look independent, and are always the same for the same latent.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

_STEP = 2.0**-23  # between latents in single precision
_KEYS = 2  # latents that are the key: the first one alone hardly ever repeats


def choose(
    latent: Float[Array, "..."], weight: Float[Array, "component ..."]
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """Which component each latent chooses, with probability in proportion to its weight, and what
    is uniform again.

    >>> index, rest = choose(jnp.array([0.1, 0.3, 0.9]), jnp.array([[1.0] * 3, [3.0] * 3]))
    >>> index.tolist(), [round(r, 2) for r in rest.tolist()]
    ([0, 1, 1], [0.4, 0.07, 0.87])

    Args:
        latent: uniform in (0, 1).
        weight: of the components, for each latent; at least one above zero.
    """
    share = weight / weight.sum(axis=0, keepdims=True)
    ends = jnp.cumsum(share, axis=0)
    passed = latent[None] >= ends[:-1]
    first = jnp.ones_like(passed[:1])
    # one after all that are passed: a component without weight never has its turn
    here = jnp.concatenate([first, passed]) & ~jnp.concatenate([passed, ~first])
    before = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
    start, width = (jnp.where(here, values, 0.0).sum(axis=0) for values in (before, share))
    index = passed.sum(axis=0)
    return index, inside((latent - start) / jnp.where(width > 0, width, 1.0))


def more_latents(latent: Float[Array, "n dim"], columns: int) -> Float[Array, "n columns"]:
    """Further uniform numbers in (0, 1) for each event, decided by its latents."""
    bits = jax.lax.bitcast_convert_type(latent[:, :_KEYS].astype(jnp.float32), jnp.uint32)

    def of_event(words: UInt32[Array, " key"]) -> Float[Array, " columns"]:
        key = jax.random.key(0)
        for word in words:
            key = jax.random.fold_in(key, word)
        return jax.random.uniform(key, (columns,), latent.dtype)

    return inside(jax.vmap(of_event)(bits))


def inside(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """Numbers kept away from 0 and 1, where quantiles end."""
    return jnp.clip(u, _STEP / 2, 1 - _STEP / 2)


def choose_of_many(
    latent: Float[Array, " n"], weight: Float[Array, " component"]
) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """As `choose`, of thousands of components with weights common to all latents.

    Into the share of one of them fall so few latents of single precision that their places are
    spread at random over the gaps between them.
    """
    ends = jnp.cumsum(weight)
    target = latent * ends[-1]
    index = jnp.minimum(jnp.searchsorted(ends, target, side="right"), len(weight) - 1)
    width = jnp.maximum(weight[index], jnp.finfo(weight.dtype).tiny)
    place = (target - (ends[index] - weight[index])) / width
    gap = jnp.minimum(_STEP * ends[-1] / width, 1.0)
    extra = more_latents(latent[:, None], 1)[:, 0]
    return index, inside(jnp.remainder(place + gap * (extra - 0.5), 1.0))
