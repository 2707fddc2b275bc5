"""The command line. Thin, and without JAX until a command runs, so that --help is instant.

Every error is one line on standard error, `error: <what>: expected ..., got ...; <what to do>`,
with exit code 2.
"""

import contextlib
import io
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amplify.errors import AmplifyError, InputError


def _count(text: str) -> int:
    """10000 or 1e4."""
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if not float(text).is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(float(text))


_COUNT = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="INT",
    instance_from_str=lambda words: _count(words[0]),
    is_instance=lambda x: isinstance(x, int),
    str_from_instance=lambda n: [str(n)],
)
Count = Annotated[int, _COUNT]
Json = Annotated[str | None, tyro.conf.arg(name="json", metavar="-|FILE")]


@dataclass(frozen=True)
class Demo:
    """Known truth: a 2-D Gaussian ring, bootstrap ensemble of spline flows, estimate next to the
    actual error. Forty seconds.

    Example: amplify demo --seed 1
    """

    out: Path | None = None
    """Directory for results.json and report.html; default amplify-runs/demo-<time>."""
    seed: int = 0
    """The same seed gives the same numbers on the same machine."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.demo import demo
        from amplify.commands.output import out_directory

        _check_seed(self.seed)
        demo(out_directory("demo", self.out, self.json_to), self.seed, self.json_to)


@dataclass(frozen=True)
class Averaging:
    """How many true events generated samples are worth, from the spread between members: several
    trainings of one generator.

    Members are files, one per network trained on a bootstrap sample of the training events, or
    --generator trains them here.

    In a shell:
        amplify averaging --members gen_*.npy --n-train 10000 --holdout test.npy
        amplify averaging --members run0.root:Events run1.root:Events --n-train 10000 --columns MET_pt "ht=log(HT)" --weight-column genWeight
        amplify averaging --members m0.parquet m1.parquet --n-train 10000 --regions cuts.yaml --json - | jq .estimates
        amplify averaging --generator my_package.flow:fit --train train.npy --members 8 --timeout 3600 --out run

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
    trained in a process of its own for each member.
    """
    train: tuple[str, ...] | None = None
    """With --generator: the training events; each member learns from a bootstrap sample of them."""
    n_gen: Count | None = None
    """With --generator: events per member; default 100000, or ten times the training events if that
    is more.
    """
    timeout: float | None = None
    """With --generator: seconds after which the training of a member is given up."""
    workers: int = 1
    """With --generator: members trained at the same time."""
    columns: tuple[str, ...] | None = None
    """Columns to look at, or expressions such as "pt=sqrt(px**2 + py**2)"; columns without names
    are x0, x1, ... Default all.
    """
    regions: Path | None = None
    """YAML or JSON file of regions, - for standard input. Default: ten equiprobable bins of each
    column and its tails.
    """
    bins: int | None = None
    """This many equiprobable bins of each column instead."""
    map: tuple[str, str] | None = None
    """Two columns for the map of G; default the first two."""
    holdout: tuple[str, ...] | None = None
    """True events that were not used in training: shows biases that all members share."""
    weight_column: str | None = None
    """Column, or expression, with event weights; negative ones are honoured."""
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    level: float = 0.68
    """Confidence level of the intervals."""
    seed: int = 0
    """Of the bootstrap and the trainings; with files nothing is random."""
    dry_run: bool = False
    """Only say what would be read and how long it may take."""
    out: Path | None = None
    """Directory for results.json, report.html and the tables; default
    amplify-runs/averaging-<time>. With --generator, the same directory continues a run.
    """
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.analysis.averaging import Request, averaging, check_later
        from amplify.commands.external import Training, train
        from amplify.commands.output import out_directory

        _check_seed(self.seed)
        directory = out_directory("averaging", self.out, self.json_to)
        request = Request(
            self.members,
            self.n_train or 0,
            self.columns,
            self.regions,
            self.bins,
            self.map,
            self.holdout,
            self.columns,
            self.weight_column,
            self.weight_column,
            self.drop_nonfinite,
            self.level,
            self.seed,
        )
        if self.generator is None:
            self._check_files()
            averaging(directory, self.json_to, request, command, dry_run=self.dry_run)
            return
        training = Training(
            self.generator,
            self.train,
            self.members,
            self.n_train,
            self.n_gen,
            self.timeout,
            self.workers,
            self.seed,
            self.weight_column,
            self.columns,
            self.drop_nonfinite,
        )
        check_later(
            request, self.train
        )  # hours of training should not end in a file of regions that is not there
        trained = train(directory, training, self.json_to, dry_run=self.dry_run)
        if trained is not None:
            request = request._replace(
                members=trained.members,
                n_train=trained.n_train,
                columns=None,
                weight_column=trained.weight_column,
            )
            averaging(
                directory,
                self.json_to,
                request,
                command,
                failed=trained.failed,
                notes=trained.notes,
            )

    def _check_files(self) -> None:
        if self.n_train is None:
            raise InputError(
                "--n-train",
                "the number of training events of one member",
                "nothing",
                "give it; only --generator can count them",
            )
        if self.train or self.n_gen or self.timeout:
            raise InputError(
                "--train, --n-gen and --timeout",
                "to go with --generator",
                "members from files",
                "drop them, or name a --generator",
            )


@dataclass(frozen=True)
class Differential:
    """How many true events a trained generator is worth, from a test of its events against a
    holdout; no averaging over volumes, one network.

    In a shell:
        amplify differential --generated gen.npy --holdout test.npy --n-train 10000 --train train.npy
        amplify differential --generated "gen_*.parquet" --holdout test.parquet --n-train 10000 --columns pt eta mass --weight-column w
        amplify differential --generated gen.h5:events --holdout test.h5:events --n-train 10000 --regions cuts.yaml --summary column:mass
        my_generator | amplify differential --generated - --holdout test.npy --n-train 10000 --json
        -
    """

    generated: tuple[str, ...]
    """Generated events, as many as there are; they stream. .npy, .npz, .h5, .parquet or .root,
    several or a quoted glob; FILE:path/inside picks a data set or tree; - is standard input."""
    holdout: tuple[str, ...]
    """True events that were not used in training."""
    n_train: Count
    """Training events of the generator."""
    summary: str = "classifier"
    """One number per event: classifier (learned likelihood ratio), mlp or trees (other learners),
    column:NAME, or ratio:NAME for a column that is log p_generated / p_true."""
    train: tuple[str, ...] | None = None
    """The training events: to refuse a holdout that shares events with them, and to count those in
    each region.
    """
    columns: tuple[str, ...] | None = None
    """Columns to learn from and to cut on, or expressions such as "pt=sqrt(px**2 + py**2)"; default
    all.
    """
    log_prob_column: str | None = None
    """Column, in both files, with the generator's log density: the learned ratio sees more with it.
    """
    regions: Path | None = None
    """YAML or JSON file of regions, - for standard input; both samples are cut to each. Default:
    everything, bulk and tails.
    """
    bins: int | None = None
    """This many equiprobable bins of each column instead; each needs holdout events, and a learned
    ratio of its own.
    """
    map: tuple[str, str] | None = None
    """Two columns for the map of generated over true events; default the first two."""
    fraction: float = 1 / 3
    """Part of the holdout that teaches a learned ratio; the rest is tested."""
    cross_fit: bool = False
    """Also test every holdout event, by a ratio that the others taught; sees more, and takes
    minutes for 200 null experiments.
    """
    weight_column: str | None = None
    """Column, or expression, with event weights, in one or both files; negative ones are honoured.
    """
    drop_nonfinite: bool = False
    """Leave out events with nan or infinite values, and say how many, instead of refusing them."""
    level: float | None = None
    """Confidence level: default .68, or .90 for the one-sided limit of a learned ratio."""
    seed: int = 0
    """Of the split of the holdout and the learner."""
    dry_run: bool = False
    """Only say what would be read and how long it may take."""
    out: Path | None = None
    """Directory for results.json, report.html and the tables; default
    amplify-runs/differential-<time>.
    """
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.analysis.differential import differential
        from amplify.analysis.two_samples import Request
        from amplify.commands.output import out_directory

        _check_seed(self.seed)
        request = Request(
            self.generated,
            self.holdout,
            self.n_train,
            self.summary,
            self.train,
            self.columns,
            self.log_prob_column,
            self.weight_column,
            self.regions,
            self.bins,
            self.map,
            self.fraction,
            self.cross_fit,
            self.drop_nonfinite,
            self.level,
            self.seed,
        )
        differential(
            out_directory("differential", self.out, self.json_to),
            self.json_to,
            request,
            command,
            dry_run=self.dry_run,
        )


@dataclass(frozen=True)
class Ttbar:
    """Simulates top-pair events with Pythia 8 into an HDF5 file; an interrupted run continues.
    Needs the extra [ttbar].

    In a shell:
        amplify ttbar --events 100000 --out top.h5
        amplify ttbar --level jet --events 100000 --out jets.h5
    """

    events: Count
    """Accepted events."""
    out: Path
    """HDF5 file to write."""
    level: Literal["parton", "jet"] = "parton"
    """Partons with initial-state radiation, a third of a millisecond for each; or six anti-kt jets
    of hadrons, four milliseconds.
    """
    workers: int | None = None
    """Processes; default one per core. The events do not depend on it."""
    smear: float | None = None
    """Of partons: times the detector resolution of 10 % in pT and .02 in eta and phi; default 1, 0
    switches it off.
    """
    mpi: bool = False
    """Of jets: with multiparton interactions, five times slower."""
    seed: int = 0
    """The same seed gives the same events."""
    json_to: Json = None
    """- prints the cut flow as JSON on standard output."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.ttbar import level, simulate

        simulate(
            self.out,
            self.events,
            level(self.level, self.seed, self.smear, self.mpi),
            self.workers,
            self.json_to,
        )


@dataclass(frozen=True)
class Report:
    """Draws the HTML page of a results.json again, and writes its tables as CSV and LaTeX.

    In a shell:
        amplify report amplify-runs/averaging-20260101-120000/results.json
        amplify averaging ... --json - | amplify report - --out page.html
    """

    results: tyro.conf.Positional[Path]
    """The results.json of a run; - for standard input."""
    out: Path | None = None
    """Page to write; default report.html beside the results. The tables go into its directory."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.report import page

        page(self.results, self.out)


COMMANDS = {
    "demo": Demo,
    "averaging": Averaging,
    "differential": Differential,
    "ttbar": Ttbar,
    "report": Report,
}


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise InputError("--seed", "0 to 4294967295", str(seed)[:30], "choose another")


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command `amplify`."""
    commands = tyro.extras.SubcommandApp()
    for name, command in COMMANDS.items():
        commands.command(command, name=name)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _parse(commands, words).run("amplify " + shlex.join(words))
    except AmplifyError as error:
        _fail(str(error))
    except BrokenPipeError:  # whoever reads has enough, as head does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(141)
    except OSError as error:
        _fail(
            f"{error.filename or 'file system'}: expected to read or write, got '{error.strerror}'; check the path, the rights and the space"
        )
    except KeyboardInterrupt:
        _fail("run: expected to finish, got an interruption; start it again", code=130)


def _parse(
    commands: tyro.extras.SubcommandApp, arguments: list[str]
) -> Demo | Averaging | Differential | Ttbar | Report:
    """Arguments to a command; what tyro says of wrong ones in a box becomes one line."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return commands.cli(
                prog="amplify",
                args=arguments,
                description="How many true events is a generated sample worth?",
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = " ".join(
            re.sub(r"\x1b\[[0-9;]*m|[^\x20-\x7e]|[-|+]{3,}|[|]", " ", box.getvalue()).split()
        )
        words = (
            words.partition(" Got errors:")[0]
            .replace("no type matching {None} ", "no ")
            .replace(" could be instantiated from", " can be read from")
        )
        help_for = (
            f"amplify {arguments[0]} --help"
            if arguments and arguments[0] in COMMANDS
            else "amplify --help"
        )
        _fail(f"arguments: expected what {help_for} lists, got: {words[:300]}")
        raise


def _fail(line: str, code: int = 2) -> None:
    print("error: " + " ".join(line.split()), file=sys.stderr)
    sys.exit(code)
