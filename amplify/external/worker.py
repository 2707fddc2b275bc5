"""One member in a process of its own: `python -m amplify.external.worker DIRECTORY MEMBER PIPE`,
started by `supervise`.

It loads NumPy and what the user's function loads, nothing else.
"""

import os
import random
import signal
import sys
import threading
import traceback
from pathlib import Path

import numpy as np

from amplify.errors import AmplifyError
from amplify.external.job import Job, events_file, outcome_file, read_job, write_json
from amplify.external.loading import load_function
from amplify.external.protocol import (
    MemberError,
    Order,
    fingerprint,
    fit_member,
    fit_seed,
    generate,
    probe,
)
from amplify.storage import whole


def main(directory: Path, member: int, pipe: int) -> int:
    """Trains the member and says how it went; the exit code."""
    _end_with_parent(pipe)
    try:
        _train(directory, read_job(directory), member)
    except AmplifyError as error:
        traceback.print_exc()
        write_json(
            outcome_file(directory, member),
            {"error": error.args[:4], "of_all": not isinstance(error, MemberError)},
        )
        return 1
    return 0


def _train(directory: Path, job: Job, member: int) -> None:
    fit = load_function(job.generator)
    x = np.load(directory / "train.npy", mmap_mode="r")
    weight = np.load(directory / "train_weight.npy", mmap_mode="r") if job.weighted else None
    order = Order(member, job.seed, job.n_gen, x.shape[1], x.dtype)
    _seed_streams(fit_seed(member, job.seed))
    sample = fit_member(fit, x, weight, member, job.seed, job.resample)
    _seed_streams(
        fit_seed(member, job.seed) + 1
    )  # once more, for a framework that fit was the first to load
    first = probe(sample, order)
    with whole(events_file(directory, member)) as part:
        table = np.lib.format.open_memmap(
            part, "w+", *_layout(job, order.dtype, weighted=first[1] is not None), version=(3, 0)
        )
        start = 0
        for x_gen, weight_gen in generate(sample, order, first):
            rows = table[start : start + len(x_gen)]
            start += len(x_gen)
            if table.dtype.names is None:
                rows[:] = x_gen
                continue
            for name, column in zip(job.columns, x_gen.T, strict=True):
                rows[name] = column
            if weight_gen is not None:
                rows[job.weight_column] = weight_gen
        table.flush()
        write_json(
            outcome_file(directory, member),
            {"fingerprint": fingerprint(first), "weighted": first[1] is not None},
        )


def _layout(job: Job, dtype: np.dtype, *, weighted: bool) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of the file: a plain table where columns have no names, because thousands of
    fields do not fit into the header of a .npy file.
    """
    if not weighted and job.columns == [f"x{i}" for i in range(len(job.columns))]:
        return dtype, (job.n_gen, len(job.columns))
    fields = [(name, dtype) for name in job.columns] + (
        [(job.weight_column, np.dtype(np.float64))] if weighted else []
    )
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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
