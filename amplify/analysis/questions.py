"""What is asked of samples, checked for sense, and what results.json says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from amplify import regions as rg
from amplify.analysis import samples
from amplify.errors import InputError
from amplify.estimators.sketches import check_error
from amplify.external.observables import Observables
from amplify.summaries import Learner, LogProb
from amplify.tables.opening import MAX_GB

MOST_EVENTS = 10**15  # more are a slip, and no integer of a float


@dataclass(frozen=True)
class AveragingQuestion:
    """What is asked of several members; see `amplify.averaging`.

    Attributes:
        n_train: training events of one member.
        columns: to look at, names or expressions.
        regions: a file of cuts, or regions.
        bins: equiprobable bins of each column.
        map: two columns.
        weight_column: of the members.
        holdout_columns: what `columns` are in the holdout, where they are called otherwise.
        holdout_weight: the same of the weights.
        train: the training events, to find them among generated and true ones; their columns are
            called as those of the holdout.
        same_data: members of the same data, one sample for each; their columns are called as those
            of the members.
        refits: members trained on generated events, one sample for each; their columns are called
            as those of the members.
        forecast: also say what a member is worth event by event, from members alone.
        members_are: how the members come to differ, as `--members-are` names it, or None.
        condition: a column that was given to the generator: everything is compared at the same
            value of it, in regions of it.
        condition_bins: equiprobable bins of it instead of its values.
        observables: a user's function that makes columns; they are looked at where none are named.
        drop_nonfinite: leave out events with values that are not finite.
        follow_links: also read files that HDF5 files point to.
        max_gb: numbers in GB that a file may claim which is a hundred times smaller itself.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided.
        seed: of what made the members; nothing is random here.
    """

    n_train: int
    columns: Sequence[str] | None = None
    regions: Path | rg.Regions | None = None
    bins: int | None = None
    map: tuple[str, str] | None = None
    weight_column: str | None = None
    holdout_columns: Sequence[str] | None = None
    holdout_weight: str | None = None
    train: samples.Sample | None = None
    same_data: Any = None
    refits: Any = None
    forecast: bool = False
    members_are: str | None = None
    condition: str | None = None
    condition_bins: int | None = None
    observables: Observables | None = None
    drop_nonfinite: bool = False
    follow_links: bool = False
    max_gb: float = MAX_GB
    level: float = 0.68
    limit_level: float = 0.95
    seed: int = 0

    def settings(
        self,
        names: Sequence[str],
        holdout: samples.Sample | None,
        ignored: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """What results.json says of it; `ignored` columns are no physics."""
        return {
            "n_train": self.n_train,
            "columns": list(names),
            "columns_ignored": dict(ignored or {}),
            "regions": _said(self.regions),
            "bins": self.bins,
            "map": self.map,
            "holdout": samples.said(holdout),
            "train": samples.said(self.train),
            "same_data": samples.said_members(self.same_data),
            "refits": samples.said_members(self.refits),
            "forecast": self.forecast,
            "members_are": self.members_are,
            "condition": self.condition,
            "condition_bins": self.condition_bins,
            "observables": self.observables and self.observables.said(),
            "weight_column": self.weight_column,
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
            InputError: a number out of its range, or settings that exclude each other.
        """
        _check_n_train(self.n_train, f"at most {MOST_EVENTS:.0e}", "one member")
        _check_regions(self.bins, self.regions)
        beside = {
            "--map": self.map,
            "--forecast": self.forecast,
            "--same-data": self.same_data is not None,
            "--refits": self.refits is not None,
        }
        _check_condition(self.condition, self.condition_bins, beside)
        check_level(self.level)
        check_limit(self.limit_level)


@dataclass(frozen=True)
class DifferentialQuestion:
    """What is asked of two samples; see `amplify.differential` for each."""

    n_train: int
    members: Literal["bootstrap", "same-data"] | None = None
    summary: str | Learner = "classifier"
    log_prob: LogProb | None = None
    train: samples.Sample | None = None
    columns: Sequence[str] | None = None
    log_prob_column: str | None = None
    weight_column: str | None = None
    regions: Path | rg.Regions | None = None
    bins: int | None = None
    map: tuple[str, str] | None = None
    condition: str | None = None
    condition_bins: int | None = None
    observables: Observables | None = None
    fraction: float = 1 / 3
    cross_fit: bool = False
    approximate: float | None = None
    drop_nonfinite: bool = False
    follow_links: bool = False
    max_gb: float = MAX_GB
    level: float = 0.68
    limit_level: float = 0.95
    seed: int = 0

    def settings(
        self,
        names: Sequence[str],
        generated: samples.Sample,
        holdout: samples.Sample,
        ignored: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """What results.json says of it; `ignored` columns are no physics."""
        own_learner = not isinstance(self.summary, str)
        several = self.members is not None
        return {
            "generated": (samples.said_members if several else samples.said)(generated),
            "holdout": samples.said(holdout),
            "n_train": self.n_train,
            "members": self.members,
            "summary": "a learner of one's own" if own_learner else self.summary,
            "train": samples.said(self.train),
            "columns": list(names),
            "columns_ignored": dict(ignored or {}),
            "log_prob_column": self.log_prob_column,
            "weight_column": self.weight_column,
            "regions": _said(self.regions),
            "bins": self.bins,
            "map": self.map,
            "condition": self.condition,
            "condition_bins": self.condition_bins,
            "observables": self.observables and self.observables.said(),
            "fraction": self.fraction,
            "cross_fit": self.cross_fit,
            "approximate": self.approximate,
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
            InputError: a number out of its range, or settings that exclude each other.
        """
        _check_n_train(self.n_train, "at most 1e15", "the generator")
        if not 0 < self.fraction < 1:
            fix = "a third of the holdout for learning is usual"
            raise InputError("--fraction", "between 0 and 1", str(self.fraction), fix)
        kind = self.summary.partition(":")[0] if isinstance(self.summary, str) else "learner"
        if self.cross_fit and kind in ("column", "ratio"):
            fix = "drop --cross-fit: all of the holdout is tested as it is"
            raise InputError("--cross-fit", "a learned summary", str(self.summary), fix)
        if self.approximate is not None:
            check_error(self.approximate)
            if self.cross_fit:
                fix = "drop one: cross-fitting learns from the whole holdout in memory"
                raise InputError("--approximate and --cross-fit", "one of them", "both", fix)
        if self.members not in (None, "bootstrap", "same-data"):
            expected, fix = "bootstrap or same-data", "choose one of the two"
            raise InputError("--members", expected, repr(self.members), fix)
        _check_regions(self.bins, self.regions)
        beside = {"--bins": self.bins, "--regions": self.regions, "--cross-fit": self.cross_fit}
        _check_condition(self.condition, self.condition_bins, beside)
        check_level(self.level)
        check_limit(self.limit_level)


def cuts_file(regions: Path | rg.Regions | None) -> Path | None:
    """The file of regions, where they come from one."""
    return regions if isinstance(regions, Path) else None


def own_regions(regions: Path | rg.Regions | None) -> rg.Regions | None:
    """The regions themselves, where they are given."""
    return regions if isinstance(regions, rg.Regions) else None


def _said(regions: Path | rg.Regions | None) -> Any:
    return list(regions.labels) if isinstance(regions, rg.Regions) else regions


def check_level(level: float) -> None:
    """Refuses what is no confidence level."""
    if not 0 < level < 1:
        raise InputError("--level", "between 0 and 1", str(level), "0.68 is usual")


def check_limit(limit_level: float) -> None:
    """Refuses what is no level of a limit."""
    if not 0.5 < limit_level < 1:
        expected = "between 0.5 and 1, limits are one-sided"
        raise InputError("--limit-level", expected, str(limit_level), "0.95 is usual")


def _check_n_train(n_train: int, most: str, whose: str) -> None:
    if not 1 <= n_train <= MOST_EVENTS:
        fix = f"give the number of training events of {whose}"
        raise InputError("--n-train", f"at least 1, {most}", str(n_train)[:30], fix)


def _check_condition(condition: str | None, bins: int | None, beside: Mapping[str, Any]) -> None:
    if condition is None and bins is not None:
        fix = "name the column that was given to the generator"
        raise InputError("--condition-bins", "to go with --condition", "no condition", fix)
    if bins is not None and bins < 2:
        fix = "drop it: the values are taken where they are few, else ten bins"
        raise InputError("--condition-bins", "at least 2", str(bins), fix)
    for option, value in beside.items():
        if condition is not None and value:
            raise InputError(f"--condition and {option}", "one of them", "both", "drop one")


def _check_regions(bins: int | None, regions: Path | rg.Regions | None) -> None:
    if bins is not None and regions is not None:
        raise InputError("--bins and --regions", "one of them", "both", "drop one")
