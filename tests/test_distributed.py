"""Two processes compute what one computes with as many devices, bit for bit."""

import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from amplify import distributed
from amplify.errors import InputError
from amplify.sealed import load_arrays
from tests import compiled, several


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path):
    assert len(jax.devices()) == 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    asked = {
        distributed.COORDINATOR: coordinator,
        distributed.COUNT: "2",
        "JAX_NUM_CPU_DEVICES": "1",
    }
    program = [sys.executable, "-m", "tests.several", "--out", str(tmp_path)]
    both = [
        subprocess.Popen(
            program,
            env=os.environ | asked | {distributed.NUMBER: str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    with compiled.quickly():
        expected = several.trained()
    said = [process.communicate(timeout=100) for process in both]
    assert "devices 2 1 processes 2" in said[0][0] and "devices" not in said[1][0], said
    found = load_arrays(tmp_path / "results.npz")
    assert found is not None and found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])

    line = "second process: expected no error, got one; end both"
    assert [process.returncode for process in both] == [2, 2]
    assert f"error: process 1: {line}" in said[0][1].splitlines()
    assert f"error: {line}" in said[1][1].splitlines()
    assert not any("Traceback" in error for _, error in said)


@pytest.mark.parametrize(
    "settings, got",
    [
        ({}, "coordinator None, process None of None"),
        ({"coordinator": "host:1", "processes": 2, "process": 2}, "process 2 of 2"),
        ({"coordinator": "host:1", "processes": 2}, "process None of 2"),
    ],
)
def test_half_of_the_settings_are_refused(settings, got):
    with pytest.raises(InputError, match=f"several processes: expected a coordinator .*{got}"):
        distributed.join(**settings)


def test_after_the_first_computation_it_is_too_late():
    with pytest.raises(InputError, match="before JAX computes, got one that has"):
        distributed.join("127.0.0.1:1", 2, 0)
