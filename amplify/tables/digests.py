"""SHA-256 of files, computed while their events are read: a file that is larger than memory comes
from the disk once, not twice.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from amplify.devices import usable_cores
from amplify.engine import current_engine
from amplify.tables.parallel import Stop, in_order
from amplify.tables.selection import Selection

_BLOCK = 1 << 22  # bytes
_begun: ContextVar[dict[Path, Future[str]] | None] = ContextVar("digests", default=None)


@contextmanager
def digesting(selections: Sequence[Selection]) -> Iterator[None]:
    """The files of these samples are digested while the block reads them, in their order;
    `digests_of` waits for what it needs.

    On the workers of an engine they are digested when they are asked for.
    """
    paths = [path for selection in selections for path in files_of(selection)]
    if current_engine().remote:
        yield
        return
    halt = Stop()
    pool = ThreadPoolExecutor(max(usable_cores() // 2, 1))
    begun = {path: pool.submit(digest, path, halt) for path in dict.fromkeys(paths)}
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)
        halt.set()
        pool.shutdown(cancel_futures=True)


def digests_of(paths: Sequence[Path]) -> list[str]:
    """Those that were begun, and all others now."""
    begun, engine = _begun.get() or {}, current_engine()
    others = [path for path in paths if path not in begun]
    if engine.remote:
        found = engine.in_order(digest, ((path.absolute(),) for path in others))
    else:
        found = in_order(digest, ((path,) for path in others))
    now = dict(zip(others, found, strict=True))
    return [now[path] if path in now else begun[path].result() for path in paths]


def files_of(selection: Selection) -> list[Path]:
    """The files that are read."""
    table = selection.table
    parts = [] if table.digest is not None else [part.path for part in table.parts]
    return [*parts, *table.points_to]


def digest(path: Path, halt: Stop | None = None) -> str:
    """Of a file, in hexadecimal digits; of a part of it where nobody waits for it any more."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            if halt is not None and halt.is_set():
                break
    return found.hexdigest()
