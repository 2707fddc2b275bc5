"""Kolmogorov-Smirnov counts and pseudo-experiments on all devices of this process: GPUs, or the
cores of a laptop where JAX shows them as devices.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from amplify.estimators.kolmogorov import Counts, count_between

_AXIS = "event"
_NUMBERS = 1 << 22  # events of pseudo-experiments that a device holds at a time
_WORD = 32  # bits of what is drawn to choose events


def count_on_devices(
    grid: Float[Any, " k"],
    t: Float[Any, " n"],
    weight: Float[Any, " n"] | None = None,
    devices: Sequence[Any] | None = None,
) -> Counts:
    """`count_between` with the values t shared out over the devices, and summed.

    Args:
        grid: sorted, finite values.
        t: values of any number.
        weight: event weights.
        devices: all of this process by default.

    Returns:
        Counts in JAX arrays; without weights they are those of one device, bit for bit.
    """
    mesh = _mesh(devices)
    n, missing = len(t), -len(t) % mesh.size
    # an infinite value is above the grid, and is taken off the total
    padded = jnp.pad(jnp.asarray(t), (0, missing), constant_values=jnp.inf)
    t = jax.device_put(padded, NamedSharding(mesh, PartitionSpec(_AXIS)))
    if weight is None:
        counts = _counts(mesh, 1)(jnp.asarray(grid), t)
        return counts._replace(total=counts.total - missing, square=counts.square - missing)
    w = jax.device_put(
        jnp.pad(jnp.asarray(weight), (0, missing)), NamedSharding(mesh, PartitionSpec(_AXIS))
    )
    assert len(w) == n + missing
    return _counts(mesh, 2)(jnp.asarray(grid), t, w)


def null_distances_on_devices(
    key: Key[Array, ""],
    n: int,
    m: int,
    experiments: int,
    devices: Sequence[Any] | None = None,
) -> Float[Array, " experiment"]:
    """`null_distances` with JAX: each experiment has a key of its own, so that the number of
    devices changes no bit. Worth it on accelerators; NumPy is faster on a CPU.

    Args:
        key: of the choices.
        n: events of one sample.
        m: of the other.
        experiments: how many.
        devices: all of this process by default.
    """
    mesh = _mesh(devices)
    at_once = max(min(_NUMBERS // (n + m), -(-experiments // mesh.size)), 1)
    rows = -(-experiments // (mesh.size * at_once)) * mesh.size * at_once
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(rows))
    keys = jax.device_put(keys, NamedSharding(mesh, PartitionSpec(_AXIS)))
    return _distances(mesh, n, m, at_once)(keys)[:experiments]


def _mesh(devices: Sequence[Any] | None) -> Mesh:
    return Mesh(np.asarray(jax.local_devices() if devices is None else devices), (_AXIS,))


@lru_cache(maxsize=16)
def _counts(mesh: Mesh, arrays: int) -> Any:
    """The compiled count of so many arrays of events."""
    shared = PartitionSpec(_AXIS)

    @jax.jit
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(PartitionSpec(), *[shared] * arrays),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    def counted(grid: Any, *events: Any) -> Counts:
        return jax.lax.psum(count_between(grid, *events), _AXIS)

    return counted


@lru_cache(maxsize=16)
def _distances(mesh: Mesh, n: int, m: int, at_once: int) -> Any:
    """The compiled pseudo-experiments of keys, so many at once on a device."""

    @jax.jit
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=PartitionSpec(_AXIS),
        out_specs=PartitionSpec(_AXIS),
        check_vma=False,
    )
    def distances(keys: Any) -> Any:
        return jax.lax.map(partial(_null_distance, n, m), keys, batch_size=at_once)

    return distances


def _null_distance(n: int, m: int, key: Any) -> Any:
    """D of one pseudo-experiment: the n events with the smallest random words are the first
    sample.
    """
    lot = jax.random.bits(key, (n + m,), jnp.uint32)

    def halved(bit: Any, most: Any) -> Any:
        # the largest word below which there are fewer than n, bit by bit
        tried = most | jnp.uint32(1) << (_WORD - 1 - bit)
        return jnp.where((lot < tried).sum() < n, tried, most)

    nth = jax.lax.fori_loop(0, _WORD, halved, jnp.uint32(0))
    of_first = jnp.cumsum(lot <= nth, dtype=jnp.int32)
    of_both = jnp.arange(1, n + m + 1, dtype=jnp.int32)
    difference = of_first * (1 / n + 1 / m) - of_both * (1 / m)
    return jnp.maximum(difference.max(), -difference.min())
