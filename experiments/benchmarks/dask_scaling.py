"""How tasks get faster with the workers of a Dask cluster: simulated chunks of top pairs, and
members, on 1, 2 and 4 workers of one thread each, beside the same tasks in processes of this
machine without Dask; all in one run.

    python -m experiments.benchmarks.dask_scaling --out dask_scaling.json

Efficiency is the time of one worker over that of n workers, over n, or over the cores where there
are fewer: the gain of cores that were added.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from amplify.devices import usable_cores
from amplify.engine import Engine, using
from amplify.engine.dask import opened
from amplify.engine.processes import processes
from amplify.external.supervise import train_members
from amplify.ttbar.partons import TtbarSettings, simulate_chunk

Row = dict[str, Any]


def main(
    workers: tuple[int, ...] = (1, 2, 4),
    chunks: int = 12,
    generated: int = 10_000,
    members: int = 4,
    n_train: int = 2000,
    generator: str = "amplify.examples.mixture:fit",
    out: Path | None = None,
) -> dict[str, Any]:
    """Times both, prints the table and writes it.

    Args:
        workers: of Dask; those that the machine has cores for are also timed without it.
        chunks: of simulated top pairs.
        generated: events of each before cuts.
        members: trainings.
        n_train: events that each learns from.
        generator: that is trained.
        out: JSON file.
    """
    x = np.random.default_rng(0).normal(size=(n_train, 2)).astype(np.float32)

    def simulated(engine: Engine) -> None:
        items = ((TtbarSettings(), i, generated) for i in range(chunks))
        for _ in engine.in_order(simulate_chunk, items):
            pass

    def trained(engine: Engine) -> None:
        with tempfile.TemporaryDirectory() as folder, using(engine):
            asked = {"members": members, "n_gen": 20_000, "workers": engine.workers}
            train_members(Path(folder), generator, x, **asked)

    of_all = {f"{chunks} chunks of top pairs": simulated, f"{members} members": trained}
    rows: list[Row] = []
    for n in workers:
        rows += _timed(of_all, f"local:{n}")
    for n in workers:
        if n <= usable_cores():
            rows += _timed(of_all, n)
    record = {"cores": usable_cores(), "threads": 1, "rows": _with_efficiency(rows)}
    print(f"{record['cores']} cores, one thread a worker")
    for row in record["rows"]:
        print(
            f"{row['what']:>25} {row['where']:>10} {row['workers']:2d} workers"
            f" {row['s']:7.2f} s  efficiency {row['efficiency']:.2f}"
        )
    if out is not None:
        out.write_text(json.dumps(record, indent=1) + "\n")
    return record


def _timed(of_all: dict[str, Callable[[Engine], None]], where: str | int) -> list[Row]:
    """Seconds of each on an engine that has started and has done a first task."""
    begin = time.perf_counter()
    name = "Dask" if isinstance(where, str) else "processes"
    with opened(where) if isinstance(where, str) else processes(where) as engine:
        warm = [(TtbarSettings(), i, 10) for i in range(engine.workers)]
        list(engine.in_order(simulate_chunk, warm))
        start = time.perf_counter() - begin
        rows = []
        for what, run in of_all.items():
            begin = time.perf_counter()
            run(engine)
            s = time.perf_counter() - begin
            of_run = {"workers": engine.workers, "s": s, "start_s": start}
            rows.append({"what": what, "where": name, **of_run})
        return rows


def _with_efficiency(rows: list[Row]) -> list[Row]:
    """Relative to the fewest workers of the same kind."""
    found = []
    for row in rows:
        alike = [r for r in rows if (r["what"], r["where"]) == (row["what"], row["where"])]
        first = min(alike, key=lambda r: r["workers"])
        gain = min(row["workers"], usable_cores()) / min(first["workers"], usable_cores())
        found.append({**row, "efficiency": first["s"] / row["s"] / gain})
    return sorted(found, key=lambda r: (r["what"], r["where"], r["workers"]))


if __name__ == "__main__":
    tyro.cli(main)
