"""What a result means, in one sentence a physicist understands."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from amplify.estimators.averaging import MIN_EVENTS
from amplify.estimators.differential import MIN_EVENTS as MIN_DIFFERENTIAL_EVENTS
from amplify.text import number

Record = dict[str, Any]

# |pull| that is said even where Student's t for few members does not call it a bias
_DOUBTFUL = 3.0
_RANK = {"resolved": 0, "biased": 0, "upper_limit": 0, "lower_limit": 1, "unresolved": 2}
# times n_equiv: the variance goes with 1 / n_equiv + 1 / n_gen, and sqrt(1.1) is 5 % above the
# plateau
_ENOUGH = 10


def verdict(record: Record) -> str:
    """One sentence on one region."""
    return _differential(record) if record["method"] == "differential" else _averaging(record)


def _averaging(record: Record) -> str:
    where = f"In {record['region']}"
    if record["status"] == "unresolved":
        return f"{where} {_averaging_unresolved(record)}"
    n, g = number(record["n_equiv"]), number(record["amplification"])
    if record["status"] == "biased":
        away = f"the holdout is {abs(record['pull']):.1f} expected errors away from the members"
        worth = f"the generated sample is worth {n} true events (G = {g})"
        return f"{where} {away}: a common bias. With it, {worth}, whatever the members agree on."
    level, doubt = _level(record), _doubt(record)
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    if record["status"] == "lower_limit":
        worth = f"the generated sample is worth more than {number(low)} true events"
        limit = f"G > {number(g_low)}, {level} interval without upper end"
        return f"{where} {worth} ({limit}){doubt}."
    worth = f"the generated sample is worth {n} true events"
    interval = f"{number(low)} to {number(high)}, {level}"
    factor = f"G = {g} ({number(g_low)} to {number(g_high)}){_even(g_low, g_high)}"
    return f"{where} {worth} ({interval}): {factor}{doubt}."


def _averaging_unresolved(record: Record) -> str:
    rare = min(record["integral"], 1 - record["integral"])
    if rare * min(record["n_train"], record["n_gen"] or record["n_train"]) < MIN_EVENTS:
        return "too few events fall to say anything."
    hidden = "the noise of the generated sample hides the differences between members"
    return f"{hidden}: generate more events per member."


def _doubt(record: Record) -> str:
    """A pull that few members cannot tell from chance, but a reader should know."""
    if record["pull"] is None or abs(record["pull"]) <= _DOUBTFUL:
        return ""
    away = f"the holdout is {abs(record['pull']):.1f} expected errors away"
    which = f"which {record['members']} members cannot tell from chance"
    return f", but {away}, {which}: train more of them"


def _differential(record: Record) -> str:
    where = "Overall" if record["region"] == "all" else f"In {record['region']}"
    return f"{where} {_differential_worth(record)}"


def _differential_worth(record: Record) -> str:
    level, summary, status = _level(record), record["summary"], record["status"]
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    holdout = f"{number(record['n_holdout_region'])} holdout events"
    if min(record["n_holdout_region"] or 0, record["n_gen_region"] or 0) < MIN_DIFFERENTIAL_EVENTS:
        few = f"fewer than {MIN_DIFFERENTIAL_EVENTS} holdout or generated events"
        return f"{few} are left to test: nothing can be said."
    if status == "unresolved":
        nothing = f"the {summary} sees no significant difference with {holdout}"
        return f"{nothing}; it may have missed one, so nothing is claimed."
    if status == "upper_limit":
        tells = f"the {summary} tells the generated events from true ones"
        worth = f"they are worth fewer than {number(high)} true events, G < {number(g_high)}"
        why = "a learned ratio misses a part of the difference, so there is no lower end"
        return f"{tells}: {worth} ({level}); {why}."
    if status == "lower_limit":
        cannot = f"{holdout} cannot tell the generated ones from true ones in the {summary}"
        worth = f"they are worth more than {number(low)} true events, G > {number(g_low)}"
        return f"{cannot}: {worth} ({level} interval without upper end)."
    far = f"the generated events are as far from the truth in the {summary}"
    worth = f"as {number(record['n_equiv'])} true events"
    interval = f"{number(low)} to {number(high)}, {level}"
    factor = f"G = {number(record['amplification'])} ({number(g_low)} to {number(g_high)})"
    return f"{far} {worth} ({interval}): {factor}{_even(g_low, g_high)}."


def _level(record: Record) -> str:
    return f"{100 * record['level']:.0f} %"


def _even(g_low: float, g_high: float) -> str:
    return "" if g_low > 1 or g_high < 1 else ", not distinguishable from 1"


def summary_verdict(records: Sequence[Record]) -> str:
    """What stands on top of the page: one sentence for each method."""
    averaging = _averaging_summary([r for r in records if r["method"] == "averaging"])
    most_strict = strictest(records)
    differential = most_strict["verdict"] if most_strict else ""
    said = [sentence for sentence in (averaging, differential) if sentence]
    return " ".join(said) or "Nothing was estimated."


def _averaging_summary(records: Sequence[Record]) -> str:
    if not records:
        return ""
    counted = with_value(records)
    if not counted:
        return "No region is resolved: generate more events per member, or train more members."
    gains = losses = 0
    for record in counted:
        low, high = record["amplification_interval"]
        gains += record["status"] != "biased" and low > 1
        losses += high is not None and high < 1
    n_train, median = counted[0]["n_train"], typical(records)
    worth = f"{number(median.value * n_train)} true events"
    sign, more = ("=", "") if median.exact else (">", "more than ")
    typically = f"the generator describes a typical region like {more}{worth}"
    said = [
        f"Trained on {number(n_train)} events, {typically} "
        f"(median G {sign} {number(median.value)})",
        f"it amplifies (G > 1 within its interval) in {gains} of {len(records)} regions",
    ]
    if losses:
        said.append(f"it is worth less than its training data in {losses}")
    for status in ("biased", "unresolved"):
        count = sum(r["status"] == status for r in records)
        if count:
            said.append(f"{count} {'is' if count == 1 else 'are'} {status}")
    return "; ".join(said) + "."


def with_value(records: Sequence[Record]) -> list[Record]:
    """The averaging records whose G says something, if only from below."""
    saying = ("resolved", "lower_limit", "biased")
    return [r for r in records if r["amplification"] is not None and r["status"] in saying]


class Typical(NamedTuple):
    """The median of G over regions; where not exact, the low end of a limit."""

    value: float
    exact: bool


def typical(records: Sequence[Record]) -> Typical:
    """The median of G over regions, for every place where one number has to do.

    An unresolved region counts as large: noise hides a spread that is small. Records need at least
    one that `with_value` finds.

    >>> regions = [{"status": "resolved", "amplification": g} for g in (2.0, 3.0, 5.0)]
    >>> typical([r | {"amplification_interval": [1, 9]} for r in regions])
    Typical(value=3.0, exact=True)
    """
    places = []  # where the region stands in the order, what is known of its G, whether exactly
    for r in records:
        low = r["amplification_interval"][0]
        if r["status"] in ("resolved", "biased") and r["amplification"] is not None:
            places.append((r["amplification"], r["amplification"], True))
        elif r["status"] == "lower_limit":
            places.append((r["amplification"], low, False))
        elif low:  # too few events give no low end
            places.append((math.inf, low, False))
    places.sort()
    _, lower, lower_is_exact = places[(len(places) - 1) // 2]
    _, upper, upper_is_exact = places[len(places) // 2]
    if lower_is_exact and upper_is_exact:
        return Typical((lower + upper) / 2, exact=True)
    return Typical(min(lower, upper), exact=False)


def strictest(records: Sequence[Record]) -> Record | None:
    """The differential record that allows the fewest events, among the first regions of each
    summary: everything, or what the user named first.
    """
    first: dict[str, Record] = {}
    for record in records:
        if record["method"] == "differential":
            first.setdefault(record["summary"], record)

    def strictness(record: Record) -> tuple[int, float]:
        return _RANK[record["status"]], most_equivalent(record) or math.inf

    return min(first.values(), key=strictness, default=None)


def most_equivalent(record: Record) -> float | None:
    """The number of true events that the sample is worth: the estimate, the end of an upper limit,
    or None where there is no upper end.
    """
    if record["status"] == "upper_limit":
        return record["n_equiv_interval"][1]
    return record["n_equiv"] if record["status"] in ("resolved", "biased") else None


def how_many(records: Sequence[Record]) -> str:
    """The sentence below the verdict: up to which number of generated events more of them help."""
    averaging = [r for r in records if r["method"] == "averaging"]
    differential = strictest(records)
    said = []
    if averaging:
        purpose = " for integrals over these regions" if differential else ""
        said.append(_averaging_limit(averaging, purpose))
    if differential:
        purpose = "where single events count, as in a classifier or an unbinned fit, "
        said.append(_differential_limit(differential, purpose if averaging else ""))
    sentence = "; ".join(said)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _averaging_limit(records: Sequence[Record], purpose: str) -> str:
    """The region with the largest n_equiv profits longest."""
    ends = [n for r in records if (n := most_equivalent(r))]
    n_gen = records[0]["n_gen"]
    if not ends:
        reached = f" up to the {number(n_gen)} that each member generated" if n_gen else ""
        return f"no limit on the number of generated events was found{purpose}{reached}"
    enough = _ENOUGH * max(ends)
    which, rest = "region", ""
    if len(ends) < len(records):
        others = _regions(len(records) - len(ends))
        which, rest = "resolved region", f"; no limit is seen in the other {others}"
    has = ""
    if n_gen:
        is_enough = ", which is enough" if n_gen >= enough else ""
        has = f" (each member generated {number(n_gen)}{is_enough})"
    use = f"use up to {number(enough)} generated events{purpose}"
    why = f"beyond that no {which}'s uncertainty shrinks by more than 5 %, more will not help"
    return f"{use}: {why}{has}{rest}"


def _differential_limit(record: Record, purpose: str) -> str:
    worth, n_gen = most_equivalent(record), number(record["n_gen"])
    if not worth:
        nothing = "no limit on the number of generated events was found"
        return f"{purpose}{nothing} up to the {n_gen} of this sample"
    at_most = "at most " if record["status"] == "upper_limit" else "up to "
    use = f"use {at_most}{number(_ENOUGH * worth)} generated events"
    why = f"ten times what they are worth in the {record['summary']}"
    return f"{purpose}{use}, {why}: more will not help (the sample has {n_gen})"


def _regions(count: int) -> str:
    return "region" if count == 1 else f"{count} regions"
