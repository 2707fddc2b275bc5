"""Deep mixture density network: each dimension is a mixture of Gaussians whose weights, places and
widths a masked network decides from the dimensions before it (Bishop 1994; RNADE,
arXiv:1306.0186).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import special

from amplify.errors import InputError
from amplify.generators.choices import choose
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.nets.masked_mlp import MaskedMLP
from amplify.types import Generator, Params


class MixtureDensityConfig(NamedTuple):
    """Size of the network.

    Attributes:
        hidden: widths of the masked network.
        components: Gaussians of each dimension.
        least_width: of a Gaussian in standard deviations of the events, so that none collapses
            onto one event.
    """

    hidden: tuple[int, ...] = (32, 32)
    components: int = 8
    least_width: float = 0.02


def mixture_density(
    x: Numbers | Coordinates, config: MixtureDensityConfig = MixtureDensityConfig()
) -> Generator:
    """The network as a Generator; its loss is the weighted mean of -log p in units of u.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> mixture_density(x, MixtureDensityConfig(components=4)).dim
    2

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: size of the network.

    Raises:
        InputError: fewer than two components, a network without hidden units, a width that is not
            above zero, or bounded or periodic dimensions.
    """
    scaling = real_coordinates(x, "mixture_density")
    small = config.components < 2 or not config.hidden or min(config.hidden) < 1
    if small or not 0 < config.least_width < 1:
        expected = "at least 2 components, hidden units and a least width in (0, 1)"
        raise InputError("MixtureDensityConfig", expected, str(config), "correct the setting")
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    k = config.components
    net = MaskedMLP(tuple(range(dim)), config.hidden, 3 * k)
    # before training: Gaussians at the quantiles of a standard normal, which are not alike
    places = special.ndtri((np.arange(k) + 0.5) / k).astype(np.float32)
    start = jnp.asarray(np.stack([np.zeros(k), places, np.full(k, np.log(np.expm1(0.5)))]))

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, jnp.zeros((1, dim)))

    def mixtures(params: Params, u: Float[Array, "n dim"]) -> tuple[Array, Array, Array]:
        """Log weights, means and widths [component, n, dim]."""
        raw: Any = net.apply(params, u)
        numbers = jnp.moveaxis(raw.reshape(len(u), dim, 3, k), (2, 3), (0, 1))
        numbers = numbers + start.astype(u.dtype)[:, :, None, None]
        width = config.least_width + jax.nn.softplus(numbers[2])
        return jax.nn.log_softmax(numbers[0], axis=0), numbers[1], width

    def log_prob_u(params: Params, u: Float[Array, "n dim"]) -> Float[Array, " n"]:
        log_weight, mean, width = mixtures(params, u)
        log_p = log_weight + norm.logpdf((u[None] - mean) / width) - jnp.log(width)
        return logsumexp(log_p, axis=0).sum(axis=-1)

    def log_prob(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return log_prob_u(params, scaling.to_network(x)) - log_scale

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        return -(weight * log_prob_u(params, scaling.to_network(x))).sum() / weight.sum()

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        def next_dim(u: Array, i: Array) -> tuple[Array, None]:
            """Dimension i from those before it, which are in place."""
            log_weight, mean, width = (values[..., i] for values in mixtures(params, u))
            index, place = choose(latent[:, i], jnp.exp(log_weight))
            mean, width = (jnp.take_along_axis(v, index[None], axis=0)[0] for v in (mean, width))
            value = mean + width * ndtri(place)
            return jax.lax.dynamic_update_index_in_dim(u, value, i, axis=1), None

        u, _ = jax.lax.scan(next_dim, jnp.zeros_like(latent), jnp.arange(dim))
        return scaling.to_events(u)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True)
