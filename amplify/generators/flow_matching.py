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
from amplify.nets.velocity import VectorVelocity
from amplify.types import Generator, Params

Points = Float[Array, "n dim"]


class Velocity(NamedTuple):
    """A trainable velocity field: `init` key -> params, `apply` (params, u [n, dim], t [n]) -> [n,
    dim], in the coordinates of the network.
    """

    init: Callable[[PRNGKeyArray], Params]
    apply: Callable[[Params, Points, Float[Array, " n"]], Points]


class Base(NamedTuple):
    """Where the flow starts: `sample` takes latents in the open unit cube [n, dim] to points [n,
    dim], `log_prob` is their density [n].
    """

    sample: Callable[[Points], Points]
    log_prob: Callable[[Points], Float[Array, " n"]]


class Solver(NamedTuple):
    """How the flow is integrated.

    Attributes:
        steps: of the Runge-Kutta scheme, four evaluations of the network each.
        probes: of Hutchinson's estimate of the divergence in `log_prob`; 0 for the exact one, which
            costs `dim` derivatives an evaluation.
        block: events that are integrated at once; on a CPU small blocks stay in the cache. None
            takes all that `sample` is asked for.
    """

    steps: int = 20
    probes: int = 0
    block: int | None = None


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
        times = jnp.broadcast_to(t, u.shape[:1]).astype(u.dtype)
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

    def integrate(slope: Callable[[tuple, Array], tuple], state: tuple, times: np.ndarray) -> tuple:
        """Runge-Kutta over `times`; the state is a pytree whose first leaf is the point."""

        def moved(state: tuple, h: Array, slopes: tuple) -> tuple:
            return jax.tree.map(lambda value, change: value + h * change, state, slopes)

        def step(state: tuple, ends: tuple[Array, Array]) -> tuple[tuple, None]:
            t, h = ends
            k1 = slope(state, t)
            k2 = slope(moved(state, h / 2, k1), t + h / 2)
            k3 = slope(moved(state, h / 2, k2), t + h / 2)
            k4 = slope(moved(state, h, k3), t + h)
            total = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
            u, *rest = moved(state, h, total)
            return (scaling.wrap(u), *rest), None

        dtype = state[0].dtype
        ends = (jnp.asarray(times[:-1], dtype), jnp.asarray(np.diff(times), dtype))
        return jax.lax.scan(step, state, ends)[0]

    def sample_block(params: Params, latent: Points) -> Points:
        def slope(state: tuple, t: Array) -> tuple:
            return (field(params, state[0], t),)

        (u,) = integrate(slope, (base.sample(latent),), grid)
        return scaling.to_events(u)

    def sample(params: Params, latent: Points) -> Points:
        n, size = len(latent), solver.block
        if size is None or n <= size:
            return sample_block(params, latent)
        padded = jnp.pad(latent, ((0, -n % size), (0, 0)), constant_values=0.5)
        blocks = padded.reshape(-1, size, dim)
        return jax.lax.map(partial(sample_block, params), blocks).reshape(-1, dim)[:n]

    def divergence(params: Params, u: Points, t: Array) -> tuple[Points, Float[Array, " n"]]:
        """Velocity and the trace of its derivative; one direction after the other keeps the memory
        of one.
        """
        push = partial(jax.jvp, lambda v: field(params, v, t), (u,))
        if solver.probes == 0:
            directions = jnp.broadcast_to(jnp.eye(dim, dtype=u.dtype)[:, None], (dim, *u.shape))
        else:
            shape = (solver.probes, *u.shape)
            directions = jax.random.rademacher(jax.random.key(0), shape, u.dtype)

        def add(trace: Array, direction: Array) -> tuple[Array, Array]:
            v, change = push((direction,))
            return trace + (direction * change).sum(axis=-1), v

        trace, v = jax.lax.scan(add, jnp.zeros(len(u), u.dtype), directions)
        return v[0], trace / max(solver.probes, 1)

    def log_prob(params: Params, x: Points) -> Float[Array, " n"]:
        def slope(state: tuple, t: Array) -> tuple:
            return divergence(params, state[0], t)

        u = scaling.wrap(scaling.to_network(x))
        u, change = integrate(slope, (u, jnp.zeros(len(u), u.dtype)), grid[::-1])
        return base.log_prob(u) + change - log_scale

    return Generator(velocity.init, loss, sample, log_prob, dim)


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

    def apply(params: Params, u: Points, t: Float[Array, " n"]) -> Points:
        return jnp.asarray(net.apply(params, u, t))

    return flow_matching(Velocity(init, apply), scaling, solver=solver)
