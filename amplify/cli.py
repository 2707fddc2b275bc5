"""The command line. Thin, and without JAX until a command runs, so that --help is instant.

Every error is one line on standard error, `error: <what>: expected ..., got ...; <what to do>`, with exit code 2.
"""

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amplify.errors import AmplifyError

Json = Annotated[str | None, tyro.conf.arg(name="json", metavar="-|FILE")]


@dataclass(frozen=True)
class Demo:
    """Known truth: a 2-D Gaussian ring, bootstrap ensemble of spline flows, estimate next to the actual error. Half a minute.

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

        demo(out_directory("demo", self.out), self.seed, self.json_to)


@dataclass(frozen=True)
class Averaging:
    """How many true events generated samples are worth, from the spread between members: one file per trained network.

    Train members on bootstrap samples of the training events. Example: amplify averaging --members gen_*.npy --n-train 10000 --holdout test.npy
    """

    members: tuple[str, ...]
    """Files of generated events, one per member: .npy, .npz, .h5; FILE:path/inside picks a data set."""
    n_train: int
    """Training events of one member."""
    columns: tuple[str, ...] | None = None
    """Columns to look at; columns without names are x0, x1, ... Default all."""
    regions: Path | None = None
    """JSON file of regions: {"tail": {"x0": [3, null]}, ...}."""
    bins: int = 10
    """Without --regions: this many equiprobable bins of each column."""
    holdout: str | None = None
    """True events that were not used in training: shows biases that all members share."""
    weight_column: str | None = None
    """Column with event weights."""
    level: float = 0.68
    """Confidence level of the intervals."""
    seed: int = 0
    """Recorded in the results; nothing here is random."""
    out: Path | None = None
    """Directory for results.json and report.html; default amplify-runs/averaging-<time>."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.averaging import averaging
        from amplify.commands.output import out_directory

        averaging(
            out_directory("averaging", self.out), self.json_to, self.members, self.n_train, self.columns, self.regions, self.bins,
            self.holdout, self.weight_column, self.level, self.seed, command,
        )  # fmt: skip


@dataclass(frozen=True)
class Differential:
    """How many true events a trained generator is worth, from a test of its events against a holdout; no averaging over volumes, one network.

    Example: amplify differential --generated gen.npy --holdout test.npy --n-train 10000 --train train.npy
    """

    generated: str
    """File of generated events, as many as there are; they stream. .npy, .npz, .h5; FILE:path/inside picks a data set."""
    holdout: str
    """File of true events that were not used in training."""
    n_train: int
    """Training events of the generator."""
    summary: str = "classifier"
    """One number per event: classifier (learned likelihood ratio), mlp or trees (other learners), column:NAME, or ratio:NAME for a column that is
    log p_generated / p_true."""
    train: str | None = None
    """The training events: to refuse a holdout that shares events with them, and to count those in each region."""
    columns: tuple[str, ...] | None = None
    """Columns to learn from and to cut on; default all."""
    log_prob_column: str | None = None
    """Column, in both files, with the generator's log density: the learned ratio sees more with it."""
    regions: Path | None = None
    """JSON file of regions: {"tail": {"x0": [3, null]}, ...}; both samples are cut to each."""
    fraction: float = 1 / 3
    """Part of the holdout that teaches a learned ratio; the rest is tested."""
    cross_fit: bool = False
    """Also test every holdout event, by a ratio that the others taught; sees more, and takes minutes for 200 null experiments."""
    weight_column: str | None = None
    """Column with event weights, in one or both files."""
    level: float | None = None
    """Confidence level: default .68, or .90 for the one-sided limit of a learned ratio."""
    seed: int = 0
    """Of the split of the holdout and the learner."""
    out: Path | None = None
    """Directory for results.json and report.html; default amplify-runs/differential-<time>."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.differential import Request, differential
        from amplify.commands.output import out_directory

        request = Request(
            self.generated, self.holdout, self.n_train, self.summary, self.train, self.columns, self.log_prob_column, self.weight_column, self.regions,
            self.fraction, self.cross_fit, self.level, self.seed,
        )  # fmt: skip
        differential(out_directory("differential", self.out), self.json_to, request, command)


@dataclass(frozen=True)
class Ttbar:
    """Simulates top-pair events with Pythia 8 into an HDF5 file; an interrupted run continues. Needs the extra [ttbar].

    Example: amplify ttbar --events 100000 --out top.h5
    """

    events: int
    """Accepted events."""
    out: Path
    """HDF5 file to write."""
    level: Literal["parton"] = "parton"
    """Parton level with initial-state radiation."""
    workers: int | None = None
    """Processes; default one per core. The events do not depend on it."""
    smear: float = 1.0
    """Times the detector resolution of 10 % in pT and .02 in eta and phi; 0 switches it off."""
    seed: int = 0
    """The same seed gives the same events."""
    json_to: Json = None
    """- prints the cut flow as JSON on standard output."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.ttbar import ttbar
        from amplify.data.ttbar import TtbarSettings

        ttbar(self.out, self.events, TtbarSettings(seed=self.seed, smear=self.smear), self.workers, self.json_to)


@dataclass(frozen=True)
class Report:
    """Draws the HTML page of a results.json again. Example: amplify report amplify-runs/demo-.../results.json."""

    results: tyro.conf.Positional[Path]
    """The results.json of a run."""
    out: Path | None = None
    """Page to write; default report.html beside the results."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.page import page

        page(self.results, self.out)


COMMANDS = {"demo": Demo, "averaging": Averaging, "differential": Differential, "ttbar": Ttbar, "report": Report}


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
    except OSError as error:
        _fail(f"{error.filename or 'file system'}: expected to read or write, got '{error.strerror}'; check the path, the rights and the space")
    except KeyboardInterrupt:
        _fail("run: expected to finish, got an interruption; start it again", code=130)


def _parse(commands: tyro.extras.SubcommandApp, arguments: list[str]) -> Demo | Averaging | Differential | Ttbar | Report:
    """Arguments to a command; what tyro says of wrong ones in a box becomes one line."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return commands.cli(prog="amplify", args=arguments, description="How many true events is a generated sample worth?")
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = " ".join(re.sub(r"\x1b\[[0-9;]*m|[^\x20-\x7e]|[-|+]{3,}|[|]", " ", box.getvalue()).split())
        help_for = f"amplify {arguments[0]} --help" if arguments and arguments[0] in COMMANDS else "amplify --help"
        _fail(f"arguments: expected what {help_for} lists, got: {words[:300]}")
        raise


def _fail(line: str, code: int = 2) -> None:
    print("error: " + " ".join(line.split()), file=sys.stderr)
    sys.exit(code)
