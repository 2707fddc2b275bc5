"""results.json, verdicts and page."""

import html
import json

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.report.page import write_page
from amplify.report.results import averaging_records, environment, finite, read_json, write_json
from amplify.report.verdicts import number, summary_verdict
from amplify.types import Holdout, Status


def _records(integral, labels, **settings):
    estimate = averaging_amplification(np.asarray(integral), n_train=1000, n_gen=10_000, **settings)
    return averaging_records(estimate, labels, members=len(integral), n_train=1000, n_gen=10_000)


def _integrals():
    """Members whose spread is clear, below the noise, a limit, rare, and biased against a holdout of .5."""
    rng = np.random.default_rng(0)
    sigma, mean = np.array([0.01, 0.0, 0.0055, 0.0002, 0.005]), np.array([0.3, 0.3, 0.4, 0.001, 0.3])
    z = rng.standard_normal((12, 5))
    z = (z - z.mean(0)) / z.std(0, ddof=1)
    return mean + sigma * z


def test_each_status_has_its_sentence_and_json_knows_no_infinity(tmp_path):
    records = _records(_integrals(), ("clear", "noise", "limit", "rare", "shifted"), holdout=Holdout(np.array([0.3, 0.3, 0.4, 0.001, 0.5]), 10_000))
    assert [r["status"] for r in records] == ["resolved", "unresolved", "lower_limit", "unresolved", "biased"]
    for record, words in zip(records, ("is worth", "generate more events", "more than", "too few", "common bias"), strict=True):
        assert words in record["verdict"] and record["verdict"].startswith(f"In {record['region']}")
    assert records[1]["amplification"] is None and records[2]["n_equiv_interval"][1] is None
    results = environment("amplify test", 3, {"n_train": 1000}) | {"estimates": records}
    write_json(tmp_path / "results.json", results)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert read_json(tmp_path / "results.json") == json.loads(json.dumps(finite(results)))
    write_page(read_json(tmp_path / "results.json"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 2 and "unresolved" in page and "amplify test" in page and "<script" not in page
    assert html.escape(summary_verdict(records)) in page


def test_the_verdict_on_top_counts():
    words = summary_verdict(_records(_integrals(), ("clear", "noise", "limit", "rare", "shifted")))
    assert "of 5 regions" in words and "2 are unresolved" in words
    assert "No region is resolved" in summary_verdict([])


@pytest.mark.parametrize(
    ("value", "text"), [(None, "infinity"), (0.0, "0"), (0.12345, "0.12"), (3.14159, "3.1"), (31.4159, "31.4"), (314.159, "314"), (31415.9, "31\u202f400")]
)
def test_numbers_keep_the_digits_that_matter(value, text):
    assert number(value) == text


def test_only_results_are_read(tmp_path):
    for name, text in (("a.json", "{}"), ("b.json", "nonsense"), ("c.json", '{"schema": "amplify/2", "estimates": []}'), ("d.json", "[]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_json(tmp_path / name)


def test_status_names_are_those_of_the_schema():
    assert [s.name.lower() for s in Status] == ["resolved", "lower_limit", "upper_limit", "biased", "unresolved"]
