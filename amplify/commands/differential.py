"""`amplify differential`: generated events and a holdout of true ones, from files to a verdict per
region.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from amplify.commands.arguments import Count, Dask, Figures, Json, check_seed
from amplify.tables.opening import MAX_GB, opening

if TYPE_CHECKING:
    from amplify.analysis.questions import DifferentialQuestion


@dataclass(frozen=True)
class Differential:
    """How many true events a trained generator is worth, from a test of its events against a
    holdout; no averaging over volumes, one network.

    In a shell:
        amplify differential --generated gen.npy --holdout test.npy --n-train 10000
            --train train.npy
        amplify differential --generated "gen_*.parquet" --holdout test.parquet --n-train 10000
            --columns pt eta mass --weight-column w
        amplify differential --generated gen.h5:events --holdout test.h5:events --n-train 10000
            --regions cuts.yaml --summary column:mass
        amplify differential --generated gen_*.npy --members same-data --holdout test.npy
            --n-train 10000
        my_generator | amplify differential --generated - --holdout test.npy --n-train 10000
            --json -
    """

    generated: tuple[str, ...]
    """Generated events, as many as there are; they stream. .npy, .npz, .h5, .parquet or .root,
    several or a quoted glob; FILE:path/inside picks a data set or tree; - is standard input."""
    holdout: tuple[str, ...]
    """True events that were not used in training."""
    n_train: Count
    """Training events of the generator."""
    members: Literal["bootstrap", "same-data"] | None = None
    """Each source of --generated is a member, a training of its own, on bootstrap samples or all on
    the same events. They are judged together, as the pool that draws each event from one of them,
    and one by one; and without the holdout, each against the pool of the others."""
    summary: str = "classifier"
    """One number per event: classifier (learned likelihood ratio), mlp or trees (other learners),
    column:NAME, or ratio:NAME for a column that is log p_generated / p_true."""
    train: tuple[str, ...] | None = None
    """The training events: to refuse a holdout that shares events with them, and to count those in
    each region."""
    columns: tuple[str, ...] | None = None
    """Columns to learn from and to cut on, or expressions such as "pt=sqrt(px**2 + py**2)"; default
    all."""
    log_prob_column: str | None = None
    """Column, in both files, with the generator's log density: the learned ratio sees more with
    it."""
    regions: Path | None = None
    """YAML or JSON file of regions, - for standard input; both samples are cut to each. Default:
    everything, bulk and tails."""
    bins: int | None = None
    """This many equiprobable bins of each column instead; each needs holdout events, and a learned
    ratio of its own."""
    map: tuple[str, str] | None = None
    """Two columns for the map of generated over true events; default the first two."""
    condition: str | None = None
    """A column that was given to the generator, such as the incident energy: everything is compared
    at the same value of it, in regions of it."""
    condition_bins: Count | None = None
    """This many equiprobable bins of the condition, instead of its values or ten bins."""
    observables: str | None = None
    """FILE.py:function or package.module:function, which makes columns of the arrays of a sample,
    function(events) -> {name: numbers}. Without --columns these are looked at, and nothing else."""
    fraction: float = 1 / 3
    """Part of the holdout that teaches a learned ratio; the rest is tested."""
    cross_fit: bool = False
    """Also test every holdout event, by a ratio that the others taught; sees more, and takes
    minutes for 200 null experiments."""
    approximate: float | None = None
    """Test all of a holdout that memory cannot hold, in one pass: observables are known by values
    that stand for it, and distances are off by this at most, such as 1e-4, which intervals allow
    for."""
    weight_column: str | None = None
    """Column, or expression, with event weights, in one or both files; negative ones are
    honoured."""
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    follow_links: bool = False
    """Also read the files that an HDF5 file points to; they are listed among the inputs."""
    max_gb: float = MAX_GB
    """A file that claims more GB of numbers, and is a hundred times smaller, is refused."""
    level: float = 0.68
    """Confidence level of the two-sided intervals."""
    limit_level: float = 0.95
    """Confidence level of limits, "more than" and "fewer than", which are one-sided; a learned
    ratio claims nothing else."""
    seed: int = 0
    """Of the split of the holdout and the learner."""
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
    """Directory for results.json, report.html and the tables; default
    amplify-runs/differential-<time>."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import out_directory
        from amplify.commands.workers import on_workers

        check_seed(self.seed)
        held = out_directory("differential", self.out, self.json_to, dry_run=self.dry_run)
        reading = opening(follow_links=self.follow_links, max_gb=self.max_gb)
        workers = on_workers(self.dask, dry_run=self.dry_run)
        with held as directory, reading, workers:
            self._run(directory, command)

    def _run(self, directory: Path, command: str) -> None:
        """The same into the directory, which is held for it."""
        from amplify.analysis.differential_answer import answer
        from amplify.analysis.questions import DifferentialQuestion
        from amplify.commands.labels import labels_for, with_labels
        from amplify.commands.output import publish
        from amplify.external.observables import observables_of
        from amplify.progress import progress_bar

        question = DifferentialQuestion(
            n_train=self.n_train,
            members=self.members,
            summary=self.summary,
            train=self.train,
            columns=self.columns,
            log_prob_column=self.log_prob_column,
            weight_column=self.weight_column,
            regions=self.regions,
            bins=self.bins,
            map=self.map,
            condition=self.condition,
            condition_bins=self.condition_bins,
            observables=observables_of(self.observables),
            fraction=self.fraction,
            cross_fit=self.cross_fit,
            approximate=self.approximate,
            drop_nonfinite=self.drop_nonfinite,
            follow_links=self.follow_links,
            max_gb=self.max_gb,
            level=self.level,
            limit_level=self.limit_level,
            seed=self.seed,
        )
        if self.dry_run:
            self._announce(question)
            return
        labels = labels_for(self.labels, self.holdout)
        result = answer(question, self.generated, self.holdout, progress=progress_bar)
        result = with_labels(result, labels).with_command(command)
        publish(result, directory, self.json_to, self.figures)

    def _announce(self, question: "DifferentialQuestion") -> None:
        from contextlib import ExitStack

        from amplify.analysis.differential_answer import prepare
        from amplify.commands import dry_run

        with ExitStack() as opened:
            prepared = prepare(question, self.generated, self.holdout, opened, dry_run=True)
            dry_run.announce(
                [prepared.read.generated, prepared.read.holdout],
                prepared.forecast,
                len(prepared.regions.labels),
                self.json_to,
            )
