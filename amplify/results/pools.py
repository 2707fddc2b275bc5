"""What results.json says of the pool of the members, of each of them, and of a forecast without a
holdout; and the same in words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amplify.estimators.forecast import Bracket
from amplify.estimators.pool import PoolEstimate
from amplify.results.columns import percent
from amplify.results.records import finite
from amplify.results.refits import OUT_OF_BAG, REFITS
from amplify.results.verdicts import most_equivalent, typical
from amplify.text import number
from amplify.types import Status

Record = dict[str, Any]
# keys of results.json
POOL, EACH, FORECAST = "pool_of_members", "each_member", "forecast_without_holdout"


def pool_record(
    pool: PoolEstimate,
    labels: Sequence[str],
    *,
    members: int,
    same_data_members: int | None,
    of: str,
    n_train: int,
    level: float,
    limit_level: float,
) -> Record:
    """Averaging amplification of the pool, a row for each region.

    Args:
        pool: the estimate.
        labels: of the regions.
        members: on bootstrap samples.
        same_data_members: on the training events as they are, or None.
        of: which of them the pool is made of.
        n_train: training events.
        level: of two-sided intervals.
        limit_level: of limits, one-sided.
    """
    rows = []
    for r, label in enumerate(labels):
        rows.append(
            {
                "region": label,
                "integral": float(pool.integral[r]),
                "sigma_model": float(pool.sigma_model.value[r]),
                "bias": float(pool.bias[r]),
                "n_equiv": float(pool.n_equiv.value[r]),
                "n_equiv_interval": [float(pool.n_equiv.low[r]), float(pool.n_equiv.high[r])],
                "amplification": float(pool.factor.value[r]),
                "amplification_interval": [float(pool.factor.low[r]), float(pool.factor.high[r])],
                "amplification_bounds": [float(pool.bounds.low[r]), float(pool.bounds.high[r])],
                "status": Status(int(pool.status[r])).name.lower(),
            }
        )
    record = {
        "of": of,
        "members": members,
        "same_data_members": same_data_members,
        "n_train": n_train,
        "level": level,
        "limit_level": limit_level,
        "regions": finite(rows),
    }
    return record | {"verdict": pool_verdict(record)}


def pool_verdict(record: Mapping[str, Any]) -> str:
    """What the pool is worth in a typical region."""
    size = record["same_data_members"] if record["of"] == "same data" else record["members"]
    which = " of the same data" if record["of"] == "same data" else ""
    pool = f"The pool of the {size} members{which}, which draws each event from one of them,"
    rows = [r for r in record["regions"] if r["status"] != "unresolved"]
    saying = [r for r in rows if r["amplification"] or r["amplification_interval"][0]]
    if not saying:
        return f"{pool} is worth nothing that could be said: no region is resolved."
    median = typical(saying)
    worth = f"{number(median.value * record['n_train'])} true events"
    if median.exact:
        return (
            f"{pool} describes a typical region like {worth} (median G = {number(median.value)})."
        )
    limit = f"median G > {number(median.value)}, one-sided {percent(record['limit_level'])}"
    why = "members of the same data would turn the limit into a value"
    return f"{pool} describes a typical region like more than {worth} ({limit}; {why})."


def forecast_record(
    bracket: Bracket,
    *,
    learned_limit: Mapping[str, float | None] | None = None,
    members: Mapping[str, int],
    distances: Mapping[str, Sequence[float]],
    n_train: int,
    level: float,
    limit_level: float,
) -> Record:
    """What members alone say of one of them, event by event.

    Args:
        bracket: the estimate.
        learned_limit: where distances were learned, the n_equiv that each kind stays below.
        members: of each kind, "bootstrap" and "same_data".
        distances: of the members of each kind to the pool of the others of the kind.
        n_train: training events.
        level: of the ends, two-sided.
        limit_level: of learned limits, one-sided.
    """
    record: Record = {
        "from": "log densities" if learned_limit is None else "a learned ratio",
        "n_train": n_train,
        "level": level,
        "limit_level": limit_level,
    }
    for kind in ("bootstrap", "same_data"):
        estimate = getattr(bracket, kind)
        if estimate is None:
            record[kind] = None
            continue
        record[kind] = {"members": members[kind], "distance": list(distances[kind])}
        if learned_limit is None:
            ends = [float(estimate.low), float(estimate.high)]
            record[kind] |= {"n_equiv": float(estimate.value), "n_equiv_interval": ends}
        else:
            record[kind] |= {"n_equiv": None, "n_equiv_interval": [0.0, learned_limit[kind]]}
    ends = [bracket.low, bracket.high]
    if learned_limit is not None:
        # what bootstrap members of a learned distance give is neither a lower nor an upper end
        ends = [0.0, learned_limit.get("same_data")]
    record["n_equiv_interval"] = ends
    record["amplification_interval"] = [None if e is None else e / n_train for e in ends]
    record = finite(record)
    return record | {"verdict": forecast_verdict(record)}


def forecast_verdict(record: Mapping[str, Any]) -> str:
    """One sentence: a bracket, one of its ends, or learned limits."""
    start = "Forecast without holdout: event by event a member is worth"
    if record["from"] == "a learned ratio":
        return _learned_verdict(record, start)
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    level = percent(record["level"])
    if record["bootstrap"] and record["same_data"]:
        end = (
            f"{number(low)} to {number(high)} true events (G = {number(g_low)} to {number(g_high)}"
        )
        why = "bootstrap members bound it from below, members of the same data from above"
        return f"{start} {end}, ends at {level}): {why}."
    if record["bootstrap"]:
        n = record["bootstrap"]["n_equiv"]
        about = f"about {number(n)} true events or somewhat more"
        factor = f"G = {number(n and n / record['n_train'])}, from {number(g_low)} at {level}"
        why = "bootstrap members differ more from one another than a member from the truth"
        more = "members of the same data would bound it from above"
        return f"{start} {about} ({factor}): {why}; {more}."
    fewer = f"fewer than {number(high)} true events (G < {number(g_high)}, {level})"
    why = "members of the same data share the deviations of their training set"
    return f"{start} {fewer}: {why}, bootstrap members would bound it from below."


def _learned_verdict(record: Mapping[str, Any], start: str) -> str:
    level, n_train = percent(record["limit_level"]), record["n_train"]
    limits, unseen = [], []
    for kind, words in (
        ("same_data", "members of the same data"),
        ("bootstrap", "bootstrap members"),
    ):
        if not record[kind]:
            continue
        limit = record[kind]["n_equiv_interval"][1]
        if limit is None:
            unseen.append(f"{words} cannot be told apart by the learned ratio")
        else:
            less = f"fewer than {number(limit)} (G < {number(limit / n_train)})"
            limits.append(f"{less} from {words}")
    start = start if limits else "Forecast without holdout:"
    why = "a learned ratio misses a part of the difference, so there is no lower end"
    return f"{start} {'; '.join([*limits, *unseen])} (one-sided {level}; {why})."


def each_verdict(record: Mapping[str, Any]) -> str:
    """What the members are worth one by one, as the holdout judges them."""
    rows = record["members"]
    limits = [most_equivalent(row) for row in rows]
    known = sorted(limit for limit in limits if limit)
    count = f"{len(rows)} members"
    pool = f"The numbers above are those of the pool of the {count}, each event from one of them"
    if not known:
        return f"{pool}; none of them by itself is told from true events by the holdout."
    is_limit = any(row["status"] == "upper_limit" for row in rows)
    worth = f"{'fewer than ' if is_limit else ''}{number(float(np.median(known)))} true events"
    ends = f"{number(known[0])} to {number(known[-1])}"
    more = "" if len(known) == len(rows) else f"; {len(rows) - len(known)} are not told from truth"
    return f"{pool}; by itself a member is worth {worth} (median of them; {ends}){more}."


def said_of_members(views: Mapping[str, Any]) -> list[str]:
    """The sentences on pool, members and forecast, where a result has them."""
    said = []
    for key in (POOL, EACH, REFITS, FORECAST, OUT_OF_BAG):
        if views.get(key):
            said.append(views[key]["verdict"])
            tested = views[key].get("event_by_event")
            said += [] if tested is None else [f"Event by event, this pool: {tested['verdict']}"]
    return said
