"""Cores for JAX, one thread for BLAS, and an environment that stays as it was."""

import os
import subprocess
import sys

import pytest

_CODE = """
import os, sys
from amplify.devices import one_blas_thread
{before}
one_blas_thread()
import numpy
from threadpoolctl import threadpool_info
threads = [pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"]]
print(threads, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


def _said(before="", **environment):
    clean = {k: v for k, v in os.environ.items() if "NUM_THREADS" not in k}
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(before=before)],
        capture_output=True,
        text=True,
        check=True,
        env=clean | environment,
    )
    return run.stdout.strip()


def test_blas_has_one_thread_and_processes_started_from_here_have_theirs():
    pytest.importorskip("threadpoolctl")
    said = _said()
    if said.startswith("[]"):
        pytest.skip("NumPy has another BLAS here")
    assert said == "[1] None"


def test_a_wish_of_ones_own_is_left_alone():
    pytest.importorskip("threadpoolctl")
    assert _said(OPENBLAS_NUM_THREADS="2").endswith("] 2")
    assert _said("import numpy").endswith("] None")
