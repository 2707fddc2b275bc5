"""Training of one generator, and of many members over all devices.

Which events a member learns from is data: `rows` [member, n] indexes a table of events. A
bootstrap, the same events for all, or a training set of its own for each are the same compiled code
with other rows.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key, PRNGKeyArray

from amplify.errors import DivergedError, InputError
from amplify.tables.precision import coarse_columns
from amplify.training.loop import FitConfig, compiled
from amplify.training.trained import Ensemble, Fitted
from amplify.types import Generator, Trainable

__all__ = ["FitConfig", "StepProgress", "fit", "fit_members"]

# step, steps, mean loss of each member since the last call
StepProgress = Callable[[int, int, np.ndarray], None]
_MOST_CALLS = 40  # of the compiled scan, and of progress


def fit(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    weight: Float[Any, " n"] | None = None,
    config: FitConfig = FitConfig(),
    progress: StepProgress | None = None,
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
        config: settings of the training.
        progress: called with (step, steps, mean loss [1]) some 40 times.

    Raises:
        InputError: events or weights that are not finite, do not fit together, or a setting that
            makes no sense.
        DivergedError: the loss became infinite or nan; `error.ensemble` holds the last finite
            params.
    """
    keys, rows = jax.random.split(key, 1), jnp.arange(x.shape[0])[None]
    ensemble = fit_members(
        keys, generator, x, rows, weight=weight, config=config, progress=progress
    )
    return ensemble[0]


def fit_members(
    keys: Key[Any, " member"],
    generator: Generator | Trainable,
    x: Float[Any, "n dim"],
    rows: Int[Any, "member n_train"],
    *,
    weight: Float[Any, " n"] | None = None,
    config: FitConfig = FitConfig(),
    progress: StepProgress | None = None,
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
        progress: called with (step, steps, mean loss [member]) some 40 times.

    Raises:
        InputError: as in `fit`.
        DivergedError: names the members and steps; `error.ensemble` holds all of them,
            `error.ensemble.survivors()` the others.
    """
    _check(generator, x, weight, rows, config)
    for column in coarse_columns(np.asarray(x)):
        what = f"training events: {column}, single precision does not resolve it"
        warnings.warn(f"{what}; subtract an offset from it", stacklevel=2)
    x = jnp.asarray(x, jnp.float32)
    weight = jnp.ones(x.shape[0], x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    members = rows.shape[0]
    devices = jax.devices()[: min(len(jax.devices()), members)]
    # every device has as many members, the last one is repeated
    size = math.ceil(members / len(devices)) * len(devices)
    padded = np.minimum(np.arange(size), members - 1)
    keys, rows = keys[padded], jnp.asarray(rows)[padded]

    start, advance = compiled(generator, config, tuple(devices))
    state, losses = start(keys), []
    calls = max(k for k in range(1, _MOST_CALLS + 1) if config.steps % k == 0)
    length = config.steps // calls
    for call in range(calls):
        steps = jnp.arange(call * length, (call + 1) * length)
        state, loss = advance(state, keys, rows, x, weight, steps)
        losses.append(loss)
        if progress is not None:
            progress((call + 1) * length, config.steps, np.asarray(loss)[:members].mean(axis=1))
    ensemble = Ensemble(state.params, jnp.concatenate(losses, axis=1), state.diverged_at, generator)
    if size > members:
        ensemble = jax.tree.map(lambda leaf: leaf[:members], ensemble)
    _refuse_divergence(ensemble)
    return ensemble


def _refuse_divergence(ensemble: Ensemble) -> None:
    diverged_at = np.asarray(ensemble.diverged_at)
    if (diverged_at < 0).all():
        return
    diverged = np.flatnonzero(diverged_at >= 0)
    named = ", ".join(f"member {m} at step {diverged_at[m]}" for m in diverged)
    others = len(diverged_at) - len(diverged)
    got = f"infinity or nan in {named}"
    fix = f"the other {others} members are kept; lower the learning rate or check the events"
    raise DivergedError("training", "a finite loss", got, fix, ensemble)


def _check(
    generator: Generator | Trainable, x: Any, weight: Any, rows: Any, config: FitConfig
) -> None:
    """Refuses what no training can make sense of."""
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != generator.dim:
        expected = f"shape [n, {generator.dim}]"
        fix = "one row per event, one column per dimension"
        raise InputError("training events", expected, str(x.shape), fix)
    if not np.isfinite(np.asarray(x)).all():
        fix = "remove those events"
        raise InputError("training events", "finite numbers", "nan or infinity", fix)
    if weight is not None and not _are_weights(weight, len(x)):
        expected, got = f"{len(x)} finite numbers with a positive sum", f"shape {weight.shape}"
        raise InputError("weights", expected, got, "one weight per event")
    if rows.ndim != 2 or 0 in rows.shape:
        fix = "at least one member and one event"
        raise InputError("rows", "shape [member, n_train]", str(rows.shape), fix)
    if config.steps < 1 or config.batch < 1 or not config.learning_rate > 0:
        expected = "steps, batch and learning_rate above zero"
        raise InputError("FitConfig", expected, str(config), "correct the setting")
    micro_batch = config.micro_batch
    if micro_batch is not None and (micro_batch < 1 or config.batch % micro_batch):
        expected = f"a micro_batch that divides the batch of {config.batch}"
        raise InputError("FitConfig", expected, str(micro_batch), "correct the setting")


def _are_weights(weight: Any, n: int) -> bool:
    """One finite number for each of n events, with a positive sum."""
    values = np.asarray(weight)
    return values.shape == (n,) and bool(np.isfinite(values).all() and values.sum() > 0)
