"""The paragraph to paste and its references."""

from amplify.report.methods import methods_paragraph, references
from tests.results.examples import averaging_record, differential_record, rich_results


def test_the_paragraph_says_what_was_done():
    results = rich_results()
    words = methods_paragraph(results)
    for said in (
        "8 generators",
        "trained on 1 000 events",
        "100 000 events each",
        "15 regions",
        "68 %",
        "7 degrees of freedom",
        "holdout of 20 000 true events",
        "one-sided at 95 %",
        "exact likelihood ratio",
        "least-squares",
        "SciPost Phys. 20, 150",
        "doi:10.21468/SciPostPhys.20.5.150",
        "arXiv:2509.08048",
        "physics/9711021",
        f"amplify {results['version']}",
        "seed 7",
    ):
        assert said in words, said
    assert "\n" not in words and "  " not in words


def test_what_was_not_done_is_not_said():
    bare = averaging_record("a") | {"members": None, "n_gen": None, "n_holdout": None}
    words = methods_paragraph({"estimates": [bare], "version": "1", "seed": 0})
    assert "No holdout" in words and "Generators were trained" in words
    assert "event by event" not in words and "degrees of freedom" not in words


def test_references_are_those_that_are_cited():
    every = references(rich_results())
    assert every.count("@article") == 3
    for said in ("SciPost Phys.", "10.21468/SciPostPhys.20.5.150", "2509.08048"):
        assert said in every
    summaries = "observable pt", "learned likelihood ratio (MLP)"
    some = references({"estimates": [differential_record(summary=name) for name in summaries]})
    assert some.count("@article") == 1 and "Bahl" in some
