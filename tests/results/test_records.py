"""results.json: one record a region with a verdict, numbers that JSON knows, and nothing else is
read.
"""

import json

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification
from amplify.results.records import (
    averaging_records,
    differential_records,
    environment,
    finite,
    read_json,
    write_json,
)
from amplify.types import Holdout, Status

LABELS = ("clear", "noise", "limit", "rare", "shifted")


def _averaging(**settings):
    """Members whose spread is clear, below the noise, a limit, rare, and biased against a holdout
    of .5.
    """
    sigma = np.array([0.01, 0.0, 0.0055, 0.0002, 0.005])
    mean = np.array([0.3, 0.3, 0.4, 0.001, 0.3])
    z = np.random.default_rng(0).standard_normal((12, 5))
    z = (z - z.mean(0)) / z.std(0, ddof=1)
    estimate = averaging_amplification(mean + sigma * z, n_train=1000, n_gen=10_000, **settings)
    numbers = {"n_train": 1000, "n_gen": 10_000, "n_holdout": None}
    return averaging_records(estimate, LABELS, members=12, level=0.68, limit_level=0.95, **numbers)


def _differential(t_gen, t_holdout, **settings):
    estimate = differential_amplification(t_gen, t_holdout, n_train=1000, **settings)
    (record,) = differential_records(
        estimate,
        ("all",),
        summary="ratio",
        n_train=1000,
        n_gen=len(t_gen),
        n_holdout=len(t_holdout),
        level=0.68,
        limit_level=0.95,
    )
    return record


def test_each_averaging_status_has_its_sentence():
    records = _averaging(holdout=Holdout(np.array([0.3, 0.3, 0.4, 0.001, 0.5]), 10_000))
    expected = {
        "clear": ("resolved", "is worth"),
        "noise": ("lower_limit", "generate more events"),
        "limit": ("lower_limit", "more than"),
        "rare": ("unresolved", "too few"),
        "shifted": ("biased", "common bias"),
    }
    for record in records:
        status, words = expected[record["region"]]
        assert record["status"] == status
        assert words in record["verdict"]
        assert record["verdict"].startswith(f"In {record['region']}")


def test_each_differential_status_has_its_sentence():
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
        assert record["method"] == "differential" and record["status"] == status
        assert words in record["verdict"] and record["verdict"].startswith("Overall")
    resolved = cases[0][0]
    assert resolved["n_holdout_for_30_percent"] == pytest.approx(14.6 * resolved["n_equiv"], 0.01)


def test_json_knows_no_infinity(tmp_path):
    records = _averaging()
    assert records[1]["amplification"] is None and records[2]["n_equiv_interval"][1] is None
    results = environment("amplify test", 3, {"n_train": 1000}) | {"estimates": records}
    write_json(tmp_path / "results.json", results)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert read_json(tmp_path / "results.json") == json.loads(json.dumps(finite(results)))


@pytest.mark.parametrize(
    "text", ["{}", "nonsense", '{"schema": "amplify/2", "estimates": []}', "[]", None]
)
def test_only_results_are_read(text, tmp_path):
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError):
        read_json(path)


def test_status_names_are_those_of_the_schema():
    names = [status.name.lower() for status in Status]
    assert names == ["resolved", "lower_limit", "upper_limit", "biased", "unresolved"]
