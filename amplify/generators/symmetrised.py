"""A known symmetry of the data as augmentation: every training event is shown as it is or
transformed, by chance.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.types import Generator, Params


def symmetrised(
    generator: Generator, transform: Callable[[Float[Array, "n dim"]], Float[Array, "n dim"]]
) -> Generator:
    """The generator with a loss that transforms half of each batch, or a fit to every event as it
    is and transformed; `transform` must leave the true density unchanged and keep volumes.

    Sampling and density stay those of the network, which learns the symmetry approximately.
    """

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        key_flip, key_loss = jax.random.split(key)
        flip = jax.random.bernoulli(key_flip, shape=(x.shape[0], 1))
        return generator.loss(params, key_loss, jnp.where(flip, transform(x), x), weight)

    fit_once = generator.fit
    if fit_once is None:
        return generator._replace(loss=loss)

    def fit(key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]) -> Params:
        both, twice = jnp.concatenate([x, transform(x)]), jnp.concatenate([weight, weight])
        return fit_once(key, both, twice)

    return generator._replace(loss=loss, fit=fit)
