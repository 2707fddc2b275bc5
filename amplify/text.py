"""How numbers and names are said to people: digits that matter, some of many names, anybody's text
on one line.
"""

import math
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def number(value: float | int | None) -> str:
    """Two or three digits that matter."""
    if value is None or not math.isfinite(value):
        return "infinity"
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 100:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{round(value, digits):,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


def span(seconds: float) -> str:
    """How long something takes, in words.

    >>> span(7.2), span(150), span(5400)
    ('7 s', '2.5 min', '1.5 h')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{number(seconds / length)} {unit}"
    return f"{seconds:.0f} s"


_DIGITS = 4  # of an edge, where they tell it from its neighbours
_ALONE = 12  # of a large edge without a neighbour: a time in seconds has ten


def edge_words(edges: Sequence[float]) -> list[str]:
    """Increasing edges in four significant digits, or as many as show a quarter of the distance
    to the nearest neighbour; powers of ten from a million on.

    >>> edge_words([0.1 + 0.2, 12.3456, 12345.678, float("inf")])
    ['0.3', '12.35', '12350', 'inf']
    >>> edge_words([1700000001.25, 1700000003.75]), edge_words([1700000001.25])
    (['1700000001.2', '1700000003.8'], ['1700000001.25'])
    """
    finite = [edge for edge in edges if math.isfinite(edge)]
    gaps = [b - a for a, b in pairwise(finite)]
    # the gap on either side, infinite at both ends
    nearest = map(min, [math.inf, *gaps], [*gaps, math.inf])
    words = {edge: _edge_word(edge, gap) for edge, gap in zip(finite, nearest, strict=False)}
    return [words.get(edge, f"{edge:g}") for edge in edges]


def _edge_word(edge: float, gap: float) -> str:
    size = abs(edge)
    if size == 0 or gap == 0:
        return f"{edge:g}"
    if math.isinf(gap):
        digits = _DIGITS if size < 1e6 else _ALONE
    else:
        unit = math.floor(
            math.log10(max(gap / 4, sys.float_info.min))
        )  # the last digit, as a power of ten
        digits = math.floor(math.log10(size)) + 1 - unit
    digits = min(max(digits, _DIGITS), 17)
    # %g of four digits would write 12350 as 1.235e+04
    return f"{float(f'{edge:.{digits}g}'):.{max(digits, 6)}g}"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Some of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def no_physics(ignored: Mapping[str, str], most: int = 6) -> str:
    """Columns that are left out, with the reason of each.

    >>> no_physics({"run": "event number", "event": "event number", "n": "row number"})
    'run, event (event number), n (row number)'
    """
    by_reason: dict[str, list[str]] = {}
    for name, why in ignored.items():
        by_reason.setdefault(why, []).append(name)
    return ", ".join(f"{listed(names, most)} ({why})" for why, names in by_reason.items())


def columns_used(names: Sequence[str], ignored: Mapping[str, str]) -> str:
    """Which columns are looked at and which are not.

    >>> columns_used(["pt", "eta"], {"__index_level_0__": "pandas index"})
    'using pt, eta; ignoring __index_level_0__ (pandas index)'
    """
    ignoring = f"; ignoring {no_physics(ignored)}" if ignored else ""
    return f"using {listed(names)}{ignoring}"


def said_of_columns(settings: Mapping[str, Any]) -> str:
    """The same of the settings of a run; nothing where they tell of no columns, as in a study.

    >>> said_of_columns({"columns": ["pt"], "n_train": 1000}), said_of_columns({"columns": 3})
    ('using pt', '')
    """
    names, ignored = settings.get("columns"), settings.get("columns_ignored")
    if not isinstance(names, list | tuple) or not names:
        return ""
    reasons = ignored if isinstance(ignored, Mapping) else {}
    return columns_used(list(map(str, names)), {str(k): str(v) for k, v in reasons.items()})


def harmless(text: str) -> str:
    r"""The same text with escape sequences, and whatever else a terminal or a page would obey, as
    they are written in a program; lines stay lines.

    >>> print(harmless("a\x1b[31mb"))
    a\x1b[31mb
    """
    return "".join(c if c.isprintable() or c == "\n" else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    """Spaces of every width stay, tabs are one."""
    if unicodedata.category(character) == "Zs":
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()


# labels of bins, `0 <= pt < 1`; a name of one's own is its own group
_BIN = re.compile(r"(\S+ <= )?(.+?)( (?:<|>=|=) \S+)")


def parts_of(label: str) -> tuple[str, str, str] | None:
    """The label of a bin: what stands before the name of the observable, the name, what follows.

    >>> parts_of("0 <= pt < 1"), parts_of("pt >= 1"), parts_of("tail")
    (('0 <= ', 'pt', ' < 1'), ('', 'pt', ' >= 1'), None)
    """
    found = _BIN.fullmatch(label)
    return (found[1] or "", found[2], found[3]) if found else None


def at_condition(label: str) -> tuple[str, str]:
    """Where a region belongs to a condition, and the label of it there.

    >>> at_condition("energy = 256: 0 <= pt < 1"), at_condition("0 <= pt < 1")
    (('energy = 256: ', '0 <= pt < 1'), ('', '0 <= pt < 1'))
    """
    condition, mark, rest = label.partition(": ")
    return (condition + mark, rest) if mark and parts_of(condition) else ("", label)


def shortened(label: str, most: int) -> str:
    """A label of so many characters at most: a long name loses its middle, the edges of a bin stay.

    >>> shortened("0.25 <= a_long_name_of_pt < 0.5", 20), shortened("a_long_name", 6)
    ('0.25 <= a_l…pt < 0.5', 'a_l…me')
    >>> shortened("incident_energies = 4096: response < 0.887", 30)
    'in…es = 4096: response < 0.887'
    """
    if len(label) <= most:
        return label
    condition, rest = at_condition(label)
    at_low, given, at_high = parts_of(condition[:-2]) or ("", "", "")
    low, name, high = parts_of(rest) or ("", rest, "")
    edges = [at_low, f"{at_high}: " if condition else "", low, high]
    room = most - sum(map(len, edges))
    if not any(edges) or room < _SHORTEST * (2 if condition else 1):
        return _without_middle(label, most)
    # the condition's name is known from the row above, more often than not
    of_name = room - min(len(given), max(_SHORTEST, room - len(name)))
    name = _without_middle(name, of_name)
    given = _without_middle(given, room - len(name))
    return f"{at_low}{given}{edges[1]}{low}{name}{high}"


_SHORTEST = 3  # characters of a name: first, dots, last


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def one_line(text: str, limit: int = 300) -> str:
    """Text of anybody's making, fit for one line of a terminal."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 3] + "..."
