"""Samples as people have them, files or arrays, opened as tables of named columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.memory import WEIGHT, from_array
from amplify.tables.sources import open_sample
from amplify.tables.table import Table
from amplify.types import Events, Samples

# a file, several files or a glob that are one sample, an array [event, dim], or weighted events
Sample = Any


def open_as_table(sample: Sample, name: str) -> Table:
    """One sample; `name` is what messages call an array.

    Raises:
        InputError: no such file, no table of numbers.
    """
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
    if isinstance(members, str | Path) or getattr(members, "ndim", 3) != 3:
        got = "one file" if isinstance(members, str | Path) else f"shape {members.shape}"
        expected = "a list with a sample of each member, or an array [member, event, dim]"
        raise InputError("members", expected, got, "give one sample for each trained network")
    return list(members)


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


def _is_list_of_files(sample: Sample) -> bool:
    is_list = isinstance(sample, list | tuple) and len(sample) > 0
    return is_list and all(isinstance(source, str | Path) for source in sample)
