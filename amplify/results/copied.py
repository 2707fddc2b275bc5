"""What results say of training events that a generator repeats."""

import math
from collections.abc import Mapping
from typing import Any

from amplify.estimators.copies import P_COPIES, Copies
from amplify.text import number

COPIES = "copies"
"""Its key in results.json."""

_MEANING = "G is meaningless, copies are worth no more than what they copy"
_OVERFITS = 0.1  # of the events that is worth a word


def copies_record(found: Copies, source: str, exact: float) -> dict[str, Any]:
    """What results.json says of it.

    Args:
        found: of one generated sample.
        source: how it is called.
        exact: share of the generated events that are training events, number by number.
    """
    record = {
        "generated": source,
        "copies": found.copies,
        "share": found.share,
        "error": _known(found.error),
        "p": found.p,
        "exact": exact,
        "nearer": _known(found.nearer),
        "p_nearer": _known(found.p_nearer),
        "distance_ratio": _known(found.ratio),
        "n_generated": found.n_generated,
        "n_train": found.n_train,
        "n_holdout": found.n_holdout,
    }
    return record | {"verdict": copies_verdict(record)}


def copies_verdict(record: Mapping[str, Any]) -> str:
    """One sentence."""
    source = record["generated"]
    if record["copies"]:
        return f"{source} copies its training events: {_how(record)}. {_MEANING}."
    if record["p_nearer"] is not None and _overfits(record):
        what = f"about {_percent(record['nearer'])} of its events are there because of single ones"
        return f"{source} remembers its training events, though it does not copy them: {what}."
    most = record["share"] + 2 * (record["error"] or 0.0)
    if most > 1:
        return f"Too few events to tell whether {source} copies its training events."
    limit = f"at most {_percent(most)} of its events (two standard deviations)"
    return f"{source} copies {limit} from its training events."


def copies_warning(record: Mapping[str, Any]) -> list[str]:
    """A warning where training events are copied."""
    if not record["copies"]:
        return []
    return [f"{record['generated']} copies its training events: {_how(record)}; {_MEANING}"]


def said_of_copies(views: Mapping[str, Any]) -> list[str]:
    """A sentence for the top of a page where generators copy; of several members about one."""
    found = [record["verdict"] for record in views.get(COPIES) or () if record["copies"]]
    others = f" So do {len(found) - 1} more that were looked at." if found[1:] else ""
    return [found[0] + others] if found else []


def _how(record: Mapping[str, Any]) -> str:
    others = "as that is to the next one"
    if record["n_holdout"]:
        others = "as to any true event that it was not trained on"
    near = f"{_percent(record['share'])} of its events are twice as near to one {others}"
    same = f", {_percent(record['exact'])} are the same in every number" if record["exact"] else ""
    return f"about {near}{same} (p = {number(record['p'])})"


def _overfits(record: Mapping[str, Any]) -> bool:
    return record["p_nearer"] <= P_COPIES and record["nearer"] >= _OVERFITS


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
