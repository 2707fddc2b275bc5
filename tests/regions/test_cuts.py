"""A user's file of cuts, and the regions it makes: against the text, brute force and NumPy."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from amplify import regions
from amplify.cli import main
from amplify.errors import AmplifyError, InputError
from amplify.estimators.pooled import pooled_amplification
from amplify.regions.cuts import as_regions, columns_of, read_cuts
from amplify.types import Status

NAMES = ["pt", "eta", "m [GeV]"]


def _events(n=500, seed=0):
    rng = np.random.default_rng(seed)
    x = np.stack(
        [rng.exponential(300, n), rng.normal(0, 2, n), rng.integers(0, 5, n).astype(float)], axis=1
    )
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
    found = _read(tmp_path / "cuts.yaml", GOOD)
    assert list(found.labels) == list(expected)
    np.testing.assert_array_equal(found.contains(x), np.stack(list(expected.values()), axis=1))
    np.testing.assert_array_equal(
        found.contains(x.astype(np.float32)),
        found.contains(x.astype(np.float32).astype(np.float64)),
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
        found = _read(
            tmp_path / "cuts.json", json.dumps(text, indent=indent, ensure_ascii=ascii_only)
        )
        assert found.labels == ("tail", "box", "both", "µ")
        np.testing.assert_array_equal(
            found.contains(x)[:, 1], (x[:, 0] >= 1e-3) & (x[:, 0] < 100) & (x[:, 1] < -0.15)
        )


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
        if (
            words not in message
            or "\n" in message
            or not message.startswith("cuts.yaml")
            or (line is not None and f"cuts.yaml line {line}:" not in message)
        ):
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
    assert _read(tmp_path / "cuts.json", json.dumps({"a": {"pt": [0, 1]}}, indent="\t")).labels == (
        "a",
    )


def test_deep_nesting_is_refused_at_once(tmp_path):
    begin = time.perf_counter()
    with pytest.raises(InputError):
        _read(tmp_path / "cuts.yaml", "a: " + "[" * 1200)
    assert time.perf_counter() - begin < 0.15


def test_bombs_are_refused(tmp_path):
    aliases = "a: &a ['pt > 1']\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
    )
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
def test_cuts_from_a_pipe_are_those_of_a_file(command, tmp_path, monkeypatch):
    import io

    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for m in range(3):
        np.savez(f"m{m}.npz", pt=rng.normal(size=2000), eta=rng.normal(size=2000))
    Path("cuts.yaml").write_text("tail: pt > .5 and abs(eta) < 1\n")
    given = (
        ["--members", "m0.npz", "m1.npz"]
        if command == "averaging"
        else ["--generated", "m0.npz", "--holdout", "m1.npz", "--summary", "column:pt"]
    )
    found = []
    for i, source in enumerate(("cuts.yaml", "-")):
        monkeypatch.setattr("sys.stdin", io.StringIO(Path("cuts.yaml").read_text()))
        main([command, *given, "--n-train", "500", "--regions", source, "--out", f"run{i}"])
        found.append(json.loads(Path(f"run{i}/results.json").read_text())["estimates"])
    assert found[0] == found[1] and found[0][-1]["region"] == "tail"
    if command == "averaging":
        with np.load("m0.npz") as a, np.load("m1.npz") as b:
            shares = [((f["pt"] > 0.5) & (np.abs(f["eta"]) < 1)).mean() for f in (a, b)]
        assert found[0][0]["integral"] == pytest.approx(np.mean(shares), abs=1e-12)


# regions against brute force


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_counted_as_by_hand(seed, dtype):
    """Overlapping, touching, infinite intervals; values at their ends; weights of either sign."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=300), rng.integers(-3, 4, 100), [np.inf, -np.inf]]).astype(
        dtype
    )[:, None]
    ends = np.sort(
        rng.choice(
            np.concatenate(
                [rng.normal(size=20), rng.integers(-3, 4, 20), x[:9, 0], [-np.inf, np.inf]]
            ),
            (30, 2),
        ),
        axis=1,
    )
    low, high = ends[ends[:, 0] < ends[:, 1]].T
    found = regions.intervals(regions.column(0), low, high, "x")
    w = rng.normal(size=len(x))
    table = np.array([[low[r] <= float(v) < high[r] for r in range(len(low))] for v in x[:, 0]])
    np.testing.assert_array_equal(found.contains(x), table)
    sums, weighted = regions.count(found, x), regions.count(found, x, w)
    np.testing.assert_array_equal(sums.n_inside, table.sum(axis=0))
    np.testing.assert_array_equal(weighted.n_inside, table.sum(axis=0))
    np.testing.assert_allclose(weighted.weight_inside, w @ table, atol=1e-12)
    np.testing.assert_allclose(weighted.square_inside, w**2 @ table, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_cells_are_counted_as_by_hand(seed, dtype):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=(200, 2)), rng.integers(-2, 3, (60, 2))]).astype(dtype)
    edges = [
        np.array([-np.inf, -1, float(x[3, 0]), 1.7, np.inf]),
        np.unique([-2, 0, float(x[5, 1]), 2]),
    ]
    found = regions.cells(regions.column(0), regions.column(1), edges, ("a", "b"))
    w = rng.normal(size=len(x))
    table = np.array(
        [
            [
                e[i] <= float(u) < e[i + 1] and f[j] <= float(v) < f[j + 1]
                for e, f in [edges]
                for i in range(len(e) - 1)
                for j in range(len(f) - 1)
            ]
            for u, v in x
        ]
    )
    assert len(found.labels) == table.shape[1]
    np.testing.assert_array_equal(found.contains(x), table)
    np.testing.assert_array_equal(regions.count(found, x).n_inside, table.sum(axis=0))
    np.testing.assert_allclose(regions.count(found, x, w).weight_inside, w @ table, atol=1e-12)


@pytest.mark.parametrize("weights", ["none", "uniform", "integer", "many zeros"])
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("n", [1, 7, 100, 1001])
def test_quantile_edges_are_those_of_numpy(n, discrete, weights):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 6, n).astype(float) if discrete else rng.normal(size=n)
    w = {
        "none": None,
        "uniform": rng.uniform(0.1, 1, n),
        "integer": rng.integers(1, 4, n),
        "many zeros": (rng.random(n) < 0.3) + (np.arange(n) == 0),
    }[weights]
    for bins in (2, 3, 10, 50):
        shares = (
            np.arange(1, bins) / bins - 1e-12
        )  # .14 * 100 is more than 14 in floating point, and NumPy then takes the next event
        inner = np.unique(np.quantile(x, shares, method="inverted_cdf", weights=w))
        expected = [-np.inf, *inner[inner > x.min()], np.inf]
        np.testing.assert_array_equal(regions.quantile_edges(x, w, bins), expected)


def test_integer_weights_give_the_edges_of_repeated_events():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=400), rng.integers(0, 5, 400)
    for bins in (2, 10, 77):
        np.testing.assert_array_equal(
            regions.quantile_edges(x, w, bins), regions.quantile_edges(np.repeat(x, w), None, bins)
        )


# the amplification of a whole binning


def _members(rng, members, count, kind):
    """Shares of bins that scatter as those of 1000 events do: all by themselves, or by a mean and a
    width that are fitted.
    """
    if kind == "flat":
        return rng.multinomial(1000, [1 / count] * count, size=members) / 1000
    edges = norm.ppf(np.linspace(0, 1, count + 1))
    mean, width = (
        rng.normal(size=(members, 1)) / np.sqrt(1000),
        1 + rng.normal(size=(members, 1)) / np.sqrt(2000),
    )
    return np.diff(norm.cdf((edges - mean) / width), axis=1)


@pytest.mark.parametrize(
    ("kind", "count", "members", "low", "high"),
    [
        ("fit", 10, 8, 0.58, 0.79),
        ("fit", 10, 16, 0.57, 0.78),
        ("flat", 2, 8, 0.58, 0.79),
        ("flat", 10, 8, 0.70, 0.92),
    ],
)
def test_pooled_amplification_covers(kind, count, members, low, high, x64):
    """68 % intervals in 200 experiments, binomial error .033. Stated are 67 % where few modes move
    all regions, and more where many move alone.

    In 1000 experiments with another seed they cover .69, .67, .69 and .82. The bounds lie 3.2
    errors from these: one seed in 700 would fail, of four tests one in 180. The seed is fixed, so
    the alarm is a change of the code.
    """
    rng = np.random.default_rng(7)
    big = _members(np.random.default_rng(8), 20_000, count, kind)
    mean = big.mean(axis=0)
    truth = (mean * (1 - mean)).sum() / big.var(axis=0).sum() / 1000
    held = 0
    for _ in range(200):
        factor, status = pooled_amplification(_members(rng, members, count, kind), n_train=1000)
        held += float(factor.low) <= truth <= float(factor.high)
        assert status is Status.RESOLVED
    assert low <= held / 200 <= high
