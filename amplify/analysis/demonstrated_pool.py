"""The pool of the members in the demonstration: what it is worth, with truth beside it."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify.analysis.forecast import forecast_without_holdout
from amplify.estimators.differential import differential_amplification
from amplify.estimators.kolmogorov import K1
from amplify.namespace import in_blocks
from amplify.results.pools import FORECAST, POOL
from amplify.results.records import differential_records, finite
from amplify.results.result import Result
from amplify.results.verdicts import typical
from amplify.summaries import exact_ratio
from amplify.text import number
from amplify.training.trained import Ensemble, Fitted
from amplify.truth import ring

_TRUE = 1 << 15  # events that the actual distances come from


def add_actual(pool: dict[str, Any], integral: np.ndarray, actual: np.ndarray) -> None:
    """The actual amplification of each region beside the estimate.

    Args:
        pool: what results.json says of it.
        integral: true fraction of events in each region.
        actual: mean squared error of pools on independent training sets [region].
    """
    factor = integral * (1 - integral) / pool["n_train"] / actual
    for row, value in zip(pool["regions"], factor, strict=True):
        row["actual_amplification"] = float(value)


def add_event_by_event(
    pool: dict[str, Any], key: PRNGKeyArray, members: Ensemble, truth: ring.Ring, settings: Any
) -> None:
    """The pool of these members against a holdout, with the exact ratio, and its actual distance.

    Args:
        pool: what results.json says of it.
        key: of the events.
        members: all on one training set.
        truth: of the ring.
        settings: of the demonstration.
    """
    fitted = members.pool()
    key_gen, key_true, key_holdout = jax.random.split(jax.random.fold_in(key, 1), 3)
    log_prob_true = in_blocks(jax.jit(partial(ring.log_prob, truth)))
    ratio = exact_ratio(fitted.log_prob, log_prob_true)
    n_gen = settings.n_tested // 8
    generated = fitted.sample(key_gen, n_gen)
    holdout = np.asarray(ring.sample(key_holdout, truth, n=settings.n_holdout))
    estimate = differential_amplification(
        ratio(generated), ratio(holdout), n_train=settings.n_train
    )
    (record,) = differential_records(
        estimate,
        ("all",),
        summary="exact likelihood ratio",
        n_train=settings.n_train,
        n_gen=n_gen,
        n_holdout=settings.n_holdout,
        level=pool["level"],
        limit_level=pool["limit_level"],
    )
    true = np.asarray(ring.sample(key_true, truth, n=_TRUE))
    actual = [_n_equiv(some, true, log_prob_true) for some in (fitted, *members)]
    pool["event_by_event"] = record | {
        "actual_n_equiv": actual[0],
        "actual_n_equiv_of_members": actual[1:],
    }


def forecast_of(
    key: PRNGKeyArray, ensemble: Ensemble, same_data: Ensemble, truth: ring.Ring, settings: Any
) -> dict[str, Any]:
    """What the members of one training set say of one of them, and what is actual.

    Args:
        key: of the events.
        ensemble: on bootstrap samples.
        same_data: on the training set as it is.
        truth: of the ring.
        settings: of the demonstration.
    """
    key_events, key_true = jax.random.split(jax.random.fold_in(key, 2))
    forecast = forecast_without_holdout(
        ensemble, n_train=settings.n_train, same_data=same_data, key=key_events, n=1 << 11
    )
    log_prob_true = in_blocks(jax.jit(partial(ring.log_prob, truth)))
    true = np.asarray(ring.sample(key_true, truth, n=_TRUE))
    actual = [_n_equiv(member, true, log_prob_true) for member in same_data]
    return finite(forecast.record | {"actual_n_equiv_of_members": actual})


def said_of_pool(result: Result) -> list[str]:
    """What the actual numbers say of the pool and of the forecast."""
    pool, forecast = result.views[POOL], result.views[FORECAST]
    rows = pool["regions"][: result.settings["shells"]]
    actual = float(np.median([row["actual_amplification"] for row in rows]))
    estimated = typical(rows)
    sign = "" if estimated.exact else "more than "
    tested = pool["event_by_event"]
    low, high = tested["n_equiv_interval"]
    members = tested["actual_n_equiv_of_members"]
    low_end, high_end = forecast["n_equiv_interval"]
    of_member = float(np.mean(forecast["actual_n_equiv_of_members"]))
    return [
        f"pool of {len(members)} networks on the same events:",
        f"    averaging: median G of the shells {sign}{number(estimated.value)}, actual "
        f"{number(actual)}",
        f"    differential: {number(low)} to {number(high)}, actual n_equiv "
        f"{number(tested['actual_n_equiv'])}, of its members "
        f"{number(min(members))} to {number(max(members))}",
        f"forecast without holdout, of a member: {number(low_end)} to {number(high_end)}, actual "
        f"n_equiv {number(of_member)}",
    ]


def _n_equiv(fitted: Fitted, true: np.ndarray, log_prob_true: Any) -> float:
    """From the actual total variation distance, by integration over true events."""
    log_ratio = fitted.log_prob(true) - log_prob_true(true)
    return float((K1 / np.maximum(-np.expm1(log_ratio), 0).mean()) ** 2)
