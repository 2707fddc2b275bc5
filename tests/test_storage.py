"""Files that are whole or not there, state that is noticed to be damaged, places that one run at a
time writes to, and what ends a run from outside.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from amplify import storage
from amplify.errors import InputError
from amplify.locks import NAME, LockedError, directory_lock, file_lock
from amplify.sealed import load_arrays, load_json, save_arrays, save_json
from amplify.stops import StoppedError, interrupted, said, stoppable
from amplify.storage import name_new, whole


def test_a_new_file_replaces_nothing(tmp_path, monkeypatch):
    """Even one that comes while it is written, and where there are no links."""
    path = tmp_path / "a.json"

    def write(text, *, meanwhile=False):
        with whole(path, new=True) as part:
            part.write_text(text)
            if meanwhile:
                path.write_text("precious")

    with pytest.raises(InputError, match="no file of that name yet, got one that exists"):
        write("mine", meanwhile=True)
    assert path.read_text() == "precious" and list(tmp_path.iterdir()) == [path]

    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(storage.os, "link", no_links)
    with pytest.raises(InputError, match="nothing is overwritten"):
        write("mine")
    assert path.read_text() == "precious"
    path.unlink()
    write("mine")
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write("mine")


def test_links_of_unfinished_files_lead_nowhere(tmp_path, monkeypatch):
    """A file of the unfinished name is never written through."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    monkeypatch.setattr(storage.secrets, "token_hex", lambda n: "00")
    (tmp_path / f"a.txt.{os.getpid()}-00.part").symlink_to(precious)
    with pytest.raises(FileExistsError), whole(tmp_path / "a.txt") as part:
        part.write_text("mine")
    assert precious.read_text() == "precious"


def test_a_link_to_a_file_is_replaced_and_the_file_kept(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "a.txt").symlink_to(precious)
    with whole(tmp_path / "a.txt") as part:
        part.write_text("mine")
    assert precious.read_text() == "precious" and (tmp_path / "a.txt").read_text() == "mine"


def test_files_are_on_the_disk_before_they_have_their_names(tmp_path, monkeypatch):
    """Write, sync, rename, sync the directory: seen from the calls, in this order."""
    seen = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(storage.os, "fsync", lambda place: (seen.append("sync"), sync(place)))
    monkeypatch.setattr(storage.os, "replace", lambda *two: (seen.append("name"), replace(*two)))
    with whole(tmp_path / "a.txt") as part:
        part.write_text("mine")
    name_new(tmp_path / "a.txt", tmp_path / "b.txt")
    assert seen == ["sync", "name", "sync"]


ARRAYS = {
    "x": np.arange(6.0).reshape(2, 3),
    "n": np.array(3),
    "text": np.array(["a", "µ"]),
    "empty": np.zeros((0, 2)),
    "when": np.array(["2020-01-01"], "M8[D]"),
}


def test_arrays_come_back_or_are_nothing(tmp_path):
    """Every flipped bit, in 200 places; what belongs to something else; what has no digest."""
    path = tmp_path / "a.npz"
    save_arrays(path, ARRAYS, "seed 3")
    for name, values in (load_arrays(path, "seed 3") or {}).items():
        np.testing.assert_array_equal(values, ARRAYS[name])
        assert values.dtype == ARRAYS[name].dtype and values.shape == ARRAYS[name].shape
    assert load_arrays(path, "seed 4") is None and load_arrays(tmp_path / "b.npz") is None
    content = path.read_bytes()
    places = np.random.default_rng(0).integers(len(content), size=200)
    for place in places.tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found = load_arrays(path, "seed 3")
        # padding, time stamps and the like are in no array
        assert found is None or all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)
    np.savez(path, x=np.zeros(3))
    assert load_arrays(path) is None


def test_json_comes_back_or_is_nothing(tmp_path):
    path, value = tmp_path / "a.json", {"seed": 3, "names": ["a", "µ"], "cuts": None, "x": 0.1}
    save_json(path, value)
    assert load_json(path) == value
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert load_json(path) in (None, value)  # white space says nothing
    for text in ("", "{}", "[]", "3", '{"seed": 3}', "[" * 10**5):
        path.write_text(text)
        assert load_json(path) is None


HOLDS = """
import sys, time
from pathlib import Path
from amplify.locks import directory_lock
with directory_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_directory_is_held_by_one_run_and_stale_locks_are_none(tmp_path):
    out = tmp_path / "runs" / "a"
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(out)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        words = (
            rf"--out .*a: expected .*, got one that is held by process {holder.pid} on \S+ since"
        )
        with pytest.raises(LockedError, match=words), directory_lock(out):
            pass
        holder.kill()
    assert (out / NAME).exists()
    with directory_lock(out):
        (out / "results.json").write_text("")
    assert [path.name for path in out.iterdir()] == ["results.json"]


def test_a_place_is_free_again_and_what_was_made_for_it_is_gone(tmp_path):
    for _ in range(2):
        with directory_lock(tmp_path / "runs" / "a"), file_lock(tmp_path / "b" / "c.json"):
            assert (tmp_path / "runs" / "a").is_dir()
        assert not list(tmp_path.iterdir())
    (tmp_path / "target").write_text("precious")
    (tmp_path / NAME).symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match=r"symbolic links|Too many"), directory_lock(tmp_path):
        pass
    assert (tmp_path / "target").read_text() == "precious"


def test_many_threads_hold_a_place_one_after_the_other(tmp_path):
    """The lock file is removed and made again: nobody holds one that is gone."""
    inside, most, done = [], [], []

    def work():
        for _ in range(20):
            try:
                with directory_lock(tmp_path / "a"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except LockedError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(done) >= 20 and not list(tmp_path.glob("a/*"))


def test_signals_end_a_run_as_an_interruption_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError) as stop, stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    assert interrupted(stop.value)[1] == 143 and "got SIGTERM from outside" in str(
        interrupted(stop.value)
    )
    assert signal.getsignal(signal.SIGTERM) is before
    assert interrupted(KeyboardInterrupt()) == (
        "run: expected to finish, got an interruption; start it again",
        130,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_in_a_finalizer_is_not_lost(number):
    """Python drops what is raised there, as in JAX's callbacks at garbage collections."""

    class Closing:
        def __del__(self):
            os.kill(os.getpid(), number)

    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # workers of pytest ignore SIGINT
    try:
        with pytest.raises(KeyboardInterrupt), stoppable():
            Closing()
            time.sleep(20)
        assert signal.getsignal(number) is usual
    finally:
        signal.signal(number, before)


def test_full_disks_are_named():
    line = "a.h5: expected space to write, got a full disk; make room and start again"
    assert said(OSError(errno.ENOSPC, "No space left on device", "a.h5")) == line
    hdf5 = OSError("Can't write data (file write failed: errno = 28, error message = 'No space')")
    assert said(hdf5) == line.replace("a.h5", "file system")
    assert "used up" in said(OSError(errno.EDQUOT, "Disk quota exceeded", "a"))
    assert "got 'Permission denied'" in said(OSError(errno.EACCES, "Permission denied", "a"))


CUT_SHORT = """
import os, sys, numpy as np
from amplify.stops import stoppable
np.save("a.npy", np.zeros(10**6))
x = np.load("a.npy", mmap_mode="r")
os.truncate("a.npy", 4096)
with stoppable():
    np.array(x)
"""


def test_a_file_that_is_cut_short_while_it_is_read_is_one_line(tmp_path):
    command = [sys.executable, "-c", CUT_SHORT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and "got SIGBUS; a file was cut short" in done.stderr


def test_a_place_where_no_file_can_be_made_is_an_error(tmp_path, monkeypatch):
    """As in /proc, which says that there is no such file whenever one is to be made."""

    def nowhere(*_):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    monkeypatch.setattr("amplify.locks.os.open", nowhere)
    monkeypatch.setattr("amplify.locks._PATIENCE", 0.05)
    with pytest.raises(FileNotFoundError), file_lock(tmp_path / "x.json"):
        pass
