"""What results.json says of refits and of out-of-bag events, and the same in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from amplify.estimators.refit import RefitEstimate
from amplify.results.columns import percent
from amplify.results.records import finite
from amplify.results.verdicts import typical
from amplify.text import number
from amplify.types import Status

REFITS, OUT_OF_BAG = "refits", "out_of_bag"  # keys of results.json
_IMPROBABLE = 0.01  # of a bias in any of the regions, where there is none


def refit_record(
    estimate: RefitEstimate,
    labels: Sequence[str],
    spread: np.ndarray,
    *,
    refits: int,
    n_train: int,
    level: float,
    limit_level: float,
) -> dict[str, Any]:
    """Averaging amplification from refits, a row for each region.

    Args:
        estimate: of them.
        labels: of the regions.
        spread: sigma_model^2 of the members, from their spread, noise subtracted [region].
        refits: how many.
        n_train: training events of each.
        level: of two-sided intervals.
        limit_level: of limits, one-sided.
    """
    e, rows = estimate, []
    # Student's t of the mean of the refits, in as many regions
    far = stats.t.isf(_IMPROBABLE / 2 / len(labels), refits - 1)
    biased = np.abs(e.pull) > far
    for r, label in enumerate(labels):
        rows.append(
            {
                "region": label,
                "integral": float(e.integral[r]),
                "sigma_model": float(e.sigma_model.value[r]),
                "bias": float(e.bias[r]),
                "bias_error": float(e.bias_error[r]),
                "n_equiv": float(e.n_equiv.value[r]),
                "n_equiv_interval": [float(e.n_equiv.low[r]), float(e.n_equiv.high[r])],
                "amplification": float(e.factor.value[r]),
                "amplification_interval": [float(e.factor.low[r]), float(e.factor.high[r])],
                "amplification_bounds": [float(e.bounds.low[r]), float(e.bounds.high[r])],
                "status": Status(int(e.status[r])).name.lower(),
            }
        )
    known = np.isfinite(e.sigma_model.value) & (spread > 0)
    squares = (e.sigma_model.value[known] ** 2).sum(), spread[known].sum()
    record = finite(
        {
            "refits": refits,
            "n_train": n_train,
            "level": level,
            "limit_level": limit_level,
            # error of the refits over the members' spread, regions together
            "over_spread": float(np.sqrt(squares[0] / squares[1])) if squares[1] else math.nan,
            "biased": int(biased.sum()),
            "regions": rows,
        }
    )
    return record | {"verdict": refit_verdict(record)}


def refit_verdict(record: Mapping[str, Any]) -> str:
    """How far refits miss what they learned from, and what a typical region is worth then."""
    rows = record["regions"]
    start = f"{record['refits']} refits, trained on events that the members generated,"
    saying = [r for r in rows if r["amplification"] or r["amplification_interval"][0]]
    if record["over_spread"] is None or not saying:
        return f"{start} are too noisy to say anything: generate more events with each."
    misses = (
        f"miss them by {number(record['over_spread'])} times what the spread of the members says"
    )
    median = typical(saying)
    sign = "=" if median.exact else ">"
    worth = f"with that a typical region has a median G {sign} {number(median.value)}"
    biased = f"a bias shows in {record['biased']} of {len(rows)} regions"
    unseen = "one that the members have smoothed away does not"
    return f"{start} {misses}; {worth}; {biased}, {unseen}."


def out_of_bag_verdict(record: Mapping[str, Any]) -> str:
    """What a member is worth at most, event by event."""
    start = "Event by event, against training events that its bootstrap sample left out,"
    high = record["n_equiv_interval"][1]
    if high is None:
        return f"{start} a member cannot be told from the truth by a learned ratio."
    n_train, level = record["n_train"], percent(record["limit_level"])
    fewer = (
        f"fewer than {number(high)} true events (G < {number(high / n_train)}, one-sided {level})"
    )
    on_all = record["n_equiv_on_all_events_interval"][1]
    whole = f"a network trained on all of them typically fewer than {number(on_all)}"
    return f"{start} a member is worth {fewer}, {whole}."
