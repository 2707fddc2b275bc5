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
from amplify.nets.velocity import VectorVelocity
from amplify.ttbar.kinematics import wrap
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


class Coordinates(NamedTuple):
    """Network coordinates u = (x - shift) / scale; angles keep shift 0 and scale 1. Arrays
    [dim].
    """

    shift: Float[Array, " dim"]
    scale: Float[Array, " dim"]
    angle: Bool[Array, " dim"]


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


def coordinates(x: Points, *, angles: tuple[int, ...] = ()) -> Coordinates:
    """Mean and width of the columns of training events; columns in `angles` are azimuths and stay
    as they are.

    Raises:
        InputError: a column of constants, or an angle that is no column.
    """
    values, dim = np.asarray(x, np.float64), x.shape[1]
    if not all(0 <= column < dim for column in angles):
        raise InputError("angles", f"columns of 0..{dim - 1}", str(angles), "correct them")
    angle = np.isin(np.arange(dim), angles)
    shift, scale = np.where(angle, 0.0, values.mean(0)), np.where(angle, 1.0, values.std(0))
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise InputError(
            "training events",
            "a finite width in every column",
            f"widths {scale}",
            "drop constant columns",
        )
    return Coordinates(
        jnp.asarray(shift, jnp.float32), jnp.asarray(scale, jnp.float32), jnp.asarray(angle)
    )


def normal_base(angle: Bool[Array, " dim"]) -> Base:
    """Standard normal, uniform in the angles."""

    def sample(latent: Points) -> Points:
        return jnp.where(angle[None], jnp.pi * (2 * latent - 1), ndtri(latent))

    def log_prob(u: Points) -> Float[Array, " n"]:
        return jnp.where(angle[None], -jnp.log(2 * jnp.pi), norm.logpdf(u)).sum(axis=-1)

    return Base(sample, log_prob)


def flow_matching(
    velocity: Velocity,
    coordinates: Coordinates,
    base: Base | None = None,
    solver: Solver = Solver(),
) -> Generator:
    """The Generator of a velocity field.

    Args:
        velocity: in network coordinates.
        coordinates: from events to those of the network.
        base: in network coordinates; default standard normal, uniform in angles.
        solver: of `sample` and `log_prob`.

    Returns:
        Generator of events x [n, dim]. `log_prob` integrates backwards from the data; with `probes`
        it carries the noise of Hutchinson's estimate (arXiv:1810.01367), whose probes are the same
        in every call.
    """
    base = normal_base(coordinates.angle) if base is None else base
    dim, angle = coordinates.shift.shape[0], coordinates.angle[None]
    log_scale = jnp.log(coordinates.scale).sum()
    grid = np.linspace(0, 1, solver.steps + 1)

    def on_circle(u: Points) -> Points:
        return jnp.where(angle, wrap(u), u)

    def field(params: Params, u: Points, t: Array) -> Points:
        return velocity.apply(
            params, on_circle(u), jnp.broadcast_to(t, u.shape[:1]).astype(u.dtype)
        )

    def loss(
        params: Params, key: PRNGKeyArray, x: Points, weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        key_base, key_time = jax.random.split(key)
        start = base.sample(jax.random.uniform(key_base, x.shape, x.dtype, 2.0**-24, 1 - 2.0**-24))
        way = on_circle((x - coordinates.shift[None]) / coordinates.scale[None] - start)
        # one time in each of n equal intervals: less noise in the loss than n independent times
        t = (jnp.arange(len(x)) + jax.random.uniform(key_time, x.shape[:1], x.dtype)) / len(x)
        difference = velocity.apply(params, on_circle(start + t[:, None] * way), t) - way
        return (weight * (difference**2).sum(axis=-1)).sum() / (weight.sum() * dim)

    def integrate(slope: Callable[[tuple, Array], tuple], state: tuple, times: np.ndarray) -> tuple:
        """Runge-Kutta over `times`; the state is a pytree whose first leaf is the point."""

        def moved(state: tuple, h: Array, by: tuple) -> tuple:
            return jax.tree.map(lambda a, b: a + h * b, state, by)

        def step(state: tuple, ends: tuple[Array, Array]) -> tuple[tuple, None]:
            t, h = ends
            k1 = slope(state, t)
            k2 = slope(moved(state, h / 2, k1), t + h / 2)
            k3 = slope(moved(state, h / 2, k2), t + h / 2)
            k4 = slope(moved(state, h, k3), t + h)
            total = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
            u, *rest = moved(state, h, total)
            return (on_circle(u), *rest), None

        dtype = state[0].dtype
        return jax.lax.scan(
            step, state, (jnp.asarray(times[:-1], dtype), jnp.asarray(np.diff(times), dtype))
        )[0]

    def sample_block(params: Params, latent: Points) -> Points:
        (u,) = integrate(
            lambda state, t: (field(params, state[0], t),), (base.sample(latent),), grid
        )
        return u * coordinates.scale[None] + coordinates.shift[None]

    def sample(params: Params, latent: Points) -> Points:
        n, size = len(latent), solver.block
        if size is None or n <= size:
            return sample_block(params, latent)
        blocks = jnp.pad(latent, ((0, -n % size), (0, 0)), constant_values=0.5).reshape(
            -1, size, dim
        )
        return jax.lax.map(partial(sample_block, params), blocks).reshape(-1, dim)[:n]

    def divergence(params: Params, u: Points, t: Array) -> tuple[Points, Float[Array, " n"]]:
        """Velocity and the trace of its derivative; one direction after the other keeps the memory
        of one.
        """
        push = partial(jax.jvp, lambda v: field(params, v, t), (u,))
        if solver.probes == 0:
            directions = jnp.broadcast_to(jnp.eye(dim, dtype=u.dtype)[:, None], (dim, *u.shape))
        else:
            directions = jax.random.rademacher(
                jax.random.key(0), (solver.probes, *u.shape), u.dtype
            )

        def one(total: Array, direction: Array) -> tuple[Array, Array]:
            v, change = push((direction,))
            return total + (direction * change).sum(axis=-1), v

        trace, v = jax.lax.scan(one, jnp.zeros(len(u), u.dtype), directions)
        return v[0], trace / max(solver.probes, 1)

    def log_prob(params: Params, x: Points) -> Float[Array, " n"]:
        u = on_circle((x - coordinates.shift[None]) / coordinates.scale[None])
        u, change = integrate(
            lambda state, t: divergence(params, state[0], t),
            (u, jnp.zeros(len(u), u.dtype)),
            grid[::-1],
        )
        return base.log_prob(u) + change - log_scale

    return Generator(velocity.init, loss, sample, log_prob, dim)


def vector_flow(
    x: Points,
    hidden: tuple[int, ...] = (64, 64, 64),
    *,
    angles: tuple[int, ...] = (),
    frequencies: int = 8,
    solver: Solver = Solver(),
) -> Generator:
    """Flow matching on plain vectors with an MLP; coordinates from the training events x.

    Args:
        x: training events.
        hidden: widths of the MLP.
        angles: columns that are azimuths in [-pi, pi).
        frequencies: Fourier features of time; 0 leaves the plain t, which is clearly worse
            (README).
        solver: of sampling and density.
    """
    own = coordinates(x, angles=angles)
    net = VectorVelocity(hidden, tuple(np.asarray(own.angle).tolist()), frequencies)
    dim = x.shape[1]

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, jnp.zeros((1, dim)), jnp.zeros(1))

    return flow_matching(Velocity(init, net.apply), own, solver=solver)  # pyright: ignore[reportArgumentType]
