"""The schema of results.json, `schema.json` beside this file, and what it cannot say: which lists
are equally long.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from amplify.errors import InputError
from amplify.text import one_line

SCHEMA = "amplify/1"
_WORDS = 120  # characters of what was expected or came


class Fault(NamedTuple):
    """What is wrong with a results.json.

    Attributes:
        where: in the file, like `estimates[3].status`.
        expected: what should stand there.
        got: what does.
    """

    where: str
    expected: str
    got: str


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of results.json.

    >>> schema()["properties"]["schema"]
    {'const': 'amplify/1'}
    """
    return json.loads(files("amplify.results").joinpath("schema.json").read_text("utf-8"))


def fault(results: Any) -> Fault | None:
    """The first thing that is wrong with the contents of a results.json.

    >>> fault({"schema": "amplify/2"}).expected
    'schema amplify/1'
    """
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        got = results.get("schema") if isinstance(results, dict) else results
        return Fault("", f"schema {SCHEMA}", _said(got))
    return _of_schema(results) or next(_of_lengths(results), None)


def check(results: Any, what: str) -> None:
    """Refuses what is no results.json.

    Args:
        results: what was read.
        what: the name of the file.

    Raises:
        InputError: something in it is not as the schema says.
    """
    found = fault(results)
    if found:
        fix = "give the file that a run wrote, unchanged"
        where = f"{what}: {found.where}" if found.where else what
        raise InputError(where, found.expected, found.got, fix)


def check_own(results: Mapping[str, Any]) -> None:
    """Warns of results that we are about to write against our own schema: a fault of ours is no
    reason to lose what took hours.
    """
    found = fault(results)
    if found:
        line = f"results.json is not as its schema says: {found.where} is {found.got}"
        warnings.warn(f"{line} instead of {found.expected}; please report it", stacklevel=3)


@cache
def _compiled() -> Callable[[Any], Any]:
    import fastjsonschema

    return fastjsonschema.compile(schema(), use_default=False)


def _of_schema(results: Any) -> Fault | None:
    import fastjsonschema

    try:
        _compiled()(results)
    except fastjsonschema.JsonSchemaValueException as error:
        where = str(error.name).removeprefix("data").removeprefix(".")
        if error.rule == "required":
            missing = [name for name in error.rule_definition if name not in error.value]
            return Fault(where, f"the keys {', '.join(missing)}", "none of that name")
        if error.rule == "enum":
            return Fault(where, f"one of {', '.join(error.rule_definition)}", _said(error.value))
        expected = error.message.removeprefix(str(error.name)).removeprefix(" must be ")
        return Fault(where, expected.removeprefix(" must "), _said(error.value))
    return None


def _of_lengths(results: Mapping[str, Any]) -> Iterator[Fault]:
    """Lists that belong to one another."""
    count = len(results["estimates"])
    truth = results.get("truth") or {}
    yield from _unequal("truth", truth, [name for name in truth if name != "from"], count)
    yield from _of_regions(results)
    for place, panel in enumerate(results.get("panels") or []):
        names = [name for name in panel if name not in ("column", "edges")]
        yield from _unequal(f"panels[{place}]", panel, names, len(panel["edges"]) - 1)
        yield from _falling(f"panels[{place}].edges", panel["edges"])
        for both in (("holdout", "holdout_error"), ("members_low", "members_high")):
            yield from _one_of(f"panels[{place}]", panel, both)
    for place, curve in enumerate(results.get("resolution") or []):
        names = ["amplification", "low", "high"]
        yield from _unequal(f"resolution[{place}]", curve, names, len(curve["bins"]))
    yield from _cells("map", results.get("map"), ("amplification", "status"))
    shown = results.get("differential") or {}
    yield from _cells("differential.map", shown.get("map"), ("ratio", "pull"))
    for key, first in (("functions", "t"), ("approach", "n_gen")):
        curves = shown.get(key) or {first: []}
        names = [name for name, value in curves.items() if isinstance(value, list)]
        yield from _unequal(f"differential.{key}", curves, names, len(curves[first]))


def _of_regions(results: Mapping[str, Any]) -> Iterator[Fault]:
    """What is said of averaging regions by their places."""
    count = sum(e["method"] == "averaging" for e in results["estimates"])
    shared = results.get("members_in_regions") or {}
    for place, of_member in enumerate(shared.get("integral") or []):
        where = "members_in_regions.integral"
        yield from _unequal(where, {str(place): of_member}, [str(place)], count)
    yield from _unequal("members_in_regions", shared, ["in_both"], count * (count + 1) // 2)
    yield from _unequal("members_in_regions", shared, ["condition"], count)
    for place, binning in enumerate(results.get("binnings") or []):
        where = f"binnings[{place}]"
        yield from _unequal(where, binning, ["regions"], len(binning["edges"]) - 1)
        yield from _falling(f"{where}.edges", binning["edges"])
        yield from _beyond(f"{where}.regions", binning["regions"], count)
    condition = results.get("condition") or {}
    places = [row["condition"] for row in condition.get("averaging") or []]
    yield from _beyond("condition.averaging", places, len(condition.get("regions") or []))


def _beyond(where: str, places: Sequence[float], count: int) -> Iterator[Fault]:
    # JSON Schema takes 3.0 for an integer
    if any(place >= count or not isinstance(place, int) for place in places):
        yield Fault(where, f"integers below {count}", _said(list(places)))


def _one_of(where: str, held: Mapping[str, Any], both: tuple[str, str]) -> Iterator[Fault]:
    """Of two that belong together, only one."""
    missing = [name for name in both if held.get(name) is None]
    if len(missing) == 1:
        yield Fault(where, f"{both[0]} and {both[1]}", f"no {missing[0]}")


def _unequal(
    where: str, held: Mapping[str, Any], names: Sequence[str], count: int
) -> Iterator[Fault]:
    for name in names:
        values = held.get(name)
        if isinstance(values, list) and len(values) != count:
            yield Fault(f"{where}.{name}", f"{count} values", f"{len(values)}")


def _cells(where: str, held: Mapping[str, Any] | None, names: Sequence[str]) -> Iterator[Fault]:
    """Tables [x][y] for the cells between edges."""
    if not held:
        return
    shape = tuple(len(edges) - 1 for edges in held["edges"])
    for name in names:
        rows = held[name]
        if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
            yield Fault(f"{where}.{name}", f"{shape[0]} rows of {shape[1]} cells", "others")
    for place, edges in enumerate(held["edges"]):
        yield from _falling(f"{where}.edges[{place}]", edges)


def _falling(where: str, edges: Sequence[float | None]) -> Iterator[Fault]:
    known = [edge for edge in edges if edge is not None]
    if any(a > b for a, b in pairwise(known)):
        yield Fault(where, "edges that do not fall", _said(edges))


def _said(value: Any) -> str:
    return one_line(json.dumps(value) if not isinstance(value, str) else repr(value), _WORDS)
