"""Samples as people have them, files or arrays, opened as tables of named columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.external.observables import Observables
from amplify.external.observed import with_observables
from amplify.tables.memory import WEIGHT, from_array
from amplify.tables.sources import listed_sources, open_sample
from amplify.tables.table import Table
from amplify.types import Events, Samples

# a file, several files or a glob that are one sample, an array [event, dim], or weighted events
Sample = Any


def open_as_table(sample: Sample, name: str, observables: Observables | None = None) -> Table:
    """One sample, with what a user's function makes of it; `name` is what messages call an array.

    Raises:
        InputError: no such file, no table of numbers, or a function that fails.
    """
    table = _opened(sample, name)
    try:
        return with_observables(table, observables)
    except BaseException:
        table.close()
        raise


def _opened(sample: Sample, name: str) -> Table:
    if isinstance(sample, str | Path):
        return open_sample(str(sample))
    if isinstance(sample, Events):
        return from_array(sample.x, weight=sample.weight, source=name)
    if _is_list_of_files(sample):
        return open_sample([str(source) for source in sample])
    return from_array(sample, source=name)


def split_members(members: Any) -> list[Sample]:
    """One sample for each member: of `Samples`, an array [member, event, dim], or a list.

    Raises:
        InputError: one array [event, dim], or one file.
    """
    if isinstance(members, Samples):
        weights = [None] * len(members.x) if members.weight is None else list(members.weight)
        return [Events(np.asarray(x), w) for x, w in zip(members.x, weights, strict=True)]
    if isinstance(members, str) and members.startswith("@"):
        members = [members]
    if isinstance(members, str | Path) or getattr(members, "ndim", 3) != 3:
        got = "one file" if isinstance(members, str | Path) else f"shape {members.shape}"
        expected = "a list with a sample of each member, or an array [member, event, dim]"
        raise InputError("members", expected, got, "give one sample for each trained network")
    return [sample for member in members for sample in _listed(member)]


def _listed(member: Sample) -> list[Sample]:
    """The files that @LIST.txt names, each a member; any other sample as it is."""
    return listed_sources([member]) if isinstance(member, str) else [member]


def pool_of(members: Any) -> Sample:
    """The events of several members as one sample, each event from one of them.

    Raises:
        InputError: fewer than two members, or standard input, which is read once.
    """
    each = split_members(members)
    if len(each) < 2:
        fix = "give a sample of each trained network, or leave members out"
        raise InputError("members", "at least 2", str(len(each)), fix)
    if all(isinstance(sample, str | Path) for sample in each):
        if "-" in map(str, each):
            raise InputError("members", "files", "standard input", "write it to a file first")
        return each
    events = [
        sample if isinstance(sample, Events) else Events(np.asarray(sample)) for sample in each
    ]
    x = np.concatenate([e.x for e in events])
    if all(e.weight is None for e in events):
        return Events(x)
    weights = [np.ones(len(e.x)) if e.weight is None else np.asarray(e.weight) for e in events]
    return Events(x, np.concatenate(weights))


def weight_of(samples: Sequence[Sample], column: str | None) -> str | None:
    """The column of weights: what was named, else that of events which carry weights."""
    weighted = any(isinstance(s, Events) and s.weight is not None for s in samples)
    return WEIGHT if column is None and weighted else column


def said(sample: Sample) -> Any:
    """What results.json says of a sample among the settings."""
    if sample is None or isinstance(sample, str):
        return sample
    if isinstance(sample, Path):
        return str(sample)
    if _is_list_of_files(sample):
        return [str(source) for source in sample]
    x = sample.x if isinstance(sample, Events) else sample
    return f"array {list(np.shape(x))}"


def said_members(members: Any) -> Any:
    """The same of several members."""
    return None if members is None else [said(sample) for sample in split_members(members)]


def _is_list_of_files(sample: Sample) -> bool:
    is_list = isinstance(sample, list | tuple) and len(sample) > 0
    return is_list and all(isinstance(source, str | Path) for source in sample)
