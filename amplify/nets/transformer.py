"""Transformer over a few particles: pre-norm blocks of self-attention and a GELU perceptron.

With local frames, a part of each attention head's features are four-vectors which particles send
each other through the global frame: the same blocks are then the backbone of LLoCa
(arXiv:2505.20280). Without them it is the usual transformer (arXiv:1706.03762, arXiv:2002.04745).
"""

from functools import partial
from math import prod
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.nets.precision import in_full_precision
from amplify.nets.variational import NOISE, flipped_affine, with_noise

EPS = 1e-5  # of the layer norm


class TransformerConfig(NamedTuple):
    """Size of the network.

    Attributes:
        width: features per token between blocks, a multiple of `heads`.
        blocks: attention and perceptron, this many times.
        heads: attention heads of width / heads features each.
        mlp_ratio: hidden width of the perceptrons in units of `width`.
        vectors: how many four-vectors are among the features of a head where there are frames; the
            others are scalars.
    """

    width: int = 64
    blocks: int = 4
    heads: int = 8
    mlp_ratio: int = 4
    vectors: int = 0

    def checked(self) -> "TransformerConfig":
        """Itself.

        Raises:
            InputError: the heads do not divide the width, or the vectors do not fit into a head.
        """
        if self.width % self.heads:
            raise InputError(
                "width of the transformer",
                f"a multiple of its {self.heads} heads",
                str(self.width),
                "change one of the two",
            )
        head_width = self.width // self.heads
        if 4 * self.vectors > head_width:
            raise InputError(
                "vectors per head of the transformer",
                f"at most its width of {head_width}",
                f"{self.vectors}, {4 * self.vectors} numbers",
                "take fewer vectors or heads",
            )
        return self


class Transport(NamedTuple):
    """How the four-vectors of a head travel: p_global = to_global p_local, and back."""

    to_global: Float[Array, "*batch token 4 4"]
    to_local: Float[Array, "*batch token 4 4"]


class Transformer(nn.Module):
    """Linear in, blocks, linear out; equivariant under permutations of the tokens.

    Attributes:
        out: features per token that come out.
        config: size.
        out_scale: of the initial weights of the last layer; with 0 the output starts at zero.
    """

    out: int
    config: TransformerConfig = TransformerConfig()
    out_scale: float = 1.0

    @nn.compact
    @in_full_precision
    def __call__(
        self, tokens: Float[Array, "*batch token features"], transport: Transport | None = None
    ) -> Float[Array, "*batch token {self.out}"]:
        """Output per token, in the token's frame; tokens carry what tells them apart (one-hot, time
        embedding) in their features.

        Raises:
            InputError: the settings contradict each other.
        """
        c, (*batch, n, n_features) = self.config.checked(), tokens.shape
        hidden = c.mlp_ratio * c.width
        blocks = {
            "qkv": (c.width, 3 * c.width),
            "merge": (c.width, c.width),
            "up": (c.width, hidden),
            "down": (hidden, c.width),
        }
        shapes = {"in": (n_features, c.width), "out": (c.width, self.out)}
        shapes |= {name: (c.blocks, *shape) for name, shape in blocks.items()}
        layers = dense_layers(self, shapes, tokens.dtype, {"out": self.out_scale})
        if self.is_initializing():
            # one by one the operations below would be compiled for half a minute
            return jnp.zeros((*batch, n, self.out), tokens.dtype)
        # rows of all tokens: products with kernels, and above all those of the way back, are then
        # plain ones
        x = affine(tokens.reshape(prod(batch) * n, -1), layers["in"], n)
        if transport is not None:
            frames = (m.reshape(prod(batch), *m.shape[-3:]).astype(x.dtype) for m in transport)
            transport = Transport(*frames)
        block = partial(_block, transport=transport, config=c, n=n)
        in_blocks = {name: layers[name] for name in blocks}
        x = jax.lax.scan(lambda x, layers: (block(x, layers), None), x, in_blocks)[0]
        return affine(x, layers["out"], n).reshape(*batch, n, self.out)


Layer = dict[str, Any]  # "kernel", "bias"


def dense_layers(
    module: nn.Module,
    shapes: dict[str, tuple[int, ...]],
    dtype: Any,
    scales: dict[str, float] | None = None,
) -> dict[str, Layer]:
    """Parameters "layers" of a module: affine maps, or stacks of them, by name.

    They start like PyTorch's, but with biases of zero: uniform with a third of the variance of the
    inputs.

    Args:
        module: whose parameters they are.
        shapes: ([stack], in, out) of each.
        dtype: of all.
        scales: of initial kernels, where not one.
    """
    static = tuple(shapes.items()), dtype, tuple((scales or {}).items())
    return with_noise(module, "layers", module.param("layers", lambda key: _drawn(key, *static)))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _drawn(
    key: PRNGKeyArray,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    dtype: Any,
    scales: tuple[tuple[str, float], ...],
) -> dict[str, Layer]:
    """All kernels from one draw: each of its own takes a fifth of a second to compile."""
    counts = [prod(shape) for _, shape in shapes]
    uniform = jax.random.uniform(key, (sum(counts),), dtype, -1, 1)
    draws_by_layer = jnp.split(uniform, np.cumsum(counts)[:-1])
    layers = {}
    for (name, shape), draws in zip(shapes, draws_by_layer, strict=True):
        bound = dict(scales).get(name, 1.0) / max(shape[-2], 1) ** 0.5
        bias = jnp.zeros((*shape[:-2], shape[-1]), dtype)
        layers[name] = {"kernel": (bound * draws).reshape(shape), "bias": bias}
    return layers


def affine(
    x: Float[Array, "*batch features"], layer: Layer, tokens: int = 1
) -> Float[Array, "*batch out"]:
    """Affine map x W + b, and the noise of the layer where it has some: the same one for this many
    neighbours along the first axis, the tokens of an event.
    """
    y = x @ layer["kernel"]
    y = y + jnp.broadcast_to(layer["bias"], y.shape)
    return y + flipped_affine(x, **layer[NOISE], rows=tokens) if NOISE in layer else y


@jax.custom_jvp
def gelu(x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Gaussian error linear unit x Phi(x) (arXiv:1606.08415).

    The derivative is kept for the way back, which otherwise computes two transcendental functions
    again: a fifth of a training step.
    """
    return jax.nn.gelu(x, approximate=False)


@gelu.defjvp
def _gelu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    cumulative = 0.5 + 0.5 * jax.lax.erf(x / np.sqrt(2).astype(x.dtype))
    x_density = x * jnp.exp(-0.5 * x * x) / np.sqrt(2 * np.pi).astype(x.dtype)
    return x * cumulative, (cumulative + x_density) * dx


def _block(
    x: Float[Array, "row width"],
    layers: dict[str, Layer],
    *,
    transport: Transport | None,
    config: TransformerConfig,
    n: int,
) -> Float[Array, "row width"]:
    qkv = affine(_normalised(x), layers["qkv"], n).reshape(len(x) // n, n, 3, config.heads, -1)
    mixed = _attention(qkv, transport, config.vectors).reshape(x.shape)
    x = x + affine(mixed, layers["merge"], n)
    return x + affine(gelu(affine(_normalised(x), layers["up"], n)), layers["down"], n)


def _normalised(x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    """Mean 0 and variance 1 over the features, without learned scale: the next layer has one."""
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + EPS)


def _attention(
    qkv: Float[Array, "batch token 3 head channel"], transport: Transport | None, vectors: int
) -> Float[Array, "batch token head channel"]:
    """Softmax attention; vectors meet in the global frame, where the score is their Minkowski
    product.
    """
    if transport is not None and vectors:
        qkv = _transported(qkv, transport.to_global, vectors)
    q, k, v = jnp.moveaxis(qkv, 2, 0)
    if transport is not None and vectors:
        metric = [1] * (k.shape[-1] - 4 * vectors) + [1, -1, -1, -1] * vectors
        k = k * jnp.asarray(metric, k.dtype)[None, None, None]
    scores = jnp.einsum("bihc,bjhc->bhij", q, k) / np.sqrt(q.shape[-1]).astype(q.dtype)
    mixed = jnp.einsum("bhij,bjhc->bihc", jax.nn.softmax(scores), v)
    if transport is not None and vectors:
        mixed = _transported(mixed[:, :, None], transport.to_local, vectors)[:, :, 0]
    return mixed


def _transported(
    x: Float[Array, "batch token set head channel"],
    frames: Float[Array, "batch token 4 4"],
    vectors: int,
) -> Float[Array, "batch token set head channel"]:
    """The last 4 `vectors` channels from one frame to another."""
    n = x.shape[-1] - 4 * vectors
    four_vectors = x[..., n:].reshape(*x.shape[:4], vectors, 4)
    moved = jnp.einsum("btmn,btshvn->btshvm", frames, four_vectors, precision="highest")
    return jnp.concatenate([x[..., :n], moved.reshape(*x.shape[:4], -1)], -1)
