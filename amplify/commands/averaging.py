"""`amplify averaging`: generated events of several trained networks, from files or trained here, to
a verdict per region.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amplify.commands.arguments import Count, Dask, Figures, Json, MembersAre, check_seed
from amplify.errors import InputError
from amplify.tables.opening import MAX_GB, opening

if TYPE_CHECKING:
    from amplify.analysis.questions import AveragingQuestion


@dataclass(frozen=True)
class Averaging:
    """How many true events generated samples are worth, from the spread between members: several
    trainings of one generator.

    Members are files, one per network trained on a bootstrap sample of the training events, or
    --generator trains them here.

    In a shell:
        amplify averaging --members gen_*.npy --n-train 10000 --holdout test.npy
        amplify averaging --members run0.root:Events run1.root:Events --n-train 10000
            --columns MET_pt "ht=log(HT)" --weight-column genWeight
        amplify averaging --members m0.parquet m1.parquet --n-train 10000 --regions cuts.yaml
            --json - | jq .estimates
        amplify averaging --members gen_*.npy --same-data same_*.npy --n-train 10000 --forecast
        amplify averaging --generator my_package.flow:fit --train train.npy --members 8 --out run
        amplify averaging --generator my_package.flow:fit --train train.npy --cuts cuts.yaml

    cuts.yaml holds a region a line: "tail: pt > 400 and abs(eta) < 2.5".
    """

    members: tuple[str, ...] = ()
    """One source of generated events per member: .npy, .npz, .h5, .parquet or .root;
    FILE:path/inside picks a data set or tree; a quoted glob is one sample. With --generator: how
    many to train, default 8."""
    n_train: Count | None = None
    """Training events of one member; with --generator they are counted."""
    generator: str | None = None
    """package.module:function, a function fit(x_train, seed) -> sample(n, seed) in any framework;
    trained in a process of its own for each member."""
    train: tuple[str, ...] | None = None
    """The training events: generated or held-out events that are among them are found. With
    --generator each member learns from a bootstrap sample of them."""
    n_gen: Count | None = None
    """With --generator: events per member; default 100000, or ten times the training events if
    that is more."""
    timeout: float | None = None
    """With --generator: seconds after which the training of a member is given up."""
    workers: int | None = None
    """With --generator: members trained at the same time; default 1."""
    cuts: Path | None = None
    """With --generator: YAML or JSON file of the cuts that the training events have passed, all of
    its lines. Members are trained in rounds that complete the data with generated events that fail
    the cuts, and generate events that pass."""
    rounds: int = 8
    """With --cuts: rounds of completion, each a training of its own."""
    columns: tuple[str, ...] | None = None
    """Columns to look at, or expressions such as "pt=sqrt(px**2 + py**2)"; columns without names
    are x0, x1, ... Default all."""
    regions: Path | None = None
    """YAML or JSON file of regions, - for standard input. Default: ten equiprobable bins of each
    column and its tails."""
    bins: int | None = None
    """This many equiprobable bins of each column instead."""
    map: tuple[str, str] | None = None
    """Two columns for the map of G; default the first two."""
    condition: str | None = None
    """A column that was given to the generator, such as the incident energy: everything is compared
    at the same value of it, in regions of it."""
    condition_bins: Count | None = None
    """This many equiprobable bins of the condition, instead of its values or ten bins."""
    observables: str | None = None
    """FILE.py:function or package.module:function, which makes columns of the arrays of a sample,
    function(events) -> {name: numbers}. Without --columns these are looked at, and nothing else."""
    holdout: tuple[str, ...] | None = None
    """True events that were not used in training: shows biases that all members share."""
    same_data: tuple[str, ...] | None = None
    """One source per member that was trained on the training events as they are, all on the same:
    they turn the limit on what the pool of the members is worth into a value."""
    refits: tuple[str, ...] | None = None
    """One source per member that was trained on events which --members generated, as many as a
    member learned from; with --generator: how many of them to train. What they miss includes the
    bias that regularisation makes, without a holdout."""
    members_are: MembersAre = None
    """How the members come to differ; the page then says how members of this kind fared where truth
    is known. With --generator they are bootstraps."""
    forecast: bool = False
    """Also say what a member is worth event by event, without a holdout: each is compared with the
    pool of the others; with --generator also with the training events that its bootstrap sample
    left out."""
    weight_column: str | None = None
    """Column, or expression, with event weights; negative ones are honoured."""
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    follow_links: bool = False
    """Also read the files that an HDF5 file points to; they are listed among the inputs."""
    max_gb: float = MAX_GB
    """A file that claims more GB of numbers, and is a hundred times smaller, is refused."""
    level: float = 0.68
    """Confidence level of the two-sided intervals."""
    limit_level: float = 0.95
    """Confidence level of limits, "more than" and "fewer than", which are one-sided."""
    seed: int = 0
    """Of the bootstrap and the trainings; with files nothing is random."""
    dask: Dask = None
    """Train and count on the workers of a Dask cluster: local, local:4, the address of a scheduler,
    or a YAML file of a batch system (docs, On a batch system). The results are the same."""
    dry_run: bool = False
    """Only say what would be read and how long it may take."""
    labels: Path | None = None
    """YAML file of names and units for the pictures, 'pt: {label: "$p_T$", unit: GeV}'; default
    the attributes label and unit of HDF5 data sets."""
    figures: Figures = None
    """Also write the figures of the page as files of this kind, into OUT/figures."""
    out: Path | None = None
    """Directory for results.json, report.html and the tables; default
    amplify-runs/averaging-<time>. With --generator, the same directory continues a run."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import out_directory
        from amplify.commands.workers import on_workers

        check_seed(self.seed)
        held = out_directory("averaging", self.out, self.json_to, dry_run=self.dry_run)
        reading = opening(follow_links=self.follow_links, max_gb=self.max_gb)
        workers = on_workers(self.dask, workers=self.workers, dry_run=self.dry_run)
        with held as directory, reading, workers:
            self._run(directory, command)

    def _run(self, directory: Path, command: str) -> None:
        """The same into the directory, which is held for it."""
        from amplify.analysis.averaging import answer
        from amplify.commands.labels import labels_for, with_labels
        from amplify.commands.output import publish
        from amplify.progress import progress_bar

        if self.generator is not None:
            self._run_training(directory, command)
            return
        self._check_files()
        if self.dry_run:
            self._announce()
            return
        labels = labels_for(self.labels, self.members)
        result = answer(self._question(), self.members, self.holdout, progress=progress_bar)
        result = with_labels(result, labels).with_command(command)
        publish(result, directory, self.json_to, self.figures)

    def _run_training(self, directory: Path, command: str) -> None:
        """Trains the members first."""
        from dataclasses import replace

        from amplify.analysis.averaging import answer
        from amplify.analysis.unseen import unseen_views
        from amplify.commands.labels import labels_for, with_labels
        from amplify.commands.output import publish
        from amplify.commands.refits import number_of_refits, train_refits
        from amplify.commands.training import Training, check_before_training, train
        from amplify.progress import progress_bar

        if self.members_are not in (None, "bootstrap"):
            expected, fix = "members from files", "drop it: those trained here are bootstraps"
            raise InputError("--members-are", expected, self.members_are or "", fix)
        training = Training(
            generator=str(self.generator),
            train=self.train,
            members=self.members,
            n_train=self.n_train,
            n_gen=self.n_gen,
            timeout=self.timeout,
            workers=1 if self.workers is None else self.workers,
            seed=self.seed,
            weight_column=self.weight_column,
            columns=self.columns,
            drop_nonfinite=self.drop_nonfinite,
            cuts=self.cuts,
            rounds=self.rounds,
        )
        labels = labels_for(self.labels, self.train or ())
        count = number_of_refits(self.refits)
        question = replace(self._question(), refits=None)
        check_before_training(question, self.holdout, self.train, self.cuts)
        trained = train(directory, training, self.json_to, dry_run=self.dry_run)
        if trained is None:
            return
        # expressions of the training file are columns of the members
        of_members = replace(
            question,
            n_train=trained.n_train,
            columns=None,
            weight_column=trained.weight_column,
            refits=train_refits(directory, training, trained, count) if count else None,
            train=None if "-" in (self.train or ()) else self.train,  # it was read
        )
        result = answer(
            of_members,
            trained.members,
            self.holdout,
            failed=trained.failed,
            bootstraps=True,
            notes=trained.notes,
            progress=progress_bar,
        )
        settings = {**result.settings, "columns_ignored": trained.ignored, **trained.completion}
        views = dict(result.views)
        if self.forecast:
            views |= unseen_views(directory / "members", trained.members, self.limit_level)
        result = replace(result, settings=settings, views=views)
        result = with_labels(result, labels).with_command(command)
        publish(result, directory, self.json_to, self.figures)

    def _question(self) -> "AveragingQuestion":
        from amplify.analysis.questions import AveragingQuestion
        from amplify.external.observables import observables_of

        return AveragingQuestion(
            n_train=self.n_train or 0,
            columns=self.columns,
            regions=self.regions,
            bins=self.bins,
            map=self.map,
            weight_column=self.weight_column,
            holdout_columns=self.columns,
            holdout_weight=self.weight_column,
            train=self.train,
            same_data=self.same_data,
            refits=self.refits,
            forecast=self.forecast,
            members_are=self.members_are,
            condition=self.condition,
            condition_bins=self.condition_bins,
            observables=observables_of(self.observables),
            drop_nonfinite=self.drop_nonfinite,
            follow_links=self.follow_links,
            max_gb=self.max_gb,
            level=self.level,
            limit_level=self.limit_level,
            seed=self.seed,
        )

    def _announce(self) -> None:
        from contextlib import ExitStack

        from amplify.analysis.cost import averaging_cost
        from amplify.analysis.opened_members import prepare
        from amplify.commands import dry_run

        with ExitStack() as opened:
            prepared = prepare(self._question(), self.members, self.holdout, opened, dry_run=True)
            layout = prepared.layout
            forecast = averaging_cost(prepared.selections, layout.regions, layout.estimated)
            dry_run.announce(prepared.selections, forecast, len(layout.estimated), self.json_to)

    def _check_files(self) -> None:
        if self.n_train is None:
            expected = "the number of training events of one member"
            fix = "give it; only --generator can count them"
            raise InputError("--n-train", expected, "nothing", fix)
        if self.cuts is not None:
            expected, fix = "to go with --generator", "cut the events where they are written"
            raise InputError("--cuts", expected, "members from files", fix)
        if self.n_gen or self.timeout:
            what = "--n-gen and --timeout"
            fix = "drop them, or name a --generator"
            raise InputError(what, "to go with --generator", "members from files", fix)
