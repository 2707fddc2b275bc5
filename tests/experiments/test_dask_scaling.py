"""The table of workers runs, small."""

import json
from contextlib import nullcontext

import pytest

from amplify.engine import here
from experiments.benchmarks import dask_scaling


def test_the_table_of_workers(tmp_path, monkeypatch):
    """In this process: that clusters work is tested elsewhere."""
    for name in ("opened", "processes"):
        monkeypatch.setattr(dask_scaling, name, lambda where: nullcontext(here()))
    path = tmp_path / "times.json"
    dask_scaling.main(
        workers=(1,),
        chunks=2,
        generated=10,
        members=2,
        n_train=50,
        generator="amplify.examples.plain:fit",
        out=path,
    )
    record = json.loads(path.read_text())
    assert [row["where"] for row in record["rows"]] == ["Dask", "processes"] * 2
    assert all(row["s"] > 0 and row["efficiency"] == 1 for row in record["rows"])


def test_efficiency_is_that_of_added_cores(monkeypatch):
    monkeypatch.setattr(dask_scaling, "usable_cores", lambda: 2)
    rows = [
        {"what": "a", "where": "Dask", "workers": n, "s": s} for n, s in ((1, 8), (2, 5), (4, 4))
    ]
    found = [row["efficiency"] for row in dask_scaling._with_efficiency(rows)]
    assert found == pytest.approx([1, 0.8, 1])
