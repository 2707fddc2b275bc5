"""Labels and units that the data sets of an HDF5 file carry as attributes."""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from amplify.errors import AmplifyError
from amplify.tables.formats.hdf5_outside import Follower, names_in_group
from amplify.tables.layout import shown

_SUFFIXES = ".h5", ".hdf5", ".hdf"
_LABEL, _UNIT = ("label", "long_name"), ("unit", "units")


def attribute_labels(path: Path, inside: str = "") -> dict[str, dict[str, str | None]]:
    """What is written beside columns that are data sets of a group: attributes `label` (or
    `long_name`) and `unit` (or `units`); nothing of other files.

    Args:
        path: of the file.
        inside: the group, or a data set in it.
    """
    import h5py

    if path.suffix.lower() not in _SUFFIXES:
        return {}
    labels = {}
    # whoever reads the events says what is wrong, and asks before another file is read
    with suppress(OSError, KeyError, RuntimeError, ValueError, AmplifyError), ExitStack() as opened:
        file = opened.enter_context(h5py.File(path, "r"))
        follower = Follower(str(path), opened)
        found = follower.get(file, path, inside)
        item: Any = None if found is None else found.item
        group: Any = item.parent if isinstance(item, h5py.Dataset) else item
        for name in () if group is None else names_in_group(group):
            with suppress(AmplifyError):
                part = follower.get(group, path, name)
                if part is None or not isinstance(part.item, h5py.Dataset):
                    continue
                label, unit = _text(part.item, _LABEL), _text(part.item, _UNIT)
                if label or unit:
                    labels[shown(name)] = {"label": label or name, "unit": unit}
    return labels


def _text(item: Any, names: Iterable[str]) -> str | None:
    for name in names:
        if name in item.attrs:
            value = item.attrs[name]
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            return text if isinstance(text, str) and 0 < len(text) <= 120 else None
    return None
