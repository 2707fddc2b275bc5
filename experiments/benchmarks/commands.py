"""What a user waits for at the keyboard: both commands as whole processes, CPU time and memory.

    python -m experiments.benchmarks.commands

`amplify averaging` of 8 members with 1e5 x 3 float32 numbers, `amplify differential` of 1e5
generated events against 1e4 true ones, with everything included: imports, reading, estimates, the
page. Beside them, in turn, a plain script that reads the same files with numpy, histograms every
column and draws one figure with matplotlib: what the same libraries cost without us. Idle machine,
please.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments import study

EVENTS, HOLDOUT, COLUMNS, MEMBERS = 100_000, 10_000, 3, 8

_PLAIN = """
import sys
import numpy as np
from matplotlib.figure import Figure

figure = Figure()
axes = figure.subplots(1, 3)
for path in sys.argv[2:]:
    for axis, column in zip(axes, np.load(path).T):
        axis.stairs(*np.histogram(column, bins=40))
figure.savefig(sys.argv[1])
"""


def main(repetitions: int = 5, out: Path | None = None) -> None:
    """Prints the median of each, and its ratio to the plain script.

    Args:
        repetitions: of each, in turn, after a first round that is not counted.
        out: JSON file for the numbers.
    """
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(Path(folder))
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for repetition in range(repetitions + 1):
            for name, command in commands.items():
                used = _run([*command, *_place(name, Path(folder) / f"run-{repetition}")])
                if repetition:
                    rows[name].append(used)
    medians = {
        name: {key: float(np.median([row[key] for row in runs])) for key in runs[0]}
        for name, runs in rows.items()
    }
    for name, row in medians.items():
        yardstick = medians["plain, same files"]["cpu_s"]
        ratio = f"{row['cpu_s'] / yardstick:6.1f} x plain" if "amplify " in name else ""
        numbers = f"{row['cpu_s']:6.2f} s CPU {row['wall_s']:6.2f} s wall {row['mib']:5.0f} MiB"
        print(f"{name:28s} {numbers} {ratio}")
    if out is not None:
        out.write_text(json.dumps(medians, indent=1))


def _commands(folder: Path) -> dict[str, list[str]]:
    """Writes the files; the processes by name."""
    rng = np.random.default_rng(0)
    members = [folder / f"gen_{m}.npy" for m in range(MEMBERS)]
    for path in members:
        shift = 0.01 * rng.normal()
        np.save(path, rng.normal(shift, 1, (EVENTS, COLUMNS)).astype(np.float32))
    generated, holdout = folder / "generated.npy", folder / "holdout.npy"
    np.save(generated, rng.normal(0.05, 1, (EVENTS, COLUMNS)).astype(np.float32))
    np.save(holdout, rng.normal(0, 1, (HOLDOUT, COLUMNS)).astype(np.float32))
    amplify = [sys.executable, "-m", "amplify"]
    n_train = ["--n-train", "10000"]
    averaging = [*amplify, "averaging", "--members", *map(str, members), *n_train]
    two = ["--generated", str(generated), "--holdout", str(holdout)]
    differential = [*amplify, "differential", *two, *n_train]
    return {
        "python": [sys.executable, "-c", "pass"],
        "import amplify": [sys.executable, "-c", "import amplify"],
        "amplify --help": [*amplify, "--help"],
        "plain, same files": [
            sys.executable,
            "-c",
            _PLAIN,
            str(folder / "plain.pdf"),
            *map(str, members),
        ],
        "amplify averaging": averaging,
        "amplify averaging, holdout": [*averaging, "--holdout", str(holdout)],
        "amplify differential": differential,
        "amplify differential, x0": [*differential, "--summary", "column:x0"],
    }


def _place(name: str, directory: Path) -> list[str]:
    """Where a command leaves its results: nothing is overwritten, so every run has a place."""
    if not name.startswith(("amplify averaging", "amplify differential")):
        return []
    return ["--out", str(directory / name.replace(" ", "-"))]


def _run(command: list[str]) -> dict[str, Any]:
    """CPU and wall seconds of a process and its children, and its peak memory in MiB."""
    begin = time.perf_counter()
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=nothing, stderr=nothing)  # noqa: S603  our own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu = usage.ru_utime + usage.ru_stime
    wall = time.perf_counter() - begin
    return {"cpu_s": cpu, "wall_s": wall, "mib": usage.ru_maxrss / 1024}


if __name__ == "__main__":
    study.run(main)
