"""Which columns of a sample are looked at: names, or expressions of names, and the weight."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.expressions import Expression, parse
from amplify.tables.table import Table
from amplify.text import listed


class Selection(NamedTuple):
    """The columns of a sample that are looked at, and the one that holds weights.

    Attributes:
        table: the sample.
        columns: one expression per column.
        weight: the expression that holds weights, or None.
        drop: whether rows that are not finite are left out.
        dropped: how many those are, once `amplify.tables.reading.counted` has counted them.
        rounded: labels of columns that are read in single precision, because another sample has no
            more of them.
    """

    table: Table
    columns: tuple[Expression, ...]
    weight: Expression | None
    drop: bool = False
    dropped: int = 0
    rounded: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [column.label for column in self.columns]

    @property
    def n(self) -> int:
        """Events that are left."""
        return self.table.n - self.dropped


def select(
    table: Table,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    *,
    drop_nonfinite: bool = False,
    ignored: Collection[str] = (),
) -> Selection:
    """Chooses columns, or expressions of columns, NAME=EXPRESSION to give one a name; all but the
    weight, and those that are ignored, where none are named.

    Args:
        table: the sample.
        columns: names or expressions.
        weight_column: a name or an expression.
        drop_nonfinite: leave out events with a value that is not finite, instead of refusing them;
            `amplify.tables.reading.counted` then says how many.
        ignored: columns that are no physics; see `amplify.tables.physics`.

    Raises:
        InputError: a column that the sample does not have, or one that is no column of numbers.
    """
    weight = None if weight_column is None else _expression(table, weight_column)
    if columns is None and set(table.refused) - set(ignored):
        raise _some_are_no_numbers(table)
    if columns:
        names = list(columns)
    else:
        weight_needs = () if weight is None else weight.needs
        others = {*weight_needs, *ignored}
        names = [name for name in table.columns if name not in others]
    chosen = tuple(_expression(table, name) for name in names)
    _refuse_repeated([column.label for column in chosen])
    for column in chosen:
        if column.condition:
            raise InputError(
                f"column {column.label}",
                "a number per event",
                "a condition",
                "conditions belong into --regions",
            )
    return Selection(table, chosen, weight, drop_nonfinite)


def same_precision(selections: Sequence[Selection]) -> list[Selection]:
    """Samples whose columns agree: .7 in single precision is less than .7, so a value that recurs
    would fall on either side of an edge.

    Args:
        selections: of the same columns, in the same order.
    """
    rounded: set[str] = set()
    for versions in zip(*(selection.columns for selection in selections), strict=True):
        single = [
            all(selection.table.dtype(name) == np.float32 for name in version.needs)
            for selection, version in zip(selections, versions, strict=True)
        ]
        if any(single) and not all(single):
            rounded |= {version.label for version in versions}
    return [selection._replace(rounded=frozenset(rounded)) for selection in selections]


def has_column(table: Table, text: str) -> bool:
    """Whether a column, or one that an expression needs, is in the sample, be it of numbers or
    not.
    """
    return any(name in table.columns or name in table.refused for name in names_in(text))


def refuse_no_numbers(table: Table, text: str, what: str) -> None:
    """Refuses an expression of columns that are not one number per event, and names flat ones that
    may serve.

    Raises:
        InputError: `what` was given, and a column in `text` holds no numbers.
    """
    for name in names_in(text.strip()):
        if name in table.refused and name not in table.columns:
            flat = listed(_flat(table, name.split("_")[0]))
            raise InputError(
                what,
                "columns with one number per event",
                f"{name}, {table.refused[name]}",
                f"choose among the flat ones of {table.source}: {flat}",
            )


def names_in(text: str) -> list[str]:
    """What may be names of columns in an expression: all of it, what stands in backticks, and
    words.
    """
    quoted = re.findall(r"`([^`]*)`", text)
    words = re.findall(r"[^\W\d]\w*", text)
    return list(dict.fromkeys([text, *quoted, *words]))


def _flat(table: Table, stem: str = "") -> list[str]:
    """The columns of numbers, those first that belong to the stem of a name, then floating ones."""
    kinds = dict(zip(table.columns, table.dtypes, strict=True))

    def order(name: str) -> tuple[bool, bool]:
        belongs = stem.lower() in name.lower()
        return not belongs, kinds[name].kind != "f"

    return sorted(table.columns, key=order)


def _some_are_no_numbers(table: Table) -> InputError:
    name, reason = next(iter(table.refused.items()))
    flat = listed(_flat(table)) or "none"
    return InputError(
        table.source,
        "columns with one number per event",
        f"{len(table.refused)} that are not, such as {name} ({reason})",
        f"name columns with --columns; flat ones are {flat}",
    )


def _refuse_repeated(labels: Sequence[str]) -> None:
    for label in labels:
        if labels.count(label) > 1:
            raise InputError("columns", "different ones", f"{label} twice", "name each once")


def _expression(table: Table, text: str) -> Expression:
    """A column, an expression, or NAME=EXPRESSION.

    Raises:
        InputError: what the text cannot be read as, or what the sample does not have.
    """
    if text in table.columns:
        return parse(text, table.columns)
    is_named = re.match(r"\s*[A-Za-z_]\w*\s*=(?!=)", text)
    name, _, formula = text.partition("=") if is_named else ("", "", text)
    what = f"column {text}"
    refuse_no_numbers(table, formula, what)
    is_one_word = re.fullmatch(r"\s*[A-Za-z_]\w*\s*", formula)
    if is_one_word and formula.strip() not in table.columns:
        raise InputError(
            what,
            f"one of {listed(table.columns)}",
            f"no such column in {table.source}",
            "choose another",
        )
    expression = parse(formula.strip(), table.columns, what)
    return expression._replace(label=name.strip() or text)
