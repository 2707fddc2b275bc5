"""Several processes, on one host or on many, that compute one thing together by `jax.distributed`.

Every process runs the same program. Its arrays of members lie spread over the devices of all; what
is drawn on the host is drawn in every process from the same seed; results are gathered in each of
them. The first one alone writes and prints, and an error of one ends all.
"""

import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

import numpy as np

from amplify.errors import AmplifyError, InputError

COORDINATOR, COUNT, NUMBER = "AMPLIFY_COORDINATOR", "AMPLIFY_PROCESSES", "AMPLIFY_PROCESS"
AUTO = "auto"

_ENDED = "amplify/ended"  # where a process says why it ends
_LOOKS = 0.3  # seconds between two looks there
_PATIENCE = 10  # looks at a coordinator that does not answer
_GRACE = 4 * _LOOKS  # until all have seen it
_LOST = ("gloo", "coordination", "heartbeat")  # what JAX says where another process is gone
_FIX = "start all of them again: checkpoints and finished parts are kept"


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Makes this process one of several, whose devices are used together from here on. Call it in
    all of them, before JAX computes anything.

    Args:
        coordinator: host and port of the first process, which all can reach; "auto" lets JAX find
            everything, under SLURM and Open MPI. What is left out is taken from the environment:
            AMPLIFY_COORDINATOR, AMPLIFY_PROCESSES, AMPLIFY_PROCESS.
        processes: how many there are.
        process: which one this is, from 0.

    Raises:
        InputError: some of it is missing or makes no sense, JAX has computed already, or the others
            do not come.
    """
    import jax

    settings = _settings(coordinator, processes, process)
    if jax.distributed.is_initialized():
        return
    with suppress(AttributeError):  # a signal ends a process here as it does elsewhere
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(**settings)
    except (RuntimeError, ValueError) as error:
        what, expected = "several processes", "all of them, before JAX computes"
        fix = f"start all, with {COORDINATOR}, {COUNT} and {NUMBER}"
        said = f"'{(str(error).splitlines() or [type(error).__name__])[0]}'"
        got = "one that has computed already" if "before any JAX" in said else said
        raise InputError(what, expected, got, fix) from None


def _settings(
    coordinator: str | None, processes: int | None, process: int | None
) -> dict[str, Any]:
    """For JAX: nothing where it finds all itself."""
    coordinator = coordinator or os.environ.get(COORDINATOR)
    if coordinator == AUTO:
        return {}
    count = _number(processes, COUNT)
    number = _number(process, NUMBER)
    if not coordinator or count is None or number is None or not 0 <= number < count:
        got = f"coordinator {coordinator}, process {number} of {count}"
        expected = "a coordinator HOST:PORT, processes and the number of this one from 0"
        fix = f"give all three, or {COORDINATOR}=auto under SLURM or Open MPI"
        raise InputError("several processes", expected, got, fix)
    return {"coordinator_address": coordinator, "num_processes": count, "process_id": number}


def _number(value: int | None, name: str) -> int | None:
    """It, or what the environment says."""
    text = os.environ.get(name, "") if value is None else str(value)
    return int(text) if text.strip().lstrip("-").isdigit() else None


@contextmanager
def joined() -> Iterator[None]:
    """The program of one of several processes, where the environment asks for them: the first
    prints, and an error of one ends all of them.

    Raises:
        InputError: as `join`, or another process is lost.
    """
    if COORDINATOR not in os.environ:
        yield
        return
    join()
    threading.Thread(target=_end_with_others, daemon=True).start()
    with open(os.devnull, "w") as nowhere, redirect_stdout(sys.stdout if is_first() else nowhere):
        try:
            yield
        except Exception as error:
            _tell_why(error)
            raise


def _tell_why(error: Exception) -> None:
    """Says to the others why this process ends; what nobody expected is printed, and ends it."""
    import jax

    if any(word in str(error).lower() for word in _LOST):
        time.sleep(4 * _GRACE)  # if the other one said why, this process ends meanwhile
        got = "one that has ended"
        raise InputError("several processes", "all of them", got, _FIX) from None
    if not isinstance(error, AmplifyError | OSError):
        traceback.print_exc()
        leave(f"process {jax.process_index()}: {type(error).__name__}: {error}", 1)


def leave(line: str, code: int) -> None:
    """Ends this process, and with it the others, if there are any: what it stops for is their
    error, too.

    Args:
        line: why.
        code: exit code of all.
    """
    if processes() == 1:
        return
    import jax

    with suppress(Exception):  # the coordinator may be gone
        _board().key_value_set(_ENDED, f"{code} process {jax.process_index()}: {line}")
    time.sleep(_GRACE)
    _end(code)


def _end_with_others() -> None:
    """Waits until a process says why it ends, and ends this one."""
    board, lost = _board(), 0
    while lost < _PATIENCE:
        time.sleep(_LOOKS)
        try:
            found = board.key_value_try_get(_ENDED)
        except Exception as error:  # JAX has no class of its own for a key that is not there
            lost = 0 if "NOT_FOUND" in str(error) else lost + 1
        else:
            code, line = str(found).split(" ", 1)
            if line.startswith(f"process {_index()}:"):
                return
            if is_first():
                print(f"error: {line}", file=sys.stderr)
                time.sleep(2 * _GRACE)  # the others would fall with the coordinator, noisily
            _end(int(code))
    print(f"error: several processes: expected the first one, got none; {_FIX}", file=sys.stderr)
    _end(2)


def _board() -> Any:
    """Where processes leave words for one another: JAX has no public name for it."""
    from jax._src import distributed

    return distributed.global_state.client


def _end(code: int) -> None:
    """Without waiting for the others, as JAX would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def processes() -> int:
    """How many compute together."""
    jax = sys.modules.get("jax")
    return jax.process_count() if jax is not None and jax.distributed.is_initialized() else 1


def _index() -> int:
    import jax

    return jax.process_index() if processes() > 1 else 0


def is_first() -> bool:
    """Whether this process is the one that writes files and prints."""
    return _index() == 0


def of_each(value: Any) -> np.ndarray:
    """What the processes have for a small array: [process, ...]."""
    if processes() == 1:
        return np.asarray(value)[None]
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(np.asarray(value)))


def agreed(decision: bool) -> bool:
    """The decision of the first process, in all of them."""
    return bool(of_each(np.asarray(decision))[0])


def share(n: int) -> range:
    """Which of n items this process computes."""
    each = math.ceil(n / processes())
    return range(min(_index() * each, n), min((_index() + 1) * each, n))


def of_all(mine: np.ndarray, n: int) -> np.ndarray:
    """Arrays [item, ...] of all n items, where each process has those of its `share`."""
    if processes() == 1:
        return mine
    each = math.ceil(n / processes())
    # as bytes: JAX would make numbers of 64 bits shorter
    sent = np.zeros((each, *mine.shape[1:]), mine.dtype)
    sent[: len(mine)] = mine
    found = of_each(np.frombuffer(sent.tobytes(), np.uint8))
    return np.frombuffer(found.tobytes(), mine.dtype).reshape(-1, *mine.shape[1:])[:n]
