"""Reading files as the commands do, in chunks that are checked to be finite, beside plain pyarrow
that reads the same files in batches and does nothing with them; and a tenth of the events, by a
condition that the statistics of Parquet decide for most groups of rows.

    python -m experiments.benchmarks.reading --directory bench-reading --out reading.json

All in one process, in turns, the best of several rounds; what the system keeps of the files in
memory stays there. `cpu` is the processor time of all threads, which other work on the machine
changes less than the wall time.

- `batches`: `ParquetFile.iter_batches`, file by file, columns in threads.
- `scanner`: `dataset.to_batches`, pyarrow's own reader of folders in threads.
- `chunks`: `amplify.tables.files.over_chunks`, events [rows, column] in threads, checked.
- `filtered`, `where`: events of a tenth of the runs, by a filter of pyarrow, and by `FOLDER where
  run < ...`, opening and counting included.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import tyro

from amplify.devices import usable_cores
from amplify.results.records import environment, write_json
from amplify.tables import files

Preset = Literal["smoke", "full"]
_ROWS = {"smoke": 20_000, "full": 20_000_000}
_GROUP = {"smoke": 1_000, "full": 1_000_000}
_ROUNDS = {"smoke": 1, "full": 4}
_RUNS, _FILES, _BATCH = 100, 2, 1 << 17


class Rate(NamedTuple):
    """What the best round took.

    Attributes:
        rows: that were read or looked for.
        wall: seconds.
        cpu: seconds of all threads.
    """

    rows: int
    wall: float
    cpu: float


def main(
    directory: Path = Path("bench-reading"), preset: Preset = "full", out: Path | None = None
) -> dict[str, Any]:
    """Times every way of reading, and prints rates and ratios.

    Args:
        directory: for the files, which are kept.
        preset: size of the files, and rounds.
        out: JSON file for the numbers.
    """
    folder = directory / preset
    size = _ROWS[preset] // _FILES
    for k in range(_FILES):
        if not (folder / f"{k}.parquet").exists():
            _write(folder / f"{k}.parquet", size, k, _GROUP[preset])
    ways: dict[str, Callable[[], int]] = {
        "batches": lambda: _batches(folder),
        "scanner": lambda: _scanned(folder),
        "chunks": lambda: _chunks(str(folder)),
        "filtered": lambda: _filtered(folder),
        "where": lambda: _chunks(f"{folder} where run < {_RUNS // 10}"),
    }
    rates: dict[str, Rate] = {}
    for _ in range(_ROUNDS[preset]):
        for name, way in ways.items():
            rates[name] = _better(rates.get(name), _timed(way))
    rows = _ROWS[preset]
    assert all(rates[name].rows == rows for name in ("batches", "scanner", "chunks"))
    assert rates["where"].rows == rates["filtered"].rows
    bytes_read = rows * 5 * 4
    table = {
        name: rate._asdict()
        | {"rows_per_s": rate.rows / rate.wall, "mb_per_s": bytes_read / rate.wall / 1e6}
        for name, rate in rates.items()
    }
    ratios = {
        f"{ours} to {theirs}, {clock}": getattr(rates[theirs], clock) / getattr(rates[ours], clock)
        for ours, theirs in (("chunks", "batches"), ("chunks", "scanner"), ("where", "filtered"))
        for clock in ("wall", "cpu")
    }
    for name, rate in rates.items():
        print(f"{name:10s} {rate.rows:12,d} rows  {rate.wall:7.3f} s  {rate.cpu:7.3f} s of cpu")
    for name, ratio in ratios.items():
        print(f"{name:28s} {ratio:5.2f} times the rate")
    record = {"cores": usable_cores(), "rates": table, "ratios": ratios}
    if out is not None:
        command = f"python -m experiments.benchmarks.reading --preset {preset}"
        head = environment(command, 0, {"rows": rows, "runs": _RUNS, "files": _FILES})
        write_json(out, {**head, "estimates": [], "study": record})
    return record


def _write(path: Path, rows: int, number: int, group: int) -> None:
    """Five normal columns, and the number of the run, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    run = (number * rows + np.arange(rows)) * _RUNS // (_FILES * rows)
    columns = {f"x{i}": rng.standard_normal(rows, np.float32) for i in range(5)}
    pq.write_table(pa.table(columns | {"run": run}), path, row_group_size=group)


def _timed(way: Callable[[], int]) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    rows = way()
    return Rate(rows, time.perf_counter() - wall, time.process_time() - cpu)


def _better(first: Rate | None, second: Rate) -> Rate:
    """The least wall time and the least processor time."""
    if first is None:
        return second
    return Rate(second.rows, min(first.wall, second.wall), min(first.cpu, second.cpu))


def _names() -> list[str]:
    return [f"x{i}" for i in range(5)]


def _batches(folder: Path) -> int:
    return sum(
        len(batch)
        for path in sorted(folder.glob("*.parquet"))
        for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=_names())
    )


def _scanned(folder: Path) -> int:
    batches = ds.dataset(folder).to_batches(columns=_names(), batch_size=_BATCH)
    return sum(len(batch) for batch in batches)


def _filtered(folder: Path) -> int:
    few = ds.field("run") < _RUNS // 10
    batches = ds.dataset(folder).to_batches(columns=_names(), filter=few, batch_size=_BATCH)
    return sum(len(batch) for batch in batches)


def _chunks(source: str) -> int:
    selection = files.select(files.open_sample(source), _names())
    rows = sum(files.over_chunks(_rows, selection))
    selection.table.close()
    return rows


def _rows(first: int, x: np.ndarray, weight: np.ndarray | None) -> int:
    return len(x)


if __name__ == "__main__":
    tyro.cli(main)
