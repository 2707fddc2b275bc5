"""Integrals over regions: the fraction of each member's generated events inside.

They need no stored sample. `member_integrals` draws, counts and forgets chunk by chunk, so n_gen
may exceed memory.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify.distributed import of_all, share
from amplify.errors import InputError
from amplify.regions import Regions, count, fractions
from amplify.sampling import check_size, generated_blocks
from amplify.types import Generator, Params, Samples


class Integrals(NamedTuple):
    """Fraction of each member's generated events in each region, for `averaging_amplification`.

    Attributes:
        integral: the fractions [member, region].
        n_gen: events per member that they come from; None where Sobol latents leave no noise to
            subtract, and equally noisy unweighted events [member, region] where events have
            weights.
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
    """Fractions of n generated events of every member in every region, without keeping the events
    (docs/method, Averaging amplification).

    >>> from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
    >>> from amplify.regions import column, tail
    >>> two = GaussianParams(mean=np.array([[0.0], [1.0]]), log_width=np.zeros((2, 1)))
    >>> above = tail(column(0), 1.0, "x")
    >>> key = jax.random.key(0)
    >>> fractions = member_integrals(key, fitted_gaussian(1), two, above, 1024, sobol=True)
    >>> fractions.integral.round(2).tolist()
    [[0.16], [0.5]]

    Args:
        key: the same key gives the same events, those of `sample_members`.
        generator: whose params they are.
        params: of the members [member, ...], `Ensemble.params`.
        regions: where events are counted.
        n: events per member; of a truncated generator events that pass, or with Sobol latents
            candidates, of which those that pass are counted.
        sobol: as in `sample_members`.
        transform: from network coordinates to what the regions look at, e.g. observables; on the
            host.
        progress: called with (events done, events in all).

    Raises:
        InputError: n below one, or no power of two with Sobol latents.
    """
    check_size(n, sobol)
    members = jax.tree.leaves(params)[0].shape[0]
    mine = share(members)  # several processes count some members each
    counts = np.zeros((len(mine), len(regions.labels)), np.int64)
    events = np.zeros(len(mine), np.int64)
    done = 0
    for member, x, candidates in generated_blocks(key, generator, params, n, sobol, mine):
        looked_at = x if transform is None else transform(x)
        counts[mine.index(member)] += count(regions, np.asarray(looked_at)).n_inside
        events[mine.index(member)] += len(x)
        done += candidates if sobol else len(x)
        if progress is not None:
            progress(done, len(mine) * n)
    counts, events = of_all(counts, members), of_all(events, members)
    if not events.all():
        got = f"none of {n} candidates of member {int(np.argmin(events))}"
        raise InputError("integrals", "events that pass", got, "train it longer")
    return Integrals(counts / events[:, None], None if sobol else n)


def sample_integrals(samples: Samples, regions: Regions) -> Integrals:
    """Fractions of events that are there already, for `averaging_amplification`.

    >>> from amplify.regions import column, tail
    >>> x = np.array([[[0.0], [2.0]], [[3.0], [2.0]]])
    >>> integrals = sample_integrals(Samples(x), tail(column(0), 1.0, "x"))
    >>> integrals.integral.tolist(), integrals.n_gen
    ([[0.5], [1.0]], 2)

    Args:
        samples: x [member, event, dim], and weights [member, event] or None, e.g. of
            `external_members`.
        regions: of the events.

    Raises:
        InputError: weights of a member that do not sum to a positive number.
    """
    members = []
    for m in range(len(samples.x)):
        weight = None if samples.weight is None else np.asarray(samples.weight[m])
        members.append(fractions(count(regions, np.asarray(samples.x[m]), weight)))
    integral = np.stack([member.integral for member in members])
    if samples.weight is None:
        return Integrals(integral, samples.x.shape[1])
    return Integrals(integral, np.stack([member.n_effective for member in members]))
