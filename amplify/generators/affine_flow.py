"""Affine coupling flow (RealNVP, arXiv:1605.08803): in every layer one part of the dimensions is
scaled and shifted as the other part says. The layers are distrax bijectors, scanned.

The oldest of the coupling flows: it bends less in a layer than splines do, so needs more of them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.nets.mlp import MLP
from amplify.types import Generator, Params

MOST_STRETCHED = 3.0  # log of the largest scale of one layer: a stray event cannot blow it up


class AffineConfig(NamedTuple):
    """Size of the flow.

    Attributes:
        layers: coupling layers, each of which moves half of the dimensions.
        hidden: widths of the network in each layer.
    """

    layers: int = 8
    hidden: tuple[int, ...] = (32, 32)


def affine_flow(x: Numbers | Coordinates, config: AffineConfig = AffineConfig()) -> Generator:
    """The flow as a Generator; its loss is the weighted mean of -log p in units of u.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> affine_flow(x, AffineConfig(layers=4)).dim
    2

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: size of the flow.

    Returns:
        Generator whose params have a leading axis [layer].

    Raises:
        InputError: a flow without layers, or bounded or periodic dimensions.
    """
    import distrax  # a second to import

    scaling = real_coordinates(x, "affine_flow")
    if config.layers < 1:
        raise InputError("AffineConfig", "at least 1 layer", str(config), "choose a larger flow")
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    fixed = jnp.asarray(_fixed(dim, config.layers))
    net = MLP(config.hidden, 2 * dim)

    def init(key: PRNGKeyArray) -> Params:
        keys = jax.random.split(key, config.layers)
        return jax.vmap(lambda key: net.init(key, jnp.zeros((1, dim))))(keys)

    def coupling(params: Params, fixed: Bool[Array, " dim"]) -> Any:
        """One layer, from events to base."""

        def conditioner(seen: Any) -> Any:
            raw: Any = net.apply(params, seen)
            return raw[:, :dim], bounded(raw[:, dim:])

        def affine(numbers: tuple[Array, Array]) -> distrax.ScalarAffine:
            shift, log_scale = numbers
            return distrax.ScalarAffine(shift, log_scale=log_scale)

        return distrax.MaskedCoupling(fixed[None], conditioner, affine, event_ndims=1)

    def log_prob_u(params: Params, u: Float[Array, "n dim"]) -> Float[Array, " n"]:
        def layer(carry: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], None]:
            u, log_det = carry
            u, change = coupling(*inputs).forward_and_log_det(u)
            return (u, log_det + change), None

        start = (u, jnp.zeros(len(u), u.dtype))
        (base, log_det), _ = jax.lax.scan(layer, start, (params, fixed))
        return norm.logpdf(base).sum(axis=-1) + log_det

    def log_prob(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return log_prob_u(params, scaling.to_network(x)) - log_scale

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        return -(weight * log_prob_u(params, scaling.to_network(x))).sum() / weight.sum()

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        def layer(u: Array, inputs: Any) -> tuple[Array, None]:
            return coupling(*inputs).inverse(u), None

        u, _ = jax.lax.scan(layer, ndtri(latent), (params, fixed), reverse=True)
        return scaling.to_events(u)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True)


def bounded(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log scales between -MOST_STRETCHED and MOST_STRETCHED, those near 0 as they are."""
    return MOST_STRETCHED * jnp.tanh(raw / MOST_STRETCHED)


def _fixed(dim: int, layers: int) -> np.ndarray:
    """Which dimensions each layer leaves alone [layer, dim]. Layers come in pairs that exchange the
    parts; pair k parts columns by bit k of their index, so that any two meet on different sides
    within log2(dim) pairs.
    """
    bits = max(int(np.ceil(np.log2(max(dim, 2)))), 1)
    layer, column = np.arange(layers)[:, None], np.arange(dim)[None]
    return (((column >> (layer // 2 % bits)) ^ layer) & 1).astype(bool)
