"""From trained members to generated events: Monte Carlo, or scrambled Sobol latents that all members share.

Integrals over regions need no stored sample. `member_integrals` draws, counts and forgets chunk by chunk, so n_gen may exceed memory.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.stats import qmc

from amplify.errors import InputError
from amplify.regions import Regions
from amplify.types import Generator, Params, Samples

_CHUNK = 1 << 15  # events generated at once: the activations of a small flow stay in the cache


class Integrals(NamedTuple):
    """Fraction of each member's generated events in each region [member, region]; `n_gen` is None where Sobol latents leave no noise to subtract."""

    integral: np.ndarray
    n_gen: int | None


def sample_members(key: PRNGKeyArray, generator: Generator, params: Params, n: int, *, sobol: bool = False) -> Samples:
    """Generates n events with every member of params [member, ...].

    Args:
        sobol: the members share scrambled Sobol latents, which cut the sampling error of an integral 5 to 20 times (method.md section 2);
            n should then be a power of two. Otherwise each member has Monte Carlo latents of its own.
    Raises:
        InputError: n below one.
    """
    if n < 1:
        raise InputError("n", "at least 1 event", str(n), "ask for some events")
    members = jax.tree.leaves(params)[0].shape[0]
    draw = _sampler(generator)
    blocks = []
    for member in range(members):
        one = jax.tree.map(lambda leaf, m=member: leaf[m], params)
        blocks.append(np.concatenate([np.asarray(draw(one, u))[:k] for u, k in _latents(key, member, n, generator.dim, sobol)]))
    return Samples(jnp.asarray(np.stack(blocks)))


def member_integrals(
    key: PRNGKeyArray,
    generator: Generator,
    params: Params,
    regions: Regions,
    n: int,
    *,
    sobol: bool = False,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Integrals:
    """Fractions of n generated events of every member in every region, without keeping the events.

    Args:
        transform: from network coordinates to what the regions look at, e.g. observables; on the host.
        sobol: as in `sample_members`.
        progress: called with (members done, members).
    """
    members = jax.tree.leaves(params)[0].shape[0]
    draw = _sampler(generator)
    counts = np.zeros((members, len(regions.labels)), np.int64)
    for member in range(members):
        one = jax.tree.map(lambda leaf, m=member: leaf[m], params)
        for latent, k in _latents(key, member, n, generator.dim, sobol):
            x = np.asarray(draw(one, latent))[:k]
            counts[member] += np.asarray(regions.contains(x if transform is None else transform(x))).sum(axis=0)
        if progress is not None:
            progress(member + 1, members)
    return Integrals(counts / n, None if sobol else n)


def sobol_latents(seed: int, n: int, dim: int) -> Float[np.ndarray, "n dim"]:
    """n points of the scrambled Sobol sequence in the open unit cube, float32."""
    points = qmc.Sobol(dim, scramble=True, rng=seed).random(n)
    return np.clip(points, 2.0**-33, 1 - 2.0**-24).astype(np.float32)


def uniform_latents(key: PRNGKeyArray, n: int, dim: int) -> Float[Array, "n dim"]:
    """n independent points in the open unit cube; half a float32 step away from both ends."""
    return jax.random.uniform(key, (n, dim)) + 2.0**-24


@lru_cache(maxsize=32)
def _sampler(generator: Generator) -> Callable[[Params, Array], Array]:
    return jax.jit(generator.sample)


def _latents(key: PRNGKeyArray, member: int, n: int, dim: int, sobol: bool):
    """Blocks (latent [_CHUNK or less, dim], events to keep): blocks have one size, so that the sampler compiles once."""
    size = min(n, _CHUNK)
    if sobol:
        points = sobol_latents(int(jax.random.randint(key, (), 0, 2**31 - 1)), n, dim)
    for block, start in enumerate(range(0, n, size)):
        keep = min(size, n - start)
        if sobol:
            part = points[start : start + keep]
            yield jnp.asarray(np.pad(part, ((0, size - keep), (0, 0)), constant_values=0.5)), keep
        else:
            yield uniform_latents(jax.random.fold_in(jax.random.fold_in(key, member), block), size, dim), keep
