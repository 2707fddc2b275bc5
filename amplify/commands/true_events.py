"""The true events that a command trains on, or tests with: chosen columns of a file, checked,
loaded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.table import Table
from amplify.text import no_physics
from amplify.types import Events


class Chosen(NamedTuple):
    """What is taken of a file.

    Attributes:
        selection: columns, weights and number of events.
        ignored: columns that are no physics, and why.
        weight_column: as it was asked for.
    """

    selection: files.Selection
    ignored: dict[str, str]
    weight_column: str | None

    def load(self) -> tuple[Events, np.ndarray]:
        """The events, and their x in single precision where the file has no more."""
        events = files.load(self.selection)
        needed = {name for column in self.selection.columns for name in column.needs}
        single = all(self.selection.table.dtype(name) == "float32" for name in needed)
        return events, events.x.astype("float32") if single else events.x

    def notes(self, what: str) -> list[str]:
        """What is to be said of them; ask while the file is open.

        Args:
            what: they are, such as "training events".
        """
        notes = files.weight_notes(self.ignored, self.weight_column)
        notes += files.precision_notes([self.selection])
        if self.selection.dropped:
            dropped = f"{self.selection.dropped} {what} have values that are not finite"
            notes.append(f"{dropped} and were left out (--drop-nonfinite)")
        return notes


def chosen(
    table: Table,
    columns: Sequence[str] | None,
    weight_column: str | None,
    *,
    drop_nonfinite: bool,
) -> Chosen:
    """The events of an open file.

    Args:
        table: the file.
        columns: or expressions; all that are physics where none are named.
        weight_column: or an expression.
        drop_nonfinite: leave out events that are not finite.

    Raises:
        InputError: no columns, fewer than two events, or what `files.select` refuses.
    """
    ignored: dict[str, str] = {}
    if not columns:
        ignored = files.ignored_columns([table], files.names_in(weight_column or ""))
    settings = {"drop_nonfinite": drop_nonfinite, "ignored": ignored}
    selection = files.counted(files.select(table, columns, weight_column, **settings))
    if not selection.columns:
        fix, got = "name them with --columns", f"none but {no_physics(ignored)}"
        raise InputError(table.source, "columns to learn", got, fix)
    if selection.n < 2:
        raise InputError(table.source, "training events", str(selection.n), "give more")
    return Chosen(selection, ignored, weight_column)
