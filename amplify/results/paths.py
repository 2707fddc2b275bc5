"""Paths in results.json are relative to it, so that a folder that is moved with its data says what
is still true, and none tells how somebody's computer is laid out.
"""

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amplify.tables.sources import is_there, split_condition

_SETTINGS = "generated", "holdout", "train", "members", "same_data", "refits", "regions", "cuts"
_MORE = re.compile(r"(?P<first>.*)(?P<more> and \d+ more)", re.DOTALL)


def relative_to(results: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The contents of a results.json with the paths of inputs and settings relative to the
    directory that it will be in. Absolute ones that lead elsewhere stay as they were given.

    Args:
        results: paths in it are relative to the working directory.
        directory: of results.json.
    """
    settings = {
        name: _seen_from(value, directory) if name in _SETTINGS else value
        for name, value in results["settings"].items()
    }
    function = settings.get("observables")
    if isinstance(function, Mapping) and "function" in function:
        seen = _seen_from(function["function"], directory)
        settings["observables"] = {**function, "function": seen}
    inputs = [_input(described, directory) for described in results["inputs"]]
    return {**results, "settings": settings, "inputs": inputs}


def _input(described: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """An input, with the files that it is made of."""
    found = {**described, "path": _seen_from(described.get("path"), directory)}
    for more in ("files", "points_to"):
        if more in described:
            found[more] = [_input(file, directory) for file in described[more]]
    return found


def _seen_from(value: Any, directory: Path) -> Any:
    """FILE or FILE:path/inside, or several, from the directory; what is no file stays as it is."""
    if isinstance(value, list | tuple):
        return [_seen_from(item, directory) for item in value]
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str) or value == "-":
        return value
    many = _MORE.fullmatch(value)
    if many and not is_there(value):
        return f"{_seen_from(many['first'], directory)}{many['more']}"
    files, condition = split_condition(value)
    if condition:
        return f"{_seen_from(files, directory)} where {condition}"
    at = "@" if value.startswith("@") and not is_there(value) else ""
    file, inside = _split(value.removeprefix(at))
    if not (is_there(file) or glob.glob(file)):  # noqa: PTH207
        return value
    here = Path(os.path.realpath(directory))
    folder, name = os.path.split(os.path.abspath(file))  # noqa: PTH100  links stay
    place = Path(os.path.realpath(folder)) / name
    if Path(file).is_absolute() and not place.is_relative_to(here):
        return value
    return f"{at}{os.path.relpath(place, here)}{inside}"


def _split(source: str) -> tuple[str, str]:
    """FILE and :path/inside."""
    if is_there(source) or ":" not in source:
        return source, ""
    file, inside = source.rsplit(":", 1)
    return file, f":{inside}"
