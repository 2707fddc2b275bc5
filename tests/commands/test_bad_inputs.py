"""Everything that can be wrong with an input, met as a user meets it: one line, what to do, exit
code 2, and nothing written.
"""

import contextlib
import io
import json
import os
import pickle
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amplify.analysis import averaging
from amplify.cli import main
from amplify.errors import AmplifyError, InputError
from amplify.tables import files
from tests.commands.differential_files import fails

N = 600


class _Trap:
    def __reduce__(self):
        return (open, ("executed", "w"))


def _tree(path, name="Events", **columns):
    with uproot.recreate(path) as file:
        file.mktree(name, {key: values.dtype for key, values in columns.items()})
        file[name].extend(columns)


def _header(text, version=b"\x01\x00", end=b""):
    text = text.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + end


def _middle(path, to, size=40):
    """The same file with some bytes in its middle overwritten."""
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2 : len(data) // 2 + size] = b"\xa5" * size
    Path(to).write_bytes(data)


def _write_all():
    rng = np.random.default_rng(41)
    x = rng.normal(size=(N, 2))
    columns = {"x0": x[:, 0], "x1": x[:, 1]}
    for name in ("a", "b", "holdout"):
        np.save(f"{name}.npy", rng.normal(size=(N, 2)))
        _tree(f"{name}.root", x0=rng.normal(size=N), x1=rng.normal(size=N))
        pq.write_table(
            pa.table({"x0": rng.normal(size=N), "x1": rng.normal(size=N), "w": np.ones(N)}),
            f"{name}.parquet",
        )
    pq.write_table(pa.table(columns), "ab.parquet", use_dictionary=False)
    pq.write_table(
        pa.table(columns), "checked.parquet", use_dictionary=False, write_page_checksum=True
    )
    # broken
    np.savez("good.npz", x0=x[:, 0], x1=x[:, 1])
    np.savez_compressed("packed.npz", x0=x[:, 0], x1=x[:, 1])
    with h5py.File("good.h5", "w") as file:
        file["events"] = x
    with h5py.File("checked.h5", "w") as file:
        file.create_dataset("events", data=x, chunks=(N, 2), fletcher32=True)
    for suffix, source in (
        (".npy", "a.npy"),
        (".npz", "good.npz"),
        (".h5", "good.h5"),
        (".parquet", "a.parquet"),
        (".root", "a.root"),
    ):
        data = Path(source).read_bytes()
        Path("truncated" + suffix).write_bytes(data[: len(data) // 2])
        Path("nothing" + suffix).touch()
        Path("words" + suffix).write_text("pt,eta\n1,2\n" * 50)
    Path("short_head.npy").write_bytes(Path("a.npy").read_bytes()[:40])
    for source in ("good.npz", "packed.npz", "checked.h5", "checked.parquet"):
        _middle(source, "middle_" + source)
    with uproot.open("a.root:Events") as tree:
        place = int(tree["x1"].member("fBasketSeek")[0]) + 200
    data = bytearray(Path("a.root").read_bytes())
    data[place : place + 40] = b"\xa5" * 40
    Path("middle_a.root").write_bytes(data)
    # heads of .npy that lie
    Path("claims.npy").write_bytes(
        _header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2)}")
    )
    Path("negative.npy").write_bytes(
        _header("{'descr': '<f8', 'fortran_order': False, 'shape': (-4, 2)}", end=bytes(64))
    )
    Path("wraps.npy").write_bytes(
        _header(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
            end=bytes(64),
        )
    )
    Path("no_shape.npy").write_bytes(
        _header("{'descr': '<f8', 'fortran_order': False}", end=bytes(64))
    )
    Path("version.npy").write_bytes(_header("{}", version=b"\x09\x00", end=bytes(64)))
    Path("code.npy").write_bytes(_header("__import__('os').mkdir('executed')", end=bytes(64)))
    # wrong types and shapes
    np.save("pickle.npy", np.array([_Trap()], dtype=object), allow_pickle=True)
    np.savez("pickle.npz", x0=np.array([_Trap()], dtype=object))
    Path("bare_pickle.npy").write_bytes(pickle.dumps(_Trap()))
    np.save("complex.npy", x.astype(complex))
    np.save("text.npy", np.array([["a", "b"]] * N))
    np.save("dates.npy", np.zeros((N, 2), "datetime64[s]"))
    np.save("cube.npy", np.zeros((N, 2, 2)))
    np.save("scalar.npy", np.float64(3))
    np.save("no_rows.npy", x[:0])
    np.save("no_columns.npy", x[:, :0])
    np.save("narrow.npy", x[:, :1])
    np.savez("uneven.npz", x0=x[:, 0], x1=x[1:, 1])
    np.savez("empty_archive.npz")
    with zipfile.ZipFile("not_arrays.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with h5py.File("two.h5", "w") as file:
        file["a/gen"], file["a/true"], file["scalar"] = x, x, 3.0
        file["link"] = h5py.ExternalLink("elsewhere.h5", "/x")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file.create_dataset("null", data=h5py.Empty("f8"))
        file["words"] = np.array([b"a"] * N)
    pq.write_table(
        pa.table({"Jet_pt": [[1.0], []] * (N // 2), "name": ["a"] * N}), "jagged_only.parquet"
    )
    pq.write_table(
        pa.table(
            {"x0": x[:, 0], "x1": x[:, 1], "Jet_pt": [[1.0], []] * (N // 2), "name": ["a"] * N}
        ),
        "jagged.parquet",
    )
    pq.write_table(pa.table({"x0": x[:0, 0]}), "no_rows.parquet")
    pq.write_table(
        pa.table([pa.array(x[:, 0]), pa.array(x[:, 1])], names=["x0", "x0"]), "twins.parquet"
    )
    pq.write_table(pa.table({"x0": pa.array([None, *x[1:, 0]]), "x1": x[:, 1]}), "null.parquet")
    with uproot.recreate("two_trees.root") as file:
        for name in ("Events", "Runs"):
            file.mktree(name, {"x0": "f8"})
            file[name].extend({"x0": x[:, 0]})
    with uproot.recreate("histogram.root") as file:
        file["h"] = np.histogram(x[:, 0])
    # values
    nan = x.copy()
    nan[321, 1] = np.nan
    np.save("nan.npy", nan)
    np.save("all_nan.npy", np.full((N, 2), np.nan))
    np.save("constant.npy", np.ones((N, 2)))
    for name, w in (
        ("zero", np.zeros(N)),
        ("negative", np.full(N, -1.0)),
        ("nan", np.where(np.arange(N) == 17, np.nan, 1.0)),
        ("text", np.array(["1"] * N)),
    ):
        for m in "ab":
            np.savez(f"weight_{name}_{m}.npz", x0=rng.normal(size=N), x1=rng.normal(size=N), w=w)
    np.savez("weight_one.npz", x0=rng.normal(size=N), x1=rng.normal(size=N), w=np.ones(N))
    for name in ("y0", "x0"):
        np.savez(f"named_{name}.npz", **{name: x[:, 0]})
    Path("folder.npy").mkdir()
    Path("folder").mkdir()
    Path("loop.npy").symlink_to("loop.npy")
    Path("dangling.npy").symlink_to("nowhere.npy")
    os.mkfifo("pipe.npy")
    Path("table.csv").write_text("x0,x1\n1,2\n")
    Path("bare").write_bytes(Path("a.npy").read_bytes())
    Path("old").mkdir()
    Path("old/results.json").write_text("precious")
    for name, text in CUTS.items():
        Path(f"{name}.yaml").write_text(text)


CUTS = {
    "unknown": "a: x0 > 1\n\nb: pt > 2\n",
    "broken": "a: x0 > 1\nb: [x0 > 1\nc: x0 > 2\n",
    "alias": "a: &a [x0 > 1]\nb: *a\n",
    "code": "a: open('executed', 'w') > x0\n",
    "tag": "a: !!python/object/apply:os.mkdir executed\n",
    "far": "far: x0 > 1e9\n",
    "empty": "",
    "reversed": "a: {x0: [2, 1]}\n",
    "good": "a: x0 > 0\n",
    "minus": "a: (x0 > 0) - (x1 > 0) > 0\n",
}

_N = ["--n-train", "100"]
_TWO = ["averaging", "--members", "a.npy", "b.npy", *_N]
_DIFF = ["differential", "--generated", "a.npy", "--holdout", "holdout.npy", *_N]
_WEIGHT = ["--weight-column", "w"]

# a third member that is wrong: words of the error
MEMBERS = {
    "truncated.npy": "truncated",
    "truncated.npz": "not a zip",
    "truncated.h5": "truncated",
    "truncated.parquet": "footer",
    "truncated.root": "readable .root",
    "nothing.npy": "numpy.save",
    "nothing.npz": "not a zip",
    "nothing.h5": "signature",
    "nothing.parquet": "0 bytes",
    "nothing.root": "readable .root",
    "words.npy": "numpy.save",
    "words.npz": "not a zip",
    "words.h5": "signature",
    "words.parquet": "not a parquet",
    "words.root": "not a ROOT file",
    "short_head.npy": "the head of",
    "claims.npy": "16000000000000 bytes",
    "negative.npy": "shape (-4, 2)",
    "wraps.npy": "truncated",
    "no_shape.npy": "the head of",
    "version.npy": "the head of",
    "code.npy": "the head of",
    "middle_good.npz": "CRC",
    "middle_packed.npz": "middle_packed.npz",
    "middle_checked.h5": "filter",
    "middle_a.root": "middle_a.root",
    "pickle.npy": "pickled objects",
    "pickle.npz": "pickled objects",
    "bare_pickle.npy": "numpy.save",
    "complex.npy": "complex128",
    "text.npy": "<U1",
    "dates.npy": "datetime64",
    "cube.npy": "shape (600, 2, 2)",
    "scalar.npy": "shape ()",
    "no_rows.npy": "at least one event",
    "no_columns.npy": "at least one event",
    "narrow.npy": "same columns",
    "uneven.npz": "(599,)",
    "empty_archive.npz": "none",
    "not_arrays.npz": "readme.txt",
    "two.h5:a": "pick one",
    "two.h5:b": "a/gen, a/true",
    "two.h5:scalar": "shape ()",
    "two.h5:link": "two.h5:link",
    "two.h5:dangling": "two.h5:dangling",
    "two.h5:null": "two.h5:null",
    "two.h5:words": "|S1",
    "two.h5:a/gen/deeper": "a/gen, a/true",
    "no_rows.parquet": "at least one event",
    "twins.parquet": "x0",
    "null.parquet": "nan in row 0, column x0",
    "two_trees.root": "Events, Runs",
    "two_trees.root:Muons": "Events, Runs",
    "histogram.root": "one tree",
    "nan.npy": "nan in row 321, column x1; repair",
    "all_nan.npy": "and 599 more such events",
    "folder.npy": "a directory",
    "folder": "a directory",
    "loop.npy": "no such file",
    "dangling.npy": "no such file",
    "pipe.npy": "a pipe",
    "table.csv": ".parquet",
    "bare": ".parquet",
    "missing.npy": "no such file",
    "no_*_such.npy": "files that match",
    "a.npy:inside": "one array",
    "a.parquet:inside": "one table",
    "good.npz:x7": "x0, x1",
    "nul\0byte.npy": "no such file",
    "x" * 5000 + ".npy": "too long",
}

# words of the error, and the call
CALLS = {
    "members: none": ("at least 2 files", ["averaging", *_N]),
    "members: one": ("at least 2 files", ["averaging", "--members", "a.npy", *_N]),
    "members: a number": ("at least 2 files", ["averaging", "--members", "8", *_N]),
    "members: twice": ("named twice", ["averaging", "--members", "a.npy", "./a.npy", *_N]),
    "members: jagged": ("jagged", ["averaging", "--members", "jagged.parquet", "ab.parquet", *_N]),
    "members: only jagged": (
        "jagged_only.parquet",
        ["averaging", "--members", "jagged_only.parquet", "ab.parquet", *_N],
    ),
    "jagged column": (
        "flat ones of jagged.parquet: x0, x1",
        ["averaging", "--members", "jagged.parquet", "ab.parquet", *_N, "--columns", "Jet_pt"],
    ),
    "jagged weight": (
        "jagged",
        [
            "averaging",
            "--members",
            "jagged.parquet",
            "ab.parquet",
            *_N,
            "--columns",
            "x0",
            "--weight-column",
            "Jet_pt",
        ],
    ),
    "text column": (
        "string",
        ["averaging", "--members", "jagged.parquet", "ab.parquet", *_N, "--columns", "name"],
    ),
    "n_train: nothing": ("--n-train", _TWO[:4]),
    "n_train: 0": ("at least 1", [*_TWO[:4], "--n-train", "0"]),
    "n_train: -1": ("at least 1", [*_DIFF[:5], "--n-train", "-1"]),
    "n_train: text": ("amplify averaging --help", [*_TWO[:4], "--n-train", "many"]),
    "level: 68": ("between 0 and 1", [*_TWO, "--level", "68"]),
    "level: nan": ("between 0 and 1", [*_DIFF, "--level", "nan"]),
    "fraction: 2": ("between 0 and 1", [*_DIFF, "--fraction", "2"]),
    "bins: 1": ("at least 2", [*_TWO, "--bins", "1"]),
    "bins: -3": ("at least 2", [*_DIFF, "--bins", "-3"]),
    "bins: too many": ("fewer bins", [*_DIFF, "--bins", "601"]),
    "bins: of one value": (
        "fewer bins",
        ["averaging", "--members", "constant.npy", "b.npy", *_N, "--bins", "5"],
    ),
    "bins and regions": ("one of them", [*_DIFF, "--bins", "5", "--regions", "good.yaml"]),
    "weights: zero": (
        "positive sum",
        ["averaging", "--members", "weight_zero_a.npz", "weight_zero_b.npz", *_N, *_WEIGHT],
    ),
    "weights: negative": (
        "positive sum",
        ["averaging", "--members", "weight_negative_a.npz", "weight_negative_b.npz", *_N, *_WEIGHT],
    ),
    "weights: nan": (
        "nan in row 17, column w",
        ["averaging", "--members", "weight_nan_a.npz", "weight_nan_b.npz", *_N, *_WEIGHT],
    ),
    "weights: text": (
        "column w",
        ["averaging", "--members", "weight_text_a.npz", "weight_text_b.npz", *_N, *_WEIGHT],
    ),
    "weights: zero, generated": (
        "weight_zero_a.npz",
        [
            "differential",
            "--generated",
            "weight_zero_a.npz",
            "--holdout",
            "weight_one.npz",
            *_N,
            *_WEIGHT,
        ],
    ),
    "weights: zero, holdout": (
        "weight_zero_a.npz",
        [
            "differential",
            "--generated",
            "weight_one.npz",
            "--holdout",
            "weight_zero_a.npz",
            *_N,
            *_WEIGHT,
        ],
    ),
    "weights: nan, holdout": (
        "nan in row 17, column w",
        [
            "differential",
            "--generated",
            "weight_one.npz",
            "--holdout",
            "weight_nan_a.npz",
            *_N,
            *_WEIGHT,
        ],
    ),
    "weights: no such column": ("column w", [*_TWO, *_WEIGHT]),
    "weights: not finite": ("column log(x0)", [*_TWO, "--weight-column", "log(x0)"]),
    "weights: nothing else": (
        "none but the weight",
        ["averaging", "--members", "narrow.npy", "named_x0.npz", *_N, "--weight-column", "x0"],
    ),
    "column: unknown": ("one of x0, x1", [*_TWO, "--columns", "pt"]),
    "column: twice": ("x0 twice", [*_TWO, "--columns", "x0", "x0"]),
    "column: a condition": ("a condition", [*_TWO, "--columns", "x0 > 1"]),
    "column: empty": ("an expression", [*_TWO, "--columns", ""]),
    "column: only a name": ("an expression", [*_TWO, "--columns", "pt="]),
    "column: an attribute": ("an attribute", [*_TWO, "--columns", "x0.T"]),
    "column: code": ("nothing else can be called", [*_TWO, "--columns", "open('executed', 'w')"]),
    "column: not closed": ("never closed", [*_TWO, "--columns", "sqrt(x0"]),
    "column: not finite": ("column log(x0)", [*_TWO, "--columns", "log(x0)"]),
    "column: number": ("an expression of columns", [*_TWO, "--columns", "2 * 3"]),
    "summary: unknown column": ("one of x0, x1", [*_DIFF, "--summary", "column:pt"]),
    "summary: unknown": ("classifier", [*_DIFF, "--summary", "forest"]),
    "log_prob: unknown": ("column lp", [*_DIFF, "--log-prob-column", "lp"]),
    "map: unknown": ("--map", [*_TWO, "--map", "x0", "pt"]),
    "map: same": ("x0 twice", [*_TWO, "--map", "x0", "x0"]),
    "sample of files that differ": (
        "files of one sample",
        [
            "differential",
            "--generated",
            "named_x0.npz",
            "named_y0.npz",
            "--holdout",
            "holdout.npy",
            *_N,
        ],
    ),
    "holdout: other columns": (
        "narrow.npy",
        ["differential", "--generated", "a.npy", "--holdout", "narrow.npy", *_N],
    ),
    "holdout: truncated": ("truncated.npy", [*_TWO, "--holdout", "truncated.npy"]),
    "holdout: the generated events": (
        "different events",
        ["differential", "--generated", "a.npy", "--holdout", "a.npy", *_N],
    ),
    "train: missing": ("missing.npy", [*_DIFF, "--train", "missing.npy"]),
    "train: without a generator": ("--generator", [*_TWO, "--train", "a.npy"]),
    "regions: unknown column": ("unknown.yaml line 3", [*_TWO, "--regions", "unknown.yaml"]),
    "regions: broken": ("broken.yaml line 3", [*_DIFF, "--regions", "broken.yaml"]),
    "regions: alias": ("an alias", [*_TWO, "--regions", "alias.yaml"]),
    "regions: code": ("code.yaml line 1", [*_TWO, "--regions", "code.yaml"]),
    "regions: tag": ("tag.yaml line 1", [*_DIFF, "--regions", "tag.yaml"]),
    "regions: far": ("region far", [*_TWO, "--regions", "far.yaml"]),
    "regions: empty": ("an empty file", [*_TWO, "--regions", "empty.yaml"]),
    "regions: reversed": ("low < high", [*_DIFF, "--regions", "reversed.yaml"]),
    "regions: missing": ("no such file", [*_TWO, "--regions", "missing.yaml"]),
    "regions: a directory": ("a directory", [*_TWO, "--regions", "folder"]),
    "regions: the events": ("YAML or JSON", [*_TWO, "--regions", "a.npy"]),
    "out: a file": ("a file", [*_TWO, "--out", "a.npy"]),
    "out: below a file": ("a.npy", [*_TWO, "--out", "a.npy/run"]),
    "out: has results": ("nothing is overwritten", [*_DIFF, "--out", "old"]),
    "stdin: nothing": (
        "pipe a file",
        ["differential", "--generated", "-", "--holdout", "holdout.npy", *_N],
    ),
    "drop: nothing left": ("none", [*_TWO[:4], "all_nan.npy", *_N, "--drop-nonfinite"]),
    "an unknown option": ("--bin", [*_TWO, "--bin", "3"]),
    "no command": ("demo, averaging, differential", []),
}
CASES = {
    f"member {name[:40]!a}": (words, [*_TWO[:4], name, *_N]) for name, words in MEMBERS.items()
} | CALLS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory, before = tmp_path_factory.mktemp("bad"), Path.cwd()
    os.chdir(directory)
    _write_all()
    os.chdir(before)
    return directory


@pytest.fixture
def here(written, monkeypatch):
    """The directory with everything that is wrong; nothing may be new in it after a test."""
    monkeypatch.chdir(written)
    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    before = sorted(Path().iterdir())
    yield written
    assert (
        sorted(Path().iterdir()) == before
        and not Path("executed").exists()
        and Path("old/results.json").read_text() == "precious"
    )


def _fails(capsys, arguments):
    return fails(capsys, *arguments)


def test_there_are_enough_of_them():
    assert len(CASES) == len(MEMBERS) + len(CALLS) >= 100


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_that_says_what_to_do(case, here, capsys):
    words, arguments = CASES[case]
    line = _fails(capsys, arguments)
    assert words in line and "expected" in line and " got" in line, line
    assert (
        case in ("an unknown option", "no command", "n_train: text")
        or "; " in line.split(" got ", 1)[1]
    ), line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; see the next test")
def test_no_permission(here, capsys, tmp_path):
    np.save(tmp_path / "secret.npy", np.zeros((10, 2)))
    (tmp_path / "secret.npy").chmod(0)
    assert "permission" in _fails(capsys, [*_TWO[:4], str(tmp_path / "secret.npy"), *_N])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".parquet", ".root"])
def test_no_permission_as_the_system_says_it(suffix, here, capsys, monkeypatch):
    def denied(source, path, inside):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setitem(files._READERS, suffix, denied)
    good = {
        ".npy": "b.npy",
        ".npz": "good.npz",
        ".h5": "good.h5",
        ".parquet": "b.parquet",
        ".root": "b.root",
    }[suffix]
    line = _fails(
        capsys, ["averaging", "--members", "a.parquet" if suffix == ".npy" else "a.npy", good, *_N]
    )
    assert "no permission" in line and good in line


def test_no_permission_for_cuts_or_results(here, capsys, monkeypatch):
    def denied(self, *more, **settings):
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", denied)
        assert "good.yaml" in _fails(capsys, [*_TWO, "--regions", "good.yaml"])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", denied)
        assert "rights" in _fails(capsys, [*_DIFF, "--summary", "column:x0", "--out", "new/run"])


def test_nan_in_the_middle_of_chunk_7(here, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "CHUNK", 1000)
    x = np.random.default_rng(1).normal(size=(9000, 2))
    np.save(tmp_path / "fine.npy", x + 1)
    x[6500, 1] = np.nan
    np.save(tmp_path / "bad.npy", x)
    np.savez(tmp_path / "bad.npz", x0=x[:, 0], x1=x[:, 1])
    for name in ("bad.npy", "bad.npz"):
        assert "nan in row 6500, column x1" in _fails(
            capsys,
            ["averaging", "--members", str(tmp_path / "fine.npy"), str(tmp_path / name), *_N],
        )
        given = [
            "differential",
            "--generated",
            str(tmp_path / name),
            "--holdout",
            "holdout.npy",
            *_N,
        ]
        for summary in ("classifier", "column:x0"):
            assert "nan in row 6500, column x1" in _fails(capsys, [*given, "--summary", summary])


# any bytes


def _whole(path):
    table = files.open_table(str(path))
    try:
        return files.load(files.select(table))
    finally:
        table.close()


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.integers(-1, 4) | st.sampled_from([50, 10**6, 2**31, 2**63, 10**30]), max_size=4
    ).map(tuple),
    st.sampled_from(
        [
            "<f8",
            ">f4",
            "<f2",
            "|b1",
            "<i8",
            "|u1",
            "<U3",
            "|O",
            "<c16",
            "|V3",
            "<M8[s]",
            [("a", "<f8"), ("b", "<i4", (2,))],
            "nonsense",
            None,
            7,
        ]
    ),
    st.booleans(),
    st.binary(max_size=100),
)
def test_random_shapes_and_types(tmp_path, shape, kind, fortran, data):
    """What NumPy reads of it without pickles is what is read; the rest is one line."""
    if any(n > 50 for n in shape[1:]):
        shape = shape[:1]  # see test_a_head_that_claims_many_columns
    path = tmp_path / "random.npy"
    path.write_bytes(
        _header(
            f"{{'descr': {kind!r}, 'fortran_order': {fortran}, 'shape': {shape!r}}}", end=data * 4
        )
    )
    try:
        found = _whole(path).x
    except AmplifyError as error:
        assert "\n" not in str(error)
        return
    expected = np.load(path, allow_pickle=False)
    if expected.dtype.names is None:
        np.testing.assert_array_equal(found, expected.reshape(len(expected), -1).astype(np.float64))


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=3),
    st.floats(0, 1) | st.just(1.0),
    st.binary(max_size=20),
)
@pytest.mark.parametrize("name", ["a.npy", "good.npz", "good.h5", "ab.parquet", "a.root"])
def test_damaged_files(here, tmp_path, name, overwritten, kept, more):
    """Bytes overwritten, cut off and added anywhere."""
    data = bytearray((here / name).read_bytes())
    for place, noise in overwritten:
        start = int(place * len(data))
        data[start : start + len(noise)] = noise
    path = tmp_path / f"damaged{Path(name).suffix}"
    path.write_bytes(bytes(data[: int(kept * len(data))]) + more)
    with contextlib.suppress(AmplifyError):
        _whole(path)


# a dry run


@pytest.mark.parametrize("command", ["averaging", "differential"])
def test_a_dry_run_says_what_would_be_read_and_writes_nothing(command, here, capsys):
    given = [*(_TWO if command == "averaging" else _DIFF), "--regions", "good.yaml", "--dry-run"]
    main(given)
    captured = capsys.readouterr()
    assert (
        captured.out == ""
        and "a.npy: 600 events" in captured.err
        and " s" in captured.err
        and "\x1b" not in captured.err
        and "\r" not in captured.err
    )
    main([*given, "--json", "-"])
    plan = json.loads(capsys.readouterr().out)
    assert (
        [entry["events"] for entry in plan["inputs"]] == [600, 600]
        and plan["seconds"] >= 0
        and plan["dry_run"]
    )


def test_a_dry_run_finds_what_is_wrong(here, capsys):
    for words, arguments in (
        CASES["regions: unknown column"],
        CASES["column: unknown"],
        CASES["holdout: truncated"],
        CASES["out: has results"],
    ):
        assert words in _fails(capsys, [*arguments, "--dry-run"])


@pytest.mark.parametrize("command", ["averaging", "differential"])
def test_standard_output_is_json_and_nothing_else(command, here, capsys, tmp_path):
    given = _TWO if command == "averaging" else [*_DIFF, "--summary", "column:x0"]
    main([*given, "--json", "-", "--out", str(tmp_path / "run")])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads((tmp_path / "run" / "results.json").read_text())
    assert "\r" not in captured.err and "\x1b" not in captured.err  # no bars where nobody watches


# what was wrong once


def _no_traceback(arguments, capsys, tmp_path):
    """A line, or a result; an exception is neither."""
    with contextlib.suppress(SystemExit):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["averaging", "--members", "constant.npy", "constant.npy:", *_N],
        [*_DIFF, "--seed", "-1"],
        [*_TWO[:4], "--n-train", "1" + "0" * 20],
        [*_DIFF[:5], "--n-train", "1" + "0" * 400, "--summary", "column:x0"],
        [*_TWO, "--regions", "minus.yaml"],
        [*_TWO, "--columns", "-(x0 > 1)"],
    ],
    ids=[
        "all columns constant",
        "seed",
        "n_train of 10^20",
        "n_train of 10^400",
        "conditions subtracted",
        "condition negated",
    ],
)
def test_no_tracebacks(arguments, here, capsys, tmp_path):
    _no_traceback(arguments, capsys, tmp_path)


@pytest.mark.parametrize("case", ["holdout", "dry averaging", "dry differential"])
def test_drop_nonfinite_is_heard(case, here, tmp_path):
    given = {
        "holdout": [
            "differential",
            "--generated",
            "a.npy",
            "--holdout",
            "nan.npy",
            *_N,
            "--summary",
            "column:x0",
        ],
        "dry averaging": [*_TWO[:4], "nan.npy", *_N, "--dry-run"],
        "dry differential": [
            "differential",
            "--generated",
            "a.npy",
            "--holdout",
            "nan.npy",
            *_N,
            "--dry-run",
        ],
    }[case]
    main([*given, "--drop-nonfinite", "--out", str(tmp_path / "run")])


def test_dropped_training_events_are_told(here, tmp_path):
    main(
        [
            *_DIFF,
            "--summary",
            "column:x0",
            "--train",
            "nan.npy",
            "--drop-nonfinite",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    assert any(
        "not finite" in warning
        for warning in json.loads((tmp_path / "run" / "results.json").read_text())["warnings"]
    )


def test_the_first_bad_value_is_located_and_all_are_counted(here, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(averaging, "_EDGE_EVENTS", 2 * 640)
    x = np.random.default_rng(2).normal(size=(6400, 2))
    np.save(tmp_path / "fine.npy", x + 1)
    x[50, 0] = x[302, 1] = np.nan
    np.save(tmp_path / "bad.npy", x)
    line = _fails(
        capsys,
        ["averaging", "--members", str(tmp_path / "fine.npy"), str(tmp_path / "bad.npy"), *_N],
    )
    assert "row 50, column x0" in line and "and 1 more" in line


def test_a_parquet_file_with_checksums_is_verified(here):
    with pytest.raises(InputError):
        _whole("middle_checked.parquet")


def test_only_jagged_columns_are_refused_as_such(here, capsys):
    assert "jagged:" in _fails(
        capsys, ["averaging", "--members", "jagged_only.parquet", "ab.parquet", *_N]
    )


@pytest.mark.parametrize("names", [["holdout.npy", "holdout.npy"], ["holdout.npy", "hold*.npy"]])
def test_a_file_named_twice_is_refused(names, here, capsys, tmp_path):
    given = [
        "differential",
        "--generated",
        "a.npy",
        "--holdout",
        *names,
        *_N,
        "--summary",
        "column:x0",
        "--out",
        str(tmp_path / "run"),
    ]
    assert "twice" in _fails(capsys, given)


def test_a_member_named_twice_is_refused_however_it_is_written(here, capsys, tmp_path):
    given = [
        "averaging",
        "--members",
        "a.npy",
        str(here / "a.npy"),
        *_N,
        "--regions",
        "good.yaml",
        "--out",
        str(tmp_path / "run"),
    ]
    assert "twice" in _fails(capsys, given)


def test_json_to_a_directory_is_refused_before_anything_is_written(tmp_path, here, capsys):
    (tmp_path / "folder").mkdir()
    _fails(
        capsys,
        [
            *_TWO,
            "--regions",
            "good.yaml",
            "--json",
            str(tmp_path / "folder"),
            "--out",
            str(tmp_path / "run"),
        ],
    )
    assert not (tmp_path / "run").exists()


def test_bins_and_regions_are_refused(here, capsys, tmp_path):
    assert "one of them" in _fails(
        capsys, [*_TWO, "--bins", "5", "--regions", "good.yaml", "--out", str(tmp_path / "run")]
    )


def test_a_head_that_claims_many_columns(tmp_path):
    (tmp_path / "wide.npy").write_bytes(
        _header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 300000)}")
    )
    tracemalloc.start()
    with pytest.raises(InputError):
        files.open_table(str(tmp_path / "wide.npy"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
