"""Several generated samples against one holdout, in every two-sample statistic and in one unit. The
call; what it does is `compare_answer`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amplify.analysis import samples
from amplify.analysis.compare_answer import answer
from amplify.analysis.compare_question import (
    MOST,
    CompareQuestion,
    checked_names,
    names_of_files,
    of_each,
    whole_number,
)
from amplify.errors import InputError
from amplify.external.observables import Function, observables_of
from amplify.progress import Progress, silent
from amplify.results.comparison import Comparison
from amplify.tables.opening import MAX_GB


def compare(
    generated: Mapping[str, samples.Sample] | Sequence[samples.Sample] | samples.Sample,
    holdout: samples.Sample,
    *,
    n_train: float | Sequence[float],
    names: Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    train: samples.Sample | None = None,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    observables: str | Function | None = None,
    permutations: int = 1000,
    most: int = MOST,
    batches: int | None = None,
    false_alarms: float = 0.001,
    local: bool = True,
    drop_nonfinite: bool = False,
    follow_links: bool = False,
    max_gb: float = MAX_GB,
    level: float = 0.68,
    limit_level: float = 0.95,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Which generator is closest to the truth, and how many true events each is worth in every
    two-sample statistic (docs/method, One scale for every statistic); what the command `amplify
    compare` does.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(0.1, 1, (500, 1)), rng.normal(0.5, 1, (500, 1))
    >>> holdout = rng.normal(size=(500, 1))
    >>> found = compare(
    ...     {"near": near, "far": far}, holdout, n_train=100, statistics=["mean_ks"],
    ...     permutations=99, local=False,
    ... )
    >>> [record["p"] for record in found["mean_ks"]][1]
    0.01

    Args:
        generated: a sample of each generator, by its name or in a list: a file, several, a glob,
            or an array [event, dim].
        holdout: true events that were not used in training.
        n_train: training events of all generators, or of each.
        names: of the generators of a list.
        statistics: names of `amplify.estimators.statistics.STATISTICS`; default all.
        train: the training events: to find copies of them, and to refuse a holdout that shares
            events with them.
        columns: to compare, names or expressions; default all. Columns of arrays are x0, x1, ...
        weight_column: column, or expression, with event weights, in some or all samples.
        observables: a function of a batch of events, or where it is, "FILE.py:function", that makes
            columns of their arrays.
        permutations: of the labels, for p-values and errors.
        most: events of each sample that enter them at most.
        batches: take the one generated sample as a stream of so many batches, and test each.
        false_alarms: the rate of alarms among batches like the holdout.
        local: look for the places where generators are wrong.
        drop_nonfinite: leave out events with nan or infinite values, instead of refusing them.
        follow_links: also read files that HDF5 files point to; they are listed among the inputs.
        max_gb: numbers in GB that a file may claim which is a hundred times smaller itself.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided; one less it is the false-alarm rate at which a
            statistic notices a distortion.
        seed: of permutations, directions, centres and splits.
        progress: `amplify.progress.progress_bar` shows how far it is.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    given = _listed(generated)
    called = tuple(generated) if isinstance(generated, Mapping) else names
    question = CompareQuestion(
        n_train=of_each(n_train, len(given)),
        names=_names(given, called),
        statistics=None if statistics is None else tuple(statistics),
        train=train,
        columns=columns,
        weight_column=samples.weight_of([*given, holdout], weight_column),
        observables=observables_of(observables),
        permutations=whole_number("--permutations", permutations),
        most=whole_number("--most", most),
        batches=None if batches is None else whole_number("--batches", batches),
        false_alarms=false_alarms,
        local=local,
        drop_nonfinite=drop_nonfinite,
        follow_links=follow_links,
        max_gb=max_gb,
        level=level,
        limit_level=limit_level,
        seed=seed,
    )
    return answer(question, given, holdout, progress=progress)


def _listed(generated: Any) -> list[samples.Sample]:
    """A sample of each generator."""
    if isinstance(generated, Mapping):
        given = list(generated.values())
    elif isinstance(generated, str | Path) or hasattr(generated, "ndim") or _is_events(generated):
        given = [generated]
    else:
        given = list(generated)
    if not given:
        fix = "give the events of a generator"
        raise InputError("generated", "at least one sample", "none", fix)
    return given


def _is_events(generated: Any) -> bool:
    from amplify.types import Events

    return isinstance(generated, Events)


def _names(given: Sequence[samples.Sample], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is not None:
        return checked_names([str(name) for name in names], len(given))
    are_files = all(
        isinstance(sample, str | Path | list | tuple) and not _is_events(sample) for sample in given
    )
    if are_files:
        return names_of_files(given)
    return tuple(f"generator {place + 1}" for place in range(len(given)))
