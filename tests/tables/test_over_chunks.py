"""Functions of chunks: in threads, as tasks elsewhere, and in what order."""

import os
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from amplify.engine import Engine, using
from amplify.errors import InputError
from amplify.tables import files, memory, parallel, pool, reading
from amplify.tables.spans import ranges, spans

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
cloudpickle = pytest.importorskip("cloudpickle")

N, SIZE = 5_000, 300
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
WEIGHT = np.random.default_rng(1).uniform(size=N)


def _elsewhere():
    """An engine that sends all there and back as a cluster does, and what went."""
    sent: list[int] = []

    def in_order(function, items):
        for item in items:
            task = cloudpickle.dumps((function, item))
            sent.append(len(task))
            called, given = cloudpickle.loads(task)
            yield cloudpickle.loads(cloudpickle.dumps(called(*given)))

    return Engine("elsewhere", 3, in_order, remote=True), sent


def _table(rows: slice):
    columns = {name: X[rows, i] for i, name in enumerate("abc")}
    return pa.table(columns | {"w": WEIGHT[rows]})


@pytest.fixture
def sample(tmp_path):
    """Two files, whose groups of rows end where no chunk ends."""
    pq.write_table(_table(slice(0, 3100)), tmp_path / "1.parquet", row_group_size=700)
    pq.write_table(_table(slice(3100, N)), tmp_path / "2.parquet", row_group_size=700)
    return files.select(files.open_sample(f"{tmp_path}/*.parquet"), ["c", "s = a + b"], "w")


def _sums(first, x, weight):
    return first, len(x), x.sum(axis=0).tolist(), float((weight * x[:, 0]).sum())


def _expected(selection, rows):
    result = []
    for start, stop in rows:
        first = start
        for x, weight in files.chunks(selection, SIZE, start=start, stop=stop):
            result.append(_sums(first, x, weight))
            first += len(x)
    return result


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_give_the_bits_of_chunks(sample, threads, monkeypatch):
    monkeypatch.setattr(reading, "usable_cores", lambda: threads)
    assert list(files.over_chunks(_sums, sample, SIZE)) == _expected(sample, [(0, N)])
    rows = [(10, 650), (3000, 3200), (4999, 5000)]
    assert list(files.over_chunks(_sums, sample, SIZE, rows=rows)) == _expected(sample, rows)
    some = files.over_chunks(_sums, sample, SIZE, start=299, stop=1299)
    assert list(some) == _expected(sample, [(299, 1299)])


def test_other_processes_give_the_same_bits_and_open_the_files(sample):
    engine, sent = _elsewhere()
    with using(engine):
        assert list(files.over_chunks(_sums, sample, SIZE)) == _expected(sample, [(0, N)])
    assert len(sent) > 3
    assert max(sent) < 20_000, "files go by their names"


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.h5", "x.csv", "x.feather", "x.root"])
def test_every_format_may_be_read_at_several_places(name, tmp_path, monkeypatch):
    path, columns = tmp_path / name, {c: X[:, i] for i, c in enumerate(["x0", "x1", "x2"])}
    if name == "x.npy":
        np.save(path, X)
    elif name == "x.npz":
        np.savez_compressed(path, **columns)  # pyright: ignore[reportArgumentType]
    elif name == "x.h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            for c, values in columns.items():
                file.create_dataset(c, data=values, chunks=(1000,), compression="gzip")
    elif name == "x.csv":
        pytest.importorskip("pyarrow.csv").write_csv(pa.table(columns), path)
    elif name == "x.feather":
        pytest.importorskip("pyarrow.feather").write_feather(pa.table(columns), path, chunksize=900)
    else:
        with pytest.importorskip("uproot").recreate(path) as file:
            file.mktree("t", {c: np.float32 for c in columns})
            for rows in (slice(0, 2000), slice(2000, N)):
                file["t"].extend({c: values[rows] for c, values in columns.items()})
    monkeypatch.setattr(reading, "usable_cores", lambda: 4)
    selection = files.select(files.open_sample(str(path)))

    def both(first, x, weight):
        return first, x.copy()

    given = list(files.over_chunks(both, selection, SIZE))
    assert [first for first, _ in given] == list(range(0, N, SIZE))
    read = np.concatenate([x for _, x in given])
    np.testing.assert_array_equal(read.astype(np.float32), X)
    engine, _ = _elsewhere()
    with using(engine):
        again = np.concatenate([x for _, x in files.over_chunks(both, selection, SIZE)])
    np.testing.assert_array_equal(again, read)


def test_threads_read_a_file_at_the_same_time(sample, monkeypatch):
    """Each waits in the middle of its reading for the other: one lock for all would not end."""
    monkeypatch.setattr(reading, "usable_cores", lambda: 2)
    opened = pool._Reopened._opened
    both = threading.Barrier(2)
    seen = []

    def meets(handle):
        table = opened(handle)

        def read(start, stop, names):
            if len(seen) < 2:
                seen.append(threading.get_ident())
                both.wait(timeout=20)
            return table.read(start, stop, names)

        return table._replace(read=read)

    monkeypatch.setattr(pool._Reopened, "_opened", meets)
    sample.table.close()
    assert list(files.over_chunks(_sums, sample, SIZE)) == _expected(sample, [(0, N)])
    assert len(set(seen)) == 2


def test_arrays_in_memory_stay_here():
    selection = files.select(memory.from_array(X))
    engine, sent = _elsewhere()
    with using(engine):
        given = list(files.over_chunks(lambda first, x, weight: x.sum(), selection, SIZE))
    assert given == [x.sum() for x, _ in files.chunks(selection, SIZE)]
    assert not sent


@pytest.mark.parametrize("remote", [False, True])
def test_what_is_not_finite_is_found_as_before(tmp_path, remote):
    x = X.copy()
    x[[2500, 4001], [1, 2]] = np.nan
    columns = {name: x[:, i] for i, name in enumerate("abc")}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=700)
    table = files.open_sample(f"{tmp_path}/x.parquet")
    engine = _elsewhere()[0] if remote else None
    found = "nan in row 2500, column b, and 1 more such events"
    with using(engine) if engine else using(Engine("here", 1, lambda f, i: iter(()))):
        given = files.over_chunks(lambda first, x, weight: first, files.select(table), SIZE)
        assert next(given) == 0
        with pytest.raises(InputError, match=found):
            list(given)
        left = files.counted(files.select(table, drop_nonfinite=True))
    assert left.n == N - 2


def test_a_sample_opens_again_from_its_pickle_wherever_the_process_is(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    monkeypatch.chdir(tmp_path)
    table = files.open_sample("x.npy")
    again = pickle.dumps(table), cloudpickle.dumps(files.select(table, ["2 * x1"]))
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(again[0]).read(3, 5, ["x2"])[0], X[3:5, 2])
    twice = next(files.chunks(cloudpickle.loads(again[1])))[0]
    np.testing.assert_array_equal(twice[:, 0], 2 * X[:, 1].astype(float))


def test_a_file_that_is_gone_or_another_one_is_an_error(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, X)
    sent = pickle.dumps(files.open_sample(str(path)))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="another one since it was opened"):
        pickle.loads(sent).read(0, 1, ["x0"])
    path.unlink()
    with pytest.raises(InputError, match="no file"):
        pickle.loads(sent).read(0, 1, ["x0"])


def test_few_files_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_most", lambda: 3)
    paths = [tmp_path / f"{k}.parquet" for k in range(9)]
    for k, path in enumerate(paths):
        pq.write_table(_table(slice(100 * k, 100 * k + 100)), path)
    table = files.open_sample(list(map(str, paths)))
    given = list(files.over_chunks(_sums, files.select(table, ["a"], "w"), 50))
    assert [n for _, n, _, _ in given] == [50] * 18
    assert pool.open_now() <= 3


def test_an_error_of_a_function_ends_it(sample):
    def fails(first, x, weight):
        return 1 // (600 - first)

    with pytest.raises(ZeroDivisionError):
        list(files.over_chunks(fails, sample, SIZE))


def test_work_that_nobody_waits_for_stops():
    halt, begun = parallel.Stop(), threading.Event()

    def work(k):
        begun.set()
        assert k == 0 or halt.wait(20)
        return k

    given = parallel.in_order(work, ((k,) for k in range(10)), 2, halt)
    assert next(given) == 0
    given.close()
    assert halt.is_set()


def test_an_error_ends_what_other_threads_are_reading(sample, monkeypatch):
    monkeypatch.setattr(reading, "usable_cores", lambda: 2)
    calls, failed = [], threading.Event()

    def fails_first(first, x, weight):
        calls.append(first)
        if first == 0:
            failed.set()
            raise InputError("a", "b", "c", "d")
        failed.wait(10)
        time.sleep(0.05)  # by then whoever asked has heard of it
        return first

    with pytest.raises(InputError, match="expected b"):
        list(files.over_chunks(fails_first, sample, SIZE))
    assert len(calls) <= 3, calls  # of 17: that one, and what was under way


def test_runs_begin_where_reading_may_begin():
    chunks = ranges([(0, 100_000)], 100)
    starts = np.arange(0, 100_000, 1030)
    runs = spans(chunks, starts, 2, 16)
    assert sum(runs, ()) == tuple(chunks)
    again = [run[0][0] - starts[starts <= run[0][0]].max() for run in runs]
    assert max(again) <= 250, "a quarter of what a run reads"
    assert sum(again) < 8_000
    assert max(map(len, runs)) <= 16
    # what is read from its beginning only is one run
    assert len(spans(chunks, np.array([0]), 8, 16)) == 1
    assert len(spans(chunks, None, 2, 16)) >= 63


def test_the_table_says_where_its_file_is(tmp_path):
    np.save(tmp_path / "x.npy", X)
    part = pickle.loads(pickle.dumps(files.open_sample(f"{tmp_path}/x.npy"))).parts[0]
    assert part.path == Path(tmp_path / "x.npy").absolute()
