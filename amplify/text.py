"""How numbers and names are said to people: digits that matter, some of many names, anybody's text
on one line.
"""

import math
from collections.abc import Mapping, Sequence


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


def one_line(text: str, limit: int = 300) -> str:
    """Text of anybody's making, fit for one line of a terminal."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 3] + "..."
