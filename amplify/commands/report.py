"""`amplify report`: draws the page of a results.json again."""

from dataclasses import dataclass
from pathlib import Path

import tyro


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
        from amplify.commands.output import say
        from amplify.report.export import write_exports
        from amplify.report.page import write_page
        from amplify.results.result import Result

        result = Result.from_json(self.results)
        say(str(result))
        from_pipe = str(self.results) == "-"
        beside = Path("report.html") if from_pipe else self.results.with_name("report.html")
        target = self.out or beside
        contents = result.to_dict()
        write_page(contents, target)
        write_exports(contents, target.parent)
        say(str(target))
