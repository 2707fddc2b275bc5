"""What a comparison of generators says, and its tables."""

import csv
import io

import pytest
from scipy import stats

from amplify.report.export import table_csv, table_latex
from amplify.results.comparison import Comparison
from amplify.results.comparisons import (
    COMPARISON,
    batches_verdict,
    box_words,
    comparison_sentences,
    ranking_rows,
    resolution_words,
    statistic_verdict,
    sure_of,
)


def record(generator="A", statistic="mean_ks", status="resolved", **more):
    worth = {
        "resolved": (300.0, [200.0, 500.0]),
        "lower_limit": (None, [900.0, None]),
        "upper_limit": (None, [0.0, 40.0]),
        "unresolved": (None, [None, None]),
    }
    n, ends = worth[status]
    factor = [None if end is None else end / 100 for end in ends]
    return {
        "method": "two_sample",
        "region": "all",
        "generator": generator,
        "statistic": statistic,
        "title": statistic.replace("_", " "),
        "value": 1.25,
        "p": 0.004,
        "z": 2.7,
        "n_train": 100,
        "n_gen": 5000,
        "n_holdout": 4000,
        "n_gen_used": 5000.0,
        "n_holdout_used": 4000.0,
        "n_equiv": n,
        "n_equiv_interval": ends,
        "n_equiv_bounds": [150.0, 700.0],
        "level": 0.68,
        "limit_level": 0.95,
        "amplification": None if n is None else n / 100,
        "amplification_interval": factor,
        "status": status,
    } | more


def pair(closer, farther, sigma, title="mean KS"):
    return {
        "statistic": title.lower().replace(" ", "_"),
        "title": title,
        "closer": closer,
        "farther": farther,
        "sigma": sigma,
    }


def view(*names, p=0.004, **more):
    generators = [{"name": n, "n_train": 100, "n_gen": 5000, "p_combined": p} for n in names]
    known = {"name": "mean_ks", "title": "mean KS", "tv_50": 0.021, "tv_90": None}
    return {"generators": generators, "statistics": [known], "ranking": []} | more


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("resolved", "A in mean ks (p = 0.0040) is worth 300 true events (200 to 500, 68 %)"),
        ("lower_limit", "differs from the truth (p = 0.0040): worth more than 900 true events"),
        ("upper_limit", "is worth fewer than 40 true events (G < 0.4, one-sided 95 %)"),
        ("unresolved", "what it is worth is not resolved"),
    ],
)
def test_a_sentence_for_every_status(status, words):
    assert words in statistic_verdict(record(status=status))


def test_a_limit_may_be_of_what_is_seen_to_differ_or_not():
    assert "A in mean ks is not told from the truth (p = 0.4): worth more" in statistic_verdict(
        record(status="lower_limit", p=0.4)
    )


def test_distances_are_the_strictest_and_scores_are_not():
    score = record(statistic="auc", score=True) | {"n_equiv": 2.0}
    (said,) = comparison_sentences([record(), score], view("A"))
    worth = "in the one distance, mean ks, it is worth 300 true events (200 to 500, 68 %): G = 3"
    assert worth in said
    (said,) = comparison_sentences([record(), score], view("A", p=0.4))
    assert "not told from the truth (p = 0.4" in said
    assert "in every distance it is worth more than 150 true events (G > 1.5, one-sided" in said


def test_the_strictest_distance_is_one_that_sees_a_difference():
    """A small n_equiv with p = .3 is noise: the smallest of many."""
    unseen = record(statistic="max_ks", p=0.3) | {"n_equiv": 50.0}
    (said,) = comparison_sentences([record(), unseen], view("A"))
    assert "in the strictest of 2 distances, mean ks, it is worth 300 true events (200 to" in said
    (said,) = comparison_sentences([unseen, unseen], view("A"))
    assert said.endswith("though no single statistic resolves what it is worth.")


@pytest.mark.parametrize("count", [1, 2])
def test_scores_alone_are_worth_no_events(count):
    scores = [record(statistic=name, score=True) for name in ("auc", "recall")[:count]]
    for p in (0.004, 0.4):
        (said,) = comparison_sentences(scores, view("A", p=p))
        assert "worth" not in said and f"the truth (p = {p:.4g}" in said.replace("0.0040", "0.004")


def test_the_surest_of_many_statistics_is_asked_for_more():
    """2.5 sigma are enough in one statistic, not in one of twenty: 3.05 there (Bonferroni)."""
    records = [record(n, s) for n in "AB" for s in ("mean_ks", "max_ks")]
    one = [pair("A", "B", 2.5)]
    assert "A is closer to the truth than B, by 2.5 sigma in mean KS." in comparison_sentences(
        records, view("A", "B", ranking=one)
    )
    many = one + [pair("B", "A", 0.1, f"T{k}") for k in range(19)]
    said = comparison_sentences(records, view("A", "B", ranking=many))[-1]
    assert "is not resolved in any statistic: 2.50 sigma in the surest of 20, where 3.05" in said
    assert 20 * stats.norm.sf(sure_of(20)) == pytest.approx(stats.norm.sf(2.0))


def test_a_ranking_says_what_contradicts_it():
    pairs = [pair("A", "B", 4.0), pair("B", "A", 2.7, "sliced KS"), pair("A", "B", 1.0, "energy")]
    records = [record(n, s) for n in "AB" for s in ("mean_ks", "max_ks")]
    said = comparison_sentences(records, view("A", "B", ranking=pairs))[-1]
    assert said == (
        "A is closer to the truth than B, by 4.0 sigma in mean KS, the surest of 3 statistics, and "
        "by 2.4 or more in 1 of them; sliced KS says the opposite."
    )
    none = comparison_sentences(records, view("A", "B", ranking=[pair("A", "B", 1.9)]))[-1]
    assert none == "Which of A and B is closer to the truth is not resolved in any statistic."
    heads, rows = ranking_rows(view("A", "B", ranking=pairs))
    assert heads == ["statistic", "A or B"] and rows[1] == ["sliced KS", "B by 2.7"]


def test_places_batches_and_resolution_in_words():
    empty = {"label": "pt < 2", "ratio": None, "error": None, "p": 0.002}
    assert "generated events where there are no true ones" in box_words(empty)
    assert box_words(empty | {"ratio": 0.0}) == (
        "pt < 2: no generated events where there should be some, p = 0.0020"
    )
    assert resolution_words({"tv_50": None, "tv_90": None}) == "no smooth distortion"
    assert resolution_words({"tv_50": 0.021, "tv_90": None}) == "2.1 % with a chance of 50 %"
    seen = {"title": "mean KS", "alarms": [3], "milliseconds": 1.5}
    stream = {"count": 1000, "events": 50.0, "false_alarms": 0.001, "statistics": [seen]}
    assert batches_verdict(stream) == (
        "1 000 batches of about 50 events: 1 alarm in mean KS (1 expected of batches like the "
        "reference; 1.5 ms a batch)."
    )


def test_tables_are_harmless_and_complete():
    rows = [record("=cmd()"), record("a_b", status="lower_limit")]
    results = {"estimates": rows, COMPARISON: view("=cmd()", "a_b"), "settings": {}}
    first, second = csv.DictReader(io.StringIO(table_csv(results)))
    assert first["generator"] == "'=cmd()" and float(first["n_equiv"]) == 300
    assert second["n_equiv_high"] == "inf" and second["n_equiv"] == ""
    tex = table_latex(results)
    assert r"a\_b & mean ks" in tex and r"$>\ 900$" in tex and r"2.1\ \%" in tex
    found = Comparison(answers=(), rows=tuple(rows), views={COMPARISON: results[COMPARISON]})
    assert "=cmd()" in str(found) and "2 generators in 1 statistics" in repr(found)
    assert "<pre>" in found._repr_html_()
