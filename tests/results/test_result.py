"""A Result knows what its numbers belong to, and results.json holds exactly that."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from amplify import averaging, differential
from amplify.errors import InputError, MissingExtraError
from amplify.results.result import Result
from tests.results.examples import EVIL


@pytest.fixture(scope="module")
def by_averaging():
    rng = np.random.default_rng(0)
    members = [rng.normal(0.03 * rng.normal(), 1, (20_000, 2)) for _ in range(8)]
    members[0][:, 1] += 0.5 * (np.arange(20_000) < 2)  # two rare events
    shifted = rng.normal([0.0, 0.4], 1, (30_000, 2))
    return averaging(members, n_train=1000, level=0.9, limit_level=0.99, holdout=shifted)


@pytest.fixture(scope="module")
def by_differential():
    rng = np.random.default_rng(1)
    generated, holdout = rng.normal(0.2, 1, (40_000, 2)), rng.normal(0, 1, (3000, 2))
    return differential(generated, holdout, n_train=500, summary="column:x0", bins=4)


@pytest.mark.parametrize("name", ["by_averaging", "by_differential"])
def test_json_holds_the_result_and_gives_it_back(name, request, tmp_path):
    result = request.getfixturevalue(name)
    text = result.to_json(tmp_path / "results.json")
    assert (tmp_path / "results.json").read_text() == text
    again = Result.from_json(tmp_path / "results.json")
    assert again.to_dict() == result.to_dict() == json.loads(text)
    assert str(again) == str(result) and again.labels == result.labels
    assert Result.from_json(json.loads(text)).to_json() == text
    estimate, read = result.estimate, again.estimate
    np.testing.assert_allclose(read.factor.value, estimate.factor.value)
    np.testing.assert_allclose(read.factor.high, estimate.factor.high)
    np.testing.assert_array_equal(read.status, estimate.status)


def test_level_and_numbers_go_with_the_estimate(by_averaging):
    assert by_averaging.level == 0.9 and by_averaging.members == 8
    assert by_averaging.n_train == 1000 and by_averaging.n_gen == 20_000
    assert by_averaging.n_holdout == 30_000
    assert {record["level"] for record in by_averaging.records} == {0.9}
    assert (
        "90 % intervals, two-sided" in str(by_averaging)
        and "90 %" in by_averaging.records[0]["verdict"]
    )
    assert by_averaging.limit_level == 0.99 and "one-sided 99 %" in by_averaging.verdict
    assert {"biased", "resolved"} <= {r["status"] for r in by_averaging.records}


def test_a_region_by_its_label(by_differential):
    record = by_differential["all"]
    assert record["status"] == "resolved" and record["n_train"] == 500
    with pytest.raises(InputError, match=r"region: expected one of all, x0 < .*, got 'bulk'"):
        by_differential["bulk"]


def test_results_do_not_change(by_averaging):
    with pytest.raises(dataclasses.FrozenInstanceError):
        by_averaging.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        by_averaging.answers[0].level = 0.68


def test_print_says_verdict_table_and_warnings(by_averaging, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = str(by_averaging).splitlines()
    assert lines[0].startswith("averaging amplification by region, 90 % intervals, two-sided")
    assert lines[1].split()[:4] == ["region", "I", "sigma_stat", "sigma_model"]
    for label in by_averaging.labels:
        assert any(line.startswith(label) for line in lines)
    assert by_averaging.verdict in lines
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: {warning}" for warning in by_averaging.warnings
    ]


def _table(result):
    """Lines of the table, without its title."""
    lines = str(result).splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("region "))
    return lines[first : first + 2 + len(result.labels)]


@pytest.mark.parametrize("columns", ["", "20", "80", "100"])
def test_tables_fit_the_line(by_averaging, columns, monkeypatch):
    """What says most stays: region, G, interval and status; labels are shortened last."""
    monkeypatch.setenv("COLUMNS", columns)
    widest = max(80, int(columns or 80))
    long = f"-1.25 <= {'a_long_name_of_a_column' * 3} < 0.75"
    answer = dataclasses.replace(by_averaging.answers[0], labels=(long, *by_averaging.labels[1:]))
    lines = _table(dataclasses.replace(by_averaging, answers=(answer,)))
    assert max(map(len, lines)) <= widest
    heads = lines[0].split()
    assert heads[0] == "region" and heads[-1] == "status" and {"n_equiv", "G"} <= set(heads)
    assert lines[2].startswith("-1.25 <= a") and "… " not in lines[2] and " < 0.75 " in lines[2]


def test_what_a_terminal_would_obey_is_written_out(by_averaging):
    labels = ("\x1b[31mred\x07 \u202eabc", "[/red]", *by_averaging.labels[2:])
    answer = dataclasses.replace(by_averaging.answers[0], labels=labels)
    shown = dataclasses.replace(by_averaging, answers=(answer,), warnings=("\x1b]0;title\x07",))
    assert not set(str(shown) + shown._repr_html_()) & {"\x1b", "\x07", "\u202e"}
    assert r"\x1b[31mred\x07 \u202eabc" in str(shown) and "[/red]" in str(shown)


def test_the_shell_shows_one_line(by_averaging):
    count = len(by_averaging.labels)
    assert repr(by_averaging).startswith(f"<Result of averaging in {count} regions: Trained on")
    assert "\n" not in repr(by_averaging)


def test_notebooks_show_a_table_whose_words_are_escaped(by_averaging):
    labels = (EVIL, *by_averaging.labels[1:])
    answer = dataclasses.replace(by_averaging.answers[0], labels=labels)
    page = dataclasses.replace(by_averaging, answers=(answer,))._repr_html_()
    assert "<table>" in page and "<img" not in page and "&lt;img" in page


def test_a_data_frame_has_a_row_for_each_record(by_averaging):
    pytest.importorskip("pandas")
    frame = by_averaging.to_dataframe()
    assert list(frame["region"]) == list(by_averaging.labels)
    assert frame["amplification"].notna().any()


def test_without_pandas_there_is_a_line_that_says_so(by_averaging, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        by_averaging.to_dataframe()


def test_from_json_refuses_what_is_none(tmp_path):
    (tmp_path / "other.json").write_text('{"schema": "amplify/0", "estimates": []}')
    with pytest.raises(InputError, match="schema amplify/1"):
        Result.from_json(tmp_path / "other.json")
    with pytest.raises(InputError, match="no such file"):
        Result.from_json(tmp_path / "missing.json")
