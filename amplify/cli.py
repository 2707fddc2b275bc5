"""The command line. Thin, and without JAX until a command runs, so that --help is instant.

Every error is one line on standard error, `error: <what>: expected ..., got ...; <what to do>`,
with exit code 2.
"""

import contextlib
import functools
import io
import operator
import os
import re
import shlex
import sys
from typing import Annotated, Any

import tyro

from amplify.commands.averaging import Averaging
from amplify.commands.compare import Compare
from amplify.commands.demo import Demo
from amplify.commands.devices import Devices
from amplify.commands.differential import Differential
from amplify.commands.forecast import Forecast
from amplify.commands.report import Report
from amplify.commands.ttbar import Ttbar
from amplify.devices import one_blas_thread
from amplify.errors import AmplifyError
from amplify.stops import interrupted, said, stoppable
from amplify.text import harmless
from amplify.version import release

COMMANDS = {
    "demo": Demo,
    "averaging": Averaging,
    "differential": Differential,
    "compare": Compare,
    "forecast": Forecast,
    "ttbar": Ttbar,
    "report": Report,
    "devices": Devices,
}
_DESCRIPTION = """How many true events is a generated sample worth?

amplify COMMAND --help says what a command takes, amplify --version which release this is.
"""
_LONGEST = 300  # characters of what is wrong with the arguments


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command `amplify`."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if words == ["--version"]:
        print(f"amplify {release()}")
        return
    try:
        command = _parsed(words)
        one_blas_thread()
        with stoppable():
            command.run("amplify " + shlex.join(words))
    except AmplifyError as error:
        _fail(str(error))
    except BrokenPipeError:  # whoever reads has enough, as head does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(141)
    except OSError as error:
        _fail(said(error))
    except MemoryError:
        fix = "give fewer columns, regions or events, or use a machine with more"
        _fail(f"memory: expected enough of it, got none that is free; {fix}")
    except KeyboardInterrupt as error:
        line, code = interrupted(error)
        _fail(line, code)


def _parsed(words: list[str]) -> Any:
    """Arguments to a command; what tyro says of wrong ones in a box becomes one line."""
    known = bool(words) and words[0] in COMMANDS
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            commands = _commands(brief=not known)
            return tyro.cli(commands, prog="amplify", args=words, description=_DESCRIPTION)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        help_for = f"amplify {words[0]} --help" if known else "amplify --help"
        problem = _one_line(box.getvalue())[:_LONGEST]
        _fail(f"arguments: expected what {help_for} lists, got: {problem}")
        raise


def _commands(*, brief: bool) -> Any:
    """The union of all commands, as tyro takes it; brief are their first sentences alone."""
    every = []
    for name, command in COMMANDS.items():
        first = (command.__doc__ or "").split("\n\n")[0]
        about = " ".join(first.split()) if brief else None
        every.append(Annotated[command, tyro.conf.subcommand(name, description=about)])
    return functools.reduce(operator.or_, every)


def _one_line(box: str) -> str:
    """What stands in tyro's box, without its frame and colours."""
    bare = re.sub(r"\x1b\[[0-9;]*m|[^\x20-\x7e]|[-|+]{3,}|[|]", " ", box)
    text = " ".join(bare.split()).partition(" Got errors:")[0]
    text = text.replace("no type matching {None} ", "no ")
    return text.replace(" could be instantiated from", " can be read from")


def _fail(line: str, code: int = 2) -> None:
    print("error: " + harmless(" ".join(line.split())), file=sys.stderr)
    sys.exit(code)
