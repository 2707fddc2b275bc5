"""Arrays in memory as tables, so that arrays and files go through the same code."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import Stored, table_of
from amplify.tables.sources import refuse_no_events
from amplify.tables.table import Table, numbers
from amplify.text import listed

WEIGHT = "weight"  # what the column of weights is called


def from_array(
    x: Any,
    names: Sequence[str] | None = None,
    weight: Any | None = None,
    source: str = "array",
) -> Table:
    """An array in memory as a table; nothing is copied where NumPy need not.

    Args:
        x: events [event, dim], or [event] of one column, or a structured array [event]; anything
            that `numpy.asarray` takes.
        names: one per column; x0, x1, ... (or the names of the fields) where none are given.
        weight: weights [event]; they become the column `WEIGHT`.
        source: what messages and results.json call it.

    Raises:
        InputError: no array of numbers [event, dim], no events, or names or weights that do not
            fit.

    Example:
        >>> table = from_array([[1.0, 2.0], [3.0, 4.0]], names=["pt", "eta"])
        >>> table.columns, table.n
        (('pt', 'eta'), 2)
    """
    events = _numpy(x, source)
    table = table_of(source, Path(source), {"": _stored(events)})
    refuse_no_events(table)
    if names is not None:
        table = _renamed(table, tuple(names))
    arrays = [events]
    if weight is not None:
        weights = _numpy(weight, f"{source} weight")
        table = _weighted(table, weights)
        arrays.append(weights)
    return table._replace(parts=(), digest=lambda: _digest(arrays))


def _numpy(x: Any, source: str) -> np.ndarray:
    try:
        return np.asarray(x)
    except (TypeError, ValueError) as error:  # such as rows of different lengths
        reason = str(error).splitlines()[0]
        raise InputError(
            source, "an array [event, dim]", reason[:200], "make it a NumPy array"
        ) from None


def _stored(x: np.ndarray) -> Stored:
    return Stored(x.dtype, x.shape, lambda start, stop: x[start:stop])


def _renamed(table: Table, names: tuple[str, ...]) -> Table:
    """The table with its columns called otherwise."""
    if len(names) != len(table.columns) or len(set(names)) < len(names):
        raise InputError(
            f"names of {table.source}",
            f"{len(table.columns)} different ones, one per column",
            listed(names) or "none",
            "name each column once",
        )
    former = dict(zip(names, table.columns, strict=True))

    def read(start: int, stop: int, wanted: Sequence[str]) -> list[np.ndarray]:
        return table.read(start, stop, [former.get(name, name) for name in wanted])

    arrays = {name: array for name, array in table.arrays.items() if name not in former}
    return table._replace(columns=names, read=read, arrays=arrays)


def _weighted(table: Table, weights: np.ndarray) -> Table:
    """The table with one more column, `WEIGHT`."""
    if weights.shape != (table.n,) or not numbers(weights.dtype):
        raise InputError(
            f"weight of {table.source}",
            f"{table.n} numbers, one per event",
            f"{weights.dtype} of shape {weights.shape}",
            "give one weight per event",
        )
    if WEIGHT in table.columns:
        raise InputError(
            f"columns of {table.source}",
            f"none called {WEIGHT} beside the weights",
            f"{listed(table.columns)}",
            "give the weights once, or give that column another name",
        )

    def read(start: int, stop: int, wanted: Sequence[str]) -> list[np.ndarray]:
        others = [name for name in wanted if name != WEIGHT]
        values = dict(zip(others, table.read(start, stop, others), strict=True))
        return [weights[start:stop] if name == WEIGHT else values[name] for name in wanted]

    return table._replace(
        columns=(*table.columns, WEIGHT),
        dtypes=(*table.dtypes, weights.dtype),
        read=read,
        arrays={name: array for name, array in table.arrays.items() if name != WEIGHT},
    )


def _digest(arrays: Sequence[np.ndarray]) -> str:
    """SHA-256 of the bytes of arrays, rows in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
