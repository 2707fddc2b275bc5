"""Large files: `amplify averaging` of two members against a plain numpy loop that reads the same
files in the same chunks and counts the same bins, one after the other in one run.

    python -m experiments.benchmarks.files --directory bench-files --out files.json

- `wide`: 1e7 rows of 40 float32 columns in two Parquet files, ten bins of each column.
- `many`: 1e7 rows of five float32 columns in 2000 HDF5 files, a data set for each column, where a
  process may have 256 open files.
- `axis`: 1e8 rows of 30 float16 numbers in two .npy files, ten bins of `sum(x)`.
- `rows`: 1e8 rows of five float32 columns in two Parquet files.

Peak memory and CPU time are those of the process, everything included: imports, the places of the
bins, checks for copies, the page. The files are written where they are not there yet, and kept.
"""

import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, NamedTuple

import numpy as np
import tyro

from amplify.results.records import environment, write_json
from amplify.storage import whole

Case = Literal["wide", "many", "axis", "rows"]
_BLOCK = 1 << 18  # rows written, and read by the loop, at once
_SEED = 0

# reads every file in chunks and counts ten bins of what each column is; the edges come from the
# first rows, as nobody knows them before
_LOOP = """
import sys, numpy as np
kind, *paths = sys.argv[1:]
BLOCK = 1 << 18

def chunks(path):
    if kind in ("wide", "rows"):
        import pyarrow.parquet as pq
        for batch in pq.ParquetFile(path).iter_batches(BLOCK):
            yield [column.to_numpy() for column in batch.columns]
    elif kind == "many":
        import h5py
        with h5py.File(path) as file:
            yield [file[name][:] for name in file]
    else:
        shape, start = np.load(path, mmap_mode="r").shape, 0
        with open(path, "rb") as file:
            offset = file.seek(0, 2) - 2 * shape[0] * shape[1]
        while start < shape[0]:
            n = min(BLOCK, shape[0] - start)
            x = np.fromfile(path, "f2", n * shape[1], offset=offset + 2 * start * shape[1])
            yield [x.reshape(n, -1).sum(axis=1, dtype=np.float64)]
            start += n

edges = counts = None
for path in paths:
    for columns in chunks(path):
        if edges is None:
            edges = [np.quantile(x, np.linspace(0, 1, 11)[1:-1]) for x in columns]
            counts = np.zeros((len(edges), 10), int)
        for i, x in enumerate(columns):
            counts[i] += np.bincount(np.searchsorted(edges[i], x, "right"), minlength=10)
"""


class Used(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def main(
    directory: Path,
    cases: tuple[Case, ...] = ("wide", "many", "axis"),
    scale: float = 1.0,
    out: Path | None = None,
) -> None:
    """Writes the files, runs everything once and prints times and memory.

    Args:
        directory: for files and results; kept.
        cases: which; see above.
        scale: of the number of rows and of files.
        out: JSON file for the numbers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = []
    for case in cases:
        paths = written(directory, case, scale)
        size = sum(path.stat().st_size for path in paths)
        loop = timed([sys.executable, "-c", _LOOP, case, *map(str, paths)], case)
        ours = timed(_averaging(directory, case, paths), case)
        for what, used in (("numpy loop", loop), ("averaging", ours)):
            row = {"case": case, "what": what, "files": len(paths), "gb": size / 1e9}
            found.append(row | used._asdict())
            print(
                f"{case:5s} {what:11s} {used.seconds:7.1f} s  {used.cpu_seconds:7.1f} s of CPU  "
                f"{used.peak_mb:7.0f} MB",
                flush=True,
            )
    if out is not None:
        command = "python -m experiments.benchmarks.files --directory bench-files"
        command += f" --scale {scale:g}" if scale != 1 else ""
        record = environment(command, _SEED, {"cases": cases, "scale": scale})
        write_json(out, {**record, "estimates": [], "study": found})


def written(directory: Path, case: Case, scale: float) -> list[Path]:
    """The files of two members, half of them each."""
    rows, width, files = {
        "wide": (10_000_000, 40, 2),
        "many": (10_000_000, 5, 2000),
        "axis": (100_000_000, 30, 2),
        "rows": (100_000_000, 5, 2),
    }[case]
    files = max(2, 2 * round(scale * files / 2)) if case == "many" else files
    each = max(round(scale * rows) // files, 100)
    suffix = {"many": "h5", "axis": "npy"}.get(case, "parquet")
    folder = directory / f"{case}_{each}"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{2 * i // files}_{i:04d}.{suffix}" for i in range(files)]
    # elsewhere: what this process has used would count as used by those that it starts
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(paths, each, width))
    writer.start()
    writer.join()
    if writer.exitcode:
        raise SystemExit("the files could not be written")
    return paths


def _write(paths: Sequence[Path], each: int, width: int) -> None:
    """Those that are not there yet."""
    for i, path in enumerate(paths):
        if path.exists():
            continue
        shift = 0.003 * np.random.default_rng((_SEED, 2 * i // len(paths))).normal(size=width)
        blocks = _blocks(np.random.default_rng((_SEED, 2, i)), each, shift)
        with whole(path) as unfinished:
            _WRITERS[path.suffix[1:]](unfinished, blocks, each, width)


def _blocks(rng: np.random.Generator, n: int, shift: np.ndarray) -> Any:
    for start in range(0, n, _BLOCK):
        shape = (min(_BLOCK, n - start), len(shift))
        yield rng.standard_normal(shape, dtype=np.float32) + shift.astype(np.float32)


def _parquet(path: Path, blocks: Any, n: int, width: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(width)])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for block in blocks:
            writer.write_table(pa.table(list(np.ascontiguousarray(block.T)), schema=schema))


def _hdf5(path: Path, blocks: Any, n: int, width: int) -> None:
    import h5py

    x = np.concatenate(list(blocks))
    with h5py.File(path, "w") as file:
        for i in range(width):
            file[f"x{i}"] = x[:, i]


def _npy(path: Path, blocks: Any, n: int, width: int) -> None:
    with open(path, "wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": (n, width)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.exp(block / 4).astype("<f2").tobytes())


_WRITERS: dict[str, Callable[[Path, Any, int, int], None]] = {
    "parquet": _parquet,
    "h5": _hdf5,
    "npy": _npy,
}


def _averaging(directory: Path, case: Case, paths: list[Path]) -> list[str]:
    """The command that counts ten bins of each column."""
    half = len(paths) // 2
    suffix = paths[0].suffix
    members = [str(paths[0].parent / f"{m}_*{suffix}") for m in range(2)]
    if half == 1:
        members = [str(path) for path in paths]
    out = directory / f"run-{case}-{time.time_ns()}"
    columns = ["--columns", "total=sum(x)"] if case == "axis" else []
    fixed = ["--n-train", "100000", "--bins", "10", "--out", str(out)]
    command = [sys.executable, "-m", "amplify", "averaging", "--members", *members]
    return [*command, *fixed, *columns]


def timed(command: list[str], case: Case | None = None) -> Used:
    """What a process takes; of `many`, where it may have 256 open files."""
    return measured(command, case)[0]


def measured(command: list[str], case: Case | None = None) -> tuple[Used, str]:
    """The same, and what the process prints."""

    def few_open_files() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    begin = time.perf_counter()
    with TemporaryFile("w+") as printed:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdout=printed,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=few_open_files if case == "many" else None,
        )
        assert process.stderr is not None
        with process.stderr:
            words = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit(f"{' '.join(command[:6])[:300]} failed: {words[-500:]}")
        printed.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        return Used(seconds, cpu, usage.ru_maxrss / 1e3), printed.read()


if __name__ == "__main__":
    tyro.cli(main)
