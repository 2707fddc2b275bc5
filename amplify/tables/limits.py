"""What a condition asks of single columns: outside of these intervals it cannot hold, whatever the
others are.
"""

import ast
import math
from collections.abc import Mapping

from amplify.tables.expressions import tree_of
from amplify.tables.names import Names

Limits = dict[str, tuple[float, float]]  # by column: the least and the largest value that may pass
_BELOW, _ABOVE = ast.Lt | ast.LtE, ast.Gt | ast.GtE


def limits(text: str, names: Names) -> Limits:
    """Intervals of columns outside of which the condition does not hold, their ends included.

    What is no number is outside, too, as every comparison with it is false. Of what is no plain
    comparison of a column with a number nothing is said.

    >>> from amplify.tables.names import names_of
    >>> limits("run >= 5 and abs(eta) < 2 or run == 3", names_of(["run", "eta"]))
    {'run': (3.0, inf)}
    >>> limits("0 <= run < 2", names_of(["run"]))
    {'run': (0.0, 1.9999999999999998)}

    Args:
        text: a condition that `amplify.tables.expressions.parse` reads.
        names: what it may be made of.
    """
    tree, quoted = tree_of(text, names)
    called = {place: names.columns.get(name, name) for place, name in quoted.items()}
    return _of(tree, {**names.columns, **called})


def _of(node: ast.AST, columns: Mapping[str, str]) -> Limits:
    match node:
        case ast.BoolOp(ast.And(), values):
            return _both([_of(value, columns) for value in values])
        case ast.BoolOp(ast.Or(), values):
            return _either([_of(value, columns) for value in values])
        case ast.BinOp(left, ast.BitAnd(), right):
            return _both([_of(left, columns), _of(right, columns)])
        case ast.BinOp(left, ast.BitOr(), right):
            return _either([_of(left, columns), _of(right, columns)])
        case ast.Compare(left, ops, rest):
            pairs = zip([left, *rest[:-1]], ops, rest, strict=True)
            return _both([_compared(a, op, b, columns) for a, op, b in pairs])
    return {}


def _both(several: list[Limits]) -> Limits:
    found: Limits = {}
    for one in several:
        for name, (low, high) in one.items():
            lowest, highest = found.get(name, (-math.inf, math.inf))
            found[name] = max(low, lowest), min(high, highest)
    return found


def _either(several: list[Limits]) -> Limits:
    everywhere = [name for name in several[0] if all(name in one for one in several)]
    return {
        name: (min(one[name][0] for one in several), max(one[name][1] for one in several))
        for name in everywhere
    }


def _compared(left: ast.AST, op: ast.cmpop, right: ast.AST, columns: Mapping[str, str]) -> Limits:
    """Of `column < number`, or the other way around."""
    number = _number(right)
    below, above = isinstance(op, _BELOW), isinstance(op, _ABOVE)
    if number is None:
        number, left, below, above = _number(left), right, above, below
    if number is None or not (below or above or isinstance(op, ast.Eq)):
        return {}
    is_open = isinstance(op, ast.Lt | ast.Gt)
    low = -math.inf if below else math.nextafter(number, math.inf) if is_open else number
    high = math.inf if above else math.nextafter(number, -math.inf) if is_open else number
    match left:
        case ast.Name(name) if name in columns:
            return {columns[name]: (low, high)}
        case ast.Call(ast.Name("abs"), [ast.Name(name)], []) if name in columns and not above:
            return {columns[name]: (-high, high)}
    return {}


def _number(node: ast.AST) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.UnaryOp(ast.USub(), operand):
            inner = _number(operand)
            return None if inner is None else -inner
    return None
