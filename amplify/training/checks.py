"""What no training can make sense of, before it; and what went wrong, after it."""

from typing import Any

import numpy as np

from amplify.errors import DivergedError, InputError
from amplify.training import at_once
from amplify.training.config import FitConfig
from amplify.training.loop import truncation_of
from amplify.training.own_events import LEAST_ACCEPTANCE
from amplify.training.stopping import Stopping
from amplify.training.trained import Ensemble
from amplify.types import Generator, Trainable

_LAST = 20  # steps that say how many candidates pass at the end of a training
_ROUNDED = 1e-3  # of the training events may fail the cuts by rounding


def refuse_divergence(ensemble: Ensemble) -> None:
    """Refuses members whose loss was not finite, or whose candidates never pass.

    Raises:
        DivergedError: names them; `error.ensemble` holds all members.
    """
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


def check_passing(generator: Generator | Trainable, x: Any) -> None:
    """Refuses training events that could not have been data."""
    truncation = truncation_of(generator)
    if truncation is None:
        return
    failed = int((~np.asarray(truncation.passes(x))).sum())
    if failed > _ROUNDED * len(x):
        got = f"{failed} of {len(x)} that do not"
        fix = "apply the cuts to them, or correct what passes"
        raise InputError("training events", "events that pass the cuts", got, fix)


def check(
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
    if config.products not in ("float32", "bfloat16"):
        expected, got = "products 'float32' or 'bfloat16'", repr(config.products)
        raise InputError("FitConfig", expected, got, "choose one of the two")
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
