"""Kernel density: a Gaussian around every training event, as wide as leave-one-out likelihood says,
or as a rule of thumb.

Nothing is trained, and nothing is learned but one width: the estimate has a bias that a bootstrap
does not see, and it is the baseline every network has to beat.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import logsumexp, ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.choices import choose_of_many
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.types import Generator, Params

Bandwidth = float | Literal["likelihood", "scott"]

_BLOCK = 256  # events compared with all centres at once
_TESTED = 1000  # events that choose the width
_FACTORS = np.geomspace(0.08, 1.25, 16)  # tried, in units of Scott's


class Kernels(NamedTuple):
    """Params of a kernel density, in standardised coordinates; a leading axis [member] for many.

    Attributes:
        centre: training events, sorted by their first column, so that latents which are close give
            events which are close.
        weight: of the events, with the sum 1.
        root: Cholesky factor of the covariance of a kernel.
    """

    centre: Float[Array, "*member n dim"]
    weight: Float[Array, "*member n"]
    root: Float[Array, "*member dim dim"]


def kernel_density(x: Numbers | Coordinates, bandwidth: Bandwidth = "likelihood") -> Generator:
    """Gaussian kernels of the shape of the training events' covariance, as a Generator. `fit` and
    `fit_ensemble` take no steps.

    >>> import numpy as np
    >>> from amplify.training.fit import fit
    >>> x = np.array([[-1.0], [1.0]])
    >>> fitted = fit(jax.random.key(0), kernel_density(x, 0.1), x)
    >>> fitted.log_prob(jnp.array([[1.0]])).round(2)  # half of a kernel of the width .1 root 2
    Array([0.34], dtype=float32)

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        bandwidth: width of a kernel in standard deviations of the events; "scott" is n_eff^(-1 /
            (dim + 4)), the best for Gaussians and too wide for anything with structure;
            "likelihood" takes the one of 16 multiples of it under which at most 1000 of the events
            are most probable, each without itself and its copies in a bootstrap.

    Returns:
        Generator whose params are `Kernels`. Sampling costs two random numbers an event, the
        density as many kernels as there are training events.

    Raises:
        InputError: bounded or periodic dimensions, or a width that is not above zero.
    """
    scaling = real_coordinates(x, "kernel_density")
    if isinstance(bandwidth, float | int) and not 0 < bandwidth < float("inf"):
        raise InputError("bandwidth", "a number above 0", str(bandwidth), "try 'likelihood'")
    if not isinstance(bandwidth, float | int) and bandwidth not in ("likelihood", "scott"):
        expected = "a number, 'likelihood' or 'scott'"
        raise InputError("bandwidth", expected, repr(bandwidth), "choose one of them")
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()

    def fit(key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]) -> Kernels:
        u = scaling.to_network(x)
        order = jnp.argsort(u[:, 0])
        u, w = u[order], weight[order] / weight.sum()
        apart = u - (w[:, None] * u).sum(axis=0)[None]
        n_eff = 1 / (w**2).sum()
        # unbiased, as SciPy has it
        covariance = (w[:, None] * apart).T @ apart / (1 - 1 / n_eff)
        root = jnp.linalg.cholesky(covariance)
        scott = n_eff ** (-1 / (dim + 4))
        factor = {"scott": scott}.get(str(bandwidth), bandwidth)
        if bandwidth == "likelihood":
            tested = jax.random.permutation(key, len(u))[:_TESTED]
            widths = scott * _FACTORS.astype(u.dtype)
            values = _left_out(Kernels(u, w, root), tested, widths)
            factor = widths[jnp.argmax(values)]
        return Kernels(u, w, factor * root)

    def log_prob(params: Kernels, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        points, centres = _whitened(params, scaling.to_network(x)), _whitened(params, params.centre)

        def of_block(points: Float[Array, "block dim"]) -> Float[Array, " block"]:
            exponent = -0.5 * _square_distances(points, centres)
            return logsumexp(exponent, axis=1, b=params.weight[None])

        blocks, n = _in_blocks(points), len(x)
        log_kernels = jax.lax.map(of_block, blocks).reshape(-1)[:n]
        return log_kernels - _log_norm(params.root) - log_scale

    def loss(
        params: Kernels, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        return -(weight * (log_prob(params, x) + log_scale)).sum() / weight.sum()

    def sample(params: Kernels, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        index, place = choose_of_many(latent[:, 0], params.weight)
        z = ndtri(jnp.concatenate([place[:, None], latent[:, 1:]], axis=1))
        return scaling.to_events(params.centre[index] + z @ params.root.T)

    def init(key: PRNGKeyArray) -> Params:
        fix = "use fit or fit_ensemble"
        raise InputError("kernel_density", "a fit to events", "a training in steps", fix)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True, fit=fit)


def _left_out(
    kernels: Kernels, tested: Array, widths: Float[Array, " width"]
) -> Float[Array, " width"]:
    """Mean log density of the tested events for each width, without the kernels of the event itself
    and of its copies.
    """
    centres = _whitened(kernels, kernels.centre)
    dim = centres.shape[1]

    def of_block(rows: Array) -> Float[Array, "block width"]:
        apart = _square_distances(centres[rows], centres)
        weight = jnp.where(apart > 0, kernels.weight[None], 0.0)

        def of_width(width: Float[Array, ""]) -> Float[Array, " block"]:
            log_sum = logsumexp(-0.5 * apart / width**2, axis=1, b=weight)
            return log_sum - jnp.log(weight.sum(axis=1)) - dim * jnp.log(width)

        return jax.lax.map(of_width, widths).T

    n = len(tested)
    rows = jnp.pad(tested, (0, -n % _BLOCK)).reshape(-1, _BLOCK)
    values = jax.lax.map(of_block, rows).reshape(-1, len(widths))[:n]
    return (kernels.weight[tested][:, None] * values).sum(axis=0)


def _whitened(kernels: Kernels, u: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
    """Points in units of the kernel's width."""
    return solve_triangular(kernels.root, u.T, lower=True).T


def _square_distances(a: Float[Array, "n dim"], b: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    """From differences, column after column: exact where points coincide."""

    def add(j: Array, total: Array) -> Array:
        return total + (a[:, j][:, None] - b[:, j][None]) ** 2

    return jax.lax.fori_loop(0, a.shape[1], add, jnp.zeros((len(a), len(b)), a.dtype))


def _log_norm(root: Float[Array, "dim dim"]) -> Float[Array, ""]:
    """Log of the norm of a Gaussian whose covariance has this Cholesky factor."""
    return jnp.log(jnp.diagonal(root)).sum() + 0.5 * len(root) * jnp.log(2 * jnp.pi)


def _in_blocks(points: Float[Array, "n dim"]) -> Float[Array, "blocks block dim"]:
    n, dim = points.shape
    return jnp.pad(points, ((0, -n % _BLOCK), (0, 0))).reshape(-1, _BLOCK, dim)
