"""Sentences: one for each status, one for each method, and the same numbers wherever one is said
twice.
"""

import itertools

import pytest

from amplify.report.methods import methods_paragraph
from amplify.results.verdicts import how_many, strictest, summary_verdict, typical, verdict
from amplify.text import number
from tests.results.examples import averaging_record, differential_record, pooled


def test_nothing_and_nothing_resolved():
    assert summary_verdict([]) == "Nothing was estimated."
    noise = [averaging_record("a", status="unresolved")]
    assert "No region is resolved" in summary_verdict(noise)


def test_the_verdict_on_top_counts():
    records = [
        averaging_record("a", 4000.0),
        averaging_record("b", 1500.0, "biased"),
        averaging_record("c", 200.0),
        averaging_record("d", status="unresolved"),
        averaging_record("e", status="unresolved"),
    ]
    words = summary_verdict(records)
    assert "in 1 of 5 regions" in words and "training data (G < 1) in 1" in words
    assert "by chance 0.25 would where G = 1" in words
    assert words.endswith("1 is biased; 2 are unresolved.")


def test_values_among_noise_are_not_believed():
    resolved, hidden = averaging_record("a"), averaging_record("b", status="lower_limit")
    assert "too small: generate more" in summary_verdict([resolved, hidden])
    assert "too small" not in summary_verdict([resolved, resolved, hidden])


def test_without_a_holdout_it_is_said_that_no_bias_shows():
    words = summary_verdict([averaging_record("a", n_holdout=None, pull=None)])
    assert words.endswith("a bias that all members share is not included.")


def test_training_events_stand_in_for_a_holdout():
    compared = averaging_record("a", n_holdout=None, pull=5.1, status="biased")
    assert "the training events are 5.1 expected errors away" in verdict(compared)
    words = summary_verdict([compared])
    assert words.endswith("a bias smaller than their own error is not included.")


_HIDDEN = averaging_record("b", status="lower_limit")
_MANY = [averaging_record("a"), averaging_record("b")]
_OF_TWO = "beyond that the error of these 2 regions together shrinks by less than 5 %"


@pytest.mark.parametrize(
    ("records", "together", "words"),
    [
        (_MANY, pooled(), ("Use up to about 40\u202f000 generated events: ", _OF_TWO, "is enough")),
        (_MANY, pooled(14_600.0), ("up to about 150\u202f000 generated events: ",)),
        (_MANY, pooled(status="lower_limit"), ("No limit on the number of", "noise hides")),
        ([averaging_record("a"), _HIDDEN], pooled(), ("Use up to about",)),
        ([averaging_record("a"), _HIDDEN, _HIDDEN], pooled(), ("can be told", "noise hides")),
        (_MANY, {**pooled(), "n_equiv_interval": [300, 9000]}, ("can be told",)),
        (_MANY, None, ("",)),  # of an older version
        ([differential_record(n_equiv=60.0)], None, ("Use up to 600 generated events, ten times",)),
        (
            [differential_record(n_equiv=60.0, status="upper_limit")],
            None,
            ("Use at most 780 generated events",),
        ),
        (
            [differential_record(status="lower_limit")],
            None,
            ("No limit on the number of generated events was found up to the 500\u202f000",),
        ),
        ([differential_record(status="unresolved")], None, ("No limit",)),
        (
            [averaging_record("a"), differential_record()],
            pooled(),
            (
                "for integrals over these regions: ",
                "; where single events count, ",
                "use up to 600",
            ),
        ),
        ([], None, ("",)),
    ],
)
def test_how_many_events_to_use(records, together, words):
    sentence = how_many(records, together)
    assert all(part in sentence for part in words)
    assert sentence.count(". ") == 0
    assert not sentence or sentence.endswith(".")


def test_one_sentence_for_each_method():
    several = [
        differential_record(summary="observable pt", n_equiv=900.0),
        differential_record(),
        differential_record("tail", 5.0),
        differential_record(summary="learned x", status="unresolved"),
    ]
    assert strictest(several) is several[1]
    assert summary_verdict(several) == several[1]["verdict"]
    assert summary_verdict([averaging_record("a"), *several]).endswith(several[1]["verdict"])
    assert summary_verdict(several[3:]) == several[3]["verdict"]
    for record in (*several, differential_record(summary="learned x", status="upper_limit")):
        assert record["verdict"].count(". ") == 0


def test_a_large_pull_is_said_even_where_it_is_no_bias():
    assert "lowers it to 1" in averaging_record("a")["verdict"]  # what no mark does not exclude
    words = averaging_record("a", pull=-3.4)["verdict"]
    assert "3.4 expected errors away, which 8 members cannot tell from chance" in words


def test_the_median_counts_what_noise_hides_as_large():
    """Two of three regions are as good as unlimited: the median is a limit, not the value of the
    only resolved one.
    """
    hidden = averaging_record("b", 9000.0, "lower_limit")
    records = [averaging_record("a", 2000.0), hidden, {**hidden, "region": "c"}]
    assert typical(records) == (6.0, False)
    assert typical(records[:1]) == (2.0, True)
    few = averaging_record("d", status="unresolved")  # too few events: no low end, not counted
    assert typical([records[0], few]) == (2.0, True)


def test_page_and_paragraph_say_the_same_median():
    """In every mixture of statuses (an earlier paragraph left out unresolved regions)."""
    kinds = {
        "resolved": averaging_record("a", 3000.0),
        "small": averaging_record("b", 700.0),
        "lower_limit": averaging_record("c", 9000.0, "lower_limit"),
        "biased": averaging_record("d", 1500.0, "biased"),
        "few": averaging_record("f", status="unresolved"),
    }
    limits = values = 0
    for count in (1, 2, 3, 4):
        for chosen in itertools.combinations_with_replacement(kinds, count):
            records = [kinds[name] for name in chosen]
            said = methods_paragraph({"estimates": records, "version": "1", "seed": 0})
            if not set(chosen) - {"lower_limit", "few"}:
                assert "median of G" not in said
                continue
            median, exact = typical(records)
            limits, values = limits + (not exact), values + exact
            word = number(median).replace("\u202f", " ")
            more = "" if exact else "more than "
            sign = "=" if exact else ">"
            assert f"The median of G over the regions is {more}{word}, its values" in said
            assert f"(median G {sign} {number(median)})" in summary_verdict(records)
    assert limits > 20 and values > 20
