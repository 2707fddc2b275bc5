"""Regions and files: a user's file of cuts, and the fraction of a file inside."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.data import files
from amplify.errors import InputError


def read_regions(path: Path, names: Sequence[str]) -> rg.Regions:
    """Regions from JSON: {"label": {"column": [low, high], ...}, ...}, low <= column < high, null for an open end.

    Raises:
        InputError: no such file, no JSON, an unknown column, an interval that is none.
    """
    if not path.is_file():
        raise InputError(str(path), "a JSON file of regions", "no such file", "check the path")
    try:
        cuts = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        line = getattr(error, "lineno", "?")
        raise InputError(str(path), 'JSON like {"tail": {"x0": [3, null]}}', f"an error in line {line}", "correct it") from None
    if not isinstance(cuts, dict) or not cuts:
        raise InputError(str(path), 'an object like {"tail": {"x0": [3, null]}}', type(cuts).__name__, "name each region")
    return rg.join(*(_region(path, label, region, names) for label, region in cuts.items()))


def _region(path: Path, label: str, cuts: Any, names: Sequence[str]) -> rg.Regions:
    if not isinstance(cuts, dict) or not cuts:
        raise InputError(f"{path}: region {label}", '{"column": [low, high]}', str(cuts)[:80], "name at least one column")
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for column, interval in cuts.items():
        if column not in names:
            raise InputError(f"{path}: region {label}", f"one of the columns {', '.join(names)}", column, "correct the name")
        ends = interval if isinstance(interval, list) and len(interval) == 2 else [0, 0]
        if any(end is not None and (isinstance(end, bool) or not isinstance(end, int | float)) for end in ends):
            ends = [0, 0]
        bottom, top = -np.inf if ends[0] is None else ends[0], np.inf if ends[1] is None else ends[1]
        if not bottom < top:
            raise InputError(f"{path}: region {label}", "[low, high] with low < high", str(interval)[:80], "an empty region holds no events")
        low[names.index(column)], high[names.index(column)] = bottom, top
    return rg.box(low, high, label)


def fractions_in(regions: rg.Regions, selection: files.Selection, columns: int | None = None) -> rg.Fractions:
    """Fractions of a file's events in the regions, which look at the first `columns` of the selection, chunk by chunk."""
    total = None
    for block, weight in files.chunks(selection):
        part = rg.count(regions, block[:, :columns], weight)
        total = part if total is None else total.plus(part)
    assert total is not None, "tables have at least one row"
    return rg.fractions(total)
