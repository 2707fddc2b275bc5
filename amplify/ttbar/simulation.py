"""Events in chunks: in parallel, continued after an interruption, and the same for any number of
processes.

A chunk is a number of generated events with a seed of its own, so that the same seed gives the same
events however the chunks are spread over processes. A chunk is a file beside the result; it appears
when it is complete, as does the result, so that whatever kills a run leaves what was finished.
"""

import json
import math
import multiprocessing
import os
import shutil
import threading
import warnings
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError, MissingExtraError
from amplify.storage import whole
from amplify.ttbar import kinematics

_ROWS = 8192  # events in a chunk of HDF5
_HOPELESS = 50  # chunks without one accepted event


class Chunk(NamedTuple):
    """Accepted events: momenta [event, 6, 4] in GeV, the events left after each cut, and further
    columns [event] by name.
    """

    momenta: np.ndarray
    cut_flow: np.ndarray
    columns: Mapping[str, np.ndarray] = {}


class Recipe(NamedTuple):
    """How a level of simulation makes a chunk, and what its file says.

    `simulate(settings, index)` runs in another process, so it is a function of a module or a
    `functools.partial` of one.
    """

    simulate: Callable[[Any, int], Chunk]
    cuts: tuple[str, ...]  # what Chunk.cut_flow counts; "generated" first
    dtype: str  # of the momenta in the file
    process: str
    pythia: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]  # (name for people, module)


def run(
    n: int,
    out: Path,
    settings: Any,
    recipe: Recipe,
    *,
    workers: int = 2,
    progress: Callable[[int], None] = lambda accepted: None,
) -> Path:
    """Simulates n accepted events into the HDF5 file `out`; finished chunks of an interrupted run
    with the same settings are used again.

    The file holds `momenta` [event, 6, 4] in GeV as (E, px, py, pz), `observables` with one column
    per kinematics.OBSERVABLES and per column of the recipe's chunks, and as attributes the
    settings, the cut flow of the chunks that were used and the fractions in it with binomial
    errors.

    Args:
        n: accepted events.
        out: the file, which must not exist yet.
        settings: a NamedTuple; `settings.seed` and the index of a chunk fix its events.
        recipe: how a chunk is simulated.
        workers: processes; the events do not depend on their number.
        progress: called with the number of events accepted so far.

    Raises:
        InputError: n, workers or a setting makes no sense, `out` exists, a process was killed or
            the disk is full. What was finished is kept.
        MissingExtraError: a package is not installed.
    """
    check(n, out, settings, recipe, workers)
    parts = out.with_name(out.name + ".parts")
    try:
        _claim(parts, settings)
        chunks, flow = _simulate(n, parts, settings, recipe, workers, progress)
        write(out, chunks, n, settings, recipe, flow)
    except BrokenProcessPool:
        raise InputError(
            "simulation",
            "processes that finish",
            "one that was killed",
            "start it again: finished chunks are kept",
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)  # HDF5 has no strerror
        raise InputError(
            f"{error.filename or out}",
            "to write events",
            f"'{reason}'",
            "make room and start again: finished chunks are kept",
        ) from None
    shutil.rmtree(parts)
    return out


def _simulate(
    n: int,
    parts: Path,
    settings: Any,
    recipe: Recipe,
    workers: int,
    progress: Callable[[int], None],
) -> tuple[list[Path], np.ndarray]:
    done: list[Path] = []
    pending: list[Future[Path]] = []
    total, flow = 0, np.zeros(len(recipe.cuts), int)
    # spawn: a forked process would inherit JAX's threads
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    try:
        while total < n:
            while len(pending) < _ahead(n - total, total, len(done), workers):
                pending.append(
                    pool.submit(
                        stored_chunk, recipe.simulate, parts, settings, len(done) + len(pending)
                    )
                )
            path = pending.pop(0).result()
            with _opened(path) as chunk:
                total += len(chunk["momenta"])
                flow += chunk["cut_flow"]
            done.append(path)
            progress(min(total, n))
            if len(done) >= _HOPELESS and total == 0:
                raise InputError(
                    "cuts", "some accepted events", f"none of {flow[0]}", "loosen the cuts"
                )
    finally:
        pool.shutdown(cancel_futures=True)
    return done, flow


def _ahead(missing: int, accepted: int, finished: int, workers: int) -> int:
    """Chunks to have under way: enough to keep all processes busy, no more than the events that are
    missing need.
    """
    return min(2 * workers, math.ceil(missing * finished / accepted)) if accepted else workers


def write(
    out: Path, chunks: list[Path], n: int, settings: Any, recipe: Recipe, cut_flow: np.ndarray
) -> None:
    """Joins the first n events of stored chunks into `out`, which appears only when it is
    complete.
    """
    import h5py

    flow = dict(zip(recipe.cuts, cut_flow.tolist(), strict=True))
    with whole(out) as unfinished:
        _reserve(unfinished, n, recipe)
        with h5py.File(unfinished, "w") as file:
            momenta = file.create_dataset(
                "momenta", (n, 6, 4), recipe.dtype, chunks=(min(n, _ROWS), 6, 4)
            )
            columns = {
                name: file.create_dataset(f"observables/{name}", (n,), "f4")
                for name in kinematics.OBSERVABLES
            }
            start = 0
            for path in chunks:
                with _opened(path) as chunk:
                    stored = {
                        name: chunk[name][: n - start] for name in chunk.files if name != "cut_flow"
                    }
                block = stored.pop("momenta")
                stop = start + len(block)
                momenta[start:stop] = block
                values = (
                    dict(zip(kinematics.OBSERVABLES, kinematics.observables(block).T, strict=True))
                    | stored
                )
                for name, column in values.items():
                    if name not in columns:
                        columns[name] = file.create_dataset(
                            f"observables/{name}", (n,), column.dtype
                        )
                    columns[name][start:stop] = column
                start = stop
            momenta.attrs["columns"] = json.dumps(["E_gev", "px_gev", "py_gev", "pz_gev"])
            momenta.attrs["particles"] = json.dumps(kinematics.PARTICLES)
            file.attrs["settings"] = json.dumps(
                settings._asdict() | {"process": recipe.process, "pythia": list(recipe.pythia)}
            )
            file.attrs["cut_flow"] = json.dumps(flow)
            file.attrs["acceptance"] = json.dumps(acceptance(flow))
        _check_free(out)


def _reserve(path: Path, n: int, recipe: Recipe) -> None:
    """Fills a file of the size that the result will have: HDF5 does not end well on a full disk,
    Python does.
    """
    rows = _ROWS * math.ceil(n / _ROWS)
    size = (
        rows * 24 * np.dtype(recipe.dtype).itemsize
        + 4 * n * (len(kinematics.OBSERVABLES) + 2)
        + (1 << 16)
    )
    zeros = bytes(1 << 20)
    with open(path, "wb") as file:
        for start in range(0, size, len(zeros)):
            file.write(zeros[: size - start])


def acceptance(cut_flow: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Fraction of the generated events that is left after each cut, and its binomial error."""
    generated = next(iter(cut_flow.values()))
    fractions = {cut: left / generated for cut, left in cut_flow.items()}
    return {cut: (f, math.sqrt(f * (1 - f) / generated)) for cut, f in fractions.items()}


def stored_chunk(
    simulate: Callable[[Any, int], Chunk], parts: Path, settings: Any, index: int
) -> Path:
    """The file of chunk `index`, simulated if it is not there yet."""
    path = parts / f"{index:06d}.npz"
    if not path.exists():
        chunk = simulate(settings, index)
        with whole(path) as part, open(part, "wb") as file:
            np.savez(file, momenta=chunk.momenta, cut_flow=chunk.cut_flow, **chunk.columns)  # pyright: ignore[reportArgumentType]
    return path


def _opened(path: Path) -> Any:
    try:
        return np.load(path)
    except (zipfile.BadZipFile, ValueError, EOFError):
        raise InputError(
            str(path), "a stored chunk", "a damaged file", "remove it and start again"
        ) from None


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone: killed, it cannot say so, and a
    worker would wait for its next chunk for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _claim(parts: Path, settings: Any) -> None:
    """Makes the directory of chunks, or accepts the one that an interrupted run with the same
    settings left.
    """
    note = parts / "settings.json"
    mine = json.dumps(settings._asdict(), sort_keys=True)
    if not note.exists():
        with whole(note) as part:
            part.write_text(mine)
    elif note.read_text() != mine:
        raise InputError(
            f"{parts}",
            f"chunks made with {mine}",
            note.read_text(),
            "remove the directory or choose another --out",
        )


def check(n: int, out: Path, settings: Any, recipe: Recipe, workers: int) -> None:
    """Raises InputError or MissingExtraError if `run` could not start, before anything is done or
    said.
    """
    if n < 1:
        raise InputError("--events", "at least 1", str(n), "ask for some events")
    if workers < 1:
        raise InputError("--workers", "at least 1", str(workers), "use one process per core")
    if settings.seed < 0:
        raise InputError("--seed", "zero or more", str(settings.seed), "choose another seed")
    _check_free(out)
    for name, module in recipe.packages:
        if find_spec(module) is None:
            raise _missing(name, module)


def _missing(name: str, module: str) -> MissingExtraError:
    return MissingExtraError(
        name,
        f"the package {module}",
        "no such package",
        "pip install '.[ttbar]' in the directory of amplify",
    )


def _check_free(out: Path) -> None:
    if out.exists():
        raise InputError(
            str(out),
            "a file that does not exist yet",
            "an existing file",
            "choose another --out; nothing is overwritten",
        )


def started(pythia_settings: tuple[str, ...], seed: int) -> Any:
    """Pythia 8, silent and initialised, with a seed of 1 to 9e8.

    Raises:
        InputError: a release of Pythia that does not know a setting.
        MissingExtraError: Pythia is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of awkward and pythia8mc about each other
        try:
            import pythia8mc
        except ImportError as error:
            raise _missing("Pythia 8", "pythia8mc") from error
        pythia = pythia8mc.Pythia("", False)
        for line in (*pythia_settings, f"Random:seed={seed}"):
            if not pythia.readString(line):
                raise InputError(
                    "Pythia 8",
                    "a setting it knows",
                    line,
                    "install the tested release, see constraints.txt",
                )
        pythia.init()
    return pythia


def chunk_seed(seed: int, index: int) -> int:
    """Pythia's seed of a chunk."""
    return 1 + (100_003 * seed + index) % 899_999_999
