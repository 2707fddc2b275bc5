"""Events in chunks: in parallel, continued after an interruption, and the same for any number of
processes.

A chunk is a number of generated events with a seed of its own, so that the same seed gives the same
events however the chunks are spread over processes. A chunk is a file beside the result; it appears
when it is complete, as does the result, so that whatever kills a run leaves what was finished.
"""

import json
import math
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.engine import Engine, current_engine, unwanted
from amplify.engine.processes import processes
from amplify.errors import InputError
from amplify.locks import file_lock
from amplify.sealed import load_arrays, load_json, save_arrays, save_json
from amplify.storage import clear_parts
from amplify.ttbar import event_files, pythia

_HOPELESS = 50  # chunks without one accepted event


class Chunk(NamedTuple):
    """Accepted events of a chunk.

    Attributes:
        momenta: [event, 6, 4] as (E, px, py, pz) in GeV.
        cut_flow: events left after each cut of the recipe [cut].
        columns: what else is known of them [event], by name.
    """

    momenta: np.ndarray
    cut_flow: np.ndarray
    columns: Mapping[str, np.ndarray] = {}


class Recipe(NamedTuple):
    """How a level of simulation makes a chunk, and what its file says.

    Attributes:
        simulate: (settings, index) -> the chunk. It runs in another process, so it is a function of
            a module or a `functools.partial` of one.
        cuts: what Chunk.cut_flow counts; "generated" first.
        dtype: of the momenta in the file.
        process: what is simulated, for the file.
        pythia: settings of Pythia, for the file.
        packages: what has to be installed: (name for people, module).
    """

    simulate: Callable[[Any, int], Chunk]
    cuts: tuple[str, ...]
    dtype: str
    process: str
    pythia: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]


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

    The file is that of `event_files.write_events`. Its attributes are the settings, the cut flow of
    the chunks that were used and the fractions in it with binomial errors.

    Args:
        n: accepted events.
        out: the file, which must not exist yet.
        settings: a NamedTuple; `settings.seed` and the index of a chunk fix its events.
        recipe: how a chunk is simulated.
        workers: processes; the events do not depend on their number. On a cluster (see `engine`)
            its workers.
        progress: called with the number of events accepted so far.

    Raises:
        InputError: n, workers or a setting makes no sense, `out` exists, a process was killed or
            the disk is full. What was finished is kept.
        MissingExtraError: a package is not installed.
    """
    check(n, out, settings, recipe, workers)
    out = out.absolute()  # for workers elsewhere
    parts = out.with_name(out.name + ".parts")
    try:
        with file_lock(out):
            event_files.check_free(out)  # of a run that ended in between
            clear_parts(out)
            _claim(parts, settings)
            engine = current_engine()
            with nullcontext(engine) if engine.remote else processes(workers) as engine:
                chunks, flow = _simulate(n, parts, settings, recipe, engine, progress)
            write(out, chunks, n, settings, recipe, flow)
            shutil.rmtree(parts)
    except OSError as error:
        reason = error.strerror or str(error)  # HDF5 has no strerror
        fix = "make room and start again: finished chunks are kept"
        where = str(error.filename or out)
        raise InputError(where, "to write events", f"'{reason}'", fix) from None
    return out


def _simulate(
    n: int,
    parts: Path,
    settings: Any,
    recipe: Recipe,
    engine: Engine,
    progress: Callable[[int], None],
) -> tuple[list[Path], np.ndarray]:
    """Files of as many chunks as n accepted events need, and their cut flow."""
    done: list[Path] = []
    total, flow = 0, np.zeros(len(recipe.cuts), int)
    stored = _stored_there if engine.remote else stored_chunk
    while total < n:
        more = _needed(n - total, total, len(done), engine.workers)
        indices = range(len(done), len(done) + more)
        paths = engine.in_order(stored, ((recipe.simulate, parts, settings, i) for i in indices))
        for path in paths:
            chunk = _opened(path, settings)
            total += len(chunk["momenta"])
            flow += chunk["cut_flow"]
            done.append(path)
            progress(min(total, n))
            if len(done) >= _HOPELESS and total == 0:
                got = f"none of {flow[0]}"
                raise InputError("cuts", "some accepted events", got, "loosen the cuts")
            if total >= n:
                break
    return done, flow


def _needed(missing: int, accepted: int, finished: int, workers: int) -> int:
    """Chunks to simulate next: what the missing events will need by those that are finished; one a
    worker to begin with.
    """
    return math.ceil(missing * finished / accepted) if accepted else workers


def write(
    out: Path, chunks: list[Path], n: int, settings: Any, recipe: Recipe, cut_flow: np.ndarray
) -> None:
    """Joins the first n events of stored chunks into `out`, which appears only when it is
    complete.
    """
    flow = dict(zip(recipe.cuts, cut_flow.tolist(), strict=True))
    of_file = {"process": recipe.process, "pythia": list(recipe.pythia)}
    attributes = {
        "settings": settings._asdict() | of_file,
        "cut_flow": flow,
        "acceptance": acceptance(flow),
    }
    event_files.write_events(out, n, recipe.dtype, _stored_columns(chunks, n, settings), attributes)


def _stored_columns(chunks: list[Path], n: int, settings: Any) -> Iterator[dict[str, np.ndarray]]:
    """Momenta and columns of one chunk after the other, n events in all."""
    missing = n
    for path in chunks:
        chunk = _opened(path, settings)
        columns = {name: chunk[name][:missing] for name in chunk if name != "cut_flow"}
        missing -= len(columns["momenta"])
        yield columns


def acceptance(cut_flow: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Fraction of the generated events that is left after each cut, and its binomial error."""
    generated = next(iter(cut_flow.values()))
    fractions = {cut: left / generated for cut, left in cut_flow.items()}
    return {cut: (f, math.sqrt(f * (1 - f) / generated)) for cut, f in fractions.items()}


def stored_chunk(
    simulate: Callable[[Any, int], Chunk], parts: Path, settings: Any, index: int
) -> Path:
    """The file of chunk `index`, simulated if it is not there yet, or damaged, or of other
    settings.
    """
    path, of = parts / f"{index:06d}.npz", _said(settings)
    if load_arrays(path, of) is None:
        chunk = simulate(settings, index)
        if unwanted():  # the run has enough, and may have removed the directory
            return path
        arrays: dict[str, Any] = {"momenta": chunk.momenta, "cut_flow": chunk.cut_flow}
        save_arrays(path, {**arrays, **chunk.columns}, of)
    return path


def _stored_there(
    simulate: Callable[[Any, int], Chunk], parts: Path, settings: Any, index: int
) -> Path:
    """The same on a worker of a cluster, which has to see the directory."""
    if not (parts / "settings.json").exists():
        got = f"nothing there on worker {socket.gethostname()}"
        fix = "give an --out on a file system that all machines share"
        raise InputError(str(parts), "the directory of the chunks", got, fix)
    return stored_chunk(simulate, parts, settings, index)


def _opened(path: Path, settings: Any) -> dict[str, np.ndarray]:
    """Arrays of a chunk that has just been stored."""
    arrays = load_arrays(path, _said(settings))
    if arrays is None:
        fix = "start again: it is simulated again"
        raise InputError(str(path), "the chunk that was stored", "a damaged file", fix)
    return arrays


def _said(settings: Any) -> str:
    """Settings, as chunks know them."""
    return json.dumps(settings._asdict(), sort_keys=True)


def _claim(parts: Path, settings: Any) -> None:
    """Makes the directory of chunks, or accepts the one that an interrupted run with the same
    settings left. Damaged settings are written again: chunks know theirs.
    """
    note = parts / "settings.json"
    mine = settings._asdict()
    theirs = load_json(note)
    if theirs is None:
        save_json(note, mine)
    elif theirs != json.loads(json.dumps(mine)):
        fix = "remove the directory or choose another --out"
        raise InputError(str(parts), f"chunks made with {mine}", str(theirs), fix)


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
    event_files.check_free(out)
    for name, module in recipe.packages:
        if find_spec(module) is None:
            raise pythia.missing(name, module)
