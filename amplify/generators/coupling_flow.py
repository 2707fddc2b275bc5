"""Rational-quadratic-spline coupling flow (arXiv:1906.04032) with exact density, for real, bounded
and periodic dimensions.

Every layer splits the dimensions in two and moves one part by splines whose shape the other part
decides. Layers have the same shape and are scanned, so that ten compile as fast as one. Inside the
network all dimensions live on [-BOUND, BOUND]: bounded and periodic ones have a uniform base there,
real ones a standard normal base and linear tails outside. A periodic dimension is also turned by a
learned angle in each layer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators import spline
from amplify.generators.coordinates import Coordinates, Numbers, coordinates, wrap
from amplify.nets.mlp import MLP
from amplify.types import Generator, Params

BOUND = 5.0  # of the splines, in standard deviations of a real dimension


class FlowConfig(NamedTuple):
    """Size of the flow. Its defaults are for integrals, where bootstrap members know their error;
    `FlowConfig.event_by_event` is smaller where events are few.

    Attributes:
        layers: coupling layers, each of which moves half of the dimensions.
        hidden: widths of the network in each layer.
        bins: of each spline.
        dropout: of the hidden units, in training.
    """

    layers: int = 4
    hidden: tuple[int, ...] = (32, 32)
    bins: int = 8
    dropout: float = 0.0

    @classmethod
    def event_by_event(cls, n_train: int, dim: int) -> "FlowConfig":
        """The size for differential amplification. A small flow is closer to the truth event by
        event, but has a bias in common with all members: it is not for integrals (docs/method,
        Training that stops where it should). Any two columns meet on different sides of some layer.

        >>> FlowConfig.event_by_event(1000, 2)
        FlowConfig(layers=2, hidden=(16, 16), bins=4, dropout=0.0)
        """
        if n_train >= _FEW:
            return cls()
        pairs = int(np.ceil(np.log2(max(dim, 2))))
        return cls(layers=2 * pairs, hidden=(16, 16), bins=4)


_FEW = 3000  # training events below which small flows are better event by event


def coupling_flow(x: Numbers | Coordinates, config: FlowConfig = FlowConfig()) -> Generator:
    """The flow as a Generator. Its params are a pytree with a leading axis [layer]; its loss is the
    weighted mean of -log p in units of u.

    >>> from amplify.truth import ring
    >>> x = ring.sample(jax.random.key(0), n=1000)
    >>> coupling_flow(x).dim
    2
    >>> inside = coordinates(x, bounded={0: (-12.0, 12.0)})
    >>> coupling_flow(inside, FlowConfig(layers=8, hidden=(64, 64))).dim
    2

    Args:
        x: training events [n, dim], all of whose dimensions are real then, or the `coordinates` of
            them, which name the bounded and periodic ones.
        config: size of the flow.

    Raises:
        InputError: a flow without layers, splines of one bin, or what `coordinates` refuses.
    """
    scaling = (x if isinstance(x, Coordinates) else coordinates(x)).on(BOUND)
    dim = scaling.shift.shape[0]
    if config.layers < 1 or config.bins < 2:
        got = f"{config.layers} layers, {config.bins} bins"
        raise InputError("FlowConfig", "at least 1 layer and 2 bins", got, "choose a larger flow")
    n_moved = dim - dim // 2
    orders = _orders(dim, config.layers)
    permutations = _permutations(orders)
    layer_periodic = np.asarray(scaling.periodic)[orders]  # [layer, dim]
    any_periodic = bool(layer_periodic.any())
    per_dim = 3 * config.bins + 1 + any_periodic
    net = MLP(config.hidden, n_moved * per_dim, config.dropout)
    n_features = max(dim - n_moved, 1) * (2 if any_periodic else 1)
    log_scale = jnp.log(scaling.scale).sum()
    # into the order of the first layer, and back; JAX 0.11 mixes up 64-bit ones of x64 and others
    first, last = (order.astype(np.int32) for order in (orders[0], np.argsort(orders[0])))

    def init(key: PRNGKeyArray) -> Params:
        keys = jax.random.split(key, config.layers)
        return jax.vmap(lambda key: net.init(key, jnp.zeros((1, n_features))))(keys)

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
        shape = spline.spline(raw.at[3 * config.bins].set(closed)[:-1], BOUND)
        return shape, jnp.where(moved_periodic, BOUND * raw[-1], 0.0)

    def turned(u: Array, angle: Array | float, periodic: Array) -> Array:
        return jnp.where(periodic[:, None], wrap(u + angle, BOUND), u) if any_periodic else u

    def to_base(params: Params, u: Array, key: PRNGKeyArray | None) -> tuple[Array, Array]:
        """Data to base [dim, n] and log |det|, first layer first; the dimensions arrive in the
        order of the first layer.
        """

        def layer(carry: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], None]:
            (u, log_det), (params, periodic, permutation, layer_key) = carry, inputs
            moved, fixed = u[:n_moved], u[n_moved:]
            shape, turn = splines(params, fixed, periodic, None if key is None else layer_key)
            moved, change = spline.forward(shape, turned(moved, turn, periodic[:n_moved]))
            u = _permuted(permutation, jnp.concatenate([moved, fixed]))
            return (u, log_det + change.sum(axis=0)), None

        keys = jax.random.split(jax.random.key(0) if key is None else key, config.layers)
        scanned = (params, jnp.asarray(layer_periodic), jnp.asarray(permutations, u.dtype), keys)
        start = (u, jnp.zeros(u.shape[1], u.dtype))
        return jax.lax.scan(layer, start, scanned, unroll=min(config.layers, 4))[0]

    def log_prob_u(params: Params, u: Array, key: PRNGKeyArray | None = None) -> Array:
        base, log_det = to_base(params, u.T[first], key)
        log_base = jnp.where(scaling.uniform[first, None], log_uniform(base), norm.logpdf(base))
        return log_base.sum(axis=0) + log_det

    def log_prob(params: Params, x: Array) -> Array:
        return log_prob_u(params, scaling.to_network(x)) - log_scale

    def loss(params: Params, key: PRNGKeyArray, x: Array, weight: Array) -> Array:
        dropout_key = key if config.dropout > 0 else None
        weighted = weight * log_prob_u(params, scaling.to_network(x), dropout_key)
        return -weighted.sum() / weight.sum()

    def sample(params: Params, latent: Array) -> Array:
        def layer(u: Array, inputs: Any) -> tuple[Array, None]:
            params, periodic, permutation = inputs
            u = _permuted(permutation.T, u)
            moved, fixed = u[:n_moved], u[n_moved:]
            shape, turn = splines(params, fixed, periodic, None)
            moved = turned(spline.inverse(shape, moved), -turn, periodic[:n_moved])
            return jnp.concatenate([moved, fixed]), None

        base = jnp.where(scaling.uniform[None], BOUND * (2 * latent - 1), ndtri(latent)).T[first]
        scanned = (params, jnp.asarray(layer_periodic), jnp.asarray(permutations, base.dtype))
        u, _ = jax.lax.scan(layer, base, scanned, reverse=True)
        return scaling.to_events(u[last].T)

    return Generator(init, loss, sample, log_prob, dim, likelihood=True)


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
    """`u` [dim, n] with its dimensions permuted. A product with zeros and ones is exact, and its
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


def log_uniform(u: Array) -> Array:
    """Log density of the uniform base; outside it is the density at the edge, falling, so that a
    stray event has a finite gradient.
    """
    return -jnp.log(2 * BOUND) - jnp.maximum(jnp.abs(u) - BOUND, 0.0)
