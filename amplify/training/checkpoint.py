"""Checkpoints of a training, by orbax: a job that was stopped, killed or preempted goes on where it
was, with the same bits as if nothing had happened.

A folder belongs to one training. It holds the last checkpoints, each complete or not there at all,
and what the training was: another one is refused. Checkpoints are written while the training goes
on.
"""

import json
import logging
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax

from amplify.distributed import agreed, is_first
from amplify.errors import InputError
from amplify.locks import directory_lock
from amplify.sealed import file_digest, load_json, save_json
from amplify.training.fingerprint import Settings

Tree = Any
Folder = str | Path

_EVERY = 10.0  # seconds between two checkpoints, if writing takes no time,
_SHARE = 0.05  # and the share of the time that writing may take
_KEPT = 2  # the one before serves where the last is damaged
_SETTINGS = "training.json"
_SEAL = "files.json"
_ARRAYS = "arrays"
_UNFINISHED = "*.orbax-checkpoint-tmp"


class Checkpoints:
    """Those of one training. A folder that is not there yet is made with the first of them: what
    trains for seconds needs none.
    """

    def __init__(self, folder: Path, settings: Callable[[], Settings]) -> None:
        self._folder, self._settings = folder, settings
        self._held, self._manager = ExitStack(), None
        self._start = time.monotonic()
        self._next = self._start + _EVERY

    def resumed(self, template: Callable[[int], Tree]) -> tuple[int, Tree] | None:
        """The step after which the last checkpoint was made, and its arrays, on the devices of the
        template; None where there is no checkpoint, or none is whole.

        Args:
            template: from a step to the arrays of that step, or to their shapes, types and
                shardings.

        Raises:
            InputError: as `checkpoints`.
        """
        if not agreed(self._folder.exists()):
            return None
        manager = self._opened()
        for step in sorted(manager.all_steps(), reverse=True):
            tree = self._restored(step, template(step))
            if tree is not None:
                return step, tree
            said = "the one before it is used, or the training starts anew"
            warnings.warn(f"checkpoint {self._folder / str(step)}: damaged; {said}", stacklevel=3)
            manager.delete(step)
        return None

    def save(self, step: int, tree: Callable[[], Tree], *, last: bool = False) -> None:
        """Makes a checkpoint where it is time for one.

        Args:
            step: after which it is.
            tree: all that the rest of the training depends on.
            last: the training has ended: what took so long is kept.

        Raises:
            InputError: as `checkpoints`.
        """
        now = time.monotonic()
        is_time = now >= self._next or (last and now >= self._start + _EVERY)
        if not agreed(is_time) or step in self._opened().all_steps():
            return
        from orbax.checkpoint import args

        arrays = args.StandardSave(_named(tree()))
        with _writing(self._folder):
            self._opened().save(step, args=args.Composite(**{_ARRAYS: arrays}), force=True)
        spent = time.monotonic() - now
        self._next = now + max(_EVERY, spent / _SHARE)

    def close(self) -> None:
        """Waits until the last one is written, and leaves the folder to others."""
        self._held.close()

    def _opened(self) -> Any:
        """The folder, held for this run, as orbax manages it."""
        if self._manager is None:
            from orbax.checkpoint import AsyncOptions, CheckpointManager, CheckpointManagerOptions

            place = self._folder.absolute()
            self._held.enter_context(
                _claimed(place, f"checkpoint {self._folder}", self._settings())
            )
            self._held.enter_context(_quiet())
            agreed(True)  # the first of several processes makes the folder
            sealing = AsyncOptions(post_finalization_callback=partial(_seal_unfinished, place))
            how = CheckpointManagerOptions(max_to_keep=_KEPT, create=False, async_options=sealing)
            self._manager = CheckpointManager(place, options=how)
            self._held.callback(self._finished)
        return self._manager

    def _finished(self) -> None:
        assert self._manager is not None
        with _writing(self._folder):
            self._manager.close()

    def _restored(self, step: int, template: Tree) -> Tree | None:
        from orbax.checkpoint import args

        if not agreed(is_first() and _is_whole(self._folder.absolute() / str(step))):
            return None
        shapes = args.StandardRestore(jax.tree.map(_shape, _named(template)))
        found = self._opened().restore(step, args=args.Composite(**{_ARRAYS: shapes}))[_ARRAYS]
        leaves = [found[name] for name in sorted(found)]
        return jax.tree.unflatten(jax.tree.structure(template), leaves)


class NoCheckpoints(Checkpoints):
    """Of a training that keeps none."""

    def __init__(self) -> None:
        """Without a folder."""

    def resumed(self, template: Callable[[int], Tree]) -> None:
        """There is nothing."""

    def save(self, step: int, tree: Callable[[], Tree], *, last: bool = False) -> None:
        """Keeps nothing."""


@contextmanager
def checkpoints(folder: Folder | None, settings: Callable[[], Settings]) -> Iterator[Checkpoints]:
    """The checkpoints in a folder, which is held for this run; the last one is written when the
    block ends, however it ends.

    Args:
        folder: made where it is missing; None for no checkpoints.
        settings: what decides the bits of the training, as JSON knows it.

    Raises:
        InputError: the folder holds something else, another run writes there, or it cannot be made.
    """
    if folder is None:
        yield NoCheckpoints()
        return
    kept = Checkpoints(Path(folder), settings)
    try:
        yield kept
    finally:
        kept.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Says in one line why a checkpoint, or the one before, was not written: no space, mostly."""
    try:
        yield
    except (OSError, ValueError) as error:  # of TensorStore, with the system's words at its end
        reason = str(error).split(" [os_error_code")[0].rpartition(": ")[2].strip()[:100]
        fix = "make room and start again: the last one that was written is kept"
        raise InputError(f"checkpoint {folder}", "to be written", f"'{reason}'", fix) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """What orbax has to say beside its errors, tracebacks of its threads, is not shown."""
    words = logging.getLogger("absl")
    level = words.level
    words.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        words.setLevel(level)


@contextmanager
def _claimed(folder: Path, what: str, settings: Settings) -> Iterator[None]:
    """Holds the folder, with the settings in it; the first of several processes does."""
    if not is_first():
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(directory_lock(folder, "checkpoint"))
            _refuse_others(folder, what, settings)
            for left in folder.glob(_UNFINISHED):
                shutil.rmtree(left)
            save_json(folder / _SETTINGS, settings)
        except OSError as error:
            got = error.strerror or str(error)
            raise InputError(what, "a folder to write into", got, "choose another") from None
        yield


def _refuse_others(folder: Path, what: str, settings: Settings) -> None:
    """Refuses a folder of another training, or of anything else."""
    there = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    if not there:
        return
    expected, fix = "checkpoints of this training", "choose another folder, or remove this one"
    theirs = load_json(folder / _SETTINGS)
    if theirs is None:
        got = f"no {_SETTINGS} that can be read beside {sorted(there)[0]}"
        raise InputError(what, expected, got, fix)
    mine = json.loads(json.dumps(settings))
    other = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
    if other:
        raise InputError(what, expected, f"those of another ({', '.join(other)})", fix)


def _seal_unfinished(folder: Path) -> None:
    """Writes the digests of the files of a checkpoint, just before it gets its name."""
    if not is_first():
        return
    for step in folder.glob(_UNFINISHED):
        files = (path for path in (step / _ARRAYS).rglob("*") if path.is_file())
        save_json(step / _SEAL, {str(path.relative_to(step)): file_digest(path) for path in files})


def _is_whole(step: Path) -> bool:
    """Whether the files of a checkpoint are as they were written."""
    digests = load_json(step / _SEAL)
    try:
        return bool(digests) and all(file_digest(step / name) == digests[name] for name in digests)
    except OSError:
        return False


def inner(folder: Folder | None, name: str) -> Path | None:
    """A folder in it, where a training has several parts."""
    return None if folder is None else Path(folder) / name


def _named(tree: Tree) -> dict[str, Any]:
    """Leaves by names that are in their order: what the containers are is for the program."""
    return {f"{i:06d}": leaf for i, leaf in enumerate(jax.tree.leaves(tree))}


def _shape(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array):
        return leaf
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
