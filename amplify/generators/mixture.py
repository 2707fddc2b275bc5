"""The pool of trained members as one generator: the mixture of their densities.

Event by event the pool is better than any of its members, since what training left to chance
differs between them (docs/method, Pools of members).
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.truncated import truncated
from amplify.types import Generator, Params

LogProb = Callable[[Params, Float[Array, "n dim"]], Float[Array, " n"]]


@lru_cache(maxsize=32)  # the same pool for the same generator, so that it compiles once
def mixture(generator: Generator) -> Generator:
    """The members of a generator as one: p = (1 / M) sum_m p_m, params [member, ...] as
    `Ensemble.params` are.

    An event comes from one of the members, so sampling costs what that of a member does. Latents
    are cut into M contiguous parts, one for each member: a part of a block of Sobol points is again
    a net. The members' events then take turns, so that any number of the first of them is from all
    members alike.

    >>> from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
    >>> two = GaussianParams(mean=jnp.array([[-5.0], [5.0]]), log_width=jnp.zeros((2, 1)))
    >>> pool = mixture(fitted_gaussian(1))
    >>> pool.sample(two, jnp.array([[0.5], [0.5], [0.5]])).ravel().tolist()
    [-5.0, 5.0, -5.0]

    Args:
        generator: of the members. Of a truncated one the pool is truncated with the same settings:
            members count by their events that pass.

    Returns:
        A Generator to sample from and to ask for densities. Its `init` and `loss` refuse: a pool is
        made of members that were trained, `fit_ensemble(...).pool()`.
    """
    if generator.truncation is not None:
        candidates = mixture(generator.truncation.candidates)
        pool = truncated(candidates, generator.truncation.passes, loss="completion")
        settings = generator.truncation._replace(candidates=candidates)
        return pool._replace(truncation=settings)

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        n, members = len(latent), _count_members(params)
        x = jax.vmap(generator.sample)(params, latent[_dealt(n, members)])
        return jnp.swapaxes(x, 0, 1).reshape(-1, generator.dim)[:n]

    density = None if generator.log_prob is None else _density(generator.log_prob)
    return Generator(_no_init, _no_loss, sample, density, generator.dim)


def _density(log_prob_of_member: LogProb) -> LogProb:
    def log_prob(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        # one after the other: the activations of all members may not fit into memory
        of_members = jax.lax.map(lambda member: log_prob_of_member(member, x), params)
        return logsumexp(of_members, axis=0) - jnp.log(_count_members(params))

    return log_prob


def _count_members(params: Params) -> int:
    return jax.tree.leaves(params)[0].shape[0]


def _dealt(n: int, members: int) -> Int[Array, "member slot"]:
    """Which latents each member gets: contiguous ones. Where n is not divisible the first members
    have one more; in the last slot of the others stands a latent whose event is dropped.
    """
    each, more = divmod(n, members)
    slots = each + (more > 0)
    member = jnp.arange(members)
    start = member * each + jnp.minimum(member, more)
    return jnp.minimum(start[:, None] + jnp.arange(slots)[None], n - 1)


def _no_init(key: PRNGKeyArray) -> Params:
    raise InputError(*_UNTRAINED)


def _no_loss(
    params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
) -> Float[Array, ""]:
    raise InputError(*_UNTRAINED)


_UNTRAINED = (
    "mixture",
    "members that are trained",
    "a training of the pool itself",
    "train them with fit_ensemble, then take ensemble.pool()",
)
