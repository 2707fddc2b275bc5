"""L-GATr, the Lorentz-equivariant transformer on multivectors (arXiv:2405.14806,
arXiv:2411.00446).
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from amplify.errors import InputError
from amplify.nets import multivectors as mv
from amplify.nets.multivectors import Features
from amplify.nets.precision import in_full_precision

NONLINEARITIES = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
}


@dataclass(frozen=True)
class LGATrConfig:
    """Sizes and settings; the defaults are those of the package lgatr 2.0, `published` has those of
    arXiv:2411.00446.

    Attributes:
        in_mv: multivector channels of the input.
        out_mv: multivector channels of the output.
        hidden_mv: multivector channels in between.
        in_s: plain scalars of the input, 0 for none.
        out_s: plain scalars of the output, 0 for none.
        hidden_s: plain scalars in between, 0 for none.
        blocks: transformer blocks.
        heads: attention heads.
        attention_ratio: channels of all heads over hidden channels; a head has at least one
            multivector and four plain scalars.
        multi_query: one set of keys and values for all heads.
        head_scale: a learned factor per head (arXiv:2110.09456).
        mlp_ratio: hidden channels of the geometric MLP over hidden channels.
        mlp_layers: linear layers of the MLP; the geometric product counts as one, and the last has
            no nonlinearity.
        nonlinearity: relu, sigmoid, tanh, gelu or silu of the scalar part, which multiplies the
            multivector.
        affine_norm: learned gains per channel and grade after the norms in front of attention and
            MLP.
        parity: equivariance under the whole Lorentz group; without it scalars mix with
            pseudoscalars and vectors with axial vectors (`subgroup` in lgatr).
        reinsert_mv: multivector channels of the input that all queries, keys and values see again.
        reinsert_s: scalar channels of the input that they see again.
    """

    in_mv: int
    out_mv: int
    hidden_mv: int = 16
    in_s: int = 0
    out_s: int = 0
    hidden_s: int = 32
    blocks: int = 6
    heads: int = 8
    attention_ratio: int = 1
    multi_query: bool = False
    head_scale: bool = False
    mlp_ratio: int = 4
    mlp_layers: int = 2
    nonlinearity: str = "gelu"
    affine_norm: bool = True
    parity: bool = False
    reinsert_mv: tuple[int, ...] = ()
    reinsert_s: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        channels = ("in_mv", "out_mv", "hidden_mv")
        for name in (*channels, "blocks", "heads", "attention_ratio", "mlp_ratio", "mlp_layers"):
            if (value := getattr(self, name)) < 1:
                fix = "an L-GATr without it computes nothing"
                raise InputError(name, "at least 1", str(value), fix)
        for name in ("in_s", "out_s", "hidden_s"):
            if (value := getattr(self, name)) < 0:
                raise InputError(name, "0 or more scalar channels", str(value), "use 0 for none")
        if self.nonlinearity not in NONLINEARITIES:
            known = ", ".join(NONLINEARITIES)
            raise InputError("nonlinearity", known, self.nonlinearity, "choose one of these")
        for name, size in (("reinsert_mv", self.in_mv), ("reinsert_s", self.in_s)):
            again = getattr(self, name)
            if any(not 0 <= channel < size for channel in again):
                fix = "name channels of the input"
                raise InputError(name, f"channels below {size}", str(again), fix)

    @property
    def head_mv(self) -> int:
        """Multivector channels of one head."""
        return max(self.attention_ratio * self.hidden_mv // self.heads, 1)

    @property
    def head_s(self) -> int:
        """Plain scalars of one head."""
        return max(self.attention_ratio * self.hidden_s // self.heads, 4) if self.hidden_s else 0


def published(**sizes: Any) -> LGATrConfig:
    """The settings of the paper's code: attention and MLP ratio 2, norms without gains; the rest as
    in LGATrConfig (arXiv:2411.00446).
    """
    return LGATrConfig(**{"attention_ratio": 2, "mlp_ratio": 2, "affine_norm": False, **sizes})


class LGATr(nn.Module):
    """Equivariant network from multivectors and scalars per token to multivectors and scalars per
    token.

    Attributes:
        config: sizes and settings.
    """

    config: LGATrConfig

    @nn.compact
    @in_full_precision
    def __call__(
        self,
        multivectors: Float[Array, "*batch token in_mv 16"],
        scalars: Float[Array, "*batch token in_s"] | None = None,
    ) -> tuple[Float[Array, "*batch token out_mv 16"], Float[Array, "*batch token out_s"] | None]:
        """Output multivectors and scalars (None if the config has no output scalars)."""
        config, batch = self.config, multivectors.shape[:-2]
        _check_inputs(config, multivectors, scalars)
        ranges = _ranges(config)
        names = ("linear_in", "blocks", "linear_out")
        linear_in, blocks, linear_out = (self.param(name, mv.draw, ranges[name]) for name in names)
        shape, plain_shape = (*batch, config.out_mv, 16), (*batch, config.out_s)
        if self.is_initializing():
            # shapes of parameters do not depend on the input: no need to run the network
            zeros, plain = (jnp.zeros(s, multivectors.dtype) for s in (shape, plain_shape))
            return zeros, plain if config.out_s else None
        x = mv.split(multivectors, scalars)
        again = _take(x, config)
        x = mv.linear(linear_in, x, parity=config.parity)
        # memory traffic, not arithmetic, sets the speed: a backward pass computes a block anew from
        # its input rather than reading all that was in between
        run = jax.checkpoint(lambda x, params: block(params, x, again, config))
        x, _ = jax.lax.scan(lambda x, params: (run(x, params), None), x, blocks)
        out, plain = mv.join(mv.linear(linear_out, x, parity=config.parity))
        return out.reshape(shape), plain.reshape(plain_shape) if config.out_s else None


def _check_inputs(config: LGATrConfig, multivectors: Array, scalars: Array | None) -> None:
    if multivectors.ndim < 3 or multivectors.shape[-2:] != (config.in_mv, 16):
        raise InputError(
            "multivectors",
            f"shape [..., token, {config.in_mv}, 16]",
            str(list(multivectors.shape)),
            "embed vectors with amplify.nets.algebra",
        )
    expected = (*multivectors.shape[:-2], config.in_s)
    if scalars is None and config.in_s == 0:
        return
    if scalars is None or scalars.shape != expected:
        raise InputError(
            "scalars",
            f"shape {list(expected)}",
            str(None if scalars is None else list(scalars.shape)),
            "give in_s scalars per token",
        )


def _ranges(config: LGATrConfig) -> dict[str, Any]:
    """Ranges of the starting weights; those of the blocks are stacked."""
    hidden = (config.hidden_mv, config.hidden_s)
    inside = (config.mlp_ratio * config.hidden_mv, config.mlp_ratio * config.hidden_s)
    widths = [hidden, *[inside] * (config.mlp_layers - 1), hidden]  # of the MLP, layer by layer
    factor = (widths[1][0], 0)
    normed = (
        config.hidden_mv + len(config.reinsert_mv),
        config.hidden_s + len(config.reinsert_s),
    )
    groups = config.heads + 2 * (1 if config.multi_query else config.heads)  # queries, keys, values
    grouped = (groups * config.head_mv, groups * config.head_s)
    heads = (config.heads * config.head_mv, config.heads * config.head_s)
    block: dict[str, Any] = {
        "qkv": mv.linear_ranges(normed, grouped, bias=False),
        "attention_out": mv.linear_ranges(heads, hidden, gain=0.1, plain_gain=0.1),
        "left": mv.linear_ranges(hidden, factor),
        # near one: the product starts as the left factor
        "right": mv.linear_ranges(hidden, factor, gain=0.5, around_one=True),
        "product": mv.linear_ranges((widths[1][0], hidden[1]), widths[1]),
        "mlp": [mv.linear_ranges(a, b) for a, b in itertools.pairwise(widths[1:])],
    }
    if config.affine_norm:
        gains = np.ones((2, config.hidden_mv, 5)), np.ones((2, config.hidden_s))
        block |= {"gain_attention": gains, "gain_mlp": gains}
    if config.head_scale:
        block["head_scale"] = np.ones((2, config.heads))
    return {
        "linear_in": mv.linear_ranges((config.in_mv, config.in_s), hidden),
        "blocks": jax.tree.map(lambda x: np.repeat(x[:, None], config.blocks, axis=1), block),
        "linear_out": mv.linear_ranges(hidden, (config.out_mv, config.out_s)),
    }


def block(params: Mapping[str, Any], x: Features, again: Features, config: LGATrConfig) -> Features:
    """Attention, then the geometric MLP, each on normed features and added to x; `again` holds
    input channels that queries, keys and values see anew.
    """
    x = _add(x, _attention(params, _norm(x, params.get("gain_attention")), again, config))
    return _add(x, _mlp(params, _norm(x, params.get("gain_mlp")), config))


def _add(x: Features, y: Features) -> Features:
    return Features(x.scalar + y.scalar, x.tensor + y.tensor)


def _norm(x: Features, gains: tuple[Array, Array] | None) -> Features:
    """Norm, then gains [channel, grade] of multivectors and [plain] of plain scalars."""
    x = mv.norm(x)
    if gains is None:
        return x
    grade, plain = gains[0].T, gains[1]
    vector, bivector = jnp.stack([grade[1], grade[3]]), jnp.stack([grade[2], grade[2]])
    tensor = jnp.stack([vector] * 4 + [bivector] * 3)
    scalar = jnp.concatenate([grade[0], grade[4], plain])
    return Features(x.scalar * scalar[:, None, None], x.tensor * tensor[..., None, None])


def _mlp(params: Mapping[str, Any], x: Features, config: LGATrConfig) -> Features:
    """Linear map of the geometric product of two linear maps; then a perceptron whose nonlinearity
    is a gate.
    """
    factors = (mv.linear(params[side], x, parity=config.parity) for side in ("left", "right"))
    product = mv.geometric_product(*factors)
    plain = x.scalar[2 * x.channels :]
    product = product._replace(scalar=jnp.concatenate([product.scalar, plain]))
    x = mv.norm(mv.linear(params["product"], product, parity=config.parity))
    for weights in params["mlp"]:
        x = mv.linear(weights, _gate(x, config.nonlinearity), parity=config.parity)
    return x


def _gate(x: Features, nonlinearity: str) -> Features:
    """Multivectors times the nonlinearity of their scalar part."""
    function = NONLINEARITIES[nonlinearity]
    scalars, pseudoscalars, plain = jnp.split(x.scalar, [x.channels, 2 * x.channels])
    gate = function(scalars)
    rows = jnp.concatenate([scalars * gate, pseudoscalars * gate, function(plain)])
    return Features(rows, x.tensor * gate[None, None])


def _attention(
    params: Mapping[str, Any], x: Features, again: Features, config: LGATrConfig
) -> Features:
    """Weights from the invariant inner product of normed queries and keys, that of their plain
    scalars included.
    """
    heads, channels, rest = config.heads, config.head_mv, x.scalar.shape[1:]
    qkv = mv.linear(params["qkv"], _append(x, again), parity=config.parity)
    groups = qkv.channels // channels
    qkv = Features(
        qkv.scalar.reshape(-1, groups, *rest), qkv.tensor.reshape(7, 2, channels, groups, *rest)
    )
    scale = mv.norm_scale(qkv)
    ends = [heads, heads + (groups - heads) // 2]  # queries, keys, values
    scalar = jnp.split(mv.normed_scalar(qkv, scale), ends, axis=1)
    tensor = jnp.split(qkv.tensor.reshape(14 * channels, groups, *rest), ends, axis=1)
    if config.multi_query:
        scalar, tensor = (
            [queries, *(jnp.broadcast_to(shared, queries.shape) for shared in keys_values)]
            for queries, *keys_values in (scalar, tensor)
        )
    # vectors and bivectors stay as they are: their norms multiply the far smaller matrices of
    # tokens
    of_query, of_key, of_value = jnp.split(scale, ends)
    scalar_signs, tensor_signs = (signs.astype(scale.dtype) for signs in _signs(config))
    of_both = of_query[:, :, None] * of_key[:, None]
    of_scalars = _inner(scalar[0] * scalar_signs, scalar[1])
    logits = of_scalars + _inner(tensor[0] * tensor_signs, tensor[1]) * of_both
    weights = jax.nn.softmax(logits / math.sqrt(16 * channels + config.head_s), axis=2)
    if config.head_scale:
        weights = weights * params["head_scale"][:, None, None, None]
    mixed_scalar = _average(weights, scalar[2]).reshape(-1, *rest)
    mixed_tensor = _average(weights * of_value[:, None], tensor[2])
    mixed = Features(mixed_scalar, mixed_tensor.reshape(7, 2, channels * heads, *rest))
    return mv.linear(params["attention_out"], mixed, parity=config.parity)


def _inner(
    q: Float[Array, "feature head query event"], k: Float[Array, "feature head key event"]
) -> Float[Array, "head query key event"]:
    return jnp.einsum("fhie,fhje->hije", q, k)


def _average(
    weights: Float[Array, "head query key event"], v: Float[Array, "feature head key event"]
) -> Float[Array, "feature head query event"]:
    return jnp.einsum("hije,fhje->fhie", weights, v)


def _signs(config: LGATrConfig) -> tuple[Array, Array]:
    """Signs of features in the inner product; the partner y of a component x has the opposite sign,
    as I squares to -1.
    """
    pair, reverse = np.array([1.0, -1.0]), np.array([1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0])
    tensor = np.broadcast_to(reverse[:, None, None] * pair[:, None], (7, 2, config.head_mv))
    scalar = np.concatenate([np.repeat(pair, config.head_mv), np.ones(config.head_s)])
    return jnp.asarray(scalar)[:, None, None, None], jnp.asarray(tensor.reshape(-1, 1, 1, 1))


def _take(x: Features, config: LGATrConfig) -> Features:
    """Input channels that every block sees again."""
    mv_rows, plain = np.array(config.reinsert_mv, int), np.array(config.reinsert_s, int)
    rows = np.concatenate([mv_rows, config.in_mv + mv_rows, 2 * config.in_mv + plain])
    return Features(x.scalar[rows], x.tensor[:, :, mv_rows])


def _append(x: Features, more: Features) -> Features:
    """Further channels behind those of x."""
    if not len(more.scalar):
        return x
    rest = x.scalar.shape[1:]
    pairs = [y.scalar[: 2 * y.channels].reshape(2, y.channels, *rest) for y in (x, more)]
    plain = [y.scalar[2 * y.channels :] for y in (x, more)]
    scalar = jnp.concatenate([jnp.concatenate(pairs, axis=1).reshape(-1, *rest), *plain])
    return Features(scalar, jnp.concatenate([x.tensor, more.tensor], axis=2))
