"""Equivariant layers on multivectors: linear map, norm, gate, geometric product (arXiv:2405.14806,
arXiv:2411.00446).

The pseudoscalar I = e0123 squares to -1 and plays the imaginary unit: sixteen real components are
eight pairs e_j (x_j + y_j I), with e_j one of 1 (scalar), e0 e1 e2 e3 (vector), e01 e02 e03
(bivector); y is the pseudoscalar, the axial vector, the magnetic part. A Lorentz-equivariant linear
map then is a matrix on the (x, y) channels of each of the three kinds, and plain scalars are
further channels of the first. Components come first and events last in memory: a linear map is one
batched matrix product, and everything else is arithmetic on long vectors.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.nets.algebra import BLADES, GRADES, blade_product

NORM_FLOOR = 0.01  # light-like multivectors have norm zero: they are not blown up
# e_j I is this times component 15 - j
DUAL_SIGNS = tuple(blade_product(blade, BLADES[15])[1] for blade in BLADES[:8])
COMMUTES = tuple(-1 if grade == 1 else 1 for grade in GRADES[:8])  # I e_j is this times e_j I
SQUARES = tuple(blade_product(blade, blade)[1] for blade in BLADES[:8])
# of e_j and e_j I, which square to +-1
INVERSES = tuple((s, -s * commutes) for s, commutes in zip(SQUARES, COMMUTES, strict=True))


class Features(NamedTuple):
    """Multivectors as pairs (x, y) of e_j (x + y I), and plain scalars; the trailing axes are token
    and event, or head, token and event.
    """

    scalar: Float[Array, "row *rest"]  # scalars, pseudoscalars, plain scalars
    tensor: Float[Array, "7 2 channel *rest"]  # the vector's four, then the bivector's three pairs

    @property
    def channels(self) -> int:
        """Multivector channels."""
        return self.tensor.shape[2]


def split(
    multivectors: Float[Array, "*batch token channel 16"],
    scalars: Float[Array, "*batch token plain"] | None,
) -> Features:
    """Pairs from components, events last."""
    tokens, channels = multivectors.shape[-3:-1]
    x = multivectors.reshape(-1, tokens, channels, 16).transpose(3, 2, 1, 0)
    pairs = jnp.stack([x[:8], x[:7:-1] * _dual_signs(x)], axis=1)
    rows = [pairs[0].reshape(2 * channels, *x.shape[2:])]
    if scalars is not None:
        rows.append(scalars.reshape(-1, tokens, scalars.shape[-1]).transpose(2, 1, 0))
    return Features(jnp.concatenate(rows), pairs[1:])


def join(
    x: Features,
) -> tuple[Float[Array, "event token channel 16"], Float[Array, "event token plain"]]:
    """Components from pairs, events first."""
    pairs = jnp.concatenate([x.scalar[: 2 * x.channels].reshape(1, *x.tensor.shape[1:]), x.tensor])
    components = jnp.concatenate([pairs[:, 0], (pairs[:, 1] * _dual_signs(pairs))[::-1]])
    return components.transpose(3, 2, 1, 0), x.scalar[2 * x.channels :].transpose(2, 1, 0)


def _dual_signs(x: Array) -> Float[Array, "8 1 1 1"]:
    return jnp.asarray(DUAL_SIGNS, x.dtype).reshape(8, 1, 1, 1)


class Linear(NamedTuple):
    """Parameters of an equivariant linear map; rows are outputs, columns inputs, of each all x,
    then all y, then plain scalars.
    """

    scalar: Float[Array, "2*out+out_plain 2*channel+plain"]
    vector: Float[Array, "2*out 2*channel"]
    bivector: Float[Array, "2 out channel"]  # real and imaginary part: bivectors commute with I
    bias: Float[Array, "2*out+out_plain"]  # or empty


def linear_ranges(
    inputs: tuple[int, int],
    outputs: tuple[int, int],
    *,
    bias: bool = True,
    gain: float = 1.0,
    plain_gain: float = 1.0,
    around_one: bool = False,
) -> Linear:
    """Ranges [low or high, ...] of uniform weights that keep the variance; plain scalars, where
    there are any, bring half of that of the scalars.

    Args:
        inputs: multivector channels and plain scalars.
        outputs: the same.
        bias: of scalars, pseudoscalars and plain scalars.
        gain: of multivector outputs.
        plain_gain: of plain outputs.
        around_one: whether the scalar part starts around 1.
    """
    (mv, s), (out, out_s) = inputs, outputs
    half = math.sqrt(0.5) if s else 1.0
    rows = [2 * out, out_s]
    from_mv = np.repeat([gain / math.sqrt(mv), plain_gain / math.sqrt(2 * mv)], rows)
    from_s = np.repeat([gain, plain_gain], rows) / math.sqrt(max(s, 1))
    scalar = [np.repeat(from_mv[:, None], 2 * mv, axis=1), np.repeat(from_s[:, None], s, axis=1)]
    offset = [1 / math.sqrt(mv + s) if s else 0.0, plain_gain / math.sqrt(2 * mv + s)]
    bounds: list[Any] = [
        half * np.concatenate(scalar, axis=1),
        np.full((2 * out, 2 * mv), gain / math.sqrt(mv)),
        np.full((2, out, mv), gain / math.sqrt(mv)),
        np.repeat(offset, rows) if bias else np.zeros(0),
    ]
    low_and_high: list[Any] = [np.stack([-bound, bound]) for bound in bounds]
    ranges = Linear(*low_and_high)
    if around_one:
        ranges = ranges._replace(bias=ranges.bias + (np.arange(2 * out + out_s) < out))
    return ranges


@jax.jit
def draw(key: PRNGKeyArray, ranges: Any) -> Any:
    """Uniform weights of a tree of ranges [low or high, ...]."""
    leaves, structure = jax.tree.flatten(ranges)
    ends = np.cumsum([low.size for low, _ in leaves])
    draws = jnp.split(jax.random.uniform(key, (int(ends[-1]),), jnp.float32), ends[:-1])
    weights = [
        low + (high - low) * uniform.reshape(low.shape)
        for (low, high), uniform in zip(leaves, draws, strict=True)
    ]
    return jax.tree.unflatten(structure, [weight.astype(jnp.float32) for weight in weights])


def linear(params: Linear, x: Features, *, parity: bool) -> Features:
    """Most general equivariant linear map of multivectors and plain scalars; with `parity` x and y
    do not mix.
    """
    if parity:
        params = _without_mixing(params)
    rest, out = x.scalar.shape[1:], params.bivector.shape[1]
    real, imaginary = params.bivector
    of_real, of_imaginary = jnp.concatenate([real, imaginary]), jnp.concatenate([-imaginary, real])
    bivector = jnp.concatenate([of_real, of_imaginary], axis=1)
    weights, inputs = params.scalar, x.scalar.reshape(len(x.scalar), -1)
    if params.bias.size:
        # a constant input: XLA would repeat an addition in each of the many loops that read its
        # result
        weights = jnp.concatenate([weights, params.bias[:, None]], axis=1)
        inputs = jnp.concatenate([inputs, jnp.ones_like(inputs[:1])])
    scalar = weights @ inputs
    matrices = jnp.stack([params.vector] * 4 + [bivector] * 3)
    tensor = jnp.matmul(matrices, x.tensor.reshape(7, 2 * x.channels, -1))
    return Features(scalar.reshape(-1, *rest), tensor.reshape(7, 2, out, *rest))


def _without_mixing(params: Linear) -> Linear:
    out, channels = params.bivector.shape[1:]
    row, column = (
        np.arange(size) // half == 1
        for size, half in zip(params.scalar.shape, (out, channels), strict=True)
    )
    same = row[:, None] == column[None]
    return Linear(
        jnp.where(same, params.scalar, 0.0),
        jnp.where(same[: 2 * out, : 2 * channels], params.vector, 0.0),
        params.bivector.at[1].set(0.0),
        jnp.where(row, 0.0, params.bias) if params.bias.size else params.bias,
    )


def norm(x: Features) -> Features:
    """Multivectors over the root of their mean norm, layer norm of plain scalars."""
    scale = norm_scale(x)
    return Features(normed_scalar(x, scale), x.tensor * scale[None, None, None])


def normed_scalar(x: Features, scale: Float[Array, "*rest"]) -> Float[Array, "row *rest"]:
    """Scalars and pseudoscalars times the scale, layer norm of plain scalars."""
    rows, plain = x.scalar[: 2 * x.channels] * scale[None], x.scalar[2 * x.channels :]
    return jnp.concatenate([rows, layer_norm(plain)]) if len(plain) else rows


def norm_scale(x: Features) -> Float[Array, "*rest"]:
    """One over the root of the mean over channels of the absolute norms of the five grades."""
    signs = jnp.asarray(SQUARES[1:], x.tensor.dtype).reshape(7, *[1] * (x.tensor.ndim - 1))
    squares = x.tensor**2 * signs
    # of vector and axial vector; of magnetic and electric part, whose difference is invariant
    vector, bivector = squares[:4].sum(0), squares[4:].sum(0)
    scalar_norms = (x.scalar[: 2 * x.channels] ** 2).sum(0)
    bivector_norms = jnp.abs(bivector[0] - bivector[1]).sum(0)
    norms = scalar_norms + jnp.abs(vector).sum((0, 1)) + bivector_norms
    return jax.lax.rsqrt(jnp.maximum(norms / x.channels, NORM_FLOOR))


def layer_norm(x: Float[Array, "plain *rest"]) -> Float[Array, "plain *rest"]:
    """Mean 0 and variance 1 over the channels."""
    centred = x - x.mean(0, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(0, keepdims=True) + 1e-5)


def geometric_product(left: Features, right: Features) -> Features:
    """Product of the multivectors channel by channel, without plain scalars."""
    x, y = (
        jnp.concatenate([f.scalar[: 2 * f.channels].reshape(1, *f.tensor.shape[1:]), f.tensor])
        for f in (left, right)
    )
    product = PRODUCT.bind(x, y, axis=0)
    return Features(product[0].reshape(-1, *product.shape[3:]), product[1:])


def _pair_table() -> list[tuple[int, int, int, int, bool]]:
    """Rows (i, j, k, sign, turned): e_i e_j = sign e_k, times I if turned."""
    rows = []
    for i in range(8):
        for j in range(8):
            blade, sign = blade_product(BLADES[i], BLADES[j])
            index = BLADES.index(blade)
            turned = index >= 8
            k = 15 - index if turned else index
            rows.append((i, j, k, sign * DUAL_SIGNS[k] if turned else sign, turned))
    return rows


PAIR_TABLE = _pair_table()


def _product(x: Array, y: Array, *, axis: int) -> Array:
    """Complex products e_i (a + b I) e_j (c + d I) = e_i e_j ((a c - t b d) + (a d + t b c) I),
    where I e_j = t e_j I; pairs at `axis`.
    """
    left, right = (jnp.moveaxis(z, (axis, axis + 1), (0, 1)) for z in (x, y))
    real, imaginary = [0.0] * 8, [0.0] * 8
    for i, j, k, sign, turned in PAIR_TABLE:
        (a, b), (c, d) = left[i], right[j]
        re, im = a * c - COMMUTES[j] * (b * d), a * d + COMMUTES[j] * (b * c)
        if turned:
            re, im = -im, re
        real[k] = real[k] + sign * re
        imaginary[k] = imaginary[k] + sign * im
    components = [component for pair in zip(real, imaginary, strict=True) for component in pair]
    return jnp.stack(components, axis=axis).reshape(x.shape)


def _inverse(x: Array, axis: int) -> Array:
    """Each component as that of its blade's inverse: the sum over components of g (x y) is that of
    (g y*) x and of (x* g) y.
    """
    signs = jnp.array(INVERSES, x.dtype).reshape(*[1] * axis, 8, 2, *[1] * (x.ndim - axis - 2))
    return x * signs


def _product_of_batch(
    factors: tuple[Array, Array], dims: tuple[int | None, int | None], *, axis: int
) -> tuple[Array, int]:
    size = next(x.shape[dim] for x, dim in zip(factors, dims, strict=True) if dim is not None)
    x, y = (
        jnp.broadcast_to(x, (size, *x.shape)) if dim is None else jnp.moveaxis(x, dim, 0)
        for x, dim in zip(factors, dims, strict=True)
    )
    return PRODUCT.bind(x, y, axis=axis + 1), 0


def _product_primitive() -> Primitive:
    """A derivative written by hand, as what JAX derives from 256 terms is slow; custom_vjp would
    forbid forward derivatives, which densities need.
    """
    product = Primitive("geometric_product")
    product.def_impl(jax.jit(_product, static_argnames="axis"))
    product.def_abstract_eval(lambda x, y, *, axis: x)
    ad.defbilinear(
        product,
        lambda g, x, y, *, axis: product.bind(g, _inverse(y, axis), axis=axis),
        lambda g, x, y, *, axis: product.bind(_inverse(x, axis), g, axis=axis),
    )
    batching.primitive_batchers[product] = _product_of_batch
    mlir.register_lowering(product, mlir.lower_fun(_product, multiple_results=False))
    return product


PRODUCT = _product_primitive()
