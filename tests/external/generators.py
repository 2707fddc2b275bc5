"""Generators that do what they should not, and what is done with them in a test."""

import time
from pathlib import Path

import numpy as np

from amplify.external import protocol
from amplify.external.protocol import fit_seed
from amplify.external.supervise import train_members
from amplify.tables.files import load, open_table, select

X = np.random.default_rng(5).normal(size=(200, 2)).astype(np.float32)

_COMMON = protocol._integer(protocol._random(0, 0, protocol._COMMON))  # seed of the first events
_S = "def fit(x, seed): return lambda n, s:"
# every way of being wrong that both routes see: the body of a module with `fit`, words of the error
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

def noise(x, seed):
    mean = x.mean(axis=0)
    return lambda n, s: mean + np.random.default_rng(s).normal(size=(n, len(mean)))

def weighted(x, seed, weight=None):
    return lambda n, s: (good(x, seed)(n, s), np.where(np.arange(n) % 5, 1.0, -0.5))

def weighted_at_times(x, seed):
    return weighted(x, seed) if seed % 2 else good(x, seed)

def only(member_seeds, otherwise):
    return lambda x, seed: otherwise(x, seed) if seed in member_seeds else good(x, seed)
"""


def train(generator, directory="run", x=X, **settings):
    """Members in processes: two of 300 events, two at a time, unless said otherwise."""
    settings = {"members": 2, "n_gen": 300, "workers": 2} | settings
    return train_members(Path(directory), generator, x, **settings)


def only_some(here, members, function):
    """A generator of which only some members do what `function` does; the name to load it by."""
    seeds = [fit_seed(member, 0) for member in members]
    (here / "some.py").write_text(f"import gen\nfit = gen.only({seeds}, gen.{function})\n")
    return "some:fit"


def calls(here):
    """Seeds of the fits that `gen:counted` was asked for."""
    return (here / "calls").read_text().split() if (here / "calls").exists() else []


def events(files):
    """Events [member, event, column] of files."""
    tables = [open_table(str(file)) for file in files]
    x = np.stack([load(select(table)).x for table in tables])
    for table in tables:
        table.close()
    return x


def is_alive(pid):
    """Whether a process runs; one that ended and was not asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(happened):
    """Waits as long as a busy machine may need; fails where nothing happens."""
    end = time.monotonic() + 300
    while not happened():
        assert time.monotonic() < end, "nothing happened for five minutes"
        time.sleep(0.02)
