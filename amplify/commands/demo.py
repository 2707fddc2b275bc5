"""`amplify demo`: the two-dimensional Gaussian ring, both estimates and truth side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from amplify.commands.arguments import Figures, Json, check_seed

if TYPE_CHECKING:
    from amplify.analysis.demonstration import DemoSettings


@dataclass(frozen=True)
class Demo:
    """Known truth: a 2-D Gaussian ring, an ensemble of spline flows, estimate next to the actual
    error, for a member and for the pool of several. Fifty seconds.

    Example: amplify demo --members bayesian --seed 1
    """

    members: Literal["bootstrap", "same", "bayesian"] = "bootstrap"
    """Networks on bootstrap samples of the training events, on the same events, or drawn from the
    posterior of one Bayesian network."""
    figures: Figures = None
    """Also write the figures of the page as files of this kind, into OUT/figures."""
    out: Path | None = None
    """Directory for results.json and report.html; default amplify-runs/demo-<time>."""
    seed: int = 0
    """The same seed gives the same numbers on the same machine."""
    json_to: Json = None
    """- prints results.json on standard output too; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import out_directory

        check_seed(self.seed)
        with out_directory("demo", self.out, self.json_to) as directory:
            self._run(directory)

    def _run(self, directory: Path) -> None:
        """The same into the directory, which is held for it."""
        from amplify.analysis.demonstration import DemoSettings, demonstration, said
        from amplify.commands.output import publish, say
        from amplify.devices import use_all_cores
        from amplify.progress import progress_bar

        use_all_cores()
        settings = DemoSettings(kind=self.members)
        for line in _plan(settings):
            say(line)
        result = demonstration(self.seed, settings, progress=progress_bar)
        publish(result.with_command("amplify demo"), directory, self.json_to, self.figures)
        for line in said(result):
            say(line)


def _plan(settings: "DemoSettings") -> list[str]:
    """What will be trained, in words."""
    copies, sets = settings.copies, settings.independent
    how = {
        "bootstrap": f"{settings.members} spline flows on bootstrap samples of them,",
        "same": f"{settings.members} spline flows on all of them,",
        "bayesian": f"{settings.members} spline flows drawn from one variational posterior,",
    }
    others = f"{copies} on each of {sets} more sets,"
    if settings.kind == "bootstrap":
        others = f"{copies} on the events as they are, and as many on each of {sets} more sets,"
    return [
        f"Gaussian ring in 2-D: {settings.n_train} training events,",
        how[settings.kind],
        others,
        "because truth is known here.",
    ]
