"""What a result means, in one sentence a physicist understands."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from amplify.estimators.differential import MIN_EVENTS as MIN_DIFFERENTIAL_EVENTS
from amplify.results.columns import limit_level, percent
from amplify.text import number

Record = dict[str, Any]

# |pull| that is said even where Student's t for few members does not call it a bias
_DOUBTFUL = 3.0
_RANK = {"resolved": 0, "biased": 0, "upper_limit": 0, "lower_limit": 1, "unresolved": 2}
# times n_equiv: the variance goes with 1 / n_equiv + 1 / n_gen, and sqrt(1.1) is 5 % above the
# plateau
_ENOUGH = 10
_KNOWN = 7  # the ends of the pooled interval may be that far apart, or N is not said


def verdict(record: Record) -> str:
    """One sentence on one region."""
    return _differential(record) if record["method"] == "differential" else _averaging(record)


def _averaging(record: Record) -> str:
    where = f"In {record['region']}"
    if record["status"] == "unresolved":
        return f"{where} too few events fall to say anything."
    if record["status"] == "lower_limit":
        (low, _), (g_low, _) = record["n_equiv_interval"], record["amplification_interval"]
        hidden = "the noise of the generated sample hides the differences between members"
        limit = f"more than {number(low)} true events (G > {number(g_low)}, {_limit(record)})"
        more = "generate more events per member"
        return f"{where} {hidden}: it is worth {limit}{_doubt(record)}; {more}."
    n, g = number(record["n_equiv"]), number(record["amplification"])
    if record["status"] == "biased":
        apart = f"{abs(record['pull']):.1f} expected errors away from the members"
        away = f"{_true_events(record)} {apart}"
        worth = f"the generated sample is worth {n} true events (G = {g})"
        return f"{where} {away}: a common bias. With it, {worth}, whatever the members agree on."
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    worth = f"the generated sample is worth {n} true events"
    interval = f"{number(low)} to {number(high)}, {percent(record['level'])}"
    factor = f"G = {g} ({number(g_low)} to {number(g_high)}){_even(g_low, g_high)}"
    return f"{where} {worth} ({interval}): {factor}{_doubt(record) or _unseen(record)}."


def _true_events(record: Record) -> str:
    """What the members were compared with; training events where there was no holdout."""
    return "the holdout is" if record["n_holdout"] else "the training events are"


def _doubt(record: Record) -> str:
    """A pull that few members cannot tell from chance, but a reader should know."""
    if record["pull"] is None or abs(record["pull"]) <= _DOUBTFUL:
        return ""
    away = f"{_true_events(record)} {abs(record['pull']):.1f} expected errors away"
    which = f"which {record['members']} members cannot tell from chance"
    return f", but {away}, {which}: train more of them"


def _unseen(record: Record) -> str:
    """A region without a mark may be biased all the same."""
    least = record.get("n_equiv_least")
    if least is None or least > record["n_equiv_interval"][0]:
        return ""
    by = "the holdout" if record["n_holdout"] else "the training events"
    unseen = f"a common bias that lowers it to {number(least)} is not excluded by {by}"
    return f"; {unseen} ({percent(limit_level(record))}, one-sided)"


def _differential(record: Record) -> str:
    where = "Overall" if record["region"] == "all" else f"In {record['region']}"
    return f"{where} {_differential_worth(record)}"


def _differential_worth(record: Record) -> str:
    summary, status = record["summary"], record["status"]
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
        return f"{tells}: {worth} ({_limit(record)}); {why}."
    if status == "lower_limit":
        cannot = f"{holdout} cannot tell the generated ones from true ones in the {summary}"
        worth = f"they are worth more than {number(low)} true events, G > {number(g_low)}"
        return f"{cannot}: {worth} ({_limit(record)})."
    far = f"the generated events are as far from the truth in the {summary}"
    worth = f"as {number(record['n_equiv'])} true events"
    interval = f"{number(low)} to {number(high)}, {percent(record['level'])}"
    factor = f"G = {number(record['amplification'])} ({number(g_low)} to {number(g_high)})"
    return f"{far} {worth} ({interval}): {factor}{_even(g_low, g_high)}."


def _limit(record: Record) -> str:
    return f"one-sided limit at {percent(limit_level(record))}"


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
    if not with_value(records):
        return "No region is resolved: generate more events per member, or train more members."
    n_train, median = records[0]["n_train"], typical(records)
    worth = f"{number(median.value * n_train)} true events"
    sign, more = ("=", "") if median.exact else (">", "more than ")
    if any(record.get("n_train_region") is not None for record in records):  # n_equiv counts those
        worth = f"{number(median.value)} times the training events at its condition"
    typically = f"the generator describes a typical region like {more}{worth}"
    said = [
        f"Trained on {number(n_train)} events, {typically} "
        f"(median G {sign} {number(median.value)})",
        *_gains_and_losses(records),
    ]
    for status, words in (("lower_limit", "hidden by noise"), *_SAME_WORDS):
        count = sum(r["status"] == status for r in records)
        if count:
            said.append(f"{count} {'is' if count == 1 else 'are'} {words}")
    if 2 * sum(r["status"] == "lower_limit" for r in records) >= len(records):
        said.append(_MOSTLY_NOISE)
    if not records[0]["n_holdout"]:
        said.append(_without_holdout(records))
    return "; ".join(said) + "."


def _without_holdout(records: Sequence[Record]) -> str:
    if all(record["pull"] is None for record in records):
        return "no holdout was compared, so a bias that all members share is not included"
    stand_in = "the training events stood in for a holdout"
    return f"{stand_in}, so a bias smaller than their own error is not included"


# measured: their intervals cover in .3 to .6
_MOSTLY_NOISE = (
    "where so many are, the others are those whose spread came out large by chance, and their G "
    "tends to be too small: generate more events per member"
)
_SAME_WORDS = tuple((status, status) for status in ("biased", "unresolved"))


def _gains_and_losses(records: Sequence[Record]) -> list[str]:
    """How many regions amplify, beside what chance gives where G is 1 in all of them."""
    wrong, count = 1 - limit_level(records[0]), len(records)
    bounds = [record.get("amplification_bounds") or (0.0, None) for record in records]
    gains = sum(low is not None and low > 1 for low, _ in bounds)
    losses = sum(high is not None and high < 1 for _, high in bounds)
    level = percent(limit_level(records[0]))
    chance = f"by chance {number(wrong * count)} would where G = 1"
    said = [f"it amplifies (G > 1, one-sided {level}) in {gains} of {count} regions ({chance})"]
    if losses:
        said.append(f"it is worth less than its training data (G < 1) in {losses}")
    return said


def with_value(records: Sequence[Record]) -> list[Record]:
    """The averaging records with a value of G."""
    saying = ("resolved", "biased")
    return [r for r in records if r["amplification"] is not None and r["status"] in saying]


class Typical(NamedTuple):
    """The median of G over regions; where not exact, the low end of a limit."""

    value: float
    exact: bool


def typical(records: Sequence[Record]) -> Typical:
    """The median of G over regions, for every place where one number has to do.

    A limit counts as large: noise hides a spread that is small. Records need at least one that
    `with_value` finds.

    >>> regions = [{"status": "resolved", "amplification": g} for g in (2.0, 3.0, 5.0)]
    >>> typical([r | {"amplification_interval": [1, 9]} for r in regions])
    Typical(value=3.0, exact=True)
    """
    places = []  # where the region stands in the order, what is known of its G, whether exactly
    for r in records:
        low = r["amplification_interval"][0]
        if r["status"] in ("resolved", "biased") and r["amplification"] is not None:
            places.append((r["amplification"], r["amplification"], True))
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


def how_many(records: Sequence[Record], pooled: Mapping[str, Any] | None = None) -> str:
    """The sentence below the verdict: up to which number of generated events more of them help.

    Args:
        records: of all regions.
        pooled: all averaging regions together, as `views["pooled"]` of a Result has it.
    """
    averaging = [r for r in records if r["method"] == "averaging"]
    differential = strictest(records)
    said = []
    if averaging and pooled:
        purpose = " for integrals over these regions" if differential else ""
        said.append(_averaging_limit(averaging, enough_events(averaging, pooled), purpose))
    if differential:
        purpose = "where single events count, as in a classifier or an unbinned fit, "
        said.append(_differential_limit(differential, purpose if averaging else ""))
    sentence = "; ".join(said)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def enough_events(records: Sequence[Record], pooled: Mapping[str, Any] | None) -> float | None:
    """Generated events beyond which the error of all regions together shrinks by less than 5 %;
    None where noise hides most regions, or all of them together: N would be made of noise.
    """
    if not pooled or pooled["status"] != "resolved" or not pooled["n_equiv"]:
        return None
    if 2 * len(with_value(records)) < len(records):
        return None
    low, high = pooled["n_equiv_interval"]
    if high is None or high > _KNOWN * low:
        return None
    n_gen = records[0]["n_gen"]
    if n_gen and n_gen < pooled["n_equiv"]:
        return None  # seen through noise that is larger
    return _ENOUGH * pooled["n_equiv"]


def _averaging_limit(records: Sequence[Record], enough: float | None, purpose: str) -> str:
    n_gen = records[0]["n_gen"]
    if not enough:
        reached = f" from the {number(n_gen)} that each member generated" if n_gen else ""
        nothing = f"no limit on the number of generated events can be told{purpose}{reached}"
        return f"{nothing}: their noise hides where more of them stop to help"
    has = ""
    if n_gen:
        is_enough = ", which is enough" if n_gen >= enough else ""
        has = f" (each member generated {number(n_gen)}{is_enough})"
    use = f"use up to about {number(_rounded(enough))} generated events{purpose}"
    why = f"beyond that the error of {_these(len(records))} shrinks by less than 5 %"
    return f"{use}: {why}{has}"


def _these(count: int) -> str:
    return "this region" if count == 1 else f"these {count} regions together"


def _rounded(n: float) -> float:
    """One digit, two from 1 to 2: N is known to a factor."""
    digits = 1 if n / 10 ** math.floor(math.log10(n)) < 2 else 0
    return round(n, digits - math.floor(math.log10(n)))


def _differential_limit(record: Record, purpose: str) -> str:
    worth, n_gen = most_equivalent(record), number(record["n_gen"])
    if not worth:
        nothing = "no limit on the number of generated events was found"
        return f"{purpose}{nothing} up to the {n_gen} of this sample"
    at_most = "at most " if record["status"] == "upper_limit" else "up to "
    use = f"use {at_most}{number(_ENOUGH * worth)} generated events"
    why = f"ten times what they are worth in the {record['summary']}"
    return f"{purpose}{use}, {why}: more will not help (the sample has {n_gen})"
