"""A user's file of regions, YAML or JSON: a label and its condition, each with its line for
errors.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from amplify import regions as rg
from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.expressions import parse
from amplify.tables.table import Table

_EXAMPLE = "'tail: pt > 400 and abs(eta) < 2.5'"
_MOST = 1 << 20  # bytes
_DEEPEST = 4  # a file, a region, a column, an interval


class Condition(NamedTuple):
    """An expression, and the line where it stands."""

    text: str
    where: str


class Cut(NamedTuple):
    """A region: its label, where it stands, and conditions that all hold."""

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
    node = _parsed(path, sys.stdin.read(_MOST) if str(path) == "-" else _text(path))
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise InputError(
            _where(path, node),
            f"regions like {_EXAMPLE}",
            "something else" if node else "an empty file",
            "name each region",
        )
    cuts = [_cut(path, key, value) for key, value in node.value]
    for i, cut in enumerate(cuts):
        if cut.label in [before.label for before in cuts[:i]]:
            raise InputError(
                f"{cut.where}: region {cut.label}", "different labels", "one twice", "rename it"
            )
    return cuts


def columns_of(cuts: Sequence[Cut], known: Sequence[str], table: Table | None = None) -> list[str]:
    """The columns that the conditions need, of those that are looked at and all others of a table.

    Raises:
        InputError: an unknown column, or no condition, with the line.
    """
    needs: list[str] = []
    for condition in (condition for cut in cuts for condition in cut.conditions):
        if table is not None:
            files.refuse_no_numbers(table, condition.text, condition.where)
        needs += parse(
            condition.text,
            list(dict.fromkeys([*known, *(table.columns if table else ())])),
            condition.where,
        ).needs
    return list(dict.fromkeys(needs))


def as_regions(cuts: Sequence[Cut], names: Sequence[str]) -> rg.Regions:
    """The regions of events whose columns are `names`."""
    return rg.join(
        *(
            _all_hold(
                [rg.condition(c.text, names, what=c.where) for c in cut.conditions], cut.label
            )
            for cut in cuts
        )
    )


def _parsed(path: Path, text: str) -> Any:
    """The tree of a YAML or JSON text; YAML would build any object of it, a tree is only text."""
    if text.lstrip().startswith("{"):
        text = re.sub(
            r"^\t+", lambda tabs: "  " * len(tabs.group()), text, flags=re.MULTILINE
        )  # YAML allows no tabs, JSON does
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
                event, yaml.CollectionEndEvent
            )
            if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
                what = (
                    "an alias (*name)"
                    if isinstance(event, yaml.AliasEvent)
                    else "lists in lists in lists"
                )
                raise InputError(
                    _where(path, event), "plain regions", what, "write each region out"
                )
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        where = f"{path} line {text.count(chr(10), 0, error.position) + 1}"
        raise InputError(
            where, f"YAML or JSON like {_EXAMPLE}", "a character that is no text", "remove it"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = (
            getattr(error, "problem_mark", None),
            str(getattr(error, "problem", None) or error.__class__.__name__),
        )
        fix = (
            "put quotes around a condition that begins with a backtick"
            if "`" in problem
            else "correct it"
        )
        raise InputError(
            f"{path} line {mark.line + 1}" if mark else str(path),
            f"YAML or JSON like {_EXAMPLE}",
            problem,
            fix,
        ) from None


def _all_hold(parts: Sequence[rg.Regions], label: str) -> rg.Regions:
    def inside(x: Any) -> Any:
        held = parts[0].contains(x)[..., 0]
        for part in parts[1:]:
            held = held & part.contains(x)[..., 0]
        return held

    return rg.mask(inside, label)


def _text(path: Path) -> str:
    if path.is_dir() or not path.is_file():
        raise InputError(
            str(path),
            "a YAML or JSON file of regions",
            "a directory" if path.is_dir() else "no such file",
            "check the path",
        )
    if path.stat().st_size > _MOST:
        raise InputError(
            str(path),
            "a YAML or JSON file of regions",
            f"{path.stat().st_size} bytes",
            "is it the file of events?",
        )
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise InputError(
            str(path),
            f"YAML or JSON like {_EXAMPLE}",
            "bytes that are no text",
            "is it the file of events?",
        ) from None


def _cut(path: Path, key: Any, value: Any) -> Cut:
    where = _where(path, key)
    if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
        raise InputError(
            where, f"a label and a condition, like {_EXAMPLE}", "no label", "name the region"
        )
    label = key.value
    if isinstance(value, yaml.ScalarNode) and value.tag.endswith(":str") and value.value.strip():
        return Cut(label, where, (Condition(value.value, _where(path, value)),))
    if (
        isinstance(value, yaml.SequenceNode)
        and value.value
        and all(isinstance(v, yaml.ScalarNode) and v.tag.endswith(":str") for v in value.value)
    ):
        return Cut(
            label, where, tuple(Condition(str(v.value), _where(path, v)) for v in value.value)
        )
    if isinstance(value, yaml.MappingNode) and value.value:
        return Cut(
            label,
            where,
            tuple(
                Condition(text, _where(path, column))
                for column, interval in value.value
                for text in _interval(path, label, column, interval)
            ),
        )
    if isinstance(value, yaml.MappingNode):
        raise InputError(
            f"{where}: region {label}",
            '{"column": [low, high]}',
            "an empty one",
            "name at least one column",
        )
    raise InputError(
        f"{where}: region {label}",
        "a condition like pt > 400, or {pt: [400, null]}",
        str(value.value)[:80],
        "compare a column with a number",
    )


def _interval(path: Path, label: str, column: Any, interval: Any) -> list[str]:
    """{column: [low, high]} as conditions."""
    where = f"{_where(path, interval)}: region {label}"
    ends = (
        [_number(node) for node in interval.value]
        if isinstance(interval, yaml.SequenceNode)
        else []
    )
    if len(ends) != 2 or "" in ends:
        raise InputError(
            where, "[low, high] with low < high", _shown(interval), "write null for an open end"
        )
    low, high = ends
    name = f"`{column.value}`"
    if None not in ends and not float(str(low)) < float(str(high)):
        raise InputError(
            where,
            "[low, high] with low < high",
            f"[{low}, {high}]",
            "an empty region holds no events",
        )
    if low is None and high is None:
        return [f"{name} == {name}"]
    return [f"{name} >= {low}"] * (low is not None) + [f"{name} < {high}"] * (high is not None)


def _number(node: Any) -> str | None:
    """The text of a number, None for null, empty for anything else."""
    if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(
        (":int", ":float", ":null", ":str")
    ):
        return ""
    if node.tag.endswith(":null"):
        return None
    try:  # YAML takes 1e5 for text, and writes infinity as .inf
        number = float("text" if node.style else node.value.replace("_", "").replace(".inf", "inf"))
    except ValueError:
        return ""
    return "" if number != number else repr(number)


def _shown(node: Any) -> str:
    return (
        f"[{', '.join(str(v.value) for v in node.value)}]"
        if isinstance(node, yaml.SequenceNode)
        else str(node.value)
    )[:80]


def _where(path: Path, node: Any) -> str:
    return f"{path} line {node.start_mark.line + 1}" if node is not None else str(path)
