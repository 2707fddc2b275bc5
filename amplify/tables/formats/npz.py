"""Reader of .npz, an archive of .npy files; compressed ones are read as they come."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import table_of
from amplify.tables.formats.npy import Header, read_header, stored
from amplify.tables.table import Table
from amplify.text import listed


def npz(source: str, path: Path, inside: str) -> Table:
    """One array, or one-dimensional arrays as columns."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if inside and inside not in names:
            raise InputError(
                source, f"one of the arrays {listed(names)}", inside, "choose one of them"
            )
        headers = {}
        for name in [inside] if inside else names:
            with archive.open(f"{name}.npy") as stream:
                headers[name] = read_header(stream, f"{source} array {name}")
    members = {name: _Member(path, name, header) for name, header in headers.items()}
    arrays = {name: stored(headers[name], member.take) for name, member in members.items()}

    def close() -> None:
        for member in members.values():
            member.close()

    return table_of(source, path, arrays, close)


class _Member:
    """An array in an archive. Its bytes come in their order, so the place is kept; going back means
    to start again. Closed at its end.
    """

    def __init__(self, path: Path, name: str, header: Header) -> None:
        self.path, self.name, self.header = path, name, header
        self.archive: zipfile.ZipFile | None = None
        self.stream: Any = None

    def take(self, offset: int, count: int) -> np.ndarray:
        """`count` items from a place in bytes.

        Raises:
            InputError: the file ends before them.
        """
        if self.stream is None or self.stream.tell() > self.header.end + offset:
            self.close()
            self.archive = zipfile.ZipFile(self.path)
            self.stream = self.archive.open(f"{self.name}.npy")
        self.stream.seek(self.header.end + offset)
        block = np.empty(count, self.header.dtype)
        read = self.stream.readinto(block.view(np.uint8).data) if block.nbytes else 0
        if read != block.nbytes:
            raise InputError(
                f"{self.path} array {self.name}",
                f"{block.nbytes} more bytes of numbers",
                "the end",
                "the file is truncated, write it again",
            )
        if offset + block.nbytes >= self.header.size:
            self.close()
        return block

    def close(self) -> None:
        """Closes the file until it is read again."""
        for opened in (self.stream, self.archive):
            if opened is not None:
                opened.close()
        self.stream = self.archive = None
