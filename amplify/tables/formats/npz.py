"""Reader of .npz, an archive of .npy files; compressed ones are read as they come."""

import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import table_of
from amplify.tables.formats.common import once
from amplify.tables.formats.npy import Header, read_header, stored
from amplify.tables.opening import refuse_too_much
from amplify.tables.table import Table
from amplify.text import listed

_BLOCK = 1 << 22
_LOCAL_HEAD = 30  # bytes before the name of a member, which ends with two lengths


def npz(source: str, path: Path, inside: str) -> Table:
    """One array, or arrays with the same number of rows as columns."""
    archive = _Archive(path)
    try:
        members = _members(source, archive, inside)
        size = float(sum(member.header.size for member in members.values()))
        rows = max((member.header.shape[0] for member in members.values()), default=0)
        refuse_too_much(source, path, rows, len(members), size)
        arrays = {name: stored(member.header, member.take) for name, member in members.items()}
        table = table_of(source, path, arrays, archive.close)
        packed = any(m.info.compress_type != zipfile.ZIP_STORED for m in members.values())
        return table._replace(starts=np.zeros(1, int) if packed else None)
    except BaseException:
        archive.close()
        raise


def _members(source: str, archive: "_Archive", inside: str) -> "dict[str, _Member]":
    names = [name.removesuffix(".npy") for name in archive.zip.namelist()]
    known = set(names)
    if inside and inside not in known:
        raise InputError(source, f"one of the arrays {listed(names)}", inside, "choose one of them")
    if len(known) < len(names):
        twice = max(names, key=Counter(names).__getitem__)
        raise InputError(source, "each array once", f"{twice} twice", "write it again")
    members = {}
    for name in [inside] if inside else names:
        with archive.zip.open(f"{name}.npy") as stream:
            header = read_header(stream, f"{source} array {name}")
        members[name] = _Member(archive, name, header)
    return members


class _Archive:
    """One open file, whatever the number of arrays in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zip = zipfile.ZipFile(path)
        self.streams: list[_Member] = []

    def close(self) -> None:
        """Closes the file, and what is read of it."""
        for member in self.streams:
            member.close()
        self.streams.clear()
        self.zip.close()


class _Member:
    """An array in an archive. Bytes of a compressed one come in their order, so the place is kept;
    going back means to start again.
    """

    def __init__(self, archive: _Archive, name: str, header: Header) -> None:
        self.archive, self.name, self.header = archive, name, header
        self.info = archive.zip.getinfo(f"{name}.npy")
        self.stream: Any = None
        self.begin: int | None = None  # of the bytes of a member that is not compressed

    def take(self, offset: int, count: int) -> np.ndarray:
        """`count` items from a place in bytes.

        Raises:
            InputError: the file ends before them, or has changed since it was written.
        """
        if count == 0 or self.header.dtype.itemsize == 0:
            return np.empty(count, self.header.dtype)
        if self.info.compress_type == zipfile.ZIP_STORED:
            begin = self._checked_begin() + self.header.end + offset
            block = np.fromfile(self.archive.path, self.header.dtype, count, offset=begin)
        else:
            block = self._decompressed(offset, count)
        if len(block) != count or offset + block.nbytes > self.header.size:
            raise self._damaged("more bytes of numbers", "the end")
        return block

    def _checked_begin(self) -> int:
        """Where the bytes of the member begin; all of them are checked once. `zipfile` checks them
        only where they are read without a jump.
        """
        if self.begin is None:
            self.begin = once(self.archive.path, f"begin of {self.name}", self._found_begin)
        return self.begin

    def _found_begin(self) -> int:
        with open(self.archive.path, "rb") as file:
            file.seek(self.info.header_offset + _LOCAL_HEAD - 4)
            begin = file.tell() + 4 + sum(struct.unpack("<HH", file.read(4)))
            file.seek(begin)
            left, digest = self.info.file_size, 0
            while left and (block := file.read(min(left, _BLOCK))):
                digest, left = zlib.crc32(block, digest), left - len(block)
        if left or digest != self.info.CRC:
            raise self._damaged(f"bytes with the CRC {self.info.CRC:08x}", f"{digest:08x}")
        if self.info.file_size < self.header.end + self.header.size:
            raise self._damaged(f"{self.header.size} bytes of numbers", "fewer")
        return begin

    def _decompressed(self, offset: int, count: int) -> np.ndarray:
        if self.stream is None or self.stream.tell() > self.header.end + offset:
            self.close()
            self.stream = self.archive.zip.open(self.info)
            self.archive.streams.append(self)
        self.stream.seek(self.header.end + offset)
        block = np.empty(count, self.header.dtype)
        read = self.stream.readinto(block.view(np.uint8).data)
        if read != block.nbytes:
            raise self._damaged(f"{block.nbytes} more bytes of numbers", "the end")
        if offset + block.nbytes >= self.header.size:
            self.stream.read(1)  # at the end bytes are checked
            self.close()
        return block

    def _damaged(self, expected: str, got: str) -> InputError:
        what = f"{self.archive.path} array {self.name}"
        return InputError(what, expected, got, "the file is damaged, write it again")

    def close(self) -> None:
        """Drops what is read of it."""
        if self.stream is not None:
            self.stream.close()
        self.stream = None
