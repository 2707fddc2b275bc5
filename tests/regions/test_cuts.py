"""A user's file of cuts, and the regions it makes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amplify.cli import main
from amplify.errors import AmplifyError, InputError
from amplify.regions.cuts import as_regions, columns_of, read_cuts

NAMES = ["pt", "eta", "m [GeV]"]


def _events(n=500, seed=0):
    rng = np.random.default_rng(seed)
    pt, eta, mass = rng.exponential(300, n), rng.normal(0, 2, n), rng.integers(0, 5, n)
    x = np.stack([pt, eta, mass.astype(float)], axis=1)
    x[0::9, 0], x[1::9, 0], x[0::7, 1] = 100, 0, 2  # ends of intervals
    return x


def _read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    cuts = read_cuts(path)
    assert set(columns_of(cuts, NAMES)) <= set(NAMES)
    return as_regions(cuts, NAMES)


def _error(path, text):
    with pytest.raises(InputError) as caught:
        _read(path, text)
    return str(caught.value)


GOOD = """# one region a line
tail: pt > 400 and abs(eta) < 2.5
"with colon: and quotes": 'pt > 400 or eta < 0'
box: {pt: [0, 100], eta: [null, 2]}
list:
  - pt > 100
  - 0 <= `m [GeV]` < 3
block: {"m [GeV]": [1e0, .inf]}
folded: >
  pt > 100
  and eta > 0
5: pt < 1_000
all: {eta: [null, ~]}
"""


def test_every_form_of_a_cut(tmp_path):
    x = _events()
    pt, eta, mass = x.T
    expected = {
        "tail": (pt > 400) & (np.abs(eta) < 2.5),
        "with colon: and quotes": (pt > 400) | (eta < 0),
        "box": (pt >= 0) & (pt < 100) & (eta < 2),
        "list": (pt > 100) & (mass < 3),
        "block": mass >= 1,
        "folded": (pt > 100) & (eta > 0),
        "5": pt < 1000,
        "all": np.ones(500, bool),
    }
    regions = _read(tmp_path / "cuts.yaml", GOOD)
    assert list(regions.labels) == list(expected)
    np.testing.assert_array_equal(regions.contains(x), np.stack(list(expected.values()), axis=1))
    single = x.astype(np.float32)
    np.testing.assert_array_equal(
        regions.contains(single), regions.contains(single.astype(np.float64))
    )


def test_json_is_yaml(tmp_path):
    text = {
        "tail": "pt > 400 and abs(eta) < 2.5",
        "box": {"pt": [1e-3, 1e2], "eta": [None, -1.5e-1]},
        "both": ["pt > 1", "eta > 0"],
        "µ": "pt > 1",
    }
    x = _events()
    for indent, ascii_only in ((None, True), (2, False)):
        written = json.dumps(text, indent=indent, ensure_ascii=ascii_only)
        regions = _read(tmp_path / "cuts.json", written)
        assert regions.labels == ("tail", "box", "both", "µ")
        in_box = (x[:, 0] >= 1e-3) & (x[:, 0] < 100) & (x[:, 1] < -0.15)
        np.testing.assert_array_equal(regions.contains(x)[:, 1], in_box)


# text: words of the error, its line
BAD = {
    "": ("an empty file", None),
    "# only a comment\n": ("an empty file", None),
    "- pt > 1\n": ("regions like", 1),
    "pt > 1": ("regions like", 1),
    "a: pt > 1\nb: [pt > 1\nc: pt > 2\n": ("expected ',' or ']'", 3),
    "a:\n\t- pt > 1\n": ("\\t", 2),
    b"\xff\xfe\x00": ("YAML or JSON", None),
    b"a: pt > \x07": ("YAML or JSON", None),
    "a: pt > 1\n--- \nb: pt > 2\n": ("another document", 2),
    "a: &a [pt > 1]\nb: *a\n": ("an alias", None),
    "a: &a {pt: [0, 1]}\nb:\n  <<: *a\n": ("an alias", None),
    "a: !!python/object/apply:os.mkdir executed\n": ("a condition like", 1),
    "a: !!python/name:os.system ''\n": ("a condition like", 1),
    "a: pt > 1\n\nb: mass > 2\n": ("one of the columns", 3),
    "a: pt > 1\nb: 2\n": ("a condition like", 2),
    "a: true\n": ("a condition like", 1),
    "a: pt\n": ("a condition like pt > 400", 1),
    "a: pt + 1\n": ("a condition like pt > 400", 1),
    "a: 3 > 1\n": ("an expression of columns", 1),
    "a:\nb: pt > 1\n": ("a condition like", 1),
    "'': pt > 1\n": ("no label", 1),
    "[a, b]: pt > 1\n": ("no label", 1),
    "a: pt > 1\nb: {pt: [2, 1]}\n": ("low < high", 2),
    "a: {pt: [1, 1]}\n": ("low < high", 1),
    "a: {pt: [1, 2, 3]}\n": ("low < high", 1),
    "a: {pt: 3}\n": ("low < high", 1),
    "a: {pt: ['1', 2]}\n": ("low < high", 1),
    "a: {pt: [.nan, 2]}\n": ("low < high", 1),
    "a: {pt: [one, 2]}\n": ("low < high", 1),
    "a: {}\n": ("at least one column", 1),
    "a: []\n": ("a condition like", 1),
    "a: [pt > 1, 3]\n": ("a condition like", 1),
    "a: [[pt > 1]]\n": ("a condition like", 1),
    "a: {mass: [0, 1]}\n": ("one of the columns", 1),
    "a: pt >\n": ("an expression like", 1),
    "a: pt.real > 1\n": ("an attribute", 1),
    "a: __import__('os').mkdir('executed') > pt\n": ("expected", 1),
    "a: pt and eta > 1\n": ("both sides of and", 1),
    "a: pt > 1 & eta < 1\n": ("compare it with a number", 1),
    "a: pt == 'muon'\n": ("nothing else is evaluated", 1),
    "a: pt > 400 and abs(eta) <<< 2.5\n": ("an expression like", 1),
    "x: pt > 1\n" * 2: ("different labels", None),
}


def test_every_bad_file_names_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for text, (words, line) in BAD.items():
        message = _error(Path("cuts.yaml"), text)
        place = "cuts.yaml" if line is None else f"cuts.yaml line {line}:"
        if words not in message or "\n" in message or not message.startswith(place):
            wrong.append((text, message))
    assert not wrong and not Path("executed").exists() and len(BAD) >= 40


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n  - pt > 1\n  - mass > 2\n", 3),
        ("a:\n  pt: [1, 2]\n  mass: [1, 2]\n", 3),
        ("a: pt > 1\nb: pt > 2\na: pt > 3\n", 3),
        ("a: pt > 1\nb: \x07", 2),
    ],
)
def test_the_line_is_that_of_the_fault(text, line, tmp_path):
    assert f"line {line}" in _error(tmp_path / "cuts.yaml", text)


def test_a_quoted_name_may_come_first(tmp_path):
    """Units are kept in names, and errors ask for backticks: this is the first thing a user
    writes.
    """
    try:
        assert _read(tmp_path / "cuts.yaml", "heavy: `m [GeV]` > 2\n").labels == ("heavy",)
    except InputError as error:
        assert "quotes" in str(error)


def test_json_may_have_tabs(tmp_path):
    text = json.dumps({"a": {"pt": [0, 1]}}, indent="\t")
    assert _read(tmp_path / "cuts.json", text).labels == ("a",)


def test_deep_nesting_is_refused_at_once(tmp_path, monkeypatch):
    """At the fifth bracket: no tree is built, and what follows is not looked at."""
    looked_at = []

    def parse(*arguments):
        for event in parse_yaml(*arguments):
            looked_at.append(event)
            yield event

    parse_yaml = yaml.parse
    monkeypatch.setattr(yaml, "parse", parse)
    monkeypatch.setattr(yaml, "compose", None)
    with pytest.raises(InputError, match="lists in lists"):
        _read(tmp_path / "cuts.yaml", "a: " + "[" * 1200)
    assert len(looked_at) < 20  # by either reader


def test_a_file_of_too_many_regions_is_refused_at_once(tmp_path):
    """Seventy thousand conditions took minutes before a single event was read."""
    text = "".join(f"{i}: x>1\n" for i in range(10_001))
    with pytest.raises(InputError, match="at most 10000 regions, got 10001"):
        _read(tmp_path / "cuts.yaml", text)


def test_bombs_are_refused(tmp_path):
    aliases = "a: &a ['pt > 1']\n"
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        aliases += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for text in (
        aliases,
        "- " * 3000,
        "{" * 300,
        "a: [" * 200,
        "? " * 500,
        "a: " + "-" * 1900 + "pt > 1",
        "a: '" + "(" * 199 + "pt" + ")" * 199 + " > ",
        "#" * (1 << 20) + "\n",
    ):
        with pytest.raises(InputError):
            _read(tmp_path / "cuts.yaml", text)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(max_size=60)
    | st.text(alphabet="abpteta:{}[]-&*!?|>#%@'\"\\ \n\t,0123456789.<=()null", max_size=80)
    | st.binary(max_size=40)
)
def test_random_text_raises_nothing_else(tmp_path, text):
    path = tmp_path / "cuts.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf8", "surrogatepass"))
    try:
        cuts = read_cuts(path)
        columns_of(cuts, NAMES)
        as_regions(cuts, NAMES).contains(_events(5))
    except AmplifyError as error:
        assert str(error)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8), st.lists, max_leaves=5
        ),
        max_size=3,
    )
)
def test_random_json_raises_nothing_else(tmp_path, value):
    try:
        _read(tmp_path / "cuts.json", json.dumps(value))
    except AmplifyError as error:
        assert str(error)


@pytest.mark.parametrize("command", ["averaging", "differential"])
def test_cuts_from_a_pipe_are_those_of_a_file(command, tmp_path, monkeypatch, no_page):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for m in range(2):
        np.savez(f"m{m}.npz", pt=rng.normal(size=2000), eta=rng.normal(size=2000))
    Path("cuts.yaml").write_text("tail: pt > .5 and abs(eta) < 1\n")
    samples = {
        "averaging": "--members m0.npz m1.npz",
        "differential": "--generated m0.npz --holdout m1.npz --summary column:pt",
    }
    given = [*samples[command].split(), "--n-train", "500"]
    estimates = []
    for i, source in enumerate(("cuts.yaml", "-")):
        monkeypatch.setattr("sys.stdin", io.StringIO(Path("cuts.yaml").read_text()))
        main([command, *given, "--regions", source, "--out", f"run{i}"])
        estimates.append(json.loads(Path(f"run{i}/results.json").read_text())["estimates"])
    of_file, of_pipe = estimates
    assert of_file == of_pipe and of_file[-1]["region"] == "tail"
    if command == "averaging":
        with np.load("m0.npz") as a, np.load("m1.npz") as b:
            shares = [((f["pt"] > 0.5) & (np.abs(f["eta"]) < 1)).mean() for f in (a, b)]
        assert of_file[0]["integral"] == pytest.approx(np.mean(shares), abs=1e-12)
