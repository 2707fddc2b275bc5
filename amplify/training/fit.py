"""Training of one generator, and of many members over all devices.

Which events a member learns from is data: `rows` [member, n] indexes a table of events. A
bootstrap, the same events for all, or a training set of its own for each are the same compiled code
with other rows.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key, PRNGKeyArray

from amplify.errors import DivergedError, InputError
from amplify.tables.precision import coarse_columns
from amplify.training import at_once
from amplify.training.config import FitConfig
from amplify.training.loop import Report, compiled, truncation_of
from amplify.training.own_events import LEAST_ACCEPTANCE
from amplify.training.stopping import Stopping, watch
from amplify.training.trained import Ensemble, Fitted
from amplify.types import Generator, Trainable

__all__ = ["FitConfig", "StepProgress", "Stopping", "fit", "fit_members"]

# step, steps, mean loss of each member since the last call; of a truncated generator also the share
# of each member's candidates that passed
StepProgress = Callable[..., None]
_MOST_CALLS = 40  # of the compiled scan, and of progress
_LAST = 20  # steps that say how many candidates pass at the end of a training
_ROUNDED = 1e-3  # of the training events may fail the cuts by rounding


def fit(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    weight: Float[Any, " n"] | None = None,
    config: FitConfig | None = None,
    stop: Stopping | None = None,
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
        config: settings of the training; those for integrals of so many events by default.
        stop: ends the training where events that it leaves out for that purpose, a tenth of x, stop
            being described better; what was kept is in `fitted.stopped`.
        progress: called with (step, steps, mean loss [1]) some 40 times.

    Raises:
        InputError: events or weights that are not finite, do not fit together, or a setting that
            makes no sense.
        DivergedError: the loss became infinite or nan; `error.ensemble` holds the last finite
            params.
    """
    config = FitConfig.for_integrals(len(x)) if config is None else config
    keys = jax.random.split(key, 1)
    settings: dict[str, Any] = {"weight": weight, "config": config, "progress": progress}
    return fit_on_all(key, keys, generator, x, stop=stop, **settings)[0]


def fit_on_all(
    key: PRNGKeyArray,
    keys: Key[Any, " member"],
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    config: FitConfig,
    stop: Stopping | None,
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
        settings: others of `fit_members`.

    Raises:
        InputError: as `fit_members`, or a share of events to test with outside of (0, 1).
        DivergedError: as `fit_members`.
    """
    n, members = x.shape[0], len(keys)
    everything = jnp.broadcast_to(jnp.arange(n), (members, n))
    if stop is None:
        return fit_members(keys, generator, x, everything, config=config, **settings)
    rows = jnp.tile(_left(key, n, stop)[None], (members, 1))
    stopped = fit_members(keys, generator, x, rows, config=config, stop=stop, **settings)
    if not stop.refit or stopped.stopped is None:
        return stopped
    config = config._replace(steps=stopped.stopped.step)
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

    Raises:
        InputError: as in `fit`.
        DivergedError: names the members and steps; `error.ensemble` holds all of them,
            `error.ensemble.survivors()` the others.
    """
    _check(generator, x, weight, rows, config, stop)
    for column in coarse_columns(np.asarray(x)):
        what = f"training events: {column}, single precision does not resolve it"
        warnings.warn(f"{what}; subtract an offset from it", stacklevel=2)
    x = jnp.asarray(x, jnp.float32)
    _check_passing(generator, x)
    weight = jnp.ones(x.shape[0], x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    members = rows.shape[0]
    devices = jax.devices()[: min(len(jax.devices()), members)]
    # every device has as many members, the last one is repeated
    size = math.ceil(members / len(devices)) * len(devices)
    padded = np.minimum(np.arange(size), members - 1)
    keys, rows = keys[padded], jnp.asarray(rows)[padded]

    if isinstance(generator, Generator) and generator.fit is not None:
        ensemble = at_once.ensemble(keys, generator, x, rows, weight, tuple(devices), members)
        if progress is not None:
            progress(1, 1, np.asarray(ensemble.losses[:, 0]))
        _refuse_divergence(ensemble)
        return ensemble
    start, advance = compiled(generator, config, tuple(devices))
    watched = stop and watch(stop, generator, x, weight, rows, tuple(devices), members)
    state, reports, stopped = start(keys), [], None
    length = _length(config, stop)
    for first in range(0, config.steps - length + 1, length):
        state, report = advance(state, keys, rows, x, weight, jnp.arange(first, first + length))
        reports.append(report)
        done = first + length
        if progress is not None:
            progress(done, config.steps, *_means(report, members))
        if watched and watched.ends(done, state.result):
            break
    params = state.result
    if watched:
        params, stopped = watched.result()
    losses, acceptance = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *reports)
    ensemble = Ensemble(params, losses, state.diverged_at, generator, stopped, acceptance)
    if size > members:
        ensemble = jax.tree.map(lambda leaf: leaf[:members], ensemble)
    _refuse_divergence(ensemble)
    return ensemble


def _length(config: FitConfig, stop: Stopping | None) -> int:
    """Steps between two looks at a training."""
    if stop is not None:
        return min(stop.every, config.steps)
    calls = max(k for k in range(1, _MOST_CALLS + 1) if config.steps % k == 0)
    return config.steps // calls


def _means(report: Report, members: int) -> list[np.ndarray]:
    """Of some steps, loss and acceptance of each member; the loss alone without acceptance."""
    return [np.asarray(values)[:members].mean(axis=1) for values in report if values is not None]


def _refuse_divergence(ensemble: Ensemble) -> None:
    _refuse_vanishing(ensemble)
    diverged_at = np.asarray(ensemble.diverged_at)
    if (diverged_at < 0).all():
        return
    diverged = np.flatnonzero(diverged_at >= 0)
    named = ", ".join(f"member {m} at step {diverged_at[m]}" for m in diverged)
    others = len(diverged_at) - len(diverged)
    got = f"infinity or nan in {named}"
    fix = f"the other {others} members are kept; lower the learning rate or check the events"
    raise DivergedError("training", "a finite loss", got, fix, ensemble)


def _refuse_vanishing(ensemble: Ensemble) -> None:
    """Refuses members whose candidates hardly ever pass, of a truncated generator."""
    if ensemble.acceptance is None:
        return
    last = np.asarray(ensemble.acceptance)[:, -_LAST:].mean(axis=1)
    vanished = np.flatnonzero(last < LEAST_ACCEPTANCE)
    if len(vanished):
        named = ", ".join(f"{last[m]:.1%} of member {m}" for m in vanished)
        fix = "train longer or with a lower learning rate, or check what passes"
        expected = f"at least {LEAST_ACCEPTANCE:.0%} of the candidates to pass at the end"
        raise DivergedError("truncated training", expected, named, fix, ensemble)


def _check_passing(generator: Generator | Trainable, x: Any) -> None:
    """Refuses training events that could not have been data."""
    truncation = truncation_of(generator)
    if truncation is None:
        return
    failed = int((~np.asarray(truncation.passes(x))).sum())
    if failed > _ROUNDED * len(x):
        got = f"{failed} of {len(x)} that do not"
        fix = "apply the cuts to them, or correct what passes"
        raise InputError("training events", "events that pass the cuts", got, fix)


def _check(
    generator: Generator | Trainable,
    x: Any,
    weight: Any,
    rows: Any,
    config: FitConfig,
    stop: Stopping | None,
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
    if config.schedule not in ("cosine", "constant") or config.warm_up < 0:
        expected = "schedule 'cosine' or 'constant', warm_up of no less than 0"
        raise InputError("FitConfig", expected, str(config), "correct the setting")
    if not 0 <= (config.average or 0) < 1:
        expected = "average of at least 0 and below 1"
        raise InputError("FitConfig", expected, str(config.average), "0.99 is a usual decay")
    if isinstance(generator, Generator) and generator.fit is not None:
        at_once.check(weight, stop)
    micro_batch = config.micro_batch
    if micro_batch is not None and (micro_batch < 1 or config.batch % micro_batch):
        expected = f"a micro_batch that divides the batch of {config.batch}"
        raise InputError("FitConfig", expected, str(micro_batch), "correct the setting")


def _are_weights(weight: Any, n: int) -> bool:
    """One finite number for each of n events, with a positive sum."""
    values = np.asarray(weight)
    return values.shape == (n,) and bool(np.isfinite(values).all() and values.sum() > 0)
