"""A paragraph for the methods section of a note, with the numbers of the run, and its
references.
"""

from typing import Any

import numpy as np

from amplify.results.columns import numbered
from amplify.text import number

_FORECASTING = """@article{Bahl:2025forecasting,
  author        = {Bahl, Henning and Diefenbacher, Sascha and Elmer, Nina and Plehn, Tilman and Spinner, Jonas},
  title         = {Forecasting Generative Amplification},
  year          = {2025},
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


def methods_paragraph(results: dict[str, Any]) -> str:
    """What was done, in sentences to paste."""
    records = numbered(results)
    parts = [
        _averaging(records["averaging"]),
        _differential(records["differential"]),
        f"Computed with amplify {results['version']}, seed {results['seed']}.",
    ]
    return " ".join(" ".join(part.split()) for part in parts if part).replace(
        "\N{NARROW NO-BREAK SPACE}", " "
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


def _averaging(records: list[dict[str, Any]]) -> str:
    if not records:
        return ""
    e = records[0]
    who = (
        f"{e['members']} generators were trained on {number(e['n_train'])} events"
        if e["members"]
        else f"Generators were trained on {number(e['n_train'])} events"
    )
    generated = f" and generated {number(e['n_gen'])} events each" if e["n_gen"] else ""
    freedom = f" ({e['members'] - 1} degrees of freedom)" if e["members"] else ""
    known = [
        r["amplification"]
        for r in records
        if r["amplification"] is not None and r["status"] in ("resolved", "lower_limit", "biased")
    ]
    found = (
        f"The median of G over the regions is {number(float(np.median(known)))}, its values are {number(min(known))} to {number(max(known))}."
        if known
        else ""
    )
    biased = sum(r["status"] == "biased" for r in records)
    holdout = (
        f"""The mean of the generators was compared with a holdout of {number(e["n_holdout"])} true events. Where they differ by more than
        chance explains (as improbable as three standard deviations, by Student's t), in {biased} of {len(records)} regions, the common bias is added to
        sigma_model in quadrature."""
        if e["n_holdout"]
        else "No holdout was used: a bias common to all generators is not included."
    )
    return f"""The number of true events that the generated sample is worth was estimated with averaging amplification (arXiv:2509.08048).
    {who}{generated}. In each of {len(records)} regions of phase space, with a fraction I of the events, the variance of I between generators, less the
    sampling noise of their events, estimates sigma_model^2, the squared error that training left; n_equiv = I (1 - I) / sigma_model^2 is the number of true
    events that fix I as well, and the amplification factor is G = n_equiv / n_train. Intervals are at {100 * e["level"]:.0f} %, from the chi^2 distribution
    of the variance{freedom}. {holdout} {found}"""


def _differential(records: list[dict[str, Any]]) -> str:
    if not records:
        return ""
    e = records[0]
    regions = len({r["region"] for r in records})
    where = f", in {regions} regions" if regions > 1 else ""
    how = " ".join(
        _summary(s, [r for r in records if r["summary"] == s])
        for s in dict.fromkeys(r["summary"] for r in records)
    )
    return f"""One generator, trained on {number(e["n_train"])} events, was tested event by event with differential amplification (arXiv:2509.08048):
    {number(e["n_gen"])} generated events were compared with a holdout of {number(e["n_holdout"])} true events{where}. D is the distance of the distribution
    functions of generated and true events in one number per event; n_equiv = (0.8687 / D)^2 is the number of true events whose mean Kolmogorov-Smirnov
    distance from the truth is as large, and the amplification factor is G = n_equiv / n_train. {how}"""


def _summary(summary: str, records: list[dict[str, Any]]) -> str:
    level = f"{100 * records[0]['level']:.0f} %"
    if _is_learned(summary):
        how = (
            ", a least-squares density ratio (J. Mach. Learn. Res. 10 (2009) 1391),"
            if _is_least_squares(summary)
            else ""
        )
        return f"""The {summary}{how} was learned from holdout events that were not tested on and evaluated where generated
        and true events are equally dense; it misses a part of the difference, so only upper limits on n_equiv are quoted, at {level}."""
    if _is_exact(summary):
        return f"The {summary} was evaluated at its threshold zero; its intervals are unified (Phys. Rev. D 57 (1998) 3873, arXiv:physics/9711021), at {level}."
    return f"For the {summary} D is the largest distance, and its intervals invert the distribution of the Kolmogorov-Smirnov distance, at {level}."
