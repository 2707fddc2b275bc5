"""`package.module:function` to the function, with an error of one line for everything that can be
wrong about it.
"""

import sys
import sysconfig
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from amplify.errors import AmplifyError, InputError
from amplify.external.protocol import Fit, raised


def load_function(name: str) -> Fit:
    """Imports the function, with the current directory on the path, after the standard library.

    Raises:
        InputError: no such module or function, something that cannot be called, or an import that
            failed inside the module.
    """
    module_name, attribute = split_name(name)
    sys.path[:] = search_path()
    try:
        module = import_module(module_name)
    except AmplifyError:
        raise
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise _wrong(
                name,
                "a module in this directory or an installed one",
                f"no module {missing}",
                "check the name and the directory",
            ) from None
        raise _wrong(
            name,
            f"to import {module_name}",
            raised(error),
            "correct the module or install what it needs",
        ) from error
    try:
        function: Any = attrgetter(attribute)(module)
    except AttributeError:
        raise _wrong(
            name, f"a function of {module_name}", f"no {attribute} in it", "check the name"
        ) from None
    if not callable(function):
        raise _wrong(
            name,
            "a function fit(x_train, seed)",
            f"a {type(function).__name__}",
            "name the function",
        )
    return function


def split_name(name: str) -> tuple[str, str]:
    """Module and function.

    Raises:
        InputError: not of the form module:function.
    """
    module, _, attribute = name.partition(":")
    if module.endswith(".py") or "/" in module:
        raise _wrong(
            name,
            "package.module:function",
            "the name of a file",
            f"write {Path(module).stem}:{attribute or 'fit'} in the directory of that file",
        )
    words = [*module.split("."), *attribute.split(".")]
    if not all(word.isidentifier() for word in words):
        raise _wrong(
            name,
            "package.module:function",
            repr(name),
            "name the module, a colon and the function in it",
        )
    return module, attribute


def search_path() -> list[str]:
    """Where modules are looked for: the current directory comes after the standard library, whose
    modules a file of the same name there must not replace, and before packages; unless it has a
    place of its own.
    """
    here = str(Path.cwd())
    if {"", here} & set(sys.path):
        return list(sys.path)
    library = sysconfig.get_path("stdlib")
    of_library = {library, sysconfig.get_path("platstdlib"), str(Path(library, "lib-dynload"))}
    last = max((i for i, entry in enumerate(sys.path) if entry in of_library), default=-1)
    return [*sys.path[: last + 1], here, *sys.path[last + 1 :]]


def source_of(name: str) -> Path | None:
    """The file of the function's module, found without running it; None where it is no plain
    file.
    """
    module, _ = split_name(name)
    stem = Path(*module.split("."))
    candidates = (
        Path(entry) / tail
        for entry in search_path()
        for tail in (stem.with_suffix(".py"), stem / "__init__.py")
    )
    return next((path for path in candidates if path.is_file()), None)


def _wrong(name: str, expected: str, got: str, fix: str) -> InputError:
    return InputError(f"generator {name}", expected, got, fix)
