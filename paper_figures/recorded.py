"""Recorded results, with the command that makes each of them again."""

from pathlib import Path
from typing import Any

from amplify.results.records import read_json

DIRECTORY = Path(__file__).parent / "results"
COMMANDS = {
    "gaussian": "python -m experiments.gaussian --preset full",
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
    "ring_pools": "python -m experiments.ring_pools --preset full",
    "ttbar": "python -m experiments.ttbar --preset full",
    "ttbar_truncated": "python -m experiments.ttbar_truncated --preset full",
    "ttbar_jets": "amplify ttbar --level jet --events 100000 --seed 1 --out jets.h5 "
    "&& python -m experiments.ttbar_jets --data jets.h5",
}


def study(name: str) -> dict[str, Any]:
    """The `study` of paper_figures/results/<name>.json."""
    return read_json(DIRECTORY / f"{name}.json")["study"]
