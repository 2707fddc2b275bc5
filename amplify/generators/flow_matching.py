"""Flow matching (arXiv:2210.02747): a network learns the velocity that carries a base density along
straight lines to the data.

Points are x_t = x_0 + t (x_1 - x_0) with x_0 from the base and x_1 from the data; the loss is the
mean of |v(x_t, t) - (x_1 - x_0)|^2, and its minimum is the velocity field whose flow maps base to
data. Sampling integrates it with fixed-step Runge-Kutta of fourth order in one scan. Angles take
the short way round the circle: their differences, x_t and every point at which the velocity is
asked are wrapped to [-pi, pi).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.coordinates import Coordinates, Numbers, coordinates
from amplify.generators.runge_kutta import (
    Points,
    Solver,
    carried,
    carried_with_density,
    in_blocks,
)
from amplify.nets.velocity import VectorVelocity
from amplify.types import Generator, Params


class Velocity(NamedTuple):
    """A trainable velocity field: `init` key -> params, `apply` (params, u [n, dim], t [n]) -> [n,
    dim], in the coordinates of the network.

    Attributes:
        init: draws params.
        apply: velocity at points and times.
        same_time: whether `apply` also takes a single time [1] of all points, which saves a solver
            what the network does with the time of each.
    """

    init: Callable[[PRNGKeyArray], Params]
    apply: Callable[[Params, Points, Float[Array, " times"]], Points]
    same_time: bool = False


class Base(NamedTuple):
    """Where the flow starts: `sample` takes latents in the open unit cube [n, dim] to points [n,
    dim], `log_prob` is their density [n].
    """

    sample: Callable[[Points], Points]
    log_prob: Callable[[Points], Float[Array, " n"]]


def normal_base(periodic: Bool[Array, " dim"]) -> Base:
    """Standard normal, uniform on [-pi, pi) in periodic dimensions."""

    def sample(latent: Points) -> Points:
        return jnp.where(periodic[None], jnp.pi * (2 * latent - 1), ndtri(latent))

    def log_prob(u: Points) -> Float[Array, " n"]:
        return jnp.where(periodic[None], -jnp.log(2 * jnp.pi), norm.logpdf(u)).sum(axis=-1)

    return Base(sample, log_prob)


def flow_matching(
    velocity: Velocity,
    coordinates: Coordinates,
    base: Base | None = None,
    solver: Solver = Solver(),
) -> Generator:
    """The Generator of a velocity field.

    A velocity that leaves everything where it is gives the base, here a standard normal:

    >>> x = jnp.array([[-1.0], [1.0]])
    >>> still = Velocity(init=lambda key: {}, apply=lambda params, u, t: 0 * u)
    >>> flow = flow_matching(still, coordinates(x))
    >>> flow.log_prob({}, jnp.zeros((1, 1)))
    Array([-0.9189385], dtype=float32)

    Args:
        velocity: in network coordinates, where periodic dimensions live on [-pi, pi).
        coordinates: from events to those of the network.
        base: in network coordinates; default standard normal, uniform in periodic dimensions.
        solver: of `sample` and `log_prob`.

    Returns:
        Generator of events x [n, dim]. `log_prob` integrates backwards from the data; with `probes`
        it carries the noise of Hutchinson's estimate (arXiv:1810.01367), whose probes are the same
        in every call.

    Raises:
        InputError: a bounded dimension, whose ends a velocity would not respect.
    """
    hard_ends = np.flatnonzero(np.asarray(coordinates.uniform) & ~np.asarray(coordinates.periodic))
    if hard_ends.size:
        raise InputError(
            "coordinates of flow matching",
            "real or periodic dimensions",
            f"bounded columns {hard_ends.tolist()}",
            "transform these columns, or use coupling_flow",
        )
    scaling = coordinates.on(np.pi)
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    base = normal_base(jnp.asarray(scaling.periodic)) if base is None else base
    grid = np.linspace(0, 1, solver.steps + 1)

    def field(params: Params, u: Points, t: Array) -> Points:
        times = jnp.broadcast_to(t, (1,) if velocity.same_time else u.shape[:1]).astype(u.dtype)
        return velocity.apply(params, scaling.wrap(u), times)

    def loss(
        params: Params, key: PRNGKeyArray, x: Points, weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        key_base, key_time = jax.random.split(key)
        latent = jax.random.uniform(key_base, x.shape, x.dtype, 2.0**-24, 1 - 2.0**-24)
        start = base.sample(latent)
        way = scaling.wrap(scaling.to_network(x) - start)
        # one time in each of n equal intervals: less noise in the loss than n independent times
        t = (jnp.arange(len(x)) + jax.random.uniform(key_time, x.shape[:1], x.dtype)) / len(x)
        difference = velocity.apply(params, scaling.wrap(start + t[:, None] * way), t) - way
        return (weight * (difference**2).sum(axis=-1)).sum() / (weight.sum() * dim)

    def sample(params: Params, latent: Points) -> Points:
        u = carried(partial(field, params), scaling.wrap, base.sample(latent), grid)
        return scaling.to_events(u)

    def log_prob(params: Params, x: Points) -> Float[Array, " n"]:
        u = scaling.wrap(scaling.to_network(x))
        backwards = grid[::-1]
        u, change = carried_with_density(
            partial(field, params), scaling.wrap, u, backwards, solver.probes
        )
        return base.log_prob(u) + change - log_scale

    return Generator(velocity.init, loss, in_blocks(sample, solver.block), log_prob, dim)


def vector_flow(
    x: Numbers,
    hidden: tuple[int, ...] = (64, 64, 64),
    *,
    angles: tuple[int, ...] = (),
    frequencies: int = 8,
    solver: Solver = Solver(),
) -> Generator:
    """Flow matching on plain vectors with an MLP; coordinates from the training events x.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> vector_flow(x, hidden=(64, 64)).dim
    2

    Args:
        x: training events [n, dim], NumPy or JAX.
        hidden: widths of the MLP.
        angles: columns that are azimuths in [-pi, pi).
        frequencies: Fourier features of time; 0 leaves the plain t, which is clearly worse
            (docs/benchmarks).
        solver: of sampling and density.

    Raises:
        InputError: what `coordinates` refuses.
    """
    scaling = coordinates(x, periodic={column: (-np.pi, np.pi) for column in angles})
    dim = scaling.shift.shape[0]
    net = VectorVelocity(hidden, tuple(np.asarray(scaling.periodic).tolist()), frequencies)

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, jnp.zeros((1, dim)), jnp.zeros(1))

    def apply(params: Params, u: Points, t: Float[Array, " times"]) -> Points:
        return jnp.asarray(net.apply(params, u, t))

    return flow_matching(Velocity(init, apply, same_time=True), scaling, solver=solver)
