"""Sentences: one for each status, one for each method, and the same numbers wherever one is said
twice.
"""

import itertools

import pytest

from amplify.report.methods import methods_paragraph
from amplify.results.verdicts import how_many, strictest, summary_verdict, typical
from amplify.text import number
from tests.results.examples import averaging_record, differential_record


def test_nothing_and_nothing_resolved():
    assert summary_verdict([]) == "Nothing was estimated."
    noise = [averaging_record("a", status="unresolved")]
    assert "No region is resolved" in summary_verdict(noise)


def test_the_verdict_on_top_counts():
    records = [
        averaging_record("a", 4000.0),
        averaging_record("b", 500.0, "biased"),
        averaging_record("c", 200.0),
        averaging_record("d", status="unresolved"),
        averaging_record("e", status="unresolved"),
    ]
    words = summary_verdict(records)
    assert "in 1 of 5 regions" in words and "less than its training data in 1" in words
    assert words.endswith("1 is biased; 2 are unresolved.")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            [averaging_record("a", 4000.0), averaging_record("b", 900.0)],
            ("Use up to 40\u202f000 generated events: beyond that no region's", "which is enough"),
        ),
        (
            [averaging_record("a", 40_000.0), averaging_record("b", status="unresolved")],
            ("no resolved region's", "400\u202f000", "the other region."),
        ),
        (
            [averaging_record("a", status="lower_limit")],
            ("No limit on the number of generated events was found up to the 100\u202f000",),
        ),
        ([differential_record(n_equiv=60.0)], ("Use up to 600 generated events, ten times",)),
        (
            [differential_record(n_equiv=60.0, status="upper_limit")],
            ("Use at most 780 generated events",),
        ),
        (
            [differential_record(status="lower_limit")],
            ("No limit on the number of generated events was found up to the 500\u202f000",),
        ),
        ([differential_record(status="unresolved")], ("No limit",)),
        (
            [averaging_record("a"), differential_record()],
            (
                "for integrals over these regions: ",
                "; where single events count, ",
                "use up to 600",
            ),
        ),
        ([], ("",)),
    ],
)
def test_how_many_events_to_use(records, words):
    sentence = how_many(records)
    assert all(part in sentence for part in words)
    assert sentence.count(". ") == 0
    assert not records or sentence.endswith(".")


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
    words = averaging_record("a", pull=-3.4)["verdict"]
    assert "3.4 expected errors away, which 8 members cannot tell from chance" in words


def test_the_median_counts_what_noise_hides_as_large():
    """Two of three regions are as good as unlimited: the median is a limit, not the value of the
    only resolved one.
    """
    hidden = averaging_record("b", status="unresolved", amplification_interval=[6.0, None])
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
        "hidden": averaging_record("e", status="unresolved", amplification_interval=[4.0, None]),
        "few": averaging_record("f", status="unresolved"),
    }
    limits = values = 0
    for count in (1, 2, 3, 4):
        for chosen in itertools.combinations_with_replacement(kinds, count):
            records = [kinds[name] for name in chosen]
            said = methods_paragraph({"estimates": records, "version": "1", "seed": 0})
            if not set(chosen) - {"hidden", "few"}:
                assert "median" not in said
                continue
            median, exact = typical(records)
            limits, values = limits + (not exact), values + exact
            word = number(median).replace("\u202f", " ")
            more = "" if exact else "more than "
            sign = "=" if exact else ">"
            assert f"The median of G over the regions is {more}{word}, its values" in said
            assert f"(median G {sign} {number(median)})" in summary_verdict(records)
    assert limits > 20 and values > 20
