"""A paragraph for the methods section of a note, with the numbers of the run, and its
references.
"""

from collections.abc import Sequence
from typing import Any

from amplify.results.calibration import VIEW
from amplify.results.columns import limit_level, numbered, percent
from amplify.results.conditions import CONDITION
from amplify.results.pools import EACH, FORECAST, POOL
from amplify.results.verdicts import typical, with_value
from amplify.text import number

Record = dict[str, Any]

_FORECASTING = """@article{Bahl:2025forecasting,
  author        = {Bahl, Henning and Diefenbacher, Sascha and Elmer, Nina and
                   Plehn, Tilman and Spinner, Jonas},
  title         = {Forecasting Generative Amplification},
  journal       = {SciPost Phys.},
  volume        = {20},
  pages         = {150},
  year          = {2026},
  doi           = {10.21468/SciPostPhys.20.5.150},
  eprint        = {2509.08048},
  archiveprefix = {arXiv}
}"""
_UNIFIED = """@article{Feldman:1998unified,
  author        = {Feldman, Gary J. and Cousins, Robert D.},
  title         = {Unified approach to the classical statistical analysis of small signals},
  journal       = {Phys. Rev. D},
  volume        = {57},
  pages         = {3873--3889},
  year          = {1998},
  eprint        = {physics/9711021},
  archiveprefix = {arXiv}
}"""
_LEAST_SQUARES = """@article{Kanamori:2009least,
  author  = {Kanamori, Takafumi and Hido, Shohei and Sugiyama, Masashi},
  title   = {A Least-squares Approach to Direct Importance Estimation},
  journal = {Journal of Machine Learning Research},
  volume  = {10},
  pages   = {1391--1445},
  year    = {2009}
}"""
_PAPER = "SciPost Phys. 20, 150, doi:10.21468/SciPostPhys.20.5.150, arXiv:2509.08048"


def methods_paragraph(results: dict[str, Any]) -> str:
    """What was done, in sentences to paste."""
    records = numbered(results)
    said = [
        *_averaging(records["averaging"]),
        _transfer(results) if records["averaging"] else "",
        *_differential(records["differential"]),
        *_pool(results),
        _condition(results),
        f"Computed with amplify {results['version']}, seed {results['seed']}.",
    ]
    return " ".join(" ".join(said).split())  # one line, with spaces that every program knows


def _transfer(results: dict[str, Any]) -> str:
    """What intervals from members of a known kind carry beside chi^2."""
    tau = (results.get(VIEW) or {}).get("transfer")
    if not tau:
        return ""
    return (
        "Intervals of single regions also carry that the spread of such generators stands for "
        f"their error up to a factor, whose logarithm has a standard deviation of {number(tau)} on "
        "problems with known truth, as fewer degrees of freedom: "
        "1 / nu = 1 / (M - 1) + 2 tau^2."
    )


def _condition(results: dict[str, Any]) -> str:
    """How samples came to the same condition; nothing where there was none."""
    view = results.get(CONDITION)
    if not view:
        return ""
    return (
        f"All samples were compared at the same {view['column']}, in {len(view['regions'])} "
        f"regions of it: in {view['strata']} strata they were weighted to one distribution of it, "
        "and what was learned or ranked saw no more of it than the stratum. Numbers of a region "
        "are those of the events at its condition."
    )


def references(results: dict[str, Any]) -> str:
    """BibTeX of what the paragraph cites."""
    summaries = [e["summary"] for e in results["estimates"] if e["method"] == "differential"]
    used = [
        _FORECASTING,
        *([_UNIFIED] if any(map(_is_exact, summaries)) else []),
        *([_LEAST_SQUARES] if any(map(_is_least_squares, summaries)) else []),
    ]
    return "\n\n".join(used)


def _is_learned(summary: str) -> bool:
    return summary.startswith("learned")


def _is_exact(summary: str) -> bool:
    """A likelihood ratio that was not learned has a two-sided interval at the threshold."""
    return "likelihood ratio" in summary and not _is_learned(summary)


def _is_least_squares(summary: str) -> bool:
    return _is_learned(summary) and "MLP" not in summary and "trees" not in summary


def _averaging(records: Sequence[Record]) -> list[str]:
    """Sentences on averaging amplification."""
    if not records:
        return []
    e = records[0]
    who = f"{e['members']} generators" if e["members"] else "Generators"
    generated = f" and generated {number(e['n_gen'])} events each" if e["n_gen"] else ""
    freedom = f" ({e['members'] - 1} degrees of freedom)" if e["members"] else ""
    return [
        "The number of true events that the generated sample is worth was estimated with "
        f"averaging amplification ({_PAPER}).",
        f"{who} were trained on {number(e['n_train'])} events{generated}.",
        f"In each of {len(records)} regions of phase space, with a fraction I of the events, the "
        "variance of I between generators, less the sampling noise of their events, estimates "
        "sigma_model^2, the squared error that training left; n_equiv = I (1 - I) / sigma_model^2 "
        "is the number of true events that fix I as well, and the amplification factor is "
        "G = n_equiv / n_train.",
        f"Intervals are at {percent(e['level'])}, two-sided, from the chi^2 distribution of the "
        f"variance{freedom}, values are medians, and limits are one-sided at "
        f"{percent(limit_level(e))}.",
        _holdout(records),
        *_values(records),
    ]


def _holdout(records: Sequence[Record]) -> str:
    n_holdout = records[0]["n_holdout"]
    biased = sum(r["status"] == "biased" for r in records)
    if not n_holdout and any(r["pull"] is not None for r in records):
        return (
            "No holdout was used. The mean of the generators was compared with the training events "
            "themselves; where they differ by more than the error of independent events explains "
            f"(as improbable as three standard deviations), in {biased} of {len(records)} regions, "
            "the common bias is added to sigma_model in quadrature. A smaller one is not included."
        )
    if not n_holdout:
        return "No holdout was used: a bias common to all generators is not included."
    return (
        "The mean of the generators was compared with a holdout of "
        f"{number(n_holdout)} true events. Where they differ by more than chance explains (as "
        "improbable as three standard deviations, by Student's t), in "
        f"{biased} of {len(records)} regions, the common bias is added to sigma_model in "
        "quadrature."
    )


def _values(records: Sequence[Record]) -> list[str]:
    """The median is that of the verdict, the values are those that regions have."""
    values = [r["amplification"] for r in with_value(records)]
    if not values:
        return []
    median = typical(records)
    middle = f"{'' if median.exact else 'more than '}{number(median.value)}"
    ends = f"{number(min(values))} to {number(max(values))}"
    return [f"The median of G over the regions is {middle}, its values are {ends}."]


def _pool(results: dict[str, Any]) -> list[str]:
    """Sentences on the pool of the members and on the forecast."""
    said = []
    if results.get(POOL):
        pool = results[POOL]
        size = pool["same_data_members"] if pool["of"] == "same data" else pool["members"]
        how = "from s^2 of bootstrap generators alone, as a lower limit on n_equiv"
        if pool["same_data_members"]:
            less = f"less t^2 of {pool['same_data_members']} generators trained on the same events"
            how = f"from s^2 of bootstrap generators {less}, with modified large-sample intervals"
        said.append(
            f"The variance of the pool of {size} generators, each event from one of them, was "
            f"estimated {how}."
        )
        said.append(pool["verdict"])
    if results.get(EACH):
        said.append(results[EACH]["verdict"])
    if results.get(FORECAST):
        said.append(
            "Without true events, each generator was compared with the pool of the others by "
            f"{results[FORECAST]['from']}; their D^2 counts (M - 1) / M."
        )
        said.append(results[FORECAST]["verdict"])
    return said


def _differential(records: Sequence[Record]) -> list[str]:
    """Sentences on differential amplification."""
    if not records:
        return []
    e = records[0]
    regions = len({r["region"] for r in records})
    where = f", in {regions} regions" if regions > 1 else ""
    summaries = dict.fromkeys(r["summary"] for r in records)
    return [
        f"One generator, trained on {number(e['n_train'])} events, was tested event by event with "
        f"differential amplification ({_PAPER}): {number(e['n_gen'])} generated events were "
        f"compared with a holdout of {number(e['n_holdout'])} true events{where}.",
        "D is the distance of the distribution functions of generated and true events in one "
        "number per event; n_equiv = (0.8687 / D)^2 is the number of true events whose mean "
        "Kolmogorov-Smirnov distance from the truth is as large, and the amplification factor is "
        "G = n_equiv / n_train.",
        *(_summary(s, next(r for r in records if r["summary"] == s)) for s in summaries),
    ]


def _summary(summary: str, record: Record) -> str:
    """How a summary was made, and what its intervals are."""
    level, limit = percent(record["level"]), percent(limit_level(record))
    if _is_learned(summary):
        ratio = ", a least-squares density ratio (J. Mach. Learn. Res. 10 (2009) 1391),"
        return (
            f"The {summary}{ratio if _is_least_squares(summary) else ''} was learned from holdout "
            "events that were not tested on and evaluated where generated and true events are "
            "equally dense; it misses a part of the difference, so only upper limits on n_equiv "
            f"are quoted, one-sided at {limit}."
        )
    if _is_exact(summary):
        unified = "unified (Phys. Rev. D 57 (1998) 3873, arXiv:physics/9711021)"
        at_zero = f"The {summary} was evaluated at its threshold zero"
        return f"{at_zero}; its intervals are {unified}, at {level}, its limits at {limit}."
    return (
        f"For the {summary} D is the largest distance, and its intervals invert the distribution "
        f"of the Kolmogorov-Smirnov distance, at {level}; limits are one-sided, at {limit}."
    )
