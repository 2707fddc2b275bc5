"""Columns that are no physics: row numbers, numbers of runs and events, weights that nobody named.

A generator is not asked to model them, and two samples differ in them by construction. Where nobody
says which columns to look at, they are left out, each with its reason.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from amplify.tables.table import Table
from amplify.text import listed

WEIGHTS = "weight by its name"
_INDEX = "pandas index"
_IDENTIFIES = "event number"
_COUNTS = "row number"

_HEAD = 4096  # rows of a file that tell whether a column counts them
_NUMBERS = 1 << 22  # of all columns together
_FEWEST = 10  # of fewer rows one in a million or more increases by chance

# in lower case, without what separates words
_STEMS = ("run", "event", "evt", "lumi", "entry", "row", "orbit")
_SUFFIXES = ("", "number", "num", "no", "nr", "id", "index")
_OTHERS = ("luminosityblock", "lumiblock", "lumisection", "bunchcrossing", "bcid", "index")
_IDENTIFIERS = {stem + suffix for stem in _STEMS for suffix in _SUFFIXES}.union(
    _OTHERS, ("mcchannelnumber", "unnamed0")
)


def ignored_columns(tables: Sequence[Table], named: Collection[str] = ()) -> dict[str, str]:
    """The columns that are left out where none are named, in any of the samples, and why.

    >>> from amplify.tables.memory import from_array
    >>> rows = np.arange(20.0)
    >>> table = from_array(np.column_stack([rows, np.sin(rows)]), names=["n", "pt"])
    >>> ignored_columns([table])
    {'n': 'row number'}

    Args:
        tables: samples that are compared: what is no physics in one is none in the others.
        named: columns that somebody asked for.
    """
    ignored: dict[str, str] = {}
    for table in tables:
        found = _ignored_in(table, named)
        ignored |= {name: why for name, why in found.items() if name not in ignored}
    return ignored


def weight_notes(ignored: Mapping[str, str], weight_column: str | None) -> list[str]:
    """A warning about columns that look like weights, where no weight was named."""
    weights = [name for name, why in ignored.items() if why == WEIGHTS]
    if weight_column is not None or not weights:
        return []
    use = f"'{weights[0]}'" if " " in weights[0] else weights[0]
    if len(weights) == 1:
        left_out = f"{weights[0]} looks like weights and was left out"
        return [f"{left_out}: --weight-column {use}, or name it with --columns"]
    left_out = f"{listed(weights, 4)} look like weights and were left out"
    return [f"{left_out}: --weight-column {use}, or name them with --columns"]


def unused_weights(tables: Sequence[Table], named: Collection[str]) -> list[str]:
    """A warning about columns that look like weights and differ between events, where columns are
    named and no weight is.

    Args:
        tables: samples.
        named: columns that are looked at, or that these are made of.
    """
    found: list[str] = []
    for table in tables:
        looks = [n for n in table.columns if n not in named and _reason(table, n) == WEIGHTS]
        heads = zip(looks, _head(table, looks), strict=True)
        found += [name for name, values in heads if (values != values[:1]).any()]
    found = list(dict.fromkeys(found))
    if not found:
        return []
    use = f"'{found[0]}'" if " " in found[0] else found[0]
    looks_like = "looks like weights and is" if len(found) == 1 else "look like weights and are"
    return [f"{listed(found, 4)} {looks_like} not used: --weight-column {use} uses it"]


def _ignored_in(table: Table, named: Collection[str]) -> dict[str, str]:
    """Of one sample, in the order of its columns."""
    by_name = {name: _reason(table, name) for name in (*table.columns, *table.refused)}
    if table.made:  # the others are what these are made of
        weights = [name for name, why in by_name.items() if why == WEIGHTS]
        return {name: WEIGHTS for name in weights if name not in (*named, *table.made)}
    if any(not by_name[name] and name not in named for name in table.refused):
        return {}  # columns have to be named anyway
    asked = [name for name in table.columns if name not in named]
    doubtful = [name for name in asked if by_name[name] not in (WEIGHTS, _INDEX)]
    judged = {name: by_name[name] for name in asked}
    for name, values in zip(doubtful, _head(table, doubtful), strict=True):
        judged[name] = _judged(by_name[name], values)
    judged |= {name: by_name[name] for name in table.refused if name not in named}
    return {name: why for name, why in judged.items() if why}


def _reason(table: Table, name: str) -> str:
    """What the file says of a column, or its name does."""
    word = re.sub(r"[\W_]", "", name.lower())
    if name in table.index or re.fullmatch(r"__index_level_\d+__", name):
        return _INDEX
    if "weight" in word or "wgt" in word or word in ("w", "wt"):
        return WEIGHTS
    return _IDENTIFIES if word in _IDENTIFIERS else ""


def _judged(by_name: str, values: np.ndarray) -> str:
    """The same with the first values of the column: what is no whole number identifies nothing."""
    finite = values[np.isfinite(values)]
    if values.dtype.kind == "b" or not (finite == np.floor(finite)).all():
        return ""
    if len(values) >= _FEWEST and (values[1:] > values[:-1]).all():
        return by_name or _COUNTS
    return by_name


def _head(table: Table, names: Sequence[str]) -> list[np.ndarray]:
    """The first rows of the first file."""
    if not names:
        return []
    most = min(_HEAD, max(_NUMBERS // len(table.columns), _FEWEST))
    n = min(table.parts[0].n if table.parts else table.n, table.n, most)
    return [np.asarray(values) for values in table.read(0, n, names)]
