"""`amplify forecast`: what a generator will be worth, from trainings on subsamples of the training
events, from files or trained here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import tyro

from amplify.commands.arguments import Count, Dask, Json, check_seed
from amplify.errors import InputError, NeedsMembersError
from amplify.tables.opening import MAX_GB, opening

if TYPE_CHECKING:
    from amplify.analysis.subsample_trainings import Plan, Trained

MembersAt = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction]


@dataclass(frozen=True)
class Forecast:
    """How many true events generated samples will be worth, before there is a holdout: the same
    generator is trained on subsamples of the training events, and what it is worth there is
    extrapolated to all of them, and to more.

    In a shell:
        amplify forecast --train train.npy --generator my_package.flow:fit --out run
        amplify forecast --train train.npy --generator my_package.flow:fit --regions cuts.yaml
            --target-factor 10 --target-precision 0.005
        amplify forecast --train train.npy --members-at 1000 a0.npy a1.npy a2.npy
            --members-at 2000 b0.npy b1.npy b2.npy --n-train 20000
    """

    train: tuple[str, ...] | None = None
    """The training events."""
    generator: str | None = None
    """package.module:function, a function fit(x_train, seed) -> sample(n, seed) in any framework;
    trained in a process of its own for each subsample."""
    members_at: MembersAt = ()
    """N FILES: generated events of members that were trained on N events each, the first on the
    first N of --train, the second on the next N, and so on. Give it for two sizes or more."""
    holdout: tuple[str, ...] | None = None
    """With --members-at: true events that none of the members has seen; then it does not matter
    which ones they have, and --train is not read."""
    n_train: Count | None = None
    """Training events that the forecast is for; default those of --train."""
    target_factor: float = 10.0
    """A G that is wanted: how many training events does it take?"""
    target_precision: float = 0.01
    """A relative error of the integrals that is wanted."""
    parts: tuple[int, ...] | None = None
    """With --generator: the training events over these are the sizes of the subsamples; default 64
    32 16 8 4 2, without those of fewer than 100 events."""
    trainings: int = 8
    """With --generator: trainings of each size at most, on subsamples that share no event."""
    n_gen: Count | None = None
    """With --generator: events of each training; default 4 for each training event, and at least
    20000."""
    timeout: float | None = None
    """With --generator: seconds after which a training is given up."""
    workers: int | None = None
    """With --generator: trainings at the same time; default 1."""
    columns: tuple[str, ...] | None = None
    """Columns to look at, or expressions such as "pt=sqrt(px**2 + py**2)"; columns without names
    are x0, x1, ... Default all."""
    regions: Path | None = None
    """YAML or JSON file of regions, - for standard input. Default: ten equiprobable bins of each
    column and its tails."""
    bins: int | None = None
    """This many equiprobable bins of each column instead."""
    no_differential: bool = False
    """Leave out what the events are worth one by one."""
    exponent: float | None = None
    """Of the distance event by event, where it is known: 0.5 for a fit of few parameters, 2 / (4 +
    d) for kernels in d dimensions. Default free."""
    weight_column: str | None = None
    """Column, or expression, with event weights."""
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    follow_links: bool = False
    """Also read the files that an HDF5 file points to."""
    max_gb: float = MAX_GB
    """A file that claims more GB of numbers, and is a hundred times smaller, is refused."""
    level: float = 0.68
    """Confidence level of the two-sided intervals."""
    limit_level: float = 0.95
    """Confidence level of limits, which are one-sided."""
    seed: int = 0
    """Of the subsamples and the trainings."""
    dask: Dask = None
    """Train and count on the workers of a Dask cluster: local, local:4, the address of a scheduler,
    or a YAML file of a batch system (docs, On a batch system). The results are the same."""
    dry_run: bool = False
    """Only say what would be trained."""
    out: Path | None = None
    """Directory for results.json, report.html and the tables; default amplify-runs/forecast-<time>.
    With --generator, the same directory continues a run."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import out_directory
        from amplify.commands.workers import on_workers

        check_seed(self.seed)
        held = out_directory("forecast", self.out, self.json_to, dry_run=self.dry_run)
        reading = opening(follow_links=self.follow_links, max_gb=self.max_gb)
        workers = on_workers(self.dask, workers=self.workers, dry_run=self.dry_run)
        with held as directory, reading, workers:
            self._run(directory, command)

    def _run(self, directory: Path, command: str) -> None:
        """The same into the directory, which is held for it."""
        from amplify.analysis.forecast_amplification import (
            default_regions,
            forecast_amplification,
        )
        from amplify.analysis.forecast_goals import check_reach
        from amplify.analysis.subsample_trainings import planned
        from amplify.commands.output import publish, say
        from amplify.tables import files
        from amplify.types import Events

        goals = self._goals()
        self._check()
        data = self._read()
        self._check_size(len(data.x))
        check_reach(self.n_train, len(data.x))
        regions = self._regions(data.names)
        if regions is None:  # before anything is trained
            regions, said = default_regions(Events(data.x, data.weight), data.names, self.bins)
            data.notes.extend(said)
        if self.generator is not None:
            plan = planned(
                len(data.x),
                parts=self.parts,
                trainings=self.trainings,
                n_gen=self.n_gen,
                seed=self.seed,
            )
            if self.dry_run:
                self._announce(directory, plan, data)
                return
            trainings, notes = self._trained(directory, plan, data)
        else:
            trainings, notes = self._from_files(data), []
            if self.dry_run:
                for _, sources in _sizes(self.members_at):
                    for source in sources:
                        files.open_sample(source).close()
                say(f"{data.source}: {len(data.x):,} true events. Nothing was written.")
                return
        forecast = forecast_amplification(
            trainings,
            data.x,
            weight=data.weight,
            regions=regions,
            bins=self.bins,
            names=data.names,
            differential=not self.no_differential,
            goals=goals,
            seed=self.seed,
        )
        publish(self._told(forecast, data, notes).with_command(command), directory, self.json_to)

    def _goals(self) -> Any:
        from amplify.analysis.forecast_goals import Goals

        goals = Goals(
            self.target_factor,
            self.target_precision,
            self.n_train,
            self.exponent,
            self.level,
            self.limit_level,
        )
        goals.check()
        return goals

    def _check(self) -> None:
        """What excludes each other, and what has to be there."""
        if (self.generator is None) == (not self.members_at):
            got = "both" if self.members_at else "neither"
            fix = "name the function that trains, or give files of members"
            raise InputError("--generator and --members-at", "one of them", got, fix)
        trains = {"--parts": self.parts, "--n-gen": self.n_gen, "--timeout": self.timeout}
        idle = [name for name, value in trains.items() if value is not None]
        if self.generator is None and idle:
            fix = "drop it: these members are trained"
            raise InputError(idle[0], "to go with --generator", "--members-at", fix)
        if self.no_differential and self.exponent is not None:
            fix = "drop one: it is that of the distance event by event"
            raise InputError("--exponent", "no --no-differential", "both", fix)
        if self.workers is not None and self.workers < 1:
            raise InputError("--workers", "at least 1", str(self.workers), "1 is the default")
        if self.generator is not None and self.holdout is not None:
            fix = "drop it: each training is tested on the events it has not seen"
            raise InputError("--holdout", "to go with --members-at", "a --generator", fix)
        if self.train is None and self.holdout is None:
            fix = "name their file"
            raise InputError("--train", "the training events", "nothing", fix)
        if self.holdout is not None and self.n_train is None:
            fix = "say for how many training events the forecast is"
            raise InputError("--n-train", "a number beside --holdout", "nothing", fix)
        if self.bins is not None and self.regions is not None:
            raise InputError("--bins and --regions", "one of them", "both", "drop one")
        if self.bins is not None and self.bins < 2:
            raise InputError("--bins", "at least 2", str(self.bins), "10 are usual")

    def _check_size(self, n: int) -> None:
        """Whether members at hand fit into the training events, before hours of reading."""
        for size, files in _sizes(self.members_at):
            if self.holdout is None and size * len(files) > n:
                expected = f"{len(files)} times {size} of the events of --train"
                fix = "give the --train they were trained on, or a --holdout"
                raise InputError(f"--members-at {size}", expected, f"{n} events", fix)

    def _read(self) -> "Data":
        """The true events: those that were trained on, or the holdout."""
        from amplify.commands.true_events import chosen
        from amplify.tables import files

        table = files.open_sample((self.holdout or self.train) or ())
        try:
            asked = chosen(
                table, self.columns, self.weight_column, drop_nonfinite=self.drop_nonfinite
            )
            selection = asked.selection
            if self.members_at and self.holdout is None and selection.dropped:
                got = f"{selection.dropped} that are left out (--drop-nonfinite)"
                expected = "every event that the members may have learned from"
                fix = "give the events they were trained on, or a --holdout"
                raise InputError(table.source, expected, got, fix)
            events, x = asked.load()
            return Data(
                source=table.source,
                x=x,
                weight=events.weight,
                names=selection.names,
                described=files.describe(selection),
                ignored=asked.ignored,
                notes=asked.notes("true events"),
            )
        finally:
            table.close()

    def _regions(self, names: Sequence[str]) -> Any:
        from amplify.regions.cuts import as_regions, read_cuts

        return None if self.regions is None else as_regions(read_cuts(self.regions), names)

    def _announce(self, directory: Path, plan: "Plan", data: "Data") -> None:
        from amplify.commands.dry_run import tell
        from amplify.commands.output import say

        n = len(data.x)
        sizes = [(plan.size(n, part), plan.count(part)) for part in plan.parts]
        made = ", ".join(f"{count} on {size:,}" for size, count in sizes)
        total = sum(count for _, count in sizes)
        say(f"{data.source}: {n:,} training events, columns {', '.join(data.names)}")
        say(f"{self.generator}: {total} trainings, {made} events each,")
        say(f"into {directory / 'members'}. Nothing was trained or written.")
        plans: dict[str, Any] = {"dry_run": True, "generator": self.generator, "n_train": n}
        tell(plans | {"trainings": [list(size) for size in sizes]}, self.json_to)

    def _trained(
        self, directory: Path, plan: "Plan", data: "Data"
    ) -> tuple[Iterator["Trained"], list[str]]:
        """Trains what is not trained yet, one size after the other."""
        import sys

        from amplify.commands.output import say
        from amplify.external.supervise import train_members
        from amplify.progress import progress_bar

        n, where, notes = len(data.x), directory / "members", []
        total = sum(plan.count(part) for part in plan.parts)
        if sys.stderr.isatty():
            what = f"{total} trainings of {self.generator} on parts of {n} events into {where}"
            say(f"{what}; --out {directory} continues an interrupted run")
        made: list[tuple[int, Any]] = []
        lost: list[NeedsMembersError] = []
        for part in plan.parts:
            count, size = plan.count(part), plan.size(n, part)
            try:
                with progress_bar(f"{count} trainings on {size} events", total=count) as bar:
                    done = train_members(
                        where / f"part_{part}",
                        str(self.generator),
                        data.x,
                        data.weight,
                        members=count,
                        n_gen=plan.generated(n, part),
                        seed=plan.seed,
                        columns=data.names,
                        resample=f"1/{part}",
                        timeout=self.timeout,
                        workers=1 if self.workers is None else self.workers,
                        progress=bar.count,
                    )
            except NeedsMembersError as error:  # of this size; others may be enough
                lost.append(error)
                notes.append(f"trainings on {size} events are left out: {error}")
                say(f"warning: {notes[-1]}")
                continue
            for failure in done.failed:
                who = f"training {failure['member']} on {size} events failed"
                notes.append(f"{who} and is left out: {failure['reason']}")
                say(f"warning: {notes[-1]}")
            made.append((part, done))
        if len(made) < 2:  # no slope in one size
            raise lost[-1]
        return _of_parts(plan, n, made), notes

    def _from_files(self, data: "Data") -> Iterator["Trained"]:
        """Members that were trained elsewhere."""
        from amplify.analysis.subsample_trainings import Trained
        from amplify.tables import files

        for size, sources in _sizes(self.members_at):
            for place, source in enumerate(sources):
                seen = slice(place * size, (place + 1) * size)
                table = files.open_sample(source)
                columns = self.columns or data.names
                selection = files.select(
                    table, columns, self.weight_column, drop_nonfinite=self.drop_nonfinite
                )
                events = files.load(selection)
                table.close()
                yield Trained(size, None if self.holdout is not None else seen, events)

    def _told(self, forecast: Any, data: "Data", notes: Sequence[str]) -> Any:
        """With what was asked and read."""
        from dataclasses import replace

        asked = {
            "train": self.train,
            "holdout": self.holdout,
            "generator": self.generator,
            "members_at": self.members_at,
            "regions": self.regions,
            "bins": self.bins,
            "parts": self.parts,
            "trainings": self.trainings,
            "n_gen": self.n_gen,
            "timeout": self.timeout,
            "no_differential": self.no_differential,
            "columns_ignored": data.ignored,
            "weight_column": self.weight_column,
            "drop_nonfinite": self.drop_nonfinite,
        }
        return replace(
            forecast,
            settings={**forecast.settings, **asked},
            inputs=(data.described,),
            warnings=(*data.notes, *notes, *forecast.warnings),
        )


class Data(NamedTuple):
    """The true events.

    Attributes:
        source: their name.
        x: events [n, dim].
        weight: of them, or None.
        names: of the columns.
        described: what results.json says of the file.
        ignored: columns that are no physics.
        notes: warnings.
    """

    source: str
    x: Any
    weight: Any
    names: list[str]
    described: dict[str, Any]
    ignored: dict[str, str]
    notes: list[str]


def _sizes(members_at: Sequence[Sequence[str]]) -> list[tuple[int, list[str]]]:
    """Training events, and files of the members that had so many."""
    from amplify.tables.sources import listed_sources

    found = []
    for words in members_at:
        what = "--members-at"
        size = _whole(words[0]) if words else None
        if size is None or size < 2:
            got = words[0] if words else "nothing"
            fix = "such as --members-at 1000 a.npy b.npy"
            raise InputError(what, "a number of training events, then files", got, fix)
        files = listed_sources(list(words[1:]))
        if len(files) < 2:
            fix = "a spread needs two of each size"
            raise InputError(f"{what} {size}", "at least 2 files", str(len(files)), fix)
        found.append((size, files))
    sizes = [size for size, _ in found]
    if found and len(set(sizes)) < max(2, len(sizes)):
        fix = "repeat it with other numbers of training events"
        got = ", ".join(map(str, sizes))
        raise InputError("--members-at", "two different sizes or more, each once", got, fix)
    return found


def _whole(word: str) -> int | None:
    """10000 or 1e4; None for anything else."""
    try:
        value = float(word)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _of_parts(plan: "Plan", n: int, made: Sequence[tuple[int, Any]]) -> Iterator["Trained"]:
    """The files of trained members, opened one after the other."""
    from amplify.analysis.subsample_trainings import Trained
    from amplify.external.protocol import training_rows
    from amplify.tables import files

    for part, done in made:
        for path in done.files:
            member = int(path.stem.removeprefix("member_"))
            table = files.open_table(str(path))
            events = files.load(files.select(table, None, done.weight_column))
            table.close()
            rows = training_rows(n, member, plan.seed, f"1/{part}")
            yield Trained(plan.size(n, part), rows, events)
