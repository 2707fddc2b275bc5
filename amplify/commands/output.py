"""What every command leaves behind: OUT/report.html, table.csv and table.tex, and results.json when
all of it is there; verdict and table on standard error; JSON on standard output if asked for.

Nothing is overwritten, and one run at a time writes to a place.
"""

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amplify.commands import published
from amplify.errors import InputError
from amplify.locks import LockedError, directory_lock, file_lock
from amplify.storage import clear_parts, exists, whole
from amplify.text import harmless

if TYPE_CHECKING:
    from amplify.report.figure_files import Kind
    from amplify.results.result import Result

_TRIES = 100  # of runs that start in one second


@contextmanager
def out_directory(
    command: str, out: Path | None, json_to: str | None = None, *, dry_run: bool = False
) -> Iterator[Path]:
    """OUT, or amplify-runs/<command>-<time>, held for this run while the block lasts; removed again
    where nothing was written. A directory with results in it is refused, so nothing is overwritten.

    Args:
        command: its name.
        out: what the user named.
        json_to: where else the results go: a file that must not exist, or - for standard output.
        dry_run: nothing will be written there.

    Raises:
        InputError: results or files of somebody else are there already, another run writes there,
            OUT is a file, or one of both places cannot be written: hours of work should not end
            there.
    """
    with ExitStack() as held:
        if json_to not in (None, "-"):
            check_json(Path(str(json_to)))
            if not _is_pipe(Path(str(json_to))):
                held.enter_context(file_lock(Path(str(json_to)), "--json"))
                check_json(Path(str(json_to)))
                clear_parts(Path(str(json_to)))
        if out is None:
            directory = _first_free(command, held, dry_run=dry_run)
        else:
            directory = _taken(out, held, dry_run=dry_run)
        yield directory


def _first_free(command: str, held: ExitStack, *, dry_run: bool) -> Path:
    """amplify-runs/<command>-<time>, or that with a number where it is taken."""
    name = f"{command}-{time.strftime('%Y%m%d-%H%M%S')}"
    for i in range(1, _TRIES):
        directory = Path("amplify-runs") / (name if i == 1 else f"{name}-{i}")
        if directory.exists():
            continue
        try:
            return _taken(directory, held, dry_run=dry_run)
        except LockedError:
            continue
    raise exists(Path("amplify-runs") / name)


def _taken(directory: Path, held: ExitStack, *, dry_run: bool) -> Path:
    """The directory, checked and held."""
    if directory.exists() and not directory.is_dir():
        raise InputError(str(directory), "a directory", "a file", "choose another --out")
    published.refuse_results(directory)
    _check_writable(directory, "--out")
    if not dry_run:
        held.enter_context(directory_lock(directory))
        published.refuse_results(directory)  # of a run that ended in between
        published.clear_unfinished(directory)
    published.refuse_files(directory)
    return directory


def publish(
    result: "Result", directory: Path, json_to: str | None, figures: "Kind | None" = None
) -> None:
    """Says the verdict, and writes everything beside results.json, which comes last: where it is,
    all is. Figures are also files of this kind, if it is asked for.
    """
    say(str(result))
    from amplify.report.export import write_exports
    from amplify.report.page import write_page
    from amplify.results.paths import relative_to
    from amplify.results.records import write_json

    contents = result.to_dict()
    with published.staged(directory) as folder:
        here = relative_to(contents, directory)
        write_exports(here, folder)
        write_page(here, folder / "report.html")
        _write_figures(here, folder, figures)
        write_json(folder / published.RESULTS, here)
    say(f"{directory / 'report.html'}")
    if json_to in (None, "-") or _is_pipe(Path(str(json_to))):
        give_json(contents, json_to)
    elif Path(str(json_to)).resolve() != (directory / published.RESULTS).resolve():
        give_json(relative_to(contents, Path(str(json_to)).parent), json_to)


def redraw(contents: dict[str, Any], page: Path, figures: "Kind | None" = None) -> None:
    """The page of results that are there, and its tables beside it. Files that amplify wrote are
    written again; those that somebody changed, or put there, are refused.

    Raises:
        InputError: such files, or another run writes there.
    """
    from amplify.report.export import write_exports
    from amplify.report.page import write_page

    if page.is_dir() or page.name in {published.RESULTS, *published.NAMES} - {"report.html"}:
        fix = "name it report.html, or as you like"
        raise InputError("--out", "a page that is no directory and no table", str(page), fix)
    _check_writable(page.parent, "--out")
    with directory_lock(page.parent), published.staged(page.parent, again=True) as folder:
        write_exports(contents, folder)
        write_page(contents, folder / page.name)
        _write_figures(contents, folder, figures)


def _write_figures(contents: dict[str, Any], folder: Path, kind: "Kind | None") -> None:
    if kind is not None:
        from amplify.report.figure_files import write_figures

        write_figures(contents, folder, kind)


def say(text: str) -> None:
    """A line for people; nothing in it acts on a terminal."""
    print(harmless(text), file=sys.stderr, flush=True)


def give_json(contents: dict[str, Any], json_to: str | None) -> None:
    """JSON where it was asked for: on standard output, or in a file that did not exist."""
    if json_to is None:
        return
    if json_to == "-":
        print(json.dumps(contents, allow_nan=False))
    elif _is_pipe(Path(json_to)):
        Path(json_to).write_text(json.dumps(contents, allow_nan=False) + "\n")
    else:
        with whole(Path(json_to), new=True) as part:
            part.write_text(json.dumps(contents, indent=1, allow_nan=False) + "\n")


def check_json(path: Path) -> None:
    """Whether results can be written there without harm."""
    _check_writable(path, "--json")
    if path.is_dir():
        expected, fix = "a file, or - for standard output", f"give {path / published.RESULTS}"
        raise InputError("--json", expected, "a directory", fix)
    if path.is_symlink() or (path.exists() and not _is_pipe(path)):
        fix = "nothing is overwritten: name another, or - for standard output"
        raise InputError(f"--json {path}", "a file that does not exist yet", "one that does", fix)


def _is_pipe(path: Path) -> bool:
    """Whether it is a device or a named pipe, which hold nothing that could be lost."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _check_writable(path: Path, what: str) -> None:
    """Whether the nearest directory that exists lets us write."""
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if nearest != path and not nearest.is_dir():
        got = f"{nearest}, which is a file"
        raise InputError(what, "a place in a directory", got, "choose another")
    if not os.access(nearest, os.W_OK):
        got = f"no permission for {nearest}"
        raise InputError(what, "a place that may be written", got, "choose another")
