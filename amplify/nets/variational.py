"""Noise in the weights of a network, another one for each event of a minibatch (flipout,
arXiv:1803.04386).

One noise delta for all events of a minibatch makes their gradients err together. A layer gives
event n the noise delta_ij r_nj instead, with signs r: for a symmetric delta it is distributed as
delta itself, event by event, and costs one more product of matrices, (x delta) r. (Signs of the
inputs, too, as in the source, cost more and change little. Local reparametrisation,
arXiv:1506.02557, has the same distribution of each output but draws a number for each of them,
which for small networks costs more than the rest.) The signs of a place in the minibatch are fixed:
which event stands there is random anyway, and so is delta.

Noise reaches a layer beside its params, as a collection of variables "noise" of the same structure,
which scans over layers slice along. Layers that know what to do with it are `flax.linen.Dense`,
`amplify.nets.dense.Dense`, the masked layers of `MaskedMLP`, and the affine maps of the
transformer; everything else gets the sum of params and noise, one noise for the whole minibatch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from amplify.nets.dense import Dense
from amplify.nets.masked_mlp import MaskedMLP

NOISE = "noise"  # name of the collection of variables
_Tree = Any  # a pytree of arrays


@dataclass(frozen=True, eq=False)
class _Log:
    """Which noise layers have asked for, by its place among the params."""

    asked: set[str] = field(default_factory=set)


@partial(jax.tree_util.register_dataclass, data_fields=["delta"], meta_fields=["place", "log"])
@dataclass(frozen=True)
class Noise:
    """The noise of one array of params, which a layer flips event by event."""

    delta: Any
    place: str
    log: _Log

    def taken(self) -> Array:
        """The noise itself, and a note that this layer has asked for it."""
        self.log.asked.add(self.place)
        return self.delta


def noisy(function: Callable[..., Any], params: _Tree, delta: _Tree, *args: Any) -> Any:
    """function(params + delta, *args) with the noise flipped event by event where layers can.

    >>> layer = nn.Dense(1)
    >>> params = {"params": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
    >>> delta = jax.tree.map(lambda p: 0.5 + 0 * p, params)
    >>> y = noisy(layer.apply, params, delta, jnp.ones((64, 2)))
    >>> sorted(set(y[:, 0].tolist()))  # 2 +- 1.5, each event has a sign of its own
    [0.5, 3.5]

    Args:
        function: of params and other arguments; calls Flax networks with parts of its params that
            are collections of variables, {"params": ...}.
        params: pytree of arrays.
        delta: noise, drawn from a symmetric distribution, independent of the other arguments.
        args: arrays.
    """
    places = flipped(function, params, *args)
    with nn.intercept_methods(_flipped):
        return function(_attached(params, delta, places, _Log()), *args)


def flipped(function: Callable[..., Any], params: _Tree, *args: Any) -> frozenset[str]:
    """Which arrays of the params, by their path, belong to layers that flip their noise."""
    log = _Log()
    attached = _attached(params, params, frozenset(_places(params)), log)
    with nn.intercept_methods(_flipped):
        jax.eval_shape(function, attached, *args)
    return frozenset(log.asked)


def flipped_affine(
    x: Float[Array, "event *batch features"],
    kernel: Noise | None,
    bias: Noise | None,
    *,
    rows: int = 1,
    mask: Any = None,
) -> Float[Array, "event *batch out"] | float:
    """What the noise of an affine map adds to its output, with other signs for each event.

    Args:
        x: what the layer sees.
        kernel: its noise [features, out], or None.
        bias: its noise [out], or None.
        rows: how many neighbours along the first axis belong to one event.
        mask: of the kernel.
    """
    if kernel is None and bias is None:
        return 0.0
    added: Any = 0.0
    if kernel is not None:
        delta = kernel.taken() if mask is None else kernel.taken() * mask
        added = x @ delta
    if bias is not None:
        offset = bias.taken()
        added = added + jnp.broadcast_to(offset, (*x.shape[:-1], offset.shape[-1]))
    return added * _signs(added, rows)


def _flipped_columns(
    x: Float[Array, "features event"],
    kernel: Noise | None,
    bias: Noise | None,
    mask: Any = None,
) -> Float[Array, "out event"] | float:
    """`flipped_affine` of events that come last."""
    added = flipped_affine(x.T, kernel, bias, mask=mask)
    return added.T if isinstance(added, jax.Array) else added


def noise_of(module: nn.Module, name: str) -> Any:
    """The noise of a param of this module, None without."""
    return module.get_variable(NOISE, name)


def with_noise(module: nn.Module, name: str, layers: dict[str, dict]) -> dict[str, dict]:
    """Layers {"kernel", "bias"} that are one param of a module, each with its noise beside it."""
    noise = noise_of(module, name)
    if noise is None:
        return layers
    return {key: layer | {NOISE: noise.get(key)} for key, layer in layers.items()}


def _flipped(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Interceptor of Flax: adds the noise of layers that have some."""
    module, y = context.module, call(*args, **kwargs)
    if isinstance(module, nn.Dense) and context.method_name == "__call__":
        return y + flipped_affine(args[0], noise_of(module, "kernel"), noise_of(module, "bias"))
    if isinstance(module, Dense) and context.method_name == "__call__":
        noise = [noise_of(module, part) for part in ("kernel", "bias")]
        return y + _flipped_columns(args[0], *noise)
    if isinstance(module, MaskedMLP) and context.method_name == "_affine":
        name, mask, x, *_ = args
        noise = [noise_of(module, f"{name}_{part}") for part in ("kernel", "bias")]
        return y + _flipped_columns(x, *noise, mask=mask.astype(x.dtype))
    return y


def _attached(params: _Tree, delta: _Tree, places: frozenset[str], log: _Log) -> _Tree:
    """Params with their noise: beside them at these places, added to them elsewhere."""

    def attach(path: Any, part: Any, noise: Any) -> Any:
        if not _is_collection(part):
            return part + noise

        def named(deeper: Any) -> str:
            return jax.tree_util.keystr((*path, *deeper))

        beside = jax.tree_util.tree_map_with_path(
            lambda deeper, d: Noise(d, named(deeper), log) if named(deeper) in places else None,
            noise["params"],
        )
        added = jax.tree_util.tree_map_with_path(
            lambda deeper, p, d: p if named(deeper) in places else p + d,
            part["params"],
            noise["params"],
        )
        return {**part, "params": added, NOISE: beside}

    return jax.tree_util.tree_map_with_path(attach, params, delta, is_leaf=_is_collection)


def _places(params: _Tree) -> list[str]:
    """Arrays of params that belong to Flax networks, by their path."""
    collections = jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_collection)[0]
    return [
        jax.tree_util.keystr((*path, *deeper))
        for path, part in collections
        if _is_collection(part)
        for deeper, _ in jax.tree_util.tree_flatten_with_path(part["params"])[0]
    ]


def _is_collection(part: Any) -> bool:
    return isinstance(part, Mapping) and "params" in part


def _signs(y: Array, rows: int) -> Array:
    """Signs of every event and feature, in the shape of y."""
    signs = jnp.asarray(_table(len(y) // rows, y.shape[-1]), y.dtype)
    signs = jnp.repeat(signs, rows, axis=0) if rows > 1 else signs
    between = (1,) * (y.ndim - 2)
    return jnp.broadcast_to(signs.reshape(len(y), *between, y.shape[-1]), y.shape)


@lru_cache(maxsize=64)
def _table(events: int, width: int) -> np.ndarray:
    """Fixed random signs [event, width]."""
    rng = np.random.default_rng([events, width])
    return 2 * rng.integers(0, 2, (events, width), np.int8) - 1
