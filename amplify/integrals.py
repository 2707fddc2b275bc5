"""Integrals over regions: the fraction of each member's generated events inside.

They need no stored sample. `member_integrals` draws, counts and forgets chunk by chunk, so n_gen may
exceed memory.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify.regions import Regions, count, fractions
from amplify.sampling import check_size, generated_blocks
from amplify.types import Generator, Params, Samples


class Integrals(NamedTuple):
    """Fraction of each member's generated events in each region [member, region].

    `n_gen` is None where Sobol latents leave no noise to subtract, and [member, region] where
    events have weights.
    """

    integral: np.ndarray
    n_gen: int | np.ndarray | None


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
        key: the same key gives the same events, those of `sample_members`.
        generator: whose params they are.
        params: of the members [member, ...], `Ensemble.params`.
        regions: where events are counted.
        n: events per member.
        transform: from network coordinates to what the regions look at, e.g. observables; on the
            host.
        sobol: as in `sample_members`.
        progress: called with (events done, events in all).
    """
    check_size(n, sobol)
    members = jax.tree.leaves(params)[0].shape[0]
    counts = np.zeros((members, len(regions.labels)), np.int64)
    blocks = [0] * members
    for member, x in generated_blocks(key, generator, params, n, sobol):
        counts[member] += np.asarray(
            regions.contains(x if transform is None else transform(x))
        ).sum(axis=0)
        blocks[member] += len(x)
        if progress is not None:
            progress(sum(blocks), members * n)
    return Integrals(counts / n, None if sobol else n)


def sample_integrals(samples: Samples, regions: Regions) -> Integrals:
    """Fractions of events that are there already, for `averaging_amplification`.

    Args:
        samples: x [member, event, dim], and weights [member, event] or None, e.g. of
            `external_members`.
        regions: of the events.
    """
    weights = (
        [None] * len(samples.x)
        if samples.weight is None
        else [np.asarray(w) for w in samples.weight]
    )
    found = [
        fractions(count(regions, np.asarray(x), w)) for x, w in zip(samples.x, weights, strict=True)
    ]
    integral = np.stack([f.integral for f in found])
    return Integrals(
        integral,
        samples.x.shape[1] if samples.weight is None else np.stack([f.n_effective for f in found]),
    )


