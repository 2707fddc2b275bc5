"""Generative adversarial network (arXiv:1406.2661) on plain vectors: the oldest of the baselines,
without a density.

Two networks play: the critic tells events from generated ones, the generator makes it fail. One
scalar is descended: the loss of the critic with the generated events held fixed, plus that of the
generator with the critic held fixed, so that each gradient is that of one player. The generator's
is the non-saturating one; the critic's slope at events is penalised (R1, arXiv:1801.04406), without
which the play does not come to rest.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.nets.mlp import MLP
from amplify.types import Generator, Params


class GANConfig(NamedTuple):
    """Both players.

    Attributes:
        hidden: widths of the generator's network.
        critic: widths of the critic's.
        penalty: gamma of gamma / 2 |slope of the critic|^2 at events.
    """

    hidden: tuple[int, ...] = (64, 64)
    critic: tuple[int, ...] = (64, 64)
    penalty: float = 1.0


def gan(x: Numbers | Coordinates, config: GANConfig = GANConfig()) -> Generator:
    """Both players as a Generator without a density.

    The loss does not fall where events get better: it stays near 3 log 2 where the critic cannot
    tell. An average of the params, `FitConfig(schedule="constant", average=0.999)`, calms the play
    down.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> gan(x).log_prob is None
    True

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: both players.

    Returns:
        Generator whose params are a dict of "generator" and "critic".

    Raises:
        InputError: bounded or periodic dimensions, or a penalty below zero.
    """
    scaling = real_coordinates(x, "gan")
    if not config.penalty >= 0:
        raise InputError("GANConfig", "a penalty of at least 0", str(config), "try 1")
    dim = scaling.shift.shape[0]
    net, critic = MLP(config.hidden, dim), MLP(config.critic, 1)

    def init(key: PRNGKeyArray) -> Params:
        key_net, key_critic = jax.random.split(key)
        nothing = jnp.zeros((1, dim))
        return {"generator": net.init(key_net, nothing), "critic": critic.init(key_critic, nothing)}

    def generated(params: Params, noise: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        moved: Any = net.apply(params["generator"], noise)
        return noise + moved

    def logit(params: Params, u: Float[Array, "n dim"]) -> Float[Array, " n"]:
        """Of being an event."""
        return jnp.asarray(critic.apply(params["critic"], u))[:, 0]

    def loss(
        params: Params, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        real, held = scaling.to_network(x), jax.lax.stop_gradient(params)
        fake = generated(params, jax.random.normal(key, x.shape, x.dtype))
        of_real = jax.nn.softplus(-logit(params, real))
        slope = jax.grad(lambda u: logit(params, u).sum())(real)
        of_real += 0.5 * config.penalty * (slope**2).sum(axis=-1)
        of_fake = jax.nn.softplus(logit(params, jax.lax.stop_gradient(fake)))
        of_generator = jax.nn.softplus(-logit(held, fake))
        return (weight * of_real).sum() / weight.sum() + (of_fake + of_generator).mean()

    def sample(params: Params, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        return scaling.to_events(generated(params, ndtri(latent)))

    return Generator(init, loss, sample, None, dim)
