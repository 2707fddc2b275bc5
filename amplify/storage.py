"""A file gets its name when it is complete and on the disk: whoever is killed, loses power or finds
a full disk leaves no half file under it.
"""

import errno
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amplify.errors import InputError

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@contextmanager
def whole(path: Path, *, new: bool = False) -> Iterator[Path]:
    """A file to write that is renamed to `path` when the block ends well, and removed when it does
    not: written, synced, renamed.

    The directory is made where it is missing. The name of the unfinished file carries the number of
    the process, because one that outlived a killed run may be writing the same file, and something
    that nobody can foresee, so that no link of that name leads elsewhere.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "note.txt") as part:
    ...         _ = part.write_text("done")
    ...     [p.name for p in Path(folder).iterdir()]
    ['note.txt']

    Args:
        path: the file.
        new: refuse to replace one that is there, even if it came while this one was written.

    Raises:
        InputError: with `new`, where there is one.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield part
        sync(part)
        if new:
            name_new(part, path)
        else:
            os.replace(part, path)
        sync(path.parent)
    except OSError as error:
        if error.filename is None:  # a write does not say where the disk is full
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def name_new(part: Path, path: Path) -> None:
    """Gives a complete file its name; `part` may stay as another one.

    Raises:
        InputError: there is a file of that name, which is left as it is.
    """
    try:
        os.link(part, path)  # fails where there is one; a rename would replace it
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists() or path.is_symlink():
            raise exists(path) from None
        os.replace(part, path)


def exists(path: Path) -> InputError:
    """What is wrong where something would be overwritten."""
    fix = "nothing is overwritten: move it, or choose another place"
    return InputError(str(path), "no file of that name yet", "one that exists", fix)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a directory, are on the disk."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError:
        if not path.is_dir():  # some file systems sync no directory
            raise
    finally:
        os.close(place)


def write_text(path: Path, text: str) -> None:
    """A small file, whole."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def clear_parts(path: Path) -> None:
    """Removes what killed runs have left of a file; call it where no other run writes."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.*-*.part"):
        left.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Whether this is the unfinished file of some process."""
    return path.name.endswith(".part") and path.name.count(".") >= 2
