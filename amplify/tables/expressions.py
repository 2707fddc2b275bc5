"""Expressions of columns, `sqrt(px**2 + py**2)` or `pt > 400 and abs(eta) < 2.5`, read as a tree of
a fixed list of operations. Nothing is executed.

The grammar is Python's, of numbers, columns, arithmetic, comparisons (chained ones too), and / or /
not, and the functions of `FUNCTIONS`. Columns whose names are no identifiers stand in backticks, as
`pt [GeV]` would. There are no attributes, no other calls, no text, and nothing else that Python
knows.

Arrays with several numbers per event are made one number by `REDUCTIONS`: `sum(showers)`,
`count(Jet_pt > 30)`, `max`, `min`, `mean`, `std`, `any`, `all`. Parts of an event are
`showers[0:8]` and `particles[:, 2]`, counted from 0, and `Jet_pt[abs(Jet_eta) < 2.5]`, those for
which a condition holds. Arithmetic and functions work element by element, and one number per event
goes with each element. `Jet_pt[0]` is nan where there is no such element, `at(Jet_pt, 0, -1)` is -1
there, and `where(condition, a, b)` is a where the condition holds and b elsewhere. Of no elements,
sum and count are 0, any is false, all is true, and max, min, mean and std are nan.

Columns of NumPy are computed with in double precision. Columns of JAX stay JAX's, tracers under jit
included, in the precision they have; a value on an edge may then fall on its other side, because a
number such as .1 is rounded to that precision, too.
"""

import ast
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.namespace import namespace
from amplify.tables.in_events import REDUCTIONS as REDUCTIONS
from amplify.tables.names import Names, names_of
from amplify.tables.parts import Read, Value
from amplify.tables.syntax import FUNCTIONS as FUNCTIONS
from amplify.tables.syntax import Reader
from amplify.text import one_line

_LONGEST = 50_000  # characters; a sum of 600 columns has fewer

Columns = Mapping[str, Any]  # arrays of NumPy or of JAX, or `Jagged`


class Expression(NamedTuple):
    """A function of columns. `label` names it, `needs` the columns and arrays it is made of; a
    condition gives booleans; a column as it is is `plain`.

    `pieces` are columns, and expressions with one number per event that are made of arrays: with
    those as columns, the same text means the same. It pickles as `text` and `names`, which it is
    read from again.
    """

    label: str
    needs: tuple[str, ...]
    value: Callable[[Columns], Any]
    condition: bool = False
    plain: bool = False
    pieces: tuple[str, ...] = ()
    text: str = ""
    names: Names | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.text:
            return _again, (self.label, self.text, self.names)
        return Expression, tuple(self)  # made by a function, which goes along


def _again(label: str, text: str, names: Names | None) -> Expression:
    found = column(text) if names is None else parse(text, names)
    return found._replace(label=label)


def column(name: str) -> Expression:
    """The expression that is a column itself."""
    value: Callable[[Columns], Any] = lambda columns: columns[name]  # noqa: E731
    return Expression(name, (name,), value, plain=True, pieces=(name,), text=name)


def parse(text: str, known: Sequence[str] | Names, what: str = "expression") -> Expression:
    """Reads an expression of the known columns; a text that is the name of a column is that column.

    >>> parse("2 * abs(x0) > 1", ["x0"]).value({"x0": np.array([-1.0, 0.2])})
    array([ True, False])

    Args:
        text: the expression.
        known: names of the columns, or `Names`, with arrays.
        what: how errors name the place, e.g. "cuts.yaml line 3".

    Raises:
        InputError: an unknown column, a function that is not on the list, an array that is not made
            one number per event, or anything else that is no arithmetic.
    """
    names = known if isinstance(known, Names) else names_of(known)
    if names.columns.get(text) == text:
        return column(text)
    try:
        return _parsed(text, names, what)
    except InputError as error:
        written = _with_backticks(text, names)
        if written is None:
            raise
        _, expected, got, _ = error.args
        fix = f"write '{one_line(written, 200)}', in single quotes in a shell"
        raise InputError(what, expected, got, fix) from None


def _parsed(text: str, names: Names, what: str) -> Expression:
    if len(text) > _LONGEST:
        fix = "make a column of it"
        raise InputError(what, f"at most {_LONGEST} characters", str(len(text)), fix)
    try:
        tree, quoted = tree_of(text, names)
        reader = Reader(names, quoted, what, text)
        read = reader.read(tree)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "nested too deeply"
        raise InputError(
            what,
            "an expression like sqrt(px**2 + py**2)",
            f"'{one_line(text, 80)}' ({reason})",
            "put names with spaces in `backticks`",
        ) from None
    if not reader.needs:
        fix = f"use one of {names.listed()}"
        raise InputError(what, "an expression of columns", f"'{one_line(text, 80)}'", fix)
    _refuse_several(text, read, what)
    needs, pieces = (tuple(dict.fromkeys(each)) for each in (reader.needs, reader.pieces))
    value = read.value
    return Expression(
        text,
        needs,
        lambda columns: _quiet(value, columns),
        read.condition,
        pieces=pieces,
        text=text,
        names=names,
    )


def tree_of(text: str, names: Names) -> tuple[ast.expr, dict[str, str]]:
    """An expression as Python reads it, and what stands for the names in backticks.

    Raises:
        SyntaxError: and what else Python raises of a text that it cannot read.
    """
    quoted: dict[str, str] = {}
    prefix = "_quoted"
    while prefix in text or any(prefix in name for name in (*names.columns, *names.arrays)):
        prefix += "_"

    def stand_in(match: re.Match[str]) -> str:
        name = f"{prefix}{len(quoted)}"
        quoted[name] = match.group(1)
        return f" {name} "

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's advice on how to write Python
        tree = ast.parse(re.sub(r"`([^`]*)`", stand_in, text).strip(), mode="eval")
    return tree.body, quoted


def _refuse_several(text: str, read: Read, what: str) -> None:
    """Refuses what gives several numbers per event."""
    if not read.shape:
        return
    said = one_line(text, 80)
    got = f"{' x '.join(map(str, read.shape)).replace('None', 'any number')} of them in '{said}'"
    if read.condition:
        fix = f"make one of them: count({said}), any({said}) or all({said})"
        raise InputError(what, "one condition per event", got, fix)
    fix = f"make one of them: sum({said}), max, min, mean, std, count(... > 0), or an element [0]"
    raise InputError(what, "one number per event", got, fix)


def _with_backticks(text: str, names: Names) -> str | None:
    """The expression with backticks around names that need them, if that makes it one."""
    pieces = text.split("`")
    for name in names.that_need_backticks() if len(pieces) == 1 else ():
        pieces = [
            new
            for i, piece in enumerate(pieces)
            for new in ([piece] if i % 2 else _parted(piece, name))
        ]
    if len(pieces) == 1:
        return None
    written = "`".join(pieces)
    try:
        _parsed(written, names, "")
    except InputError:
        return None
    return written


def _parted(text: str, name: str) -> list[str]:
    """The text with the name as pieces of their own: before, name, between, name, after."""
    between = text.split(name)
    return [piece for part in between for piece in (part, name)][:-1]


def _quiet(value: Value, columns: Columns) -> Any:
    """In double precision, or in that of JAX's columns. Values outside a function's domain become
    nan, which whoever reads events finds and locates.
    """
    xp = namespace(*columns.values())
    if xp is not np:
        return value(xp, dict(columns))
    with np.errstate(all="ignore"):
        return value(np, dict(columns))
