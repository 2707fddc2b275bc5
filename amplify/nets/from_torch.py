"""Weights of the PyTorch package lgatr 2.0 for our L-GATr."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify.errors import InputError
from amplify.nets.lgatr import LGATrConfig
from amplify.nets.multivectors import Linear


def from_torch(state_dict: Mapping[str, Any], config: LGATrConfig) -> dict[str, Any]:
    """Parameters, to be used as `LGATr(config).apply({"params": parameters}, multivectors,
    scalars)`.

    Args:
        state_dict: name -> tensor or array, as of lgatr.LGATr.
        config: settings of the network that the weights come from.

    Raises:
        InputError: weights are missing, left over, or of other sizes than the config says.
    """
    state = _State({name: np.asarray(value) for name, value in state_dict.items()}, config.parity)
    params = {
        "linear_in": state.take_maps("linear_in").linear(),
        "linear_out": state.take_maps("linear_out").linear(),
    }
    blocks = [_block(state, f"blocks.{i}.", config) for i in range(config.blocks)]
    params["blocks"] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    if state.weights:
        raise InputError(
            "state dict",
            "the weights of the given config",
            f"{next(iter(state.weights))} left over",
            "give the config of the network it is from",
        )
    return params


def _block(state: "_State", prefix: str, config: LGATrConfig) -> dict[str, Any]:
    product = f"{prefix}mlp.layers.0."
    block: dict[str, Any] = {
        "qkv": _queries_keys_values(state, f"{prefix}attention.qkv_module.", config).linear(),
        "attention_out": _channels_before_heads(
            state.take_maps(f"{prefix}attention.out_linear"), config.heads
        ).linear(),
        "left": state.take_maps(f"{product}linear_left").linear(),
        "right": state.take_maps(f"{product}linear_right").linear(),
        "product": state.take_maps(f"{product}linear_out").linear(),
        "mlp": [
            state.take_maps(f"{prefix}mlp.layers.{2 * i}").linear()
            for i in range(1, config.mlp_layers)
        ],  # odd layers are nonlinearities
    }
    if config.affine_norm:
        for name, norm in (("gain_attention", "norm1"), ("gain_mlp", "norm2")):
            block[name] = (
                jnp.asarray(state.take(f"{prefix}{norm}.weight_mv")),
                jnp.asarray(state.take(f"{prefix}{norm}.weight_s")),
            )
    if config.head_scale:
        block["head_scale"] = jnp.asarray(state.take(f"{prefix}attention.head_scale"))
    return block


class _Maps(NamedTuple):
    """An equivariant linear map by its basis: projections on the five grades, then the same
    followed by I.
    """

    mv: np.ndarray  # [map, out, channel]
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
        vector, bivector = np.block([[w[1], -w[8]], [w[6], w[3]]]), np.stack([w[2], w[7]])
        return Linear(
            *(
                jnp.asarray(x)
                for x in (
                    scalar,
                    vector,
                    bivector,
                    np.concatenate([self.bias.ravel(), self.plain_bias]),
                )
            )
        )


def _queries_keys_values(state: "_State", prefix: str, config: LGATrConfig) -> _Maps:
    """One map with outputs [channel, (query heads, key heads, value heads)]."""
    if not config.multi_query:
        maps = state.take_maps(f"{prefix}in_linear")

        def reorder(
            x: np.ndarray, axis: int
        ) -> np.ndarray:  # from [query key value, channel, head]
            x = np.moveaxis(x, axis, 0)
            return np.moveaxis(
                x.reshape(3, len(x) // (3 * config.heads), config.heads, *x.shape[1:])
                .swapaxes(0, 1)
                .reshape(x.shape),
                0,
                axis,
            )

        return _Maps(
            reorder(maps.mv, 1),
            reorder(maps.from_plain, 1),
            reorder(maps.to_plain, 0),
            reorder(maps.plain, 0),
            maps.bias,
            maps.plain_bias,
        )
    q, k, v = (state.take_maps(f"{prefix}{name}_linear") for name in "qkv")

    def join(*arrays: np.ndarray, axis: int) -> np.ndarray:
        parts = [np.moveaxis(x, axis, 0) for x in arrays]
        grouped = [
            x.reshape(len(x) // heads, heads, *x.shape[1:])
            for x, heads in zip(parts, (config.heads, 1, 1), strict=True)
        ]
        joined = np.concatenate(
            [
                np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, grouped[0].shape[-1] - x.shape[-1])])
                for x in grouped
            ],
            axis=1,
        )
        return np.moveaxis(
            joined.reshape(joined.shape[0] * joined.shape[1], *joined.shape[2:]), 0, axis
        )  # in lgatr values do not see reinserted channels: weight 0

    return _Maps(
        join(q.mv, k.mv, v.mv, axis=1),
        join(q.from_plain, k.from_plain, v.from_plain, axis=1),
        join(q.to_plain, k.to_plain, v.to_plain, axis=0),
        join(q.plain, k.plain, v.plain, axis=0),
        q.bias,
        q.plain_bias[:0],
    )


def _channels_before_heads(maps: _Maps, heads: int) -> _Maps:
    """Inputs [channel, head] from [head, channel]."""

    def reorder(x: np.ndarray) -> np.ndarray:
        return (
            x.reshape(*x.shape[:-1], heads, -1).swapaxes(-1, -2).reshape(x.shape) if x.size else x
        )

    return maps._replace(
        mv=reorder(maps.mv),
        from_plain=reorder(maps.from_plain),
        to_plain=reorder(maps.to_plain),
        plain=reorder(maps.plain),
    )


class _State:
    """The weights that have not been used yet."""

    def __init__(self, weights: dict[str, np.ndarray], parity: bool) -> None:
        self.weights, self.parity = weights, parity

    def take(self, name: str) -> np.ndarray:
        if name not in self.weights:
            raise InputError(
                "state dict",
                f"weights {name}",
                "none of that name",
                "give the config of the network it is from",
            )
        return self.weights.pop(name)

    def take_maps(self, name: str) -> _Maps:
        mv = np.moveaxis(self.take(f"{name}.weight"), -1, 0)
        kinds = 1 if self.parity else 2  # under parity nothing mixes with the pseudoscalar
        if self.parity:
            mv = np.concatenate([mv, np.zeros_like(mv)])
        out, channels = mv.shape[1:]
        from_plain = self.weights.pop(f"{name}.s2mvs.weight", np.zeros((kinds * out, 0)))
        to_plain = self.weights.pop(f"{name}.mvs2s.weight", np.zeros((0, kinds * channels)))
        plain = self.weights.pop(
            f"{name}.s2s.weight", np.zeros((len(to_plain), from_plain.shape[1]))
        )
        plain_bias = self.weights.pop(f"{name}.mvs2s.bias", np.zeros(0))
        bias = np.zeros((2, 0))
        if (
            f"{name}.bias" in self.weights
        ):  # there are no plain scalars: a bias of the scalar part only
            bias = np.pad(self.weights.pop(f"{name}.bias").T, [(0, 1), (0, 0)])
        elif f"{name}.s2mvs.bias" in self.weights:
            bias = self._pair(self.weights.pop(f"{name}.s2mvs.bias").reshape(out, kinds, 1))[
                :, :, 0
            ]
        from_plain = self._pair(from_plain.reshape(out, kinds, from_plain.shape[1]))
        to_plain = self._pair(to_plain.T.reshape(channels, kinds, len(to_plain)))
        return _Maps(mv, from_plain, np.moveaxis(to_plain, -1, 0), plain, bias, plain_bias)

    def _pair(self, x: np.ndarray) -> np.ndarray:
        """[scalar or pseudoscalar, channel, ...] from [channel, kind, ...]."""
        x = x.swapaxes(0, 1)
        return np.concatenate([x, np.zeros_like(x)]) if self.parity else x
