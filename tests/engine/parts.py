"""Tasks of the tests: functions of a module, which workers import."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from amplify.engine import unwanted
from amplify.errors import InputError
from amplify.ttbar.simulation import Chunk, Recipe


def product(a, b):
    return a * b


def refuses_three(i):
    if i == 3:
        raise InputError("task", "anything else", str(i), "leave it out")
    return i


def kills_its_worker(i, deadly):
    if i == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return i


def process_of(i, started: Path):
    """The second task is slow, so that its worker can be killed in the middle of it."""
    if i == 1 and not started.exists():
        started.write_text(str(os.getpid()))
        time.sleep(60)
    return i


def waits_until_unwanted(i, ended: Path):
    while i and not unwanted():
        time.sleep(0.01)
    ended.write_text("so be it")
    return i


def simulated(settings, index):
    """A chunk of half of ten events."""
    momenta = np.random.default_rng([settings.seed, index]).normal(size=(5, 6, 4))
    momenta[..., 0] = 1 + np.linalg.norm(momenta[..., 1:], axis=-1)  # massive
    return Chunk(momenta, np.array([10, 5]))


RECIPE = Recipe(simulated, ("generated", "kept"), "<f8", "a test", (), ())
