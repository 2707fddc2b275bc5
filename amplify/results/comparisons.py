"""Several generators against one holdout in words: what each is worth in each statistic, which is
closer to the truth, what would have been noticed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from amplify.results.columns import limit_level, percent
from amplify.text import listed, number

Record = dict[str, Any]
COMPARISON = "comparison"  # key of results.json
METHOD = "two_sample"  # of its estimates
SURE = 2.0  # standard deviations from which on a ranking in one statistic is said
_WORTH_SAYING = 3  # pairs of generators in the verdict


def p_words(p: float | None) -> str:
    """A p-value in digits that matter.

    >>> p_words(0.000999), p_words(0.25), p_words(None)
    ('0.0010', '0.25', 'unknown')
    """
    if p is None:
        return "unknown"
    if p >= 0.01:
        return f"{p:.2g}"
    return f"{p:.4f}" if p >= 1e-4 else f"{p:.1e}"


def statistic_verdict(record: Record) -> str:
    """One sentence on one generator in one statistic."""
    start = f"{record['generator']} in {record['title']}"
    p = f"p = {p_words(record['p'])}"
    (low, high), (g_low, g_high) = record["n_equiv_interval"], record["amplification_interval"]
    if record["status"] == "unresolved":
        return f"{start}: {p}; what it is worth is not resolved."
    limit = f"one-sided {percent(limit_level(record))}"
    if record["status"] == "lower_limit":
        worth = f"worth more than {number(low)} true events (G > {number(g_low)}, {limit})"
        seen = record["p"] is not None and record["p"] <= 1 - record["limit_level"]
        return f"{start} {'differs' if seen else 'is not told'} from the truth ({p}): {worth}."
    if record["status"] == "upper_limit":
        worth = f"worth fewer than {number(high)} true events (G < {number(g_high)}, {limit})"
        return f"{start} ({p}) is {worth}."
    n, g = number(record["n_equiv"]), number(record["amplification"])
    interval = f"{number(low)} to {_end(high)}, {percent(record['level'])}"
    factor = f"G = {g} ({number(g_low)} to {_end(g_high)})"
    return f"{start} ({p}) is worth {n} true events ({interval}): {factor}."


def comparison_verdict(records: Sequence[Record], view: Mapping[str, Any]) -> str:
    """What stands on top: each generator, then who is closer to the truth."""
    return " ".join(comparison_sentences(records, view))


def comparison_sentences(records: Sequence[Record], view: Mapping[str, Any]) -> list[str]:
    """The same, one by one."""
    if view.get("batches"):
        return [batches_verdict(view["batches"])]
    return [*(_of_generator(g, records) for g in view["generators"]), *_of_ranking(view)]


def _of_generator(generator: Mapping[str, Any], records: Sequence[Record]) -> str:
    name = generator["name"]
    own = [r for r in records if r["generator"] == name]
    p = generator.get("p_combined")
    far = [r for r in own if not r.get("score")]
    if len(own) == 1 and far:
        return statistic_verdict(own[0])
    which = own[0]["title"] if len(own) == 1 else f"{len(own)} statistics together"
    together = f"p = {p_words(p)}, {which}"
    tells = p is not None and p <= 1 - own[0]["limit_level"]
    start = f"{name} {'differs from' if tells else 'is not told from'} the truth ({together})"
    if not far:  # true events whose score fluctuates by as much are no praise
        return f"{start}."
    false_alarms = 1 - own[0]["limit_level"]
    known = [r for r in far if r["status"] == "resolved" and _p(r) <= false_alarms]
    if not tells:
        least = min(far, key=_surely)
        low, most = _surely(least), f"one-sided {percent(limit_level(own[0]))} each"
        worth = f"more than {number(low)} true events (G > {number(low / least['n_train'])}"
        every = "distance" if len(far) < len(own) else "one of them"
        return f"{start}; in every {every} it is worth {worth}, {most})."
    if known:
        least = min(known, key=lambda r: r["n_equiv"])
        low, high = least["n_equiv_interval"]
        interval = f"{number(low)} to {_end(high)}, {percent(least['level'])}"
        worth = f"{number(least['n_equiv'])} true events ({interval}):"
        worth = f"{worth} G = {number(least['amplification'])}"
        strictest = f"strictest of {len(far)} distances" if len(far) > 1 else "one distance"
        return f"{start}; in the {strictest}, {least['title']}, it is worth {worth}."
    return f"{start}, though no single statistic resolves what it is worth."


def _p(record: Record) -> float:
    return 1.0 if record["p"] is None else record["p"]


def _surely(record: Record) -> float:
    """True events that it is worth at least, at the limit level."""
    if record["status"] == "lower_limit":
        return record["n_equiv_interval"][0] or 0.0
    return record["n_equiv_bounds"][0] or 0.0


def _of_ranking(view: Mapping[str, Any]) -> list[str]:
    """The surest statistic of each pair, and in how many it is so."""
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for pair in view.get("ranking") or []:
        pairs.setdefault(tuple(sorted((pair["closer"], pair["farther"]))), []).append(pair)
    said = [_of_pair(every) for every in pairs.values()]
    more = [f"{len(said) - _WORTH_SAYING} more pairs are in the ranking."]
    return said[:_WORTH_SAYING] + (more if len(said) > _WORTH_SAYING else [])


def sure_of(statistics: int) -> float:
    """Standard deviations from which on the surest of so many statistics is believed: two in any
    of them are as likely by chance as two in one (Bonferroni).

    >>> [round(sure_of(k), 2) for k in (1, 2, 20)]
    [2.0, 2.28, 3.05]
    """
    from scipy import special

    return float(-special.ndtri(special.ndtr(-SURE) / max(statistics, 1)))


def _of_pair(every: Sequence[Mapping[str, Any]]) -> str:
    best = max(every, key=lambda pair: pair["sigma"] or 0.0)
    closer, farther = best["closer"], best["farther"]
    sigma = best["sigma"] or 0.0
    sure, count = sure_of(len(every)), len(every)
    if sigma < sure:
        both = " and ".join(sorted((closer, farther)))
        said = f"Which of {both} is closer to the truth is not resolved in any statistic"
        looked = f"{sigma:.2f} sigma in the surest of {count}, where {sure:.2f} are asked for"
        return f"{said}." if sigma < SURE else f"{said}: {looked}."
    against = [p for p in every if p["closer"] == farther and (p["sigma"] or 0) >= sure]
    agree = [p for p in every if p["closer"] == closer and (p["sigma"] or 0) >= sure]
    said = f"{closer} is closer to the truth than {farther}, by {sigma:.1f} sigma in"
    said = f"{said} {best['title']}"
    if count > 1:
        said = f"{said}, the surest of {count} statistics, and by {sure:.1f} or more in"
        said = f"{said} {len(agree)} of them"
    if against:
        other = listed([pair["title"] for pair in against], 3)
        return f"{said}; {other} say{'s' if len(against) == 1 else ''} the opposite."
    return f"{said}."


def ranking_rows(view: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table: who of each pair is closer in each statistic, and by how many
    standard deviations.
    """
    pairs, rows = [], {}
    for pair in view.get("ranking") or []:
        both = tuple(sorted((pair["closer"], pair["farther"])))
        if both not in pairs:
            pairs.append(both)
        cell = f"{pair['closer']} by {pair['sigma'] or 0.0:.1f}"
        rows.setdefault(pair["title"], {})[both] = cell
    heads = ["statistic", *(" or ".join(both) for both in pairs)]
    return heads, [[title, *(row.get(p, "") for p in pairs)] for title, row in rows.items()]


def batches_verdict(batches: Mapping[str, Any]) -> str:
    """Of a stream: how many alarms, and how long a batch takes."""
    count, rate = batches["count"], batches["false_alarms"]
    start = f"{count:,} batches of about {number(batches['events'])} events".replace(",", " ")
    expected = f"{number(rate * count)} expected of batches like the reference"
    said = []
    for statistic in batches["statistics"]:
        alarms = len(statistic["alarms"])
        time = f"{number(statistic['milliseconds'])} ms a batch"
        word = "alarm" if alarms == 1 else "alarms"
        said.append(f"{alarms} {word} in {statistic['title']} ({expected}; {time})")
    return f"{start}: {'; '.join(said)}."


def resolution_words(resolution: Mapping[str, Any]) -> str:
    """The smallest smooth distortion that a statistic would have noticed."""
    half, most = resolution["tv_50"], resolution["tv_90"]
    if half is None:
        return "no smooth distortion"
    likely = "" if most is None else f", {percent(round(100 * most, 2) / 100)} with 90 %"
    return f"{percent(round(100 * half, 2) / 100)} with a chance of 50 %{likely}"


def box_words(box: Mapping[str, Any]) -> str:
    """One place where a generator is wrong.

    >>> box_words({"label": "pt < 2", "ratio": 1.31, "error": 0.07, "p": 0.002})
    'pt < 2: 1.31 +- 0.07 times too many, p = 0.0020'
    """
    ratio, error, p = box["ratio"], box["error"], p_words(box["p"])
    if ratio is None:
        return f"{box['label']}: generated events where there are no true ones, p = {p}"
    if ratio == 0:
        return f"{box['label']}: no generated events where there should be some, p = {p}"
    times = f"{ratio:.2f}" + ("" if error is None else f" +- {error:.2f}")
    many = "times too many" if ratio > 1 else "times as many as there should be"
    return f"{box['label']}: {times} {many}, p = {p}"


def _end(high: float | None) -> str:
    return "∞" if high is None else number(high)
