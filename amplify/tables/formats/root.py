"""Reader of ROOT, a TTree or an RNTuple: flat branches, those with a fixed number of values per
event, and jagged ones. Needs the extra [io].
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.formats.common import missing
from amplify.tables.layout import JAGGED, Fields, table_of_fields
from amplify.tables.table import Array, Jagged, Table, numbers
from amplify.text import listed

_TREES = ("TTree", "ROOT::RNTuple", "TNtuple", "TNtupleD")
_NUMBERS = {"bool": "bool", "float": "f4", "double": "f8"} | {
    f"std::{sign}int{bits}_t": f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)
}


def root(source: str, path: Path, inside: str) -> Table:
    """The tree that `inside` names, or the only one."""
    try:
        import uproot
    except ImportError:
        raise missing("ROOT", "uproot") from None
    file: Any = uproot.open(path)
    try:
        kinds = file.classnames(cycle=False)
        name = _chosen(source, path, inside, [n for n, kind in kinds.items() if kind in _TREES])
        tree = file[name]
        is_ntuple = kinds[name] == "ROOT::RNTuple"
        fields = _ntuple_fields(tree) if is_ntuple else _tree_fields(tree)
        n = int(tree.num_entries)
        return table_of_fields(source, path, n, fields, _reader(tree, fields), file.close)
    except BaseException:
        file.close()
        raise


def _chosen(source: str, path: Path, inside: str, trees: Sequence[str]) -> str:
    if inside and inside not in trees:
        raise InputError(
            source,
            f"one of the trees {listed(trees) or '(there is none)'}",
            f"no {inside}",
            f"give {path.name}:TREE",
        )
    if not inside and len(trees) != 1:
        raise InputError(
            source,
            "a file with one tree",
            f"{len(trees)}: {listed(trees) or 'none'}",
            f"give {path.name}:TREE",
        )
    return inside or trees[0]


def _tree_fields(tree: Any) -> Fields:
    fields: dict[str, Array | str] = {}
    for name, branch in tree.items():
        kind = branch.interpretation
        which = type(kind).__name__
        if which == "AsDtype" and numbers(kind.to_dtype.base):
            fields[name] = Array(kind.inner_shape, kind.to_dtype.base.newbyteorder("="))
        elif which == "AsJagged" and type(kind.content).__name__ == "AsDtype":
            fields[name] = _jagged(kind.content)
        elif len(branch.branches) == 0:
            fields[name] = str(kind)
    return fields


def _jagged(content: Any) -> Array | str:
    dtype = content.to_dtype.base
    if not numbers(dtype):
        return JAGGED
    return Array((None, *content.inner_shape), dtype.newbyteorder("="))


def _ntuple_fields(tree: Any) -> Fields:
    return {
        field.name: _typed(field.typename or "") or field.typename or "a group of fields"
        for field in tree.values(recursive=False)
    }


def _typed(name: str) -> Array | str | None:
    """Numbers of a C++ type; why they are none, or None of one that is not known."""
    if name in _NUMBERS:
        return Array((), np.dtype(_NUMBERS[name]))
    if fixed := re.fullmatch(r"std::array<(.+),\s*(\d+)>", name):
        inner = _typed(fixed[1])
        if isinstance(inner, Array) and None not in inner.shape:
            return Array((int(fixed[2]), *inner.shape), inner.dtype)
        return inner and name
    if loose := re.fullmatch(r"(?:std::vector|ROOT::VecOps::RVec|ROOT::RVec)<(.+)>", name):
        inner = _typed(loose[1])
        if isinstance(inner, Array) and None not in inner.shape:
            return Array((None, *inner.shape), inner.dtype)
        return JAGGED
    return None


def _reader(tree: Any, fields: Fields) -> Any:
    """Reads fields, without awkward where all are of fixed size."""

    def read(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        kinds = [fields[name] for name in names]
        is_jagged = any(isinstance(kind, Array) and None in kind.shape for kind in kinds)
        library = "ak" if is_jagged else "np"
        block = tree.arrays(names, entry_start=start, entry_stop=stop, library=library)
        return [_values(block[name]) for name in names]

    return read


def _values(x: Any) -> Any:
    """Values [row, ...] of NumPy, or those of awkward, `Jagged` where they are."""
    if isinstance(x, np.ndarray):
        return x
    import awkward as ak

    if not str(x.type).split(" * ")[1].startswith("var"):
        return ak.to_numpy(x)
    return Jagged(ak.to_numpy(ak.flatten(x, axis=1)), ak.to_numpy(ak.num(x, axis=1)))
