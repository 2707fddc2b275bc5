"""Input files: every layout gives the same table; every bad one gives one line."""

import h5py
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.tables import files

X = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)


def _write_layouts(directory):
    """The same events in all layouts; names x0, x1, x2 in each."""
    columns = {f"x{i}": X[:, i] for i in range(3)}
    np.save(directory / "plain.npy", X)
    np.save(directory / "structured.npy", np.rec.fromarrays(X.T, names="x0,x1,x2"))
    np.savez(directory / "one.npz", events=X)
    np.savez(directory / "columns.npz", **columns)
    with h5py.File(directory / "file.h5", "w") as file:
        file["deep/events"] = X
        for name, values in columns.items():
            file[f"columns/{name}"] = values


LAYOUTS = [
    "plain.npy",
    "structured.npy",
    "one.npz",
    "one.npz:events",
    "columns.npz",
    "file.h5:deep/events",
    "file.h5:columns",
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_table_in_any_chunks(layout, tmp_path):
    _write_layouts(tmp_path)
    for size in (7, 250, 5000):
        selection = files.select(files.open_table(str(tmp_path / layout)), ["x2", "x0"])
        blocks = [block for block, weight in files.chunks(selection, size)]
        np.testing.assert_array_equal(np.concatenate(blocks), X[:, [2, 0]])


def test_weights_and_descriptions(tmp_path):
    np.save(tmp_path / "a.npy", X)
    selection = files.select(files.open_table(str(tmp_path / "a.npy")), None, "x1")
    block, weight = next(files.chunks(selection))
    np.testing.assert_array_equal(block, X[:, [0, 2]])
    np.testing.assert_array_equal(weight, X[:, 1].astype(np.float64))
    note = files.describe(selection)
    assert note["events"] == 1000 and note["columns"] == ["x0", "x2"]
    assert note["weighted"] and len(note["sha256"]) == 64
    assert files.spread(selection, 640).x.shape == (640, 2)


def test_as_many_events_are_spread_as_are_asked_for(tmp_path):
    """None twice, in their order, from the beginning to the end; multiples of 64 as they were."""
    np.save(tmp_path / "a.npy", np.arange(1000.0)[:, None])
    selection = files.select(files.open_table(str(tmp_path / "a.npy")), None)
    for limit in (1, 25, 63, 110, 640, 999):
        x = files.spread(selection, limit).x[:, 0]
        assert len(x) == limit and (np.diff(x) > 0).all() and x[0] == 0
    assert files.spread(selection, 25).x[-1, 0] >= 960
    starts = files.spread(selection, 128).x[::2, 0]
    np.testing.assert_array_equal(starts, np.arange(64) * 1000 // 64)


def test_a_value_that_is_not_finite_is_located(tmp_path):
    broken = np.random.default_rng(1).normal(size=(2_000_000, 2)).astype(np.float32)
    broken[1_900_001, 1] = np.nan
    np.save(tmp_path / "broken.npy", broken)
    table = files.open_table(str(tmp_path / "broken.npy"))
    with pytest.raises(InputError, match="nan in row 1900001, column x1"):
        list(files.chunks(files.select(table)))
    list(files.chunks(files.select(table, ["x0"])))  # a column that is not used may be broken


class _Trap:
    def __reduce__(self):
        return (print, ("executed",))


def _write_bad(directory):
    np.save(directory / "good.npy", X)
    arrays = {
        "pickle": np.array([_Trap()], dtype=object),
        "empty": X[:0],
        "no_columns": X[:, :0],
        "cube": X.reshape(10, 100, 3),
        "words": np.array(["a", "b"]),
        "complex": X.astype(complex),
    }
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array, allow_pickle=True)
    np.savez(directory / "pickle.npz", x=arrays["pickle"])
    np.savez(directory / "uneven.npz", a=X[:10, 0], b=X[:9, 0])
    (directory / "truncated.npy").write_bytes((directory / "good.npy").read_bytes()[:2000])
    (directory / "text.npy").write_text("x0,x1\n1,2\n")
    (directory / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n broken")
    (directory / "notes.txt").write_text("1 2 3")
    (directory / "folder.npy").mkdir()
    with h5py.File(directory / "group.h5", "w") as file:
        file["a/b/events"] = X
        file["a/b/more"] = X


BAD = [
    "missing.npy",
    "pickle.npy",
    "pickle.npz",
    "empty.npy",
    "no_columns.npy",
    "cube.npy",
    "words.npy",
    "complex.npy",
    "uneven.npz",
    "truncated.npy",
    "text.npy",
    "broken.h5",
    "notes.txt",
    "folder.npy",
    "group.h5",
    "group.h5:nothing",
    "group.h5:a/b",
    "good.npy:inside",
    "uneven.npz:c",
]


@pytest.mark.parametrize("name", BAD)
def test_bad_files_give_one_line_and_execute_nothing(name, tmp_path, capsys):
    """What a user reads of each is in tests/commands/bad_inputs."""
    _write_bad(tmp_path)
    with pytest.raises(InputError) as caught:
        list(files.chunks(files.select(files.open_table(str(tmp_path / name)))))
    assert "expected" in str(caught.value) and "\n" not in str(caught.value)
    assert "executed" not in capsys.readouterr().out


def test_a_missing_data_set_names_those_that_exist(tmp_path):
    _write_bad(tmp_path)
    with pytest.raises(InputError, match="a/b/events"):
        files.open_table(str(tmp_path / "group.h5:nothing"))


def test_an_unknown_column_names_those_that_exist(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InputError, match="x0, x1, x2"):
        files.select(files.open_table(str(tmp_path / "a.npy")), ["pt"])
