"""Damaged files, given to commands in a process that is watched: it may end, or never end."""

import contextlib
import io
import multiprocessing
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from experiments.mutations import damaged, write_files

_PATIENCE = 60.0  # seconds for one file
_HUNG, _ENDED = "hung", "ended the process"
_FIRST = 300.0  # for the first, whose process has to start


def sources(folder: Path) -> Path:
    """A folder with small samples, cuts, and the results of a run in `done`."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, n in (("a", 2000), ("b", 2000), ("holdout", 1000)):
        np.save(folder / f"{name}.npy", random.normal(size=(n, 2)))
    (folder / "cuts.yaml").write_text("right: x0 > 0\nring: x0**2 + x1**2 > 1\n")
    _command(f"averaging --members a.npy b.npy --n-train 400 --bins 2 --out {folder}/done", folder)
    return folder


def outcomes(folder: Path, n: int, seed: int) -> Iterator[dict[str, Any]]:
    """What a command makes of n damaged files, one after the other.

    Args:
        folder: to work in.
        n: files.
        seed: of the damage.

    Yields:
        kind of file; outcome: refused, as before, other values, or what went wrong; seconds; and
        the peak memory so far.
    """
    spawn, i = multiprocessing.get_context("spawn"), 0
    while i < n:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(folder, seed, i, n, theirs), daemon=True)
        process.start()
        theirs.close()
        patience, started = _FIRST, time.monotonic()
        while i < n:
            try:
                outcome = ours.recv() if ours.poll(patience) else _HUNG
            except EOFError:
                outcome = _ENDED
            if isinstance(outcome, str) and outcome not in (_HUNG, _ENDED):
                fix = "correct the study"
                raise InputError("a file that is not damaged", "to be read", outcome, fix)
            if isinstance(outcome, str):
                seconds = time.monotonic() - started
                yield {"kind": "any", "outcome": outcome, "seconds": seconds, "peak_mb": 0.0}
                i += 1
                break
            yield outcome
            patience, started, i = _PATIENCE, time.monotonic(), i + 1
        process.kill()
        process.join()


def _serve(folder: Path, seed: int, first: int, n: int, pipe: Any) -> None:
    """Damages files and gives them to commands; in a process of its own."""
    import amplify.report.export
    import amplify.report.page

    amplify.report.page.write_page = lambda results, path: None
    amplify.report.export.write_exports = lambda results, directory: None
    place = folder / str(first)
    where = sources(place / "sources")
    names = [*write_files(place / "files"), "results.json"]
    shutil.copy(where / "done" / "results.json", place / "files")
    content = {name: (place / "files" / name).read_bytes() for name in names}
    right = {}
    for name in names:
        outcome, right[name] = _given(name, content[name], place)
        if outcome != "read":
            pipe.send(f"{name}: {outcome}")
            return
    for i in range(first, n):
        random = np.random.default_rng([seed, 0, i])
        name, other = names[i % len(names)], names[int(random.integers(len(names)))]
        started = time.monotonic()
        outcome, estimates = _given(name, damaged(content[name], content[other], random), place)
        if outcome == "read":
            outcome = "as before" if estimates == right[name] else "other values"
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send({"kind": name, "outcome": outcome, "seconds": seconds, "peak_mb": peak})


def _given(name: str, content: bytes, place: Path) -> tuple[str, Any]:
    """The outcome of a command that is given the file, and its estimates."""
    path, out = place / name, place / "run"
    path.write_bytes(content)
    where = place / "sources"
    members = f"averaging --members {where}/a.npy"
    source = f"{path}:events" if name in ("plain.h5", "events.root") else str(path)
    if name == "events.root":
        source = f"{path}:Events"
    if name == "cuts.yaml":
        line = f"{members} {where}/b.npy --n-train 400 --regions {path} --out {out}"
    elif name == "results.json":
        line = f"report {path} --out {out}/page.html"
    else:
        line = f"{members} {source} --n-train 400 --bins 2 --out {out}"
    outcome, estimates = _command(line, place), None
    if outcome == "read" and name != "results.json":
        import json

        estimates = json.loads((out / "results.json").read_text())["estimates"]
    elif outcome == "refused" and out.exists():
        outcome = "refused, but it wrote something"
    shutil.rmtree(out, ignore_errors=True)
    return outcome, estimates


def _command(line: str, folder: Path) -> str:
    """How it went: read, refused, or something else in words."""
    import traceback

    from amplify.cli import main

    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stderr(said):
        try:
            main(line.split())
        except SystemExit as stop:
            wrote = said.getvalue().splitlines()
            if stop.code == 2 and len(wrote) == 1 and wrote[0].startswith("error: "):
                return "refused"
            return f"exit code {stop.code}: {' '.join(wrote)[-200:]}"
        except BaseException:
            return f"traceback: {' '.join(traceback.format_exc().split())[-300:]}"
    return "read"
