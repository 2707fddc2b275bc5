"""From the syntax tree of an expression to a function of columns, node by node. What is not on the
lists here is refused; see `amplify.tables.expressions` for what the lists mean.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables import in_events, parts, several
from amplify.tables.in_events import REDUCTIONS, Shape
from amplify.tables.names import Names, is_formula, squeezed
from amplify.tables.parts import Held, Read
from amplify.tables.several import EXAMPLES
from amplify.text import one_line

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


class Reader:
    """Turns a syntax tree into a function.

    Attributes:
        needs: columns and arrays that were met.
        pieces: the same where each one number per event that is made of arrays is one piece.
    """

    def __init__(self, names: Names, quoted: Mapping[str, str], what: str, text: str) -> None:
        self.names, self.quoted, self.what, self.text = names, quoted, what, text
        self.needs: list[str] = []
        self.pieces: list[str] = []

    def read(self, node: ast.AST) -> Read:
        """The function of a node."""
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.refused(node)
            case ast.Constant(value=int() | float() as number):
                return parts.constant(float(number))
            case ast.Name(name):
                return self.named(self.quoted.get(name, name))
            case ast.Subscript():
                return self.unit(node, several.subscripted)
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                return self.arithmetic(node)
            case ast.BinOp(left, op, right) if type(op) in _LOGIC:
                return self.conditions(_LOGIC[type(op)], [left, right])
            case ast.BoolOp(op, values):
                return self.conditions(_LOGIC[type(op)], values)
            case ast.UnaryOp(ast.USub(), operand):
                return self.applied("negative", [self.number(operand)])
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.read(operand)
            case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
                return self.applied("logical_not", [self.condition(operand)], condition=True)
            case ast.Compare(left, ops, rest) if {*map(type, ops)} <= _COMPARISONS.keys():
                operations = [_COMPARISONS[type(op)] for op in ops]
                return self.compared([left, *rest], operations)
            case ast.Call(ast.Name(name), given, []) if not any(
                isinstance(each, ast.Starred) for each in given
            ):
                return self.called(node, name, given)
        raise self.refused(node)

    def number(self, node: ast.AST) -> Read:
        """A node as a number; conditions count as 0 and 1, so that (pt1 > 20) + (pt2 > 20) >= 2
        counts.
        """
        return parts.as_number(self.read(node))

    def condition(self, node: ast.AST) -> Read:
        """A node that has to be a condition: `pt and eta` is a slip."""
        read = self.read(node)
        if not read.condition:
            expected = "conditions like pt > 400 on both sides of and, or, not"
            raise self.wrong(expected, f"'{self.said(node)}'", "compare it with a number")
        return read

    def named(self, name: str) -> Read:
        """A column, an array, or a constant."""
        if name in self.names.columns:
            return self.column(self.names.columns[name])
        if name in self.names.arrays:
            return several.array(self, name, ())
        if name in _CONSTANTS:
            return parts.constant(_CONSTANTS[name])
        if is_formula(name):  # {"sum(showers)": [low, high]} in a file of regions
            return self.read(ast.parse(name.strip(), mode="eval").body)
        expected = f"one of the columns {self.names.listed()}"
        raise self.wrong(expected, one_line(name, 80), "correct the name")

    def column(self, name: str) -> Read:
        """One number per event."""
        self.needs.append(name)
        self.pieces.append(name)
        return Read(lambda xp, held: parts.held_as(xp, held, name, ()))

    def unit(self, node: ast.AST, read: Callable[["Reader", Any], Read]) -> Read:
        """What makes one number of an array, or a column that is called as this is.

        A condition is a column of numbers, any(...) * 1.
        """
        text = self.said(node)
        formulas, key = self.names.formulas, squeezed(text)
        if key in formulas:
            return self.column(formulas[key])
        if f"{key}*1" in formulas:
            number = self.column(formulas[f"{key}*1"]).value
            return Read(lambda xp, held: xp.not_equal(number(xp, held), 0), condition=True)
        mark = len(self.pieces)
        found = read(self, node)
        if not found.shape:
            self.pieces[mark:] = [f"{text} * 1" if found.condition else text]
        return found

    def called(self, node: ast.Call, name: str, given: Sequence[ast.AST]) -> Read:
        """A function of its arguments."""
        if name in FUNCTIONS:
            if len(given) == FUNCTIONS[name].nin:
                return self.applied(name, [self.number(each) for each in given])
            expected, got = f"{name} of {FUNCTIONS[name].nin}", f"'{self.said(node)}'"
            raise self.wrong(expected, got, "correct the number of arguments")
        if name in REDUCTIONS:
            return self.unit(node, several.reduction)
        if name in EXAMPLES and len(given) != 3:
            got, fix = f"'{self.said(node)}'", f"write it like {EXAMPLES[name]}"
            raise self.wrong(f"{name} of 3", got, fix)
        if name == "at":
            return self.unit(node, several.element)
        if name == "where":
            each = [self.condition(given[0]), *(self.number(each) for each in given[1:])]
            return self.applied("where", each)
        every = ", ".join([*FUNCTIONS, *REDUCTIONS, *EXAMPLES])
        got = one_line(name, 80)
        raise self.wrong(f"one of the functions {every}", got, "nothing else can be called")

    def arithmetic(self, node: ast.BinOp) -> Read:
        """Operations from left to right: a sum of a thousand terms is no deeper than one of two."""
        rest: list[tuple[str, ast.AST]] = []
        left: ast.AST = node
        while isinstance(left, ast.BinOp) and type(left.op) in _ARITHMETIC:
            rest.append((_ARITHMETIC[type(left.op)], left.right))
            left = left.left
        terms = [self.number(left), *(self.number(right) for _, right in reversed(rest))]
        return self.folded([operation for operation, _ in reversed(rest)], terms)

    def conditions(self, operation: str, nodes: Sequence[ast.AST]) -> Read:
        """Conditions that are joined by and, or."""
        terms = [self.condition(node) for node in nodes]
        return self.folded([operation] * (len(terms) - 1), terms)._replace(condition=True)

    def folded(self, operations: Sequence[str], terms: Sequence[Read]) -> Read:
        """Operations one after the other, ((a + b) - c)."""
        shapes, what = [term.shape for term in terms], self.what

        def value(xp: Any, held: Held) -> Any:
            values = [term.value(xp, held) for term in terms]
            return parts.folded(xp, operations, values, shapes, what)

        return Read(value, shape=self.fitting(shapes))

    def compared(self, nodes: Sequence[ast.AST], operations: Sequence[str]) -> Read:
        """A chain such as 400 < pt < 600, each term of it computed once."""
        terms, what = [self.number(node) for node in nodes], self.what
        shapes = [term.shape for term in terms]
        of_pairs = [self.fitting(shapes[i : i + 2]) for i in range(len(operations))]

        def value(xp: Any, held: Held) -> Any:
            values = [term.value(xp, held) for term in terms]
            pairs = [
                in_events.elementwise(
                    getattr(xp, operation), values[i : i + 2], shapes[i : i + 2], what
                )
                for i, operation in enumerate(operations)
            ]
            ands = ["logical_and"] * (len(pairs) - 1)
            return parts.folded(xp, ands, pairs, of_pairs, what)

        return Read(value, True, self.fitting(of_pairs))

    def applied(self, operation: str, terms: Sequence[Read], *, condition: bool = False) -> Read:
        """An operation on numbers or arrays, element by element."""
        shapes, what = [term.shape for term in terms], self.what

        def value(xp: Any, held: Held) -> Any:
            values = [term.value(xp, held) for term in terms]
            return in_events.elementwise(getattr(xp, operation), values, shapes, what)

        return Read(value, condition, self.fitting(shapes))

    def fitting(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of what is made of all of them, element by element."""
        try:
            return in_events.shape_of_all(shapes)
        except ValueError:
            sizes = " and ".join(parts.times(shape) for shape in shapes if shape)
            got = f"{sizes} numbers per event in '{one_line(self.text, 80)}'"
            fix = "take parts of the same size, such as name[:, 0], or sum(name)"
            raise self.wrong("arrays that fit element by element", got, fix) from None

    def said(self, node: ast.AST) -> str:
        """The node as one would write it."""
        text = ast.unparse(node)
        for stand_in, name in self.quoted.items():
            text = re.sub(rf"\b{stand_in}\b", lambda _, name=name: f"`{name}`", text)
        return text

    def wrong(self, expected: str, got: str, fix: str) -> InputError:
        """The error at this place."""
        return InputError(self.what, expected, one_line(got, 200), one_line(fix, 200))

    def refused(self, node: ast.AST) -> InputError:
        """The error of a node that is on no list."""
        name = type(node).__name__
        kinds = {"Attribute": "an attribute", "Lambda": "a lambda", "Call": "a call"}
        return self.wrong(
            "numbers, columns, + - * / **, comparisons, and, or, not, functions",
            f"{kinds.get(name, name.lower())} in '{one_line(self.text, 80)}'",
            "nothing else is evaluated",
        )
