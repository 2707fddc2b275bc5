"""A user's file of regions, YAML or JSON: a label and its condition, each with its line for
errors.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from amplify.errors import InputError
from amplify.regions.shapes import Regions, condition, join, mask
from amplify.tables import files
from amplify.tables.expressions import parse
from amplify.tables.names import names_of
from amplify.tables.table import Table

_EXAMPLE = "'tail: pt > 400 and abs(eta) < 2.5'"
_READABLE = f"YAML or JSON like {_EXAMPLE}"
_MOST = 1 << 20  # bytes
_DEEPEST = 4  # a file, a region, a column, an interval
_MOST_REGIONS = 10_000  # each is a condition for every event
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Condition(NamedTuple):
    """One condition of a region.

    Attributes:
        text: an expression.
        where: the line where it stands, for errors.
    """

    text: str
    where: str


class Cut(NamedTuple):
    """A region of a user's file.

    Attributes:
        label: of the region.
        where: the line where it stands, for errors.
        conditions: that all hold.
    """

    label: str
    where: str
    conditions: tuple[Condition, ...]


def read_cuts(path: Path) -> list[Cut]:
    """Regions from YAML or JSON, one a label: an expression, a list of expressions that all hold,
    or {column: [low, high]}, null for an open end.

        tail: pt > 400 and abs(eta) < 2.5
        box: {pt: [0, 100], eta: [null, 2]}

    A path of - is standard input.

    Raises:
        InputError: no such file, no YAML, or something else than regions, with its line.
    """
    text = sys.stdin.read(_MOST) if str(path) == "-" else _text(path)
    tree = _parsed(path, text)
    if not isinstance(tree, yaml.MappingNode) or not tree.value:
        got = "something else" if tree else "an empty file"
        raise InputError(_where(path, tree), f"regions like {_EXAMPLE}", got, "name each region")
    if len(tree.value) > _MOST_REGIONS:
        got, fix = str(len(tree.value)), "count them in several runs"
        raise InputError(str(path), f"at most {_MOST_REGIONS} regions", got, fix)
    cuts = [_cut(path, key, value) for key, value in tree.value]
    labels: set[str] = set()
    for cut in cuts:
        if cut.label in labels:
            what = f"{cut.where}: region {cut.label}"
            raise InputError(what, "different labels", "one twice", "rename it")
        labels.add(cut.label)
    return cuts


def columns_of(cuts: Sequence[Cut], known: Sequence[str], table: Table | None = None) -> list[str]:
    """The columns that the conditions need, of those that are looked at and all others of a table;
    and what they make of its arrays, one number per event each, as `count(Jet_pt > 30)`.

    Raises:
        InputError: an unknown column, or no condition, with the line.
    """
    in_table = files.names_in_table(table) if table else None
    columns = dict.fromkeys([*known, *(in_table.columns.values() if in_table else ())])
    names = names_of(columns, in_table.own_arrays() if in_table else {})
    needs: list[str] = []
    for text, where in (stated for cut in cuts for stated in cut.conditions):
        if table is not None:
            files.refuse_no_numbers(table, text, where)
        needs += parse(text, names, where).pieces
    return list(dict.fromkeys(needs))


def as_regions(cuts: Sequence[Cut], names: Sequence[str]) -> Regions:
    """The regions of events whose columns are `names`."""
    return join(*(_as_region(cut, names) for cut in cuts))


def _as_region(cut: Cut, names: Sequence[str]) -> Regions:
    """The region where all conditions of a cut hold."""
    first, *others = (condition(c.text, names, what=c.where) for c in cut.conditions)

    def inside(x: Any) -> Any:
        held = first.contains(x)[..., 0]
        for other in others:
            held = held & other.contains(x)[..., 0]
        return held

    return mask(inside, cut.label)


def _text(path: Path) -> str:
    expected = "a YAML or JSON file of regions"
    if path.is_dir() or not path.is_file():
        got = "a directory" if path.is_dir() else "no such file"
        raise InputError(str(path), expected, got, "check the path")
    size, is_it = path.stat().st_size, "is it the file of events?"
    if size > _MOST:
        raise InputError(str(path), expected, f"{size} bytes", is_it)
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise InputError(str(path), _READABLE, "bytes that are no text", is_it) from None


def _parsed(path: Path, text: str) -> Any:
    """The tree of a YAML or JSON text; YAML would build any object of it, a tree is only text."""
    if text.lstrip().startswith("{"):
        # YAML allows no tabs, JSON does
        text = re.sub(r"^\t+", lambda tabs: "  " * len(tabs.group()), text, flags=re.MULTILINE)
    try:
        return _composed(path, text, _FAST)
    except (yaml.YAMLError, RecursionError):
        pass  # the other one says better what is wrong
    try:
        return _composed(path, text, yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        got = "a character that is no text"
        raise InputError(f"{path} line {line}", _READABLE, got, "remove it") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path} line {mark.line + 1}" if mark else str(path)
        problem = str(getattr(error, "problem", None) or error.__class__.__name__)
        fix = "correct it"
        if "`" in problem:
            fix = "put quotes around a condition that begins with a backtick"
        raise InputError(where, _READABLE, problem, fix) from None


def _composed(path: Path, text: str, loader: Any) -> Any:
    _refuse_bombs(path, text, loader)
    return yaml.compose(text, loader)


def _refuse_bombs(path: Path, text: str, loader: Any) -> None:
    """Refuses aliases and deep nesting, which no regions need, before a tree is built of them."""
    depth = 0
    for event in yaml.parse(text, loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias or depth > _DEEPEST:
            got = "an alias (*name)" if is_alias else "lists in lists in lists"
            raise InputError(_where(path, event), "plain regions", got, "write each region out")


def _cut(path: Path, key: Any, value: Any) -> Cut:
    """A region from its label and what stands behind it."""
    where = _where(path, key)
    if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
        expected = f"a label and a condition, like {_EXAMPLE}"
        raise InputError(where, expected, "no label", "name the region")
    label = key.value
    what = f"{where}: region {label}"
    if isinstance(value, yaml.MappingNode):
        if not value.value:
            fix = "name at least one column"
            raise InputError(what, '{"column": [low, high]}', "an empty one", fix)
        conditions = [
            Condition(text, _where(path, column))
            for column, interval in value.value
            for text in _interval(path, label, column, interval)
        ]
        return Cut(label, where, tuple(conditions))
    is_list = isinstance(value, yaml.SequenceNode)
    texts = value.value if is_list else [value]
    # in a list, the parser of conditions refuses an empty text
    is_empty = not texts or not (is_list or value.value.strip())
    if is_empty or not all(map(_is_text, texts)):
        expected = "a condition like pt > 400, or {pt: [400, null]}"
        raise InputError(what, expected, str(value.value)[:80], "compare a column with a number")
    return Cut(label, where, tuple(Condition(text.value, _where(path, text)) for text in texts))


def _is_text(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str")


def _interval(path: Path, label: str, column: Any, interval: Any) -> list[str]:
    """{column: [low, high]} as conditions."""
    what = f"{_where(path, interval)}: region {label}"
    expected = "[low, high] with low < high"
    is_list = isinstance(interval, yaml.SequenceNode)
    ends = [_number(node) for node in interval.value] if is_list else []
    if len(ends) != 2 or "" in ends:
        got = f"[{', '.join(str(v.value) for v in interval.value)}]" if is_list else interval.value
        raise InputError(what, expected, str(got)[:80], "write null for an open end")
    low, high = ends
    name = f"`{column.value}`"
    if None not in ends and not float(str(low)) < float(str(high)):
        raise InputError(what, expected, f"[{low}, {high}]", "an empty region holds no events")
    if low is None and high is None:
        return [f"{name} == {name}"]
    above = [] if low is None else [f"{name} >= {low}"]
    below = [] if high is None else [f"{name} < {high}"]
    return above + below


def _number(node: Any) -> str | None:
    """The text of a number, None for null, empty for anything else."""
    numeric = ":int", ":float", ":null", ":str"
    if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(numeric):
        return ""
    if node.tag.endswith(":null"):
        return None
    if node.style:  # in quotes
        return ""
    try:
        # YAML takes 1e5 for text, and writes infinity as .inf
        number = float(node.value.replace("_", "").replace(".inf", "inf"))
    except ValueError:
        return ""
    return "" if number != number else repr(number)


def _where(path: Path, node: Any) -> str:
    return f"{path} line {node.start_mark.line + 1}" if node is not None else str(path)
