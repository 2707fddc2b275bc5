"""The fitted Gaussian: the smallest generator, and the one whose amplification is known in closed
form (`truth.gaussian.amplification`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.types import Generator


class GaussianParams(NamedTuple):
    """Mean and logarithm of the width of each dimension [dim]; a leading axis [member] for many
    fits.
    """

    mean: Float[Array, "*member dim"]
    log_width: Float[Array, "*member dim"]


def maximum_likelihood(
    x: Float[Array, "n dim"], weight: Float[Array, " n"] | None = None
) -> GaussianParams:
    """The fit in closed form: weighted mean and standard deviation (with 1/n) of each dimension;
    `vmap` it over training sets.

    Args:
        x: training events [n, dim].
        weight: of the events [n]; default all alike.
    """
    w = jnp.full(x.shape[0], 1 / x.shape[0], x.dtype) if weight is None else weight / weight.sum()
    mean = (w[:, None] * x).sum(axis=0)
    return GaussianParams(mean, 0.5 * jnp.log((w[:, None] * (x - mean[None]) ** 2).sum(axis=0)))


def fitted_gaussian(dim: int = 1) -> Generator:
    """Independent Gaussians in each dimension as a Generator: `maximum_likelihood` gives its params
    at once, `fit` by descent of the same loss.

    >>> x = jnp.array([[1.0], [3.0]])
    >>> params = maximum_likelihood(x, jnp.ones(2))
    >>> fitted_gaussian().sample(params, jnp.array([[0.5]])).tolist()  # the median
    [[2.0]]
    """

    def init(key: PRNGKeyArray) -> GaussianParams:
        return GaussianParams(0.1 * jax.random.normal(key, (dim,)), jnp.zeros(dim))

    def log_prob(params: GaussianParams, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        z = (x - params.mean[None]) * jnp.exp(-params.log_width)[None]
        return (norm.logpdf(z) - params.log_width[None]).sum(axis=-1)

    def loss(
        params: GaussianParams,
        key: PRNGKeyArray,
        x: Float[Array, "n dim"],
        weight: Float[Array, " n"],
    ) -> Float[Array, ""]:
        return -(weight * log_prob(params, x)).sum() / weight.sum()

    def sample(params: GaussianParams, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        return params.mean[None] + jnp.exp(params.log_width)[None] * ndtri(latent)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True)
