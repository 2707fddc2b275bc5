"""Reader of HDF5; data sets are never loaded whole, and nothing in other files is read unless it is
asked for.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import Stored, table_of
from amplify.tables.formats import pandas_hdf
from amplify.tables.formats.hdf5_outside import Follower, Found, names_in_group, points_elsewhere
from amplify.tables.layout import jagged_of, shown
from amplify.tables.opening import current_opening
from amplify.tables.table import Table, numbers
from amplify.text import listed

# attributes that name the columns of a data set, the first that fits
_NAMES = ("columns", "column_names", "names", "properties", "features", "feature_names", "fields")
_MOST_LISTED = 1000  # data sets that an error looks for


def hdf5(source: str, path: Path, inside: str) -> Table:
    """A data set, a frame of pandas, or the data sets of a group that have a row per event."""
    import h5py

    opened = ExitStack()
    try:
        file = opened.enter_context(h5py.File(path, "r"))
        follower = Follower(source, opened)
        table = _table(source, path, inside, file, follower, opened.close)
        return table._replace(points_to=tuple(follower.others))
    except BaseException:
        opened.close()
        raise


def _table(
    source: str,
    path: Path,
    inside: str,
    file: Any,
    follower: Follower,
    close: Callable[[], None],
) -> Table:
    import h5py

    found = follower.get(file, path, inside)
    if found is None:
        raise InputError(
            source,
            f"one of the data sets {listed(_data_sets(file)) or '(there is none)'}",
            f"no {inside}",
            f"give {path.name}:NAME",
        )
    if isinstance(found.item, h5py.Dataset):
        if pandas_hdf.kind_of(found.item.parent) == "frame_table" and found.item.dtype.names:
            return pandas_hdf.frame_table(source, path, found.item, close)
        name = str(found.item.name).rpartition("/")[2]
        return table_of(source, path, {name: _stored(source, found)}, close)
    return _group(source, found, follower, close)


def _group(
    source: str,
    found: Found,
    follower: Follower,
    close: Callable[[], None],
) -> Table:
    """The data sets of a group; of several frames of pandas none is the one that was meant."""
    import h5py

    group, path = found
    kind = pandas_hdf.kind_of(group)

    def get(name: str) -> Any:
        part = follower.get(group, path, name)
        if part is None:
            raise InputError(source, f"{name} in {group.name}", "none", "write it again")
        _refuse_unknown_filters(source, part)
        return part.item

    if kind == "frame":
        return pandas_hdf.fixed_frame(source, path, group, get, close)
    if kind == "frame_table":
        return pandas_hdf.frame_table(source, path, get("table"), close)
    arrays, frames, elsewhere = {}, [], {}
    for name in names_in_group(group):
        try:
            part = follower.get(group, path, name)
        except InputError as error:
            if current_opening().follow_links:
                raise
            elsewhere[name] = error
            continue
        if part is not None and isinstance(part.item, h5py.Dataset):
            arrays[name] = _stored(source, part)
        elif part is not None and pandas_hdf.kind_of(part.item).startswith("frame"):
            frames.append(part)
    if len(frames) == 1 and not arrays:
        return _group(source, frames[0], follower, close)
    if not arrays and elsewhere:
        raise next(iter(elsewhere.values()))
    if not arrays:
        raise InputError(
            source,
            "a data set",
            f"a group; data sets in the file: {listed(_data_sets(group.file)) or 'none'}",
            f"give {path.name}:NAME",
        )
    table = table_of(source, path, arrays, close)
    reasons = {name: f"{error.args[2]}, not followed" for name, error in elsewhere.items()}
    return table._replace(refused={**table.refused, **reasons})


def _data_sets(file: Any) -> list[str]:
    """Places of data sets and of frames of pandas, for people; a number of them at most."""
    import h5py
    from h5py import h5l, h5o  # pyright: ignore[reportAttributeAccessIssue]

    places: list[str] = []
    waiting: list[tuple[str, Any]] = [("", file)]
    seen = set()
    while waiting and len(places) < _MOST_LISTED:
        prefix, group = waiting.pop(0)
        for name in names_in_group(group):
            key = name.encode("utf-8", "surrogateescape")
            if group.id.links.get_info(key).type != h5l.TYPE_HARD:
                continue
            kind = h5o.get_info(group.id, key)
            if kind.type == h5o.TYPE_DATASET:
                places.append(prefix + name)
            elif kind.type == h5o.TYPE_GROUP and kind.addr not in seen:
                seen.add(kind.addr)
                inner = h5py.Group(h5o.open(group.id, key))
                if pandas_hdf.kind_of(inner).startswith("frame"):
                    places.append(prefix + name)
                else:
                    waiting.append((f"{prefix}{name}/", inner))
    return places


def _stored(source: str, found: Found) -> Stored:
    import h5py

    _refuse_unknown_filters(source, found)
    dataset = found.item
    values = h5py.check_vlen_dtype(dataset.dtype)
    if isinstance(values, np.dtype) and numbers(values) and len(dataset.shape or ()) == 1:
        return Stored(
            values,
            dataset.shape,
            lambda start, stop: jagged_of(list(dataset[start:stop]), values),
            is_jagged=True,
        )
    return Stored(
        dataset.dtype,
        dataset.shape,
        lambda start, stop: dataset[start:stop],
        columns=_columns(dataset),
    )


def _columns(dataset: Any) -> tuple[str, ...] | None:
    """Names of the columns of a data set [event, column], from an attribute that lists them."""
    if len(dataset.shape or ()) != 2 or points_elsewhere(dataset):
        return None
    attributes = dataset.attrs
    for name in sorted(attributes, key=lambda a: (a.lower() not in _NAMES, a)):
        kind = attributes.get_id(name)
        if kind.shape != (dataset.shape[1],) or kind.dtype.kind not in "SO":
            continue
        values = [
            v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in attributes[name]
        ]
        if all(isinstance(v, str) for v in values) and len(set(values)) == len(values):
            return tuple(map(shown, values))
    return None


def _refuse_unknown_filters(source: str, found: Found) -> None:
    """Refuses a compression that is not installed, after a look for the package that has most."""
    import h5py

    filters = found.item.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    unknown = [code for code in codes if not h5py.h5z.filter_avail(code)]
    if not unknown:
        return
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  # pyright: ignore[reportMissingImports]
    if all(h5py.h5z.filter_avail(code) for code in unknown):
        return
    raise InputError(
        source,
        "a compression that is installed",
        f"the HDF5 filter {unknown[0]}",
        "pip install hdf5plugin, or write the file again without it",
    )
