"""Arrays in memory go through the same code as files."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.tables import files, memory

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_an_array_reads_as_its_file_does(tmp_path):
    np.save(tmp_path / "x.npy", X)
    columns = ["x2", "twice = 2 * x0"]
    array = files.load(files.select(memory.from_array(X), columns))
    file = files.load(files.select(files.open_table(f"{tmp_path / 'x.npy'}"), columns))
    np.testing.assert_array_equal(array.x, file.x)
    assert array.weight is file.weight is None


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, lambda x: x.tolist()])
def test_anything_that_numpy_takes(kind):
    block, _ = next(files.chunks(files.select(memory.from_array(kind(X)))))
    np.testing.assert_array_equal(block, X)


def test_names_and_weights_are_columns():
    weight = np.array([1.0, 2.0, 3.0, 4.0])
    table = memory.from_array(X, ["pt", "eta", "phi"], weight)
    assert table.columns == ("pt", "eta", "phi", "weight")
    selection = files.select(table, weight_column="weight")
    assert selection.names == ["pt", "eta", "phi"]
    events = files.load(selection)
    np.testing.assert_array_equal(events.x, X)
    np.testing.assert_array_equal(events.weight, weight)


def test_a_vector_and_a_structured_array():
    assert memory.from_array(np.ones(3)).columns == ("x0",)
    fields = np.zeros(3, [("pt", "f4"), ("p4", "f8", 2), ("name", "U3")])
    table = memory.from_array(fields)
    assert table.columns == ("pt", "p4[0]", "p4[1]")
    assert list(table.refused) == ["name"]


def test_description_holds_the_digest_of_the_bytes():
    weight = np.ones(4)
    plain = files.describe(files.select(memory.from_array(X, source="generated")))
    assert plain == {
        "path": "generated",
        "sha256": hashlib.sha256(X.tobytes()).hexdigest(),
        "events": 4,
        "columns": ["x0", "x1", "x2"],
        "weighted": False,
    }
    every_second_row = files.describe(files.select(memory.from_array(np.repeat(X, 2, 0)[::2])))
    assert every_second_row["sha256"] == plain["sha256"]
    weighted = files.describe(files.select(memory.from_array(X, weight=weight), ["x0"], "weight"))
    assert weighted["weighted"]
    assert weighted["sha256"] == hashlib.sha256(X.tobytes() + weight.tobytes()).hexdigest()


def test_two_arrays_of_one_name_are_no_file_named_twice():
    tables = [memory.from_array(X), memory.from_array(X)]
    files.refuse_twice([part.source for table in tables for part in table.parts], "samples")


def test_values_that_are_not_finite_have_a_place():
    x = X.copy()
    x[2, 1] = np.nan
    with pytest.raises(InputError, match="nan in row 2, column x1"):
        files.load(files.select(memory.from_array(x)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.float64(1.0)}, "shape"),
        ({"x": [[1.0], [1.0, 2.0]]}, "an array"),
        ({"x": ["a", "b"]}, "real numbers"),
        ({"x": np.zeros((0, 3))}, "at least one event"),
        ({"x": X, "names": ["a", "b"]}, "names of array"),
        ({"x": X, "names": ["a", "b", "a"]}, "names of array"),
        ({"x": X, "weight": np.ones(3)}, "one per event"),
        ({"x": X, "weight": np.ones((4, 1))}, "one per event"),
        ({"x": X, "weight": list("abcd")}, "one per event"),
        ({"x": X, "names": ["a", "weight", "b"], "weight": np.ones(4)}, "none called weight"),
    ],
)
def test_what_is_no_sample_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        memory.from_array(**arguments)
