"""Mixture of Gaussians with full covariances, fitted by expectation maximisation (Dempster, Laird
and Rubin 1977) in one scan.

It is fast, smooth, and exact where the truth is a mixture of few Gaussians; elsewhere what the
components cannot follow is a bias common to all members.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import logsumexp, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.choices import choose
from amplify.generators.coordinates import Coordinates, Numbers, real_coordinates
from amplify.types import Generator


class GaussianMixtureConfig(NamedTuple):
    """Size of the mixture.

    Attributes:
        components: Gaussians.
        steps: of expectation maximisation.
        least_width: of a component in standard deviations of the events, added in quadrature, so
            that none collapses onto one event.
    """

    components: int = 8
    steps: int = 100
    least_width: float = 0.02


class Components(NamedTuple):
    """Params of a mixture, in standardised coordinates; a leading axis [member] for many.

    Attributes:
        log_weight: of the components, up to a common constant.
        mean: of the components.
        root: Cholesky factors of their covariances.
    """

    log_weight: Float[Array, "*member component"]
    mean: Float[Array, "*member component dim"]
    root: Float[Array, "*member component dim dim"]


def gaussian_mixture(
    x: Numbers | Coordinates, config: GaussianMixtureConfig = GaussianMixtureConfig()
) -> Generator:
    """The mixture as a Generator. `fit` and `fit_ensemble` take no steps of descent: members start
    from clusters of their own (k-means++ seeds).

    >>> from amplify.truth import ring
    >>> from amplify.training.fit import fit
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> fitted = fit(jax.random.key(1), gaussian_mixture(x), x)
    >>> fitted.params.mean.shape
    (8, 2)

    Args:
        x: training events [n, dim], all of whose dimensions are real, or their `coordinates`.
        config: size of the mixture.

    Returns:
        Generator whose params are `Components`; its loss, the mean of -log p in units of u, can
        also be descended.

    Raises:
        InputError: no components or steps, or bounded or periodic dimensions.
    """
    scaling = real_coordinates(x, "gaussian_mixture")
    if min(config.components, config.steps) < 1 or not config.least_width > 0:
        expected, fix = "components, steps and least_width above 0", "correct the setting"
        raise InputError("GaussianMixtureConfig", expected, str(config), fix)
    dim, log_scale = scaling.shift.shape[0], jnp.log(scaling.scale).sum()
    maximised = partial(maximisation, least_width=config.least_width)

    def init(key: PRNGKeyArray) -> Components:
        mean = jax.random.normal(key, (config.components, dim))
        root = jnp.tile(jnp.eye(dim)[None], (config.components, 1, 1))
        return Components(jnp.zeros(config.components), mean, root)

    def fit(key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]) -> Components:
        u, w = scaling.to_network(x), weight * (len(x) / weight.sum())
        share = _nearest(u, _seeds(key, u, w, config.components))

        def step(params: Components, _: None) -> tuple[Components, None]:
            log_p = log_components(params, u)
            return maximised(u, w, jax.nn.softmax(log_p, axis=0)), None

        return jax.lax.scan(step, maximised(u, w, share), length=config.steps)[0]

    def log_prob_u(params: Components, u: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return logsumexp(log_components(params, u), axis=0)

    def log_prob(params: Components, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return log_prob_u(params, scaling.to_network(x)) - log_scale

    def loss(
        params: Components, key: PRNGKeyArray, x: Float[Array, "n dim"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        return -(weight * log_prob_u(params, scaling.to_network(x))).sum() / weight.sum()

    def sample(params: Components, latent: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        weight = jnp.broadcast_to(
            jax.nn.softmax(params.log_weight)[:, None], (config.components, len(latent))
        )
        index, place = choose(latent[:, 0], weight)
        z = ndtri(jnp.concatenate([place[:, None], latent[:, 1:]], axis=1))
        moved = (params.root[index] * z[:, None]).sum(axis=-1)
        return scaling.to_events(params.mean[index] + moved)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True, fit=fit)


def log_components(params: Components, u: Float[Array, "n dim"]) -> Float[Array, "component n"]:
    """Log of weight times density of every component; one after the other, in little memory."""

    def of_one(component: Components) -> Float[Array, " n"]:
        z = solve_triangular(component.root, (u - component.mean[None]).T, lower=True)
        log_det = jnp.log(jnp.abs(jnp.diagonal(component.root))).sum()
        return component.log_weight + norm.logpdf(z).sum(axis=0) - log_det

    normalised = params._replace(log_weight=jax.nn.log_softmax(params.log_weight))
    return jax.lax.map(of_one, normalised)


def maximisation(
    u: Float[Array, "n dim"],
    weight: Float[Array, " n"],
    share: Float[Array, "component n"],
    least_width: float,
) -> Components:
    """The components of highest likelihood where `share` says how far each event belongs to each.

    Args:
        u: events.
        weight: of the events, with the mean 1.
        share: [component, n], with the sum 1 over components.
        least_width: added in quadrature.
    """
    events = weight[None] * share
    number = events.sum(axis=1) + 10 * jnp.finfo(u.dtype).eps  # of one that has died out, too
    mean = events @ u / number[:, None]

    def covariance(component: tuple[Array, Array, Array]) -> Float[Array, "dim dim"]:
        events, mean, number = component
        apart = u - mean[None]
        return (events[:, None] * apart).T @ apart / number

    floor = least_width**2 * jnp.eye(u.shape[1], dtype=u.dtype)
    covariances = jax.lax.map(covariance, (events, mean, number)) + floor[None]
    return Components(jnp.log(number / len(u)), mean, jnp.linalg.cholesky(covariances))


def _seeds(
    key: PRNGKeyArray, u: Float[Array, "n dim"], weight: Float[Array, " n"], components: int
) -> Float[Array, "component dim"]:
    """Events far apart (k-means++): each with a probability in proportion to its squared distance
    from those before it.
    """

    def next_seed(nearest: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        # where all events are taken, any of them
        chance = weight * jnp.where(nearest.max() > 0, nearest, 1.0)
        seed = u[jax.random.categorical(key, jnp.log(chance))]
        return jnp.minimum(nearest, ((u - seed[None]) ** 2).sum(axis=1)), seed

    far = jnp.full(len(u), 1.0, u.dtype)
    keys = jax.random.split(key, components)
    _, first = next_seed(far, keys[0])
    nearest = ((u - first[None]) ** 2).sum(axis=1)
    _, others = jax.lax.scan(next_seed, nearest, keys[1:])
    return jnp.concatenate([first[None], others])


def _nearest(
    u: Float[Array, "n dim"], seeds: Float[Array, "component dim"]
) -> Float[Array, "component n"]:
    """1 for the nearest seed of each event, 0 for the others."""
    apart = jax.lax.map(lambda seed: ((u - seed[None]) ** 2).sum(axis=1), seeds)
    index = jnp.arange(len(seeds))
    return (apart.argmin(axis=0)[None] == index[:, None]).astype(u.dtype)
