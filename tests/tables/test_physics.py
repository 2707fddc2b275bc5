"""Columns that are no physics are left out, each with its reason."""

import json

import numpy as np
import pytest

from amplify.tables import files, memory
from amplify.tables.physics import ignored_columns, unused_weights, weight_notes

RNG = np.random.default_rng(0)


def _ignored(named=(), **columns):
    table = np.empty(len(next(iter(columns.values()))), [(c, v.dtype) for c, v in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return ignored_columns([memory.from_array(table)], named)


@pytest.mark.parametrize(
    "name", ["run", "event", "eventNumber", "luminosityBlock", "Lumi", "entry", "EVENT_NUMBER"]
)
def test_numbers_of_events_are_left_out_by_name(name):
    number = RNG.integers(1, 10**6, 100)
    pt = RNG.normal(size=100)
    assert _ignored(**{name: number, "pt": pt}) == {name: "event number"}
    assert _ignored(**{name: pt}) == {}  # no whole numbers: it numbers nothing
    assert _ignored([name], **{name: number, "pt": pt}) == {}  # somebody asked for it


@pytest.mark.parametrize("name", ["genWeight", "weight", "LHEWeight_originalXWGTUP", "w", "mc_wgt"])
def test_weights_are_left_out_by_name(name):
    assert _ignored(**{name: np.ones(5), "pt": np.ones(5)}) == {name: "weight by its name"}
    assert _ignored([name], **{name: np.ones(5)}) == {}


@pytest.mark.parametrize("name", ["width", "awt", "wide", "eventshape", "runningmass", "jets"])
def test_other_names_stay(name):
    assert _ignored(**{name: RNG.integers(0, 9, 100)}) == {}


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.float64, np.float32])
def test_what_counts_rows_is_left_out(dtype):
    """With or without gaps, as after a cut; sorted numbers of jets count nothing."""
    rows = np.arange(10_000)
    assert _ignored(n=rows.astype(dtype)) == {"n": "row number"}
    assert _ignored(n=rows[RNG.random(10_000) > 0.4].astype(dtype)) == {"n": "row number"}
    assert _ignored(n=np.sort(RNG.poisson(4, 10_000)).astype(dtype)) == {}
    assert _ignored(n=np.sort(RNG.normal(size=10_000))) == {}
    assert _ignored(n=RNG.permutation(rows).astype(dtype)) == {}
    assert _ignored(n=rows[:5].astype(dtype)) == {}  # five of any kind increase by chance


def test_no_physics_in_one_sample_is_none_in_the_other():
    rows = np.arange(100.0)
    tables = [memory.from_array(x[:, None]) for x in (rows, RNG.permutation(rows))]
    assert ignored_columns(tables) == {"x0": "row number"}
    assert ignored_columns(tables[1:]) == {}


def test_the_index_of_pandas_is_what_the_file_says(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    x = RNG.normal(size=50)
    said = {"index_columns": ["channel", {"kind": "range"}], "columns": []}
    table = pa.table({"pt": x, "channel": RNG.integers(0, 3, 50), "__index_level_0__": x})
    path = tmp_path / "a.parquet"
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(said)}), path)
    opened = files.open_sample(str(path))
    assert opened.index == ("channel",)
    assert ignored_columns([opened]) == dict.fromkeys(
        ["channel", "__index_level_0__"], "pandas index"
    )
    assert files.select(opened, ignored=ignored_columns([opened])).names == ["pt"]
    opened.close()


def test_files_of_one_sample_may_have_an_index_or_not(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"pt": RNG.normal(size=60)})
    frame[frame.pt > 0].to_parquet(tmp_path / "cut.parquet")
    frame.to_parquet(tmp_path / "all.parquet")
    for order in (["cut", "all"], ["all", "cut"]):
        with_index = files.open_sample([str(tmp_path / f"{name}.parquet") for name in order])
        assert with_index.columns == ("pt",)
        with_index.close()


def test_the_index_of_a_table_of_pandas_in_hdf5(tmp_path):
    """As pandas lays it out: a structured array called table in a group that says so."""
    h5py = pytest.importorskip("h5py")
    rows = np.zeros(20, [("index", "i8"), ("values_block_0", "f8", (2,))])
    rows["index"] = RNG.permutation(20)
    rows["values_block_0"] = RNG.normal(size=(20, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("df").attrs["pandas_type"] = np.bytes_("frame_table")
        file["df/table"] = rows
    table = files.open_sample(f"{tmp_path / 'a.h5'}:df/table")
    assert ignored_columns([table]) == {"index": "pandas index"}
    assert table.columns == ("index", "values_block_0[0]", "values_block_0[1]")
    table.close()


def test_weights_are_told_where_none_was_named():
    ignored = {"genWeight": "weight by its name", "n": "row number"}
    (note,) = weight_notes(ignored, None)
    assert "--weight-column genWeight" in note and "--columns" in note and " n " not in note
    assert weight_notes(ignored, "other") == [] and weight_notes({"n": "row number"}, None) == []
    (note,) = weight_notes(dict.fromkeys(["gen w", "w"], "weight by its name"), None)
    assert "--weight-column 'gen w'" in note


def test_weights_that_change_are_named_also_where_columns_are():
    """Events of particles are read by expressions alone, and weights are easily forgotten."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], 50)
    names = ["pt", "genWeight", "xsec_weight"]
    table = memory.from_array(
        np.stack([rng.normal(size=50), signs, np.ones(50)], axis=1), names=names
    )
    (said,) = unused_weights([table, table], ["pt"])
    assert said.startswith(
        "genWeight looks like weights and is not used: --weight-column genWeight"
    )
    assert unused_weights([table], ["pt", "genWeight"]) == []
