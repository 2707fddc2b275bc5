"""What every calibration study does: known truth, many training sets, and the ratio of the
estimated to the actual uncertainty.

Integrals come as [set, member, region]: `same` from networks trained on the set as it is with other
initialisations, `bootstrap` from networks trained on resampled events of the set. The actual error
is that of `same` against the truth, over sets and members: the network a user would have.
"""

import atexit
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from amplify.distributed import COORDINATOR, agreed, is_first, joined, leave
from amplify.engine import using
from amplify.engine.dask import opened
from amplify.errors import AmplifyError, InputError
from amplify.locks import directory_lock
from amplify.results.records import environment, write_json
from amplify.sealed import load_arrays, load_json, save_arrays, save_json
from amplify.stops import interrupted, said, stoppable


class Calibration(NamedTuple):
    """Per region: squared errors of an integral, in units of the integral squared, and the
    amplification they stand for.
    """

    actual: np.ndarray  # E[(I_theta - I_true)^2]
    # squared difference between the mean over sets and members, and the truth, corrected for the
    # scatter of that mean
    bias: np.ndarray
    variance: np.ndarray  # actual - bias
    bootstrap: np.ndarray  # mean over sets of the members' variance
    same_data: np.ndarray


def calibrate(same: np.ndarray, bootstrap: np.ndarray, truth: np.ndarray) -> Calibration:
    """Compares the estimates with the actual error. Means of squares over sets, so that no set
    counts more for being unlucky.
    """
    actual = ((same - truth) ** 2).mean(axis=(0, 1))
    set_means = same.mean(axis=1)
    scatter = set_means.var(axis=0, ddof=1) / len(same)
    bias = np.maximum((set_means.mean(axis=0) - truth) ** 2 - scatter, 0.0)
    return Calibration(
        actual,
        bias,
        actual - bias,
        bootstrap.var(axis=1, ddof=1).mean(axis=0),
        same.var(axis=1, ddof=1).mean(axis=0),
    )


def over_sets(
    statistic: Callable[[np.ndarray, np.ndarray], Any],
    same: np.ndarray,
    bootstrap: np.ndarray,
    repetitions: int = 2000,
    seed: int = 1,
) -> dict[str, Any]:
    """A statistic of the whole study with its own error: value, and the central 68 % and 90 % of
    its bootstrap over training sets.
    """
    rng = np.random.default_rng(seed)
    sets = len(same)
    draws = []
    for _ in range(repetitions):
        pick = rng.integers(0, sets, sets)
        draws.append(statistic(same[pick], bootstrap[pick]))
    quantiles = np.quantile(np.asarray(draws), [0.16, 0.84, 0.05, 0.95], axis=0)
    value = np.asarray(statistic(same, bootstrap))
    return {
        "value": value.tolist(),
        "interval_68": quantiles[:2].T.tolist(),
        "interval_90": quantiles[2:].T.tolist(),
    }


def pooled_ratio(
    estimate: str, truth: np.ndarray, regions: slice
) -> Callable[[np.ndarray, np.ndarray], float]:
    """sqrt(sum of estimated variances / sum of actual squared errors) over the regions: 1 is
    calibrated.
    """

    def statistic(same: np.ndarray, bootstrap: np.ndarray) -> float:
        errors = calibrate(same, bootstrap, truth)
        estimated = getattr(errors, estimate)[regions].sum()
        return float(np.sqrt(estimated / errors.actual[regions].sum()))

    return statistic


def pooled_amplification(
    estimate: str, truth: np.ndarray, n_train: int, regions: slice
) -> Callable[[np.ndarray, np.ndarray], float]:
    """G pooled over regions: sum of I (1 - I) / n_train over the sum of the squared errors that
    `estimate` names.
    """

    def statistic(same: np.ndarray, bootstrap: np.ndarray) -> float:
        errors = getattr(calibrate(same, bootstrap, truth), estimate)
        binomial = (truth * (1 - truth))[regions].sum() / n_train
        return float(binomial / errors[regions].sum())

    return statistic


def cached(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from `path`, or computed and written there: an interrupted study continues with the
    part that is missing, or damaged. Several processes compute it together, and the first one
    writes.

    Raises:
        InputError: a process does not see the files of the first one.
    """
    stored = load_arrays(path)
    if agreed(stored is not None):
        if stored is None:
            fix = "choose an --out on a file system that all hosts have"
            raise InputError(str(path), "the file of the first process", "none", fix)
        return stored
    if path.exists() and is_first():
        print(f"{path} is damaged, or of an older version: computed again", file=sys.stderr)
    arrays = compute()
    if is_first():
        save_arrays(path, arrays)
        shutil.rmtree(checkpoint_of(path), ignore_errors=True)
    return arrays


def checkpoint_of(path: Path) -> Path:
    """A folder for checkpoints of what is trained for a part; it goes when the part is there."""
    return path.with_name(f"{path.stem}.training")


def rows(
    out: Path, part: Callable[[Any], Iterator[dict[str, Any]]], config: Any
) -> list[dict[str, Any]]:
    """The rows of a part of a study, called after its function: of a finished one, or computed now
    as part(config). All have the same keys.
    """

    def compute() -> dict[str, np.ndarray]:
        found = list(part(config))
        return {name: np.array([row[name] for row in found]) for name in found[0]}

    columns = cached(out / "parts" / f"{part.__name__}.npz", compute)
    lists = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def run(main: Callable[..., Any], *, has_tasks: bool = False) -> None:
    """The command line of a study; errors are one line and exit code 2, interruptions one line.

    A study whose cells or repetitions are tasks (`experiments.cells`) takes `--dask`, as commands
    do. Where the environment says AMPLIFY_COORDINATOR (`amplify.distributed`), this is one of
    several processes that compute the study together:
    `AMPLIFY_COORDINATOR=auto srun python -m experiments.ring`.
    """
    words, where = _without_dask(sys.argv[1:])
    try:
        say = partial(print, file=sys.stderr)
        if where is not None and not has_tasks:
            got, fix = "one that computes in one place", "leave it out"
            raise InputError("--dask", "a study that has tasks for workers", got, fix)
        if where is not None and COORDINATOR in os.environ:
            got, fix = f"{COORDINATOR} in the environment", "leave one of them out"
            raise InputError("--dask", "a study of one process", got, fix)
        with stoppable(), joined(), opened(where, say=say) as engine, using(engine):
            tyro.cli(main, args=words)
    except AmplifyError as error:
        _fail(str(error), 2)
    except BrokenPipeError:  # whoever reads has enough, as head does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(141)
    except OSError as error:
        _fail(said(error), 2)
    except KeyboardInterrupt as error:
        _fail(*interrupted(error))


def _without_dask(words: list[str]) -> tuple[list[str], str | None]:
    """The arguments of the study itself, and what follows `--dask`."""
    if "--dask" not in words:
        return words, None
    place = words.index("--dask")
    where = words[place + 1 : place + 2]
    if not where:
        _fail("--dask: expected local, an address or a YAML file, got nothing; name one", 2)
    return words[:place] + words[place + 2 :], where[0]


def _fail(line: str, code: int) -> None:
    print(f"error: {line}", file=sys.stderr)
    leave(line, code)
    sys.exit(code)


def claim(out: Path, config: Any, inputs: dict[str, Any] | None = None) -> None:
    """Holds the directory for this process, and writes the resolved config, and what else decides
    the results, into it. Parts of a config that is damaged are put aside. Of several processes the
    first one does so, and the others wait.

    Raises:
        InputError: the directory holds another config, or another study writes there.
    """
    if is_first():
        _claim(out, config, inputs)
    agreed(True)


def _claim(out: Path, config: Any, inputs: dict[str, Any] | None) -> None:
    path = out / "config.json"
    mine = json.loads(json.dumps(asdict(config) | (inputs or {})))
    try:
        _hold(out.absolute())
        theirs = load_json(path)
        if theirs is None:
            if (out / "parts").exists():
                _put_aside(out / "parts")
            save_json(path, mine)
        elif theirs != mine:
            raise InputError(
                str(out),
                "results of this config",
                f"{path.name} of another",
                "choose another --out or remove the directory",
            )
    except OSError as error:
        raise InputError(
            str(out),
            "a directory to write into",
            error.strerror or str(error),
            "choose another --out",
        ) from None
    for left in (path for folder in (out, out / "parts") for path in folder.glob("*.part")):
        left.unlink(missing_ok=True)  # of a study that was killed


@cache
def _hold(out: Path) -> None:
    """Locks the directory until this process ends; it may claim it again."""
    held = ExitStack()
    held.enter_context(directory_lock(out))
    atexit.register(held.close)


def _put_aside(parts: Path) -> None:
    """Renames parts whose config nobody knows."""
    places = (parts.with_name(f"{parts.name}-of-unknown-config-{i}") for i in count(1))
    parts.rename(next(place for place in places if not place.exists()))


def record(
    path: Path,
    command: str,
    config: Any,
    study: dict[str, Any],
    estimates: list[dict[str, Any]],
    inputs: list[dict[str, Any]] | None = None,
) -> None:
    """results.json of a study, with the command that makes it again and the files it read; by the
    first of several processes.
    """
    if not is_first():
        return
    results = environment(command, getattr(config, "seed", 0), asdict(config), inputs or [])
    write_json(path, results | {"estimates": estimates, "study": study})
