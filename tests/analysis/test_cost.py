"""What a question costs, told before it is worked on, and refused where memory has no room."""

import json
import subprocess
import sys

import numpy as np
import pytest

from amplify import regions as rg
from amplify.analysis import cost
from amplify.analysis.inside import rows_inside
from amplify.cli import main

MEASURED = {  # columns, generated, holdout, taught, regions, learners, learned again: seconds, GB
    "5 columns": ((5, 1_000_000, 100_000, 400_000, 3, 1, 15), 8.5, 0.57),
    "5 columns, 1001 regions": ((5, 1_000_000, 100_000, 0, 1001, 0, 0), 13.2, 0.53),
    "5 columns, 101 learners": ((5, 1_000_000, 100_000, 400_000, 101, 101, 0), 43.8, 0.97),
    "368 columns": ((368, 100_000, 100_000, 50_000, 3, 1, 0), 14.2, 0.95),
    "368 columns, small holdout": ((368, 100_000, 10_000, 50_000, 3, 1, 15), 31.2, 0.94),
    "6480 columns": ((6480, 100_000, 100_000, 41_425, 3, 1, 0), 143.4, 6.09),
}


def _size(columns, generated, holdout, taught, regions, learners, again):
    many = columns > 30
    return cost.Size(
        columns=columns,
        generated=generated,
        holdout=holdout,
        kept=min(holdout, (3 << 29) // (4 * columns)) if many else holdout,
        taught=taught,
        regions=regions,
        per_event=2.0 if regions == 3 else 6.0,
        learners=learners,
        learned_again=again,
        values=regions == 1001,
        single=many,
    )


@pytest.mark.parametrize("case", MEASURED)
def test_the_forecast_is_within_a_factor_of_two_of_what_was_measured(case):
    numbers, seconds, gigabytes = MEASURED[case]
    forecast = cost.differential_cost(_size(*numbers))
    assert 0.5 < forecast.seconds / seconds < 2
    assert 0.5 < forecast.bytes / (gigabytes * 1e9) < 2


def test_the_forecast_grows_with_columns_events_and_regions():
    few = _size(5, 100_000, 10_000, 50_000, 3, 1, 0)
    base = cost.differential_cost(few)
    for more in ({"columns": 400}, {"generated": 10**8}, {"regions": 5000}):
        assert cost.differential_cost(few._replace(**more)).seconds > 1.5 * base.seconds
    for more in ({"columns": 6480}, {"holdout": 10**9}, {"per_event": 5000.0, "values": True}):
        assert cost.differential_cost(few._replace(**more)).bytes > 1.5 * base.bytes


def _sparse(path, n, dim):
    np.lib.format.open_memmap(path, "w+", np.float32, (n, dim)).flush()


def _call(tmp_path, *more):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "gen.npy", rng.normal(size=(2000, 5)).astype(np.float32))
    samples = ["--generated", str(tmp_path / "gen.npy"), "--holdout", str(tmp_path / "true.npy")]
    return ["differential", *samples, "--n-train", "100", "--out", str(tmp_path / "out"), *more]


def test_a_huge_holdout_and_thousands_of_regions_are_refused_in_a_line(
    tmp_path, monkeypatch, capsys
):
    """A billion events of five columns, of which none is read, and 5000 bins."""
    monkeypatch.setenv(cost.LIMIT, "8")
    _sparse(tmp_path / "true.npy", 10**9, 5)
    with pytest.raises(SystemExit) as stop:
        main(_call(tmp_path, "--bins", "1000"))
    line = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "\n" not in line
    assert "expected at most 8 GB" in line and "43.1 GB" in line
    assert "5,001 regions" in line and "give a part of the holdout, 13,421,772 events" in line


def test_regions_are_what_is_refused_where_they_need_most(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(cost.LIMIT, "0.4")
    _sparse(tmp_path / "true.npy", 10**6, 5)
    with pytest.raises(SystemExit):
        main(_call(tmp_path, "--bins", "1000", "--summary", "column:x0"))
    assert "name fewer regions, or fewer --columns" in capsys.readouterr().err


def test_the_limit_that_is_set_must_be_a_number(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(cost.LIMIT, "much")
    _sparse(tmp_path / "true.npy", 1000, 5)
    with pytest.raises(SystemExit) as stop:
        main(_call(tmp_path))
    assert stop.value.code == 2 and "a number of gigabytes, got much" in capsys.readouterr().err


def test_a_dry_run_tells_time_and_memory_and_refuses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(cost.LIMIT, "0.01")
    np.save(tmp_path / "true.npy", np.random.default_rng(1).normal(size=(1500, 5)))
    main(_call(tmp_path, "--dry-run", "--json", "-"))
    said = capsys.readouterr()
    plan = json.loads(said.out)
    assert plan["seconds"] > 1 and plan["bytes"] > 1e8
    assert "GB of memory" in said.err and "the command would refuse" in said.err


def test_available_memory_is_less_than_all_of_it(monkeypatch):
    monkeypatch.delenv(cost.LIMIT, raising=False)
    assert 1e8 < cost.available_bytes() < 1e14
    monkeypatch.setenv(cost.LIMIT, "16")
    assert cost.available_bytes() == 16e9


def test_memory_that_runs_out_is_one_line(tmp_path, monkeypatch, capsys):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr("amplify.analysis.differential_answer.answer", greedy)
    with pytest.raises(SystemExit) as stop:
        main(_call(tmp_path))
    line = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and line.startswith("error: memory: ") and "\n" not in line


@pytest.mark.parametrize("count", [3, 200])
def test_rows_of_each_region_are_those_inside(count):
    x = np.random.default_rng(2).normal(size=(500, 2))
    edges = np.linspace(-3, 3, count + 1)
    regions = rg.join(
        rg.mask(lambda x: np.ones(len(x), bool), "all"), rg.bins(rg.column(0), edges, "x0")
    )
    table = regions.contains(x)
    for r, rows in enumerate(rows_inside(regions, x)):
        np.testing.assert_array_equal(x[rows], x[table[:, r]])


@pytest.mark.slow
def test_thousands_of_regions_stay_in_the_memory_that_is_forecast(tmp_path):
    """In a process of its own, because a peak is never forgotten."""
    code = """
import resource, sys
import numpy as np
import amplify
rng = np.random.default_rng(3)
samples = [rng.normal(size=(n, 5)).astype(np.float32) for n in (20_000, 200_000)]
result = amplify.differential(*samples, n_train=100, summary="column:x0", bins=1000)
print(len(result.labels), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    regions, peak = map(int, done.stdout.split())
    size = _size(5, 20_000, 200_000, 0, 5001, 0, 0)._replace(per_event=6.0, values=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert regions == 5001 and peak * unit < 2 * cost.differential_cost(size).bytes < 2e9
