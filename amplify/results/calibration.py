"""What the calibration study found for members like the user's: how the error that they claim
compares with the actual one, on problems whose truth is known (docs/calibration).

The table, `calibration.json` beside this file, is made of the recorded study by
`experiments.calibration`.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from amplify.errors import InputError
from amplify.results.columns import percent
from amplify.text import number

VIEW = "members_are"  # key of results.json
NAMES = {
    "bootstrap": "bootstrap ensembles",
    "same-data": "ensembles of the same data",
    "refit": "refits",
    "variational": "variational networks",
    "sgmcmc": "draws of stochastic-gradient Monte Carlo",
    "nuts": "draws of NUTS",
    "dropout": "dropout members",
}
_NEAR = 1.18  # claimed over actual sigma, or its inverse, that counts as known
_FAR = 1.43  # that earns a warning
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Found(NamedTuple):
    """What is said of a kind of members.

    Attributes:
        kind: as `--members-are` names it.
        verdict: a sentence.
        trusted: it needs no warning.
    """

    kind: str
    verdict: str
    trusted: bool


@cache
def table() -> Mapping[str, Any]:
    """For each kind that was studied the ratios of claimed to actual sigma, one per problem: of all
    bins together, `bulk`, and of all tails, `tail`. The actual error is that of a network trained
    on the data as they are; of draws of a posterior that of their mean.
    """
    return json.loads(files("amplify.results").joinpath("calibration.json").read_text("utf-8"))


def checked_kind(kind: str | None, what: str = "--members-are") -> str | None:
    """The kind as the table names it; None of members of which nobody said.

    >>> checked_kind("same data")
    'same-data'

    Raises:
        InputError: an unknown kind.
    """
    if not kind:
        return None
    named = kind.replace(" ", "-")
    if named not in NAMES:
        expected = f"one of {', '.join(NAMES)}"
        fix = "leave it out if your members are of another kind"
        raise InputError(what, expected, repr(kind), fix)
    return named


def transfer(kind: str | None) -> float:
    """What intervals from members of this kind carry for the difference between problems: standard
    deviation of ln(claimed / actual sigma). Only bootstraps are close enough to be worth it.
    """
    return table()["transfer"] if kind == "bootstrap" else 0.0


def found(kind: str) -> Found:
    """What the study says of members of this kind.

    Args:
        kind: a name in NAMES.
    """
    return said(kind, table()["kinds"].get(kind), transfer(kind))


def said(kind: str, row: Mapping[str, Any] | None, carried: float = 0.0) -> Found:
    """The sentence of a row of the table, and of the transfer that intervals carry.

    >>> said("same-data", {"bulk": [0.5, 0.25], "tail": [0.5, 0.2]}).verdict.split(" (")[0]
    'Ensembles of the same data like yours claimed 4 to 16 times too much on both problems'
    >>> said("bootstrap", {"bulk": [0.9, 1.1], "tail": [0.8, 1.2]}).trusted
    True
    """
    who = f"{NAMES[kind][0].upper()}{NAMES[kind][1:]}"
    if row is None:
        what = f"{who} like yours were not part of the calibration study"
        return Found(kind, f"{what}: nobody knows whether to believe them ({_WHERE})", False)
    low, high = min(row["bulk"]), max(row["bulk"])
    where = f"on {_all(len(row['bulk']))}"
    tails = f"in tails {_range(min(row['tail']), max(row['tail']))} times the actual error"
    if high < 1 / _NEAR:
        # G goes with the inverse square of sigma
        what = f"claimed {_range(high**-2, low**-2)} times too much {where}"
    elif low > _NEAR:
        what = f"claimed {_range(low**2, high**2)} times too little {where}"
    else:
        what = f"claimed {_range(low, high)} times the actual error {where}"
    every = (*row["bulk"], *row["tail"])
    trusted = min(every) > 1 / _FAR and max(every) < _FAR
    wider = f"; intervals carry {percent(carried)} of sigma for it" if carried else ""
    return Found(kind, f"{who} like yours {what} ({tails}{wider}; {_WHERE})", trusted)


_WHERE = "docs/calibration"


def _range(low: float, high: float) -> str:
    ends = dict.fromkeys((number(low), number(high)))
    return " to ".join(ends)


def _all(problems: int) -> str:
    if problems == 2:
        return "both problems"
    counted = _COUNTS[problems] if problems < len(_COUNTS) else str(problems)
    return "the one problem of the study" if problems == 1 else f"all {counted} problems"


def noted(kind: str | None) -> tuple[dict[str, Any], list[str]]:
    """What results.json says of members of this kind, and the warnings they earn."""
    if kind is None:
        return {}, []
    of_kind = found(kind)
    seen = of_kind._asdict() | {"transfer": transfer(kind)}
    return {VIEW: seen}, [] if of_kind.trusted else [of_kind.verdict]


def said_of_kind(views: Mapping[str, Any]) -> str:
    """The sentence, where it is no warning already."""
    of_kind = views.get(VIEW)
    return f"{of_kind['verdict']}." if of_kind and of_kind["trusted"] else ""
