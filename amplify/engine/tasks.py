"""Tasks on the workers of Dask: given out a few at a time, taken back in order.

A worker that dies costs the tasks that it had: the scheduler gives them to another one, three times
at most.
"""

import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any, NamedTuple

import cloudpickle
from distributed import CancelledError, Future, KilledWorker, get_worker, wait
from distributed.comm.core import CommClosedError

from amplify.errors import InputError

_LOOK = 1.0  # seconds between two looks at the cluster
_SPARE = 4  # tasks under way beside two for each worker
_SMALL = 1 << 16  # bytes of a function that go with every task
_PACKAGES = ("numpy", "jax", "dask", "distributed", "cloudpickle")


class Watch:
    """What is known of a cluster: its workers, and the tasks that are under way.

    Attributes:
        client: of Dask.
        threads: tasks that run at a time.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        say: Callable[[str], None],
        *,
        known: bool,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`known`: its workers are this Python, so that nobody has to ask. `check` raises where no
        worker will come.
        """
        self.client, self.name, self._say, self._known = client, name, say, known
        self._check = check
        self._workers: dict[str, int] = {}
        self._differing: set[str] = set()
        self._under_way: list[Any] = []
        self.look()

    @property
    def threads(self) -> int:
        """Tasks that run at a time."""
        return sum(self._workers.values())

    def words(self) -> str:
        """How the cluster is, beside a bar."""
        workers, missing = len(self._workers), sum(not f.done() for f in self._under_way)
        waiting = max(0, missing - self.threads)
        queued = f", {waiting} tasks waiting" if waiting else ""
        return f"{workers} worker{'' if workers == 1 else 's'}{queued}"

    def follow(self, futures: Iterable[Any]) -> None:
        """These tasks are under way."""
        self._under_way = list(futures)

    def look(self) -> None:
        """Which workers are there now.

        Raises:
            InputError: the scheduler is gone, no worker will come, or one cannot run anything of
                ours.
        """
        if self.client.status != "running":
            raise self.lost()
        try:
            found = self.client.nthreads()
        except (OSError, CommClosedError):
            raise self.lost() from None
        if not found:
            self._check()
        new = [address for address in found if address not in self._workers]
        self._workers = dict(found)
        if new and not self._known:
            self._compare(new)

    def _compare(self, workers: list[str]) -> None:
        """Says where workers have other packages than this process."""
        here = versions()
        try:
            there = self.client.run(versions, workers=workers, on_error="return")
        except (OSError, CommClosedError):
            raise self.lost() from None
        for address, found in there.items():
            if isinstance(found, OSError | CommClosedError):
                continue  # it has left meanwhile
            if isinstance(found, Exception):
                got = f"'{' '.join(str(found).split())[:120]}'"
                fix = "install the same environment there, or start workers with its Python"
                raise InputError(f"worker {address}", "this release of amplify", got, fix)
            others = [f"{n} {found[n]} (here {here[n]})" for n in here if found[n] != here[n]]
            line = f"workers have {', '.join(others)}; results may differ from those made here"
            if others and line not in self._differing:
                self._differing.add(line)
                self._say(f"warning: {line}")

    def lost(self) -> InputError:
        """The error of a scheduler that is gone."""
        fix = "what is written is kept: start again"
        return InputError(self.name, "a scheduler until the end", "none, it was lost", fix)


def versions() -> dict[str, str]:
    """What a result may depend on, of this process."""
    from amplify.version import release

    found = {"Python": python_version(), "amplify": release()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def in_order(
    watch: Watch, function: Callable[..., Any], items: Iterable[tuple[Any, ...]]
) -> Iterator[Any]:
    """function(*item) of each item, in the order of the items; see `Engine`.

    Raises:
        InputError: a task whose workers died, or a lost scheduler. What a task raises comes as it
            is.
    """
    client, name, run = watch.client, _name(function), secrets.token_hex(4)
    given = enumerate(items)
    waiting: deque[_Task] = deque()
    try:
        packed = _packed(watch, function, f"{name}-{run}")

        def submitted(i: int, item: tuple[Any, ...], how: str = "") -> Future:
            return client.submit(_call, packed, item, key=f"{name}-{run}-{i}{how}", pure=False)

        while True:
            room = 2 * max(1, watch.threads) + _SPARE - len(waiting)
            for i, item in itertools.islice(given, max(0, room)):
                waiting.append(_Task(i, item, submitted(i, item)))
            if not waiting:
                return
            watch.follow(task.future for task in waiting)
            first, *others = waiting
            try:
                yield _result(watch, first.future)
            except KilledWorker:
                # the neighbours of a task that kills its workers die with it, so nobody knows which
                # one it was until it runs alone
                for other in others:
                    _until_done(watch, other.future)
                alone = submitted(first.i, first.item, "-alone")
                watch.follow([alone])
                try:
                    yield _result(watch, alone)
                except KilledWorker as error:
                    raise _deadly(f"{name} {first.i}", error) from None
            waiting.popleft()
    finally:
        watch.follow(())
        if client.status == "running":
            client.cancel([task.future for task in waiting], force=True)


def _packed(watch: Watch, function: Callable[..., Any], key: str) -> Any:
    """The function for tasks. A large one goes to every worker once, as the result of a task, which
    is made again where that is lost; to all, since tasks are given to the workers that have it.
    """
    packed = cloudpickle.dumps(function)
    if len(packed) <= _SMALL:
        return packed
    sent = watch.client.submit(bytes, packed, key=key, pure=False)
    _until_done(watch, sent)
    watch.client.replicate([sent])
    return sent


class _Task(NamedTuple):
    """A task that was given out: its number, what it is of, and its result one day."""

    i: int
    item: tuple[Any, ...]
    future: Future


def _until_done(watch: Watch, future: Future) -> None:
    """Waits for the task, whatever comes of it."""
    while not future.done():
        try:
            with watch.client.as_current():
                wait(future, timeout=_LOOK)
        except TimeoutError:
            watch.look()
        except (CancelledError, CommClosedError):
            raise watch.lost() from None


def _result(watch: Watch, future: Future) -> Any:
    """What the task has made, when it has."""
    _until_done(watch, future)
    try:
        return future.result()
    except (CancelledError, CommClosedError):
        raise watch.lost() from None


def _deadly(task: str, error: KilledWorker) -> InputError:
    """The error of a task that no worker outlives."""
    got = f"workers that died of it; the last was {error.last_worker.address}"
    fix = "look into the log of that worker, or give workers more memory"
    return InputError(f"task {task}", "a worker that ends it", got, fix)


def _name(function: Callable[..., Any]) -> str:
    """Of tasks, for people and their dashboards."""
    inner = getattr(function, "func", function)  # of a partial
    return getattr(inner, "__name__", type(inner).__name__).strip("_<>")


def _call(packed: bytes, item: tuple[Any, ...]) -> Any:
    """A task, on a worker."""
    return _unpacked(packed)(*item)


@lru_cache(maxsize=8)
def _unpacked(packed: bytes) -> Callable[..., Any]:
    """The function, made once, with what it has compiled."""
    return cloudpickle.loads(packed)


def unwanted() -> bool:
    """Whether nobody waits any more for the task that asks, which is only known on a worker."""
    try:
        worker = get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
    except (ValueError, AttributeError):
        return False
    return task is None or task.state == "cancelled"
