"""Ensembles: members that differ by their initialisation, and by a bootstrap of the training
events.

Members trained on the same events see only the randomness of training, and claim 3 to 7 times too
much amplification; the bootstrap also sees the randomness of the training set and is calibrated for
spline flows (docs/method, Averaging amplification). It is therefore the default.
"""

from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.errors import InputError
from amplify.training.checkpoint import Folder
from amplify.training.fit import FitConfig, StepProgress, Stopping, fit_members, fit_on_all
from amplify.training.trained import Ensemble
from amplify.types import Generator

Resample = Literal["bootstrap", "none"]


def fit_ensemble(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    members: int,
    resample: Resample = "bootstrap",
    weight: Float[Any, " n"] | None = None,
    config: FitConfig | None = None,
    stop: Stopping | None = None,
    progress: StepProgress | None = None,
    checkpoint: Folder | None = None,
) -> Ensemble:
    """Trains `members` networks with initialisations of their own, each on a bootstrap of the
    events x or all on the same events (docs/method, Averaging amplification).

    >>> import numpy as np
    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> config = FitConfig(steps=10)
    >>> ensemble = fit_ensemble(jax.random.key(0), fitted_gaussian(2), x, members=3, config=config)
    >>> len(ensemble), ensemble.losses.shape, ensemble.params.mean.shape
    (3, (3, 10), (3, 2))

    Args:
        key: the same key gives the same bits on the same devices.
        generator: what is trained.
        x: training events of NumPy or JAX; trained on in single precision.
        members: networks; a spread needs 2, a useful interval 8.
        resample: "bootstrap" gives each member a resampled training set, "none" the same events to
            all.
        weight: event weights, honoured in the loss and carried along by the bootstrap.
        config: settings of each training; those for integrals of so many events by default.
        stop: ends all trainings together, at the step at which the pool of the members describes
            best the events that they have not seen: those that their bootstraps left out, or a
            share that all leave out where all have the same events. What was kept is in
            `ensemble.stopped`.
        progress: called with (step, steps, mean loss [member]) some 40 times, or at every check.
        checkpoint: a folder for checkpoints of this training, every ten seconds or more, and at its
            end if it took so long. The same call goes on from the last one, on the same devices
            with the same bits as if it had never been interrupted; the folder stays until somebody
            removes it. Generators that are fitted at once need none.

    Raises:
        InputError: fewer than one member, an unknown resampling, events as `fit` refuses them, or a
            checkpoint folder with another training or anything else in it.
        DivergedError: a member's loss became infinite or nan; the others are in
            `error.ensemble.survivors()`.
    """
    if members < 1:
        raise InputError("members", "at least 1", str(members), "an estimate needs 8 or more")
    config = FitConfig.for_integrals(len(x)) if config is None else config
    key_rows, key_fit = jax.random.split(key)
    keys = jax.random.split(key_fit, members)
    settings: dict[str, Any] = {"weight": weight, "config": config, "stop": stop}
    settings["checkpoint"] = checkpoint
    if resample == "none":
        same = fit_on_all(key_rows, keys, generator, x, progress=progress, **settings)
        return replace(same, method="same data")
    rows = ensemble_rows(key_rows, x.shape[0], members=members, resample=resample)
    ensemble = fit_members(keys, generator, x, rows, progress=progress, **settings)
    return replace(ensemble, method="bootstrap")


def ensemble_rows(
    key: PRNGKeyArray, n: int, *, members: int, resample: Resample
) -> Int[Array, "member n"]:
    """Which of n training events each member learns from."""
    if resample == "bootstrap":
        return jax.random.randint(key, (members, n), 0, n)
    if resample == "none":
        return jnp.broadcast_to(jnp.arange(n), (members, n))
    raise InputError("resample", "'bootstrap' or 'none'", repr(resample), "choose one of the two")
