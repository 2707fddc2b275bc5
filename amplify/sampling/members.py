"""Generated events of members, block by block or all of them.

Events come in blocks, so that whoever counts them need not store them.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from amplify.distributed import of_all, share
from amplify.errors import InputError
from amplify.sampling.waves import Wave, drawer, points_of, waves
from amplify.types import Generator, Params, Samples

# candidates of a truncated generator after which none is expected to pass any more
_HOPELESS = 1 << 20


class Block(NamedTuple):
    """Events x [event, dim] of a member, and how many candidates they were chosen from."""

    member: int
    x: np.ndarray
    candidates: int


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
    members = _count_members(params)
    mine = share(members)
    blocks: dict[int, list[Block]] = {member: [] for member in mine}
    for block in generated_blocks(key, generator, params, n, sobol, mine):
        blocks[block.member].append(block)
    each = blocks.values()
    events = [np.concatenate([block.x for block in of_member]) for of_member in each]
    nothing = np.zeros((0, n, generator.dim), np.float32)  # of more processes than members
    x = of_all(np.stack(events) if events else nothing, members)
    if generator.truncation is None:
        return Samples(jnp.asarray(x))
    tried = np.array([sum(block.candidates for block in of_member) for of_member in each], np.int64)
    return Samples(jnp.asarray(x), efficiency=n / of_all(tried, members))


def check_size(n: int, sobol: bool) -> None:
    """Refuses a number of events that latents cannot have."""
    if n < 1:
        raise InputError("n", "at least 1 event", str(n), "ask for some events")
    if sobol and n & (n - 1):
        expected, fix = "a power of two with Sobol latents", f"use {1 << n.bit_length()}"
        raise InputError("n", expected, str(n), fix)


def generated_blocks(
    key: PRNGKeyArray,
    generator: Generator,
    params: Params,
    n: int,
    sobol: bool,
    chosen: Sequence[int] | None = None,
) -> Iterator[Block]:
    """Blocks of n events of every member; of a truncated generator only those that pass: n of them,
    or with Sobol latents those of n latents. Blocks are dealt out to the devices of this process,
    and each device is kept a block ahead.

    Args:
        key: the same key gives the same events.
        generator: whose params they are.
        params: of all members [member, ...].
        n: events of a member.
        sobol: members share the latents.
        chosen: members that are wanted; all by default.

    Raises:
        InputError: of a million candidates hardly one passes.
    """
    params = jax.tree.map(np.asarray, params)  # trained members lie spread over the devices
    members = list(range(_count_members(params)) if chosen is None else chosen)
    if not members:  # of more processes than members
        return
    endless = generator.truncation is not None and not sobol
    points = points_of(key, n, generator.dim, sobol, endless)
    blocks = None if endless else math.ceil(n / points.size)
    draw, slots = drawer(generator, params, points, len(members) * (blocks or 1))
    for start in range(0, len(members), slots):
        group = members[start : start + slots]
        arriving = _one_ahead(waves(draw, generator.dim, params, points, group, slots, blocks))
        if generator.truncation is not None:
            arriving = _accepted(arriving, group, None if sobol else n)
        yield from arriving


def _one_ahead(coming: Iterator[Wave]) -> Iterator[Block]:
    """Waits for blocks while the next ones are computed."""
    under_way: deque[Wave] = deque()
    for wave in coming:
        under_way.append(wave)
        if len(under_way) > 1:
            yield from _arrived(under_way.popleft())
    for wave in under_way:
        yield from _arrived(wave)


def _accepted(blocks: Iterator[Block], group: Sequence[int], n: int | None) -> Iterator[Block]:
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


def _arrived(wave: Wave) -> Iterator[Block]:
    """Waits for the events of a wave."""
    slots = zip(wave.member, wave.keep, strict=True)
    for x, passed in wave.parts:
        # without a copy on a CPU; filled up where fewer blocks are wanted than the device computes
        for events, which in zip(_rows(x), _rows(passed, len(x)), strict=True):
            if (wanted := next(slots, None)) is None:
                return
            member, keep = wanted
            events = events[:keep]
            yield Block(member, events if which is None else events[which[:keep]], keep)


def _rows(array: Array | None, rows: int = 0) -> Sequence[Any]:
    return [None] * rows if array is None else list(np.asarray(array))
