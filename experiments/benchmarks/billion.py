"""A billion events of five float32 columns in eight Parquet files (20 GB): `amplify averaging`,
`amplify differential` and `amplify compare` over all of them, beside plain pyarrow that reads the
same files in batches and does nothing with them, one after the other in one run.

    python -m experiments.benchmarks.billion --directory bench-billion --out billion.json

- `threads`, `scanner`: plain pyarrow, the batches of all columns, of the files in two threads, and
  by Arrow's own scanner of a data set.
- `averaging`: two members of four files each, ten bins of each column with all that the page shows
  beside them: bins from coarse to fine, histograms, the map of two columns.
- `differential`: all files against a holdout, x0 as the summary, in everything, bulk and tails.
- `compare`: all files against a holdout, in the statistics of columns, which stream.

Each reads every row, refuses what is not finite, and digests the files (SHA-256, 1.7 GB/s a core);
the last two look for events of the holdout among the generated ones. What the system has kept of
the files in memory is given back before each (`cold`), so that all read from the disk. Rates are
rows per second of wall time; peak memory is that of the process.

`--steps write` writes the files, which are kept; `--scale .1` is a tenth of the rows.
"""

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from amplify.results.records import environment, write_json
from amplify.storage import whole
from experiments.benchmarks.files import Used, timed

Step = Literal["write", "threads", "scanner", "averaging", "differential", "compare", "clean"]
_COMMANDS: tuple[Step, ...] = ("averaging", "differential", "compare")
_ROWS, _COLUMNS, _FILES = 1_000_000_000, 5, 8
_HOLDOUT = 100_000
_GROUP = 1 << 20  # rows of a group
_STATISTICS = ("mean_ks", "max_ks", "mean_wasserstein", "separation", "chi_squared", "frechet")
_TRUE = 99  # number of the holdout, after those of all files

_READ = """
import sys
how, *paths = sys.argv[1:]
rows = 0
if how == "threads":
    import pyarrow.parquet as pq
    from concurrent.futures import ThreadPoolExecutor

    def read(path):
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        return sum(len(batch) for batch in file.iter_batches(1 << 17, use_threads=False))

    with ThreadPoolExecutor(2) as pool:
        rows = sum(pool.map(read, paths))
else:
    import pyarrow.dataset as ds
    rows = sum(len(batch) for batch in ds.dataset(paths).to_batches(batch_readahead=4))
assert rows
"""


def main(
    directory: Path,
    steps: tuple[Step, ...] = ("write", "threads", "scanner", *_COMMANDS),
    scale: float = 1.0,
    cold: bool = True,
    out: Path | None = None,
) -> None:
    """Runs the steps and prints rows per second and memory.

    Args:
        directory: for files and results; kept.
        steps: which; see above. `clean` removes the files.
        scale: of the number of rows.
        cold: forget what is in memory of the files before each step.
        out: JSON file for the numbers.
    """
    rows = round(_ROWS * scale)
    folder = directory / f"{rows}"
    paths = [folder / f"{2 * i // _FILES}_{i}.parquet" for i in range(_FILES)]
    holdout = folder / "holdout.parquet"
    found = []
    for step in steps:
        if step == "write":
            _write(folder, paths, holdout, rows)
        elif step == "clean":
            shutil.rmtree(folder)
        for what, command in _commands(step, folder, paths, holdout).items():
            if cold:
                _forget([*paths, holdout])
            used = timed(command)
            found.append(_row(what, used, rows))
            print(_said(found[-1]), flush=True)
    if out is not None:
        command = "python -m experiments.benchmarks.billion --directory bench-billion"
        command += _flags(scale, cold)
        settings = {"rows": rows, "columns": _COLUMNS, "files": _FILES, "cold": cold}
        write_json(out, {**environment(command, 0, settings), "estimates": [], "study": found})


def _flags(scale: float, cold: bool) -> str:
    return (f" --scale {scale:g}" if scale != 1 else "") + ("" if cold else " --no-cold")


def _commands(step: Step, folder: Path, paths: list[Path], holdout: Path) -> dict[str, list[str]]:
    """Names of what is timed, and the commands."""
    files, amplify = [str(path) for path in paths], [sys.executable, "-m", "amplify"]
    fixed = ["--n-train", "100000", "--out", str(folder / f"run-{step}-{time.time_ns()}")]
    against = ["--holdout", str(holdout), *fixed]
    everything = str(folder / "[01]_*.parquet")
    members = [str(folder / f"{m}_*.parquet") for m in range(2)]
    if step in ("threads", "scanner"):
        return {f"pyarrow, {step}": [sys.executable, "-c", _READ, step, *files]}
    return {
        "averaging": {
            "averaging": [*amplify, "averaging", "--members", *members, "--bins", "10", *fixed]
        },
        "differential": {
            "differential": [
                *amplify,
                "differential",
                "--generated",
                everything,
                "--summary",
                "column:x0",
                *against,
            ]
        },
        "compare": {
            "compare": [
                *amplify,
                "compare",
                "--generated",
                everything,
                "--statistics",
                *_STATISTICS,
                *against,
            ]
        },
    }.get(step, {})


def _row(what: str, used: Used, rows: int) -> dict[str, object]:
    return {"what": what, "rows_per_second": rows / used.seconds, **used._asdict()}


def _said(row: dict[str, object]) -> str:
    return (
        f"{row['what']:20s} {row['seconds']:7.1f} s  {row['rows_per_second']:12,.0f} rows/s  "
        f"{row['cpu_seconds']:7.1f} s of CPU  {row['peak_mb']:6.0f} MB"
    )


def _write(folder: Path, paths: list[Path], holdout: Path, rows: int) -> None:
    """Those that are not there yet; a normal distribution whose mean differs a little between
    members.
    """
    folder.mkdir(parents=True, exist_ok=True)
    each = rows // _FILES
    work = [(path, each, i, 0.003 * (2 * i // _FILES)) for i, path in enumerate(paths)]
    work.append((holdout, min(_HOLDOUT, max(rows // 100, 1000)), _TRUE, 0.0))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: _written(*each), work))


def _written(path: Path, rows: int, number: int, shift: float) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.exists():
        return
    rng = np.random.default_rng((0, number))
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(_COLUMNS)])
    with (
        whole(path) as unfinished,
        pq.ParquetWriter(unfinished, schema, use_dictionary=False) as writer,
    ):
        for start in range(0, rows, _GROUP):
            n = min(_GROUP, rows - start)
            block = rng.standard_normal((_COLUMNS, n), dtype=np.float32) + np.float32(shift)
            writer.write_table(pa.table(list(block), schema=schema))


def _forget(paths: list[Path]) -> None:
    """The system gives back what it has kept of the files."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    tyro.cli(main)
