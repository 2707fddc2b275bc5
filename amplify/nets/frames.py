"""Local Lorentz frames, one per particle, predicted equivariantly (LLoCa, arXiv:2505.20280 and
arXiv:2508.14898).

A small network sees Lorentz invariants of pairs of particles and gives three sets of weights.
Weighted sums of the pairs' momenta are three vectors per particle: its frame is the rest frame of
the first, with axes along the second and third after Gram-Schmidt. Under a Lorentz transformation
of the event, p -> Lambda p, a frame L becomes L Lambda^-1, so that everything seen from it, L p,
stays what it was.

Single precision: rest frames of fast systems are differences of large numbers. Every sum here that
can be is one of positive terms (products p_i.p_j of future-directed momenta), and a frame is a
Lorentz transformation to rounding whatever the vectors were.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from amplify.errors import InputError
from amplify.nets.precision import in_full_precision
from amplify.nets.transformer import affine, dense_layers, gelu

# graphics cards else round to ten bits, and boosts are differences of large numbers
einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
# of squared masses in the units of the momenta: far below any, and still a number when it is
# inverted and squared in single precision
FLOOR = 1e-12


class FramesConfig(NamedTuple):
    """The network that weights pairs of particles.

    Attributes:
        hidden: width of its hidden layers.
        layers: how many of them, at least one.
        log_mass_mean: of log (p_i + p_j)^2 in the units of the momenta; with `log_mass_std` brings
            the input of the network to order one.
        log_mass_std: its standard deviation.
    """

    hidden: int = 32
    layers: int = 2
    log_mass_mean: float = 0.0
    log_mass_std: float = 2.0


class LocalFrames(nn.Module):
    """Frames of all particles of an event.

    Attributes:
        config: size of the network.
    """

    config: FramesConfig = FramesConfig()

    @nn.compact
    @in_full_precision
    def __call__(
        self,
        momenta: Float[Array, "batch other 4"],
        products: Float[Array, "batch other other"],
        scalars: Float[Array, "batch particle scalars"],
    ) -> Float[Array, "batch particle 4 4"]:
        """Lorentz transformations [batch, particle, local, global] in the precision of the momenta;
        the network runs in that of the scalars.

        Args:
            momenta: (E, px, py, pz), E > 0, in units in which they are of order one; at least two.
                After the particles come the references: future-directed vectors which break the
                symmetry and take part like particles.
            products: their `inner_products`.
            scalars: what else the weights may depend on: type of the particle, time. Invariant
                under Lorentz transformations.

        Raises:
            InputError: a single particle without references has no frame.
        """
        if momenta.shape[1] < 2:
            raise InputError(
                "particles and references",
                "at least two",
                str(momenta.shape[1]),
                "give more particles, or references such as lab_references()",
            )
        c, dtype = self.config, scalars.dtype
        events, n, n_scalars = scalars.shape
        n_all = momenta.shape[1]
        between = {f"hidden_{i}": (c.hidden, c.hidden) for i in range(1, c.layers)}
        shapes = {"pair": (2 * n_scalars + 1, c.hidden), **between, "weight": (c.hidden, 3)}
        layers = dense_layers(self, shapes, dtype)
        # a reference has no scalars: it is told apart by a vector of its own
        label_shape = (n_all - n, c.hidden)
        label = self.param("reference", nn.initializers.normal(0.1), label_shape, dtype)
        if self.is_initializing():
            return jnp.broadcast_to(jnp.eye(4, dtype=momenta.dtype), (events, n, 4, 4))
        mass2 = jnp.diagonal(products, axis1=1, axis2=2)
        pair2 = mass2[:, :n, None] + mass2[:, None, :] + 2 * products[:, :n]
        # Two collinear massless particles have no mass to divide by: a floor far below the pairs of
        # any detector, in units of the event
        pair2 = jnp.maximum(pair2, 1e-7 * products.sum((1, 2))[:, None, None] + FLOOR)
        log_mass = ((jnp.log(pair2) - c.log_mass_mean) / c.log_mass_std).astype(dtype)
        # the first layer of (s_i, s_j, log m_ij), particle by particle
        kernels = jnp.split(layers["pair"]["kernel"], [n_scalars, 2 * n_scalars])
        of_i, of_j, of_mass = kernels
        labels = jnp.broadcast_to(label[None], (events, *label.shape))
        sender = jnp.concatenate([scalars @ of_j, labels], 1)
        receiver = affine(scalars, {"kernel": of_i, "bias": layers["pair"]["bias"]})
        x = sender[:, None] + receiver[:, :, None] + log_mass[..., None] * of_mass[None, None]
        for name in between:
            x = affine(gelu(x), layers[name])
        logits = affine(gelu(x), layers["weight"])
        weight = _weights(logits, jnp.eye(n, n_all, dtype=bool)).astype(momenta.dtype)
        weight = weight / jnp.sqrt(pair2)[..., None]
        # sum_j w_j (p_i + p_j) as coefficients of all momenta
        itself = jnp.eye(n, n_all, dtype=weight.dtype)[None, :, :, None]
        return polar_frames(weight + itself * weight.sum(2, keepdims=True), momenta, products)


def _weights(
    logits: Float[Array, "batch particle other 3"], itself: Bool[Array, "particle other"]
) -> Float[Array, "batch particle other 3"]:
    """Weights of three vectors with the same frame as three softmaxes over the others, and less
    rounding.

    `logits` hold those of the first and what those of the second and third add to them. The axes
    need the second and third only across the first (and the third across the second), and these
    parts are small: in a fresh network all weights are alike, in a trained one a single particle
    may dominate. So the dominant particle is eliminated here, where it cancels exactly: w_1 -> w_1
    - c w_0 with c such that its weight is 0, then the same for w_2 and w_1.
    """

    def at(
        pivot: Float[Array, "batch particle other"], x: Float[Array, "batch particle other vector"]
    ) -> Float[Array, "batch particle 1 vector"]:
        most = jax.nn.one_hot(jnp.argmax(pivot, 2), pivot.shape[2], dtype=x.dtype)
        return (most[..., None] * x).sum(2, keepdims=True)

    def of_order_one(
        x: Float[Array, "batch particle other 1"],
    ) -> Float[Array, "batch particle other 1"]:
        # the length of an axis means nothing, and its inverse may overflow
        largest = jax.lax.stop_gradient(jnp.abs(x).max(2, keepdims=True))
        return x / jnp.where(largest > 0, largest, 1.0)

    first = jax.nn.softmax(jnp.where(itself[None], -jnp.inf, logits[..., 0]), axis=2)
    added = jnp.clip(logits[..., 1:] - at(first, logits[..., 1:]), -60.0, 60.0)
    others = first[..., None] * jnp.expm1(added)
    second, third = of_order_one(others[..., :1]), of_order_one(others[..., 1:])
    pivot = at(jnp.abs(second[..., 0]), jnp.concatenate([second, third], -1))
    of_second, of_third = pivot[..., :1], pivot[..., 1:]
    third = third - of_third / jnp.where(of_second == 0, 1.0, of_second) * second
    return jnp.concatenate([first[..., None], second, of_order_one(third)], -1)


def inner_products(
    momenta: Float[Array, "batch particle 4"],
) -> Float[Array, "batch particle particle"]:
    """p_i.p_j of future-directed momenta as sums of positive terms; nothing large cancels except in
    the masses, E^2 - p^2.
    """
    energy, p = momenta[..., 0], momenta[..., 1:]
    p2 = (p * p).sum(-1)
    moving = p2 > 0
    size = jnp.where(moving, jnp.sqrt(jnp.where(moving, p2, 1.0)), 0.0)
    direction = p / jnp.where(moving, size, 1.0)[..., None]
    mass2 = jnp.maximum((energy - size) * (energy + size), 0.0)

    def pairs(
        x: Float[Array, "batch particle"],
    ) -> tuple[Float[Array, "batch particle 1"], Float[Array, "batch 1 particle"]]:
        return x[:, :, None], x[:, None, :]

    (energy_i, energy_j), (p_i, p_j), (mass2_i, mass2_j) = map(pairs, (energy, size, mass2))
    apart = direction[:, :, None] - direction[:, None, :]
    # E_i E_j - p_i p_j = (E_i^2 E_j^2 - p_i^2 p_j^2) / (E_i E_j + p_i p_j), and p_i p_j (1 - cos) =
    # p_i p_j |n_i - n_j|^2 / 2
    sizes = p_i * p_j
    total = energy_i * energy_j + sizes
    squares = mass2_i * energy_j * energy_j + mass2_j * p_i * p_i
    return squares / jnp.where(total > 0, total, 1.0) + sizes * (apart * apart).sum(-1) / 2


def polar_frames(
    coefficients: Float[Array, "batch particle other 3"],
    momenta: Float[Array, "batch other 4"],
    products: Float[Array, "batch other other"],
) -> Float[Array, "batch particle 4 4"]:
    """Rest frame of the first vector, axes along the second and third; the vectors are sum_j c_j
    p_j with c_j >= 0 for the first.

    Vectors without a rest frame or a direction (massless, parallel) get an arbitrary one, never a
    nan; their frames are Lorentz transformations too, but not equivariant ones, which do not exist.
    """
    vectors = einsum("bijk,bjm->bkim", coefficients, momenta)
    of_first, of_others = coefficients[..., 0], coefficients[..., 1:]
    energies = einsum("bij,bjl->bil", of_first, products)  # of p_l at rest, times the mass
    mass, u0, u = four_velocity(vectors[:, 0, :, 1:], (energies * of_first).sum(-1))
    per_mass = of_others / mass[..., None, None]
    time, scale = ((energies[..., None] * c).sum(2) for c in (per_mass, jnp.abs(per_mass)))
    rest = to_rest(vectors[:, 1:], u0[:, None], u[:, None], jnp.moveaxis(time, 2, 1))
    axes = _axes(rest / (jnp.moveaxis(scale, 2, 1)[..., None] + FLOOR))
    along = einsum("bikm,bim->bik", axes, u)
    rows = axes + along[..., None] * (u / (1 + u0)[..., None])[:, :, None]
    time_row = jnp.concatenate([u0[..., None], -u], -1)[:, :, None]
    space_rows = jnp.concatenate([-along[..., None], rows], -1)
    return jnp.concatenate([time_row, space_rows], 2)


def four_velocity(
    p: Float[Array, "*batch 3"], mass2: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch 3"]]:
    """Mass and (gamma, gamma beta) of a system; one too light for a rest frame gets a mass, and
    gamma = 3e3 in single, 8e4 in double precision.
    """
    lightest = jnp.finfo(p.dtype).eps ** (1 if p.dtype.itemsize < 8 else 0.625)
    mass = jnp.sqrt(jnp.maximum(mass2, (p * p).sum(-1) * lightest + FLOOR))
    u = p / mass[..., None]
    # on the mass shell to rounding, whatever the mass: boosts are then Lorentz transformations
    return mass, jnp.sqrt(1 + (u * u).sum(-1)), u


def to_rest(
    vectors: Float[Array, "*batch 4"],
    u0: Float[Array, "*#batch"],
    u: Float[Array, "*#batch 3"],
    time: Float[Array, "*batch"],
) -> Float[Array, "*batch 3"]:
    """Spatial part in the rest frame of the four-velocity u of vectors whose time component there
    is known: x - u (t + t') / (1 + u_0).
    """
    return vectors[..., 1:] - u * ((vectors[..., 0] + time) / (1 + u0))[..., None]


def _axes(vectors: Float[Array, "batch 2 particle 3"]) -> Float[Array, "batch particle 3 3"]:
    """Right-handed orthonormal axes by Gram-Schmidt; vectors of order one.

    Once is not orthogonal to rounding where the two are nearly parallel: what is left of the second
    vector then has few digits. The second time is a step of its own, of a loop, so that it starts
    from stored numbers. In one expression it does not help: XLA computes what is left anew wherever
    it is used, each time with other fused multiply-adds and so with other digits.
    """
    beam = jnp.zeros_like(vectors[:, 0]).at[..., 2].set(1.0)

    def gram_schmidt(pair: Array, _: None) -> tuple[Array, None]:
        first = _unit(pair[:, 0], beam)
        # what stands in for a second vector without a direction of its own: the coordinate axis
        # furthest from the first
        furthest = jax.nn.one_hot(jnp.argmin(jnp.abs(first), -1), 3, dtype=first.dtype)
        instead = _unit(_across(furthest, first), furthest)
        second = _unit(_across(_unit(pair[:, 1], furthest), first), instead)
        return jnp.stack([first, second], 1), None

    pair, _ = jax.lax.scan(gram_schmidt, vectors, length=2)
    first, second = pair[:, 0], pair[:, 1]
    return jnp.stack([first, second, jnp.cross(first, second)], 2)


def _across(
    x: Float[Array, "*batch 3"], axis: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    return x - (x * axis).sum(-1, keepdims=True) * axis


def _unit(
    x: Float[Array, "*batch 3"], otherwise: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    """Direction x / |x|, or another direction where x is rounding noise."""
    size2 = (x * x).sum(-1, keepdims=True)
    there = size2 > (10 * jnp.finfo(x.dtype).eps) ** 2
    return jnp.where(there, x / jnp.sqrt(jnp.where(there, size2, 1.0)), otherwise)


def inverse(frames: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 4 4"]:
    """Inverse of Lorentz transformations, g L^T g, exact."""
    metric = jnp.asarray([1.0, -1.0, -1.0, -1.0], frames.dtype)
    signs = jnp.broadcast_to(metric[:, None] * metric[None], frames.shape)
    return jnp.swapaxes(frames, -1, -2) * signs


def lab_references(dtype: Any = jnp.float32) -> Float[Array, "3 4"]:
    """What the laboratory singles out: its time direction and the two beams."""
    return jnp.asarray([[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, -1]], dtype)
