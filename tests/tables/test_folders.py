"""Folders of files, keys in the names of folders, and events for which a condition holds."""

import numpy as np
import pytest

from amplify.engine import Engine, using
from amplify.errors import InputError
from amplify.tables import files, where
from amplify.tables.limits import limits
from amplify.tables.names import names_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
cloudpickle = pytest.importorskip("cloudpickle")

N = 2_000
RNG = np.random.default_rng(3)
RUN, X = np.sort(RNG.integers(0, 40, N)), RNG.normal(size=(N, 2)).astype(np.float32)


def _write(path, rows, group=150, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"x0": X[rows, 0], "x1": X[rows, 1], "run": RUN[rows]} | more
    pq.write_table(pa.table(columns), path, row_group_size=group)


@pytest.fixture
def folder(tmp_path):
    """Two years and two streams, as pyarrow writes partitions."""
    for k, (year, stream) in enumerate([(2017, "e"), (2017, "mu"), (2018, "e"), (2018, "mu")]):
        place = tmp_path / "events" / f"year={year}" / f"stream={stream}"
        _write(place / "part-0.parquet", slice(500 * k, 500 * k + 500))
        (place / "_SUCCESS").touch()
        (place / ".part-0.parquet.crc").touch()
    return tmp_path / "events"


def _read(table, *columns):
    return files.load(files.select(table, list(columns))).x


def test_a_folder_is_what_pyarrow_reads(folder):
    theirs = pytest.importorskip("pyarrow.dataset").dataset(folder, partitioning="hive").to_table()
    table = files.open_sample(str(folder))
    ours = _read(table, "x0", "run", "year")
    for i, name in enumerate(["x0", "run", "year"]):
        np.testing.assert_array_equal(ours[:, i], theirs[name].to_numpy())
    assert table.index == ("year",), "a label, which is looked at where it is named"
    assert table.refused["stream"] == "text, as 'e'"
    assert [part.n for part in table.parts] == [500] * 4


@pytest.mark.parametrize(
    ("names", "dtype"),
    [(["1", "22"], "i8"), (["1", "2.5"], "f8"), (["1", "__HIVE_DEFAULT_PARTITION__"], "f8")],
)
def test_keys_are_numbers_where_all_are(tmp_path, names, dtype):
    for name in names:
        _write(tmp_path / f"k%20={name}" / "x.parquet", slice(0, 3))
    table = files.open_sample(str(tmp_path))
    assert table.dtype("k ") == np.float64
    assert dict(zip(table.columns, table.dtypes, strict=True))["k "] == np.dtype("f8")
    expected = [float("nan" if "HIVE" in name else name) for name in sorted(names)]
    np.testing.assert_array_equal(table.read(2, 4, ["k "])[0], expected)


def test_keys_that_only_python_reads_as_numbers_are_text(tmp_path):
    for name in ["2018_01", "2018_02"]:
        _write(tmp_path / f"month={name}" / "x.parquet", slice(0, 3))
    assert files.open_sample(str(tmp_path)).refused["month"] == "text, as '2018_01'"


def test_whole_keys_beyond_64_bits(tmp_path):
    _write(tmp_path / f"id={10**25}" / "x.parquet", slice(0, 3))
    assert (_read(files.open_sample(str(tmp_path)), "id") == 1e25).all()


def test_a_column_of_the_file_comes_before_a_key(tmp_path):
    _write(tmp_path / "run=7" / "x.parquet", slice(0, 100))
    assert (_read(files.open_sample(str(tmp_path)), "run")[:, 0] == RUN[:100]).all()


def test_folders_that_are_no_sample(tmp_path):
    with pytest.raises(InputError, match="files of one format in a directory, got none"):
        files.open_sample(str(tmp_path))
    _write(tmp_path / "a.parquet", slice(0, 5))
    (tmp_path / "readme.md").touch()
    assert files.open_sample(f"{tmp_path}/").n == 5
    _write(tmp_path / "year=2018" / "b.parquet", slice(0, 5))
    with pytest.raises(InputError, match="name=value for all files or none, got none, and year"):
        files.open_sample(str(tmp_path))
    np.save(tmp_path / "c.npy", X)
    with pytest.raises(InputError, match=r"got \.npy, \.parquet"):
        files.open_sample(str(tmp_path))


CONDITIONS = {
    "run >= 5 and run < 9": (RUN >= 5) & (RUN < 9),
    "run == 3 or 30 < run": (RUN == 3) | (RUN > 30),
    "x0 > 0.3": X[:, 0] > 0.3,
    "abs(x1) <= 0.1 and run != 7": (np.abs(X[:, 1].astype(float)) <= 0.1) & (RUN != 7),
    "year == 2018 and x0 < x1": (np.arange(N) >= 1000) & (X[:, 0] < X[:, 1]),
    "not (year >= 2018)": np.arange(N) < 1000,
    "5 <= run <= 12": (RUN >= 5) & (RUN <= 12),
}


@pytest.mark.parametrize("text", CONDITIONS)
def test_events_are_those_for_which_the_condition_holds(folder, text):
    keep = CONDITIONS[text]
    table = files.open_sample(f"{folder} where {text}")
    assert table.n == keep.sum()
    assert table.source == f"{folder} where {text}"
    np.testing.assert_array_equal(_read(table, "x0", "x1"), X[keep])
    rows = [(0, 3), (table.n // 2, table.n), (7, 8)]
    for start, stop in rows:
        values = table.read(start, stop, ["run", "x1"])
        np.testing.assert_array_equal(values[0], RUN[keep][start:stop])
        np.testing.assert_array_equal(values[1], X[keep][start:stop, 1])


@pytest.mark.parametrize("remote", [False, True])
def test_chunks_of_passing_events(folder, remote):
    keep = CONDITIONS["x0 > 0.3"]
    selection = files.select(files.open_sample(f"{folder} where x0 > 0.3"), ["x1"])

    def send(function, items):
        return (cloudpickle.loads(cloudpickle.dumps(function))(*item) for item in items)

    with using(Engine("elsewhere", 2, send, remote)):
        sums = list(files.over_chunks(lambda first, x, _: (first, x.sum()), selection, 90))
    assert sums == [(k, X[keep][k : k + 90, 1].sum()) for k in range(0, keep.sum(), 90)]


def test_rows_that_cannot_pass_are_not_read(folder, monkeypatch):
    looked_at = []

    def watched(function, selection, size, *, rows):
        looked_at.extend(rows)
        return files.over_chunks(function, selection, size, rows=rows)

    monkeypatch.setattr(where, "over_chunks", watched)
    table = files.open_sample(f"{folder} where run >= 5 and run < 9 and year < 2018")
    read = sum(stop - start for start, stop in looked_at)
    first, last = np.flatnonzero((RUN >= 5) & (RUN < 9))[[0, -1]]
    assert table.n == last + 1 - first
    assert table.n <= read <= table.n + 2 * 150, (
        "groups of 150 rows, the first and the last in part"
    )
    looked_at.clear()
    files.open_sample(f"{folder} where year > 2017 and x0 < 99")
    assert sum(stop - start for start, stop in looked_at) == 1000


def test_what_is_no_number_passes_no_comparison(tmp_path):
    """The least and the largest value that Parquet keeps leave nan out."""
    x = np.array([1.0, np.nan, 3.0, np.inf, np.nan, -5.0])
    whole = pa.array([1, None, 3, 4, None, 6])
    table = pa.table({"x": x, "k": whole})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    for text, rows in {
        "x > 0": [0, 2, 3],
        "x < 2": [0, 5],
        "not (x > 2)": [0, 1, 4, 5],
        "x != 1": [1, 2, 3, 4, 5],
        "k >= 2": [2, 3, 5],
        "not (k >= 2)": [0, 1, 4],
    }.items():
        sample = files.open_sample(f"{tmp_path}/x.parquet where {text}")
        np.testing.assert_array_equal(sample.read(0, sample.n, ["x"])[0], x[rows], text)


def test_the_place_of_a_value_is_that_in_its_file(folder):
    bad = folder / "year=2018" / "stream=mu" / "part-0.parquet"
    x0 = X[1500:, 0].copy()
    x0[321] = np.inf
    _write(bad, slice(1500, 2000), x0=x0)
    table = files.open_sample(f"{folder} where run > 5")
    with pytest.raises(InputError, match=r"inf in row 321, column x0 of .*2018/stream=mu"):
        _read(table, "x0")
    assert _read(files.open_sample(f"{folder} where run > 5 and x0 < 99"), "x0").max() < 99


def test_arrays_of_passing_events(tmp_path):
    jets = [[10.0 * k] * (k % 4) for k in range(60)]
    pq.write_table(
        pa.table({"jets": jets, "k": np.arange(60.0)}), tmp_path / "x.parquet", row_group_size=25
    )
    table = files.open_sample(f"{tmp_path}/x.parquet where count(jets) > 1 and k > 30")
    expected = [sum(jets[k]) for k in range(31, 60) if k % 4 > 1]
    np.testing.assert_array_equal(_read(table, "sum(jets)")[:, 0], expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run > 99", "events that pass, got none of 2,000 rows"),
        ("run", "a condition like pt > 400, got 'run'"),
        ("pt > 3", "one of the columns"),
        ("stream > 1", "stream, text, as 'e'"),
        ("run > (", "an expression like"),
    ],
)
def test_conditions_that_choose_nothing(folder, text, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        files.open_sample(f"{folder} where {text}")


def test_what_a_condition_asks_of_columns():
    names = names_of(["a", "b c"])
    inf, more, less = np.inf, np.nextafter(1, 2), np.nextafter(3, 2)
    two = np.nextafter(2, 1)
    for text, expected in {
        "a > 1 and a <= 4 and `b c` == -2": {"a": (more, 4), "b c": (-2, -2)},
        "1 < a < 3 or a == 2.5": {"a": (more, less)},
        "a < 1 or `b c` < 1": {},
        "not (a < 1)": {},
        "(a > 1) & (abs(`b c`) < 2)": {"a": (more, inf), "b c": (-two, two)},
        "abs(a) > 1": {},
        "2 >= abs(a)": {"a": (-2, 2)},
        "a != 3": {},
        "a > `b c`": {},
        "a + 1 > 3": {},
    }.items():
        assert limits(text, names) == expected, text


def test_where_may_be_in_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "some where x0.npy"
    np.save(name, X)
    assert files.open_sample(name).n == N


def test_a_condition_may_be_longer_than_a_name_of_a_file(folder):
    runs = " or ".join(f"run == {run}" for run in range(40))
    assert len(runs) > 255
    assert files.open_sample(f"{folder} where {runs}").n == N
