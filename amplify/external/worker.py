"""One member in a process of its own, which `process.start` starts with the directory of the job,
the number of the member and its end of a pipe.

It loads NumPy and what the user's function loads, nothing else.
"""

import hashlib
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from amplify.errors import AmplifyError
from amplify.external.completion import completed, said_of
from amplify.external.job import Job, events_file, outcome_file, read_job, stored_events
from amplify.external.loading import load_function
from amplify.external.process import MARK, OUT_OF_SPACE, kill_marked
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
from amplify.sealed import digest, save_json
from amplify.stops import is_full, said
from amplify.storage import whole


def main(arguments: Sequence[str]) -> int:
    """Trains the member and says how it went; the exit code."""
    directory, member, pipe = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    _end_with_parent(pipe)
    try:
        _train(directory, read_job(directory), member)
    except AmplifyError as error:
        _leave(directory, member, error.args[:4], of_all=not isinstance(error, MemberError))
        _trace()
        return 1
    except OSError as error:
        what, _, rest = said(error).partition(": expected ")
        expected, _, rest = rest.partition(", got ")
        got, _, fix = rest.partition("; ")
        _leave(directory, member, (what, expected, got, fix), of_all=is_full(error))
        _trace()
        return OUT_OF_SPACE if is_full(error) else 1
    return 0


def _leave(directory: Path, member: int, error: Sequence[str], *, of_all: bool) -> None:
    """Writes what went wrong, where there is room for it."""
    with suppress(OSError):
        save_json(outcome_file(directory, member), {"error": list(error), "of_all": of_all})


def _trace() -> None:
    """The traceback, for the log, unless the user's code has closed it."""
    with suppress(OSError, ValueError):
        traceback.print_exc()


def _train(directory: Path, job: Job, member: int) -> None:
    x, weight = stored_events(directory, job)
    fit = _completing(job, load_function(job.generator))
    order = Order(member, job.seed, job.n_gen, x.shape[1], x.dtype)
    _seed_streams(fit_seed(member, job.seed))
    sample = fit_member(fit, x, weight, member, job.seed, job.resample)
    # once more, for a framework that fit was the first to load
    _seed_streams(fit_seed(member, job.seed) + 1)
    first = probe(sample, order)
    weighted = first[1] is not None
    dtype, shape = _layout(job, order.dtype, weighted=weighted)
    with whole(events_file(directory, member)) as unfinished:
        header = _reserve(unfinished, dtype, shape)
        written = hashlib.sha256(header)
        with open(unfinished, "r+b") as file:
            file.seek(len(header))
            for x_gen, weight_gen in generate(sample, order, first):
                rows = _rows(dtype, shape, job, x_gen, weight_gen)
                file.write(rows)
                written.update(rows)
        outcome = {
            "job": digest(job._asdict()),
            "events": written.hexdigest(),
            "bytes": unfinished.stat().st_size,
            "fingerprint": fingerprint(first),
            "weighted": weighted,
            **said_of(sample),
        }
        save_json(outcome_file(directory, member), outcome)


def _reserve(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Makes an .npy file of that table; its header. The rest is written, not mapped: a full disk is
    an error then, and not the end of the process.
    """
    start = np.lib.format.open_memmap(path, "w+", dtype, shape, version=(3, 0)).offset
    with open(path, "rb") as file:
        return file.read(start)


def _completing(job: Job, fit: Fit) -> Fit:
    """The user's function, in completion rounds where there are cuts; they are told in the log."""
    if not job.cuts:
        return fit
    from amplify.regions.passing import Passes

    def tell(done: int, rounds: int, news: str) -> None:
        print(f"completion round {done} of {rounds}: {news}")

    passes = Passes(tuple(job.cuts), tuple(job.columns))
    return completed(fit, passes, rounds=job.rounds, progress=tell)


def _rows(
    dtype: np.dtype, shape: tuple[int, ...], job: Job, x: np.ndarray, weight: np.ndarray | None
) -> bytes:
    """Events [n, dim] and weights [n] as bytes of the file, of [n, dim] or n records."""
    rows = np.empty((len(x), *shape[1:]), dtype)
    if dtype.names is None:
        rows[:] = x
        return rows.tobytes()
    for name, column in zip(job.columns, x.T, strict=True):
        rows[name] = column
    if weight is not None:
        rows[job.weight_column] = weight
    return rows.tobytes()


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
    parent = os.getppid()

    def watch() -> None:
        try:
            os.read(pipe, 1)
        except OSError:  # the user's code has closed it
            while os.getppid() == parent:
                time.sleep(1)
        kill_marked(os.environ.get(MARK, ""))
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
