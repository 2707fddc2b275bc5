"""Gaussian ring: uniform direction, Gaussian radius, so density and integrals are known exactly.

The toy of arXiv:2509.08048 (d = 2 and 4) and, as a shell, of GANplification (arXiv:2008.06545).
With r ~ N(R, s) a negative r points the other way: |x| follows the folded normal distribution,
which matters in the hole of a wide ring.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray
from scipy.stats import norm as scipy_norm


class Ring(NamedTuple):
    """Radius R and width s, in the unit of x, and the dimension d of space."""

    radius: float = 4.0
    width: float = 1.0
    dim: int = 2


def sample(key: PRNGKeyArray, ring: Ring = Ring(), *, n: int) -> Float[Array, "n dim"]:
    """Draws n true events.

    >>> sample(jax.random.key(0), Ring(dim=3), n=1000).shape
    (1000, 3)
    """
    key_radius, key_direction = jax.random.split(key)
    r = ring.radius + ring.width * jax.random.normal(key_radius, (n, 1))
    u = jax.random.normal(key_direction, (n, ring.dim))
    return r * u / jnp.linalg.norm(u, axis=-1, keepdims=True)


def log_prob(ring: Ring, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
    """Log density: log f(|x|) - (d - 1) log |x| - log A_d, with f the folded normal and A_d = 2
    pi^(d/2) / Gamma(d/2).

    >>> np.asarray(log_prob(Ring(), jnp.array([[4.0, 0.0], [0.0, 2.0]]))).round(3)
    array([-4.143, -5.45 ], dtype=float32)
    """
    r = jnp.linalg.norm(x, axis=-1)
    log_folded = jnp.logaddexp(
        norm.logpdf(r, ring.radius, ring.width), norm.logpdf(r, -ring.radius, ring.width)
    )
    log_area = jnp.log(2.0) + 0.5 * ring.dim * jnp.log(jnp.pi) - gammaln(0.5 * ring.dim)
    return log_folded - (ring.dim - 1) * jnp.log(r) - log_area


def shell_integral(
    ring: Ring, inner: Float[Array, " shell"], outer: Float[Array, " shell"]
) -> Float[Array, " shell"]:
    """Fraction of true events with inner <= |x| < outer: the I(p_true) that averaging amplification
    compares with.

    >>> shell_integral(Ring(), jnp.array([0.0, 4.0]), jnp.array([4.0, jnp.inf])).round(3)
    Array([0.5, 0.5], dtype=float32)
    """
    return _folded_cdf(ring, outer) - _folded_cdf(ring, inner)


def shell_edges(ring: Ring, n_shells: int) -> Float[Array, " edge"]:
    """Radii [n_shells + 1] from 0 to infinity of shells that hold the same fraction of true events
    each.

    >>> np.asarray(shell_edges(Ring(), 4)).round(3)
    array([0.   , 3.326, 4.   , 4.674,   inf], dtype=float32)
    """
    inner = _folded_quantile(ring, jnp.arange(1, n_shells) / n_shells)
    return jnp.concatenate([jnp.zeros(1), inner, jnp.full(1, jnp.inf)])


def total_variation(a: Ring, b: Ring, points: int = 200_001) -> float:
    """D_inf of two rings in the exact likelihood ratio, which depends on the radius alone, so in
    every dimension: half the integral of |p_a - p_b|.

    >>> round(total_variation(Ring(4.1, 1.05), Ring()), 5)
    0.04354
    """
    r = np.linspace(0.0, max(a.radius + 12 * a.width, b.radius + 12 * b.width), points)

    def radial_density(ring: Ring) -> np.ndarray:
        there, behind = (scipy_norm.pdf(x, ring.radius, ring.width) for x in (r, -r))
        return there + behind

    return float(np.trapezoid(np.abs(radial_density(a) - radial_density(b)), r) / 2)


def _folded_quantile(ring: Ring, fraction: Float[Array, " edge"]) -> Float[Array, " edge"]:
    """Inverse of the folded normal distribution function by bisection: 60 halvings leave nothing to
    round.
    """
    span = ring.radius + 12 * ring.width

    def halve(_: Int[ArrayLike, ""], bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        below = _folded_cdf(ring, middle) < fraction
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    start = (jnp.zeros_like(fraction), jnp.full_like(fraction, span))
    low, high = jax.lax.fori_loop(0, 60, halve, start)
    return (low + high) / 2


def _folded_cdf(ring: Ring, r: Float[Array, " shell"]) -> Float[Array, " shell"]:
    return norm.cdf(r, ring.radius, ring.width) - norm.cdf(-r, ring.radius, ring.width)
