"""What is asked of several generated samples and one holdout, checked for sense."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from amplify.analysis import samples
from amplify.analysis.questions import MOST_EVENTS, check_level, check_limit
from amplify.errors import InputError
from amplify.estimators.statistics import STATISTICS, Statistic
from amplify.external.observables import Observables
from amplify.tables.opening import MAX_GB
from amplify.text import listed

MOST = 5000  # events of each sample that all statistics look at
FEWEST_EVENTS = 20  # of a sample: fewer tell nothing of a density


@dataclass(frozen=True)
class CompareQuestion:
    """What is asked; see `amplify.compare` for each."""

    n_train: tuple[int, ...]
    names: tuple[str, ...]
    statistics: tuple[str, ...] | None = None
    train: samples.Sample | None = None
    columns: Sequence[str] | None = None
    weight_column: str | None = None
    observables: Observables | None = None
    permutations: int = 1000
    most: int = MOST
    batches: int | None = None
    false_alarms: float = 0.001
    local: bool = True
    drop_nonfinite: bool = False
    follow_links: bool = False
    max_gb: float = MAX_GB
    level: float = 0.68
    limit_level: float = 0.95
    seed: int = 0

    @property
    def chosen(self) -> list[Statistic]:
        """The statistics by their names; all of them where none are named."""
        return [STATISTICS[name] for name in self.statistics or STATISTICS]

    def settings(
        self,
        columns: Sequence[str],
        generated: Sequence[samples.Sample],
        holdout: samples.Sample,
        ignored: Mapping[str, str],
    ) -> dict[str, Any]:
        """What results.json says of it; `ignored` columns are no physics."""
        return {
            "generated": [samples.said(sample) for sample in generated],
            "names": list(self.names),
            "holdout": samples.said(holdout),
            "n_train": list(self.n_train),
            "train": samples.said(self.train),
            "statistics": [statistic.name for statistic in self.chosen],
            "columns": list(columns),
            "columns_ignored": dict(ignored),
            "weight_column": self.weight_column,
            "observables": self.observables and self.observables.said(),
            "permutations": self.permutations,
            "most": self.most,
            "batches": self.batches,
            "false_alarms": self.false_alarms,
            "local": self.local,
            "drop_nonfinite": self.drop_nonfinite,
            "follow_links": self.follow_links,
            "max_gb": self.max_gb,
            "level": self.level,
            "limit_level": self.limit_level,
            "seed": self.seed,
        }

    def check(self) -> None:
        """Refuses settings that make no sense.

        Raises:
            InputError: a number out of its range, or a statistic that there is not.
        """
        _check_statistics(self.statistics)
        for n_train in self.n_train:
            if not 1 <= n_train <= MOST_EVENTS:
                fix = "give the number of training events of each generator"
                got = str(n_train)[:30]
                raise InputError("--n-train", f"at least 1, at most {MOST_EVENTS:.0e}", got, fix)
        if not 19 <= self.permutations <= 1_000_000:
            fix = "1000 give p-values down to .001"
            got = str(self.permutations)
            raise InputError("--permutations", "19 to a million", got, fix)
        if self.most < FEWEST_EVENTS:
            expected = f"at least {FEWEST_EVENTS}"
            raise InputError("--most", expected, str(self.most), f"{MOST} is usual")
        if not 0 < self.false_alarms < 0.5:
            got = str(self.false_alarms)
            raise InputError("--false-alarms", "between 0 and .5", got, ".001 is usual")
        if self.batches is not None:
            _check_batches(self.batches, len(self.names))
        check_level(self.level)
        check_limit(self.limit_level)


def whole_number(option: str, given: Any) -> int:
    """A count, however it is held: 500, np.int64(500) or 5e2.

    >>> whole_number("--n-train", 5e2)
    500

    Raises:
        InputError: a fraction, a text, a truth value.
    """
    if isinstance(given, Integral) and not isinstance(given, bool):
        return int(given)
    if isinstance(given, float | np.floating) and float(given).is_integer():
        return int(given)
    raise InputError(option, "a whole number", repr(given)[:30], "give a number such as 10000")


def of_each(n_train: Any, count: int) -> tuple[int, ...]:
    """Training events of each of so many generators: one number is that of all.

    Raises:
        InputError: another number of numbers, or what is no whole number.
    """
    several = isinstance(n_train, Sequence) and not isinstance(n_train, str | bytes)
    several = several or getattr(n_train, "ndim", 0) == 1
    given = tuple(whole_number("--n-train", n) for n in (n_train if several else [n_train]))
    if len(given) not in (1, count):
        expected = f"one number, or {count}, one for each generator"
        fix = "repeat the number where generators learned from as many"
        raise InputError("--n-train", expected, str(len(given)), fix)
    return given if len(given) == count else given * count


def _check_statistics(names: Sequence[str] | None) -> None:
    if names is not None and not names:
        fix = "leave it out for all of them"
        raise InputError("--statistics", "at least one", "none", fix)
    unknown = [name for name in names or () if name not in STATISTICS]
    if unknown:
        expected = f"some of {listed(list(STATISTICS), 20)}"
        raise InputError("--statistics", expected, unknown[0], "choose among these")
    if names is not None and len(set(names)) < len(names):
        raise InputError("--statistics", "each once", ", ".join(names), "drop the second")


def about_batches(question: CompareQuestion) -> list[str]:
    """A warning for each option that was given and does nothing with --batches."""
    if question.batches is None:
        return []
    usual = CompareQuestion(n_train=(), names=())
    thresholds = "p-values are those of random parts of the reference"
    reasons = {
        "permutations": thresholds,
        "level": "batches have no intervals",
        "limit_level": "alarms have --false-alarms",
    }
    notes = [
        f"--{name.replace('_', '-')} is ignored with --batches: {why}"
        for name, why in reasons.items()
        if getattr(question, name) != getattr(usual, name)
    ]
    if question.train is not None:
        why = "the holdout is tested for events of --train, batches are not tested for copies"
        notes.append(f"--train is ignored with --batches, but for one thing: {why}")
    return notes


def _check_batches(batches: int, generators: int) -> None:
    if batches < 2:
        fix = "drop it to compare the sample as a whole"
        raise InputError("--batches", "at least 2", str(batches), fix)
    if generators > 1:
        fix = "give the stream alone; several files of it after one --generated"
        raise InputError("--batches", "one generated sample", str(generators), fix)


def checked_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Names of so many generators.

    Raises:
        InputError: another number of names, or one twice.
    """
    if len(names) != count or len(set(names)) < count or not all(names):
        expected = f"{count} different ones, one for each generator"
        got = listed(list(names)) or "none"
        raise InputError("--names", expected, got, "name each generator once")
    return tuple(names)


def names_of_files(generated: Sequence[Any]) -> tuple[str, ...]:
    """Of generators that come from files: the shortest ends of their paths that differ.

    >>> names_of_files([["a/gen.npy"], ["b/gen.npy"]])
    ('a/gen.npy', 'b/gen.npy')
    >>> names_of_files([["a/flow_*.npy"], ["gan.h5:new/events"]])
    ('flow_*', 'gan')
    """
    first = [sources if isinstance(sources, str | Path) else sources[0] for sources in generated]
    paths = [Path(re.sub(r"(\.\w+):.*", r"\1", str(source))) for source in first]
    stems = [path.stem for path in paths]
    for names in (stems, [path.name for path in paths], [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{path} {place + 1}" for place, path in enumerate(paths))
