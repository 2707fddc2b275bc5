"""What readers of formats say alike."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from amplify.errors import InputError, MissingExtraError

T = TypeVar("T")
_MOST_KNOWN = 1024
_known: OrderedDict[Any, Any] = OrderedDict()
_lock = Lock()


def once(path: Path, what: str, find: Callable[[], T]) -> T:
    """What takes a look at a whole file to find, found once, however often the file is opened.

    Args:
        path: the file; one that is written again is another.
        what: is found.
        find: looks.
    """
    said = path.stat()
    key = (str(path.absolute()), said.st_size, said.st_mtime_ns, what)
    if key in _known:
        return _known[key]
    found = find()
    with _lock:
        _known[key] = found
        while len(_known) > _MOST_KNOWN:
            _known.popitem(last=False)
    return found


def missing(what: str, package: str) -> MissingExtraError:
    """The error of a format whose package is not installed."""
    return MissingExtraError(
        f"{what} files",
        f"the package {package}",
        "no such package",
        f"pip install {package}, the extra [io]",
    )


def refuse_inside(source: str, path: Path, inside: str, what: str) -> None:
    """Refuses FILE:inside of a format with nothing to choose in it.

    Raises:
        InputError: something stands after the colon.
    """
    if inside:
        raise InputError(
            source,
            f"FILE{path.suffix}",
            f"a path {inside} inside",
            f"{path.suffix} files hold {what}; drop the part after the colon",
        )


def refuse_twins(source: str, names: Sequence[str]) -> None:
    """Refuses columns of the same name.

    Raises:
        InputError: which.
    """
    if len(set(names)) < len(names):
        name, _ = Counter(names).most_common(1)[0]
        raise InputError(source, "a name for each column", f"{name} twice", "rename one of them")
