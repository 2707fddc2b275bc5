"""From trained members to generated events: Monte Carlo, or scrambled Sobol latents that all
members share.

Events come in blocks, so that whoever counts them need not store them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from amplify.errors import InputError
from amplify.latents import sobol_latents, uniform_latents
from amplify.types import Generator, Params, Samples

__all__ = [
    "Block",
    "check_size",
    "generated_blocks",
    "sample_members",
    "sobol_latents",
    "uniform_latents",
]

_CHUNK = 1 << 15  # events generated at once: the activations of a small flow stay in the cache
_FEWEST = 1 << 12  # candidates of a truncated generator drawn at once
# candidates of a truncated generator after which none is expected to pass any more
_HOPELESS = 1 << 20


class Block(NamedTuple):
    """Events x [event, dim] of a member, and how many candidates they were chosen from."""

    member: int
    x: np.ndarray
    candidates: int


class _Drawn(NamedTuple):
    """A block that a device computes: its first `keep` events count, of these those that passed."""

    member: int
    x: Array
    passed: Array | None
    keep: int


def sample_members(
    key: PRNGKeyArray, generator: Generator, params: Params, n: int, *, sobol: bool = False
) -> Samples:
    """Generates n events with every member of params [member, ...].

    >>> from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
    >>> two = GaussianParams(mean=jnp.array([[1.0], [5.0]]), log_width=jnp.zeros((2, 1)))
    >>> samples = sample_members(jax.random.key(0), fitted_gaussian(1), two, 64, sobol=True)
    >>> samples.x.shape, samples.x.mean(axis=1).round(1).ravel().tolist()
    ((2, 64, 1), [1.0, 5.0])

    Args:
        key: the same key gives the same events.
        generator: whose params they are.
        params: of the members, `Ensemble.params`.
        n: events per member.
        sobol: the members share scrambled Sobol latents, which cut the sampling error of an
            integral 5 to 20 times (docs/method, Averaging amplification); n is then a power of two.
            Otherwise each member has Monte Carlo latents of its own.

    Returns:
        `Samples` with x [member, event, dim], float32, without weights; of a truncated generator n
        events that pass, with the efficiency of each member.

    Raises:
        InputError: n below one, no power of two with Sobol latents, Sobol latents of a truncated
            generator (`member_integrals` takes them), or candidates that never pass.
    """
    check_size(n, sobol)
    if sobol and generator.truncation is not None:
        got, fix = "a truncated generator", "leave sobol out, or use member_integrals"
        raise InputError("Sobol latents", "as many events as latents", got, fix)
    blocks: list[list[Block]] = [[] for _ in range(_count_members(params))]
    for block in generated_blocks(key, generator, params, n, sobol):
        blocks[block.member].append(block)
    x = np.stack([np.concatenate([block.x for block in of_member]) for of_member in blocks])
    if generator.truncation is None:
        return Samples(jnp.asarray(x))
    candidates = np.array([sum(block.candidates for block in of_member) for of_member in blocks])
    return Samples(jnp.asarray(x), efficiency=n / candidates)


def check_size(n: int, sobol: bool) -> None:
    """Refuses a number of events that latents cannot have."""
    if n < 1:
        raise InputError("n", "at least 1 event", str(n), "ask for some events")
    if sobol and n & (n - 1):
        expected, fix = "a power of two with Sobol latents", f"use {1 << n.bit_length()}"
        raise InputError("n", expected, str(n), fix)


def generated_blocks(
    key: PRNGKeyArray, generator: Generator, params: Params, n: int, sobol: bool
) -> Iterator[Block]:
    """Blocks of n events of every member; of a truncated generator only those that pass: n of them,
    or with Sobol latents those of n latents. Members are dealt out to the devices, and each device
    is kept a block ahead.

    Raises:
        InputError: of a million candidates hardly one passes.
    """
    devices = jax.devices()
    params = jax.tree.map(np.asarray, params)  # trained members lie spread over the devices
    members = _count_members(params)
    for start in range(0, members, len(devices)):
        group = range(start, min(start + len(devices), members))
        drawn = _drawn_at_once(key, generator, params, n, sobol, group)
        arriving = _one_ahead(drawn, len(group))
        if generator.truncation is not None:
            arriving = _accepted(arriving, group, None if sobol else n)
        yield from arriving


def _one_ahead(drawn: Iterator[list[_Drawn]], members: int) -> Iterator[Block]:
    """Waits for blocks while the next ones are computed."""
    under_way: deque[_Drawn] = deque()
    for blocks in drawn:
        under_way.extend(blocks)
        while len(under_way) > members:
            yield _arrived(under_way.popleft())
    for block in under_way:
        yield _arrived(block)


def _accepted(blocks: Iterator[Block], group: range, n: int | None) -> Iterator[Block]:
    """Blocks of events that pass until each member of the group has n of them; all where n is
    None.
    """
    found, tried = dict.fromkeys(group, 0), dict.fromkeys(group, 0)
    for member, x, candidates in blocks:
        if n is not None and found[member] == n:
            continue
        keep = len(x) if n is None else min(len(x), n - found[member])
        # the last block is looked at as far as it is needed
        looked_at = candidates if keep == len(x) else max(round(candidates * keep / len(x)), keep)
        found[member], tried[member] = found[member] + keep, tried[member] + looked_at
        if tried[member] >= _HOPELESS and found[member] < tried[member] * 1e-5:
            got = f"{found[member]} of {tried[member]} candidates of member {member}"
            fix = "train it longer, or check what passes"
            raise InputError("sampling", "candidates that pass", got, fix)
        yield Block(member, x[:keep], looked_at)
        if n is not None and min(found.values()) == n:
            return


def _count_members(params: Params) -> int:
    return jax.tree.leaves(params)[0].shape[0]


def _arrived(drawn: _Drawn) -> Block:
    """Waits for the events of a block."""
    x = np.asarray(drawn.x)[: drawn.keep]
    if drawn.passed is not None:
        x = x[np.asarray(drawn.passed)[: drawn.keep]]
    return Block(drawn.member, x, drawn.keep)


def _drawn_at_once(
    key: PRNGKeyArray, generator: Generator, params: Params, n: int, sobol: bool, group: range
) -> Iterator[list[_Drawn]]:
    """Blocks of a group of members that devices compute side by side, one member each; nobody waits
    for them here.
    """
    draw = _sampler(generator)
    homes = dict(zip(group, jax.devices(), strict=False))
    at_home = {}
    for member, device in homes.items():
        params_of_member = jax.tree.map(lambda leaf, m=member: leaf[m], params)
        at_home[member] = jax.device_put(params_of_member, device)
    endless = generator.truncation is not None and not sobol
    latents = (_latents(key, member, n, generator.dim, sobol, endless) for member in group)
    for blocks in zip(*latents, strict=True):
        yield [
            _Drawn(member, *draw(at_home[member], jax.device_put(latent, device)), keep)
            for (member, device), (latent, keep) in zip(homes.items(), blocks, strict=True)
        ]


@lru_cache(maxsize=32)
def _sampler(generator: Generator) -> Callable[[Params, Array], tuple[Array, Array | None]]:
    """Events, and which of them pass where not all do."""
    truncation = generator.truncation

    def draw(params: Params, latent: Array) -> tuple[Array, Array | None]:
        x = generator.sample(params, latent)
        if truncation is None:
            return x, None
        return x, truncation.passes(x) & jnp.isfinite(x).all(axis=-1)

    return jax.jit(draw)


@lru_cache(maxsize=1)
def _shared_points(seed: int, n: int, dim: int) -> np.ndarray:
    return sobol_latents(seed, n, dim)


def _latents(
    key: PRNGKeyArray, member: int, n: int, dim: int, sobol: bool, endless: bool
) -> Iterator[tuple[Array, int]]:
    """Blocks (latent [_CHUNK or less, dim], events to keep): blocks have one size, so that the
    sampler compiles once. Endless ones go on until somebody has enough.
    """
    size = min(max(n, _FEWEST), _CHUNK) if endless else min(n, _CHUNK)
    if sobol:
        points = _shared_points(int(jax.random.randint(key, (), 0, 2**31 - 1)), n, dim)
    starts = count(0, size) if endless else range(0, n, size)
    for block, start in enumerate(starts):
        keep = size if endless else min(size, n - start)
        if sobol:
            missing = (0, size - keep), (0, 0)
            padded = np.pad(points[start : start + keep], missing, constant_values=0.5)
            yield jnp.asarray(padded), keep
        else:
            key_block = jax.random.fold_in(jax.random.fold_in(key, member), block)
            yield uniform_latents(key_block, size, dim), keep
