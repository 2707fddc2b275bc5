"""`amplify compare`: several generators against one holdout, in every statistic of the field and in
one unit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from amplify.commands.arguments import Count, Dask, Figures, Json, check_seed
from amplify.errors import InputError
from amplify.tables.opening import MAX_GB, opening

if TYPE_CHECKING:
    from amplify.analysis.compare_question import CompareQuestion

Generated = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction]


@dataclass(frozen=True)
class Compare:
    """Which generator is closest to the truth, and what is each worth: two-sample statistics of
    generated events against a holdout, each with a p-value and in equivalent true events.

    In a shell:
        amplify compare --generated flow.npy --generated diffusion.h5:events --holdout test.npy
            --n-train 10000
        amplify compare --generated flow.npy --generated gan.npy --holdout test.npy
            --n-train 10000 20000 --names flow GAN --train train.npy
            --statistics mean_ks sliced_wasserstein auc
        amplify compare --generated "stream_*.npy" --holdout reference.npy --n-train 10000
            --batches 1000 --false-alarms .001
    """

    generated: Generated
    """Generated events of one generator: a file, several or a quoted glob; .npy, .npz, .h5,
    .parquet or .root, FILE:path/inside picks a data set or tree. Repeat it for each generator."""
    holdout: tuple[str, ...]
    """True events that were not used in training."""
    n_train: tuple[Count, ...]
    """Training events: one number for all generators, or one each."""
    names: tuple[str, ...] | None = None
    """What the generators are called; default the names of their files."""
    statistics: tuple[str, ...] | None = None
    """Names of statistics, such as mean_ks sliced_wasserstein gaussian_mmd auc; default all."""
    train: tuple[str, ...] | None = None
    """The training events: to find out whether generated events are copies of them, and to refuse
    a holdout that shares events with them."""
    columns: tuple[str, ...] | None = None
    """Columns to compare, or expressions such as "pt=sqrt(px**2 + py**2)"; default all."""
    weight_column: str | None = None
    """Column, or expression, with event weights, in some or all files."""
    observables: str | None = None
    """FILE.py:function or package.module:function, which makes columns of the arrays of a sample,
    function(events) -> {name: numbers}. Without --columns these are compared, and nothing else."""
    permutations: Count = 1000
    """Relabellings of the events for p-values and errors; the smallest p is one over these."""
    most: Count = 5000
    """Events of each sample that enter permutations and learning at most."""
    batches: Count | None = None
    """Take the one generated sample as a stream of so many batches, in the order of its events,
    and test each against the holdout."""
    false_alarms: float = 0.001
    """With --batches: the rate of alarms among batches like the holdout."""
    no_local: bool = False
    """Do not look for the places where the generators are wrong."""
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    follow_links: bool = False
    """Also read the files that an HDF5 file points to; they are listed among the inputs."""
    max_gb: float = MAX_GB
    """A file that claims more GB of numbers, and is a hundred times smaller, is refused."""
    level: float = 0.68
    """Confidence level of the two-sided intervals."""
    limit_level: float = 0.95
    """Confidence level of limits, which are one-sided; one less it is the false-alarm rate at which
    a statistic notices a distortion."""
    seed: int = 0
    """Of permutations, directions, centres and splits."""
    dask: Dask = None
    """Count on the workers of a Dask cluster: local, local:4, the address of a scheduler, or a YAML
    file of a batch system (docs, On a batch system). The results are the same."""
    dry_run: bool = False
    """Only say what would be read and how long it may take."""
    labels: Path | None = None
    """YAML file of names and units for the pictures, 'pt: {label: "$p_T$", unit: GeV}'; default
    the attributes label and unit of HDF5 data sets."""
    figures: Figures = None
    """Also write the figures of the page as files of this kind, into OUT/figures."""
    out: Path | None = None
    """Directory for results.json, report.html and the tables; default amplify-runs/compare-<time>.
    """
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import out_directory
        from amplify.commands.workers import on_workers

        check_seed(self.seed)
        held = out_directory("compare", self.out, self.json_to, dry_run=self.dry_run)
        reading = opening(follow_links=self.follow_links, max_gb=self.max_gb)
        workers = on_workers(self.dask, dry_run=self.dry_run)
        with held as directory, reading, workers:
            self._run(directory, command)

    def _run(self, directory: Path, command: str) -> None:
        """The same into the directory, which is held for it."""
        from amplify.analysis.compare_answer import answer
        from amplify.commands.labels import labels_for, with_labels
        from amplify.commands.output import publish
        from amplify.progress import progress_bar

        question = self._question()
        if self.dry_run:
            self._announce(question)
            return
        labels = labels_for(self.labels, self.holdout)
        result = answer(question, self.generated, self.holdout, progress=progress_bar)
        result = with_labels(result, labels).with_command(command)
        publish(result, directory, self.json_to, self.figures)

    def _question(self) -> "CompareQuestion":
        from amplify.analysis.compare_question import CompareQuestion, of_each
        from amplify.external.observables import observables_of

        if not self.generated:
            fix = "give --generated FILE for each generator"
            raise InputError("--generated", "at least one sample", "none", fix)
        return CompareQuestion(
            n_train=of_each(self.n_train, len(self.generated)),
            names=self._names(),
            statistics=self.statistics,
            train=self.train,
            columns=self.columns,
            weight_column=self.weight_column,
            observables=observables_of(self.observables),
            permutations=self.permutations,
            most=self.most,
            batches=self.batches,
            false_alarms=self.false_alarms,
            local=not self.no_local,
            drop_nonfinite=self.drop_nonfinite,
            follow_links=self.follow_links,
            max_gb=self.max_gb,
            level=self.level,
            limit_level=self.limit_level,
            seed=self.seed,
        )

    def _names(self) -> tuple[str, ...]:
        from amplify.analysis.compare_question import checked_names, names_of_files

        if self.names is None:
            return names_of_files(self.generated)
        return checked_names(self.names, len(self.generated))

    def _announce(self, question: "CompareQuestion") -> None:
        from contextlib import ExitStack

        from amplify.analysis.compare_answer import cost_of
        from amplify.analysis.compare_samples import open_samples
        from amplify.commands import dry_run

        question.check()
        with ExitStack() as opened:
            read = open_samples(question, self.generated, self.holdout, opened)
            more: list[Any] = [
                f"{len(question.chosen)} statistics, {self.permutations} permutations"
            ]
            dry_run.announce(read.every, cost_of(question, read), 1, self.json_to, more=more)
