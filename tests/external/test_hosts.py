"""Members on hosts as they are: damaged files, threads that linger, processes that are stopped,
full disks, modules of the working directory with the names of the standard library's.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.external import attended
from amplify.external.job import is_intact, log_file, read_job
from amplify.external.process import _LOG, shorten
from amplify.sealed import load_json, save_json
from tests.external.generators import GENERATORS, X, calls, is_alive, train, wait_until

SLOW_TO_LEAVE = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
import numpy as np
from amplify.examples.plain import fit as good

def thread_lingers(x, seed):
    threading.Thread(target=time.sleep, args=(10**6,)).start()
    return good(x, seed)

def stops_itself(x, seed):
    os.kill(os.getpid(), signal.SIGSTOP)
    return good(x, seed)

def stops_always(x, seed):
    while True:
        os.kill(os.getpid(), signal.SIGSTOP)

def leaves_a_child(x, seed):
    child = subprocess.Popen(["sleep", "777"], start_new_session=True)
    Path(f"{seed}.child").write_text(str(child.pid))
    return good(x, seed)

def changes_the_events(x, seed):
    np.save(Path("run") / "train.npy", np.zeros((5, 2)))
    return good(x, seed)

def finds_a_full_disk(x, seed):
    import errno, io
    from amplify.external import worker
    def full(*_): raise OSError(errno.ENOSPC, "No space left on device", "member_000.npy")
    worker._reserve = full
    return good(x, seed)

def prints(x, seed):
    for _ in range(12):
        print("x" * (1 << 20))
    print("the last words")
    return good(x, seed)
"""


@pytest.fixture
def odd(here, monkeypatch):
    (here / "odd.py").write_text(SLOW_TO_LEAVE)
    monkeypatch.setattr(attended, "_LEAVING", 0.1)
    return here


def test_a_thread_that_lingers_holds_nobody_up(odd):
    started = time.monotonic()
    assert len(train("odd:thread_lingers").files) == 2
    assert time.monotonic() - started < 300


def test_a_stopped_process_goes_on(odd):
    assert len(train("odd:stops_itself").files) == 2
    with pytest.raises(
        InputError, match=r"got none, its process was stopped \d times; let nothing"
    ):
        train("odd:stops_always", "always")


def test_no_child_is_left_behind(odd):
    assert len(train("odd:leaves_a_child").files) == 2
    children = [int(path.read_text()) for path in odd.glob("*.child")]
    assert len(children) == 2
    wait_until(lambda: not any(is_alive(child) for child in children))


def test_training_events_that_are_changed_under_way_are_noticed(odd):
    """By the third member, whatever the first two have read."""
    words = r"train.npy: expected what the run wrote at its start, got something else"
    with pytest.raises(InputError, match=words):
        train("odd:changes_the_events", members=3, workers=1)


def test_a_full_disk_is_named_and_ends_all(odd):
    words = r"member_000.npy: expected space to write, got a full disk; make room and start again"
    with pytest.raises(InputError, match=words):
        train("odd:finds_a_full_disk", members=8, workers=1)
    assert len(list((odd / "run").glob("*.log"))) == 1


def test_logs_are_bounded_and_keep_the_end(odd, tmp_path):
    train("odd:prints")
    log = odd / "run" / "member_000.log"
    assert log.stat().st_size < 16 << 20
    path = tmp_path / "long.log"
    path.write_bytes(b"a" * _LOG + b"\nthe last words\n")
    shorten(path)
    assert path.stat().st_size < _LOG // 4 + 100
    assert path.read_text().endswith("the last words\n") and "1 MiB" not in path.read_text()[:9]
    before = path.read_bytes()
    shorten(path)
    assert path.read_bytes() == before


def test_modules_with_names_of_the_standard_library_harm_nothing(here):
    """NumPy imports numbers, and the generator's own module is still found."""
    for name in ("numbers", "random", "json"):
        (here / f"{name}.py").write_text("raise RuntimeError('not this one')\n")
    assert len(train("gen:counted").files) == 2


def _damages(content):
    """Ways of damage: a flipped bit in the middle and at the end, half of it, nothing, {}."""
    for place in (len(content) // 2, len(content) - 2):
        flipped = bytearray(content)
        flipped[place] ^= 4
        yield bytes(flipped)
    yield from (content[: len(content) // 2], b"", b"{}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two members of `gen:counted`."""
    here = tmp_path_factory.mktemp("finished")
    before = Path.cwd()
    (here / "gen.py").write_text(GENERATORS)
    os.chdir(here)
    try:
        train("gen:counted")
    finally:
        os.chdir(before)
    return here / "run"


@pytest.mark.parametrize("name", ["job.json", "train.npy", "member_000.npy", "member_001.json"])
def test_damage_is_noticed(finished, tmp_path, name):
    """Whatever is damaged is not taken for whole; nothing else is."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    job = read_job(run)
    for damaged in _damages((run / name).read_bytes()):
        (run / name).write_bytes(damaged)
        whole = [is_intact(run, member, job) for member in (0, 1)]
        assert whole == ["000" not in name, "001" not in name]
        if name == "job.json":
            assert load_json(run / name) is None
        (run / name).write_bytes((finished / name).read_bytes())
    assert is_intact(run, 0, job) and is_intact(run, 1, job)


def test_what_is_damaged_is_trained_again_and_nothing_else(finished, here):
    shutil.copytree(finished, here / "run")
    run, before = here / "run", (finished / "member_000.npy").read_bytes()
    (run / "job.json").write_text("{}")
    (run / "train.npy").write_bytes(b"")
    damaged = bytearray(before)
    damaged[-9] ^= 1
    (run / "member_000.npy").write_bytes(damaged)
    result = train("gen:counted")
    assert len(calls(here)) == 1 and result.damaged == [0]
    assert (run / "member_000.npy").read_bytes() == before
    assert train("gen:counted").damaged == [] and len(calls(here)) == 1


def test_unfinished_files_of_a_killed_run_are_removed(finished, here):
    shutil.copytree(finished, here / "run")
    for name in ("train.npy", "job.json", "member_002.npy", "member_002.json"):
        (here / "run" / f"{name}.12-3fa9.part").write_bytes(b"half")
    train("gen:counted", members=3)
    assert not list((here / "run").glob("*.part")) and len(calls(here)) == 1


def test_members_of_another_job_are_known_without_its_settings(finished, here):
    """Their outcomes say whose they are; settings of an older version are read."""
    shutil.copytree(finished, here / "run")
    job = read_job(here / "run")._asdict()
    (here / "run" / "job.json").unlink()
    with pytest.raises(InputError, match=r"those of this job: .*got .*unknown"):
        train("gen:counted", seed=1)
    (here / "run" / "job.json").write_text(json.dumps(job))
    with pytest.raises(InputError, match=r"those of this job: seed 1, got seed 0"):
        train("gen:counted", seed=1)
    save_json(here / "run" / "job.json", job)
    assert train("gen:counted").damaged == []


@pytest.mark.slow
def test_a_stop_from_outside_ends_the_workers(here):
    """SIGTERM of the command: one line, no worker, no unfinished file."""
    np.save(here / "train.npy", X)
    words = "averaging --generator gen:hangs --train train.npy --members 2 --workers 2 --out run"
    command = [sys.executable, "-m", "amplify", *words.split()]
    (here / "numbers.py").write_text("raise RuntimeError('not this one')\n")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: len([c for c in here.glob("*.child") if c.read_text()]) == 2)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=300)
    line = "error: run: expected to finish, got SIGTERM from outside; start it again\n"
    assert run.returncode == 143 and said == line
    children = [int(path.read_text()) for path in here.glob("*.child")]
    wait_until(lambda: not any(is_alive(child) for child in children))
    left = {path.name for path in (here / "run").rglob("*")}
    assert left == {"members", "job.json", "train.npy", "member_000.log", "member_001.log"}
    assert log_file(here / "run" / "members", 0).exists()
