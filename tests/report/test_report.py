"""results.json, verdicts and page."""

import html
import json

import numpy as np
import pytest

from amplify.analysis import curves
from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification, tally
from amplify.estimators.kolmogorov import count_between, distance_between
from amplify.report.page import write_page
from amplify.results.records import (
    averaging_records,
    differential_records,
    environment,
    finite,
    read_json,
    write_json,
)
from amplify.results.verdicts import summary_verdict
from amplify.text import number
from amplify.types import Events, Holdout, Status


def _records(integral, labels, **settings):
    estimate = averaging_amplification(np.asarray(integral), n_train=1000, n_gen=10_000, **settings)
    return averaging_records(estimate, labels, members=len(integral), n_train=1000, n_gen=10_000)


def _integrals():
    """Members whose spread is clear, below the noise, a limit, rare, and biased against a holdout
    of .5.
    """
    rng = np.random.default_rng(0)
    sigma, mean = (
        np.array([0.01, 0.0, 0.0055, 0.0002, 0.005]),
        np.array([0.3, 0.3, 0.4, 0.001, 0.3]),
    )
    z = rng.standard_normal((12, 5))
    z = (z - z.mean(0)) / z.std(0, ddof=1)
    return mean + sigma * z


def test_each_status_has_its_sentence_and_json_knows_no_infinity(tmp_path):
    records = _records(
        _integrals(),
        ("clear", "noise", "limit", "rare", "shifted"),
        holdout=Holdout(np.array([0.3, 0.3, 0.4, 0.001, 0.5]), 10_000),
    )
    assert [r["status"] for r in records] == [
        "resolved",
        "unresolved",
        "lower_limit",
        "unresolved",
        "biased",
    ]
    for record, words in zip(
        records,
        ("is worth", "generate more events", "more than", "too few", "common bias"),
        strict=True,
    ):
        assert words in record["verdict"] and record["verdict"].startswith(f"In {record['region']}")
    assert records[1]["amplification"] is None and records[2]["n_equiv_interval"][1] is None
    results = environment("amplify test", 3, {"n_train": 1000}) | {"estimates": records}
    write_json(tmp_path / "results.json", results)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert read_json(tmp_path / "results.json") == json.loads(json.dumps(finite(results)))
    write_page(read_json(tmp_path / "results.json"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (
        page.count("<svg") == 2
        and "unresolved" in page
        and "amplify test" in page
        and page.count("<script") == 1
    )
    assert html.escape(summary_verdict(records)) in page


def test_the_verdict_on_top_counts():
    words = summary_verdict(_records(_integrals(), ("clear", "noise", "limit", "rare", "shifted")))
    assert "of 5 regions" in words and "2 are unresolved" in words
    assert "No region is resolved" in summary_verdict(_records(_integrals(), tuple("abcde"))[1:2])
    assert summary_verdict([]) == "Nothing was estimated."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "infinity"),
        (0.0, "0"),
        (0.12345, "0.12"),
        (3.14159, "3.1"),
        (31.4159, "31.4"),
        (314.159, "314"),
        (31415.9, "31\u202f400"),
    ],
)
def test_numbers_keep_the_digits_that_matter(value, text):
    assert number(value) == text


def test_only_results_are_read(tmp_path):
    for name, text in (
        ("a.json", "{}"),
        ("b.json", "nonsense"),
        ("c.json", '{"schema": "amplify/2", "estimates": []}'),
        ("d.json", "[]"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_json(tmp_path / name)


def test_status_names_are_those_of_the_schema():
    assert [s.name.lower() for s in Status] == [
        "resolved",
        "lower_limit",
        "upper_limit",
        "biased",
        "unresolved",
    ]


def _differential(t_gen, t_holdout, **settings):
    estimate = differential_amplification(t_gen, t_holdout, n_train=1000, **settings)
    level = 0.9 if settings.get("learned") else 0.68
    return differential_records(
        estimate,
        ("all",),
        summary="ratio",
        n_train=1000,
        n_gen=len(t_gen),
        n_holdout=len(t_holdout),
        level=level,
    )[0]


def test_each_differential_status_has_its_sentence(tmp_path):
    rng = np.random.default_rng(0)
    near, far, few = rng.normal(size=5000), rng.normal(0.3, 1, 50_000), rng.normal(size=50)
    cases = (
        (_differential(far, near), "resolved", "as far from the truth"),
        (_differential(np.tile(near, 10), near, method="ks"), "lower_limit", "cannot tell"),
        (_differential(far, near, learned=True), "upper_limit", "fewer than"),
        (_differential(np.tile(near, 10), near, learned=True), "unresolved", "nothing is claimed"),
        (_differential(far, few), "unresolved", "fewer than 100"),
    )
    for record, status, words in cases:
        assert (
            record["status"] == status
            and words in record["verdict"]
            and record["verdict"].startswith("Overall")
        )
        assert record["method"] == "differential" and "n_holdout_for_30_percent" in record
    assert cases[0][0]["n_holdout_for_30_percent"] == pytest.approx(
        14.6 * cases[0][0]["n_equiv"], rel=0.01
    )
    results = environment("amplify test", 0, {}) | {
        "estimates": [record for record, _, _ in cases] + _records(_integrals(), tuple("abcde"))
    }
    write_json(tmp_path / "results.json", results)
    write_page(read_json(tmp_path / "results.json"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (
        "Averaging: integrals" in page
        and "Differential: event by event" in page
        and page.count("<svg") == 3
    )


def test_curves_of_a_differential_result(tmp_path):
    """The functions end at one, the place is where they differ most, the band of true events holds
    most of a sample without a difference.
    """
    rng = np.random.default_rng(1)
    t_gen, t_holdout = rng.normal(0.2, 1, 50_000), rng.normal(size=4000)
    grid = np.unique(t_holdout)
    tallies = [tally(grid, t, threshold=0.1) for t in (t_gen, t_holdout)]
    counts = [part.counts for part in tallies]
    functions = curves.distribution_functions(grid, *tallies, threshold=None)
    assert len(functions["t"]) == 201 and functions["holdout"][-1] == 1
    gap = abs(functions["generated_there"] - functions["holdout_there"])
    assert (
        gap == pytest.approx(distance_between(*counts), abs=1e-3)
        and abs(functions["place"] - 0.1) < 0.4
    )
    at = curves.distribution_functions(grid, *tallies, threshold=0.1)
    assert (
        at["place"] == 0.1
        and at["generated_there"] == (t_gen <= 0.1).mean()
        and at["holdout_there"] == (t_holdout <= 0.1).mean()
    )
    true = rng.normal(size=50_000)
    grown = [
        (n, float(distance_between(count_between(grid, true[:n]), counts[1])))
        for n in (100, 300, 1000, 10_000, 50_000)
    ]
    a = curves.approach(grown, 4000, 0.02)
    inside = (a["ks"] > a["null_low"]) & (a["ks"] < a["null_high"])
    assert inside.sum() >= 3 and (np.diff(a["null_mean"]) < 0).all()
    x_gen, x_true = rng.normal(size=(50_000, 3)), rng.normal(size=(20_000, 3))
    x_gen[:2000, :2] = 1.0
    m = curves.ratio_map(Events(x_gen), Events(x_true), ["a", "b", "c"])
    cell = np.unravel_index(np.argmax(m["pull"]), m["pull"].shape)
    assert m["columns"] == ["a", "b"] and np.max(m["pull"]) > 10
    for edges, i in zip(m["edges"], cell, strict=True):
        assert edges[i] <= 1.0 <= edges[i + 1]
    weighted = curves.ratio_map(
        Events(x_gen, np.full(50_000, 2.0)), Events(x_true), ["a", "b", "c"]
    )
    np.testing.assert_allclose(weighted["ratio"], m["ratio"])
