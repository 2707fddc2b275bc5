"""Readers of Parquet and ROOT, columns by name: flat ones and those with a fixed number of values
per event. Needs the extra [io].
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError, MissingExtraError
from amplify.tables.table import Part, Table, elements, numbers
from amplify.text import listed

_BATCH = 1 << 17  # rows of Parquet decoded at once
_JAGGED = "jagged: a number of values that differs from event to event"


def parquet(source: str, path: Path, inside: str) -> Table:
    """A Parquet file, decoded in batches, so that a single row group may exceed memory."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise _missing("Parquet", "pyarrow") from None
    if inside:
        raise InputError(
            source,
            "FILE.parquet",
            f"a path {inside} inside",
            ".parquet files hold one table; drop the part after the colon",
        )
    file = pq.ParquetFile(
        path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
    )
    places: dict[str, tuple[str, int | None]] = {}
    dtypes, refused = [], {}
    for field in file.schema_arrow:
        kind, size = field.type, ()
        if pa.types.is_fixed_size_list(kind):
            kind, size = kind.value_type, (kind.list_size,)
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            for i, name in enumerate(elements(field.name, size)):
                places[name] = (field.name, i if size else None)
                dtypes.append(np.dtype(kind.to_pandas_dtype()))
        else:
            refused[field.name] = (
                _JAGGED if pa.types.is_list(kind) or pa.types.is_large_list(kind) else str(kind)
            )
    rows = _ParquetRows(file)

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        fields = list(dict.fromkeys(places[name][0] for name in names))
        block = rows.read(start, stop, fields)
        return [_arrow_values(block.column(places[name][0]), places[name][1]) for name in names]

    n = file.metadata.num_rows
    return Table(
        source, tuple(places), tuple(dtypes), n, read, (Part(source, path, n),), file.close, refused
    )


class _ParquetRows:
    """Rows in ascending order are decoded once: the place in the file is kept between calls."""

    def __init__(self, file: Any) -> None:
        self.file = file
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self.fields: list[str] | None = None
        self.batches: Iterator[Any] = iter(())
        self.place, self.left = 0, None

    def read(self, start: int, stop: int, fields: list[str]) -> Any:
        """A pyarrow table of these rows."""
        import pyarrow as pa

        group = int(np.searchsorted(self.starts, start, side="right")) - 1
        if fields != self.fields or start < self.place or self.starts[group] > self.place:
            self.fields, self.place, self.left = fields, int(self.starts[group]), None
            groups = list(range(group, len(self.starts) - 1))
            self.batches = self.file.iter_batches(
                batch_size=_BATCH, row_groups=groups, columns=fields
            )
        pieces = []
        while self.place < stop:
            batch = self.left if self.left is not None else next(self.batches)
            taken = min(len(batch), (start if self.place < start else stop) - self.place)
            if self.place >= start:
                pieces.append(batch.slice(0, taken))
            self.left = batch.slice(taken) if taken < len(batch) else None
            self.place += taken
        return pa.Table.from_batches(pieces)


def _arrow_values(column: Any, element: int | None) -> np.ndarray:
    """The values of a column, or of one element of its lists; what is missing is nan."""
    import pyarrow.compute as pc

    if element is not None:
        column = pc.list_element(column, element)  # pyright: ignore[reportAttributeAccessIssue]
    return column.to_numpy()


def root(source: str, path: Path, inside: str) -> Table:
    """A TTree or RNTuple of a ROOT file."""
    try:
        import uproot
    except ImportError:
        raise _missing("ROOT", "uproot") from None
    file: Any = uproot.open(path)
    try:
        kinds = file.classnames(cycle=False)
        trees = [
            name
            for name, kind in kinds.items()
            if kind in ("TTree", "ROOT::RNTuple", "TNtuple", "TNtupleD")
        ]
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
        name = inside or trees[0]
        tree = file[name]
        found = _ntuple_columns(tree) if kinds[name] == "ROOT::RNTuple" else _branches(tree)
        return _tree_table(source, path, tree, found, file.close)
    except BaseException:
        file.close()
        raise


Found = dict[
    str, tuple[np.dtype, tuple[int, ...]] | str
]  # type and shape of an event's values, or why not


def _branches(tree: Any) -> Found:
    found: Found = {}
    for name, branch in tree.items():
        kind = branch.interpretation
        if type(kind).__name__ == "AsDtype" and numbers(kind.to_dtype.base):
            found[name] = (kind.to_dtype.base.newbyteorder("="), kind.inner_shape)
        elif len(branch.branches) == 0:
            found[name] = _JAGGED if type(kind).__name__ == "AsJagged" else str(kind)
    return found


def _ntuple_columns(tree: Any) -> Found:
    simple = {"bool": "bool", "float": "f4", "double": "f8"} | {
        f"std::{u}int{b}_t": f"{u}int{b}" for u in ("u", "") for b in (8, 16, 32, 64)
    }
    found: Found = {}
    for field in tree.values(recursive=False):
        kind = simple.get(field.typename)
        if kind is not None:
            found[field.name] = (np.dtype(kind), ())
        else:
            found[field.name] = (
                _JAGGED
                if "vector<" in field.typename or "RVec<" in field.typename
                else field.typename or "a group of fields"
            )
    return found


def _tree_table(source: str, path: Path, tree: Any, found: Found, close: Any) -> Table:
    places: dict[str, tuple[str, int | None]] = {}
    dtypes, refused = [], {}
    for branch, kind in found.items():
        if isinstance(kind, str):
            refused[branch] = kind
            continue
        for i, name in enumerate(elements(branch, kind[1])):
            places[name] = (branch, i if kind[1] else None)
            dtypes.append(kind[0])

    def read(start: int, stop: int, names: Sequence[str]) -> list[np.ndarray]:
        fields = list(dict.fromkeys(places[name][0] for name in names))
        block = tree.arrays(fields, entry_start=start, entry_stop=stop, library="np")
        picked = []
        for name in names:
            branch, element = places[name]
            picked.append(
                block[branch]
                if element is None
                else block[branch].reshape(stop - start, -1)[:, element]
            )
        return picked

    n = int(tree.num_entries)
    return Table(
        source, tuple(places), tuple(dtypes), n, read, (Part(source, path, n),), close, refused
    )


def _missing(what: str, package: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} files",
        f"the package {package}",
        "no such package",
        f"pip install {package}, the extra [io]",
    )
