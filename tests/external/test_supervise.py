"""A user's own generator, trained in processes, and everything it can do wrong."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from amplify.errors import InputError, NeedsMembersError
from amplify.examples import plain
from amplify.external.job import is_finished
from amplify.external.loading import load_function
from amplify.external.members import external_members
from amplify.external.protocol import fit_seed
from amplify.tables.files import load, open_table, select
from tests.external.generators import (
    BROKEN,
    GENERATORS,
    X,
    calls,
    events,
    is_alive,
    only_some,
    train,
    wait_until,
)

PLAIN = "amplify.examples.plain:fit"


def test_both_routes_give_the_same_members(here):
    steps = []
    samples = external_members(plain.fit, X, members=3, n_gen=300, seed=7)
    one = train(PLAIN, "one", members=3, seed=7, workers=1)
    two = train(
        PLAIN, "two", members=3, seed=7, workers=3, progress=lambda *news: steps.append(news)
    )
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    np.testing.assert_array_equal(np.asarray(samples.x), events(one.files))
    assert np.load(one.files[0]).dtype == np.float32
    assert one.failed == [] and one.weight_column is None
    assert "member 0: " in steps[0][2] and "member 2: " in steps[0][2] and steps[-1][:2] == (3, 3)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_generator_is_one_line(here, case):
    body, words = BROKEN[case]
    (here / "broken.py").write_text(
        "import numpy as np\n"
        "def normal(s, shape):\n"
        "    return np.random.default_rng(s).normal(size=shape)\n"
        f"{body}\n"
    )
    with pytest.raises(InputError) as caught:
        train("broken:fit", members=6)
    line = str(caught.value)
    assert words in line and "\n" not in line, line
    if "member 0:" in line:
        log = here / "run" / "member_000.log"
        assert str(log) in line and "member 1 failed too" in line
        assert "Traceback" in log.read_text()
    assert len(list((here / "run").glob("*.log"))) <= 4  # gave up early
    with pytest.raises(InputError) as caught:
        external_members(load_function("broken:fit"), X, members=6, n_gen=300)
    line = str(caught.value)
    assert words.removeprefix("member 0:") in line and "\n" not in line, line


def test_a_process_that_dies_is_one_line(here):
    words = (
        r"got none, its process ended with exit code 3, printing last: so long;"
        r" .*member 1 failed too"
    )
    with pytest.raises(InputError, match=words):
        train("gen:exits")
    with pytest.raises(InputError, match="was killed by SIGSEGV, printing nothing"):
        train("gen:segfaults", "segfaults")


def test_a_process_that_hangs_is_one_line_and_ends_with_its_children(here, out_of_time_when):
    def children():
        texts = [path.read_text() for path in here.glob("*.child")]
        return [int(text) for text in texts if text]

    out_of_time_when(lambda: len(children()) == 2)
    words = "expected events, got none, it ran longer than --timeout 4 s; give it longer"
    with pytest.raises(InputError, match=words):
        train("gen:hangs", timeout=4, members=8)
    assert len(children()) == 2
    wait_until(lambda: not any(is_alive(pid) for pid in children()))


def test_one_failure_loses_no_other_member(here):
    result = train(only_some(here, [1, 3], "exits"), members=5)
    assert [f.name for f in result.files] == ["member_000.npy", "member_002.npy", "member_004.npy"]
    assert [failure["member"] for failure in result.failed] == [1, 3]
    assert "exit code 3" in result.failed[0]["reason"]
    assert not list((here / "run").glob("*.part"))
    good = external_members(plain.fit, X, members=3, n_gen=300)
    np.testing.assert_array_equal(np.asarray(good.x)[[0, 2]], events(result.files[:2]))
    words = (
        r"trained members: expected at least 2, got 1 of 3; member 1: .*exit code 3.*;"
        r" log in .*member_001.log"
    )
    with pytest.raises(NeedsMembersError, match=words):
        train(only_some(here, [1, 2], "exits"), "one", members=3, workers=1)


def test_a_hanging_member_is_left_behind(here, out_of_time_when):
    run, child = here / "run", here / f"{fit_seed(0, 0)}.child"
    out_of_time_when(lambda: child.exists() and all(is_finished(run, m) for m in (1, 2)))
    result = train(only_some(here, [0], "hangs"), members=3, timeout=6)
    assert len(result.files) == 2
    reason = (
        "expected events, got none, it ran longer than --timeout 6 s;"
        " give it longer or make the training shorter"
    )
    assert result.failed == [{"member": 0, "reason": reason}]


def test_a_member_that_hangs_while_it_generates_leaves_no_half_file(here, out_of_time_when):
    run, sampled = here / "run", here / "sampled"
    out_of_time_when(lambda: sampled.exists() and all(is_finished(run, m) for m in (1, 2)))
    train(only_some(here, [0], "hangs_in_sample"), members=3, timeout=6)
    left = {file.name for file in run.iterdir() if "000" in file.name or "part" in file.name}
    assert left == {"member_000.log"}


def test_a_member_that_hangs_on_leaving_is_finished(here, out_of_time_when):
    out_of_time_when(lambda: all(is_finished(here / "run", m) for m in (0, 1)))
    result = train(only_some(here, [0], "hangs_on_leaving"), members=2, timeout=6)
    assert len(result.files) == 2 and result.failed == []


def test_what_is_finished_is_not_trained_again(here):
    first = train("gen:counted", members=3)
    assert "learning from 200" in (here / "run" / "member_002.log").read_text()
    before = [f.read_bytes() for f in first.files]
    assert len(calls(here)) == 3
    train("gen:counted", members=3)
    assert len(calls(here)) == 3
    more = train("gen:counted", members=5)
    assert len(calls(here)) == 5 and len(more.files) == 5
    more.files[1].unlink()  # as if it had failed
    again = train("gen:counted", members=5)
    assert len(calls(here)) == 6 and [f.read_bytes() for f in again.files[:3]] == before
    seeds = [fit_seed(member, 0) for member in (0, 1, 1, 2, 3, 4)]
    assert sorted(map(int, calls(here))) == sorted(seeds)


def test_members_of_another_job_are_refused(here):
    train("gen:counted")
    for words, arguments in {
        "those of this job: seed 1, got seed 0; give another directory": {"seed": 1},
        "generated events 400, got generated events 300": {"n_gen": 400},
        "resampling none": {"resample": "none"},
        "columns ['a', 'b'], got columns ['x0', 'x1']": {"columns": ["a", "b"]},
        "training events ": {"x": X + 1},
    }.items():
        with pytest.raises(InputError, match=r"members in .*/run: ") as caught:
            train("gen:counted", **arguments)
        assert words in str(caught.value), str(caught.value)
    with pytest.raises(InputError, match="generator gen:wanders, got generator gen:counted"):
        train("gen:wanders")
    (here / "gen.py").write_text(GENERATORS + "\n# edited")
    with pytest.raises(InputError, match="source of the generator"):
        train("gen:counted")
    for file in (here / "run").glob("*.npy"):
        file.unlink()
    assert len(train("gen:counted", seed=1).files) == 2  # nothing was left to mix with
    assert len(calls(here)) == 4


PARENT = """
import signal
from pathlib import Path
import numpy as np
from amplify.external.supervise import train_members
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell lack it
train_members(Path("run"), "some:fit", np.load("x.npy"), members=2, n_gen=300, workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_finished_members_and_no_process(here, how):
    only_some(here, [1], "hangs")
    np.save(here / "x.npy", X)
    child = here / f"{fit_seed(1, 0)}.child"
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stderr=subprocess.PIPE)
    wait_until(lambda: child.exists() and child.read_text() and is_finished(here / "run", 0))
    parent.send_signal(how)
    _, said = parent.communicate(timeout=300)
    assert parent.returncode == -how and (how == signal.SIGKILL or b"KeyboardInterrupt" in said)
    wait_until(lambda: not is_alive(int(child.read_text())))
    assert [f.name for f in (here / "run").glob("member_*.npy")] == ["member_000.npy"]


def test_training_weights_are_honoured_or_refused(here):
    weight = np.where(X[:, 0] > 0, 1.0, 0.01)
    samples = external_members(plain.fit, X, members=2, n_gen=1000, weight=weight)
    result = train(PLAIN, weight=weight, n_gen=1000)
    np.testing.assert_array_equal(np.asarray(samples.x), events(result.files))
    assert 0.6 < samples.x[..., 0].mean() < 1
    with pytest.raises(InputError, match="weighted training events"):
        train("gen:counted", "refused", weight=weight)
    assert not (here / "calls").exists()


def test_generated_weights(here):
    gen = load_function("gen:weighted")
    samples = external_members(gen, X, members=2, n_gen=300)
    result = train("gen:weighted", columns=["weight", "p_T [GeV], 'η'"])
    assert result.weight_column == "weight_"
    table = open_table(str(result.files[1]))
    assert tuple(table.columns) == ("weight", "p_T [GeV], 'η'", "weight_")
    read = load(select(table, weight_column="weight_"))
    table.close()
    np.testing.assert_array_equal(read.x, samples.x[1])
    np.testing.assert_array_equal(read.weight, samples.weight[1])
    np.testing.assert_array_equal(read.weight[:6], [-0.5, 1, 1, 1, 1, -0.5])
    assert train("gen:weighted", "plain").weight_column == "weight"
    mixed = only_some(here, [1], "weighted")
    with pytest.raises(InputError, match="generated weights from all of them or from none"):
        train(mixed, "mixed")
    with pytest.raises(InputError, match="generated weights from all of them or from none"):
        external_members(load_function(mixed), X, members=2, n_gen=10)


def test_a_sampler_without_a_seed_gives_every_member_its_own_noise(here):
    one, two = train("gen:forgets_seed"), train("gen:forgets_seed", "again", workers=1)
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    noise = [x - x.mean(axis=0) for x in events(one.files)]
    assert np.abs(noise[0] - noise[1]).max() > 0.5


def test_the_working_directory_may_change(here):
    assert len(train("gen:wanders").files) == 2


def test_many_columns_fit_into_a_file(here):
    x = np.random.default_rng(0).normal(size=(50, 1200)).astype(np.float32)
    assert events(train("gen:noise", x=x, n_gen=10).files).shape == (2, 10, 1200)


def test_doubles_stay_doubles(here):
    result = train(PLAIN, x=X.astype(np.float64))
    assert np.load(result.files[0]).dtype == np.float64


def test_a_failed_import_is_no_matter_of_one_member(here):
    (here / "needs.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"generator needs:fit: .*; log in .*member_000.log"):
        train("needs:fit", workers=1)
    assert not (here / "run" / "member_001.log").exists()
    with pytest.raises(InputError, match="name of a file"):
        train("gen.py:fit", "unmade")
    assert not (here / "unmade").exists()


def test_a_missing_package_is_said_once(here):
    (here / "bare.py").write_text(
        "import sys\nsys.modules['torch'] = None\nfrom amplify.examples.torch_flow import fit\n"
    )
    words = "the PyTorch flow: expected PyTorch, got no such package; pip install torch; log in"
    with pytest.raises(InputError, match=words):
        train("bare:fit")


def test_settings_that_make_no_sense(here):
    for words, arguments in {
        "members: expected at least 2": {"members": 1},
        "n_gen": {"n_gen": 0},
        "seed: expected 0 or more": {"seed": -1},
        "workers": {"workers": 0},
        "--timeout: expected seconds above zero, got -1": {"timeout": -1.0},
        "columns: expected 2 different names, got ['a', 'a']": {"columns": ["a", "a"]},
        "columns: expected 2 different names, got ['', 'a']": {"columns": ["", "a"]},
        "float32 of shape (200,)": {"x": X[:, 0]},
        "training events: expected finite numbers": {"x": np.where(X > 1, np.nan, X)},
        "training events: expected numbers": {"x": X.astype(str)},
        "training weights: expected 200 finite numbers": {"weight": np.ones(199)},
    }.items():
        with pytest.raises((InputError, NeedsMembersError)) as caught:
            train(PLAIN, **arguments)
        assert words in str(caught.value), str(caught.value)
    assert not (here / "run").exists()


SPY = """
import os, sys
from amplify.examples.plain import fit as good
NAMES = ["OMP_NUM_THREADS", "XLA_PYTHON_CLIENT_PREALLOCATE"]

def fit(x, seed):
    print("jax" in sys.modules, *map(os.environ.get, NAMES))
    return good(x, seed)
"""


def test_workers_load_no_framework_and_share_the_cores(here, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    (here / "spy.py").write_text(SPY)
    train("spy:fit", workers=2)
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    printed = (here / "run" / "member_000.log").read_text().split()
    assert printed == ["False", str(threads), "false"]
    assert json.loads((here / "run" / "job.json").read_text())["generator"] == "spy:fit"


def test_workers_find_the_package_as_their_parent_does(here, monkeypatch):
    """From a notebook beside the checkout, which has put the way to the package on its path."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert len(train(PLAIN).files) == 2
