"""From trained members to generated events: Monte Carlo, or scrambled Sobol latents that all
members share.

Events come in blocks, so that whoever counts them need not store them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.types import Generator, Params, Samples

_CHUNK = 1 << 15  # events generated at once: the activations of a small flow stay in the cache


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
        `Samples` with x [member, event, dim], float32, without weights.

    Raises:
        InputError: n below one, or no power of two with Sobol latents.
    """
    check_size(n, sobol)
    blocks: list[list[np.ndarray]] = [[] for _ in range(_count_members(params))]
    for member, x in generated_blocks(key, generator, params, n, sobol):
        blocks[member].append(x)
    return Samples(jnp.asarray(np.stack([np.concatenate(of_member) for of_member in blocks])))


def check_size(n: int, sobol: bool) -> None:
    """Refuses a number of events that latents cannot have."""
    if n < 1:
        raise InputError("n", "at least 1 event", str(n), "ask for some events")
    if sobol and n & (n - 1):
        expected, fix = "a power of two with Sobol latents", f"use {1 << n.bit_length()}"
        raise InputError("n", expected, str(n), fix)


def sobol_latents(seed: int, n: int, dim: int) -> Float[np.ndarray, "n dim"]:
    """N points of the scrambled Sobol sequence in the open unit cube, float32."""
    from scipy.stats import qmc  # which takes half a second to import

    points = qmc.Sobol(dim, scramble=True, rng=seed).random(n)
    return np.clip(points, 2.0**-33, 1 - 2.0**-24).astype(np.float32)


def uniform_latents(key: PRNGKeyArray, n: int, dim: int) -> Float[Array, "n dim"]:
    """N independent points in the open unit cube; half a float32 step away from both ends."""
    return jax.random.uniform(key, (n, dim)) + 2.0**-24


def generated_blocks(
    key: PRNGKeyArray, generator: Generator, params: Params, n: int, sobol: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks (member, x [events, dim]) of n events of every member. Members are dealt out to the
    devices, and each device is kept a block ahead.
    """
    devices = jax.devices()
    params = jax.tree.map(np.asarray, params)  # trained members lie spread over the devices
    members = _count_members(params)
    for start in range(0, members, len(devices)):
        group = range(start, min(start + len(devices), members))
        under_way: deque[tuple[int, Array, int]] = deque()
        for drawn in _drawn_at_once(key, generator, params, n, sobol, group):
            under_way.extend(drawn)
            while len(under_way) > len(group):
                yield _arrived(*under_way.popleft())
        for block in under_way:
            yield _arrived(*block)


def _count_members(params: Params) -> int:
    return jax.tree.leaves(params)[0].shape[0]


def _arrived(member: int, x: Array, keep: int) -> tuple[int, np.ndarray]:
    """Waits for the events of a block."""
    return member, np.asarray(x)[:keep]


def _drawn_at_once(
    key: PRNGKeyArray, generator: Generator, params: Params, n: int, sobol: bool, group: range
) -> Iterator[list[tuple[int, Array, int]]]:
    """Blocks (member, x, events to keep) of a group of members that devices compute side by side,
    one member each; nobody waits for them here.
    """
    draw = _sampler(generator)
    homes = dict(zip(group, jax.devices(), strict=False))
    at_home = {}
    for member, device in homes.items():
        params_of_member = jax.tree.map(lambda leaf, m=member: leaf[m], params)
        at_home[member] = jax.device_put(params_of_member, device)
    latents = (_latents(key, member, n, generator.dim, sobol) for member in group)
    for blocks in zip(*latents, strict=True):
        yield [
            (member, draw(at_home[member], jax.device_put(latent, device)), keep)
            for (member, device), (latent, keep) in zip(homes.items(), blocks, strict=True)
        ]


@lru_cache(maxsize=32)
def _sampler(generator: Generator) -> Callable[[Params, Array], Array]:
    return jax.jit(generator.sample)


@lru_cache(maxsize=1)
def _shared_points(seed: int, n: int, dim: int) -> np.ndarray:
    return sobol_latents(seed, n, dim)


def _latents(
    key: PRNGKeyArray, member: int, n: int, dim: int, sobol: bool
) -> Iterator[tuple[Array, int]]:
    """Blocks (latent [_CHUNK or less, dim], events to keep): blocks have one size, so that the
    sampler compiles once.
    """
    size = min(n, _CHUNK)
    if sobol:
        points = _shared_points(int(jax.random.randint(key, (), 0, 2**31 - 1)), n, dim)
    for block, start in enumerate(range(0, n, size)):
        keep = min(size, n - start)
        if sobol:
            missing = (0, size - keep), (0, 0)
            padded = np.pad(points[start : start + keep], missing, constant_values=0.5)
            yield jnp.asarray(padded), keep
        else:
            key_block = jax.random.fold_in(jax.random.fold_in(key, member), block)
            yield uniform_latents(key_block, size, dim), keep
