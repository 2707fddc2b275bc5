"""Cells of a study come out the same wherever they are computed, and are computed once."""

import os
import sys
from functools import partial

import numpy as np
import pytest

from amplify.engine import current_engine, using
from amplify.engine.processes import processes
from amplify.errors import InputError
from experiments import cells, study
from tests.elsewhere import elsewhere


def drawn(seed, number):
    return np.random.default_rng([seed, number]).normal(size=3)


def test_repetitions_are_the_same_everywhere():
    experiment = partial(drawn, 5)
    here = cells.repetitions(experiment, 7, "here", at_once=3)
    assert len(here) == 7
    np.testing.assert_array_equal(here[6], drawn(5, 6))
    with using(elsewhere()):
        np.testing.assert_array_equal(cells.repetitions(experiment, 7, "there", at_once=3), here)


def test_processes_give_the_same():
    with processes(2) as engine, using(engine):
        # a function that a new process imports in no time
        assert cells.repetitions(partial(pow, 3), 5, "powers", at_once=2) == [1, 3, 9, 27, 81]


@pytest.mark.parametrize("engine", [None, elsewhere()], ids=["here", "elsewhere"])
def test_only_missing_and_damaged_cells_are_computed(tmp_path, engine, capsys):
    def compute(number, times):
        log = tmp_path / f"{number}.log"
        log.write_text(log.read_text() + "x" if log.exists() else "x")
        return {"x": times * drawn(number, 0)}

    def all_cells(times=1.0):
        parts = [(tmp_path / f"{k}.npz", partial(compute, k, times)) for k in range(4)]
        if engine is None:
            return [found["x"] for found in cells.cached(parts)]
        with using(engine):
            return [found["x"] for found in cells.cached(parts)]

    first = all_cells()
    np.testing.assert_array_equal(first, [drawn(k, 0) for k in range(4)])
    (tmp_path / "1.npz").unlink()
    (tmp_path / "2.npz").write_bytes(b"half")
    again = all_cells(times=2.0)
    np.testing.assert_array_equal(again, [first[0], 2 * first[1], 2 * first[2], first[3]])
    assert [(tmp_path / f"{k}.log").read_text() for k in range(4)] == ["x", "xx", "xx", "x"]
    assert "2.npz is damaged" in capsys.readouterr().err


def test_a_cell_that_is_wanted_twice_is_computed_once(tmp_path):
    wanted = [0, 1, 0, 2]
    parts = [(tmp_path / f"{k}.npz", partial(lambda k: {"x": drawn(k, 0)}, k)) for k in wanted]
    found = [cell["x"] for cell in cells.cached(parts)]
    np.testing.assert_array_equal(found, [drawn(k, 0) for k in wanted])


def test_one_worker_elsewhere_is_an_engine():
    with using(elsewhere()._replace(workers=1)) as engine, cells.on_all_cores():
        assert current_engine() is engine


def test_a_study_says_what_dask_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["study", "--dask"])
    with pytest.raises(SystemExit) as stop:
        study.run(lambda: None)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: --dask: expected")


@pytest.mark.parametrize(
    ("has_tasks", "coordinator", "words"),
    [(True, "auto", "leave one of them out"), (False, None, "a study that has tasks")],
)
def test_dask_is_refused_where_it_would_do_nothing(
    monkeypatch, capsys, has_tasks, coordinator, words
):
    monkeypatch.setattr(sys, "argv", ["study", "--dask", "local:1"])
    if coordinator:
        monkeypatch.setenv("AMPLIFY_COORDINATOR", coordinator)
    with pytest.raises(SystemExit) as stop:
        study.run(lambda: None, has_tasks=has_tasks)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(InputError, match="one that was killed"), processes(1) as engine:
        list(engine.in_order(os._exit, [(1,)]))
