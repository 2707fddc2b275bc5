"""Workers that are jobs of a batch system, from a YAML file: dask-jobqueue writes the job script,
submits it and takes it back.

    cluster: slurm
    workers: 20
    cores: 1
    memory: 4GB
    walltime: "02:00:00"
    queue: short

`cluster` is slurm, htcondor, pbs, sge, lsf, oar or moab. `workers` are how many there shall be. The
rest are options of that class of dask-jobqueue, of one job; it has a process with one thread for
each of its cores.
"""

import functools
import importlib
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from amplify.errors import InputError, MissingExtraError

_CLASSES = {
    "slurm": "SLURMCluster",
    "htcondor": "HTCondorCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_WORDS: dict[str, Any] = {"type": "string", "minLength": 1}
_LINES: dict[str, Any] = {"type": "array", "items": _WORDS}
_SETTINGS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_OF_ALL = {
    "cluster": {"enum": list(_CLASSES)},
    "workers": _COUNT,
    "cores": _COUNT,
    "processes": _COUNT,
    "memory": _WORDS,
    "job_name": _WORDS,
    "interface": _WORDS,
    "local_directory": _WORDS,
    "log_directory": _WORDS,
    "python": _WORDS,
    "shebang": _WORDS,
    "death_timeout": _COUNT,
    "job_extra_directives": _LINES,
    "job_directives_skip": _LINES,
    "job_script_prologue": _LINES,
    "worker_extra_args": _LINES,
}
_QUEUED = {"queue": _WORDS, "walltime": _WORDS}
_OF_ONE: dict[str, dict[str, Any]] = {
    "slurm": {**_QUEUED, "account": _WORDS, "job_cpu": _COUNT, "job_mem": _WORDS},
    "htcondor": {
        "disk": _WORDS,
        "job_extra_directives": _SETTINGS,
        "submit_command_extra": _LINES,
        "cancel_command_extra": _LINES,
    },
    "pbs": {**_QUEUED, "account": _WORDS, "resource_spec": _WORDS},
    "sge": {**_QUEUED, "project": _WORDS, "resource_spec": _WORDS},
    "lsf": {**_QUEUED, "project": _WORDS, "ncpus": _COUNT, "mem": _COUNT},
    "oar": {
        **_QUEUED,
        "project": _WORDS,
        "resource_spec": _WORDS,
        "memory_per_core_property_name": _WORDS,
    },
    "moab": {**_QUEUED, "account": _WORDS, "resource_spec": _WORDS},
}
_DEFAULTS = {"oar": {"memory_per_core_property_name": "not_applicable"}}
_NEEDED = {"htcondor": ["disk"]}


def read(path: Path) -> dict[str, Any]:
    """What the file says, checked; nothing in it is executed here.

    Raises:
        InputError: no such file, no YAML, an unknown key or a value of another kind.
        MissingExtraError: dask-jobqueue is not installed.
    """
    import yaml

    try:
        said = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        fix = "check the path; docs/batch_system shows one"
        raise InputError(str(path), "a YAML file of a cluster", f"'{reason}'", fix) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(str(path), "YAML", f"'{reason}'", "correct it") from None
    _check(path, said)
    if find_spec("dask_jobqueue") is None:
        fix = "pip install '.[dask]' in the directory of amplify"
        expected = "the package dask_jobqueue"
        raise MissingExtraError(str(path), expected, "no such package", fix)
    return said


def _check(path: Path, said: Any) -> None:
    """Raises InputError where the file is not as described above."""
    kind = said.get("cluster") if isinstance(said, dict) else None
    if not isinstance(kind, str) or kind not in _CLASSES:
        expected = f"cluster: one of {', '.join(_CLASSES)}"
        got = f"cluster: {kind}" if isinstance(said, dict) else "no keys"
        raise InputError(str(path), expected, str(got)[:60], "name the batch system")
    known = _OF_ALL | _OF_ONE[kind]
    unknown = [str(key) for key in said if key not in known]
    if unknown:
        expected = f"keys of {kind}: {', '.join(known)}"
        raise InputError(str(path), expected, ", ".join(unknown)[:60], "correct or drop it")
    missing = [k for k in ("workers", "memory", *_NEEDED.get(kind, ())) if k not in said]
    if missing:
        raise InputError(str(path), f"a value of {missing[0]}", "none", "add it")
    import fastjsonschema

    try:
        _checker(kind)(said)
    except fastjsonschema.JsonSchemaValueException as error:
        name = ".".join(map(str, error.path[1:]))
        expected = f"{name} {error.message.split(' ', 1)[1].removeprefix('must be ')}"
        quotes = 'put text in quotes, such as walltime: "12:00:00"'
        fix = quotes if "string" in error.message else "correct it"
        raise InputError(str(path), expected, str(error.value)[:60], fix) from None


@functools.cache
def _checker(kind: str) -> Callable[[Any], Any]:
    import fastjsonschema

    properties = _OF_ALL | _OF_ONE[kind]
    return fastjsonschema.compile({"type": "object", "properties": properties}, use_default=False)


def job_script(path: Path) -> str:
    """What is submitted for one job of the file; the scheduler's address is put in then."""
    said = read(path)
    where, name = "tcp://SCHEDULER:PORT", "amplify-0"
    job = _made(path, _class(said).job_cls, scheduler=where, name=name, **_options(said))
    return job.job_script()


class Submissions:
    """What the batch system says to jobs.

    Attributes:
        taken: how many it took.
        refused: why it refused the last one that it did.
    """

    def __init__(self, path: Path) -> None:
        """`path`: the file that they are made from."""
        self._path, self.taken, self.refused = path, 0, ""

    def noted(self, of_one: Any) -> Any:
        """The class of jobs, which write down here how their submission ended: Dask keeps to itself
        that one was refused, and would wait for its worker for ever.
        """
        from distributed.core import Status

        async def start(job: Any) -> None:
            try:
                await of_one.start(job)
            except Exception as error:
                job.status = Status.failed  # else its cluster cannot be closed
                self.refused = " ".join(str(error).rpartition("stderr:")[2].split())[:200]
                raise
            self.taken += 1

        return type(of_one.__name__, (of_one,), {"start": start})

    def check(self) -> None:
        """Raises InputError where the batch system took no job at all."""
        if self.refused and not self.taken:
            fix = "correct the file, or start the command where jobs may be submitted"
            raise InputError(str(self._path), "jobs that are taken", f"'{self.refused}'", fix)


def started(path: Path, stack: ExitStack) -> tuple[Any, int, Submissions]:
    """The cluster, whose scheduler runs in this process and whose jobs are submitted, how many
    workers it was told to have, and what becomes of its jobs. Those that end early are replaced
    while the block of the stack lasts; then they are taken back.
    """
    said = read(path)
    scheduler = {"dashboard_address": ":0"}
    options = {**_options(said), "silence_logs": "CRITICAL", "scheduler_options": scheduler}
    submissions, of_all = Submissions(path), _class(said)
    jobs = submissions.noted(of_all.job_cls)
    cluster = stack.enter_context(_made(path, of_all, job_cls=jobs, **options))
    cluster.adapt(minimum=said["workers"], maximum=said["workers"])
    return cluster, said["workers"], submissions


def _class(said: dict[str, Any]) -> Any:
    """dask-jobqueue's class of clusters."""
    return getattr(importlib.import_module("dask_jobqueue"), _CLASSES[said["cluster"]])


def _options(said: dict[str, Any]) -> dict[str, Any]:
    """Of that class: what the file says, and one thread for each process."""
    options: dict[str, Any] = dict(_DEFAULTS.get(said["cluster"], {}))
    options |= {k: v for k, v in said.items() if k not in ("cluster", "workers")}
    cores = options.setdefault("cores", 1)
    options.setdefault("processes", cores)
    options.setdefault("job_name", "amplify")
    options["job_script_prologue"] = [*_exports(), *options.get("job_script_prologue", ())]
    return options


def _made(path: Path, kind: Callable[..., Any], **options: Any) -> Any:
    """One of that kind."""
    try:
        return kind(**options)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(str(path), "a cluster", f"'{reason}'", "correct the file") from None


def _exports() -> list[str]:
    """The environment of workers, for the job script."""
    from amplify.engine.dask import ENVIRONMENT

    return [f"export {name}={value}" for name, value in ENVIRONMENT.items()]
