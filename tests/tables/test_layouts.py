"""Files as people have them: frames of pandas, columns beside other things, several numbers per
event in every format, text, events of generators, lists of files; and what to do about the rest.
"""

import gzip
import pickle
import shlex
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import uproot

from amplify.analysis.samples import split_members
from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.memory import from_array
from amplify.tables.sources import listed_sources
from amplify.tables.table import Array, Jagged

N = 60
RNG = np.random.default_rng(5)
PT, ETA = RNG.exponential(50, N), RNG.normal(size=N)
NJET = RNG.poisson(3, N)
FRAME = pd.DataFrame({"pt": PT, "eta": ETA, "njet": NJET})
SHOWERS = RNG.exponential(size=(N, 5)).astype(np.float32)
PARTICLES = RNG.normal(size=(N, 4, 3)).astype(np.float32)
JETS = ak.unflatten(RNG.exponential(30, NJET.sum()), NJET)


def _read(source, names=None, start=0, stop=N):
    """Columns or arrays by name."""
    table = files.open_sample(str(source))
    names = table.columns if names is None else names
    values = dict(zip(names, table.read(start, stop, names), strict=True))
    table.close()
    return table, values


def _refused(source, *words):
    with pytest.raises(InputError) as caught:
        table = files.open_sample(str(source))
        files.load(files.select(table))
    line = str(caught.value)
    assert "\n" not in line and line.isprintable()
    for word in words:
        assert word in line, line
    return line


def _is_frame(source, columns=("pt", "eta", "njet")):
    table, values = _read(source)
    assert [c for c in table.columns if c not in table.index] == list(columns)
    for name in columns:
        np.testing.assert_array_equal(values[name], FRAME[name])
    return table


@pytest.mark.parametrize("kind", ["fixed", "table", "data columns"])
def test_frames_of_pandas_in_hdf5(kind, tmp_path):
    """The blocks of a frame are not in the order of its columns."""
    pytest.importorskip("tables")
    path = tmp_path / "frame.h5"
    settings = {"format": "fixed" if kind == "fixed" else "table"}
    if kind == "data columns":
        settings["data_columns"] = ["eta"]
    FRAME.to_hdf(path, key="df", mode="w", **settings)
    columns = ("njet", "pt", "eta") if kind == "data columns" else ("pt", "eta", "njet")
    table = _is_frame(path, columns)
    assert table.index == (() if kind == "fixed" else ("index",))
    _is_frame(f"{path}:df", columns)


def test_frames_of_pandas_without_names(tmp_path):
    """As the LHC Olympics have them, compressed by blosc."""
    pytest.importorskip("tables")
    pytest.importorskip("hdf5plugin")
    pd.DataFrame(SHOWERS).to_hdf(
        tmp_path / "a.h5", key="df", mode="w", complib="blosc", complevel=1
    )
    table, values = _read(tmp_path / "a.h5")
    assert table.columns == ("x0", "x1", "x2", "x3", "x4")
    np.testing.assert_array_equal(values["x3"], SHOWERS[:, 3])


def test_frames_of_pandas_that_are_no_numbers(tmp_path):
    pytest.importorskip("tables")
    odd = FRAME.assign(word="a", day=pd.Timestamp("2026-01-01"))
    odd.to_hdf(tmp_path / "odd.h5", key="df", mode="w")
    assert {*_is_frame(tmp_path / "odd.h5").refused} == {"word", "day"}
    several = FRAME.copy()
    several.columns = pd.MultiIndex.from_tuples([("jet", c) for c in FRAME])
    several.to_hdf(tmp_path / "several.h5", key="df", mode="w")
    line = _refused(tmp_path / "several.h5", "plain names", "python -c ")
    code = shlex.split(line.split("convert it: ")[1])[2]
    exec(code)  # what the line says does it
    assert pd.read_parquet(tmp_path / "several.parquet").shape == (N, 3)


def test_names_of_pandas_are_not_unpickled(tmp_path):
    """A pickle in the place of names is not run."""
    pytest.importorskip("tables")
    path = tmp_path / "trap.h5"
    FRAME.to_hdf(path, key="df", mode="w", format="table")
    with h5py.File(path, "r+") as file:
        trap = b"cbuiltins\nopen\n(V" + str(tmp_path / "opened").encode() + b"\nVw\ntR."
        file["df/table"].attrs["values_block_0_kind"] = np.bytes_(trap)
    _refused(path, "plain names")
    assert not (tmp_path / "opened").exists()


def test_columns_beside_other_things(tmp_path):
    """What has no row per event is no column, and does not keep those from being read that are
    named.
    """
    path = tmp_path / "columns.h5"
    with h5py.File(path, "w") as file:
        file["pt"], file["eta"] = PT.astype(">f4"), ETA
        file["version"], file["xsec"], file["bins"] = "1.2", 12.3, np.linspace(0, 1, 11)
    table = files.open_sample(str(path))
    x = files.load(files.select(table, ["pt", "eta"])).x
    np.testing.assert_array_equal(x, np.stack([PT.astype("f4"), ETA], axis=1))
    table.close()
    _refused(path, "bins", "--columns")


def test_names_in_an_attribute(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["events"] = SHOWERS
        file["events"].attrs["properties"] = ["a", "b", "c", "d", "e"]
        file["events"].attrs["author"] = "somebody"
    table, values = _read(f"{tmp_path / 'a.h5'}:events")
    assert table.columns == ("a", "b", "c", "d", "e")
    np.testing.assert_array_equal(values["d"], SHOWERS[:, 3])


def test_data_sets_of_one_file_as_one_table(tmp_path):
    """As CaloChallenge and JetNet have them."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for place in ("", "train/"):
            file[f"{place}incident_energies"] = PT[:, None]
            file[f"{place}showers"], file[f"{place}particles"] = SHOWERS, PARTICLES
    for source in ("a.h5:/", "a.h5:train"):
        table, values = _read(tmp_path / source, ["incident_energies", "showers", "particles"])
        np.testing.assert_array_equal(values["incident_energies"], PT)
        np.testing.assert_array_equal(values["showers"], SHOWERS)
        np.testing.assert_array_equal(values["particles"], PARTICLES)
        assert {"showers[4]", "particles[3,2]"} <= set(table.columns)
        _refused(tmp_path / source, "pick one with a.h5:NAME")


def _write_arrays(path, kind):
    """SHOWERS [5], PARTICLES [4, 3] and JETS in a file."""
    if kind == "parquet":
        flat = pa.FixedSizeListArray.from_arrays
        inner = flat(pa.array(PARTICLES.ravel()), 3)
        columns = {"s": flat(pa.array(SHOWERS.ravel()), 5), "p": flat(inner, 4)}
        jets = pa.array(ak.to_list(JETS))
        pq.write_table(pa.table(columns | {"j": jets, "pt": PT}), path, row_group_size=7)
    elif kind == "feather":
        flat = pa.FixedSizeListArray.from_arrays
        inner = flat(pa.array(PARTICLES.ravel()), 3)
        columns = {"s": flat(pa.array(SHOWERS.ravel()), 5), "p": flat(inner, 4)}
        table = pa.table(columns | {"j": pa.array(ak.to_list(JETS)), "pt": PT})
        pyarrow.feather.write_feather(table, path, chunksize=13)
    elif kind == "root":
        types = {"s": np.dtype(("f4", (5,))), "p": np.dtype(("f4", (4, 3)))}
        with uproot.recreate(path) as file:
            file.mktree("T", types | {"j": "var * float64", "pt": "f8"})
            file["T"].extend({"s": SHOWERS, "p": PARTICLES, "j": JETS, "pt": PT})
    elif kind == "rntuple":
        with uproot.recreate(path) as file:
            file.mkrntuple("T", {"s": SHOWERS, "p": PARTICLES, "j": JETS, "pt": PT})
    elif kind == "npy":
        x = np.zeros(N, [("s", "f4", 5), ("p", "f4", (4, 3)), ("pt", "f8")])
        x["s"], x["p"], x["pt"] = SHOWERS, PARTICLES, PT
        np.save(path, x)
    elif kind == "npz":
        np.savez(path, s=SHOWERS, p=PARTICLES, pt=PT)
    else:
        with h5py.File(path, "w") as file:
            file["s"], file["p"], file["pt"] = SHOWERS, PARTICLES, PT
            j = file.create_dataset("j", (N,), h5py.vlen_dtype("f8"))
            for i, row in enumerate(ak.to_list(JETS)):
                j[i] = row


SUFFIX = {"h5": ".h5", "npy": ".npy", "npz": ".npz", "root": ".root", "rntuple": ".root"}


@pytest.mark.parametrize("kind", [*SUFFIX, "parquet", "feather"])
def test_several_numbers_per_event_in_every_format(kind, tmp_path):
    """Whole arrays, their elements as columns, and jagged ones, of any rows."""
    path = tmp_path / f"a{SUFFIX.get(kind, '.' + kind)}"
    _write_arrays(path, kind)
    has_jets = kind not in ("npy", "npz")
    names = ["p", "pt", "s", "s[3]", "p[2,1]", *(["j"] if has_jets else [])]
    table = files.open_sample(str(path))
    shapes = {"s": (5,), "p": (4, 3)} | ({"j": (None,)} if has_jets else {})
    assert {name: array.shape for name, array in table.arrays.items()} == shapes
    for start, stop in ((0, N), (11, 37), (3, 4), (20, 20)):
        rows = slice(start, stop)
        values = dict(zip(names, table.read(start, stop, names), strict=True))
        np.testing.assert_array_equal(values["s"], SHOWERS[rows])
        np.testing.assert_array_equal(values["p"], PARTICLES[rows])
        np.testing.assert_array_equal(values["s[3]"], SHOWERS[rows, 3])
        np.testing.assert_array_equal(values["p[2,1]"], PARTICLES[rows, 2, 1])
        np.testing.assert_array_equal(values["pt"], PT[rows])
        if has_jets:
            jets = values["j"]
            assert isinstance(jets, Jagged)
            np.testing.assert_array_equal(jets.count, NJET[rows])
            np.testing.assert_array_equal(jets.values, ak.to_numpy(ak.flatten(JETS[rows])))
    if has_jets:
        assert "jagged" in table.refused["j"] and "j" not in table.columns
    table.close()


def test_arrays_without_a_name(tmp_path):
    np.save(tmp_path / "p.npy", PARTICLES)
    np.save(tmp_path / "f.npy", np.asfortranarray(PARTICLES))
    for source in ("p.npy", "f.npy"):
        table, values = _read(tmp_path / source, ["x", "x[1,2]"], 5, 50)
        assert table.arrays == {"x": Array((4, 3), np.dtype("f4"))}
        np.testing.assert_array_equal(values["x"], PARTICLES[5:50])
        np.testing.assert_array_equal(values["x[1,2]"], PARTICLES[5:50, 1, 2])
        _refused(tmp_path / source, "shape (60, 4, 3)")  # nobody said what to look at
    in_memory = from_array(SHOWERS, names=["a", "b", "c", "d", "e"])
    np.testing.assert_array_equal(in_memory.read(0, 9, ["x"])[0], SHOWERS[:9])
    assert not from_array(SHOWERS[:, :1], names=["x"]).arrays  # a name is of one thing


def test_lists_that_always_have_as_many_values(tmp_path):
    """A list of any size is a fixed one where all have the same size, and only there."""
    three = pa.array([list(x) for x in SHOWERS[:, :3]])
    on_average = pa.array([[1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]] * (N // 3))
    missing = pa.array([[1.0, 2.0, 3.0], None, *[[1.0, 2.0, 3.0]] * (N - 2)])
    table = pa.table({"three": three, "on_average": on_average, "missing": missing})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    table, values = _read(tmp_path / "a.parquet", ["three[1]"])
    np.testing.assert_array_equal(values["three[1]"], SHOWERS[:, 1])
    assert {*table.refused} == {"on_average", "missing"}
    assert table.columns == ("three[0]", "three[1]", "three[2]")


def test_files_that_differ_in_what_is_fixed(tmp_path):
    """Lists of one length in one file are jagged beside those of another."""
    for name, rows in (("a", [[1.0, 2.0], [3.0, 4.0]]), ("b", [[5.0], [6.0, 7.0, 8.0]])):
        pq.write_table(pa.table({"j": rows, "pt": [1.0, 2.0]}), tmp_path / f"{name}.parquet")
    table, values = _read(tmp_path / "*.parquet", ["j", "pt"], 0, 4)
    assert table.columns == ("pt",) and table.arrays["j"].shape == (None,)
    np.testing.assert_array_equal(values["j"].count, [2, 2, 1, 3])
    np.testing.assert_array_equal(values["j"].values, np.arange(1.0, 9.0))


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "feather", "semicolons", "hash", "index"])
def test_text_and_feather(kind, tmp_path):
    path = tmp_path / f"a.{kind if '.' in kind or kind == 'feather' else 'csv'}"
    if kind == "feather":
        FRAME.to_feather(path)
    elif kind == "hash":
        text = FRAME.to_csv(index=False).replace("pt,", "# pt,", 1)
        path.write_text("\n" + text)
    else:
        separator = ";" if kind == "semicolons" else ","
        FRAME.to_csv(path, index=kind == "index", sep=separator)
    table = _is_frame(path)
    assert table.index == (("index",) if kind == "index" else ())
    assert table.n == N


def test_text_without_names_and_with_wrong_rows(tmp_path):
    np.savetxt(tmp_path / "a.csv", SHOWERS, delimiter=",")
    table, values = _read(tmp_path / "a.csv")
    assert table.columns == ("x0", "x1", "x2", "x3", "x4")
    np.testing.assert_allclose(values["x2"], SHOWERS[:, 2], rtol=1e-15)
    # whole numbers at first, fractions and gaps after more than is parsed at once
    rows = ["1,a"] * 700_000 + ["2.5,b", ",c"]
    (tmp_path / "late.csv").write_text("pt,name\n" + "\n".join(rows) + "\n")
    table, values = _read(tmp_path / "late.csv", ["pt"], 699_999, 700_002)
    np.testing.assert_array_equal(values["pt"], [1.0, 2.5, np.nan])
    assert table.n == 700_002 and {*table.refused} == {"name"}
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    _refused(tmp_path / "ragged.csv", "ragged.csv", "Expected 2 columns")
    (tmp_path / "twins.csv").write_text("a,a\n1,2\n")
    _refused(tmp_path / "twins.csv", "a twice")


def test_formats_that_are_not_read_come_with_a_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("it's.txt", SHOWERS)
    line = _refused("it's.txt", "python -c ")
    exec(shlex.split(line.split("convert it: ")[1])[2])
    np.testing.assert_allclose(np.load("it's.npy"), SHOWERS)
    Path("a.npy.gz").write_bytes(gzip.compress(b"anything"))
    _refused("a.npy.gz", "gunzip --keep a.npy.gz")
    for name, words in (("a.pkl", "numpy.save('a.npy'"), ("a.pt", "x.detach()")):
        Path(name).write_bytes(pickle.dumps(_Trap()))
        _refused(name, "could run code", words)
    np.save("object.npy", np.array([_Trap()], dtype=object), allow_pickle=True)
    _refused("object.npy", "numpy.save(path, x.astype(float))")
    for source in ("root://host//a.root", "https://host/a.h5", "s3://bucket/a.parquet:x"):
        _refused(source, "a remote path", "copy it")
    assert not Path("opened").exists()


class _Trap:
    """Opens a file when it is unpickled."""

    def __reduce__(self):
        return (open, ("opened", "w"))


def test_lists_of_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        np.save(f"m{i}.npy", SHOWERS[20 * i : 20 * (i + 1)])
    Path("all.txt").write_text("# three\nm0.npy\n\n  m1.npy\nm2.npy\n")
    _, values = _read("@all.txt", ["x"])
    np.testing.assert_array_equal(values["x"], SHOWERS)
    names = ["m0.npy", "m1.npy", "m2.npy"]
    assert listed_sources(["@all.txt", "b.h5"]) == [*names, "b.h5"]
    assert split_members(["@all.txt"]) == split_members("@all.txt") == names
    Path("nested.txt").write_text("@all.txt\n")
    Path("empty.txt").write_text("# nothing\n")
    _refused("@nested.txt", "another list")
    _refused("@empty.txt", "names of files")
    _refused("@m0.npy", "drop the @")
    _refused("@gone.txt", "no file gone.txt")
    Path("twice.txt").write_text("m0.npy\n./m0.npy\n")
    _refused("@twice.txt", "named twice")


_LHE = """<LesHouchesEvents version="3.0">
<init>
2212 2212 6500 6500 0 0 0 0 3 1
1.0 0.1 1.0 1
</init>
{}</LesHouchesEvents>
"""


def _lhe_event(weight, momenta):
    lines = [f"{len(momenta)} 1 {weight} 91.2 0.0078 0.118"]
    for i, (px, py, pz, e) in enumerate(momenta):
        lines.append(f"{11 + i} 1 0 0 0 0 {px} {py} {pz} {e} 0.0 0.0 9.0")
    return "<event>\n" + "\n".join(lines) + "\n</event>\n"


def _events(rng):
    """Momenta [particle, 4] of a few events, and their weights."""
    momenta = [np.round(rng.normal(size=(n, 4)), 6) for n in (2, 3, 1, 4)]
    return momenta, [1.0, -1.0, 0.5, 2.0]


def _are_events(path, momenta, weights):
    table, values = _read(path, ["weight", "px", "py", "pz", "E", "pid"], 1, 4)
    assert table.n == 4 and table.columns == ("weight",)
    np.testing.assert_array_equal(values["weight"], weights[1:4])
    expected = np.concatenate(momenta[1:4])
    for i, name in enumerate(("px", "py", "pz", "E")):
        np.testing.assert_array_equal(values[name].count, [3, 1, 4])
        np.testing.assert_allclose(values[name].values, expected[:, i], rtol=1e-12)
    np.testing.assert_array_equal(values["pid"].values, [11, 12, 13, 11, 11, 12, 13, 14])


@pytest.mark.parametrize("suffix", [".lhe", ".lhe.gz"])
def test_lhe(suffix, tmp_path):
    pytest.importorskip("pylhe")
    momenta, weights = _events(np.random.default_rng(1))
    text = _LHE.format("".join(map(_lhe_event, weights, momenta)))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    _are_events(path, momenta, weights)
    for kept in (len(text) - 30, 500):  # in the last event, and in the first
        damaged = text[:kept].encode()
        path.write_bytes(gzip.compress(damaged) if suffix.endswith("gz") else damaged)
        _refused(path, path.name)


def test_hepmc(tmp_path):
    """Written in MeV, read in GeV."""
    pyhepmc = pytest.importorskip("pyhepmc")
    momenta, weights = _events(np.random.default_rng(2))
    path = tmp_path / "a.hepmc"
    with pyhepmc.open(str(path), "w") as file:
        for number, (p, weight) in enumerate(zip(momenta, weights, strict=True)):
            event = pyhepmc.GenEvent(pyhepmc.Units.MEV, pyhepmc.Units.MM)
            event.event_number = number
            event.weights = [weight]
            vertex = pyhepmc.GenVertex((0, 0, 0, 0))
            vertex.add_particle_in(pyhepmc.GenParticle((0, 0, 1000, 1000), 2212, 4))
            for i, q in enumerate(p):
                vertex.add_particle_out(pyhepmc.GenParticle(tuple(1000 * q), 11 + i, 1))
            event.add_vertex(vertex)
            file.write(event)
    _, values = _read(path, ["weight", "px", "pid", "status"], 0, 4)
    np.testing.assert_array_equal(values["weight"], weights)
    of_end = values["status"].values == 1
    np.testing.assert_allclose(values["px"].values[of_end], np.concatenate(momenta)[:, 0])
    np.testing.assert_array_equal(values["px"].count, [3, 4, 2, 5])
    text = path.read_bytes()
    for damaged in (text[:-30], text[:200], text.replace(b"P 2 ", b"Q 2 ", 1)):
        path.write_bytes(damaged)
        _refused(path, "a.hepmc")
