"""What every calibration study does: known truth, many training sets, and the ratio of the
estimated to the actual uncertainty.

Integrals come as [set, member, region]: `same` from networks trained on the set as it is with other
initialisations, `bootstrap` from networks trained on resampled events of the set. The actual error
is that of `same` against the truth, over sets and members: the network a user would have.
"""

import atexit
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

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
    part that is missing, or damaged.
    """
    stored = load_arrays(path)
    if stored is not None:
        return stored
    if path.exists():
        print(f"{path} is damaged, or of an older version: computed again", file=sys.stderr)
    arrays = compute()
    save_arrays(path, arrays)
    return arrays


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


def run(main: Callable[..., Any]) -> None:
    """The command line of a study; errors are one line and exit code 2, interruptions one line."""
    try:
        with stoppable():
            tyro.cli(main)
    except AmplifyError as error:
        _fail(str(error), 2)
    except BrokenPipeError:  # whoever reads has enough, as head does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(141)
    except OSError as error:
        _fail(said(error), 2)
    except KeyboardInterrupt as error:
        _fail(*interrupted(error))


def _fail(line: str, code: int) -> None:
    print(f"error: {line}", file=sys.stderr)
    sys.exit(code)


def claim(out: Path, config: Any, inputs: dict[str, Any] | None = None) -> None:
    """Holds the directory for this process, and writes the resolved config, and what else decides
    the results, into it. Parts of a config that is damaged are put aside.

    Raises:
        InputError: the directory holds another config, or another study writes there.
    """
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
    """results.json of a study, with the command that makes it again and the files it read."""
    results = environment(command, getattr(config, "seed", 0), asdict(config), inputs or [])
    write_json(path, results | {"estimates": estimates, "study": study})
