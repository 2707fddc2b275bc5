"""The same sample in every format, split over files, and in chunks of any size on disk and in
memory gives the same results to the last digit.
"""

import io
import itertools
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from amplify.errors import InputError
from amplify.tables import files, reading
from tests.commands.samples import run_averaging, run_differential

NAMES = ("x0", "x1", "x2")  # x2 serves as weight
N = 2100


pytestmark = pytest.mark.usefixtures("no_page", "several_chunks")


def _tree(path, x, step, kind="mktree"):
    """Baskets, or clusters, of `step` events, after a tree that is not asked for."""
    place = "sub/Events" if kind == "mktree" else "Events"
    with uproot.recreate(path) as file:
        file.mktree("other", {"y": "f8"})
        getattr(file, kind)(place, dict.fromkeys(NAMES, x.dtype))
        for start in range(0, len(x), step):
            file[place].extend(_columns(x[start : start + step]))


def _columns(x):
    return dict(zip(NAMES, x.T, strict=True))


def _tables(path, step=500):
    return lambda x: pq.write_table(pa.table(_columns(x)), path, row_group_size=step)


def _hdf5_array(path, chunk):
    def write(x):
        chunks = (min(chunk, len(x)), 1)
        with h5py.File(path, "w") as file:
            file.create_dataset("deep/events", data=x, chunks=chunks, compression="gzip")

    return write


def _hdf5_columns(path, chunk):
    def write(x):
        chunks = (min(chunk, len(x)),)
        with h5py.File(path, "w") as file:
            for name, values in _columns(x).items():
                file.create_dataset(f"deep/events/{name}", data=values, chunks=chunks, shuffle=True)

    return write


def _structured(x):
    return np.rec.fromarrays(x.T, names=",".join(NAMES))


# format: (what the path looks like, what is asked for, writer(path) -> (x) -> None)
FORMATS = {
    "npy": ("{}.npy", lambda path: lambda x: np.save(path, x)),
    "npy by columns": ("{}_f.npy", lambda path: lambda x: np.save(path, np.asfortranarray(x))),
    "npy big-endian": (
        "{}_b.npy",
        lambda path: lambda x: np.save(path, x.astype(x.dtype.newbyteorder(">"))),
    ),
    "npy structured": ("{}_s.npy", lambda path: lambda x: np.save(path, _structured(x))),
    "npz": ("{}.npz", lambda path: lambda x: np.savez(path, **_columns(x))),
    "npz array": (
        "{}_a.npz:events",
        lambda path: lambda x: np.savez_compressed(path, other=np.zeros(3), events=x),
    ),
    "hdf5": ("{}.h5:deep/events", lambda path: _hdf5_array(path, 333)),
    "hdf5 columns": ("{}_c.hdf5:deep/events", lambda path: _hdf5_columns(path, 97)),
    "parquet": ("{}.parquet", lambda path: _tables(path)),
    "parquet short groups": ("{}_g.parquet", lambda path: _tables(path, 61)),
    "root": ("{}.root:sub/Events", lambda path: lambda x: _tree(path, x, 411)),
    "root one basket": ("{}_o.root:sub/Events", lambda path: lambda x: _tree(path, x, N)),
    "root ntuple": ("{}_n.root:Events", lambda path: lambda x: _tree(path, x, 700, "mkrntuple")),
}


def _write(directory, stem, kind, x):
    source, writer = FORMATS[kind]
    path = directory / source.format(stem).partition(":")[0]
    writer(path)(x)
    return str(directory / source.format(stem))


def _events(dtype=np.float64, seed=1, n=N, weight=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) + rng.normal(size=3) / 20
    x[:, 1] = np.exp(x[:, 1])
    x[:, 2] = rng.choice([-0.5, 0.3, 1.7], n, p=[0.1, 0.4, 0.5]) if weight is None else weight
    return x.astype(dtype)


def _kept(results):
    """What a run says, less what names files."""
    of_files = ("command", "settings", "inputs", "warnings")
    kept = {key: value for key, value in results.items() if key not in of_files}
    read = ("events", "columns", "weighted")
    kept["inputs"] = [{key: entry[key] for key in read} for entry in results["inputs"]]
    kept["warnings"] = len(results["warnings"])
    return kept


def _averaging(out, members, *more, weighted=False):
    weight = "--weight-column x2" if weighted else ""
    return _kept(run_averaging(out, members, weight, *more))


def _differential(out, generated, holdout, summary, *, weighted=False):
    """Samples are lists of files."""
    weight = "--weight-column x2" if weighted else ""
    samples = " ".join(generated), " ".join(holdout)
    return _kept(run_differential(out, *samples, f"--summary {summary} {weight}"))


@pytest.fixture
def several_chunks(monkeypatch):
    """Small samples cross the borders of chunks, too."""
    monkeypatch.setattr(reading, "CHUNK", 512)
    monkeypatch.setattr("amplify.analysis.opened_members._EDGE_EVENTS", 3 * 1280)


def _different(by_format):
    return [kind for kind in by_format if by_format[kind] != by_format["npy"]]


@pytest.mark.parametrize(
    ("dtype", "weighted"),
    [(np.float32, True), pytest.param(np.float64, False, marks=pytest.mark.slow)],
)
def test_averaging_is_the_same_in_all_formats(dtype, weighted, tmp_path):
    samples = [_events(dtype, seed) for seed in range(3)]
    results = {}
    for kind in FORMATS:
        members = [_write(tmp_path, f"m{m}", kind, x) for m, x in enumerate(samples)]
        results[kind] = _averaging(tmp_path / kind, members, weighted=weighted)
    assert len(results["npy"]["estimates"]) >= 20 and not _different(results)
    assert results["npy"]["inputs"][0]["weighted"] is weighted


@pytest.mark.parametrize(
    ("summary", "weighted"), [("column:x0", False), ("ratio:x0", True), ("classifier", True)]
)
def test_differential_is_the_same_in_all_formats(summary, weighted, tmp_path):
    samples = {"gen": _events(np.float32, 5), "holdout": _events(np.float32, 6, n=700)}
    some = ("npy", "npz array", "hdf5", "parquet", "root")
    results = {}
    for kind in some if summary == "classifier" else FORMATS:
        generated, holdout = ([_write(tmp_path, stem, kind, x)] for stem, x in samples.items())
        out = tmp_path / kind
        results[kind] = _differential(out, generated, holdout, summary, weighted=weighted)
    assert not _different(results)
    assert results["npy"]["estimates"][0]["distance"] is not None and results["npy"]["panels"]


def _write_pieces(directory, stem, kind, x):
    """Uneven pieces whose ends are no ends of chunks; a glob sorts them."""
    ends = [0, 3, 800, 1503, N]
    for i, (start, stop) in enumerate(itertools.pairwise(ends)):
        source = _write(directory, f"{stem}_{i}", kind, x[start:stop])
    return source.replace(f"{stem}_{i}", f"{stem}_*")


@pytest.mark.parametrize("weighted", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("kind", ["npy", "npz array", "hdf5", "parquet", "root ntuple"])
def test_split_over_files_is_the_same(kind, weighted, tmp_path):
    """One piece may have another format."""
    samples = [_events(np.float64, seed) for seed in range(3)]
    single = [_write(tmp_path, f"m{m}", kind, x) for m, x in enumerate(samples)]
    pieces = [_write_pieces(tmp_path, f"piece_{m}", kind, x) for m, x in enumerate(samples)]
    first = _averaging(tmp_path / "single", single, weighted=weighted)
    assert _averaging(tmp_path / "pieces", pieces, weighted=weighted) == first
    in_two_formats = [
        _write(tmp_path, "a", "npz", samples[1][:10]),
        _write(tmp_path, "b", kind, samples[1][10:]),
    ]
    one, more = (
        _differential(tmp_path / out, [generated], holdout, "column:x0", weighted=weighted)
        for out, generated, holdout in (
            ("one", single[0], single[1:2]),
            ("more", pieces[0], in_two_formats),
        )
    )
    assert one == more


@pytest.mark.parametrize("size", [13, 700, 1 << 18])
def test_chunk_size_in_memory_does_not_matter(size, tmp_path, monkeypatch):
    """Without weights, counts are whole numbers, and nothing depends on where chunks end, but for
    the places at which a curve is drawn.
    """
    kinds = ("npy", "npz array", "hdf5", "parquet", "root")
    members = []
    for m, kind in enumerate(kinds):
        members.append(_write(tmp_path, f"m{m}", kind, _events(np.float64, m, 600)))

    def run(name):
        averaging = _averaging(tmp_path / f"{name}-averaging", members)
        out = tmp_path / f"{name}-differential"
        differential = _differential(out, members[:1], members[4:], "ratio:x0")
        assert differential["differential"].pop("approach")
        return averaging, differential

    expected = run("512")
    monkeypatch.setattr(reading, "CHUNK", size)
    assert run(str(size)) == expected


def test_what_is_left_out_is_the_same_in_all_formats(tmp_path):
    """nan, infinite and, in Parquet, missing values."""
    x = _events(np.float64, 3)
    x[[5, 511, 512, 2099], [0, 1, 0, 2]] = [np.nan, np.inf, -np.inf, np.nan]
    sources = {
        kind: _write(tmp_path, "bad", kind, x)
        for kind in ("npy", "npz", "hdf5", "parquet short groups", "root")
    }
    missing = {
        name: [value if np.isfinite(value) else None for value in values]
        for name, values in _columns(x).items()
    }
    pq.write_table(pa.table(missing), tmp_path / "missing.parquet")
    sources["missing"] = str(tmp_path / "missing.parquet")
    others = [_write(tmp_path, f"m{m}", "npy", _events(np.float64, m)) for m in range(2)]
    results = {}
    for kind, source in sources.items():
        table = files.open_sample(source)
        with pytest.raises(InputError, match=r"nan in row 5, column x0.*, and 3 more such events"):
            list(files.chunks(files.select(table)))
        table.close()
        out = tmp_path / f"run {kind}"
        results[kind] = _averaging(out, [*others, source], "--drop-nonfinite", weighted=True)
    assert results["npy"]["inputs"][2]["events"] == N - 4 and not _different(results)


def test_standard_input_is_a_file_as_any(tmp_path, monkeypatch):
    x = _events(np.float32, 5)
    generated = _write(tmp_path, "gen", "npy", x)
    holdout = _write(tmp_path, "holdout", "npy", _events(np.float32, 6, n=700))
    expected = _differential(tmp_path / "file", [generated], [holdout], "column:x0")
    for kind in ("npy", "npz", "parquet"):
        path = _write(tmp_path, f"in_{kind}", kind, x)
        with open(path, "rb") as stream:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stream.read())))
        assert _differential(tmp_path / kind, ["-"], [holdout], "column:x0") == expected, kind


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".root"])
def test_units_stay_in_names(suffix, tmp_path):
    """Names with units, and names that are formulas, are names; in expressions they stand in
    backticks.
    """
    names = ("pt [GeV]", "a-b", "eta", "a", "b", "2*eta", "E, phi = 0")
    rng = np.random.default_rng(2)
    columns = {name: rng.normal(size=300) for name in names}
    path = tmp_path / f"named{suffix}"
    if suffix == ".npz":
        np.savez(path, **columns)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values
    elif suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        with uproot.recreate(path) as file:
            file.mktree("Events", dict.fromkeys(names, "f8"))
            file["Events"].extend(columns)
    table = files.open_sample(str(path))
    assert set(table.columns) == set(names)
    for name, values in columns.items():
        np.testing.assert_array_equal(files.load(files.select(table, [name])).x[:, 0], values)
    wanted = ["`pt [GeV]` * `a-b` - `2*eta`", "t=`E, phi = 0` ** 2"]
    selection = files.select(table, wanted)
    assert selection.names == [wanted[0], "t"]
    expected = [columns["pt [GeV]"] * columns["a-b"] - columns["2*eta"], columns["E, phi = 0"] ** 2]
    np.testing.assert_array_equal(files.load(selection).x, np.stack(expected, axis=1))
    table.close()


@pytest.mark.parametrize("kind", ["structured", "parquet", "root"])
def test_fixed_size_columns_are_columns_by_element(kind, tmp_path):
    p4 = np.random.default_rng(3).normal(size=(500, 4)).astype(np.float32)
    flag = np.arange(500) % 3 == 0
    if kind == "structured":
        both = np.zeros(500, [("p4", "f4", 4), ("flag", "?")])
        both["p4"], both["flag"] = p4, flag
        np.save(tmp_path / "p.npy", both)
    elif kind == "parquet":
        lists = pa.FixedSizeListArray.from_arrays(p4.ravel(), 4)
        table = pa.table({"p4": lists, "flag": flag})
        pq.write_table(table, tmp_path / "p.parquet", row_group_size=77)
    else:
        with uproot.recreate(tmp_path / "p.root") as file:
            file.mktree("T", {"p4": np.dtype(("f4", (4,))), "flag": "?"})
            for start in range(0, 500, 120):
                rows = slice(start, start + 120)
                file["T"].extend({"p4": p4[rows], "flag": flag[rows]})
    (path,) = tmp_path.iterdir()
    table = files.open_sample(str(path))
    assert table.columns == ("p4[0]", "p4[1]", "p4[2]", "p4[3]", "flag")
    selection = files.select(table, ["p4[3]", "pt=sqrt(p4[0]**2 + p4[1]**2)", "flag"])
    q = p4.astype(np.float64)
    expected = np.stack([q[:, 3], np.sqrt(q[:, 0] ** 2 + q[:, 1] ** 2), flag], axis=1)
    read = np.concatenate([block for block, _ in files.chunks(selection, 77)])
    np.testing.assert_array_equal(read, expected)
    table.close()


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5 columns", "parquet", "root"])
def test_nan_in_chunk_7_of_the_third_file(kind, tmp_path):
    """Chunks of 512: row 3300 of the sample is in the seventh, and row 1200 of its file."""
    x = _events(np.float64, 4)
    sources = []
    for i, n in enumerate((1000, 1100, N)):
        piece = x[:n].copy()
        if i == 2:
            piece[[1200, 1900], [1, 0]] = [np.nan, np.inf]
        sources.append(_write(tmp_path, f"piece{i}", kind, piece))
    table = files.open_sample(sources)
    with pytest.raises(InputError) as caught:
        list(files.chunks(files.select(table)))
    table.close()
    line = str(caught.value)
    for words in ("nan in row 1200, column x1", sources[2], "1 more such event"):
        assert words in line
    assert "--drop-nonfinite" in line
