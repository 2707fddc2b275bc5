"""What the members of one directory have in common, and where each leaves what: written once, so
that a run that was stopped goes on with the same.

    job.json          the settings; another job in the same directory is refused
    train.npy         training events [event, column], mapped into memory by the workers
    train_weight.npy  their weights
    member_003.npy    generated events; whole or absent, it gets this name when it is complete
    member_003.json   how the training ended: a fingerprint of the sampler, the digest of its events
                      and what its completion rounds left, or the error in parts
    member_003.log    what the training printed, the end of it

Settings and outcomes carry digests, of themselves and of the events: what is damaged is noticed,
and made again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.external.loading import source_of
from amplify.external.protocol import RefusedError, Resample
from amplify.sealed import digest, file_digest, load_json, save_json
from amplify.storage import clear_parts, whole


class Job(NamedTuple):
    """Settings that all members share; a change of any would mix members of two ensembles.

    Attributes:
        generator: module:function.
        source: sha256 of the module's file, or "". What that file imports is not looked at.
        seed: of the ensemble.
        n_gen: events per member.
        resample: "bootstrap", "none", or a piece such as "1/8".
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


def outcome(directory: Path, member: int) -> dict[str, Any]:
    """How the member's last training ended; empty where it did not, or that is damaged."""
    return load_json(outcome_file(directory, member)) or {}


def is_finished(directory: Path, member: int) -> bool:
    """Whether the member is there, with what tells it from the others."""
    events = events_file(directory, member)
    size = events.stat().st_size if events.exists() else -1
    return size >= 0 and outcome(directory, member).get("bytes") == size


def is_intact(directory: Path, member: int, job: Job) -> bool:
    """Whether the member is there, of this job, and every bit of its events as it was written."""
    if not is_finished(directory, member):
        return False
    known = outcome(directory, member)
    is_ours = known.get("job") == digest(job._asdict())
    return is_ours and known.get("events") == file_digest(events_file(directory, member))


def clear(directory: Path, member: int) -> None:
    """Removes what an unfinished or damaged training left; its log stays."""
    for path in (outcome_file(directory, member), events_file(directory, member)):
        path.unlink(missing_ok=True)
        clear_parts(path)


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
    return Job(
        generator,
        source_digest,
        seed,
        n_gen,
        resample,
        columns=names,
        events=_events_digest(x, weight),
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
    for name in ("job.json", "train.npy", "train_weight.npy"):
        clear_parts(directory / name)
    before, now = load_json(path), job._asdict()
    if before != now:
        _refuse_others(directory, now, Job._field_defaults | (before or _older(path)))
    if before != now or _stored_digest(directory, job) != job.events:
        path.unlink(missing_ok=True)  # it comes last, and so vouches for the events
        for name, array in (("train.npy", x), ("train_weight.npy", weight)):
            if array is not None:
                with whole(directory / name) as unfinished, open(unfinished, "wb") as file:
                    np.save(file, array)
        save_json(path, now)


def read_job(directory: Path) -> Job:
    """The job of the directory.

    Raises:
        RefusedError: it was removed or damaged since the run started.
    """
    stored = load_json(directory / "job.json")
    if stored is None:
        raise _changed(directory / "job.json")
    return Job(**stored)


def stored_events(directory: Path, job: Job) -> tuple[np.ndarray, np.ndarray | None]:
    """Training events and weights, mapped into memory.

    Raises:
        RefusedError: they are not those of the job: something has changed them.
    """
    try:
        x = np.load(directory / "train.npy", mmap_mode="r")
        path = directory / "train_weight.npy"
        weight = np.load(path, mmap_mode="r") if job.weighted else None
    except (OSError, ValueError, EOFError):
        raise _changed(directory / "train.npy") from None
    if _events_digest(x, weight) != job.events:
        raise _changed(directory / "train.npy")
    return x, weight


def _changed(path: Path) -> RefusedError:
    expected, got = "what the run wrote at its start", "something else: it was changed or damaged"
    return RefusedError(str(path), expected, got, "start again; nothing else may write there")


def _stored_digest(directory: Path, job: Job) -> str:
    """Digest of the training events that are there; nothing where they cannot be read."""
    try:
        stored_events(directory, job)
    except RefusedError:
        return ""
    return job.events


def _events_digest(x: np.ndarray, weight: np.ndarray | None) -> str:
    found = hashlib.sha256(f"{x.dtype}{x.shape}".encode())
    for array in (x, weight):
        if array is not None:
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _older(path: Path) -> dict[str, Any]:
    """Settings that a version without digests wrote; its members are not trained over."""
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    known = isinstance(stored, dict) and stored and set(stored) <= set(Job._fields)
    return stored if known else {}


def _refuse_others(directory: Path, now: dict[str, Any], before: dict[str, Any]) -> None:
    """Refuses members of another job: those of the settings that were read, and those whose own
    outcome says so.
    """
    there = [int(path.stem[7:]) for path in directory.glob("member_*.npy")]
    others = [m for m in there if outcome(directory, m).get("job", digest(now)) != digest(now)]
    if others or (there and "generator" in before):
        changed = [name for name in now if before.get(name) != now[name]]
        raise InputError(
            f"members in {directory}",
            f"those of this job: {_said(now, changed)}",
            _said(before, changed),
            "give another directory, or the settings they were made with",
        )


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
