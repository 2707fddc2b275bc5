"""Masked autoregressive flow (arXiv:1705.07057): in every layer each dimension is scaled and
shifted as the dimensions before it say, with the order of the dimensions reversed from layer to
layer.

Densities take one evaluation of a network in each layer, events one for each dimension of it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.affine_flow import bounded
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.nets.masked_mlp import MaskedMLP
from amplify.types import Generator, Params


class MaskedFlowConfig(NamedTuple):
    """Size of the flow.

    Attributes:
        layers: each moves all dimensions but, by more than constants, the first of its order.
        hidden: widths of the masked network in each layer.
    """

    layers: int = 6
    hidden: tuple[int, ...] = (32, 32)


def masked_autoregressive_flow(
    x: Numbers | Coordinates, config: MaskedFlowConfig = MaskedFlowConfig()
) -> Generator:
    """The flow as a Generator; its loss is the weighted mean of -log p in units of u.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> masked_autoregressive_flow(x, MaskedFlowConfig(layers=4)).dim
    2

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: size of the flow.

    Returns:
        Generator whose params have a leading axis [layer].

    Raises:
        InputError: a flow without layers, a network without hidden units, or bounded or periodic
            dimensions.
    """
    scaling = real_coordinates(x, "masked_autoregressive_flow")
    if config.layers < 1 or not config.hidden or min(config.hidden) < 1:
        expected, fix = "at least 1 layer with hidden units", "choose a larger flow"
        raise InputError("MaskedFlowConfig", expected, str(config), fix)
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    net = MaskedMLP(tuple(range(dim)), config.hidden, 2)

    def init(key: PRNGKeyArray) -> Params:
        keys = jax.random.split(key, config.layers)
        return jax.vmap(lambda key: net.init(key, jnp.zeros((1, dim))))(keys)

    def shift_and_log_scale(layer: Params, u: Float[Array, "n dim"]) -> tuple[Array, Array]:
        raw: Any = net.apply(layer, u)
        pairs = raw.reshape(len(u), dim, 2)
        return pairs[..., 0], bounded(pairs[..., 1])

    def log_prob_u(params: Params, u: Float[Array, "n dim"]) -> Float[Array, " n"]:
        def layer(carry: tuple[Array, Array], params: Params) -> tuple[tuple[Array, Array], None]:
            u, log_det = carry
            shift, log_scale = shift_and_log_scale(params, u)
            moved = (u - shift) * jnp.exp(-log_scale)
            return (moved[:, ::-1], log_det - log_scale.sum(axis=-1)), None

        start = (u, jnp.zeros(len(u), u.dtype))
        (base, log_det), _ = jax.lax.scan(layer, start, params)
        return norm.logpdf(base).sum(axis=-1) + log_det

    def log_prob(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return log_prob_u(params, scaling.to_network(x)) - log_scale

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        return -(weight * log_prob_u(params, scaling.to_network(x))).sum() / weight.sum()

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        def layer(moved: Array, params: Params) -> tuple[Array, None]:
            moved = moved[:, ::-1]

            def next_dim(u: Array, i: Array) -> tuple[Array, None]:
                """Dimension i from those before it, which are in place."""
                shift, log_scale = shift_and_log_scale(params, u)
                value = shift[:, i] + moved[:, i] * jnp.exp(log_scale[:, i])
                return jax.lax.dynamic_update_index_in_dim(u, value, i, axis=1), None

            return jax.lax.scan(next_dim, jnp.zeros_like(moved), jnp.arange(dim))[0], None

        u, _ = jax.lax.scan(layer, ndtri(latent), params, reverse=True)
        return scaling.to_events(u)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True)
