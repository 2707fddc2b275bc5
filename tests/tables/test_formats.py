"""The same sample in every format, split over files, and in chunks of any size on disk and in
memory gives the same results to the last digit.
"""

import io
import itertools
import json
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from amplify.cli import main
from amplify.errors import InputError
from amplify.tables import files

NAMES = ("x0", "x1", "x2")  # x2 serves as weight
N = 2100


@pytest.fixture(autouse=True)
def drawing_takes_a_second(monkeypatch):
    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)


def _tree(path, x, step, kind="mktree"):
    """Baskets, or clusters, of `step` events, after a tree that is not asked for."""
    with uproot.recreate(path) as file:
        file.mktree("other", {"y": "f8"})
        getattr(file, kind)(
            "sub/Events" if kind == "mktree" else "Events", dict.fromkeys(NAMES, x.dtype)
        )
        for start in range(0, len(x), step):
            file["sub/Events" if kind == "mktree" else "Events"].extend(
                dict(zip(NAMES, x[start : start + step].T, strict=True))
            )


def _tables(path, step=500):
    return lambda x: pq.write_table(
        pa.table(dict(zip(NAMES, x.T, strict=True))), path, row_group_size=step
    )


def _hdf5(path, layout, chunk):
    def write(x):
        with h5py.File(path, "w") as file:
            if layout == "array":
                file.create_dataset(
                    "deep/events", data=x, chunks=(min(chunk, len(x)), 1), compression="gzip"
                )
            else:
                for name, column in zip(NAMES, x.T, strict=True):
                    file.create_dataset(
                        f"deep/events/{name}",
                        data=column,
                        chunks=(min(chunk, len(x)),),
                        shuffle=True,
                    )

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
    "npz": ("{}.npz", lambda path: lambda x: np.savez(path, **dict(zip(NAMES, x.T, strict=True)))),
    "npz array": (
        "{}_a.npz:events",
        lambda path: lambda x: np.savez_compressed(path, other=np.zeros(3), events=x),
    ),
    "hdf5": ("{}.h5:deep/events", lambda path: _hdf5(path, "array", 333)),
    "hdf5 columns": ("{}_c.hdf5:deep/events", lambda path: _hdf5(path, "columns", 97)),
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


def _results(out, *arguments):
    """What a run says, less what names files."""
    main([*map(str, arguments), "--out", str(out)])
    results = json.loads((out / "results.json").read_text())
    kept = {
        key: value
        for key, value in results.items()
        if key not in ("command", "settings", "inputs", "warnings")
    }
    kept["inputs"] = [
        {key: entry[key] for key in ("events", "columns", "weighted")}
        for entry in results["inputs"]
    ]
    kept["warnings"] = len(results["warnings"])
    return kept


def _averaging(out, members, *more, weighted=False):
    return _results(
        out,
        "averaging",
        "--members",
        *members,
        "--n-train",
        "1000",
        *(("--weight-column", "x2") if weighted else ()),
        *more,
    )


def _differential(out, generated, holdout, summary, *more, weighted=False):
    given = (
        "--generated",
        *generated,
        "--holdout",
        *holdout,
        "--n-train",
        "1000",
        "--summary",
        summary,
    )
    return _results(
        out, "differential", *given, *(("--weight-column", "x2") if weighted else ()), *more
    )


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    """Small samples cross the borders of chunks, too."""
    monkeypatch.setattr(files, "CHUNK", 512)
    monkeypatch.setattr("amplify.analysis.averaging._EDGE_EVENTS", 3 * 1280)


def _different(found):
    return [kind for kind in found if found[kind] != found["npy"]]


@pytest.mark.parametrize(("dtype", "weighted"), [(np.float32, True), (np.float64, False)])
def test_averaging_is_the_same_in_all_formats(dtype, weighted, tmp_path):
    samples = [_events(dtype, seed) for seed in range(3)]
    found = {}
    for kind in FORMATS:
        members = [_write(tmp_path, f"m{m}", kind, x) for m, x in enumerate(samples)]
        found[kind] = _averaging(tmp_path / kind, members, weighted=weighted)
    assert (
        len(found["npy"]["estimates"]) >= 20
        and found["npy"]["inputs"][0]["weighted"] is weighted
        and not _different(found)
    )


@pytest.mark.parametrize(
    ("summary", "weighted"), [("column:x0", False), ("ratio:x0", True), ("classifier", True)]
)
def test_differential_is_the_same_in_all_formats(summary, weighted, tmp_path):
    samples = [_events(np.float32, 5), _events(np.float32, 6, n=700)]
    found = {}
    for kind in (
        FORMATS if summary != "classifier" else ("npy", "npz array", "hdf5", "parquet", "root")
    ):
        generated, holdout = (
            _write(tmp_path, stem, kind, x)
            for stem, x in zip(("gen", "holdout"), samples, strict=True)
        )
        found[kind] = _differential(
            tmp_path / kind, [generated], [holdout], summary, weighted=weighted
        )
    assert not _different(found)
    assert found["npy"]["estimates"][0]["distance"] is not None and found["npy"]["panels"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["npy", "npz array", "hdf5", "parquet", "root ntuple"])
def test_split_over_files_is_the_same(kind, weighted, tmp_path):
    """Uneven pieces whose ends are no ends of chunks; a glob sorts them; one piece may have another
    format.
    """
    samples = [_events(np.float64, seed) for seed in range(3)]
    whole = [_write(tmp_path, f"m{m}", kind, x) for m, x in enumerate(samples)]
    ends = [0, 3, 800, 1503, N]
    pieces = []
    for m, x in enumerate(samples):
        named = [
            _write(tmp_path, f"piece_{m}_{i}", kind, x[a:b])
            for i, (a, b) in enumerate(itertools.pairwise(ends))
        ]
        head, _, inside = named[0].partition(":")
        pieces.append(
            head.replace(f"piece_{m}_0", f"piece_{m}_*") + (f":{inside}" if inside else "")
        )
    first = _averaging(tmp_path / "whole", whole, weighted=weighted)
    assert _averaging(tmp_path / "pieces", pieces, weighted=weighted) == first
    together, apart = (
        ([whole[0]], [whole[1]]),
        (
            [pieces[0]],
            [
                _write(tmp_path, "a", "npz", samples[1][:10]),
                _write(tmp_path, "b", kind, samples[1][10:]),
            ],
        ),
    )
    first = _differential(tmp_path / "one", *together, "column:x0", weighted=weighted)
    assert _differential(tmp_path / "more", *apart, "column:x0", weighted=weighted) == first


@pytest.mark.parametrize("size", [13, 700, 1 << 18])
def test_chunk_size_in_memory_does_not_matter(size, tmp_path, monkeypatch):
    """Without weights, counts are whole numbers, and nothing depends on where chunks end, but for
    the places at which a curve is drawn.
    """
    kinds = ("npy", "npz array", "hdf5", "parquet", "root")
    members = [
        _write(tmp_path, f"m{m}", kind, _events(np.float64, m, 600)) for m, kind in enumerate(kinds)
    ]
    expected = (
        _averaging(tmp_path / "a", members),
        _differential(tmp_path / "b", members[:1], members[4:], "ratio:x0"),
    )
    monkeypatch.setattr(files, "CHUNK", size)
    found = (
        _averaging(tmp_path / "c", members),
        _differential(tmp_path / "d", members[:1], members[4:], "ratio:x0"),
    )
    for _, differential in (expected, found):
        assert differential["differential"].pop("approach")
    assert found == expected


def test_what_is_left_out_is_the_same_in_all_formats(tmp_path):
    """nan, infinite and, in Parquet, missing values."""
    x = _events(np.float64, 3)
    x[[5, 511, 512, 2099], [0, 1, 0, 2]] = [np.nan, np.inf, -np.inf, np.nan]
    sources = {
        kind: _write(tmp_path, "bad", kind, x)
        for kind in ("npy", "npz", "hdf5", "parquet short groups", "root")
    }
    missing = [[None if not np.isfinite(value) else value for value in column] for column in x.T]
    pq.write_table(pa.table(dict(zip(NAMES, missing, strict=True))), tmp_path / "missing.parquet")
    sources["missing"] = str(tmp_path / "missing.parquet")
    others = [_write(tmp_path, f"m{m}", "npy", _events(np.float64, m)) for m in range(2)]
    found = {}
    for kind, source in sources.items():
        table = files.open_sample(source)
        with pytest.raises(InputError, match=r"nan in row 5, column x0.*, and 3 more such events"):
            list(files.chunks(files.select(table)))
        table.close()
        found[kind] = _averaging(
            tmp_path / f"run {kind}", [*others, source], "--weight-column", "x2", "--drop-nonfinite"
        )
    assert found["npy"]["inputs"][2]["events"] == N - 4 and not _different(found)


def test_standard_input_is_a_file_as_any(tmp_path, monkeypatch):
    x, holdout = (
        _events(np.float32, 5),
        _write(tmp_path, "holdout", "npy", _events(np.float32, 6, n=700)),
    )
    expected = _differential(
        tmp_path / "file", [_write(tmp_path, "gen", "npy", x)], [holdout], "column:x0"
    )
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
    p4, flag = (
        np.random.default_rng(3).normal(size=(500, 4)).astype(np.float32),
        np.arange(500) % 3 == 0,
    )
    if kind == "structured":
        both = np.zeros(500, [("p4", "f4", 4), ("flag", "?")])
        both["p4"], both["flag"] = p4, flag
        np.save(tmp_path / "p.npy", both)
    elif kind == "parquet":
        pq.write_table(
            pa.table({"p4": pa.FixedSizeListArray.from_arrays(p4.ravel(), 4), "flag": flag}),
            tmp_path / "p.parquet",
            row_group_size=77,
        )
    else:
        with uproot.recreate(tmp_path / "p.root") as file:
            file.mktree("T", {"p4": np.dtype(("f4", (4,))), "flag": "?"})
            for start in range(0, 500, 120):
                file["T"].extend({"p4": p4[start : start + 120], "flag": flag[start : start + 120]})
    (path,) = tmp_path.iterdir()
    table = files.open_sample(str(path))
    assert table.columns == ("p4[0]", "p4[1]", "p4[2]", "p4[3]", "flag")
    selection = files.select(table, ["p4[3]", "pt=sqrt(p4[0]**2 + p4[1]**2)", "flag"])
    q = p4.astype(np.float64)
    expected = np.stack([q[:, 3], np.sqrt(q[:, 0] ** 2 + q[:, 1] ** 2), flag], axis=1)
    np.testing.assert_array_equal(
        np.concatenate([block for block, _ in files.chunks(selection, 77)]), expected
    )
    table.close()


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5 columns", "parquet", "root"])
def test_nan_in_chunk_7_of_the_third_file(kind, tmp_path):
    """Chunks of 512: row 3300 of the sample is in the seventh, and row 1200 of its file."""
    x = _events(np.float64, 4)
    sources = []
    for i, (a, b) in enumerate(((0, 1000), (0, 1100), (0, N))):
        part = x[a:b].copy()
        if i == 2:
            part[[1200, 1900], [1, 0]] = [np.nan, np.inf]
        sources.append(_write(tmp_path, f"part{i}", kind, part))
    table = files.open_sample(sources)
    with pytest.raises(InputError) as caught:
        list(files.chunks(files.select(table)))
    table.close()
    line = str(caught.value)
    assert (
        "nan in row 1200, column x1" in line
        and sources[2] in line
        and "1 more such event" in line
        and "--drop-nonfinite" in line
    )
