"""Reader of ROOT, a TTree or an RNTuple: flat branches and those with a fixed number of values per
event. Needs the extra [io].
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import element_of
from amplify.tables.formats.common import JAGGED, missing
from amplify.tables.table import Part, Table, elements, numbers
from amplify.text import listed

_TREES = ("TTree", "ROOT::RNTuple", "TNtuple", "TNtupleD")

# of every branch: type and shape of an event's values, or why they are no numbers
Branches = Mapping[str, tuple[np.dtype, tuple[int, ...]] | str]


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
        branches = _ntuple_branches(tree) if is_ntuple else _tree_branches(tree)
        return _table(source, path, tree, branches, file.close)
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


def _tree_branches(tree: Any) -> Branches:
    branches: dict[str, tuple[np.dtype, tuple[int, ...]] | str] = {}
    for name, branch in tree.items():
        kind = branch.interpretation
        if type(kind).__name__ == "AsDtype" and numbers(kind.to_dtype.base):
            branches[name] = (kind.to_dtype.base.newbyteorder("="), kind.inner_shape)
        elif len(branch.branches) == 0:
            branches[name] = JAGGED if type(kind).__name__ == "AsJagged" else str(kind)
    return branches


def _ntuple_branches(tree: Any) -> Branches:
    integers = {
        f"std::{sign}int{bits}_t": f"{sign}int{bits}"
        for sign in ("u", "")
        for bits in (8, 16, 32, 64)
    }
    simple = {"bool": "bool", "float": "f4", "double": "f8"} | integers
    branches: dict[str, tuple[np.dtype, tuple[int, ...]] | str] = {}
    for field in tree.values(recursive=False):
        name, kind = field.name, field.typename
        if kind in simple:
            branches[name] = (np.dtype(simple[kind]), ())
        elif "vector<" in kind or "RVec<" in kind:
            branches[name] = JAGGED
        else:
            branches[name] = kind or "a group of fields"
    return branches


def _table(
    source: str, path: Path, tree: Any, branches: Branches, close: Callable[[], None]
) -> Table:
    places: dict[str, tuple[str, int | None]] = {}  # of a column: its branch, and element in it
    dtypes, refused = [], {}
    for branch, kind in branches.items():
        if isinstance(kind, str):
            refused[branch] = kind
            continue
        dtype, shape = kind
        for i, name in enumerate(elements(branch, shape)):
            places[name] = (branch, i if shape else None)
            dtypes.append(dtype)

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        fields = list(dict.fromkeys(places[name][0] for name in names))
        block = tree.arrays(fields, entry_start=start, entry_stop=stop, library="np")
        return [element_of(block[places[name][0]], places[name][1]) for name in names]

    n = int(tree.num_entries)
    return Table(
        source,
        columns=tuple(places),
        dtypes=tuple(dtypes),
        n=n,
        read=read,
        parts=(Part(source, path, n),),
        close=close,
        refused=refused,
    )
