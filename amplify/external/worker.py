"""One member in a process of its own, which `process.start` starts with the directory of the job,
the number of the member and its end of a pipe.

It loads NumPy and what the user's function loads, nothing else.
"""

import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from amplify.errors import AmplifyError
from amplify.external.completion import completed, said_of
from amplify.external.job import Job, events_file, outcome_file, read_job, write_json
from amplify.external.loading import load_function
from amplify.external.protocol import (
    Fit,
    MemberError,
    Order,
    fingerprint,
    fit_member,
    fit_seed,
    generate,
    probe,
)
from amplify.storage import whole


def main(arguments: Sequence[str]) -> int:
    """Trains the member and says how it went; the exit code."""
    directory, member, pipe = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    _end_with_parent(pipe)
    try:
        _train(directory, read_job(directory), member)
    except AmplifyError as error:
        traceback.print_exc()
        outcome = {"error": error.args[:4], "of_all": not isinstance(error, MemberError)}
        write_json(outcome_file(directory, member), outcome)
        return 1
    return 0


def _train(directory: Path, job: Job, member: int) -> None:
    fit = _completing(job, load_function(job.generator))
    x = np.load(directory / "train.npy", mmap_mode="r")
    weight = np.load(directory / "train_weight.npy", mmap_mode="r") if job.weighted else None
    order = Order(member, job.seed, job.n_gen, x.shape[1], x.dtype)
    _seed_streams(fit_seed(member, job.seed))
    sample = fit_member(fit, x, weight, member, job.seed, job.resample)
    # once more, for a framework that fit was the first to load
    _seed_streams(fit_seed(member, job.seed) + 1)
    first = probe(sample, order)
    weighted = first[1] is not None
    dtype, shape = _layout(job, order.dtype, weighted=weighted)
    with whole(events_file(directory, member)) as unfinished:
        table = np.lib.format.open_memmap(unfinished, "w+", dtype, shape, version=(3, 0))
        start = 0
        for x_gen, weight_gen in generate(sample, order, first):
            _fill(table[start : start + len(x_gen)], job, x_gen, weight_gen)
            start += len(x_gen)
        table.flush()
        outcome = {"fingerprint": fingerprint(first), "weighted": weighted, **said_of(sample)}
        write_json(outcome_file(directory, member), outcome)


def _completing(job: Job, fit: Fit) -> Fit:
    """The user's function, in completion rounds where there are cuts; they are told in the log."""
    if not job.cuts:
        return fit
    from amplify.regions.passing import Passes

    def tell(done: int, rounds: int, news: str) -> None:
        print(f"completion round {done} of {rounds}: {news}")

    passes = Passes(tuple(job.cuts), tuple(job.columns))
    return completed(fit, passes, rounds=job.rounds, progress=tell)


def _fill(rows: np.ndarray, job: Job, x: np.ndarray, weight: np.ndarray | None) -> None:
    """Writes events [n, dim] and weights [n] into rows of the file, [n, dim] or n records."""
    if rows.dtype.names is None:
        rows[:] = x
        return
    for name, column in zip(job.columns, x.T, strict=True):
        rows[name] = column
    if weight is not None:
        rows[job.weight_column] = weight


def _layout(job: Job, dtype: np.dtype, *, weighted: bool) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of the file: a plain table where columns have no names, because thousands of
    fields do not fit into the header of a .npy file.
    """
    if not weighted and job.columns == [f"x{i}" for i in range(len(job.columns))]:
        return dtype, (job.n_gen, len(job.columns))
    fields = [(name, dtype) for name in job.columns]
    if weighted:
        fields.append((job.weight_column, np.dtype(np.float64)))
    return np.dtype(fields), (job.n_gen,)


def _seed_streams(seed: int) -> None:
    """Seeds the global streams, for samplers that forget their seed: torch starts alike in every
    process, which would give all members the same noise.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def _end_with_parent(pipe: int) -> None:
    """Kills this process and its children when the parent is gone, however it went: then nobody
    holds the other end of the pipe.
    """

    def watch() -> None:
        os.read(pipe, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
