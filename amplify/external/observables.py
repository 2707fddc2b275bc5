"""A user's function that makes columns of the arrays of a sample: `FILE.py:function`, or
`package.module:function`; `observed` calls it.
"""

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from importlib.abc import ExecutionLoader
from pathlib import Path
from typing import Any, NamedTuple

from amplify.errors import AmplifyError, InputError
from amplify.external.loading import load_function, source_of
from amplify.external.protocol import raised
from amplify.text import listed, one_line

Function = Callable[[Mapping[str, Any]], Any]


class Observables(NamedTuple):
    """A user's function.

    Attributes:
        name: as the user wrote it.
        function: of a batch of events.
        sha256: of the file that holds it; None where there is none.
    """

    name: str
    function: Function
    sha256: str | None

    def said(self) -> dict[str, Any]:
        """What results.json says of it."""
        return {"function": self.name, "sha256": self.sha256}


def observables_of(given: str | Function | Observables | None) -> Observables | None:
    """A function from FILE.py:function or package.module:function, or one that is there already.

    Raises:
        InputError: no such file, module or function, or code that fails when it is loaded.
    """
    if given is None or isinstance(given, Observables):
        return given
    if callable(given):
        path = _file_of(given)
        name = f"{getattr(given, '__module__', '')}:{getattr(given, '__qualname__', given)}"
        return Observables(name, given, None if path is None else _digest(path.read_bytes()))
    text = str(given)
    file, colon, function = text.rpartition(":")
    if file.endswith(".py") or text.endswith(".py"):
        if not colon or not function.isidentifier():
            got, fix = "no function", f"write {text.rstrip(':')}:NAME"
            raise wrong(text, "FILE.py:function", got, fix)
        return _of_file(text, Path(file), function)
    try:
        loaded = load_function(text)
    except InputError as error:
        _, expected, got, fix = error.args
        if "x_train" in expected:
            expected = "a function of a batch of events"
        raise wrong(text, expected, got, fix) from None
    path = source_of(text)
    return Observables(text, loaded, None if path is None else _digest(path.read_bytes()))


def _of_file(text: str, path: Path, function: str) -> Observables:
    """The function of a file, from exactly the bytes whose digest is kept."""
    if not path.is_file():
        raise wrong(text, "a file", f"no file {path}", "check the path")
    source = path.read_bytes()
    digest = _digest(source)
    name = f"_amplify_observables_{digest[:16]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(path, source))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.resolve().parent) not in sys.path:  # what stands beside it can be imported
        sys.path.append(str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except AmplifyError:
        raise
    except (Exception, SystemExit) as error:
        got = raised(error)
        if isinstance(error, SyntaxError):
            got = f"SyntaxError: {error.msg} ({path.name} line {error.lineno})"
        raise wrong(text, "code that can be loaded", got, "correct it") from None
    found = getattr(module, function, None)
    if not callable(found):
        functions = [n for n, f in vars(module).items() if inspect.isfunction(f) and n[:1] != "_"]
        got = f"no {function} in it" if found is None else f"a {type(found).__name__}"
        fix = f"name one of {listed(functions)}" if functions else "define it"
        raise wrong(text, f"a function of {path.name}", got, fix)
    return Observables(text, found, digest)


class _Loader(ExecutionLoader):
    """Loads a module from bytes, past any compiled file beside it."""

    def __init__(self, path: Path, source: bytes) -> None:
        self.path, self.source = path, source

    def get_filename(self, fullname: str) -> str:
        """What tracebacks call it."""
        return str(self.path)

    def get_source(self, fullname: str) -> str:
        """Its text."""
        return importlib.util.decode_source(self.source)


def wrong(name: str, expected: str, got: str, fix: str) -> InputError:
    """An error about a user's function, by what the user called it."""
    return InputError(f"observables {one_line(name, 100)}", expected, one_line(got), fix)


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _file_of(function: Function) -> Path | None:
    """The file that a function stands in, if it is one."""
    try:
        found = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return None
    return Path(found) if found and Path(found).is_file() and not re.match("<", found) else None
