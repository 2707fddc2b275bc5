"""1e8 rows of five float32 columns from Parquet and HDF5: both commands against plain numpy that
reads and histograms the same files, side by side in one run.

    python -m experiments.benchmarks.files --directory bench-files

Writes the files (2 GB of each format) where they are not there yet. Averaging has eight members of
1.25e7 rows; differential takes all eight files as one generated sample, with a holdout of 1e5
events, and learns the ratio. Peak memory is that of the process, everything included. Idle machine,
please.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tyro

from amplify.storage import whole

ROWS, FILES, COLUMNS, HOLDOUT = 100_000_000, 8, 5, 100_000

_PLAIN = """
import sys, numpy as np
kind, *paths = sys.argv[1:]
for path in paths:
    if kind == "parquet":
        import pyarrow.parquet as pq
        table = pq.read_table(path)
        columns = [table.column(i).to_numpy() for i in range(table.num_columns)]
    else:
        import h5py
        with h5py.File(path) as file:
            columns = file["events"][:].T
    for column in columns:
        np.histogram(column, bins=100, range=(-4, 4))
"""


def main(directory: Path, rows: int = ROWS, out: Path | None = None) -> None:
    """Writes the files, runs everything once and prints times.

    Args:
        directory: for files and results; kept.
        rows: of all members together.
        out: JSON file for the numbers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    results = []
    for kind in ("parquet", "h5"):
        members, holdout = _written(directory, kind, rows)
        names = [str(member) for member in members]
        runs = directory / f"run-{kind}-{time.time_ns()}"
        amplify = [sys.executable, "-m", "amplify"]
        n_train = ["--n-train", "100000", "--out"]
        averaging = [*amplify, "averaging", "--members", *names, *n_train, str(runs / "a")]
        samples = ["--generated", *names, "--holdout", str(holdout), *n_train]
        differential = [*amplify, "differential", *samples]
        commands = {
            "plain numpy": [sys.executable, "-c", _PLAIN, kind, *names],
            "averaging": averaging,
            "differential": [*differential, str(runs / "d")],
            "differential, column": [*differential, str(runs / "c"), "--summary", "column:x0"],
        }
        plain = None
        for what, command in commands.items():
            seconds, memory = _timed(command)
            plain = plain or seconds
            row = {"format": kind, "rows": rows, "what": what, "seconds": seconds}
            results.append(row | {"peak_gb": memory, "speed": plain / seconds})
            speed = f"{plain / seconds:5.2f} of plain numpy's speed"
            print(f"{kind:8s} {what:22s} {seconds:7.1f} s   {memory:5.2f} GB   {speed}", flush=True)
    if out is not None:
        record = {"command": "python -m experiments.benchmarks.files", "results": results}
        out.write_text(json.dumps(record, indent=1) + "\n")


def _written(directory: Path, kind: str, rows: int) -> tuple[list[Path], Path]:
    """Members that scatter like fits to 1e5 events, and a holdout of their truth."""
    each = rows // FILES
    members = [directory / f"member_{m}_{each}.{kind}" for m in range(FILES)]
    holdout = directory / f"holdout.{kind}"
    for m, path in enumerate([*members, holdout]):
        if path.exists():
            continue
        rng = np.random.default_rng(m)
        x = rng.standard_normal((HOLDOUT if path == holdout else each, COLUMNS), dtype=np.float32)
        if path != holdout:
            scatter = (rng.standard_normal(COLUMNS) / np.sqrt(100_000)).astype(np.float32)
            x += scatter + np.float32(0.003)
        with whole(path) as unfinished:
            _write(kind, x, unfinished)
    return members, holdout


def _write(kind: str, x: np.ndarray, path: Path) -> None:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({f"x{i}": x[:, i] for i in range(COLUMNS)}), path)
        return
    import h5py

    with h5py.File(path, "w") as file:
        file["events"] = x


def _timed(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in GB of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:6])} failed: {words[-500:]}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    tyro.cli(main)
