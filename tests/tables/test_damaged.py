"""Files of any bytes: what can be read is read, everything else is one line."""

import contextlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amplify.errors import AmplifyError, InputError
from amplify.tables import files
from tests.commands.bad_files import npy_header, write_files

GOOD = ["a.npy", "good.npz", "good.h5", "ab.parquet", "a.root", "ab.feather", "ab.csv"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A directory with files that are good, and such that are wrong."""
    directory, before = tmp_path_factory.mktemp("files"), Path.cwd()
    os.chdir(directory)
    write_files()
    os.chdir(before)
    return directory


def _load(path):
    table = files.open_table(str(path))
    try:
        return files.load(files.select(table))
    finally:
        table.close()


examples = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
sizes = st.integers(-1, 4) | st.sampled_from([50, 10**6, 2**31, 2**63, 10**30])
numbers = ["<f8", ">f4", "<f2", "|b1", "<i8", "|u1"]
no_numbers = ["<U3", "|O", "<c16", "|V3", "<M8[s]", "nonsense", None, 7]
fields = [("a", "<f8"), ("b", "<i4", (2,))]


@settings(examples, max_examples=150)
@given(
    st.lists(sizes, max_size=4).map(tuple),
    st.sampled_from([*numbers, *no_numbers, fields]),
    st.booleans(),
    st.binary(max_size=100),
)
def test_random_shapes_and_types(tmp_path, shape, kind, fortran, data):
    """What NumPy reads of it without pickles is what is read; the rest is one line."""
    if any(n > 50 for n in shape[1:]):
        shape = shape[:1]  # see test_a_head_that_claims_many_columns
    path = tmp_path / "random.npy"
    head = f"{{'descr': {kind!r}, 'fortran_order': {fortran}, 'shape': {shape!r}}}"
    path.write_bytes(npy_header(head, end=data * 4))
    try:
        x = _load(path).x
    except AmplifyError as error:
        assert "\n" not in str(error)
        return
    expected = np.load(path, allow_pickle=False)
    if expected.dtype.names is None:
        np.testing.assert_array_equal(x, expected.reshape(len(expected), -1).astype(np.float64))


@settings(examples, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=3),
    st.floats(0, 1) | st.just(1.0),
    st.binary(max_size=20),
)
@pytest.mark.parametrize("name", GOOD)
def test_damaged_files(written, tmp_path, name, overwritten, kept, more):
    """Bytes overwritten, cut off and added anywhere."""
    data = bytearray((written / name).read_bytes())
    for place, noise in overwritten:
        start = int(place * len(data))
        data[start : start + len(noise)] = noise
    path = tmp_path / f"damaged{Path(name).suffix}"
    path.write_bytes(bytes(data[: int(kept * len(data))]) + more)
    with contextlib.suppress(AmplifyError):
        _load(path)


@settings(examples, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([".npy", ".npz", ".h5"]), st.integers(0, 200))
def test_random_bytes(tmp_path, noise, suffix, keep):
    np.save(tmp_path / "seed.npy", np.zeros((5, 3), np.float32))
    path = tmp_path / f"noise{suffix}"
    path.write_bytes((tmp_path / "seed.npy").read_bytes()[:keep] + noise)
    with contextlib.suppress(AmplifyError):
        _load(path)


def test_a_parquet_file_with_checksums_is_verified(written):
    with pytest.raises(InputError):
        _load(written / "middle_checked.parquet")


def test_a_head_that_claims_many_columns(tmp_path):
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 300000)}"
    (tmp_path / "wide.npy").write_bytes(npy_header(head))
    tracemalloc.start()
    with pytest.raises(InputError):
        files.open_table(str(tmp_path / "wide.npy"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
