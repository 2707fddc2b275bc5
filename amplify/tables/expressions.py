"""Expressions of columns, `sqrt(px**2 + py**2)` or `pt > 400 and abs(eta) < 2.5`, read as a tree of
a fixed list of operations. Nothing is executed.

The grammar is Python's, of numbers, columns, arithmetic, comparisons (chained ones too), and / or /
not, and the functions of `FUNCTIONS`. Columns whose names are no identifiers stand in backticks, as
`pt [GeV]` would; an element of a column with several values is `p4[0]`. There are no attributes,
no other calls, no text, and nothing else that Python knows.

Columns of NumPy are computed with in double precision. Columns of JAX stay JAX's, tracers under jit
included, in the precision they have; a value on an edge may then fall on its other side, because a
number such as .1 is rounded to that precision, too.
"""

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.namespace import namespace
from amplify.text import listed

# operations go by their names, which NumPy and JAX share
FUNCTIONS: dict[str, np.ufunc] = {
    name: getattr(np, name)
    for name in (
        *("abs", "sqrt", "exp", "log", "log10", "log1p", "sin", "cos", "tan"),
        *("arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh"),
        *("arcsinh", "arccosh", "arctanh", "hypot", "minimum", "maximum", "floor", "sign"),
    )
}
_CONSTANTS = {"pi": np.pi, "inf": np.inf}
_ARITHMETIC = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.Mod: "mod",
}
_LOGIC = {
    ast.And: "logical_and",
    ast.Or: "logical_or",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
}
_COMPARISONS = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
_LONGEST = 2000  # characters; a formula that is longer was not written by hand

Columns = Mapping[str, Any]  # arrays of NumPy or of JAX
Value = Callable[[Any, Columns], Any]  # (namespace, columns) -> what a part of an expression is


class Expression(NamedTuple):
    """A function of columns. `label` names it, `needs` the columns it is made of; a condition gives
    booleans; a column as it is is `plain`.
    """

    label: str
    needs: tuple[str, ...]
    value: Callable[[Columns], Any]
    condition: bool = False
    plain: bool = False


def column(name: str) -> Expression:
    """The expression that is a column itself."""
    return Expression(name, (name,), lambda columns: columns[name], plain=True)


def parse(text: str, known: Sequence[str], what: str = "expression") -> Expression:
    """Reads an expression of the known columns; a text that is the name of a column is that column.

    >>> parse("2 * abs(x0) > 1", ["x0"]).value({"x0": np.array([-1.0, 0.2])})
    array([ True, False])

    Args:
        text: the expression.
        known: names of the columns.
        what: how errors name the place, e.g. "cuts.yaml line 3".

    Raises:
        InputError: an unknown column, a function that is not on the list, or anything else that is
            no arithmetic.
    """
    if text in known:
        return column(text)
    if len(text) > _LONGEST:
        raise InputError(
            what, f"at most {_LONGEST} characters", str(len(text)), "make a column of it"
        )
    quoted: dict[str, str] = {}
    prefix = "_quoted"
    while any(prefix in name for name in [*known, text]):
        prefix += "_"

    def stand_in(match: re.Match[str]) -> str:
        name = f"{prefix}{len(quoted)}"
        quoted[name] = match.group(1)
        return f" {name} "

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on how to write Python
            tree = ast.parse(re.sub(r"`([^`]*)`", stand_in, text).strip(), mode="eval")
        reader = _Reader(known, quoted, what, text)
        value, condition = reader.read(tree.body)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "nested too deeply"
        raise InputError(
            what,
            "an expression like sqrt(px**2 + py**2)",
            f"'{_short(text)}' ({reason})",
            "put names with spaces in `backticks`",
        ) from None
    if not reader.needs:
        raise InputError(
            what, "an expression of columns", f"'{_short(text)}'", f"use one of {listed(known)}"
        )
    needs = tuple(dict.fromkeys(reader.needs))
    return Expression(text, needs, lambda columns: _quiet(value, columns), condition)


def _quiet(value: Value, columns: Columns) -> Any:
    """In double precision, or in that of JAX's columns. Values outside a function's domain become
    nan, which whoever reads events finds and locates.
    """
    xp = namespace(*columns.values())
    if xp is not np:
        return value(xp, {name: _floating(xp, numbers) for name, numbers in columns.items()})
    with np.errstate(all="ignore"):
        doubles = {name: np.asarray(numbers, np.float64) for name, numbers in columns.items()}
        return value(np, doubles)


def _floating(xp: Any, numbers: Any) -> Any:
    """Numbers that have fractions, in their precision; whole ones and conditions in JAX's own."""
    is_floating = xp.issubdtype(numbers.dtype, xp.floating)
    return numbers if is_floating else xp.asarray(numbers, float)


class _Reader:
    """Turns a syntax tree into a function, node by node; what is not on its lists is refused."""

    def __init__(self, known: Sequence[str], quoted: dict[str, str], what: str, text: str) -> None:
        as_python_reads_them = {unicodedata.normalize("NFKC", name): name for name in known}
        self.known = as_python_reads_them | {name: name for name in known}
        self.quoted, self.what, self.text = quoted, what, text
        self.needs: list[str] = []

    def read(self, node: ast.AST) -> tuple[Value, bool]:
        """The function of a node, and whether it is a condition."""
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.refused(node)
            case ast.Constant(value=int() | float() as number):
                return self.constant(float(number))
            case ast.Name() | ast.Subscript():
                return self.named(node)
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                return self.applied(_ARITHMETIC[type(op)], [left, right]), False
            case ast.BinOp(left, op, right) if type(op) in _LOGIC:
                return self.conditions(_LOGIC[type(op)], [left, right]), True
            case ast.BoolOp(op, values):
                return self.conditions(_LOGIC[type(op)], values), True
            case ast.UnaryOp(ast.USub(), operand):
                return self.applied("negative", [operand]), False
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.read(operand)
            case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
                return self.conditions("logical_not", [operand]), True
            case ast.Compare(left, ops, rest) if {*map(type, ops)} <= _COMPARISONS.keys():
                operations = [_COMPARISONS[type(op)] for op in ops]
                return self.compared([left, *rest], operations), True
            case ast.Call(ast.Name(name), given, []) if len(given) == _arguments(name):
                return self.applied(name, given), False
            case ast.Call(ast.Name(name)) if name in FUNCTIONS:
                raise InputError(
                    self.what,
                    f"{name} of {_arguments(name)}",
                    f"'{_short(self.text)}'",
                    "correct the number of arguments",
                )
            case ast.Call(ast.Name(name)):
                raise InputError(
                    self.what,
                    f"one of the functions {', '.join(FUNCTIONS)}",
                    name,
                    "nothing else can be called",
                )
        raise self.refused(node)

    def constant(self, number: float) -> tuple[Value, bool]:
        """A number."""
        return lambda xp, columns: number, False

    def named(self, node: ast.Name | ast.Subscript) -> tuple[Value, bool]:
        """A column, an element of one, or a constant."""
        if isinstance(node, ast.Name):
            name = self.quoted.get(node.id, node.id)
        elif (
            isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, int)
        ):
            name = f"{self.quoted.get(node.value.id, node.value.id)}[{node.slice.value}]"
        else:
            raise self.refused(node)
        if name not in self.known:
            if name in _CONSTANTS:
                return self.constant(_CONSTANTS[name])
            raise InputError(
                self.what,
                f"one of the columns {listed(list(self.known.values()))}",
                name,
                "correct the name",
            )
        column = self.known[name]
        self.needs.append(column)
        return lambda xp, columns: columns[column], False

    def applied(self, operation: str, nodes: Sequence[ast.AST]) -> Value:
        """An operation on the values of nodes; conditions count as 0 and 1, so that (pt1 > 20) +
        (pt2 > 20) >= 2 counts.
        """
        values = [_number(*self.read(node)) for node in nodes]
        return lambda xp, columns: getattr(xp, operation)(*(v(xp, columns) for v in values))

    def conditions(self, operation: str, nodes: Sequence[ast.AST]) -> Value:
        """An operation on conditions; numbers are none: `pt and eta` is a slip."""
        values = []
        for node in nodes:
            value, condition = self.read(node)
            if not condition:
                got = ast.unparse(node) if not self.quoted else self.text
                raise InputError(
                    self.what,
                    "conditions like pt > 400 on both sides of and, or, not",
                    f"'{_short(got)}'",
                    "compare it with a number",
                )
            values.append(value)
        if len(values) == 1:
            return lambda xp, columns: getattr(xp, operation)(values[0](xp, columns))

        def joined(xp: Any, columns: Columns) -> Any:
            result = values[0](xp, columns)
            for value in values[1:]:
                result = getattr(xp, operation)(result, value(xp, columns))
            return result

        return joined

    def compared(self, nodes: Sequence[ast.AST], operations: Sequence[str]) -> Value:
        """A chain such as 400 < pt < 600."""
        values = [_number(*self.read(node)) for node in nodes]

        def chain(xp: Any, columns: Columns) -> Any:
            terms = [value(xp, columns) for value in values]
            result = getattr(xp, operations[0])(terms[0], terms[1])
            for operation, low, high in zip(operations[1:], terms[1:-1], terms[2:], strict=True):
                result = result & getattr(xp, operation)(low, high)
            return result

        return chain

    def refused(self, node: ast.AST) -> InputError:
        """The error of a node that is on no list."""
        name = type(node).__name__
        kinds = {"Attribute": "an attribute", "Lambda": "a lambda", "Call": "a call"}
        kind = kinds.get(name, name.lower())
        return InputError(
            self.what,
            "numbers, columns, + - * / **, comparisons, and, or, not, functions",
            f"{kind} in '{_short(self.text)}'",
            "nothing else is evaluated",
        )


def _number(value: Value, condition: bool) -> Value:
    return (lambda xp, columns: xp.asarray(value(xp, columns), float)) if condition else value


def _arguments(name: str) -> int | None:
    """How many arguments a function takes; None of one that is not on the list."""
    function = FUNCTIONS.get(name)
    return function.nin if isinstance(function, np.ufunc) else None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
