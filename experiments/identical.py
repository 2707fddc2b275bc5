"""The same numbers from wherever a run was computed: on one core, on two, by the workers of a Dask
cluster, and after it was killed and started again.

Whole commands are started as a user starts them: `amplify averaging` with a generator of the
user's, `amplify differential`, `amplify ttbar`, and two studies. Run `python -m
experiments.identical --out OUT`; the answer is a table of digests, and exit code 1 where a row
has two.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from amplify.truth import ring
from experiments import study

_PATIENCE = 600.0  # seconds of one command
_LOOK = 0.02


class Run(NamedTuple):
    """A command that can be computed in several ways.

    Attributes:
        words: of the command, which ends with --out FOLDER or FILE; {out} is that.
        digest: of what it wrote there.
        one_core, two: what to add for one process, and for two; the one core is given otherwise
            where nothing is to be added.
        dask: what to add for a cluster, or nothing where it takes none.
        begun: whether something of it is finished, so that it is worth killing.
    """

    words: list[str]
    digest: Callable[[Path], str]
    one_core: list[str] = []
    two: list[str] = []
    dask: list[str] = ["--dask", "local:2"]
    begun: Callable[[Path], bool] | None = None


def main(out: Path = Path("amplify-runs/identical"), events: int = 200_000) -> Path:
    """Runs every command in every way, and writes OUT/results.json.

    Args:
        out: a new folder.
        events: generated events of `differential`.
    """
    out.mkdir(parents=True)
    x = _written(out, events)
    rows: dict[str, dict[str, str]] = {}
    for name, run in _runs(x).items():
        rows[name] = {}
        for way, digest in _ways(name, run, out):
            rows[name][way] = digest
            print(f"{name:>14} {way:>12} {digest[:16]}", flush=True)
    same = {name: len(set(ways.values())) == 1 for name, ways in rows.items()}
    path = out / "results.json"
    result = {"command": "python -m experiments.identical", "digests": rows, "identical": same}
    path.write_text(json.dumps(result, indent=1) + "\n")
    if not all(same.values()):
        sys.exit(1)
    return path


def _written(out: Path, events: int) -> dict[str, Path]:
    """Files that the commands read."""
    rng = np.random.default_rng(0)
    samples = {
        "train": _ring(rng, 1000, 1.0),
        "holdout": _ring(rng, 20_000, 1.0),
        "generated": _ring(rng, events, 1.03),
    }
    paths = {}
    for name, x in samples.items():
        paths[name] = out / f"{name}.npy"
        np.save(paths[name], x)
    return paths


def _ring(rng: np.random.Generator, n: int, stretch: float) -> np.ndarray:
    import jax

    x = np.asarray(ring.sample(jax.random.key(int(rng.integers(1 << 30))), n=n))
    return (stretch * x).astype(np.float32)


def _runs(x: dict[str, Path]) -> dict[str, Run]:
    amplify = [sys.executable, "-m", "amplify"]
    plain = ["--generator", "amplify.examples.plain:fit", "--train", str(x["train"])]
    sizes = ["--members", "4", "--n-gen", "100000"]
    samples = ["--generated", str(x["generated"]), "--holdout", str(x["holdout"])]
    return {
        "averaging": Run(
            [*amplify, "averaging", *plain, *sizes],
            _estimates,
            one_core=["--workers", "1"],
            two=["--workers", "2"],
            begun=lambda folder: any((folder / "members").glob("member_*.json")),
        ),
        "differential": Run([*amplify, "differential", *samples, "--n-train", "1000"], _estimates),
        "simulation": Run(
            [*amplify, "ttbar", "--events", "20000"],
            _events,
            one_core=["--workers", "1"],
            two=["--workers", "2"],
            begun=lambda path: any(path.with_name(path.name + ".parts").glob("*.npz")),
        ),
        "a study": Run(
            [sys.executable, "-m", "experiments.calibration", "--preset", "smoke"],
            _study,
            begun=lambda folder: any((folder / "parts").glob("*.npz")),
        ),
    }


def _ways(name: str, run: Run, out: Path) -> Any:
    """(way, digest of what came out), one after the other."""
    alone = ["taskset", "-c", "0"]
    ways = {
        "one core": ([*alone, *run.words, *run.one_core], False),
        "two": ([*run.words, *run.two], False),
        "Dask": ([*run.words, *run.dask], False),
        "killed": ([*run.words, *run.one_core], True),
    }
    for way, (words, killed) in ways.items():
        place = out / f"{name}-{way}".replace(" ", "-")
        place = place.with_suffix(".h5") if name == "simulation" else place
        if killed:
            if run.begun is None:
                continue
            _killed(words, place, run.begun)
        _finished(words, place)
        yield way, run.digest(place)


def _finished(words: list[str], place: Path) -> None:
    subprocess.run(  # noqa: S603  our own commands
        [*words, "--out", str(place)], check=True, capture_output=True, timeout=_PATIENCE
    )


def _killed(words: list[str], place: Path, begun: Callable[[Path], bool]) -> None:
    """Starts the command and kills it, with all its processes, when a part of it is finished."""
    started = subprocess.Popen(  # noqa: S603
        [*words, "--out", str(place)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + _PATIENCE
    while not begun(place) and started.poll() is None and time.monotonic() < end:
        time.sleep(_LOOK)
    if started.poll() is not None:
        raise RuntimeError(f"{place} was finished before it could be killed")
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def _estimates(folder: Path) -> str:
    """Of the numbers of a command, and of the events of members that it trained."""
    found = hashlib.sha256()
    results = json.loads((folder / "results.json").read_text())
    found.update(json.dumps(results["estimates"]).encode())
    for path in sorted((folder / "members").glob("member_*.npy")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _events(path: Path) -> str:
    """Of all arrays of a file of events."""
    found = hashlib.sha256()
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update(name.encode() + item[()].tobytes())
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found.hexdigest()


def _study(folder: Path) -> str:
    """Of the numbers of a study, without the seconds they took."""
    results = json.loads((folder / "results.json").read_text())
    return hashlib.sha256(json.dumps(_without_seconds(results["study"])).encode()).hexdigest()


def _without_seconds(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: _without_seconds(v) for k, v in found.items() if "second" not in k}
    return [_without_seconds(v) for v in found] if isinstance(found, list) else found


if __name__ == "__main__":
    study.run(main)
