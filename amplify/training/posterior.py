"""The posterior of a generator's params given its training events, for samplers (`sgmcmc`, `nuts`).

Its potential, up to a constant, is n times the mean loss of the events plus that of a Gaussian
prior; exp(-potential) is the posterior density where the loss is a mean of -log_prob
(`Generator.likelihood`). Other losses, such as that of flow matching, are a surrogate: what is
sampled is a Gibbs posterior, whose width has no meaning before it is calibrated (docs/method,
Averaging amplification).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.training.config import are_trained
from amplify.types import Generator, Params


class Diagnostics(NamedTuple):
    """How well chains have sampled a posterior.

    Attributes:
        acceptance: mean probability to accept a proposal after the warm-up.
        divergences: trajectories after the warm-up whose energy ran away; any but a few of them say
            that parts of the posterior were not reached.
        r_hat: largest split R-hat of the quantities below; 1.01 is good, 1.1 is not.
        effective: fewest effective draws of these quantities, of all chains together.
        steps: evaluations of the gradient after the warm-up, of all chains together.

    The quantities are the potential and the log densities of some training events: they tell
    distributions apart. Params do not: networks with permuted units are the same generator.
    """

    acceptance: float
    divergences: int
    r_hat: float
    effective: float
    steps: int


class Parted(NamedTuple):
    """Params as a vector of those that are trained, and a tree of the others.

    Attributes:
        position: what is sampled [parameter].
        fixed: leaves under a key "fixed"; None elsewhere.
    """

    position: Float[Array, "*chain parameter"]
    fixed: Params


def parted(params: Params) -> Parted:
    """The params of one network in two parts; `vmap` it over many.

    >>> parted({"net": jnp.zeros((2, 3)), "fixed": jnp.eye(2)}).position.shape
    (6,)
    """
    trained = are_trained(params)
    free = jax.tree.map(lambda leaf, is_free: leaf if is_free else None, params, trained)
    fixed = jax.tree.map(lambda leaf, is_free: None if is_free else leaf, params, trained)
    return Parted(ravel_pytree(free)[0], fixed)


def joiner(generator: Generator) -> Callable[[Array, Params], Params]:
    """The inverse of `parted`: (position [parameter], fixed) -> params."""
    shapes = jax.eval_shape(generator.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    trained = are_trained(params)
    free = jax.tree.map(lambda leaf, is_free: leaf if is_free else None, params, trained)
    unravel = ravel_pytree(free)[1]

    def joined(position: Array, fixed: Params) -> Params:
        return jax.tree.map(
            lambda mine, other: other if mine is None else mine,
            unravel(position),
            fixed,
            is_leaf=lambda leaf: leaf is None,
        )

    return joined


def potential(
    generator: Generator, prior_width: float | None
) -> Callable[[Array, Params, PRNGKeyArray, Array, Array, Any], Array]:
    """The potential as a function (position, fixed, key, x [b, dim], weight [b], n) of a minibatch
    of b events, which stands for n.

    Args:
        generator: whose loss is the mean over events.
        prior_width: of independent Gaussians around zero; None for a flat prior.
    """
    joined = joiner(generator)
    precision = 0.0 if prior_width is None else 1 / prior_width**2

    def energy(
        position: Array, fixed: Params, key: PRNGKeyArray, x: Array, weight: Array, n: Any
    ) -> Array:
        loss = generator.loss(joined(position, fixed), key, x, weight)
        return n * loss + 0.5 * precision * (position**2).sum()

    return energy


def block_length(iterations: int, most: int) -> int:
    """Iterations in each of as many equal blocks as possible, at most so many.

    >>> block_length(1000, 20), block_length(7, 3)
    (50, 7)
    """
    return iterations // max(k for k in range(1, most + 1) if iterations % k == 0)


def n_worth(weight: Float[Array, " n"]) -> Float[Array, ""]:
    """How many events of weight one the events are worth, (sum w)^2 / sum w^2."""
    return weight.sum() ** 2 / (weight**2).sum()


def refuse_without_posterior(what: str, generator: Generator, prior_width: float | None) -> None:
    """Refuses generators whose loss says nothing about all params, and priors without a width.

    Raises:
        InputError: a truncated generator, one that is not trained by descent, or a width of no more
            than 0.
    """
    if generator.truncation is not None:
        fix = "its normalisation is not in the loss; use fit_ensemble"
        raise InputError(what, "a generator without truncation", "a truncated one", fix)
    if generator.fit is not None:
        expected, fix = "a generator that is trained by descent", "use fit_ensemble"
        raise InputError(what, expected, "one that is fitted at once", fix)
    if prior_width is not None and not prior_width > 0:
        expected, fix = "a prior_width above 0, or None", "1.0 is a usual width"
        raise InputError(what, expected, str(prior_width), fix)
