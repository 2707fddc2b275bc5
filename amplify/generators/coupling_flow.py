"""Rational-quadratic-spline coupling flow (arXiv:1906.04032) with exact density, for real, bounded
and periodic dimensions.

Every layer splits the dimensions in two and moves one part by splines whose shape the other part
decides. Layers have the same shape and are scanned, so that ten compile as fast as one. Inside the
network all dimensions live on [-BOUND, BOUND]: bounded and periodic ones have a uniform base there,
real ones a standard normal base and linear tails outside. A periodic dimension is also turned by a
learned angle in each layer.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators import spline
from amplify.nets.mlp import MLP
from amplify.types import Generator, Params

BOUND = 5.0  # of the splines, in standard deviations of a real dimension


class Coordinates(NamedTuple):
    """How data meet the network, u = (x - shift) / scale: standardised real dimensions, bounded and
    periodic ones on [-BOUND, BOUND]. Arrays [dim].
    """

    shift: Float[Array, " dim"]
    scale: Float[Array, " dim"]
    uniform: Bool[Array, " dim"]  # uniform base: bounded or periodic
    periodic: Bool[Array, " dim"]


class FlowConfig(NamedTuple):
    """Size of the flow. `hidden` are the widths of the conditioner in each layer."""

    layers: int = 4
    hidden: tuple[int, ...] = (32, 32)
    bins: int = 8
    dropout: float = 0.0


def coordinates(
    x: Float[Array, "n dim"],
    *,
    bounded: Mapping[int, tuple[float, float]] | None = None,
    periodic: Mapping[int, tuple[float, float]] | None = None,
) -> Coordinates:
    """Coordinates from training events: mean and width of the real dimensions, (low, high) of the
    bounded and of the periodic ones by column.
    """
    bounded, periodic = dict(bounded or {}), dict(periodic or {})
    dim = x.shape[1]
    for column, (low, high) in (bounded | periodic).items():
        if not 0 <= column < dim or not low < high:
            raise InputError(
                "bounded or periodic dimension",
                f"a column of 0..{dim - 1} and low < high",
                f"column {column}, {low}..{high}",
                "correct it",
            )
    values = np.asarray(x, np.float64)
    shift, scale = values.mean(0), values.std(0)
    uniform, circle = np.zeros(dim, bool), np.zeros(dim, bool)
    for column, (low, high) in (bounded | periodic).items():
        shift[column], scale[column] = (low + high) / 2, (high - low) / 2 / BOUND
        uniform[column], circle[column] = True, column in periodic
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise InputError(
            "training events",
            "a finite width in every column",
            f"widths {scale}",
            "drop constant columns",
        )
    return Coordinates(
        jnp.asarray(shift, jnp.float32),
        jnp.asarray(scale, jnp.float32),
        jnp.asarray(uniform),
        jnp.asarray(circle),
    )


def coupling_flow(coordinates: Coordinates, config: FlowConfig = FlowConfig()) -> Generator:
    """The flow as a Generator. Its params are a pytree with a leading axis [layer]; its loss is the
    weighted mean of -log p in units of u.
    """
    dim = coordinates.shift.shape[0]
    if config.layers < 1 or config.bins < 2:
        raise InputError(
            "FlowConfig",
            "at least 1 layer and 2 bins",
            f"{config.layers} layers, {config.bins} bins",
            "choose a larger flow",
        )
    n_moved = dim - dim // 2
    orders = _orders(dim, config.layers)
    permutations = _permutations(orders)
    layer_periodic = np.asarray(coordinates.periodic)[orders]  # [layer, dim]
    any_periodic = bool(layer_periodic.any())
    per_dim = 3 * config.bins + 1 + any_periodic
    net = MLP(config.hidden, n_moved * per_dim, config.dropout)
    n_features = max(dim - n_moved, 1) * (2 if any_periodic else 1)
    log_scale = jnp.log(coordinates.scale).sum()

    def init(key: PRNGKeyArray) -> Params:
        return jax.vmap(lambda k: net.init(k, jnp.zeros((1, n_features))))(
            jax.random.split(key, config.layers)
        )

    def splines(
        layer: Params, fixed: Array, periodic: Array, key: PRNGKeyArray | None
    ) -> tuple[spline.Spline, Array | float]:
        """Splines and turns [moved, n] of a layer: events last, which a CPU runs through twice as
        fast.
        """
        features = _features(fixed, periodic[n_moved:], any_periodic)
        rngs = None if key is None else {"dropout": key}
        raw: Any = net.apply(layer, features, train=key is not None, rngs=rngs)
        raw = raw.T.reshape(per_dim, n_moved, -1)
        if not any_periodic:
            return spline.spline(raw, BOUND), 0.0
        moved_periodic = periodic[:n_moved, None]
        # the slope has to be the same where the circle closes
        closed = jnp.where(moved_periodic, raw[2 * config.bins], raw[3 * config.bins])
        return spline.spline(raw.at[3 * config.bins].set(closed)[:-1], BOUND), jnp.where(
            moved_periodic, BOUND * raw[-1], 0.0
        )

    def turned(u: Array, angle: Array | float, periodic: Array) -> Array:
        return jnp.where(periodic[:, None], _wrap(u + angle), u) if any_periodic else u

    def to_base(params: Params, u: Array, key: PRNGKeyArray | None) -> tuple[Array, Array]:
        """Data to base [dim, n] and log |det|, first layer first; the dimensions arrive in the
        order of the first layer.
        """

        def layer(carry: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], None]:
            (u, log_det), (params, periodic, permutation, layer_key) = carry, inputs
            moved, fixed = u[:n_moved], u[n_moved:]
            shape, turn = splines(params, fixed, periodic, None if key is None else layer_key)
            moved, change = spline.forward(shape, turned(moved, turn, periodic[:n_moved]))
            return (
                _permuted(permutation, jnp.concatenate([moved, fixed])),
                log_det + change.sum(axis=0),
            ), None

        keys = jax.random.split(jax.random.key(0) if key is None else key, config.layers)
        scanned = (params, jnp.asarray(layer_periodic), jnp.asarray(permutations, u.dtype), keys)
        (u, log_det), _ = jax.lax.scan(
            layer, (u, jnp.zeros(u.shape[1], u.dtype)), scanned, unroll=min(config.layers, 4)
        )
        return u, log_det

    last = np.argsort(
        orders[0]
    )  # after the last layer the columns are back in the order of the first

    def log_prob_u(params: Params, u: Array, key: PRNGKeyArray | None = None) -> Array:
        base, log_det = to_base(params, u.T[orders[0]], key)
        log_base = jnp.where(
            coordinates.uniform[orders[0], None], _log_uniform(base), norm.logpdf(base)
        )
        return log_base.sum(axis=0) + log_det

    def network(x: Array) -> Array:
        return (x - coordinates.shift[None]) / coordinates.scale[None]

    def log_prob(params: Params, x: Array) -> Array:
        return log_prob_u(params, network(x)) - log_scale

    def loss(params: Params, key: PRNGKeyArray, x: Array, weight: Array) -> Array:
        return (
            -(weight * log_prob_u(params, network(x), key if config.dropout > 0 else None)).sum()
            / weight.sum()
        )

    def sample(params: Params, latent: Array) -> Array:
        def layer(u: Array, inputs: Any) -> tuple[Array, None]:
            params, periodic, permutation = inputs
            u = _permuted(permutation.T, u)
            moved, fixed = u[:n_moved], u[n_moved:]
            shape, turn = splines(params, fixed, periodic, None)
            moved = turned(spline.inverse(shape, moved), -turn, periodic[:n_moved])
            return jnp.concatenate([moved, fixed]), None

        base = jnp.where(coordinates.uniform[None], BOUND * (2 * latent - 1), ndtri(latent)).T[
            orders[0]
        ]
        scanned = (params, jnp.asarray(layer_periodic), jnp.asarray(permutations, base.dtype))
        u, _ = jax.lax.scan(layer, base, scanned, reverse=True)
        return u[last].T * coordinates.scale[None] + coordinates.shift[None]

    return Generator(init, loss, sample, log_prob, dim)


def _orders(dim: int, layers: int) -> np.ndarray:
    """Columns in the order of each layer [layer, dim]: the first half (rounded up) is moved, the
    rest decides how.

    Layers come in pairs that exchange the parts. Pair k puts columns apart that differ in bit k of
    their index, so that any two columns meet on different sides within log2(dim) pairs.
    """
    bits = max(int(np.ceil(np.log2(dim))), 1)
    columns = np.arange(dim)
    orders = []
    for pair in range((layers + 1) // 2):
        key = (columns >> (pair % bits)) & 1
        order = np.lexsort((columns, key))
        orders += [order, order[::-1]]
    return np.stack(orders[:layers])


def _permutations(orders: np.ndarray) -> np.ndarray:
    """Matrices [layer, dim, dim] that bring the columns into the order of the next layer, after the
    last layer into that of the first.
    """
    following = np.roll(orders, -1, axis=0)
    relative = [np.argsort(now)[after] for now, after in zip(orders, following, strict=True)]
    return np.stack([np.eye(orders.shape[1])[order] for order in relative])


def _permuted(matrix: Array, u: Array) -> Array:
    """U [dim, n] with its dimensions permuted. A product with zeros and ones is exact, and its
    gradient is another one instead of a scatter.
    """
    return jnp.matmul(matrix, u, precision=jax.lax.Precision.HIGHEST)


def _features(fixed: Array, periodic: Array, any_periodic: bool) -> Array:
    """What the conditioner sees [n, features]: real dimensions as they are, periodic ones as cosine
    and sine, a one if there are none.
    """
    if fixed.shape[0] == 0:
        fixed, periodic = jnp.ones_like(fixed, shape=(1, fixed.shape[1])), jnp.zeros(1, bool)
    if not any_periodic:
        return fixed.T
    angle = fixed * (jnp.pi / BOUND)
    circle = periodic[:, None]
    return jnp.concatenate(
        [jnp.where(circle, jnp.cos(angle), fixed), jnp.where(circle, jnp.sin(angle), 0.0)]
    ).T


def _wrap(u: Array) -> Array:
    return jnp.remainder(u + BOUND, 2 * BOUND) - BOUND


def _log_uniform(u: Array) -> Array:
    """Log density of the uniform base; outside it is the density at the edge, falling, so that a
    stray event has a finite gradient.
    """
    return -jnp.log(2 * BOUND) - jnp.maximum(jnp.abs(u) - BOUND, 0.0)
