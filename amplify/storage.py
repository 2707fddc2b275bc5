"""A file gets its name when it is complete: whoever is killed, or finds a full disk, leaves no half
file under it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write that is renamed to `path` when the block ends well, and removed when it does
    not.

    The directory is made where it is missing. The name of the unfinished file carries the number of
    the process: one that outlived a killed run may be writing the same file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "note.txt") as part:
    ...         _ = part.write_text("done")
    ...     [p.name for p in Path(folder).iterdir()]
    ['note.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
