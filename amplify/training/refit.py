"""Refits: the same generator, trained again on events of which the truth is known, because an
ensemble generated them.

The spread between the members of an ensemble does not see what all of them get wrong. A refit does:
it learns from as many events as the members did, drawn from their pool, and its integrals are
compared with those of the pool, which are known as exactly as one likes. Its error is what the
training procedure leaves wrong at a truth near the real one, bias included (a parametric bootstrap;
docs/method, Bias without a holdout). Only what the pool itself has smoothed away is lost on it.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify.errors import InputError
from amplify.training.checkpoint import Folder
from amplify.training.fit import FitConfig, StepProgress, fit_members
from amplify.training.trained import Ensemble


def fit_refits(
    key: PRNGKeyArray,
    ensemble: Ensemble,
    *,
    members: int,
    n_train: int,
    config: FitConfig | None = None,
    progress: StepProgress | None = None,
    checkpoint: Folder | None = None,
) -> Ensemble:
    """Trains the generator of an ensemble `members` times again, each on n_train events of its own
    that the pool of the ensemble generated.

    What they get wrong is in their distance from the pool: `refit_amplification(integrals of the
    refits, integrals of the ensemble)`.

    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> from amplify.training.ensemble import fit_ensemble
    >>> x = np.random.default_rng(0).normal(5.0, 1.0, (100, 1))
    >>> config = FitConfig(steps=200, learning_rate=0.1)
    >>> settings = {"members": 3, "config": config}
    >>> ensemble = fit_ensemble(jax.random.key(0), fitted_gaussian(), x, **settings)
    >>> refits = fit_refits(jax.random.key(1), ensemble, n_train=100, **settings)
    >>> refits.method, len(refits), np.asarray(refits.params.mean).round().ravel().tolist()
    ('refit', 3, [5.0, 5.0, 5.0])

    Args:
        key: the same key gives the same bits on the same devices.
        ensemble: of any method; its members should have learned from n_train events.
        members: refits; their mean square has as many degrees of freedom.
        n_train: events that each learns from; of weighted training events the effective number,
            since the pool generates events without weights.
        config: the settings that the ensemble was trained with; those for integrals of so many
            events by default. Where a `Stopping` ended its training, as many steps as it kept.
        progress: as for `fit_ensemble`.
        checkpoint: a folder for checkpoints of the refits, as for `fit_ensemble`.

    Raises:
        InputError: fewer than one refit or event, members that are classifiers, or an ensemble
            that does not generate finite events.
        DivergedError: as for `fit_ensemble`.
    """
    if min(members, n_train) < 1:
        got = f"members={members}, n_train={n_train}"
        fix = "8 refits on as many events as the members had"
        raise InputError("refits", "members and n_train of at least 1", got, fix)
    config = FitConfig.for_integrals(n_train) if config is None else config
    if ensemble.stopped is not None:
        config = config._replace(steps=min(config.steps, ensemble.stopped.step))
    key_sample, key_fit = jax.random.split(key)
    x = ensemble.pool().sample(key_sample, members * n_train)
    if not np.isfinite(x).all():
        fix = "train the ensemble longer, or leave that member out"
        raise InputError("events of the pool", "finite numbers", "nan or infinity", fix)
    rows = jnp.arange(len(x)).reshape(members, n_train)
    keys = jax.random.split(key_fit, members)
    settings: dict[str, Any] = {"config": config, "progress": progress, "checkpoint": checkpoint}
    refits = fit_members(keys, ensemble.generator, x, rows, **settings)
    return replace(refits, method="refit")
