"""Waves of blocks of events that the devices of a process compute side by side.

A block of a member is computed on one device, whichever that is: its events do not depend on how
many devices there are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from amplify.devices.memory import fitting, free_bytes
from amplify.latents import sobol_latents, uniform_latents
from amplify.types import Generator, Params

_CHUNK = 1 << 15  # events generated at once: the activations of a small flow stay in the cache
_FEWEST = 1 << 12  # candidates of a truncated generator drawn at once


class Wave(NamedTuple):
    """Blocks that devices compute side by side, `keep` candidates of each `member`."""

    member: list[int]
    keep: list[int]
    parts: list[tuple[Array, Array | None]]  # of each device: x [block, event, dim], which pass


class Points(NamedTuple):
    """Latents of blocks of one size.

    Attributes:
        key: of all members.
        size: candidates of a block.
        n: candidates of a member; None for as many as it takes.
        shared: Sobol points that all members have, or None.
    """

    key: PRNGKeyArray
    size: int
    n: int | None
    shared: np.ndarray | None


def waves(
    draw: Callable[[Params, Array], tuple[Array, Array | None]],
    dim: int,
    params: Params,
    points: Points,
    group: Sequence[int],
    slots: int,
    blocks: int | None,
) -> Iterator[Wave]:
    """Blocks of a group of members, block by block, as many at a time as the devices compute.

    Args:
        draw: (params [block, ...], latents [block, size, dim]) -> events, and which of them pass.
        dim: of the latents.
        params: of all members.
        points: whose latents they are.
        group: members, no more than slots.
        slots: blocks that all devices compute at a time.
        blocks: of each member; None for endless ones.
    """
    devices = jax.local_devices()
    each = slots // len(devices)
    repeats = slots // len(group) if blocks is None else min(slots // len(group), blocks)
    # the same devices have the same members in every wave
    places = [(member, block) for block in range(repeats) for member in group]
    homes = [places[first : first + each] for first in range(0, len(places), each)]
    homes = list(zip(homes, devices, strict=False))
    at_home = [_params_of(params, [m for m, _ in home], each, device) for home, device in homes]
    for first in count(0, repeats) if blocks is None else range(0, blocks, repeats):
        left = repeats if blocks is None else min(repeats, blocks - first)
        member, keep, parts = [], [], []
        for (home, device), of_home in zip(homes, at_home, strict=True):
            wanted = [(m, first + block) for m, block in home if block < left]
            if not wanted:
                break
            latent = _latents(points, wanted, dim, each, device)
            parts.append(draw(of_home, latent))
            member += [m for m, _ in wanted]
            keep += [_keep(points, block) for _, block in wanted]
        yield Wave(member, keep, parts)


def _params_of(params: Params, members: list[int], each: int, device: Any) -> Params:
    """Of the members of a device [each, ...], the last one repeated where there are fewer."""
    rows = np.asarray(members + members[-1:] * (each - len(members)))
    return jax.tree.map(lambda leaf: jax.device_put(leaf[rows], device), params)


def drawer(
    generator: Generator, params: Params, points: Points, blocks: int
) -> tuple[Callable[[Params, Array], tuple[Array, Array | None]], int]:
    """A function of some blocks of a device, and how many blocks all devices compute at a time: one
    each on a CPU; on accelerators as many as fit into their memory, of `blocks` in all.
    """
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return _sampler(generator, one_by_one=True), len(devices)
    draw = _sampler(generator, one_by_one=False)

    def lowered(size: int) -> Any:
        def shaped(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype)

        latent = jax.ShapeDtypeStruct((size, points.size, generator.dim), jnp.float32)
        return draw.lower(jax.tree.map(shaped, params), latent)

    free = free_bytes(tuple(devices))
    # two waves are there at a time
    fits = fitting(lowered, math.ceil(blocks / len(devices)), free and free // 2)
    return draw, fits.at_once * len(devices)


@lru_cache(maxsize=32)
def _sampler(generator: Generator, *, one_by_one: bool) -> Any:
    """Jitted: events [block, size, dim] of params [block, ...], and which of them pass where not
    all do.
    """
    truncation = generator.truncation

    def draw(params: Params, latent: Array) -> tuple[Array, Array | None]:
        x = generator.sample(params, latent)
        if truncation is None:
            return x, None
        return x, truncation.passes(x) & jnp.isfinite(x).all(axis=-1)

    def drawn(params: Params, latents: Array) -> tuple[Array, Array | None]:
        if not one_by_one:
            return jax.vmap(draw)(params, latents)
        return jax.lax.map(lambda block: draw(*block), (params, latents))

    return jax.jit(drawn)


@lru_cache(maxsize=1)
def _shared_points(seed: int, n: int, dim: int) -> np.ndarray:
    return sobol_latents(seed, n, dim)


def points_of(key: PRNGKeyArray, n: int, dim: int, sobol: bool, endless: bool) -> Points:
    """Blocks have one size, so that the sampler compiles once."""
    size = min(max(n, _FEWEST), _CHUNK) if endless else min(n, _CHUNK)
    shared = None
    if sobol:
        shared = _shared_points(int(jax.random.randint(key, (), 0, 2**31 - 1)), n, dim)
    return Points(key, size, None if endless else n, shared)


def _keep(points: Points, block: int) -> int:
    """Candidates that are wanted of a block; of endless ones all."""
    return points.size if points.n is None else min(points.size, points.n - block * points.size)


def _latents(
    points: Points, wanted: list[tuple[int, int]], dim: int, each: int, device: Any
) -> Array:
    """Latents [each, size, dim] of blocks (member, number) on their device, the last one repeated
    where there are fewer.
    """
    wanted = wanted + wanted[-1:] * (each - len(wanted))
    if points.shared is None:
        which = jax.device_put(np.asarray(wanted, np.uint32), device)
        return _uniform(jax.device_put(points.key, device), which, points.size, dim)
    starts = [block * points.size for _, block in wanted]
    rows = [points.shared[start : start + points.size] for start in starts]
    missing = [(0, points.size - len(row)) for row in rows]
    filled = [
        np.pad(row, (more, (0, 0)), constant_values=0.5)
        for row, more in zip(rows, missing, strict=True)
    ]
    return jax.device_put(np.stack(filled), device)


@partial(jax.jit, static_argnames=("size", "dim"))
def _uniform(key: PRNGKeyArray, blocks: Array, size: int, dim: int) -> Array:
    """Independent points [block, size, dim] of blocks (member, number)."""

    def of_one(block: Array) -> Array:
        key_block = jax.random.fold_in(jax.random.fold_in(key, block[0]), block[1])
        return uniform_latents(key_block, size, dim)

    return jax.vmap(of_one)(blocks)
