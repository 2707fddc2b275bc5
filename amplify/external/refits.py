"""Refits of a user's own generator: trained again on events whose truth is known, because its
members generated them (docs/method, Bias without a holdout).
"""

from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.external.members import external_members
from amplify.external.protocol import Fit, MemberProgress
from amplify.types import Samples

# generated events for each that a refit learns from: what a refit has learned is in the pool, too,
# which makes its error too small, by a quarter where all events of the pool teach, by 3 % here
POOL = 10


def external_refits(
    fit: Fit,
    samples: Samples,
    *,
    members: int = 8,
    n_train: int,
    n_gen: int,
    seed: int = 0,
    progress: MemberProgress | None = None,
) -> Samples:
    """Trains a user's generator `members` times, each on n_train events of its own that the members
    of `external_members` generated, and generates n_gen events with each.

    What they get wrong is in their distance from the pool of the members:
    `refit_amplification(sample_integrals(refits, ...).integral, sample_integrals(samples,
    ...).integral, ...)`.

    >>> def fit(x_train, seed):
    ...     mean, width = x_train.mean(axis=0), x_train.std(axis=0)
    ...     return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, 1))
    >>> x = np.random.default_rng(0).normal(5.0, 1.0, size=(100, 1))
    >>> samples = external_members(fit, x, members=4, n_gen=1000)
    >>> refits = external_refits(fit, samples, members=4, n_train=100, n_gen=500)
    >>> refits.x.shape, refits.x.mean().round()
    ((4, 500, 1), np.float64(5.0))

    Args:
        fit: as for `external_members`.
        samples: of the members, with ten times as many events as the refits learn from; no event
            teaches twice.
        members: refits.
        n_train: events that each learns from, as many as a member did.
        n_gen: events per refit.
        seed: the same seed gives the same bits where fit and sample honour theirs.
        progress: as for `external_members`.

    Raises:
        InputError: fewer generated events than refits learn from.
        FailedMembersError: as `external_members`, at the first refit that failed.
    """
    x = np.asarray(samples.x)
    x = x.reshape(-1, x.shape[-1])
    weight = None if samples.weight is None else np.asarray(samples.weight).reshape(-1)
    if members < 1 or n_train < 1 or POOL * members * n_train > len(x):
        got = f"{members} refits of {n_train} events from {len(x)}"
        fix = "generate more with each member, or train fewer refits"
        expected = f"{POOL} generated events for each that a refit learns from"
        raise InputError("refits", expected, got, fix)
    rows = np.random.default_rng([seed, members]).permutation(len(x))[: members * n_train]
    found: list[Samples] = []
    for refit, own in enumerate(rows.reshape(members, n_train)):
        if progress is not None:
            progress(refit, members, f"refit {refit}")
        settings: dict[str, Any] = {"weight": None if weight is None else weight[own]}
        # every refit is member 0 of an ensemble of its own, with a seed that no ensemble is given
        own_seed = int(np.random.default_rng([seed, members, refit, 1]).integers(2**31))
        settings |= {"n_gen": n_gen, "seed": own_seed, "resample": "none"}
        found.append(external_members(fit, x[own], members=1, **settings))
    if progress is not None:
        progress(members, members, "")
    weights: list[Any] = [one.weight for one in found if one.weight is not None]
    return Samples(
        np.concatenate([one.x for one in found]), np.concatenate(weights) if weights else None
    )
