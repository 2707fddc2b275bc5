"""Folders of files as one sample, and columns from the names of folders: year=2018/a.parquet, as
Spark, Hive and pyarrow write them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from amplify.errors import InputError
from amplify.tables.table import Table
from amplify.text import listed

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
_LARGEST = (1 << 63) - 1  # of whole numbers

Key = float | int | str


class Keyed(NamedTuple):
    """A file, and what the folders that it is in say of its events."""

    path: Path
    keys: Mapping[str, Key]


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Keyed]:
    """The files of a folder and of those in it, sorted by their paths; names that begin with a dot
    or an underscore are no data.

    Args:
        folder: where.
        suffixes: how names of files of data end.

    Raises:
        InputError: no file of data, files of different formats, or of different keys.
    """
    places = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    places = [place for place in places if not any(part[0] in "._" for part in place.parts)]
    kind = {place: _suffix(place, suffixes) for place in places}
    places = [place for place in places if kind[place]]
    found = sorted({kind[place] for place in places})
    if len(found) != 1:
        got = listed(found) if found else "none"
        fix = f"name the files in it, e.g. '{folder / '*.parquet'}'"
        raise InputError(str(folder), "files of one format in a directory", got, fix)
    keys = _typed(folder, [_keys(place) for place in places])
    return [Keyed(folder / place, of_file) for place, of_file in zip(places, keys, strict=True)]


def with_keys(table: Table, keys: Mapping[str, Key]) -> Table:
    """The table of a file with its keys as columns; labels of rows, which are looked at where they
    are named. A column of the file itself comes first, and text is no number.
    """
    new = {name: value for name, value in keys.items() if name not in table.columns}
    if not new:
        return table
    values = {name: np.asarray(value) for name, value in new.items() if not isinstance(value, str)}
    texts = {name: f"text, as '{value}'" for name, value in new.items() if name not in values}
    keyed = _Keyed(table, values)
    return table._replace(
        columns=(*table.columns, *values),
        dtypes=(*table.dtypes, *(value.dtype for value in values.values())),
        read=keyed.read,
        bounds=keyed.bounds,
        refused={**table.refused, **texts},
        index=(*table.index, *values),
    )


class _Keyed(NamedTuple):
    """A file with columns that are the same in all its rows."""

    table: Table
    values: Mapping[str, np.ndarray]

    def read(self, start: int, stop: int, names: Sequence[str]) -> list[Any]:
        others = [name for name in names if name not in self.values]
        held = dict(zip(others, self.table.read(start, stop, others), strict=True))
        held |= {name: np.full(stop - start, value) for name, value in self.values.items()}
        return [held[name] for name in names]

    def bounds(self, start: int, stop: int, name: str) -> tuple[float, float] | None:
        if name in self.values:
            value = float(self.values[name])
            return value, value
        return None if self.table.bounds is None else self.table.bounds(start, stop, name)


def _suffix(place: Path, suffixes: Sequence[str]) -> str:
    name = place.name.lower()
    return max((suffix for suffix in suffixes if name.endswith(suffix)), key=len, default="")


def _keys(place: Path) -> dict[str, str]:
    """Of the folders of a file: name=value."""
    pairs = [part.partition("=") for part in place.parts[:-1] if "=" in part]
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _typed(folder: Path, keys: list[dict[str, str]]) -> list[dict[str, Key]]:
    """Numbers where all files have one for a key, whole ones where all are."""
    for of_file in keys:
        if set(of_file) != set(keys[0]):
            got = f"{listed(list(keys[0])) or 'none'}, and {listed(list(of_file)) or 'none'}"
            fix = "put all files as deep as the others"
            raise InputError(str(folder), "folders name=value for all files or none", got, fix)
    columns: dict[str, list[Key]] = {}
    for name in keys[0]:
        texts = [of_file[name] for of_file in keys]
        columns[name] = _numbers(texts, int) or _numbers(texts, float) or list(texts)
    return [{name: column[i] for name, column in columns.items()} for i in range(len(keys))]


def _numbers(texts: Sequence[str], kind: type[int] | type[float]) -> list[Key] | None:
    """All as numbers of a kind; nothing is none, which is no whole number. 2018_01 is a name,
    though Python reads a number.
    """
    if any("_" in text for text in texts if text != _NOTHING):
        return None
    try:
        found = [kind("nan" if text == _NOTHING else text) for text in texts]
    except ValueError:
        return None
    return None if kind is int and max(map(abs, found)) > _LARGEST else list(found)
