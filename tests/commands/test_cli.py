"""The command line: help, completion, pipes."""

import json
import subprocess
import sys

import numpy as np

from tests.commands.samples import run_averaging


def _amplify(*arguments, **settings):
    command = [sys.executable, "-m", "amplify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **settings)


HELP = """
import sys
from amplify.cli import main
try:
    main(["averaging", "--help"])
except SystemExit as stop:
    assert stop.code == 0
assert "jax" not in sys.modules
"""


def test_help_does_not_import_jax():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert done.returncode == 0 and "--n-train" in done.stdout, done.stderr
    assert "amplify averaging --members gen_*.npy" in done.stdout  # an example to copy


def test_help_goes_into_head():
    command = f"{sys.executable} -m amplify averaging --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "usage" in done.stdout and done.stderr == ""


def test_completion():
    done = _amplify("--tyro-print-completion", "bash")
    assert done.returncode == 0 and "amplify" in done.stdout


def test_results_go_through_pipes(elsewhere):
    """JSON on standard output into `report -`."""
    for name in "ab":
        np.save(f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(2000, 2)))
    results = run_averaging(elsewhere / "run", ["a.npy", "b.npy"], "--bins 2 --json out.json")
    text = (elsewhere / "out.json").read_text()
    assert json.loads(text) == results
    done = _amplify("report", "-", input=text)
    assert done.returncode == 0 and done.stdout == ""
    assert {"report.html", "table.csv"} <= {path.name for path in elsewhere.iterdir()}
