"""Weights of the PyTorch packages lgatr 2.0 and lloca 2.0 for our networks.

Each function takes the `state_dict()` of a network there, tensors or arrays by name, and returns
what `init` of our network returns. All weights have to be used and to have the sizes that the
settings say, so that no weight is lost without a word. No network imports this file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify.errors import InputError
from amplify.nets.frames import FramesConfig
from amplify.nets.lgatr import LGATrConfig
from amplify.nets.lloca import LLoCaConfig
from amplify.nets.multivectors import Linear
from amplify.nets.transformer import TransformerConfig

State = Mapping[str, Any]
Variables = dict[str, Any]  # {"params": parameters}
Layer = dict[str, np.ndarray]  # kernel [in, out] and bias [out]


def lloca_from_torch(
    frames: State, transformer: State, config: LLoCaConfig, n_references: int = 0
) -> Variables:
    """Variables of `LLoCa` from the two networks of lloca 2.0.

    Its inputs are ours: features of the local momentum, of the references if seen, scalars; its
    outputs the components of the vectors, then scalars.

    Args:
        frames: of `LearnedPDFrames` with `MLPVectors`.
        transformer: of `backbone.transformer.Transformer`.
        config: of our network, of the same sizes.
        n_references: vectors given as references, further particles with scalars zero there.

    Raises:
        InputError: weights are missing, left over, or of other sizes than the config says.
    """
    networks = {
        "frames": frames_from_torch(frames, config.frames, n_references),
        "transformer": transformer_from_torch(transformer, config.transformer),
    }
    return {"params": {name: variables["params"] for name, variables in networks.items()}}


def frames_from_torch(state: State, config: FramesConfig, n_references: int) -> Variables:
    """Variables of `LocalFrames` from lloca's `LearnedPDFrames` with its `MLPVectors`, default
    options.

    Args:
        state: its weights.
        config: of our network, same hidden width and layers.
        n_references: vectors given as references; in lloca their scalars are zero.

    Raises:
        InputError: weights are missing, left over, or of other sizes than the config says.
    """
    block, hidden = "equivectors.block.", config.hidden
    sizes = [(None, hidden), *[(hidden, hidden)] * (config.layers - 1), (hidden, 3)]
    shapes = {f"{block}mlp.mlp.{2 * i}": size for i, size in enumerate(sizes)}
    first, *between, last = _dense_layers(state, shapes).values()
    # the input log m_ij, the last row of the first kernel, from their standardisation to ours
    mean, std = (float(np.asarray(state[f"{block}edge_{name}"])) for name in ("mean", "std"))
    of_mass = first["kernel"][-1]
    kernel = np.concatenate([first["kernel"][:-1], config.log_mass_std / std * of_mass[None]])
    bias = first["bias"] + (config.log_mass_mean - mean) / std * of_mass
    # ours are logits of the first vector, and what is added to them for the second and third
    weight = {
        name: np.concatenate([x[..., :1], x[..., 1:] - x[..., :1]], -1) for name, x in last.items()
    }
    layers = {
        "pair": {"kernel": kernel, "bias": bias},
        **{f"hidden_{i}": layer for i, layer in enumerate(between, 1)},
        "weight": weight,
    }
    reference = np.zeros((n_references, hidden), kernel.dtype)
    return {"params": jax.tree.map(jnp.asarray, {"layers": layers, "reference": reference})}


def transformer_from_torch(state: State, config: TransformerConfig) -> Variables:
    """Variables of `Transformer` from lloca's `backbone.transformer.Transformer`, default options.

    Args:
        state: its weights.
        config: of our network, of the same size.

    Raises:
        InputError: weights are missing, left over, or of other sizes than the config says.
    """
    c = config.checked()
    hidden = c.mlp_ratio * c.width
    in_block = {  # ours: theirs and its size
        "qkv": ("attention.qkv_linear.linear", (c.width, 3 * c.width)),
        "merge": ("attention.out_linear", (c.width, c.width)),
        "up": ("mlp.0", (c.width, hidden)),
        "down": ("mlp.3", (hidden, c.width)),
    }
    shapes: dict[str, tuple[int | None, int | None]] = {
        "linear_in": (None, c.width),
        "linear_out": (c.width, None),
    }
    for i in range(c.blocks):
        shapes |= {f"blocks.{i}.{theirs}": size for theirs, size in in_block.values()}
    theirs = _dense_layers(state, shapes)

    def stacked(name: str) -> Layer:
        layers = [theirs[f"blocks.{i}.{in_block[name][0]}"] for i in range(c.blocks)]
        return jax.tree.map(lambda *x: np.stack(x), *layers)

    def heads_before_channels(x: np.ndarray) -> np.ndarray:
        grouped = x.reshape(*x.shape[:-1], 3, c.width // c.heads, c.heads)
        return np.swapaxes(grouped, -1, -2).reshape(x.shape)

    layers = {"in": theirs["linear_in"], "out": theirs["linear_out"]}
    layers |= {name: stacked(name) for name in in_block}
    layers["qkv"] = jax.tree.map(heads_before_channels, layers["qkv"])
    return {"params": {"layers": jax.tree.map(jnp.asarray, layers)}}


def _dense_layers(state: State, shapes: Mapping[str, Sequence[int | None]]) -> dict[str, Layer]:
    """PyTorch's linear layers as ours: all of `state`, of the sizes (in, out) of `shapes`; None
    stands for any.

    Raises:
        InputError: the first layer that is missing, left over or of another size.
    """
    arrays = {n: np.asarray(x) for n, x in state.items() if n.endswith((".weight", ".bias"))}
    sizes = {
        name.removesuffix(".weight"): x.shape[::-1]
        for name, x in arrays.items()
        if name.endswith(".weight")
    }
    for name in sorted(sizes.keys() | shapes.keys()):
        expected, got = tuple(shapes.get(name, ())), sizes.get(name, ())
        fits = len(expected) == len(got) and all(
            want in (None, have) for want, have in zip(expected, got, strict=True)
        )
        if not fits:
            raise InputError(
                f"layer {name} of the weights",
                _size_in_words(expected),
                _size_in_words(got),
                "give the settings of the network that the weights come from",
            )
    return {
        name: {"kernel": arrays[f"{name}.weight"].T, "bias": arrays[f"{name}.bias"]}
        for name in shapes
    }


def _size_in_words(size: Sequence[int | None]) -> str:
    return "x".join("any" if n is None else str(n) for n in size) or "no such layer"


def lgatr_from_torch(state: State, config: LGATrConfig) -> Variables:
    """Variables of `LGATr` from `lgatr.LGATr`.

    Args:
        state: its weights.
        config: settings of the network that the weights come from.

    Raises:
        InputError: weights are missing, left over, or of other sizes than the config says.
    """
    weights = _Weights({name: np.asarray(value) for name, value in state.items()}, config.parity)
    linear_in, linear_out = (weights.take_map(name) for name in ("linear_in", "linear_out"))
    blocks = [_lgatr_block(weights, f"blocks.{i}.", config) for i in range(config.blocks)]
    if weights.unused:
        raise InputError(
            "state dict",
            "the weights of the given config",
            f"{next(iter(weights.unused))} left over",
            "give the config of the network it is from",
        )
    params = {
        "linear_in": linear_in.linear(),
        "blocks": jax.tree.map(lambda *layers: jnp.stack(layers), *blocks),
        "linear_out": linear_out.linear(),
    }
    return {"params": params}


def _lgatr_block(weights: "_Weights", prefix: str, config: LGATrConfig) -> dict[str, Any]:
    attention, mlp = f"{prefix}attention.", f"{prefix}mlp.layers."
    merge = weights.take_map(f"{attention}out_linear")
    block: dict[str, Any] = {
        "qkv": _queries_keys_values(weights, f"{attention}qkv_module.", config).linear(),
        "attention_out": _channels_before_heads(merge, config.heads).linear(),
        "left": weights.take_map(f"{mlp}0.linear_left").linear(),
        "right": weights.take_map(f"{mlp}0.linear_right").linear(),
        "product": weights.take_map(f"{mlp}0.linear_out").linear(),
        # odd layers are nonlinearities
        "mlp": [weights.take_map(f"{mlp}{2 * i}").linear() for i in range(1, config.mlp_layers)],
    }
    if config.affine_norm:
        for ours, theirs in (("gain_attention", "norm1"), ("gain_mlp", "norm2")):
            kinds = ("weight_mv", "weight_s")
            gains = (weights.take(f"{prefix}{theirs}.{kind}") for kind in kinds)
            block[ours] = tuple(jnp.asarray(gain) for gain in gains)
    if config.head_scale:
        block["head_scale"] = jnp.asarray(weights.take(f"{attention}head_scale"))
    return block


class _Map(NamedTuple):
    """An equivariant linear map by its basis: projections on the five grades, then the same
    followed by I.
    """

    mv: np.ndarray  # [projection, out, channel]
    from_plain: np.ndarray  # [scalar or pseudoscalar, out, plain]
    to_plain: np.ndarray  # [out_plain, scalar or pseudoscalar, channel]
    plain: np.ndarray  # [out_plain, plain]
    bias: np.ndarray  # [scalar or pseudoscalar, out], or empty
    plain_bias: np.ndarray  # [out_plain]

    def linear(self) -> Linear:
        """As matrices on all x, then all y, of e_j (x + y I); grade 3 is vector times I, and I
        squares to -1.
        """
        w = self.mv
        scalar = np.block(
            [
                [w[0], -w[9], self.from_plain[0]],
                [w[5], w[4], self.from_plain[1]],
                [self.to_plain[:, 0], self.to_plain[:, 1], self.plain],
            ]
        )
        vector = np.block([[w[1], -w[8]], [w[6], w[3]]])
        bivector = np.stack([w[2], w[7]])
        bias = np.concatenate([self.bias.ravel(), self.plain_bias])
        return Linear(*(jnp.asarray(x) for x in (scalar, vector, bivector, bias)))


_OUTPUTS = {"mv": 1, "from_plain": 1, "to_plain": 0, "plain": 0}  # axis of the outputs of a matrix


def _on_outputs(combine: Callable[..., np.ndarray], *maps: _Map) -> _Map:
    """The first map with all its matrices combined with those of the others, outputs first."""

    def combined(name: str, axis: int) -> np.ndarray:
        outputs_first = (np.moveaxis(getattr(a_map, name), axis, 0) for a_map in maps)
        return np.moveaxis(combine(*outputs_first), 0, axis)

    return maps[0]._replace(**{name: combined(name, axis) for name, axis in _OUTPUTS.items()})


def _queries_keys_values(weights: "_Weights", prefix: str, config: LGATrConfig) -> _Map:
    """One map with outputs [channel, (query heads, key heads, value heads)]."""
    if not config.multi_query:

        def reorder(x: np.ndarray) -> np.ndarray:  # from [query key value, channel, head]
            channels = len(x) // (3 * config.heads)
            grouped = x.reshape(3, channels, config.heads, *x.shape[1:])
            return grouped.swapaxes(0, 1).reshape(x.shape)

        return _on_outputs(reorder, weights.take_map(f"{prefix}in_linear"))

    def join(*matrices: np.ndarray) -> np.ndarray:
        width = matrices[0].shape[-1]
        groups = []
        for x, heads in zip(matrices, (config.heads, 1, 1), strict=True):
            x = x.reshape(len(x) // heads, heads, *x.shape[1:])
            # values of lgatr do not see reinserted channels: weight 0
            groups.append(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])]))
        joined = np.concatenate(groups, axis=1)
        return joined.reshape(joined.shape[0] * joined.shape[1], *joined.shape[2:])

    queries, keys, values = (weights.take_map(f"{prefix}{name}_linear") for name in "qkv")
    return _on_outputs(join, queries, keys, values)._replace(plain_bias=np.zeros(0))


def _channels_before_heads(a_map: _Map, heads: int) -> _Map:
    """Inputs [channel, head] from [head, channel]."""

    def reorder(x: np.ndarray) -> np.ndarray:
        if not x.size:
            return x
        return x.reshape(*x.shape[:-1], heads, -1).swapaxes(-1, -2).reshape(x.shape)

    return a_map._replace(**{name: reorder(getattr(a_map, name)) for name in _OUTPUTS})


class _Weights:
    """The weights of lgatr that have not been used yet."""

    def __init__(self, unused: dict[str, np.ndarray], parity: bool) -> None:
        self.unused, self.parity = unused, parity

    def take(self, name: str) -> np.ndarray:
        if name not in self.unused:
            raise InputError(
                "state dict",
                f"weights {name}",
                "none of that name",
                "give the config of the network it is from",
            )
        return self.unused.pop(name)

    def take_map(self, name: str) -> _Map:
        mv = np.moveaxis(self.take(f"{name}.weight"), -1, 0)
        if self.parity:
            mv = np.concatenate([mv, np.zeros_like(mv)])
        out, channels = mv.shape[1:]
        kinds = 1 if self.parity else 2  # under parity nothing mixes with the pseudoscalar
        from_plain = self._take_or(f"{name}.s2mvs.weight", (kinds * out, 0))
        to_plain = self._take_or(f"{name}.mvs2s.weight", (0, kinds * channels))
        plain = self._take_or(f"{name}.s2s.weight", (len(to_plain), from_plain.shape[1]))
        to_plain_by_kind = self._by_kind(to_plain.T.reshape(channels, kinds, len(to_plain)))
        return _Map(
            mv,
            self._by_kind(from_plain.reshape(out, kinds, from_plain.shape[1])),
            np.moveaxis(to_plain_by_kind, -1, 0),
            plain,
            self._take_bias(name, (out, kinds)),
            self._take_or(f"{name}.mvs2s.bias", (0,)),
        )

    def _take_bias(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Bias [scalar or pseudoscalar, out] from one [out, kind], or empty."""
        if f"{name}.bias" in self.unused:  # without plain scalars the scalar part alone has one
            return np.pad(self.take(f"{name}.bias").T, [(0, 1), (0, 0)])
        if f"{name}.s2mvs.bias" in self.unused:
            return self._by_kind(self.take(f"{name}.s2mvs.bias").reshape(shape))
        return np.zeros((2, 0))

    def _take_or(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Weights that only networks with plain scalars have, or zeros."""
        return self.unused.pop(name, np.zeros(shape))

    def _by_kind(self, x: np.ndarray) -> np.ndarray:
        """[scalar or pseudoscalar, channel, ...] from [channel, kind, ...]."""
        x = x.swapaxes(0, 1)
        return np.concatenate([x, np.zeros_like(x)]) if self.parity else x
