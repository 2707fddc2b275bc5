"""The same bits from one thread, from several, from the workers of a cluster, and of the same
events in other files.
"""

import re

import numpy as np
import pytest

from amplify import averaging, compare, differential
from amplify.engine import Engine, using
from amplify.engine.dask import opened
from amplify.tables import reading

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
cloudpickle = pytest.importorskip("cloudpickle")

N = 7_000
_CLOCK = {"seconds", "milliseconds", "inputs", "settings", "git", "created", "environment"}


def _write(path, seed, n, ends=()):
    """Normal numbers with weights, of which some are negative; in one file, or in one behind each
    end.
    """
    rng = np.random.default_rng(seed)
    columns = dict(zip("abc", rng.normal(size=(3, n)).astype(np.float32), strict=True))
    table = pa.table(columns | {"w": rng.normal(1, 0.3, n)})
    starts = [0, *ends]
    for i, (start, stop) in enumerate(zip(starts, [*ends, n], strict=True)):
        part = table.slice(start, stop - start)
        pq.write_table(part, f"{path}_{i}.parquet", row_group_size=700)
    return f"{path}_*.parquet"


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Members and a holdout, and the same in several files."""
    folder = tmp_path_factory.mktemp("events")
    whole = [_write(folder / f"whole{m}", m, N) for m in range(3)]
    parts = [_write(folder / f"parts{m}", m, N, (1, 2_999)) for m in range(3)]
    return {"whole": whole, "parts": parts, "holdout": _write(folder / "holdout", 9, 400)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 500)


def _averaging(events, of="whole"):
    given = {"holdout": events["holdout"], "columns": ["a", "b"], "bins": 2, "n_train": 500}
    return averaging(events[of], weight_column="w", **given)


def _differential(events, of="whole"):
    given = {"columns": ["a", "b"], "summary": "column:a", "n_train": 500}
    return differential(events[of][0], events["holdout"], weight_column="w", **given)


def _compare(events, of="whole"):
    return compare(
        [events[of][0]],
        events["holdout"],
        n_train=500,
        names=["one"],
        columns=["a", "b"],
        statistics=["mean_ks", "mean_wasserstein", "separation", "frechet"],
        permutations=19,
        most=300,
        local=False,
    )


def _said(result):
    """All numbers of a result but times and names of files."""
    warnings = [re.sub(r"/\S*", "", line) for line in result.warnings]
    return _without(result.to_dict() | {"warnings": warnings})


def _without(value):
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items() if key not in _CLOCK}
    if isinstance(value, list | tuple):
        return [_without(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else repr(value)


def _there_and_back(count):
    """Tasks, their functions and what they give, as bytes."""

    def in_order(function, items):
        packed = cloudpickle.dumps(function)
        for item in items:
            count.append(len(packed))
            given = cloudpickle.loads(packed)(*cloudpickle.loads(cloudpickle.dumps(item)))
            yield cloudpickle.loads(cloudpickle.dumps(given))

    return Engine("there and back", 3, in_order, remote=True)


@pytest.mark.parametrize("answer", [_averaging, _differential, _compare])
def test_threads_tasks_and_files_do_not_matter(answer, events, monkeypatch):
    monkeypatch.setattr(reading, "usable_cores", lambda: 1)
    expected = _said(answer(events))
    monkeypatch.setattr(reading, "usable_cores", lambda: 3)
    assert _said(answer(events, "parts")) == expected
    sizes = []
    with using(_there_and_back(sizes)):
        assert _said(answer(events)) == expected
    assert len(sizes) > 3
    assert max(sizes) < 1 << 18  # functions and what they hold, not events


@pytest.mark.slow
def test_workers_of_a_cluster_give_the_same(events):
    expected = _said(_differential(events))
    with opened("local:2") as engine, using(engine):
        assert _said(_differential(events)) == expected
