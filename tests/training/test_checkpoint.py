"""Checkpoints: interrupted and resumed is as uninterrupted, bit for bit; other folders are refused;
damaged ones are noticed.
"""

import signal
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.generators.truncated import truncated
from amplify.locks import directory_lock
from amplify.training import checkpoint
from amplify.training.dynamics import SGMCMCConfig
from amplify.training.ensemble import fit_ensemble
from amplify.training.fingerprint import code_of
from amplify.training.fit import FitConfig, Stopping, fit, fit_members
from amplify.training.sgmcmc import fit_sgmcmc
from amplify.training.variational import VariationalConfig, fit_variational, variational

X = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
SHORT = FitConfig(steps=4, batch=8, learning_rate=0.1, average=0.9)
KEY = jax.random.key(1)


@cache
def gaussian():
    return fitted_gaussian()


@cache
def above():
    return truncated(fitted_gaussian(), lambda x: x[:, 0] > -1.0)


@pytest.fixture(autouse=True)
def _after_every_call(monkeypatch):
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", np.inf)


def stopped_after(calls):
    """Progress of a run that ends after so many calls; they are in `seen`."""
    seen = []

    def progress(step, *_):
        seen.append(step)
        if len(seen) == calls:
            raise KeyboardInterrupt

    progress.seen = seen
    return progress


def assert_same(a, b):
    for mine, other in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        np.testing.assert_array_equal(mine, other)


TRAININGS = {
    "ensemble": lambda **s: fit_ensemble(KEY, gaussian(), X, members=3, config=SHORT, **s),
    "stopped, and again on all": lambda **s: fit(
        KEY,
        gaussian(),
        X,
        config=SHORT._replace(steps=8, schedule="constant", learning_rate=1.0),
        stop=Stopping(every=2, patience=2, holdout=0.3, refit=True),
        **s,
    ),
    "truncated": lambda **s: fit_ensemble(
        KEY, above(), X[X > -1][:, None], members=2, config=SHORT, **s
    ),
    "variational": lambda **s: fit_variational(
        KEY, gaussian(), X, members=3, config=VariationalConfig(chains=2, fit=SHORT), **s
    ),
    "chains": lambda **s: fit_sgmcmc(
        KEY,
        gaussian(),
        X,
        members=5,
        config=SGMCMCConfig(start=SHORT, between=3, burn_in=2, chains=2, batch=8),
        **s,
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n == "variational" else ()) for n in TRAININGS],
)
def test_interrupted_and_resumed_is_as_uninterrupted(name, tmp_path):
    train = partial(TRAININGS[name], checkpoint=tmp_path / "kept")
    calls = stopped_after(-1)
    expected = TRAININGS[name](progress=calls)
    half = len(calls.seen) // 2 + 1
    with pytest.raises(KeyboardInterrupt):
        train(progress=stopped_after(half))
    resumed = stopped_after(-1)
    assert_same(train(progress=resumed), expected)
    assert resumed.seen == calls.seen[half - 1 :], "the interrupted call is made again"
    if name == "ensemble":
        again = stopped_after(-1)
        assert_same(train(progress=again), expected)
        assert not again.seen, "a finished training is read"


def test_another_training_is_refused(tmp_path):
    rows = np.zeros((2, 9), int)
    keys = jax.random.split(KEY, 2)
    train = partial(fit_members, checkpoint=tmp_path)
    train(keys, gaussian(), X, rows, config=SHORT)
    line = rf"checkpoint {tmp_path}: expected .*, got those of another \(%s\); choose another"
    for names, arguments, config in (
        ("config", (keys, gaussian(), X, rows), SHORT._replace(learning_rate=0.2)),
        ("events, rows", (keys, gaussian(), X + 1, rows + 1), SHORT),
        ("keys", (keys[::-1], gaussian(), X, rows), SHORT),
        ("generator", (keys, above(), abs(X), rows), SHORT),
    ):
        names = names if names != "generator" else "events, generator"
        with pytest.raises(InputError, match=line % names):
            train(*arguments, config=config)


def test_what_a_loss_closes_over_belongs_to_the_training():
    first, same, other = (
        code_of.__wrapped__(
            variational.__wrapped__(gaussian(), 60.0, VariationalConfig(kl_weight=w))
        )
        for w in (1.0, 1.0, 0.5)
    )
    assert first == same and first["params"] == other["params"] and first != other


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"no training.json that can be read beside thesis.tex"):
        TRAININGS["ensemble"](checkpoint=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: expected a folder to write into, got"):
        TRAININGS["ensemble"](checkpoint=tmp_path / "file")
    with directory_lock(tmp_path / "held"), pytest.raises(InputError, match="held by process"):
        TRAININGS["ensemble"](checkpoint=tmp_path / "held")


def _damage(step: Path) -> None:
    """Changes the files of its arrays in the middle."""
    for path in (step / "arrays").rglob("d/*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    from orbax.checkpoint import CheckpointManager

    def full(*_, **__):
        raise ValueError("Error writing 'a/b': No space left on device [os_error_code='28']")

    monkeypatch.setattr(CheckpointManager, "save", full)
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=r"^checkpoint .*run: .* got 'No space left on device'"):
        TRAININGS["ensemble"](checkpoint=folder)


def test_damaged_checkpoints_are_noticed(tmp_path):
    expected = TRAININGS["ensemble"]()
    with pytest.raises(KeyboardInterrupt):
        TRAININGS["ensemble"](checkpoint=tmp_path, progress=stopped_after(3))
    kept = sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit())
    assert kept == ["1", "2"]
    _damage(tmp_path / "2")
    resumed = stopped_after(-1)
    with pytest.warns(UserWarning, match=r"2: damaged; the one before it is used"):
        assert_same(TRAININGS["ensemble"](checkpoint=tmp_path, progress=resumed), expected)
    assert resumed.seen == [2, 3, 4]
    for step in ("3", "4"):
        _damage(tmp_path / step)
    anew = stopped_after(-1)
    with pytest.warns(UserWarning, match="damaged; .* or the training starts anew"):
        assert_same(TRAININGS["ensemble"](checkpoint=tmp_path, progress=anew), expected)
    assert anew.seen == [1, 2, 3, 4]


KILLED = """
import os, signal, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
from amplify.training import checkpoint
from tests.training.test_checkpoint import TRAININGS
checkpoint._EVERY, checkpoint._SHARE = 0.0, float('inf')
def progress(step, *_):
    if step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
TRAININGS["ensemble"](checkpoint=sys.argv[1], progress=progress)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_checkpoints(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = stopped_after(-1)
    ensemble = TRAININGS["ensemble"](checkpoint=tmp_path, progress=resumed)
    assert resumed.seen[0] in (3, 4) and np.isfinite(ensemble.losses).all()
