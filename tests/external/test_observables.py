"""Columns that a user's function makes: the numbers of the function, or one line."""

import hashlib
import json

import numpy as np
import pytest

import amplify
from amplify.cli import main
from amplify.errors import InputError
from amplify.external import observed
from amplify.external.observables import observables_of
from amplify.external.observed import with_observables
from amplify.tables import files
from amplify.tables.table import Array, Jagged, Table

CODE = """
import numpy as np
from helper_beside import factor

calls = []


def good(events):
    calls.append(events["x"].shape[0])
    return {"total": events["x"].sum(axis=(1, 2)), "first": factor * events["x"][:, 0, 0]}


def jagged(events):
    values, count = events["pt"]
    event = np.repeat(np.arange(len(count)), count)
    return {"n": count, "ht": np.bincount(event, values, len(count))}


def one(events):
    return {"a": events["x"].mean()}


def table(events):
    return events["x"].sum(axis=2)


def column(events):
    return {"a": events["x"].sum(axis=(1, 2))[:, None]}


def words(events):
    return {"a": ["high"] * len(events["x"])}


def unknown(events):
    return {"a": events["y"].sum(axis=1)}


def fails(events):
    x = events["x"]
    return {"a": x[:, 99]}


def leaves(events):
    raise SystemExit("done")


def batch(events):
    return {"a": events["x"][:, 0, 0] / events["x"].mean()}


def chance(events):
    return {"a": events["x"][:, 0, 0] + np.random.default_rng().normal(size=len(events["x"]))}


def taken(events):
    return {"x": events["x"][:, 0, 0]}


def empty(events):
    return {}


def other_names(events):
    x = events["x"]
    return {"a": x[:, 0, 0]} if len(x) <= 256 else {"b": x[:, 0, 0]}


def changes(events):
    x = events["x"]
    x[x < 0] = 0
    return {"a": x.sum(axis=(1, 2)), "b": events["w"]}


seven = 7
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "helper_beside.py").write_text("factor = 2\n")
    rng = np.random.default_rng(1)
    for name, n in (("gen_0", 3000), ("gen_1", 3000), ("test", 2000), ("train", 1000)):
        np.savez(name, x=rng.normal(size=(n, 3, 2)).astype(np.float32), w=rng.uniform(1, 2, n))
    return tmp_path


def _loaded(name, columns, source="gen_0.npz"):
    table = with_observables(files.open_sample(source), observables_of(f"mine.py:{name}"))
    return files.load(files.select(table, columns)).x


def test_they_are_columns_like_others(here):
    x = np.load("gen_0.npz")["x"].astype(np.float64)
    loaded = _loaded("good", ["first", "t=log(abs(total))", "x[1,1]", "sum(x) - total"])
    np.testing.assert_allclose(loaded[:, 0], 2 * x[:, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(loaded[:, 1], np.log(abs(x.sum(axis=(1, 2)))), rtol=1e-3)
    np.testing.assert_array_equal(loaded[:, 2], x[:, 1, 1])
    assert np.abs(loaded[:, 3]).max() < 1e-5


def test_every_event_goes_through_once_but_for_the_first(here, monkeypatch):
    """Whatever the batches, and however often a sample is read."""
    monkeypatch.setattr(observed, "_NUMBERS", 5000)
    made = observables_of("mine.py:good")
    table = with_observables(files.open_sample("gen_0.npz"), made)
    selection = files.select(table, ["total"])
    rows = [files.load(selection, start=a, stop=b).x for a, b in ((500, 700), (0, 3000), (0, 9))]
    np.testing.assert_array_equal(rows[0], rows[1][500:700])
    np.testing.assert_array_equal(rows[2], rows[1][:9])
    calls = made.function.__globals__["calls"]
    assert calls[:3] == [256, 256, 128] and max(calls) < 1000
    assert sum(calls[3:]) <= 3000 + 200
    monkeypatch.setattr(observed, "_KEPT", 0)
    again = with_observables(files.open_sample("gen_0.npz"), made)
    np.testing.assert_array_equal(files.load(files.select(again, ["total"])).x, rows[1])


def test_flat_columns_are_the_array_that_they_were(here):
    """A generator writes x[0,0], x[0,1], ... where it was trained on the elements of x."""
    x = np.load("gen_0.npz")["x"]
    names = [f"x[{i},{j}]" for i in range(3) for j in range(2)]
    np.save("flat.npy", np.rec.fromarrays(x.reshape(-1, 6).T, names=names))
    np.testing.assert_array_equal(
        _loaded("good", ["first"], "flat.npy"), _loaded("good", ["first"])
    )


def test_jagged_arrays_are_values_and_counts(here):
    count = np.array([0, 3, 1, 2])
    pt = np.arange(6.0)
    table = Table(
        "events",
        (),
        (),
        4,
        lambda a, b, names: [Jagged(pt[count[:a].sum() : count[:b].sum()], count[a:b])],
        (),
        arrays={"pt": Array((None,), pt.dtype)},
        refused={"pt": "jagged"},
    )
    with_them = with_observables(table, observables_of("mine.py:jagged"))
    loaded = files.load(files.select(with_them, ["n", "ht", "ht - sum(pt)"])).x
    np.testing.assert_array_equal(loaded.T, [[0, 3, 1, 2], [0, 3, 3, 9], [0, 0, 0, 0]])


def test_what_the_function_writes_to_is_its_own(here):
    before = np.load("gen_0.npz")["x"].sum()
    events = {"x": np.load("gen_0.npz")["x"], "w": np.load("gen_0.npz")["w"]}
    loaded = _loaded("changes", ["a", "sum(x)"])
    assert loaded[:, 0].sum() > loaded[:, 1].sum() == pytest.approx(before, rel=1e-4)
    assert events["x"].min() < 0


WRONG = {
    "one": "expected 256 numbers of a for 256 events, got float32 of shape ()",
    "table": "got a ndarray; return",
    "column": "got float32 of shape (256, 1)",
    "words": "numbers of a for 256 events, got <U4",
    "unknown": "no y; there are x, w' (mine.py line 36)",
    "fails": "IndexError: index 99 is out of bounds for axis 1 with size 3 (mine.py line 41)",
    "leaves": "SystemExit: done (mine.py line 45)",
    "batch": "others for a in a batch of fewer events",
    "chance": "others for a in a second call",
    "taken": "x, which the sample has",
    "empty": "got an empty one",
    "seven": "a function of mine.py, got a int; name one of",
    "missing": "got no missing in it; name one of good, jagged",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(here, name):
    with pytest.raises(InputError) as caught:
        _loaded(name, ["a"])
    assert WRONG[name] in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"observables mine.py:{name}: expected")


def test_names_are_the_same_in_every_batch(here):
    with pytest.raises(InputError, match="difference in a, b; give the same names"):
        _loaded("other_names", ["a"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mine.py", "write mine.py:NAME"),
        ("mine.py:", "write mine.py:NAME"),
        ("nowhere.py:good", "no file nowhere.py"),
        ("broken.py:good", "SyntaxError"),
        ("raises.py:good", "ZeroDivisionError: division by zero (raises.py line 2)"),
        ("no_such_module:good", "no module no_such_module"),
        ("json:no_such", "no no_such in it"),
        ("json", "package.module:function"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(here, given, words):
    (here / "broken.py").write_text("def good(:\n")
    (here / "raises.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(InputError) as caught:
        observables_of(given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_both_commands_and_calls_know_them(here, no_page):
    """Holdout and training events have them too, cuts and weights may be made of them, and the file
    is in the settings with its digest.
    """
    (here / "cuts.yaml").write_text("right: first > 0 and not any(x > 3)\n")
    common = ["--holdout", "test.npz", "--n-train", "1000", "--observables", "mine.py:good"]
    more = ["--regions", "cuts.yaml", "--train", "train.npz", "--weight-column", "1 + total**2"]
    main(["averaging", "--members", "gen_0.npz", "gen_1.npz", *common, *more, "--out", "a"])
    summary = ["--summary", "column:total"]
    main(["differential", "--generated", "gen_0.npz", *common, *more[:2], *summary, "--out", "d"])
    digest = hashlib.sha256(CODE.encode()).hexdigest()
    for run in ("a", "d"):
        results = json.loads((here / run / "results.json").read_text())
        assert results["settings"]["columns"] == ["total", "first"]
        assert results["settings"]["observables"] == {
            "function": "../mine.py:good",  # beside the folder of the results
            "sha256": digest,
        }
    shares = []
    for m in range(2):
        x = np.load(f"gen_{m}.npz")["x"].astype(np.float64)
        weight = 1 + x.sum(axis=(1, 2)) ** 2
        inside = (x[:, 0, 0] > 0) & ~(x > 3).any(axis=(1, 2))
        shares.append(weight @ inside / weight.sum())
    results = json.loads((here / "a" / "results.json").read_text())
    assert results["estimates"][0]["integral"] == pytest.approx(np.mean(shares), rel=1e-5)

    def shares_of(events):
        return {"t": events["x"][:, 1, 1]}

    made = amplify.differential(
        "gen_0.npz", "test.npz", n_train=1000, summary="column:t", observables=shares_of
    )
    assert made.settings["columns"] == ["t"]
    assert "test_both_commands" in made.settings["observables"]["function"]


def test_a_weight_that_nobody_named_is_warned_about(here):
    np.savez("w0.npz", x=np.load("gen_0.npz")["x"], genWeight=np.load("gen_0.npz")["w"])
    np.savez("w1.npz", x=np.load("gen_1.npz")["x"], genWeight=np.load("gen_1.npz")["w"])
    result = amplify.averaging(["w0.npz", "w1.npz"], n_train=1000, observables="mine.py:good")
    assert any("genWeight looks like weights" in warning for warning in result.warnings)
    assert result.settings["columns_ignored"] == {"genWeight": "weight by its name"}


def test_what_a_function_prints_is_no_result(here, no_page, capsys):
    (here / "talks.py").write_text(
        "def f(events):\n    print('hello')\n    return {'a': events['x'][:, 0, 0]}\n"
    )
    words = ["--n-train", "1000", "--observables", "talks.py:f", "--json", "-", "--out", "t"]
    main(["averaging", "--members", "gen_0.npz", "gen_1.npz", *words])
    said = capsys.readouterr()
    assert json.loads(said.out)["settings"]["columns"] == ["a"] and "hello" in said.err
