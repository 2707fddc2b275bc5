"""Denoising diffusion (arXiv:2006.11239, arXiv:2011.13456) on plain vectors: a network learns to
take the noise out of events, and the probability flow carries noise to events.

Noise is added so that variances stay one, x_t = cos(a) x_0 + sin(a) e with a = pi t / 2 and e of a
standard normal (the angular form of arXiv:2202.00512). The network predicts v = cos(a) e - sin(a)
x_0; the loss, the mean of |v_net - v|^2, is denoising score matching with the weight 1 / cos(a)^2
on the error of e, since the score is -(x_t + v cos(a) / sin(a)). The expected v is at the same time
the velocity of the probability flow in a, which is finite at both ends: sampling and density are
those of flow matching, along arcs instead of straight lines.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.generators.runge_kutta import (
    Points,
    Solver,
    carried,
    carried_with_density,
    in_blocks,
)
from amplify.nets.velocity import VectorVelocity
from amplify.types import Generator, Params

_QUARTER = float(np.pi / 2)  # the angle at which nothing but noise is left


def diffusion(
    x: Numbers | Coordinates,
    hidden: tuple[int, ...] = (64, 64, 64),
    *,
    frequencies: int = 8,
    solver: Solver = Solver(),
) -> Generator:
    """The diffusion model as a Generator.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> diffusion(x, hidden=(64, 64)).dim
    2

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        hidden: widths of the network.
        frequencies: Fourier features of time that it sees.
        solver: of sampling and density.

    Returns:
        Generator without a likelihood in its loss; `log_prob` integrates the probability flow from
        the event to the noise.

    Raises:
        InputError: bounded or periodic dimensions.
    """
    scaling = real_coordinates(x, "diffusion")
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    net = VectorVelocity(hidden, (False,) * dim, frequencies)
    grid = np.linspace(_QUARTER, 0, solver.steps + 1)  # from noise to events

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, jnp.zeros((1, dim)), jnp.zeros(1))

    def velocity(params: Params, u: Points, angle: Float[Array, " times"]) -> Points:
        return jnp.asarray(net.apply(params, u, angle / _QUARTER))

    def field(params: Params, u: Points, angle: Array) -> Points:
        return velocity(params, u, jnp.broadcast_to(angle, (1,)).astype(u.dtype))

    def loss(
        params: Params, key: PRNGKeyArray, x: Points, weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        key_noise, key_time = jax.random.split(key)
        noise = jax.random.normal(key_noise, x.shape, x.dtype)
        # one time in each of n equal intervals: less noise in the loss than n independent times
        t = (jnp.arange(len(x)) + jax.random.uniform(key_time, x.shape[:1], x.dtype)) / len(x)
        u, angle = scaling.to_network(x), _QUARTER * t
        cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
        difference = velocity(params, cos * u + sin * noise, angle) - (cos * noise - sin * u)
        return (weight * (difference**2).sum(axis=-1)).sum() / (weight.sum() * dim)

    def sample(params: Params, latent: Points) -> Points:
        u = carried(partial(field, params), lambda u: u, ndtri(latent), grid)
        return scaling.to_events(u)

    def log_prob(params: Params, x: Points) -> Float[Array, " n"]:
        u, change = carried_with_density(
            partial(field, params), lambda u: u, scaling.to_network(x), grid[::-1], solver.probes
        )
        return norm.logpdf(u).sum(axis=-1) + change - log_scale

    return Generator(init, loss, in_blocks(sample, solver.block), log_prob, dim)
