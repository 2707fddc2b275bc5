"""What the members of one directory have in common, and where each leaves what: written once, so
that a run that was stopped goes on with the same.

    job.json          the settings; another job in the same directory is refused
    train.npy         training events [event, column], mapped into memory by the workers
    train_weight.npy  their weights
    member_003.npy    generated events; whole or absent, it gets this name when it is complete
    member_003.json   how the training ended: a fingerprint of the sampler and what its completion
                      rounds left, or the error in parts
    member_003.log    what the training printed
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.external.loading import source_of
from amplify.external.protocol import Resample
from amplify.storage import whole


class Job(NamedTuple):
    """Settings that all members share; a change of any would mix members of two ensembles.

    Attributes:
        generator: module:function.
        source: sha256 of the module's file, or "". What that file imports is not looked at.
        seed: of the ensemble.
        n_gen: events per member.
        resample: "bootstrap" or "none".
        columns: names of the events' columns.
        events: sha256 of the training events and weights.
        weighted: whether the training events have weights.
        cuts: conditions that the training events fulfil, for completion rounds.
        rounds: of completion.
    """

    generator: str
    source: str
    seed: int
    n_gen: int
    resample: Resample
    columns: list[str]
    events: str
    weighted: bool
    cuts: list[str] = []
    rounds: int = 0

    @property
    def weight_column(self) -> str:
        """What a column of generated weights is called: "weight", where no other column is."""
        name = "weight"
        while name in self.columns:
            name += "_"
        return name


def events_file(directory: Path, member: int) -> Path:
    """Where a finished member is."""
    return directory / f"member_{member:03d}.npy"


def outcome_file(directory: Path, member: int) -> Path:
    """How the member's last training ended."""
    return directory / f"member_{member:03d}.json"


def log_file(directory: Path, member: int) -> Path:
    """What it printed."""
    return directory / f"member_{member:03d}.log"


def is_finished(directory: Path, member: int) -> bool:
    """Whether the member is there, with what tells it from the others."""
    return events_file(directory, member).exists() and outcome_file(directory, member).exists()


def clear(directory: Path, member: int) -> None:
    """Removes what an unfinished training left; its log stays."""
    outcome_file(directory, member).unlink(missing_ok=True)
    for unfinished in directory.glob(events_file(directory, member).name + ".*.part"):
        unfinished.unlink(missing_ok=True)


def new_job(
    generator: str,
    seed: int,
    n_gen: int,
    resample: Resample,
    columns: Sequence[str] | None,
    x: np.ndarray,
    weight: np.ndarray | None,
    cuts: Sequence[str] = (),
    rounds: int = 0,
) -> Job:
    """A job for these training events.

    Raises:
        InputError: names that do not fit the columns.
    """
    names = [f"x{i}" for i in range(x.shape[1])] if columns is None else list(columns)
    if len(names) != x.shape[1] or len({*names, ""}) != len(names) + 1:
        raise InputError(
            "columns",
            f"{x.shape[1]} different names",
            str(names),
            "name every column of the training events once",
        )
    source = source_of(generator)
    source_digest = hashlib.sha256(source.read_bytes()).hexdigest() if source else ""
    digest = hashlib.sha256(f"{x.dtype}{x.shape}".encode())
    for array in (x, weight):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return Job(
        generator,
        source_digest,
        seed,
        n_gen,
        resample,
        columns=names,
        events=digest.hexdigest(),
        weighted=weight is not None,
        cuts=list(cuts),
        rounds=rounds if cuts else 0,
    )


def prepare(directory: Path, job: Job, x: np.ndarray, weight: np.ndarray | None) -> None:
    """Writes the job and its training events, or finds that they are there.

    Raises:
        InputError: members of another job are there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "job.json"
    before = Job._field_defaults | json.loads(path.read_text()) if path.exists() else {}
    now = job._asdict()
    if before == now:
        return
    if any(directory.glob("member_*.npy")):
        changed = [name for name in now if before.get(name) != now[name]]
        raise InputError(
            f"members in {directory}",
            f"those of this job: {_said(now, changed)}",
            _said(before, changed),
            "give another directory, or the settings they were made with",
        )
    path.unlink(missing_ok=True)  # it comes last, and so vouches for the events
    for name, array in (("train.npy", x), ("train_weight.npy", weight)):
        if array is not None:
            with whole(directory / name) as unfinished, open(unfinished, "wb") as file:
                np.save(file, array)
    write_json(path, now)


def read_job(directory: Path) -> Job:
    """The job of the directory."""
    return Job(**json.loads((directory / "job.json").read_text()))


def write_json(path: Path, value: Any) -> None:
    """Writes a small file whole."""
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(value, indent=1))


_NAMES = {
    "source": "source of the generator",
    "events": "training events",
    "n_gen": "generated events",
    "resample": "resampling",
    "rounds": "completion rounds",
}


def _said(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    """Some settings of a job, in words."""
    words = (f"{_NAMES.get(n, n)} {_short(settings.get(n, 'unknown'))}" for n in names)
    return ", ".join(words)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "..."
