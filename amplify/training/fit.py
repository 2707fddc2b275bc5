"""Training of one generator, and of many members over all devices.

Which events a member learns from is data: `rows` [member, n] indexes a table of events. A
bootstrap, the same events for all, or a training set of its own for each are the same compiled code
with other rows.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key, PRNGKeyArray

from amplify.errors import InputError
from amplify.tables.precision import coarse_columns
from amplify.training import at_once
from amplify.training.checkpoint import Folder, checkpoints, inner
from amplify.training.checks import check, check_passing, refuse_divergence
from amplify.training.config import FitConfig
from amplify.training.descent import Table, Training, descend
from amplify.training.fingerprint import code_of, digest_of, machine_of
from amplify.training.mesh import everywhere, layout, padded
from amplify.training.stopping import Stopping
from amplify.training.trained import Ensemble, Fitted
from amplify.types import Generator, Trainable

__all__ = ["FitConfig", "StepProgress", "Stopping", "fit", "fit_members"]

# step, steps, mean loss of each member since the last call; of a truncated generator also the share
# of each member's candidates that passed
StepProgress = Callable[..., None]


def fit(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    weight: Float[Any, " n"] | None = None,
    config: FitConfig | None = None,
    stop: Stopping | None = None,
    progress: StepProgress | None = None,
    checkpoint: Folder | None = None,
) -> Fitted:
    """Trains one generator on events x, with event weights in the loss.

    The result samples and gives log densities: `fitted.sample(key, n)`, `fitted.log_prob(x)`.

    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> x = np.random.default_rng(0).normal(3.0, 1.0, (400, 1))
    >>> config = FitConfig(steps=200, learning_rate=0.1)
    >>> fitted = fit(jax.random.key(0), fitted_gaussian(1), x, config=config)
    >>> round(float(fitted.params.mean[0]), 1)
    3.0

    Args:
        key: the same key gives the same bits on the same devices.
        generator: what is trained.
        x: training events of NumPy or JAX; trained on in single precision.
        weight: event weights in the loss; ones by default.
        config: settings of the training; those for integrals of so many events by default.
        stop: ends the training where events that it leaves out for that purpose, a tenth of x, stop
            being described better; what was kept is in `fitted.stopped`.
        progress: called with (step, steps, mean loss [1]) some 40 times.
        checkpoint: a folder for checkpoints of this training, as in `fit_ensemble`.

    Raises:
        InputError: events or weights that are not finite, do not fit together, or a setting that
            makes no sense.
        DivergedError: the loss became infinite or nan; `error.ensemble` holds the last finite
            params.
    """
    config = FitConfig.for_integrals(len(x)) if config is None else config
    keys = jax.random.split(key, 1)
    settings: dict[str, Any] = {"weight": weight, "config": config, "progress": progress}
    return fit_on_all(key, keys, generator, x, stop=stop, checkpoint=checkpoint, **settings)[0]


def fit_on_all(
    key: PRNGKeyArray,
    keys: Key[Any, " member"],
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    config: FitConfig,
    stop: Stopping | None,
    checkpoint: Folder | None = None,
    **settings: Any,
) -> Ensemble:
    """Trains a member per key on the same events, all but for those that `stop` tests with; on all
    where it asks for another training of as many steps.

    Args:
        key: chooses the events to test with.
        keys: one per member.
        generator: what is trained.
        x: training events.
        config: settings of each training.
        stop: when training ends.
        checkpoint: a folder for checkpoints.
        settings: others of `fit_members`.

    Raises:
        InputError: as `fit_members`, or a share of events to test with outside of (0, 1).
        DivergedError: as `fit_members`.
    """
    n, members = x.shape[0], len(keys)
    everything = jnp.broadcast_to(jnp.arange(n), (members, n))
    if stop is None:
        settings["checkpoint"] = checkpoint
        return fit_members(keys, generator, x, everything, config=config, **settings)
    settings["checkpoint"] = inner(checkpoint, "stopped")
    rows = jnp.tile(_left(key, n, stop)[None], (members, 1))
    stopped = fit_members(keys, generator, x, rows, config=config, stop=stop, **settings)
    if not stop.refit or stopped.stopped is None:
        return stopped
    config = config._replace(steps=stopped.stopped.step)
    settings["checkpoint"] = inner(checkpoint, "again")
    again = fit_members(keys, generator, x, everything, config=config, **settings)
    return replace(again, stopped=stopped.stopped)


def _left(key: PRNGKeyArray, n: int, stop: Stopping) -> Int[Any, " n_train"]:
    """The events of n that are left to train on."""
    if not 0 < stop.holdout < 1 or not 0 < round(n * stop.holdout) < n:
        fix = "leave out a tenth"
        raise InputError("holdout of Stopping", "between 0 and 1", str(stop.holdout), fix)
    order = jax.random.permutation(jax.random.fold_in(key, 1), n)
    return order[round(n * stop.holdout) :]


def fit_members(
    keys: Key[Any, " member"],
    generator: Generator | Trainable,
    x: Float[Any, "n dim"],
    rows: Int[Any, "member n_train"],
    *,
    weight: Float[Any, " n"] | None = None,
    config: FitConfig = FitConfig(),
    stop: Stopping | None = None,
    progress: StepProgress | None = None,
    checkpoint: Folder | None = None,
) -> Ensemble:
    """Trains one member per key on x[rows[member]], spread over all devices.

    Args:
        keys: one per member. The same keys give the same bits on the same devices; another number
            of devices changes the rounding only.
        generator: what is trained.
        x: table of events of NumPy or JAX; trained on in single precision.
        rows: which events each member learns from.
        weight: event weights in the loss; ones by default.
        config: settings of each training.
        stop: ends all trainings together, at the step at which the pool of the members describes
            best the events of x that they have not seen; x is one training set then.
        progress: called with (step, steps, mean loss [member]) some 40 times, or at every check.
        checkpoint: a folder for checkpoints of this training, as in `fit_ensemble`.

    Raises:
        InputError: as in `fit`, or a folder with something else in it.
        DivergedError: names the members and steps; `error.ensemble` holds all of them,
            `error.ensemble.survivors()` the others.
    """
    check(generator, x, weight, rows, config, stop)
    for column in coarse_columns(np.asarray(x)):
        what = f"training events: {column}, single precision does not resolve it"
        warnings.warn(f"{what}; subtract an offset from it", stacklevel=2)
    x = jnp.asarray(x, jnp.float32)
    check_passing(generator, x)
    weight = jnp.ones(x.shape[0], x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    members = rows.shape[0]
    is_at_once = isinstance(generator, Generator) and generator.fit is not None
    shared = layout(members, 1 if is_at_once else config.batch)
    of_members = padded(shared, (keys, jnp.asarray(rows)))
    table = Table(*of_members, *everywhere(shared, (x, weight)))

    def settings() -> dict[str, Any]:
        events = {"events": digest_of(x), "weights": digest_of(weight), "rows": digest_of(rows)}
        how = {"config": str(config), "stop": str(stop), "keys": digest_of(keys)}
        return events | how | {"generator": code_of(generator)} | machine_of(shared.mesh)

    if isinstance(generator, Generator) and is_at_once:
        ensemble = at_once.ensemble(
            table.keys, generator, table.x, table.rows, table.weight, shared.mesh, members
        )
        if progress is not None:
            progress(1, 1, np.asarray(ensemble.losses[:, 0]))
    else:
        training = Training(generator, config, stop, shared, members)
        with checkpoints(checkpoint, settings) as kept:
            ensemble = descend(training, table, kept, progress)
    refuse_divergence(ensemble)
    return ensemble
