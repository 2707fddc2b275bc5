"""Variational autoencoder (arXiv:1312.6114) on plain vectors, without a density of its own: only a
bound of it is known.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.choices import more_latents
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.nets.mlp import MLP
from amplify.types import Generator, Params

_SURE = 0.3  # width of the posterior and of the decoder before training


class VAEConfig(NamedTuple):
    """Both networks.

    Attributes:
        hidden: widths of the decoder.
        encoder: widths of the encoder.
    """

    hidden: tuple[int, ...] = (64, 64)
    encoder: tuple[int, ...] = (64, 64)


def vae(x: Numbers | Coordinates, config: VAEConfig = VAEConfig()) -> Generator:
    """The autoencoder as a Generator; its loss is minus the evidence lower bound with one draw of
    the posterior, in units of u.

    There are as many hidden variables as dimensions, and the decoder's Gaussian noise has one
    learned width for each dimension. The numbers for that noise are made of the latents
    (`generators.choices.more_latents`).

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> vae(x).log_prob is None
    True

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: both networks.

    Returns:
        Generator whose params are a dict of "encoder", "decoder" and "log_width" [dim].

    Raises:
        InputError: bounded or periodic dimensions, or networks without hidden units.
    """
    scaling = real_coordinates(x, "vae")
    if min(*config.hidden, *config.encoder, 1) < 1:
        raise InputError("VAEConfig", "hidden units", str(config), "choose larger networks")
    dim = scaling.shift.shape[0]
    encoder, decoder = MLP(config.encoder, 2 * dim), MLP(config.hidden, dim)

    def init(key: PRNGKeyArray) -> Params:
        key_encoder, key_decoder = jax.random.split(key)
        nothing = jnp.zeros((1, dim))
        return {
            "encoder": encoder.init(key_encoder, nothing),
            "decoder": decoder.init(key_decoder, nothing),
            "log_width": jnp.full(dim, jnp.log(_SURE)),
        }

    def decoded(params: Params, z: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        moved: Any = decoder.apply(params["decoder"], z)
        return z + moved

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        u = scaling.to_network(x)
        raw: Any = encoder.apply(params["encoder"], u)
        # starts near the posterior of an autoencoder that changes nothing
        mean, log_width = u + raw[:, :dim], jnp.log(_SURE) + raw[:, dim:]
        z = mean + jnp.exp(log_width) * jax.random.normal(key, u.shape, u.dtype)
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_width) - 1) - log_width
        pull = (u - decoded(params, z)) * jnp.exp(-params["log_width"])[None]
        log_p = norm.logpdf(pull) - params["log_width"][None]
        return (weight * (kl - log_p).sum(axis=-1)).sum() / weight.sum()

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        noise = ndtri(more_latents(latent, dim)) * jnp.exp(params["log_width"])[None]
        return scaling.to_events(decoded(params, ndtri(latent)) + noise)

    return Generator(init, loss, sample, None, dim)
