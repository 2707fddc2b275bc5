"""Reader of HDF5; data sets are never loaded whole."""

from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.tables.arrays import Stored, table_of
from amplify.tables.table import Table
from amplify.text import listed


def hdf5(source: str, path: Path, inside: str) -> Table:
    """A data set, or a group of one-dimensional data sets as columns."""
    import h5py

    file = h5py.File(path, "r")
    try:
        return _table(source, path, inside, file)
    except BaseException:
        file.close()
        raise


def _table(source: str, path: Path, inside: str, file: Any) -> Table:
    import h5py

    in_file: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            in_file.append(name)

    file.visititems(note)
    if inside and inside not in file:
        raise InputError(
            source,
            f"one of the data sets {listed(in_file)}",
            f"no {inside}",
            f"give {path.name}:NAME",
        )
    item: Any = file[inside] if inside else file
    if isinstance(item, h5py.Dataset):
        table = table_of(source, path, {"": _stored(item)}, file.close)
        is_pandas = "pandas_type" in item.parent.attrs
        index = tuple(c for c in table.columns if is_pandas and c == "index")
        return table._replace(index=index)
    datasets = {
        name: _stored(value) for name, value in item.items() if isinstance(value, h5py.Dataset)
    }
    if not datasets:
        raise InputError(
            source,
            "a data set",
            f"a group; data sets in the file: {listed(in_file) or 'none'}",
            f"give {path.name}:NAME",
        )
    return table_of(source, path, datasets, file.close)


def _stored(dataset: Any) -> Stored:
    return Stored(dataset.dtype, dataset.shape, lambda start, stop: dataset[start:stop])
