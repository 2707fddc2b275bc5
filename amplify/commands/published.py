"""Files of a run get their names together, results.json last, and none takes the name of a file
that is somebody else's.

They are written into OUT/.unfinished and then named, by links, in OUT. So a run that is killed
leaves there what tells its files from those of others, and the next one clears them away.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path

from amplify.errors import InputError
from amplify.sealed import file_digest, load_json, save_json
from amplify.storage import clear_parts, exists, is_unfinished, name_new, sync

RESULTS = "results.json"
TABLES = "table.csv", "table.tex"
FOR_FITS = "covariance.json", "pyhf.json", "histograms.json"
NAMES = ("report.html", *TABLES, *FOR_FITS)  # what a run writes beside
_UNFINISHED = ".unfinished"
_DIGESTS = ".amplify.json"  # of the files that amplify wrote, to know them again
_OURS = b"<title>amplify: "  # in pages of any version


def refuse_results(directory: Path) -> None:
    """Refuses a directory that has results.

    Raises:
        InputError: choose another.
    """
    if (directory / RESULTS).exists() or (directory / RESULTS).is_symlink():
        fix = "choose another --out; nothing is overwritten"
        raise InputError(str(directory), "a directory without results", f"{RESULTS} in it", fix)


def refuse_files(directory: Path) -> None:
    """Refuses a directory with files of the names that a run gives, unless amplify wrote them.

    Raises:
        InputError: which file; it is not ours.
    """
    digests = load_json(directory / _DIGESTS) or {}
    for name in NAMES:
        path = directory / name
        if path.is_symlink() or (path.exists() and not _is_known(path, digests.get(name))):
            raise exists(path)


def clear_unfinished(directory: Path) -> None:
    """Removes what a killed run has left; call it under the lock."""
    folder = directory / _UNFINISHED
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(str(folder), "a directory of a run", "something else", "remove it")
    for staged, named in _both(folder, directory):
        if named.is_file() and not named.is_symlink() and cmp(staged, named, shallow=False):
            named.unlink()
    if folder.exists():
        shutil.rmtree(folder)
    clear_parts(directory / _DIGESTS)


@contextmanager
def staged(directory: Path, *, again: bool = False) -> Iterator[Path]:
    """A folder to write files into; they get their names in `directory` when the block ends well.

    Args:
        directory: where they will be.
        again: pages that an older version wrote are replaced, too; all that this one wrote is, if
            nobody has changed it.

    Raises:
        InputError: a file of somebody else has one of their names. Nothing is named then; results
            are kept in the folder that the error says.
    """
    folder = directory / _UNFINISHED
    clear_unfinished(directory)
    folder.mkdir(parents=True)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    before = load_json(directory / _DIGESTS) or {}
    pairs = _both(folder, directory)
    names = {file: str(file.relative_to(folder)) for file, _ in pairs}
    for file, named in pairs:
        is_ours = _is_known(named, before.get(names[file])) or (again and _is_redrawn(file, named))
        if named.is_symlink() or (named.exists() and not is_ours):
            raise _kept(folder, directory, named, again=again)
    # results are never written again
    digests = {name: file_digest(file) for file, name in names.items() if name != RESULTS}
    save_json(directory / _DIGESTS, before | digests)
    for file, named in pairs:
        sync(file)
        named.parent.mkdir(parents=True, exist_ok=True)
        named.unlink(missing_ok=True)  # it is ours
        try:
            name_new(file, named)
        except InputError:  # it has just come
            raise _kept(folder, directory, named, again=again) from None
    sync(directory)
    shutil.rmtree(folder, ignore_errors=True)


def _both(folder: Path, directory: Path) -> list[tuple[Path, Path]]:
    """Each file in the folder and its name in the directory; results.json is the last."""
    files = [path for path in folder.rglob("*") if path.is_file() and not is_unfinished(path)]
    files.sort(key=lambda path: (path.name == RESULTS, path))
    return [(path, directory / path.relative_to(folder)) for path in files]


def _is_known(path: Path, digest: str | None) -> bool:
    """Whether amplify wrote the file, and nobody has changed it since."""
    return path.is_file() and file_digest(path) == digest


def _is_redrawn(file: Path, named: Path) -> bool:
    """Whether the file that has the name is what will take its place, or an older page."""
    if not named.is_file():
        return False
    is_page = named.suffix == ".html" and _OURS in named.read_bytes()[: 1 << 16]
    return is_page or cmp(file, named, shallow=False)


def _kept(folder: Path, directory: Path, taken: Path, *, again: bool) -> InputError:
    """What is wrong; new results are not thrown away for it."""
    if again:
        shutil.rmtree(folder, ignore_errors=True)
        expected, got = "a file that amplify wrote", "one that somebody wrote or changed"
        fix = "nothing is overwritten: move it, or choose another --out"
        return InputError(str(taken), expected, got, fix)
    base = directory.absolute()
    places = (base.with_name(f"{base.name}-kept-{i}") for i in range(1, 10**6))
    kept = next(place for place in places if not place.exists())
    folder.rename(kept)
    expected, got = "no file of that name yet", "one that exists"
    fix = f"nothing is overwritten: the results are in {kept}"
    return InputError(str(taken), expected, got, fix)
