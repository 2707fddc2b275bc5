"""One-dimensional Gaussian: the one truth for which the amplification of a fit is known in closed
form (docs/method, Reference numbers).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray


class Gaussian(NamedTuple):
    """Mean and width, in the unit of x."""

    mean: float = 0.0
    width: float = 1.0


def sample(key: PRNGKeyArray, gaussian: Gaussian = Gaussian(), *, n: int) -> Float[Array, "n 1"]:
    """Draws n true events.

    >>> sample(jax.random.key(0), n=1000).shape
    (1000, 1)
    """
    return gaussian.mean + gaussian.width * jax.random.normal(key, (n, 1))


def log_prob(gaussian: Gaussian, x: Float[Array, "n 1"]) -> Float[Array, " n"]:
    """Log density.

    >>> log_prob(Gaussian(), jnp.array([[0.0], [2.0]]))
    Array([-0.9189385, -2.9189386], dtype=float32)
    """
    return norm.logpdf(x[:, 0], gaussian.mean, gaussian.width)


def interval_integral(
    gaussian: Gaussian, low: Float[Array, " region"], high: Float[Array, " region"]
) -> Float[Array, " region"]:
    """Fraction of true events with low <= x < high.

    >>> interval_integral(Gaussian(), jnp.array([-1.0]), jnp.array([1.0])).round(2)
    Array([0.68], dtype=float32)
    """
    below_low, below_high = (norm.cdf(edge, gaussian.mean, gaussian.width) for edge in (low, high))
    return below_high - below_low


def fit_variance(
    low: Float[Array, " region"], high: Float[Array, " region"]
) -> Float[Array, " region"]:
    """N sigma_model^2 of the maximum-likelihood fit of mean and width to n events, for standardised
    edges (docs/method, Reference numbers).

    With dphi = phi(b) - phi(a) and dzphi = b phi(b) - a phi(a) it is dphi^2 + dzphi^2 / 2, at
    leading order in 1/n (10 % low at n = 30).

    >>> fit_variance(jnp.array([0.0]), jnp.array([jnp.inf])).round(4)
    Array([0.1592], dtype=float32)
    """
    d_phi = norm.pdf(high) - norm.pdf(low)
    d_zphi = _z_phi(high) - _z_phi(low)
    return d_phi**2 + d_zphi**2 / 2


def amplification(
    low: Float[Array, " region"], high: Float[Array, " region"]
) -> Float[Array, " region"]:
    """G = I (1 - I) / (n sigma_model^2) of the fitted Gaussian in low <= z < high; one number for
    every n at leading order.

    >>> amplification(jnp.array([0.0]), jnp.array([jnp.inf])).round(4)
    Array([1.5708], dtype=float32)
    """
    integral = interval_integral(Gaussian(), low, high)
    return integral * (1 - integral) / fit_variance(low, high)


def distances(a: Gaussian, b: Gaussian) -> tuple[Float[Array, "*fit"], Float[Array, "*fit"]]:
    """D_inf of two Gaussians: in the exact likelihood ratio (the total variation distance), and in
    t = x. Fields may be arrays [fit].

    The densities cross at one or two points; the distribution functions are farthest apart at one
    of them.

    >>> [round(float(d), 6) for d in distances(Gaussian(0.0, 1.1), Gaussian())]
    [0.04609, 0.023045]
    """
    fields = (jnp.asarray(value, float) for value in (*a, *b))
    mean_a, width_a, mean_b, width_b = jnp.broadcast_arrays(*fields)
    # of the quadratic log p_b - log p_a
    square = (1 / width_a**2 - 1 / width_b**2) / 2
    slope = mean_b / width_b**2 - mean_a / width_a**2
    log_widths = jnp.log(width_a / width_b)
    constant = (mean_a / width_a) ** 2 / 2 - (mean_b / width_b) ** 2 / 2 + log_widths
    # its roots without cancellation
    discriminant = jnp.maximum(slope**2 - 4 * square * constant, 0.0)
    root = -(slope + jnp.copysign(jnp.sqrt(discriminant), slope)) / 2
    first, second = root / jnp.where(square == 0, jnp.nan, square), constant / root

    def difference(x: Array) -> Array:
        """Of the distribution functions; at infinity, where one crossing is for equal widths, both
        are one.
        """
        apart = norm.cdf(x, mean_a, width_a) - norm.cdf(x, mean_b, width_b)
        return jnp.where(jnp.isfinite(x), apart, 0.0)

    at_first, at_second = difference(first), difference(second)
    farthest = jnp.maximum(jnp.abs(at_first), jnp.abs(at_second))
    return jnp.abs(at_first - at_second), farthest


def _z_phi(z: Float[Array, " region"]) -> Float[Array, " region"]:
    """Z phi(z), which is 0 at infinity."""
    finite = jnp.isfinite(z)
    return jnp.where(finite, jnp.where(finite, z, 0.0) * norm.pdf(z), 0.0)
