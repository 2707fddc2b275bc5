"""Which columns of a sample are looked at: names, or expressions of names, and the weight."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.expressions import Expression, parse
from amplify.tables.names import Names, names_of
from amplify.tables.table import Table, elements, read_as
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
        columns: names or expressions; that of an array of a fixed size stands for its elements.
        weight_column: a name or an expression.
        drop_nonfinite: leave out events with a value that is not finite, instead of refusing them;
            `amplify.tables.reading.counted` then says how many.
        ignored: columns that are no physics; see `amplify.tables.physics`.

    Raises:
        InputError: a column that the sample does not have, or one that is no column of numbers.
    """
    known = names_in_table(table)
    weight = None if weight_column is None else _expression(table, known, weight_column)
    if columns is None and set(table.refused) - set(ignored):
        raise _some_are_no_numbers(table)
    if columns:
        names = written_out(table, columns)
    else:
        weight_needs = () if weight is None else weight.needs
        others = {*weight_needs, *ignored}
        names = [name for name in table.columns if name not in others]
    chosen = tuple(_expression(table, known, name) for name in names)
    _refuse_repeated([column.label for column in chosen])
    for column in chosen:
        if column.condition:
            raise InputError(
                f"column {column.label}",
                "a number per event",
                "a condition",
                "conditions belong into --regions; where(..., 1, 0) makes a number of one",
            )
    return Selection(table, chosen, weight, drop_nonfinite)


def names_in_table(table: Table) -> Names:
    """What expressions of a sample may be made of."""
    return names_of(table.columns, {name: array.shape for name, array in table.arrays.items()})


def written_out(table: Table, columns: Sequence[str]) -> list[str]:
    """The columns, where the name of an array of a fixed size stands for all its elements."""
    known = set(table.columns)
    names: list[str] = []
    for text in columns:
        array = table.arrays.get(text)
        sizes = [size for size in array.shape if size is not None] if array else []
        each = elements(text, tuple(sizes)) if array and len(sizes) == len(array.shape) else []
        names += each if text not in known and len(each) > 1 and known.issuperset(each) else [text]
    return names


def refuse_several(table: Table, text: str) -> None:
    """Refuses the name of an array where one column is meant.

    Raises:
        InputError: it has several numbers per event.
    """
    if written_out(table, [text]) != [text]:
        _expression(table, names_in_table(table), text)


def same_precision(selections: Sequence[Selection]) -> list[Selection]:
    """Samples whose columns agree: .7 in single precision is less than .7, so a value that recurs
    would fall on either side of an edge.

    Args:
        selections: of the same columns, in the same order.
    """
    rounded: set[str] = set()
    kinds = [_kinds(selection.table) for selection in selections]
    for versions in zip(*(selection.columns for selection in selections), strict=True):
        single = [
            all(read_as(kind[name]) == np.float32 for name in version.needs)
            for kind, version in zip(kinds, versions, strict=True)
        ]
        if any(single) and not all(single):
            rounded |= {version.label for version in versions}
    return [selection._replace(rounded=frozenset(rounded)) for selection in selections]


def _kinds(table: Table) -> dict[str, np.dtype]:
    """How columns and arrays are stored, by name."""
    of_arrays = {name: array.dtype for name, array in table.arrays.items()}
    return of_arrays | dict(zip(table.columns, table.dtypes, strict=True))


def has_column(table: Table, text: str) -> bool:
    """Whether a column, or one that an expression needs, is in the sample, be it of numbers or
    not.
    """
    known = {*table.columns, *table.refused, *table.arrays}
    return any(name in known for name in names_in(text))


def refuse_no_numbers(table: Table, text: str, what: str) -> None:
    """Refuses an expression of columns that are not one number per event, and names flat ones that
    may serve.

    Raises:
        InputError: `what` was given, and a column in `text` holds no numbers.
    """
    if not table.refused:
        return
    for name in names_in(text.strip()):
        if name in table.refused and name not in table.columns and name not in table.arrays:
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
    jagged = [name for name in table.arrays if name in table.refused]
    made = f", or make one number of others, as sum({jagged[0]})" if jagged else ""
    return InputError(
        table.source,
        "columns with one number per event",
        f"{len(table.refused)} that are not, such as {name} ({reason})",
        f"name columns with --columns; flat ones are {flat}{made}",
    )


def _refuse_repeated(labels: Sequence[str]) -> None:
    label, most = Counter(labels).most_common(1)[0] if labels else ("", 0)
    if most > 1:
        raise InputError("columns", "different ones", f"{label} twice", "name each once")


def _expression(table: Table, known: Names, text: str) -> Expression:
    """A column, an expression, or NAME=EXPRESSION.

    Raises:
        InputError: what the text cannot be read as, or what the sample does not have.
    """
    if text in known.columns:
        return parse(text, known)
    is_named = re.match(r"\s*[A-Za-z_]\w*\s*=(?!=)", text)
    name, _, formula = text.partition("=") if is_named else ("", "", text)
    what = f"column {text}"
    refuse_no_numbers(table, formula, what)
    word = formula.strip()
    is_one_word = re.fullmatch(r"[A-Za-z_]\w*", word)
    if is_one_word and word not in known.columns and word not in known.arrays:
        raise InputError(
            what,
            f"one of {known.listed()}",
            f"no such column in {table.source}",
            "choose another",
        )
    expression = parse(word, known, what)
    return expression._replace(label=name.strip() or text)
