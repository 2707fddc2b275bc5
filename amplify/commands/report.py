"""`amplify report`: draws the page of a results.json again."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from amplify.commands.arguments import Figures
from amplify.errors import InputError


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
    labels: Path | None = None
    """YAML file of names and units for the pictures, 'pt: {label: "$p_T$", unit: GeV}'."""
    figures: Figures = None
    """Also write the figures of the page as files of this kind, into figures/ beside it."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import redraw, say
        from amplify.results.comparisons import COMPARISON
        from amplify.results.labels import read_labels
        from amplify.results.result import Result

        labels = None if self.labels is None else read_labels(self.labels)
        result = Result.from_json(self.results)
        if not result.answers and COMPARISON not in result.views:
            expected, got = "results with estimates", "none: those of a study"
            raise InputError(str(self.results), expected, got, "give the file that a run wrote")
        result = result if labels is None else result.with_labels(labels)
        say(str(result))
        from_pipe = str(self.results) == "-"
        beside = Path("report.html") if from_pipe else self.results.with_name("report.html")
        target = self.out or beside
        redraw(result.to_dict(), target, self.figures)
        say(str(target))
