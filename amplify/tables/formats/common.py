"""What readers of formats say alike."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from amplify.errors import InputError, MissingExtraError


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
