"""Events with values that are not finite: which they are, and the error that says where."""

from collections.abc import Callable
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.selection import Selection
from amplify.tables.table import locate

Block = tuple[np.ndarray, np.ndarray | None]  # values [row, column] and weights [row] or None


def finite_rows(block: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Which rows are finite, [row]."""
    good = np.asarray(np.isfinite(block).all(axis=1))
    return good if weight is None else np.logical_and(good, np.isfinite(weight))


def nonfinite(
    selection: Selection, size: int, read: Callable[[Selection, int, int], Block]
) -> InputError:
    """Counts what is not finite in the whole sample, and finds the first.

    Args:
        selection: the sample.
        size: rows read at once.
        read: rows from start to stop, unchecked.
    """
    table, events, place, fix = selection.table, 0, "", "repair the column"
    for start in range(0, table.n, size):
        block, weight = read(selection, start, min(start + size, table.n))
        good = finite_rows(block, weight)
        events += int((~good).sum())
        if not place and not good.all():
            row = int(np.argmin(good))
            values: list[Any] = [*block[row], *([] if weight is None else [weight[row]])]
            column = int(np.argmin(np.isfinite(values)))
            place = _place(selection, start + row, column, float(values[column]))
            fix = _instead(selection, column) or fix
    more = f", and {events - 1} more such events" if events > 1 else ""
    return InputError(
        table.source,
        "finite numbers",
        place + more,
        f"{fix}, or leave such events out with --drop-nonfinite",
    )


def _place(selection: Selection, row: int, column: int, value: float) -> str:
    """Where a value is that is not finite."""
    table, weight = selection.table, selection.weight
    labels = [*selection.names, *([] if weight is None else [weight.label])]
    source, row_in_file = locate(table, row)
    of_file = f" of {source}" if len(table.parts) > 1 else ""
    return f"{value} in row {row_in_file}, column {labels[column]}{of_file}"


def _instead(selection: Selection, column: int) -> str:
    """What to write where an event may have nothing that a column could be made of."""
    every = (*selection.columns, *([] if selection.weight is None else [selection.weight]))
    arrays = selection.table.arrays
    for name in every[column].needs:
        if name in arrays and None in arrays[name].shape:
            return f"where an event has no {name} write at({name}, 0, -1), or where(...)"
    return ""
