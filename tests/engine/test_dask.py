"""Tasks on a Dask cluster: the same results as here, whatever becomes of its workers."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from amplify import cli
from amplify.engine import current_engine, here, tasks, using
from amplify.engine.dask import opened
from amplify.errors import InputError
from amplify.external import remote
from amplify.external.job import new_job, prepare
from amplify.external.supervise import train_members
from amplify.progress import Lines, beside
from amplify.ttbar import simulation
from tests.engine import parts
from tests.engine.test_jobqueue import wait_until

PLAIN = "amplify.examples.plain:fit"
X = np.random.default_rng(5).normal(size=(200, 2)).astype(np.float32)


def test_results_are_those_of_this_process_and_in_order(cluster):
    items = [(i, 0.1) for i in range(40)]
    expected = list(here().in_order(parts.product, items))
    assert list(cluster.in_order(parts.product, iter(items))) == expected
    table = np.random.default_rng(0).normal(size=20_000)  # goes to each worker once

    def large(i):
        return table[i:].sum()

    assert list(cluster.in_order(large, [(i,) for i in range(9)])) == [large(i) for i in range(9)]
    assert list(cluster.in_order(large, [])) == []
    with using(cluster):
        assert current_engine().remote and current_engine().workers == 2
    assert not current_engine().remote


def test_items_are_taken_as_they_are_needed(cluster):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i, 1

    results = cluster.in_order(parts.product, items())
    assert next(results) == 0 and len(taken) <= 8
    results.close()


def test_an_error_of_a_task_arrives_as_it_is(cluster):
    found = []
    with pytest.raises(InputError, match="task: expected anything else, got 3; leave it out"):
        for result in cluster.in_order(parts.refuses_three, ((i,) for i in range(9))):
            found.append(result)
    assert found == [0, 1, 2]


def test_a_killed_worker_costs_only_its_tasks(cluster, tmp_path):
    started = tmp_path / "started"

    def kill():
        wait_until(lambda: started.exists() and started.read_text())
        os.kill(int(started.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    items = ((i, started) for i in range(8))
    assert list(cluster.in_order(parts.process_of, items)) == list(range(8))
    thread.join()


def test_a_task_that_kills_its_workers_is_named(cluster):
    """The innocent ones beside it are not, and what came before it is there."""
    found = []
    with pytest.raises(InputError, match="task kills_its_worker 2: expected a worker that ends it"):
        for result in cluster.in_order(parts.kills_its_worker, ((i, 2) for i in range(6))):
            found.append(result)
    assert found == [0, 1]


def test_a_task_that_nobody_wants_knows_it(cluster, tmp_path):
    ended = tmp_path / "ended"
    results = cluster.in_order(parts.waits_until_unwanted, [(0, tmp_path / "first"), (1, ended)])
    assert next(results) == 0 and not ended.exists()
    results.close()
    wait_until(ended.exists)


def test_members_are_those_of_the_local_run(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gen.py").write_text(
        "import os\nfrom amplify.examples.plain import fit as good\n\n"
        "def fit(x, seed):\n    print(os.getcwd())\n    return good(x, seed)\n"
    )
    asked = {"members": 3, "n_gen": 300, "seed": 7, "workers": 1}
    steps = []
    one = train_members(tmp_path / "one", "gen:fit", X, **asked)
    with using(cluster):
        there = tmp_path / "two"
        two = train_members(there, "gen:fit", X, **asked, progress=lambda *n: steps.append(n))
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    assert steps[0] == (0, 3, "") and steps[-1] == (3, 3, "")
    assert (there / "member_000.log").read_text().strip() == str(tmp_path)


def test_a_member_that_fails_on_a_worker_is_said_as_here(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("def fit(x, seed):\n    print('so long')\n    exit(3)\n")
    (tmp_path / "slow.py").write_text("import time\n\ndef fit(x, seed):\n    time.sleep(100)\n")
    with using(cluster):
        with pytest.raises(InputError, match=r"got SystemExit: 3 .*member 1 failed too"):
            train_members(tmp_path / "run", "bad:fit", X, members=4, n_gen=300)
        words = "it ran longer than --timeout 0.5 s"
        with pytest.raises(InputError, match=words):
            train_members(tmp_path / "late", "slow:fit", X, members=4, n_gen=300, timeout=0.5)


def test_a_directory_that_a_worker_does_not_see_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_APPEARS", 0.0)
    job = new_job(PLAIN, 0, 300, "bootstrap", None, X, None)
    prepare(tmp_path / "run", job, X, None)
    words = "expected what the command has there, got nothing there on worker .* all machines share"
    for directory, home in ((tmp_path / "away", tmp_path), (tmp_path / "run", tmp_path / "home")):
        with pytest.raises(InputError, match=words):
            remote.train_member(directory, job, 0, home, None, {})
    with pytest.raises(InputError, match="the directory of this run, got another run's"):
        other = job._replace(seed=1)
        remote.train_member(tmp_path / "run", other, 0, tmp_path, None, {})
    with pytest.raises(InputError, match="directory of the chunks, got nothing there on worker"):
        simulation._stored_there(parts.simulated, tmp_path / "away", None, 0)


class Settings(NamedTuple):
    seed: int = 0


def test_a_simulation_is_that_of_the_local_run(cluster, tmp_path):
    with using(here()._replace(remote=True)):
        one = simulation.run(38, tmp_path / "one.h5", Settings(), parts.RECIPE)
    with using(cluster):
        two = simulation.run(38, tmp_path / "two.h5", Settings(), parts.RECIPE)
    assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.glob("*.parts"))


def test_a_lost_scheduler_is_one_line():
    from distributed import LocalCluster

    local = LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    )
    with local, opened(local.scheduler_address) as engine:
        results = engine.in_order(parts.product, ((i, 1) for i in range(100)))
        assert next(results) == 0
        local.close()
        with pytest.raises(InputError, match=r"a scheduler until the end.*kept: start again"):
            list(results)


def test_workers_of_other_packages_are_said():
    found = tasks.versions()
    replies = {"tcp://a:1": found | {"numpy": "1.0"}, "tcp://b:1": found}
    client = SimpleNamespace(
        status="running",
        nthreads=lambda: {"tcp://a:1": 2, "tcp://b:1": 1},
        run=lambda function, workers, on_error: {w: replies[w] for w in workers},
    )
    said = []
    watch = tasks.Watch(client, "--dask", said.append, known=False)
    line = f"warning: workers have numpy 1.0 (here {found['numpy']}); results may differ from those"
    assert len(said) == 1 and said[0].startswith(line) and watch.threads == 3
    replies["tcp://b:1"] = ModuleNotFoundError("No module named 'amplify'")
    with pytest.raises(InputError, match="worker tcp://b:1: expected this release of amplify, got"):
        tasks.Watch(client, "--dask", said.append, known=False)


def test_the_cluster_is_beside_the_bar(capsys):
    pending, done = SimpleNamespace(done=lambda: False), SimpleNamespace(done=lambda: True)
    client = SimpleNamespace(status="running", nthreads=lambda: {"a": 1, "b": 1})
    watch = tasks.Watch(client, "--dask", print, known=True)
    watch.follow([pending] * 5 + [done])
    with beside(watch.words):
        lines = Lines("counting", 10)
    lines._next = time.monotonic()
    lines.count(2)
    assert capsys.readouterr().err.rstrip().endswith("; 2 workers, 3 tasks waiting")


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "somewhere": "--dask: expected an address, local[:N] or a YAML file, got somewhere",
        "local:none": "--dask local:N: expected a number of workers, got none",
        "local:0": "--dask local:N: expected a number of workers, got 0",
        "tcp://127.0.0.1:9": "expected a scheduler that answers, got '[Errno 111]",
        "host:port": "expected a scheduler that answers, got",
        "nothing.yaml": "nothing.yaml: expected a YAML file of a cluster, got 'No such file",
    }.items(),
)
def test_words_that_name_no_cluster_are_one_line(text, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["ttbar", "--events", "5", "--out", "no.h5", "--dask", text])
    line = capsys.readouterr().err
    assert stop.value.code == 2 and words in line and line.count("\n") == 1, line


@pytest.mark.parametrize(
    "command",
    [
        "averaging --members a.npy b.npy --n-train 10",
        "differential --generated a.npy --holdout b.npy --n-train 10",
        "compare --generated a.npy --holdout b.npy --n-train 10",
        "forecast --train a.npy --generator a:fit",
        "ttbar --events 5 --out no.h5",
    ],
)
def test_every_command_has_it(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--dask", "somewhere"])
    assert stop.value.code == 2
    assert "error: --dask: expected an address, local[:N] or a YAML" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ttbar --events 5 --out a.h5", "averaging --generator a:fit"])
def test_a_number_of_processes_beside_a_cluster_is_one_line(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--dask", "local", "--workers", "2"])
    assert "--workers: expected nothing beside --dask, got 2" in capsys.readouterr().err


def test_a_command_finds_the_same(cluster, tmp_path, monkeypatch, no_page):
    monkeypatch.chdir(tmp_path)
    np.save("train.npy", X)
    command = f"averaging --generator {PLAIN} --train train.npy --members 2 --n-gen 2000 --bins 3"
    cli.main([*command.split(), "--out", "one"])
    with using(cluster):
        cli.main([*command.split(), "--out", "two"])
    one, two = (json.loads(Path(run, "results.json").read_text()) for run in ("one", "two"))
    assert len(one["estimates"]) == 6 and one["estimates"] == two["estimates"]
    assert [i["sha256"] for i in one["inputs"]] == [i["sha256"] for i in two["inputs"]]
