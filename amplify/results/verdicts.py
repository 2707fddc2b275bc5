"""What a result means, in one sentence a physicist understands."""

import math
from typing import Any

from amplify.estimators.averaging import MIN_EVENTS
from amplify.estimators.differential import MIN_EVENTS as MIN_DIFFERENTIAL_EVENTS
from amplify.text import number


def verdict(record: dict[str, Any]) -> str:
    """One sentence on one region."""
    return _differential(record) if record["method"] == "differential" else _averaging(record)


def _averaging(record: dict[str, Any]) -> str:
    n, g = record["n_equiv"], record["amplification"]
    low, high = record["n_equiv_interval"]
    where = f"In {record['region']}"
    level = f"{100 * record['level']:.0f} %"
    if record["status"] == "unresolved":
        rare = min(record["integral"], 1 - record["integral"])
        if rare * min(record["n_train"], record["n_gen"] or record["n_train"]) < MIN_EVENTS:
            return f"{where} too few events fall to say anything."
        return f"{where} the noise of the generated sample hides the differences between members: generate more events per member."
    if record["status"] == "biased":
        return (
            f"{where} the holdout is {abs(record['pull']):.1f} expected errors away from the members: a common bias. "
            f"With it, the generated sample is worth {number(n)} true events (G = {number(g)}), whatever the members agree on."
        )
    doubt = ""
    if record["pull"] is not None and abs(record["pull"]) > _DOUBTFUL:
        away = f"the holdout is {abs(record['pull']):.1f} expected errors away"
        doubt = f", but {away}, which {record['members']} members cannot tell from chance: train more of them"
    if record["status"] == "lower_limit":
        g_low = number(record["amplification_interval"][0])
        return f"{where} the generated sample is worth more than {number(low)} true events (G > {g_low}, {level} interval without upper end){doubt}."
    g_low, g_high = record["amplification_interval"]
    return (
        f"{where} the generated sample is worth {number(n)} true events ({number(low)} to {number(high)}, {level}): "
        f"G = {number(g)} ({number(g_low)} to {number(g_high)}){'' if g_low > 1 or g_high < 1 else ', not distinguishable from 1'}{doubt}."
    )


def _differential(record: dict[str, Any]) -> str:
    where = "Overall" if record["region"] == "all" else f"In {record['region']}"
    level, summary = f"{100 * record['level']:.0f} %", record["summary"]
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    holdout = number(record["n_holdout_region"])
    if min(record["n_holdout_region"] or 0, record["n_gen_region"] or 0) < MIN_DIFFERENTIAL_EVENTS:
        return f"{where} fewer than {MIN_DIFFERENTIAL_EVENTS} holdout or generated events are left to test: nothing can be said."
    if record["status"] == "unresolved":
        return f"{where} the {summary} sees no significant difference with {holdout} holdout events; it may have missed one, so nothing is claimed."
    if record["status"] == "upper_limit":
        return (
            f"{where} the {summary} tells the generated events from true ones: they are worth fewer than {number(high)} true events, "
            f"G < {number(g_high)} ({level}); a learned ratio misses a part of the difference, so there is no lower end."
        )
    if record["status"] == "lower_limit":
        return (
            f"{where} {holdout} holdout events cannot tell the generated ones from true ones in the {summary}: they are worth more than "
            f"{number(low)} true events, G > {number(g_low)} ({level} interval without upper end)."
        )
    even = "" if g_low > 1 or g_high < 1 else ", not distinguishable from 1"
    return (
        f"{where} the generated events are as far from the truth in the {summary} as {number(record['n_equiv'])} true events "
        f"({number(low)} to {number(high)}, {level}): G = {number(record['amplification'])} ({number(g_low)} to {number(g_high)}){even}."
    )


def summary_verdict(records: list[dict[str, Any]]) -> str:
    """What stands on top of the page: one sentence for each method."""
    both = [
        _averaging_summary([r for r in records if r["method"] == "averaging"]),
        _differential_summary([r for r in records if r["method"] == "differential"]),
    ]
    return " ".join(s for s in both if s) or "Nothing was estimated."


def _averaging_summary(records: list[dict[str, Any]]) -> str:
    if not records:
        return ""
    counted = [
        r
        for r in records
        if r["amplification"] is not None and r["status"] in ("resolved", "lower_limit", "biased")
    ]
    if not counted:
        return "No region is resolved: generate more events per member, or train more members."
    gains = [r for r in counted if r["status"] != "biased" and r["amplification_interval"][0] > 1]
    losses = [
        r
        for r in counted
        if r["amplification_interval"][1] is not None and r["amplification_interval"][1] < 1
    ]
    n_train = counted[0]["n_train"]
    median, exact = _typical(records)
    worth = f"{'' if exact else 'more than '}{number(median * n_train)} true events (median G {'=' if exact else '>'} {number(median)})"
    parts = [
        f"Trained on {number(n_train)} events, the generator describes a typical region like {worth}"
    ]
    parts.append(
        f"it amplifies (G > 1 within its interval) in {len(gains)} of {len(records)} regions"
    )
    if losses:
        parts.append(f"it is worth less than its training data in {len(losses)}")
    biased = sum(r["status"] == "biased" for r in records)
    if biased:
        parts.append(f"{biased} {'is' if biased == 1 else 'are'} biased")
    unresolved = sum(r["status"] == "unresolved" for r in records)
    if unresolved:
        parts.append(f"{unresolved} {'is' if unresolved == 1 else 'are'} unresolved")
    return "; ".join(parts) + "."


def _typical(records: list[dict[str, Any]]) -> tuple[float, bool]:
    """The median of G over regions, and whether it is a value or the low end of a limit; where
    noise hides the spread, G is large.
    """
    places = []
    for r in records:
        low = r["amplification_interval"][0]
        if r["status"] in ("resolved", "biased") and r["amplification"] is not None:
            places.append((r["amplification"], r["amplification"], True))
        elif r["status"] == "lower_limit":
            places.append((r["amplification"], low, False))
        elif low:  # too few events give no low end
            places.append((math.inf, low, False))
    places.sort()
    (_, first, known), (_, second, also) = places[(len(places) - 1) // 2], places[len(places) // 2]
    return ((first + second) / 2, True) if known and also else (min(first, second), False)


def _differential_summary(records: list[dict[str, Any]]) -> str:
    chosen = strictest(records)
    return chosen["verdict"] if chosen else ""


def strictest(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The differential record that allows the fewest events, among the first regions of each
    summary: everything, or what the user named first.
    """
    first = {r["summary"]: r for r in reversed(records) if r["method"] == "differential"}
    return min(
        reversed(first.values()),
        key=lambda r: (_RANK[r["status"]], most_equivalent(r) or math.inf),
        default=None,
    )


_DOUBTFUL = (
    3.0  # |pull| that is said even where Student's t for few members does not call it a bias
)
_RANK = {"resolved": 0, "biased": 0, "upper_limit": 0, "lower_limit": 1, "unresolved": 2}


def most_equivalent(record: dict[str, Any]) -> float | None:
    """The number of true events that the sample is worth: the estimate, the end of an upper limit,
    or None where there is no upper end.
    """
    if record["status"] == "upper_limit":
        return record["n_equiv_interval"][1]
    return record["n_equiv"] if record["status"] in ("resolved", "biased") else None


_ENOUGH = 10  # times n_equiv: the variance goes with 1 / n_equiv + 1 / n_gen, and sqrt(1.1) is 5 % above the plateau


def how_many(records: list[dict[str, Any]]) -> str:
    """The sentence below the verdict: up to which number of generated events more of them help."""
    averaging = [r for r in records if r["method"] == "averaging"]
    differential = strictest(records)
    parts = []
    if averaging:
        parts.append(
            _averaging_limit(averaging, " for integrals over these regions" if differential else "")
        )
    if differential:
        parts.append(
            _differential_limit(
                differential,
                "where single events count, as in a classifier or an unbinned fit, "
                if averaging
                else "",
            )
        )
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _averaging_limit(records: list[dict[str, Any]], purpose: str) -> str:
    """The region with the largest n_equiv profits longest."""
    ends = [n for r in records if (n := most_equivalent(r))]
    n_gen = records[0]["n_gen"]
    if not ends:
        reached = f" up to the {number(n_gen)} that each member generated" if n_gen else ""
        return f"no limit on the number of generated events was found{purpose}{reached}"
    enough = _ENOUGH * max(ends)
    which, rest = (
        ("region", "")
        if len(ends) == len(records)
        else (
            "resolved region",
            f"; no limit is seen in the other {_regions(len(records) - len(ends))}",
        )
    )
    has = (
        f" (each member generated {number(n_gen)}{', which is enough' if n_gen >= enough else ''})"
        if n_gen
        else ""
    )
    return f"use up to {number(enough)} generated events{purpose}: beyond that no {which}'s uncertainty shrinks by more than 5 %, more will not help{has}{rest}"


def _differential_limit(record: dict[str, Any], purpose: str) -> str:
    worth = most_equivalent(record)
    if not worth:
        return f"{purpose}no limit on the number of generated events was found up to the {number(record['n_gen'])} of this sample"
    at_most = "at most " if record["status"] == "upper_limit" else "up to "
    has = f" (the sample has {number(record['n_gen'])})"
    return f"{purpose}use {at_most}{number(_ENOUGH * worth)} generated events, ten times what they are worth in the {record['summary']}: more will not help{has}"


def _regions(count: int) -> str:
    return "region" if count == 1 else f"{count} regions"
