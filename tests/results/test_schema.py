"""The schema of results.json: what is written follows it, every way of being wrong is one line."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from amplify.cli import main
from amplify.errors import InputError
from amplify.results.records import finite, read_json, write_json
from amplify.results.result import Result
from amplify.results.schema import check, check_own, fault, schema
from tests.results.examples import COLUMNS, EVIL, rich_results, truth_of


@pytest.fixture(scope="module")
def good():
    results = rich_results(COLUMNS[:2])
    bins = {"name": "pt", "column": "pt_lead", "edges": [None, 0.0, None], "regions": [0, 1]}
    return finite(results | {"truth": truth_of(results), "binnings": [bins]})


def _with(value, *path):
    """An edit of a dict: this value at the place of these keys."""

    def edit(results):
        inner = results
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return edit


def _without(*path):
    def edit(results):
        inner = results
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]

    return edit


# what somebody's hand, another program or a broken disk makes of a results.json: words of the line
EDITS = {
    "no status": ("estimates[0]: expected the keys status", _without("estimates", 0, "status")),
    "no interval": ("n_equiv_interval", _without("estimates", 0, "n_equiv_interval")),
    "no level": ("level", _without("estimates", 0, "level")),
    "no region": ("region", _without("estimates", 1, "region")),
    "no settings": ("settings", _without("settings")),
    "no estimates": ("estimates", _without("estimates")),
    "no panel edges": ("edges", _without("panels", 0, "edges")),
    "another status": ("expected one of resolved", _with("fine", "estimates", 0, "status")),
    "another method": ("averaging, differential", _with("magic", "estimates", 0, "method")),
    "another schema": ("schema amplify/1", _with("amplify/2", "schema")),
    "estimates are a dict": ("estimates: expected array", _with({}, "estimates")),
    "an estimate is text": ("estimates[2]: expected object", _with("x", "estimates", 2)),
    "text for a number": (
        "n_equiv: expected number or null",
        _with("4", "estimates", 0, "n_equiv"),
    ),
    "nan as text": ("amplification", _with("nan", "estimates", 0, "amplification")),
    "true for a number": ("integral", _with(True, "estimates", 0, "integral")),
    "an interval of three": ("contain", _with([1, 2, 3], "estimates", 0, "n_equiv_interval")),
    "an interval of text": ("null", _with(["a", "b"], "estimates", 0, "amplification_interval")),
    "an interval is a number": ("array", _with(3, "estimates", 0, "amplification_interval")),
    "a level above one": ("level", _with(68, "estimates", 0, "level")),
    "fewer events than none": ("n_gen", _with(-5, "estimates", 0, "n_gen")),
    "a region is a list": ("region: expected string", _with(["pt"], "estimates", 0, "region")),
    "a warning is a dict": ("warnings[0]", _with({"a": 1}, "warnings", 0)),
    "inputs without a path": ("path", _without("inputs", 0, "path")),
    "a panel that is too short": ("panels[0].generated", _with([0.5], "panels", 0, "generated")),
    "a region that is not there": ("below 6", _with([0, 9], "binnings", 0, "regions")),
    "a place between two": ("integers", _with([0, 1.0], "binnings", 0, "regions")),
    "values without errors": ("no holdout_error", _with(None, "panels", 0, "holdout_error")),
    "falling edges": ("edges", _with([float(i) for i in range(21, 0, -1)], "panels", 0, "edges")),
    "a map of another shape": ("map.amplification", _with([[1.0]], "map", "amplification")),
    "a truth that is too short": ("truth", _with([1.0], "truth", "actual_amplification")),
    "curves of two lengths": ("ks", _with([0.1], "differential", "approach", "ks")),
    "a map of text": ("status", _with("resolved", "map", "status")),
    "lists in lists": ("estimates[0]", _with([[[]]], "estimates", 0)),
    "an enormous number": ("n_equiv", _with(1e305, "estimates", 0, "n_equiv")),
}
# what is no JSON, or no JSON of ours
TEXTS = {
    "empty": (b"", "no JSON"),
    "cut off": (b'{"schema": "amplify/1", "estim', "no JSON"),
    "binary": (bytes(range(256)), "no JSON"),
    "a list": (b"[1, 2]", "schema amplify/1"),
    "a word": (b'"amplify/1"', "schema amplify/1"),
    "null": (b"null", "schema amplify/1"),
    "nan": (b'{"schema": "amplify/1", "seed": NaN}', "got NaN"),
    "infinity": (b'{"schema": "amplify/1", "seed": -Infinity}', "got -Infinity"),
    "beyond a double": (b'{"schema": "amplify/1", "seed": 1e999}', "got 1e999"),
    "10 000 digits": (b'{"schema": "amplify/1", "seed": ' + b"9" * 10_000 + b"}", "99..."),
    "without end": (b"[" * 200_000, "without end"),
    "markup": (b'{"schema": "[/red]\\u001b[31m"}', r"[/red]\x1b[31m"),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_fault_is_one_line(case, good):
    words, edit = EDITS[case]
    broken = copy.deepcopy(good)
    edit(broken)
    with pytest.raises(InputError) as told:
        Result.from_json(broken)
    line = str(told.value)
    assert words in line and "\n" not in line and len(line) < 500


@pytest.mark.parametrize("case", TEXTS)
def test_what_is_no_results_is_one_line(case, tmp_path, capsys):
    content, words = TEXTS[case]
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "results.json")])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and words in said
    assert said.startswith("error: ") and said.count("\n") == 1 and "\x1b" not in said
    assert len(list(tmp_path.iterdir())) == 1  # nothing is drawn


def test_a_directory_and_a_study_are_told(tmp_path, capsys):
    study = {"schema": "amplify/1", "command": "", "version": "1", "seed": 0, "study": {}}
    study |= {"settings": {"columns": 3}, "inputs": [], "warnings": [], "estimates": []}
    write_json(tmp_path / "study.json", study)
    for path, words in ((tmp_path, "a directory"), (tmp_path / "study.json", "a study")):
        with pytest.raises(SystemExit):
            main(["report", str(path)])
        assert words in capsys.readouterr().err


def test_results_of_every_kind_follow_the_schema(good):
    for results in (good, finite(rich_results(evil=EVIL)), finite(rich_results(bins=12))):
        assert fault(results) is None
    optional = {"panels", "map", "resolution", "sensitivities", "differential", "truth", "pooled"}
    assert fault(good | dict.fromkeys(optional)) is None
    assert fault({key: good[key] for key in good if key not in optional}) is None
    assert fault(good | {"of a later version": {"a": [1, None]}}) is None


def test_recorded_results_follow_the_schema():
    folder = Path(__file__).parents[2] / "paper_figures" / "results"
    recorded = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    results = [contents for contents in recorded if contents.get("schema") == "amplify/1"]
    assert len(results) > 10
    assert [fault(contents) for contents in results] == [None] * len(results)


def test_a_reference_agrees(good):
    """Of another package that knows JSON Schema: on the schema, and on every fault but lengths."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft7Validator.check_schema(schema())
    validator = jsonschema.Draft7Validator(schema())
    assert validator.is_valid(good)
    ours = {
        "falling edges",
        "values without errors",
        "a panel that is too short",
        "a map of another shape",
    }
    ours |= {"a truth that is too short", "curves of two lengths"}
    ours |= {"a region that is not there", "a place between two"}
    for case, (_, edit) in EDITS.items():
        broken = copy.deepcopy(good)
        edit(broken)
        assert validator.is_valid(broken) == (case in ours), case


def test_every_listed_key_is_written_somewhere(good):
    """A key of the schema that nothing writes is a slip of the pen."""
    known = set(schema()["definitions"]["estimate"]["properties"])
    written = {key for record in good["estimates"] for key in record}
    assert written <= known
    later = {"sigma_model_interval", "distance_interval", "n_equiv_precision", "n_equiv_at_n_gen"}
    assert known - written == later


def test_our_own_faults_are_warnings(good, tmp_path):
    """Nobody loses hours of work for them; in the tests a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_own(good)
    broken = copy.deepcopy(good)
    broken["estimates"][0]["status"] = "fine"
    with pytest.warns(UserWarning, match=r"estimates\[0\].status is 'fine' instead of one of"):
        write_json(tmp_path / "results.json", broken)
    with pytest.raises(InputError, match=r"results.json: estimates\[0\].status"):
        read_json(tmp_path / "results.json")
    with pytest.raises(InputError, match="mine: estimates"):
        check(broken, "mine")


def test_numbers_that_json_lacks_are_null(tmp_path, good):
    results = good | {"pooled": {"n_equiv": np.inf, "n_equiv_interval": [0.0, np.nan]}}
    results["pooled"]["status"] = "unresolved"
    write_json(tmp_path / "results.json", results)
    assert read_json(tmp_path / "results.json")["pooled"]["n_equiv_interval"] == [0.0, None]
