"""Ten bins of each of five float32 columns of 1e8 rows in two files, the same edges for everybody:
`files.over_chunks` with `regions.count` beside what people use, one after the other in one run,
each in a process of its own on all cores.

    python -m experiments.benchmarks.histogram --directory bench-files --out histogram.json

- Parquet: polars, `cut` and `value_counts`, and sums of comparisons with the edges, which take
  less time, both by its streaming engine; numpy with pyarrow; pyarrow alone, which counts nothing.
- ROOT: uproot with hist, `uproot.iterate` and `Hist.fill` in all threads; uproot alone.

polars and hist are not among the requirements: who is not installed is left out. All have counted
the same where they agree in the number of events of each bin, which is checked.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from amplify.results.records import environment, write_json
from experiments.benchmarks.files import measured, written

# numbers that single precision has, too: not everybody rounds the others alike
_EDGES = [-1.28125, -0.84375, -0.53125, -0.25, 0.0, 0.25, 0.53125, 0.84375, 1.28125]
Kind = Literal["parquet", "root"]

_HEAD = f"""
import json, os, sys
import numpy as np
edges = {_EDGES}
paths = sys.argv[1:]
cores = len(os.sched_getaffinity(0))
"""
_WRITE = "\nprint(json.dumps(np.asarray(counts).tolist()))\n"

_OURS = """
from functools import partial
from amplify import regions as rg
from amplify.tables import files

selection = files.select(files.open_sample(paths))
ends = [-np.inf, *edges, np.inf]
bins = rg.join(*[rg.bins(rg.column(i), ends, name) for i, name in enumerate(selection.names)])

def count(first, x, weight):
    return rg.count(bins, x, weight).n_inside

counts = sum(files.over_chunks(count, selection)).reshape(len(selection.names), -1)
"""
_NUMPY = """
import pyarrow.parquet as pq
counts = 0
for path in paths:
    for batch in pq.ParquetFile(path).iter_batches(1 << 18):
        of = [np.digitize(column.to_numpy(), edges) for column in batch.columns]
        counts = counts + np.array([np.bincount(place, minlength=10) for place in of])
"""
_ARROW = """
import pyarrow.dataset as ds
assert sum(len(batch) for batch in ds.dataset(paths).to_batches())
counts = 0
"""
_POLARS_HIST = """
import polars as pl
ends = [float("-inf"), *edges, float("inf")]
frame = pl.scan_parquet(paths)
names = frame.collect_schema().names()
below = [frame.select(pl.col(n).cut(edges, left_closed=True).value_counts()) for n in names]
counts = []
for name, table in zip(names, pl.collect_all(below, engine="streaming")):
    each = table.unnest(name).sort(name)
    counts.append(each["count"].to_list())
"""
_POLARS = """
import polars as pl
frame = pl.scan_parquet(paths)
names = frame.collect_schema().names()
sums = [(pl.col(n) < e).sum().alias(f"{n} {i}") for n in names for i, e in enumerate(edges)]
row = frame.select(*sums, pl.len().alias("n")).collect(engine="streaming").row(0, named=True)
counts = [np.diff([0, *[row[f"{n} {i}"] for i in range(9)], row["n"]]) for n in names]
"""
_UPROOT = """
import uproot
how = {"library": "np", "step_size": "50 MB"}
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(cores) as pool:
    for chunk in uproot.iterate(paths, interpretation_executor=pool, **how):
        counts = len(chunk)
"""
_UPROOT_HIST = """
import hist, uproot
how = {"library": "np", "step_size": "50 MB"}
from concurrent.futures import ThreadPoolExecutor
axis = hist.axis.Variable(edges)
filled = {}
with ThreadPoolExecutor(cores) as pool:
    for chunk in uproot.iterate(paths, interpretation_executor=pool, **how):
        for name, x in chunk.items():
            filled.setdefault(name, hist.Hist(axis)).fill(x, threads=cores)
counts = [h.values(flow=True) for h in filled.values()]
"""
_CASES: dict[Kind, dict[str, str]] = {
    "parquet": {
        "pyarrow, no counting": _ARROW,
        "ours": _OURS,
        "polars, comparisons": _POLARS,
        "polars, cut and value_counts": _POLARS_HIST,
        "pyarrow and numpy": _NUMPY,
    },
    "root": {"uproot, no counting": _UPROOT, "ours": _OURS, "uproot and hist": _UPROOT_HIST},
}
_NEEDS = {"polars": "polars", "hist": "hist"}


def main(
    directory: Path,
    kinds: tuple[Kind, ...] = ("parquet", "root"),
    scale: float = 1.0,
    repeat: int = 1,
    out: Path | None = None,
) -> None:
    """Writes the files, runs everybody and prints times, memory and ratios.

    Args:
        directory: for files; kept.
        kinds: of files.
        scale: of the number of rows.
        repeat: rounds, of which the fastest of each counts.
        out: JSON file for the numbers.
    """
    rows = round(100_000_000 * scale)
    found: list[dict[str, Any]] = []
    for kind in kinds:
        paths = [str(path) for path in _files(directory, kind, scale)]
        best = _fastest(_CASES[kind], paths, repeat)
        ours = best["ours"]["seconds"]
        for what, row in best.items():
            row |= {"kind": kind, "what": what, "rows": rows, "ratio": row["seconds"] / ours}
            print(
                f"{kind:8s} {what:30s} {row['seconds']:7.2f} s  {row['ratio']:6.2f} of ours  "
                f"{row['cpu_seconds']:7.2f} s of CPU  {row['peak_mb']:6.0f} MB",
                flush=True,
            )
            found.append(row)
    if out is not None:
        command = "python -m experiments.benchmarks.histogram --directory bench-files"
        command += f" --scale {scale:g}" if scale != 1 else ""
        record = environment(command, 0, {"rows": rows, "cores": len(os.sched_getaffinity(0))})
        write_json(out, {**record, "estimates": [], "study": found})


def _fastest(cases: dict[str, str], paths: Sequence[str], repeat: int) -> dict[str, dict[str, Any]]:
    """The fastest round of each."""
    best: dict[str, dict[str, Any]] = {}
    counted: dict[str, Any] = {}
    for _ in range(repeat):
        for what, code in cases.items():
            if not all(find_spec(package) for word, package in _NEEDS.items() if word in code):
                continue
            used, said = measured([sys.executable, "-c", _HEAD + code + _WRITE, *paths])
            counted[what] = json.loads(said)
            row = used._asdict()
            if what not in best or row["seconds"] < best[what]["seconds"]:
                best[what] = row
    for what, counts in counted.items():
        if "no counting" not in what and not np.array_equal(counts, counted["ours"]):
            raise SystemExit(f"{what} has not counted what we have")
    return best


def _files(directory: Path, kind: Kind, scale: float) -> list[Path]:
    """The same rows in both formats."""
    of_parquet = written(directory, "rows", scale)
    if kind == "parquet":
        return of_parquet
    paths = [path.with_suffix(".root") for path in of_parquet]
    for path, source in zip(paths, of_parquet, strict=True):
        if not path.exists():
            _as_root(path, source)
    return paths


def _as_root(path: Path, source: Path) -> None:
    import pyarrow.parquet as pq
    import uproot

    unfinished = path.with_suffix(".part")
    with uproot.recreate(unfinished, compression=None) as file:
        tree = None
        for batch in pq.ParquetFile(source).iter_batches(1 << 20):
            columns = {n: c.to_numpy() for n, c in zip(batch.schema.names, batch, strict=True)}
            if tree is None:
                tree = file.mktree("events", {n: c.dtype for n, c in columns.items()})
            tree.extend(columns)
    unfinished.rename(path)


if __name__ == "__main__":
    tyro.cli(main)
