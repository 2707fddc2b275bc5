"""The names that an expression may use: columns, arrays of several numbers per event, and columns
that are called as an expression is.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from amplify.tables.in_events import REDUCTIONS, Shape
from amplify.text import listed

_ELEMENT = re.compile(r"(.+)\[(\d+(?:,\d+)*)\]", re.S)
_PLACE = re.compile(r"\[[-\d,: ]+\]\s*$")


class Names(NamedTuple):
    """What an expression may be made of.

    Attributes:
        columns: one number per event; from how Python reads a name to the name.
        arrays: several numbers per event, and the shape of them in one event, by name.
        stacked: arrays that are no arrays of the table but all their elements are columns: x[0],
            x[1], ...; and those columns.
        formulas: columns that are called `sum(x)` or `x[0]`; from that text without spaces.
    """

    columns: Mapping[str, str]
    arrays: Mapping[str, Shape]
    stacked: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str]

    def listed(self) -> str:
        """Some of them, arrays first, without the elements of arrays."""
        return listed(self.inputs())

    def own_arrays(self) -> dict[str, Shape]:
        """Arrays of the table."""
        return {name: shape for name, shape in self.arrays.items() if name not in self.stacked}

    def inputs(self) -> list[str]:
        """Arrays, and columns that are no elements of them."""
        own = [c for c in self.columns.values() if not self._is_element(c) and c not in self.arrays]
        return list(dict.fromkeys([*self.arrays, *own]))

    def that_need_backticks(self) -> list[str]:
        """Names that are no identifiers, the longest first."""
        every = dict.fromkeys([*self.columns.values(), *self.arrays])
        odd = [n for n in every if not (n.isidentifier() or self._is_element(n) or "`" in n)]
        return sorted(odd, key=len, reverse=True)

    def _is_element(self, column: str) -> bool:
        match = _ELEMENT.fullmatch(column)
        return match is not None and match[1] in self.arrays


def names_of(columns: Iterable[str], arrays: Mapping[str, Shape] | None = None) -> Names:
    """The names of columns, and of arrays with their shapes."""
    return _names(tuple(columns), tuple((arrays or {}).items()))


@lru_cache(maxsize=16)  # many expressions of the same columns
def _names(columns: tuple[str, ...], arrays: tuple[tuple[str, Shape], ...]) -> Names:
    as_python_reads_them = {unicodedata.normalize("NFKC", name): name for name in columns}
    shapes = dict(arrays)
    complete = _complete(columns)
    new = [name for name in complete if name not in shapes and name not in columns]
    stacked = {name: complete[name][1] for name in new}
    shapes |= {name: complete[name][0] for name in new}
    formulas = {
        key: name for name in columns if is_formula(name) for key in (squeezed(name), _quoted(name))
    }
    known = as_python_reads_them | {name: name for name in columns}
    return Names(known, shapes, stacked, formulas)


def is_formula(column: str) -> bool:
    """Whether it is called as something that makes one number of an array."""
    head = column.partition("(")[0].strip()
    return head in (*REDUCTIONS, "at") or _PLACE.search(column) is not None


def squeezed(text: str) -> str:
    """An expression without spaces, but for those in names."""
    pieces = text.split("`")
    return "`".join(p if i % 2 else re.sub(r"\s+", "", p) for i, p in enumerate(pieces))


def _quoted(column: str) -> str:
    """An element as it stands in an expression: in `pt [GeV]`[0] the name is quoted."""
    match = _ELEMENT.fullmatch(column)
    if match is None or match[1].isidentifier() or "`" in column:
        return squeezed(column)
    return f"`{match[1]}`[{match[2]}]"


def _complete(columns: Sequence[str]) -> dict[str, tuple[Shape, tuple[str, ...]]]:
    """Names whose elements [0], [1], ... or [0,0], [0,1], ... are all columns: their shapes, and
    those columns, the last index running first.
    """
    places: dict[str, dict[tuple[int, ...], str]] = {}
    for column in columns:
        match = _ELEMENT.fullmatch(column)
        if match is not None:
            place = tuple(map(int, match[2].split(",")))
            places.setdefault(match[1], {})[place] = column
    complete = {}
    for name, found in places.items():
        if len({len(place) for place in found}) == 1:
            shape = tuple(max(axis) + 1 for axis in zip(*found, strict=True))
            if math.prod(shape) == len(found):
                complete[name] = (shape, tuple(found[place] for place in sorted(found)))
    return complete
