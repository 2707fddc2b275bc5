"""Recorded results, with the command that makes each of them again; or results of a rerun."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.results.records import read_json

DIRECTORY = Path(__file__).parent / "results"
COMMANDS = {
    "gaussian": "python -m experiments.gaussian --preset full",
    "bayesian_gaussian": "python -m experiments.bayesian_gaussian --preset quick",
    "ring": "python -m experiments.ring --preset full",
    "coverage": "python -m experiments.coverage --preset quick",
    "audit": "python -m experiments.audit --preset full",
    "same_data": "python -m experiments.same_data --preset full",
    "conditional": "python -m experiments.conditional --preset full",
    "many_columns": "python -m experiments.many_columns --preset full",
    "blind": "python -m experiments.blind --preset full",
    "files": "python -m experiments.benchmarks.files --directory bench-files",
    "robustness": "python -m experiments.robustness --preset full",
    "differential": "python -m experiments.differential --preset full",
    "hidden_bias": "python -m experiments.hidden_bias --preset full",
    "out_of_bag": "python -m experiments.out_of_bag --preset full",
    "one_scale": "python -m experiments.one_scale --preset full",
    "kernels": "python -m experiments.kernels --preset full",
    "calibration": "python -m experiments.calibration --preset full --data events.h5",
    "ring_bayesian": "python -m experiments.ring_bayesian --preset full",
    "resolution": "python -m experiments.resolution --preset full",
    "copies": "python -m experiments.copies --preset full",
    "forecast": "python -m experiments.forecast --preset quick",
    "forecast_flow": "python -m experiments.forecast --preset flow",
    "generators": "python -m experiments.generators --preset quick --data events.h5",
    "what_sees_what": "python -m experiments.what_sees_what --preset full",
    "thresholds": "python -m experiments.thresholds --preset full",
    "monitoring": "python -m experiments.monitoring --preset full",
    "layouts": "python -m experiments.layouts --preset full",
    "ring_pools": "python -m experiments.ring_pools --preset full",
    "ttbar": "python -m experiments.ttbar --preset full",
    "ttbar_gpu": "python -m experiments.ttbar_gpu --counts OUT --data events.h5",
    "ttbar_bayesian": "python -m experiments.ttbar_bayesian --preset full",
    "ttbar_truncated": "python -m experiments.ttbar_truncated --preset full",
    "ttbar_jets": "amplify ttbar --level jet --events 100000 --seed 1 --out jets.h5 "
    "&& python -m experiments.ttbar_jets --data jets.h5",
}
# preset of the studies that are run again, and a file of top pairs for those that want one
_rerun: ContextVar[tuple[str, Path | None] | None] = ContextVar("rerun", default=None)


@contextmanager
def rerun(preset: str, data: Path | None = None) -> Iterator[None]:
    """Inside, `study` runs studies instead of reading what is recorded, which stays as it is.

    Args:
        preset: of the studies.
        data: events of top pairs for the studies that read them; simulated if None.
    """
    token = _rerun.set((preset, data))
    try:
        yield
    finally:
        _rerun.reset(token)


def study(name: str) -> dict[str, Any]:
    """The `study` of paper_figures/results/<name>.json, or of a rerun."""
    again = _rerun.get()
    path = DIRECTORY / f"{name}.json" if again is None else _run(name, *again)
    return read_json(path)["study"]


def is_recorded(name: str) -> bool:
    """Whether a study that a figure can do without is there: recorded, or one to run again."""
    return _rerun.get() is not None or (DIRECTORY / f"{name}.json").exists()


@cache
def _run(name: str, preset: str, data: Path | None) -> Path:
    """results.json in amplify-runs/<name>-<preset>, where finished parts are used again."""
    module = import_module(f"experiments.{name}")
    if preset not in module.PRESETS:
        presets = ", ".join(module.PRESETS)
        fix = "choose a preset that all of these studies have"
        raise InputError(f"--rerun of the study {name}", f"one of {presets}", preset, fix)
    reads_events = "data" in inspect.signature(module.main).parameters
    return module.main(preset, **({"data": data} if reads_events else {}))
