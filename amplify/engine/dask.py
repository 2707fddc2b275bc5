"""`--dask`: the workers of a Dask cluster as an engine, one that runs already, one of this machine,
or jobs of a batch system.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from amplify.devices import usable_cores
from amplify.engine import Engine, here
from amplify.errors import InputError, MissingExtraError
from amplify.progress import beside

_CONNECT = 10.0  # seconds that a scheduler may take to answer
_LOUD = ("distributed", "tornado", "asyncio")  # loggers
_FILES = (".yaml", ".yml")

# one thread a worker: as many workers as cores keep all of them busy, and sums do not depend on
# how many threads a library found
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "JAX_NUM_CPU_DEVICES": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else the first worker takes the GPU
}


def _nothing(line: str) -> None:
    """Nobody listens."""


def _fine() -> None:
    """Nothing is known against it."""


@contextmanager
def opened(text: str | None, *, say: Callable[[str], None] = _nothing) -> Iterator[Engine]:
    """The engine that `--dask` names, while the block lasts; what was started for it ends with it.

    Args:
        text: `local` or `local:4`, a YAML file (see `jobqueue`), or the address of a scheduler such
            as `tcp://host:8786`; None is this process.
        say: hears the address of the dashboard, and of workers with other versions.

    Raises:
        InputError: none of these, or a scheduler that does not answer.
        MissingExtraError: Dask is not installed.
    """
    if text is None:
        yield here()
        return
    check(text)
    import dask.config
    from distributed import Client

    from amplify.engine import tasks

    with ExitStack() as stack:
        stack.enter_context(_quiet())
        # once more beside others, then twice alone: three tries more than one (see `tasks`)
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 1}))
        ours, where, workers, check_jobs = _cluster(text, stack)
        try:
            client = stack.enter_context(Client(where, timeout=_CONNECT, set_as_default=False))
        except (OSError, ValueError) as error:
            raise _unreachable(text, error) from None
        watch = tasks.Watch(client, f"--dask {text}", say, known=ours, check=check_jobs)
        stack.enter_context(beside(watch.words))
        say(f"{workers or watch.threads} workers of {text}{_dashboard(client)}")
        yield Engine(
            f"Dask, {text}",
            workers or max(1, watch.threads),
            lambda function, items: tasks.in_order(watch, function, items),
            remote=True,
        )


def check(text: str) -> None:
    """Finds out whether the words make sense, before anything is started.

    Raises:
        InputError: they do not.
        MissingExtraError: Dask is not installed.
    """
    if find_spec("distributed") is None:
        fix = "pip install '.[dask]' in the directory of amplify"
        raise MissingExtraError("--dask", "the package distributed", "no such package", fix)
    kind, _, rest = text.partition(":")
    if kind == "local":
        _local_workers(rest, has_number=":" in text)
    elif is_file(text):
        from amplify.engine import jobqueue

        jobqueue.job_script(Path(text))
    elif not rest:
        fix = "such as tcp://host:8786, local:4 or cluster.yaml"
        raise InputError("--dask", "an address, local[:N] or a YAML file", text, fix)


def is_file(text: str) -> bool:
    """Whether `--dask` names a file."""
    return text.endswith(_FILES)


def _local_workers(number: str, *, has_number: bool) -> int:
    """N of local:N; default one worker a core."""
    if not has_number:
        return usable_cores()
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        fix = "local takes one worker a core"
        raise InputError("--dask local:N", "a number of workers", number or "nothing", fix)
    return int(number)


def _cluster(text: str, stack: ExitStack) -> tuple[bool, Any, int, Callable[[], None]]:
    """Whether its workers are this Python here, what a client connects to, how many workers there
    will be, 0 for as many as there are; and what raises InputError where none will come.
    """
    kind, _, rest = text.partition(":")
    if kind == "local":
        from distributed import LocalCluster

        workers = _local_workers(rest, has_number=":" in text)
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # the machine's own; files are read in chunks
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env=ENVIRONMENT,
        )
        return True, stack.enter_context(cluster), workers, _fine
    if is_file(text):
        from amplify.engine import jobqueue

        cluster, workers, submissions = jobqueue.started(Path(text), stack)
        return False, cluster, workers, submissions.check
    _knock(text)
    return False, text, 0, _fine


def _knock(address: str) -> None:
    """Finds out whether a scheduler answers there, for which a client would wait for long.

    Raises:
        InputError: none does.
    """
    from distributed.comm.addressing import get_address_host_port
    from distributed.core import rpc

    async def ask() -> None:
        async with rpc(address) as scheduler:
            await scheduler.identity()

    try:
        socket.create_connection(get_address_host_port(address), timeout=_CONNECT).close()
        if not address.startswith("tls"):  # Dask's own settings hold the keys of the others
            with ThreadPoolExecutor(1) as apart:  # a notebook has a loop of its own
                apart.submit(asyncio.run, asyncio.wait_for(ask(), _CONNECT)).result()
    except TimeoutError:
        raise _unreachable(address, TimeoutError(f"nothing within {_CONNECT:.0f} s")) from None
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from None


def _dashboard(client: Any) -> str:
    """Where people see what the workers do."""
    try:
        link = client.dashboard_link
    except Exception:  # a scheduler without one
        return ""
    needs = "" if find_spec("bokeh") else ", to be seen where the package bokeh is installed"
    return f", dashboard {link}{needs}" if link else ""


def _unreachable(text: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    fix = "start one with `dask scheduler`, or take local"
    return InputError(f"--dask {text}", "a scheduler that answers", f"'{reason}'", fix)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own words about workers that come and go do not mix with ours: a lost one is said by
    the error, if there is one.
    """
    of_dask = [name for name in logging.root.manager.loggerDict if name.startswith(_LOUD)]
    loggers = [logging.getLogger(name) for name in of_dask]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
