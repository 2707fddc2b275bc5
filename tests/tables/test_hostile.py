"""Files that point elsewhere, claim more than they hold, have names of any bytes, or changed since
they were written; many files, and files of many columns.
"""

import resource
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from amplify.errors import InputError
from amplify.tables import files, pool
from amplify.tables.opening import opening
from amplify.text import harmless

X = np.random.default_rng(0).normal(size=(100, 2))


def _load(source, columns=None, **settings):
    with opening(**settings):
        table = files.open_sample(str(source))
        try:
            return files.load(files.select(table, columns)).x
        finally:
            table.close()


def _refused(source, *words, **settings):
    with pytest.raises(InputError) as caught:
        _load(source, **settings)
    line = str(caught.value)
    assert "\n" not in line and harmless(line) == line
    for word in words:
        assert word in line, line


def _virtual(file, sources):
    layout = h5py.VirtualLayout((100 * len(sources), 2), "f8")
    for i, source in enumerate(sources):
        layout[100 * i : 100 * (i + 1)] = h5py.VirtualSource(source, "x", (100, 2))
    file.create_virtual_dataset("x", layout, fillvalue=0)


@pytest.fixture
def pointing(tmp_path):
    """Files that point to others beside them and, of these, some that are not there."""
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data/other.h5", "w") as file:
        file["x"] = X
    (tmp_path / "data/raw.bin").write_bytes(X.tobytes())
    makers = {
        "link": lambda f: f.__setitem__("x", h5py.ExternalLink("data/other.h5", "/x")),
        "raw": lambda f: f.create_dataset("x", X.shape, "f8", external=[("data/raw.bin", 0, 1600)]),
        "virtual": lambda f: _virtual(f, ["data/other.h5"]),
        "link_gone": lambda f: f.__setitem__("x", h5py.ExternalLink("data/gone.h5", "/x")),
        "raw_gone": lambda f: f.create_dataset(
            "x", (5,), "f8", external=[("data/gone.bin", 0, 40)]
        ),
        "virtual_gone": lambda f: _virtual(f, ["data/other.h5", "data/gone.h5"]),
    }
    for name, make in makers.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            make(file)
    with h5py.File(tmp_path / "chain.h5", "w") as file:  # to a file that points elsewhere itself
        file["here"] = h5py.SoftLink("/there")
        file["there"] = h5py.ExternalLink("virtual.h5", "/x")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "other"),
    [("link", "data/other.h5"), ("raw", "data/raw.bin"), ("virtual", "data/other.h5")],
)
def test_what_a_file_points_to_is_read_only_when_asked_for(pointing, name, other, monkeypatch):
    """And then its digest is among the inputs; paths start from the folder of the file."""
    path = pointing / f"{name}.h5"
    for source in (path, f"{path}:x"):
        _refused(source, other, "--follow-links")
        np.testing.assert_array_equal(_load(source, follow_links=True), X)
    monkeypatch.chdir(pointing / "data")  # where HDF5 itself would find raw storage
    np.testing.assert_array_equal(_load(path, follow_links=True), X)
    with opening(follow_links=True):
        table = files.open_sample(str(path))
    described = files.describe(files.select(table))
    digest = files.describe(files.select(files.open_sample("other.h5")))["sha256"]
    (found,) = described["points_to"]
    assert found["path"] == str(pointing / other)
    assert found["sha256"] == digest or name == "raw"
    assert described["sha256"] != found["sha256"]
    table.close()


@pytest.mark.parametrize("name", ["link_gone", "raw_gone", "virtual_gone"])
def test_a_missing_source_is_no_zeros(pointing, name):
    _refused(pointing / f"{name}.h5", "--follow-links")
    _refused(pointing / f"{name}.h5", "gone", "no such file", follow_links=True)


def test_links_of_links(pointing, tmp_path):
    _refused(f"{pointing / 'chain.h5'}:here", "virtual.h5", "--follow-links")
    np.testing.assert_array_equal(_load(f"{pointing / 'chain.h5'}:here", follow_links=True), X)
    with h5py.File(tmp_path / "circle.h5", "w") as file:
        file["x"], file["a"], file["b"] = X, h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file.create_group("g")["up"] = file["/"]
        file["alias"] = h5py.SoftLink("g/up/x")
    _refused(f"{tmp_path / 'circle.h5'}:a", "circle")
    _refused(f"{tmp_path / 'circle.h5'}:nothing", "x")
    for inside in ("x", "alias", "g/up/g/up/x"):
        np.testing.assert_array_equal(_load(f"{tmp_path / 'circle.h5'}:{inside}"), X)


def test_a_link_beside_columns_does_not_keep_them_from_being_read(pointing):
    with h5py.File(pointing / "beside.h5", "w") as file:
        file["a"], file["b"] = X[:, 0], X[:, 1]
        file["c"] = h5py.ExternalLink("data/other.h5", "/x")
    np.testing.assert_array_equal(_load(pointing / "beside.h5", ["a", "b"]), X)
    _refused(pointing / "beside.h5", "data/other.h5")


def test_names_of_any_bytes(tmp_path):
    """They are called as a program would write them, and can be named so."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(b"pt\xff\xfe", data=X[:, 0])
        file["x\x1b[31m\n"] = X[:, 1]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = X
        file["x"].attrs["columns"] = ["pt", "x\x1b[31m\n"]
    pq.write_table(pa.table({"pt": X[:, 0], "x\x1b[31m\n": X[:, 1]}), tmp_path / "a.parquet")
    for source, first in (("a.h5", r"pt\udcff\udcfe"), ("a.parquet", "pt")):
        names = [first, r"x\x1b[31m\n"]
        np.testing.assert_array_equal(_load(tmp_path / source, names), X)
    assert files.open_sample(str(tmp_path / "b.h5")).columns == ("pt", r"x\x1b[31m\n")
    _refused(f"{tmp_path / 'a.h5'}:y", "x\\x1b[31m")


def test_claims_are_said_before_anything_is_read(tmp_path):
    """A few bytes that claim terabytes; what is as large as it says is read."""
    with h5py.File(tmp_path / "fill.h5", "w") as file:
        file.create_dataset("x", (10**12, 4), "f4", chunks=(1 << 20, 4), fillvalue=1.0)
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file.create_dataset("x", (10**6, 99_999), "f4", chunks=(1, 99_999), fillvalue=1.0)
    _refused(tmp_path / "fill.h5", "1,000,000,000,000 rows of 4 columns", "--max-gb 16001")
    _refused(tmp_path / "wide.h5", "1,000,000 rows of 99,999 columns")
    zeros = np.zeros((200_000, 2))
    np.savez_compressed(tmp_path / "zeros.npz", x=zeros)
    pq.write_table(pa.table({"a": zeros[:, 0], "b": zeros[:, 1]}), tmp_path / "zeros.parquet")
    for name in ("zeros.npz", "zeros.parquet"):
        _refused(tmp_path / name, "200,000 rows", max_gb=1e-3)
        assert len(_load(tmp_path / name, max_gb=4e-3)) == 200_000
    np.save(tmp_path / "large.npy", zeros)
    assert len(_load(tmp_path / "large.npy", max_gb=1e-6)) == 200_000


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_bit_of_an_archive(save, tmp_path):
    """Whatever the Python: a wrong bit in the numbers is never read."""
    path = tmp_path / "a.npz"
    save(path, a=X[:, 0], b=X[:, 1])
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("b.npy")
        begin, size = member.header_offset + 60, member.compress_size
    for place in np.random.default_rng(1).integers(begin + size // 3, begin + size - 30, 12):
        wrong = bytearray(data)
        wrong[place] ^= 1 << int(place) % 8
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=r"a\.npz"):
            _load(path)


def test_shapes_that_are_none(tmp_path):
    from tests.commands.bad_files import npy_header

    for shape in ("(True, 4)", f"({'9' * 4000},)", "(4, -1)"):
        head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"
        (tmp_path / "a.npy").write_bytes(npy_header(head, end=bytes(64)))
        _refused(tmp_path / "a.npy", "shape [event, column]")


def test_many_arrays_of_an_archive_share_one_open_file(tmp_path, monkeypatch):
    """The time is that of reading them once: the list of names is not read again for each."""
    columns = {f"c{i}": np.full(3, float(i)) for i in range(200)}
    np.savez(tmp_path / "a.npz", **columns)
    opened = []
    original = zipfile.ZipFile.__init__
    monkeypatch.setattr(
        zipfile.ZipFile,
        "__init__",
        lambda self, *a, **k: (opened.append(1), original(self, *a, **k))[1],
    )
    x = _load(tmp_path / "a.npz")
    np.testing.assert_array_equal(x[1], np.arange(200.0))
    assert len(opened) == 1


def test_many_fields_and_columns(tmp_path):
    """Four thousand of them: quadratic ones would take long."""
    fields = np.zeros(2, [(f"f{i:04d}", "f4") for i in range(4000)])
    with pytest.warns(UserWarning, match="format 2"):
        np.save(tmp_path / "fields.npy", fields)
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file["x"] = np.zeros((2, 4000), np.float32)
    for name in ("fields.npy", "wide.h5"):
        assert _load(tmp_path / name).shape == (2, 4000)


@pytest.fixture
def many_files(tmp_path):
    """Sixty files of three events in two formats."""
    for i in range(30):
        with h5py.File(tmp_path / f"{i:03d}.h5", "w") as file:
            file["n"], file["m"] = np.full(3, 2.0 * i), np.arange(3.0)
        columns = {"n": np.full(3, 2.0 * i + 1), "m": np.arange(3.0)}
        pq.write_table(pa.table(columns), tmp_path / f"{i:03d}.parquet")
    return sorted(map(str, tmp_path.iterdir()))


def test_many_files_with_few_open_ones(many_files, monkeypatch):
    monkeypatch.setattr(pool, "_MOST", 5)
    table = files.open_sample(many_files)
    selection = files.select(table, ["n", "m"])
    for _ in range(2):
        x = files.load(selection).x
        np.testing.assert_array_equal(x, [(i, j) for i in range(60) for j in range(3)])
        assert pool.open_now() <= 5
    table.close()


def test_many_files_where_a_process_may_have_few(many_files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert _load(many_files[0]).shape == (3, 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 40, hard))
    try:
        table = files.open_sample(many_files)
        assert files.load(files.select(table)).x.shape == (180, 2)
        table.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_that_changes_while_it_is_read(many_files, monkeypatch):
    monkeypatch.setattr(pool, "_MOST", 2)
    table = files.open_sample(many_files[:20])
    with h5py.File(many_files[0], "w") as file:
        file["n"], file["m"] = np.arange(4.0), np.arange(4.0)
    with pytest.raises(InputError, match="another one since it was opened"):
        files.load(files.select(table))
    table.close()
