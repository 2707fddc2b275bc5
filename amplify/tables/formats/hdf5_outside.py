"""HDF5 files point to other files: external links, external storage of numbers, and sources of
virtual data sets. HDF5 follows them without a word, and reads zeros where a source is missing.

Here nothing is followed that was not asked for. Paths are those of the file that points, relative
to its folder, whatever HDF5 would search.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from amplify.errors import InputError
from amplify.tables.opening import current_opening

_MOST_LINKS = 100  # one after the other
_OVERRIDES = ("HDF5_EXTFILE_PREFIX", "HDF5_VDS_PREFIX")  # environment that moves what is pointed to


class Found(NamedTuple):
    """An object of a file, and where that file is."""

    item: Any
    path: Path


class Follower:
    """Looks up objects, follows links where that was asked for, and keeps the files that were read
    because of them.
    """

    def __init__(self, source: str, opened: ExitStack) -> None:
        self.source, self.opened = source, opened
        self.others: dict[Path, None] = {}  # files that are pointed to, in order

    def get(self, file: Any, path: Path, inside: str) -> Found | None:
        """The object of this name, checked; None where there is none.

        Raises:
            InputError: it is in another file, and links are not followed.
        """
        found = self._walk(file, path, inside.split("/"), 0)
        if found is not None:
            self._check(found)
        return found

    def _walk(self, group: Any, path: Path, words: Sequence[str], links: int) -> Found | None:
        import h5py
        from h5py import h5l  # pyright: ignore[reportAttributeAccessIssue]

        item = group
        left = [word for word in words if word not in ("", ".")]
        while left:
            word = left.pop(0)
            if not isinstance(item, h5py.Group):
                return None
            key = word.encode("utf-8", "surrogateescape")
            if not item.id.links.exists(key):
                return None
            if links > _MOST_LINKS:
                raise InputError(self.source, "a data set", "links in a circle", "name another")
            kind = item.id.links.get_info(key).type
            if kind == h5l.TYPE_HARD:
                item = _opened(item, key, path.parent)
                continue
            if kind == h5l.TYPE_EXTERNAL:
                name, place = map(_text, item.id.links.get_val(key))
                path = self._elsewhere(path, name, "an external link into")
                return self._walk(self._open(path), path, [*place.split("/"), *left], links + 1)
            if kind != h5l.TYPE_SOFT:
                return None
            place = _text(item.id.links.get_val(key))
            start = item.file if place.startswith("/") else item
            return self._walk(start, path, [*place.split("/"), *left], links + 1)
        return None if item is None else Found(item, path)

    def _check(self, found: Found) -> None:
        """What a data set is stored in."""
        import h5py

        if not isinstance(found.item, h5py.Dataset):
            return
        for variable in _OVERRIDES if points_elsewhere(found.item) else ():
            if os.environ.get(variable):
                got = f"{variable} in the environment"
                raise InputError(self.source, "paths as the file says", got, "unset it")
        for name, *_ in found.item.external or ():
            self._elsewhere(found.path, name, "external storage in")
        if not found.item.is_virtual:
            return
        for part in found.item.virtual_sources():
            path, file = found.path, found.item.file
            if part.file_name != ".":
                path = self._elsewhere(found.path, part.file_name, "a virtual data set of")
                file = self._open(path)
            if self.get(file, path, part.dset_name) is None:
                raise InputError(
                    self.source,
                    "all sources of its virtual data set",
                    f"no {part.dset_name} in {path}",
                    "bring it back, or copy the data into one file",
                )

    def _elsewhere(self, path: Path, name: str, what: str) -> Path:
        """The file that is pointed to."""
        other = path.parent / name
        if not current_opening().follow_links:
            raise InputError(
                self.source,
                "numbers in the file itself",
                f"{what} {name}",
                "give --follow-links if that file may be read, or copy the data into one file",
            )
        if not other.is_file():
            fix = "bring it back, or copy the data into one file"
            raise InputError(self.source, f"{what} {name}", "no such file", fix)
        self.others[other] = None
        return other

    def _open(self, path: Path) -> Any:
        import h5py

        return self.opened.enter_context(h5py.File(path, "r"))


def names_in_group(group: Any) -> Iterator[str]:
    """Names in a group, whatever their bytes are."""
    for name in group.id:
        yield _text(name)


def points_elsewhere(dataset: Any) -> bool:
    """Whether numbers of a data set are not in its own file, or in another data set."""
    return bool(dataset.external) or dataset.is_virtual


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _opened(group: Any, key: bytes, folder: Path) -> Any:
    """The object of a name, whatever its bytes are. Relative paths in a data set start from the
    folder.
    """
    import h5py
    from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]

    kind = h5o.get_info(group.id, key).type
    if kind == h5o.TYPE_GROUP:
        return h5py.Group(h5o.open(group.id, key))
    if kind != h5o.TYPE_DATASET:
        return None
    item = h5py.Dataset(h5o.open(group.id, key))
    if not points_elsewhere(item):
        return item
    del item  # it can be open with one prefix only
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    prefix = os.fsencode(folder.resolve())
    access.set_efile_prefix(prefix)
    access.set_virtual_prefix(prefix)
    return h5py.Dataset(h5py.h5d.open(group.id, key, access))
