"""Points and densities carried along a velocity field: Runge-Kutta of fourth order with fixed
steps, in one scan. Flow matching and diffusion share it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Points = Float[Array, "n dim"]
Field = Callable[[Points, Array], Points]  # points and a time -> velocity


class Solver(NamedTuple):
    """How a flow is integrated.

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


def carried(field: Field, wrap: Callable[[Points], Points], u: Points, times: np.ndarray) -> Points:
    """Points after following the field over the times."""

    def slope(state: tuple, t: Array) -> tuple:
        return (field(state[0], t),)

    return _integrate(slope, wrap, (u,), times)[0]


def carried_with_density(
    field: Field, wrap: Callable[[Points], Points], u: Points, times: np.ndarray, probes: int
) -> tuple[Points, Float[Array, " n"]]:
    """Points after following the field over the times, and the integral of its divergence.

    Args:
        field: velocity at points u [n, dim] and a time.
        wrap: moves periodic dimensions into their range.
        u: where the points start.
        times: of all steps, rising or falling.
        probes: of Hutchinson's estimate (arXiv:1810.01367), the same in every call; 0 for the exact
            divergence.
    """

    def slope(state: tuple, t: Array) -> tuple:
        return _with_divergence(field, state[0], t, probes)

    return _integrate(slope, wrap, (u, jnp.zeros(len(u), u.dtype)), times)


def in_blocks(
    sample: Callable[[Any, Points], Points], size: int | None
) -> Callable[[Any, Points], Points]:
    """A sampler (params, latent) -> events that takes so many latents at once."""

    def sample_blocks(params: Any, latent: Points) -> Points:
        n, dim = latent.shape
        if size is None or n <= size:
            return sample(params, latent)
        padded = jnp.pad(latent, ((0, -n % size), (0, 0)), constant_values=0.5)
        blocks = padded.reshape(-1, size, dim)
        return jax.lax.map(partial(sample, params), blocks).reshape(-1, dim)[:n]

    return sample_blocks


def _integrate(
    slope: Callable[[tuple, Array], tuple],
    wrap: Callable[[Points], Points],
    state: tuple,
    times: np.ndarray,
) -> tuple:
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
        return (wrap(u), *rest), None

    dtype = state[0].dtype
    ends = (jnp.asarray(times[:-1], dtype), jnp.asarray(np.diff(times), dtype))
    return jax.lax.scan(step, state, ends)[0]


def _with_divergence(
    field: Field, u: Points, t: Array, probes: int
) -> tuple[Points, Float[Array, " n"]]:
    """Velocity and the trace of its derivative; one direction after the other keeps the memory of
    one.
    """
    dim = u.shape[1]
    push = partial(jax.jvp, lambda v: field(v, t), (u,))
    if probes == 0:
        directions = jnp.broadcast_to(jnp.eye(dim, dtype=u.dtype)[:, None], (dim, *u.shape))
    else:
        directions = jax.random.rademacher(jax.random.key(0), (probes, *u.shape), u.dtype)

    def add(trace: Array, direction: Array) -> tuple[Array, Array]:
        v, change = push((direction,))
        return trace + (direction * change).sum(axis=-1), v

    trace, v = jax.lax.scan(add, jnp.zeros(len(u), u.dtype), directions)
    return v[0], trace / max(probes, 1)
