"""A user's own generator: trained in this process and in processes of their own, and everything it
can do wrong.

False alarms: the one statistical test allows four standard deviations, 6e-5, at a fixed seed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from amplify import averaging_amplification, count, fractions
from amplify.errors import InputError, NeedsMembersError
from amplify.examples import plain
from amplify.external import protocol
from amplify.external.loading import load_function
from amplify.external.members import FailedMembersError, external_members
from amplify.external.protocol import fit_seed
from amplify.external.supervise import train_members
from amplify.regions import column, tail
from amplify.tables.files import load, open_table, select

X = np.random.default_rng(5).normal(size=(200, 2)).astype(np.float32)

_COMMON = protocol._integer(protocol._random(0, 0, protocol._COMMON))
_S = "def fit(x, seed): return lambda n, s:"
# every way of being wrong that both routes see: the body of a module with `fit`, and words of the
# error
BROKEN = {
    "fit raises": (
        "def fit(x, seed):\n    raise ValueError('two\\nlines')",
        "fit(x_train, seed) to return, got ValueError: two lines (broken.py line 5)",
    ),
    "fit leaves": (
        "def fit(x, seed):\n    raise SystemExit(0)",
        "got SystemExit: 0 (broken.py line 5)",
    ),
    "fit has one parameter": (
        "def fit(x): pass",
        "got TypeError: fit() takes 1 positional argument but 2 were given;",
    ),
    "no sampler": (
        "def fit(x, seed): return x",
        "to return a function sample(n, seed), got a ndarray",
    ),
    "sample raises": (
        f"{_S} 1 / 0",
        "expected sample(300, seed) to return numbers, got ZeroDivisionError",
    ),
    "flat": (
        f"{_S} normal(s, n)",
        "expected sample(300, seed) of shape (300, 2), got (300,); return one row",
    ),
    "too few": (f"{_S} x[:10]", "of shape (300, 2), got (10, 2)"),
    "ragged": (f"{_S} [[1, 2], [3]]", "got ValueError"),
    "nan": (
        f"{_S} np.where(np.arange(2 * n).reshape(n, 2) == 7, np.nan, s)",
        "got nan or infinity in 1 of 300 events, row 3 first",
    ),
    "overflow": (f"{_S} 1e300 + 1e299 * normal(s, (n, 2))", "nan or infinity in 300 of 300 events"),
    "complex": (
        f"{_S} 1j * normal(s, (n, 2))",
        "real numbers from sample(300, seed), got complex128",
    ),
    "text": (f"{_S} np.full((n, 2), 'a')", "real numbers from sample(300, seed), got <U1"),
    "weights of another shape": (
        f"{_S} (normal(s, (n, 2)), np.ones(n + 1))",
        "weights of sample(300, seed) of shape (300,), got (301,)",
    ),
    "nan weights": (
        f"{_S} (normal(s, (n, 2)), np.full(n, np.nan))",
        "finite numbers from the weights of sample(300, seed)",
    ),
    "same events every time": (
        f"{_S} normal(seed, (n, 2))",
        "member 0: expected other events for another seed, got the same events every time",
    ),
    "weights at times": (
        f"{_S} (normal(s, (n, 2)) + x[0], np.ones(n)) if s == {_COMMON} else normal(s, (n, 2))",
        "weights with all events or with none",
    ),
    "events without training": (
        f"{_S} normal(s, (n, 2))",
        "members 0 and 1: expected events that differ",
    ),
}

GENERATORS = """
import os, pathlib, signal, subprocess, sys, time
import numpy as np
from amplify.examples.plain import fit as good

CALLS = pathlib.Path("calls").resolve()

def counted(x, seed):
    with CALLS.open("a") as file:
        file.write(f"{seed}\\n")
    print("learning from", len(x))
    return good(x, seed)

def wanders(x, seed):
    os.chdir("/")
    return good(x, seed)

def exits(x, seed):
    print("so long")
    os._exit(3)

def segfaults(x, seed):
    os.kill(os.getpid(), signal.SIGSEGV)

def hangs(x, seed):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    pathlib.Path(f"{seed}.child").write_text(str(child.pid))
    time.sleep(100)

def hangs_in_sample(x, seed):
    def sample(n, s):
        time.sleep(100 if pathlib.Path("sampled").exists() else 0)
        pathlib.Path("sampled").touch()
        return good(x, seed)(n, s)

    return sample

def hangs_on_leaving(x, seed):
    import atexit
    atexit.register(time.sleep, 100)
    return good(x, seed)

def forgets_seed(x, seed):
    mean = x.mean(axis=0)
    return lambda n, s: mean + np.random.normal(size=(n, 2))

def weighted(x, seed, weight=None):
    return lambda n, s: (good(x, seed)(n, s), np.where(np.arange(n) % 5, 1.0, -0.5))

def weighted_at_times(x, seed):
    return weighted(x, seed) if seed % 2 else good(x, seed)

def only(member_seeds, otherwise):
    return lambda x, seed: otherwise(x, seed) if seed in member_seeds else good(x, seed)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory whose modules can be imported, here and in workers; calls are
    counted in it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "gen.py").write_text(GENERATORS)
    yield tmp_path
    for name in ("broken", "gen"):
        sys.modules.pop(name, None)


def _train(generator, directory="run", x=X, **settings):
    return train_members(
        Path(directory), generator, x, **({"members": 2, "n_gen": 300, "workers": 2} | settings)
    )


def _calls(here):
    return (here / "calls").read_text().split() if (here / "calls").exists() else []


def _some(here, members, function):
    """A generator of which only some members do what `function` does; the name to load it by."""
    (here / "some.py").write_text(
        f"import gen\nfit = gen.only({[fit_seed(m, 0) for m in members]}, gen.{function})\n"
    )
    return "some:fit"


def _events(files):
    tables = [open_table(str(file)) for file in files]
    events = np.stack([load(select(table)).x for table in tables])
    for table in tables:
        table.close()
    return events


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_fitted_gaussian_has_the_known_amplification():
    """200 members fix the variance to 10 %; four times that."""
    x = np.random.default_rng(1).normal(size=(1000, 2))
    samples = external_members(plain.fit, x, members=200, n_gen=50_000, seed=3)
    assert samples.x.shape == (200, 50_000, 2) and samples.weight is None
    counted = [
        fractions(count(tail(column(0), 0.0, "x0"), np.asarray(member))) for member in samples.x
    ]
    with jax.enable_x64(True):
        estimate = averaging_amplification(
            np.stack([c.integral for c in counted]), n_train=1000, n_gen=50_000
        )
    assert abs(np.log(np.asarray(estimate.factor.value)[0] / (np.pi / 2))) < 0.4


def test_both_routes_give_the_same_members(here):
    told, steps = [], []
    samples = external_members(
        plain.fit, X, members=3, n_gen=300, seed=7, progress=lambda *news: told.append(news)
    )
    one = _train("amplify.examples.plain:fit", "one", members=3, seed=7, workers=1)
    two = _train(
        "amplify.examples.plain:fit",
        "two",
        members=3,
        seed=7,
        workers=3,
        progress=lambda *news: steps.append(news),
    )
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    np.testing.assert_array_equal(np.asarray(samples.x), _events(one.files))
    assert (
        np.load(one.files[0]).dtype == np.float32 and one.failed == [] and one.weight_column is None
    )
    assert told == [(0, 3, "member 0"), (1, 3, "member 1"), (2, 3, "member 2"), (3, 3, "")]
    assert "member 0: " in steps[0][2] and "member 2: " in steps[0][2] and steps[-1][:2] == (3, 3)
    other = external_members(plain.fit, X, members=3, n_gen=300, seed=8)
    assert not np.isin(np.asarray(other.x), np.asarray(samples.x)).any()


def test_what_the_user_is_given(monkeypatch):
    monkeypatch.setattr(protocol, "BLOCK", 1000)
    fits, samplings = [], []

    def fit(x, seed):
        fits.append((x.copy(), seed))
        x[:] = 0  # belongs to the user

        def sample(n, seed):
            samplings.append((n, seed))
            return plain.fit(fits[-1][0], 0)(n, seed)

        return sample

    samples = external_members(fit, X, members=2, n_gen=2500)
    assert samples.x.shape == (2, 2500, 2) and samples.x.dtype == np.float32
    assert all(np.isin(x, X).all() and len(x) == len(X) for x, _ in fits)
    assert [0.5 < len(np.unique(x[:, 0])) / len(X) < 0.75 for x, _ in fits] == [
        True,
        True,
    ]  # 1 - 1/e of the events
    assert fits[0][1] != fits[1][1] and not np.array_equal(fits[0][0], fits[1][0])
    assert [n for n, _ in samplings] == [2500, 1000, 1000, 500] * 2
    assert (
        len({seed for _, seed in samplings}) == 7 and samplings[0] == samplings[4]
    )  # the first of each compares members
    assert all(isinstance(s, int) and 0 <= s < 2**31 for _, s in [*fits, *samplings])
    kept = X.copy()
    with pytest.raises(InputError, match="members 0 and 1: expected events that differ"):
        external_members(
            lambda x, seed: plain.fit(x, seed), X, members=2, n_gen=300, resample="none"
        )
    external_members(fit, X, members=1, n_gen=10, resample="none")
    np.testing.assert_array_equal(fits[-1][0], kept)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_generator_is_one_line(here, case):
    body, words = BROKEN[case]
    (here / "broken.py").write_text(
        f"import numpy as np\ndef normal(s, shape):\n    return np.random.default_rng(s).normal(size=shape)\n{body}\n"
    )
    with pytest.raises(InputError) as error:
        _train("broken:fit", members=6)
    assert words in str(error.value) and "\n" not in str(error.value), str(error.value)
    if "member 0:" in str(error.value):
        assert str(here / "run" / "member_000.log") in str(
            error.value
        ) and "member 1 failed too" in str(error.value)
        assert "Traceback" in (here / "run" / "member_000.log").read_text()
    assert len(list((here / "run").glob("*.log"))) <= 4  # gave up early
    with pytest.raises(InputError) as error:
        external_members(load_function("broken:fit"), X, members=6, n_gen=300)
    assert words.removeprefix("member 0:") in str(error.value) and "\n" not in str(error.value), (
        str(error.value)
    )


def test_a_process_that_dies_or_hangs_is_one_line(here):
    with pytest.raises(
        InputError,
        match=r"got none, its process ended with exit code 3, printing last: so long; .*member 1 failed too",
    ):
        _train("gen:exits")
    with pytest.raises(InputError, match="was killed by SIGSEGV, printing nothing"):
        _train("gen:segfaults", "segfaults")
    with pytest.raises(
        InputError,
        match=r"expected events, got none, it ran longer than --timeout 4 s; give it longer",
    ):
        _train("gen:hangs", "hangs", timeout=4, members=8)
    children = [int(path.read_text()) for path in here.glob("*.child")]
    assert len(children) == 2
    time.sleep(0.1)
    assert not any(_alive(pid) for pid in children)


def test_one_failure_loses_no_other_member(here):
    result = _train(_some(here, [1, 3], "exits"), members=5)
    assert [f.name for f in result.files] == ["member_000.npy", "member_002.npy", "member_004.npy"]
    assert [f["member"] for f in result.failed] == [1, 3] and "exit code 3" in result.failed[0][
        "reason"
    ]
    assert not list((here / "run").glob("*.part"))
    with pytest.raises(
        FailedMembersError,
        match=r"member 1: .*got RuntimeError: no .*; the 2 members that trained are in error.samples",
    ) as error:
        external_members(
            lambda x, seed: _raise() if seed == fit_seed(1, 0) else plain.fit(x, seed),
            X,
            members=3,
            n_gen=300,
        )
    np.testing.assert_array_equal(np.asarray(error.value.samples.x), _events(result.files)[:2])
    assert set(error.value.failed) == {1} and isinstance(error.value.__cause__, RuntimeError)
    with pytest.raises(
        NeedsMembersError,
        match=r"trained members: expected at least 2, got 1 of 3; member 1: .*exit code 3.*; log in .*member_001.log",
    ):
        _train(_some(here, [1, 2], "exits"), "one", members=3)


def _raise():
    raise RuntimeError("no")


def test_a_hanging_member_is_left_behind(here):
    result = _train(_some(here, [0], "hangs"), members=3, timeout=6)
    assert len(result.files) == 2
    assert result.failed == [
        {
            "member": 0,
            "reason": "expected events, got none, it ran longer than --timeout 6 s; give it longer or make the training shorter",
        }
    ]
    _train(_some(here, [0], "hangs_in_sample"), "sample", members=3, timeout=6)
    assert {f.name for f in (here / "sample").iterdir() if "000" in f.name or "part" in f.name} == {
        "member_000.log"
    }
    late = _train(_some(here, [0], "hangs_on_leaving"), "leaving", members=2, timeout=6)
    assert len(late.files) == 2 and late.failed == []  # the events were there


def test_what_is_finished_is_not_trained_again(here):
    first = _train("gen:counted", members=3)
    assert "learning from 200" in (here / "run" / "member_002.log").read_text()
    before = [f.read_bytes() for f in first.files]
    assert len(_calls(here)) == 3
    _train("gen:counted", members=3)
    assert len(_calls(here)) == 3
    more = _train("gen:counted", members=5)
    assert len(_calls(here)) == 5 and len(more.files) == 5
    more.files[1].unlink()  # as if it had failed
    again = _train("gen:counted", members=5)
    assert len(_calls(here)) == 6 and [f.read_bytes() for f in again.files[:3]] == before
    assert sorted(_calls(here), key=int) == sorted(
        map(str, [fit_seed(m, 0) for m in (0, 1, 1, 2, 3, 4)]), key=int
    )


def test_members_of_another_job_are_refused(here):
    _train("gen:counted")
    for words, arguments in {
        "those of this job: seed 1, got seed 0; give another directory": {"seed": 1},
        "generated events 400, got generated events 300": {"n_gen": 400},
        "resampling none": {"resample": "none"},
        "columns ['a', 'b'], got columns ['x0', 'x1']": {"columns": ["a", "b"]},
        "training events ": {"x": X + 1},
    }.items():
        with pytest.raises(InputError, match=r"members in .*/run: ") as error:
            _train("gen:counted", **arguments)
        assert words in str(error.value), str(error.value)
    with pytest.raises(InputError, match="generator gen:wanders, got generator gen:counted"):
        _train("gen:wanders")
    (here / "gen.py").write_text(GENERATORS + "\n# edited")
    with pytest.raises(InputError, match="source of the generator"):
        _train("gen:counted")
    for file in (here / "run").glob("*.npy"):
        file.unlink()
    assert len(_train("gen:counted", seed=1).files) == 2  # nothing was left to mix with
    assert len(_calls(here)) == 4


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_finished_members_and_no_process(here, how):
    generator = _some(here, [1], "hangs")
    program = "import signal, numpy as np; from pathlib import Path; from amplify.external.supervise import train_members as t\n"
    program += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs start without
    program += f"t(Path('run'), '{generator}', np.load('x.npy'), members=2, n_gen=300, workers=2)"
    np.save(here / "x.npy", X)
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    child = here / f"{fit_seed(1, 0)}.child"
    end = time.monotonic() + 20
    while time.monotonic() < end and not (
        child.exists() and child.read_text() and (here / "run" / "member_000.npy").exists()
    ):
        time.sleep(0.02)
    parent.send_signal(how)
    _, said = parent.communicate(timeout=10)
    assert parent.returncode == -how and (how == signal.SIGKILL or b"KeyboardInterrupt" in said)
    end = time.monotonic() + 5
    while time.monotonic() < end and _alive(int(child.read_text())):
        time.sleep(0.02)
    assert not _alive(int(child.read_text()))
    assert [f.name for f in (here / "run").glob("member_*.npy")] == ["member_000.npy"]


def test_training_weights_are_honoured_or_refused(here):
    weight = np.where(X[:, 0] > 0, 1.0, 0.01)
    samples = external_members(plain.fit, X, members=2, n_gen=1000, weight=weight)
    result = _train("amplify.examples.plain:fit", weight=weight, n_gen=1000)
    np.testing.assert_array_equal(np.asarray(samples.x), _events(result.files))
    assert 0.6 < samples.x[..., 0].mean() < 1
    given = []
    external_members(
        lambda x, seed, *, weight: given.append((x, weight)) or plain.fit(x, seed),
        X,
        members=2,
        n_gen=10,
        weight=-X[:, 0],
    )
    assert (
        all(np.array_equal(w, -x[:, 0]) for x, w in given) and len(given) == 2
    )  # negative ones too, with their events
    for fit in (
        lambda x, seed: plain.fit(x, seed),
        lambda x, seed, **settings: plain.fit(x, seed),
        lambda *a, **b: plain.fit(*a),
    ):
        with pytest.raises(
            InputError,
            match=r"expected a generator fit\(x_train, seed, weight\), got one without a parameter called weight",
        ):
            external_members(fit, X, members=2, n_gen=10, weight=weight)
    with pytest.raises(InputError, match="weighted training events"):
        _train("gen:counted", "refused", weight=weight)
    assert not (here / "calls").exists()


def test_generated_weights(here):
    gen = load_function("gen:weighted")
    samples = external_members(gen, X, members=2, n_gen=300)
    result = _train("gen:weighted", columns=["weight", "p_T [GeV], 'η'"])
    assert result.weight_column == "weight_"
    table = open_table(str(result.files[1]))
    assert tuple(table.columns) == ("weight", "p_T [GeV], 'η'", "weight_")
    read = load(select(table, weight_column="weight_"))
    table.close()
    np.testing.assert_array_equal(read.x, samples.x[1])
    np.testing.assert_array_equal(read.weight, samples.weight[1])
    np.testing.assert_array_equal(read.weight[:6], [-0.5, 1, 1, 1, 1, -0.5])
    assert _train("gen:weighted", "plain").weight_column == "weight"
    (here / "mixed.py").write_text(
        f"import gen\nfit = gen.only([{fit_seed(1, 0)}], gen.weighted)\n"
    )
    with pytest.raises(InputError, match="generated weights from all of them or from none"):
        _train("mixed:fit", "mixed")
    with pytest.raises(InputError, match="generated weights from all of them or from none"):
        external_members(
            lambda x, seed: gen(x, seed) if seed == fit_seed(1, 0) else plain.fit(x, seed),
            X,
            members=2,
            n_gen=10,
        )


def test_samples_that_differ_by_their_weights_differ():
    proposal = np.random.default_rng(0)

    def fit(x, seed):
        mean = x.mean(axis=0)

        def sample(n, seed):
            z = np.random.default_rng(seed).normal(size=(n, 2))
            return z, np.exp(z @ mean)

        return sample

    assert external_members(fit, X, members=2, n_gen=100).weight.shape == (2, 100) and proposal


def test_workers_are_forgiving(here):
    """A sampler without a seed does not give all members the same noise, the working directory may
    change, and many columns fit into a file.
    """
    one, two = _train("gen:forgets_seed"), _train("gen:forgets_seed", "again", workers=1)
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    noise = [x - x.mean(axis=0) for x in _events(one.files)]
    assert np.abs(noise[0] - noise[1]).max() > 0.5
    assert len(_train("gen:wanders", "wanders").files) == 2
    wide = _train(
        "amplify.examples.plain:fit",
        "wide",
        x=np.random.default_rng(0).normal(size=(50, 1200)).astype(np.float32),
        n_gen=10,
    )
    assert _events(wide.files).shape == (2, 10, 1200)


def test_doubles_stay_doubles(here):
    result = _train("amplify.examples.plain:fit", x=X.astype(np.float64))
    assert np.load(result.files[0]).dtype == np.float64
    np.testing.assert_array_equal(
        _events(result.files),
        _events(_train("amplify.examples.plain:fit", "int", x=X.astype(np.float64)).files),
    )


def test_a_name_that_cannot_be_loaded_is_one_line(here):
    (here / "needs.py").write_text("import nothing_of_this_name\n")
    (here / "syntax.py").write_text("def fit(:\n")
    (here / "value.py").write_text(
        "fit = 3\nclass Model:\n    @staticmethod\n    def fit(x, seed): return None\n"
    )
    for words, name in {
        "expected package.module:function, got 'gen'; name the module": "gen",
        "got 'gen:'": "gen:",
        "got the name of a file; write gen:fit in the directory of that file": "dir/gen.py",
        "got no module nowhere; check the name": "nowhere:fit",
        "got no module nowhere.at;": "nowhere.at.all:fit",
        "needs:fit: expected to import needs, got ModuleNotFoundError: No module named 'nothing_of_this_name' (needs.py line 1); correct": "needs:fit",
        "got SyntaxError: ": "syntax:fit",
        "expected a function of gen, got no fit in it": "gen:fit",
        "expected a function fit(x_train, seed), got a int": "value:fit",
    }.items():
        if "nowhere.at;" in words:
            (here / "nowhere").mkdir()
        with pytest.raises(InputError) as error:
            load_function(name)
        assert words in str(error.value) and "\n" not in str(error.value), str(error.value)
    assert load_function("value:Model.fit")(X, 0) is None
    with pytest.raises(InputError, match=r"generator needs:fit: .*; log in .*member_000.log"):
        _train("needs:fit", workers=1)
    assert not (here / "run" / "member_001.log").exists()
    with pytest.raises(InputError, match="name of a file"):
        _train("gen.py:fit", "unmade")
    assert not (here / "unmade").exists()


def test_a_missing_package_is_said_once(here):
    (here / "bare.py").write_text(
        "import sys\nsys.modules['torch'] = None\nfrom amplify.examples.torch_flow import fit\n"
    )
    with pytest.raises(
        InputError,
        match="the PyTorch flow: expected PyTorch, got no such package; pip install torch; log in",
    ):
        _train("bare:fit")


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
        with pytest.raises((InputError, NeedsMembersError)) as error:
            _train("amplify.examples.plain:fit", **arguments)
        assert words in str(error.value), str(error.value)
    assert not (here / "run").exists()
    with pytest.raises(
        InputError, match="resample: expected 'bootstrap' or 'none', got 'jackknife'"
    ):
        protocol.check_numbers(members=2, n_gen=1, seed=0, resample="jackknife")
    with pytest.raises(InputError, match="members: expected at least 1"):
        external_members(plain.fit, X, members=0, n_gen=10)


def test_workers_load_no_framework_and_share_the_cores(here, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    (here / "spy.py").write_text(
        "import os, sys\nfrom amplify.examples.plain import fit as good\n"
        "NAMES = ['OMP_NUM_THREADS', 'XLA_PYTHON_CLIENT_PREALLOCATE']\n"
        "def fit(x, seed):\n    print('jax' in sys.modules, *map(os.environ.get, NAMES))\n    return good(x, seed)\n"
    )
    _train("spy:fit", workers=2)
    assert (here / "run" / "member_000.log").read_text().split() == [
        "False",
        str(max(1, len(os.sched_getaffinity(0)) // 2)),
        "false",
    ]
    assert json.loads((here / "run" / "job.json").read_text())["generator"] == "spy:fit"
