"""What a result says of each condition that was given to a generator, in words."""

from collections.abc import Mapping
from typing import Any

from amplify.results.columns import percent
from amplify.text import number

CONDITION = "condition"  # key of results.json


def said_of_condition(results: Mapping[str, Any]) -> str:
    """One sentence: that samples were compared at the same condition, and of averaging all regions
    of each condition together; empty where there was none.
    """
    view = results.get(CONDITION)
    if not view:
        return ""
    column = view["column"]
    same = f"All samples are compared at the same {column}, which is not tested itself"
    by_condition = view.get("averaging") or []
    if not by_condition:
        return f"{same}."
    limit_level = percent(results["estimates"][0]["limit_level"])
    said = [_worth(record, view["regions"][record["condition"]]) for record in by_condition]
    together = "all regions of a condition together have"
    return f"{same}; {together} {'; '.join(said)} (limits one-sided at {limit_level})."


def _worth(record: Mapping[str, Any], label: str) -> str:
    low, high = record["amplification_interval"]
    if record["status"] == "unresolved":
        return f"too few events where {label}"
    if record["status"] == "biased":
        label += ", with the bias against the holdout"
    elif record["status"] == "lower_limit" or record["amplification"] is None:
        return f"G > {number(low)} where {label}"
    if record["amplification"] is None:  # noise hides all but the bias
        return f"G between {number(low)} and {number(high)} where {label}"
    return f"G = {number(record['amplification'])} ({number(low)} to {number(high)}) where {label}"
