"""`amplify report`: draws the page of a results.json again."""

from pathlib import Path

from amplify.commands.output import print_table, say
from amplify.report.export import write_exports
from amplify.report.page import write_page
from amplify.results.records import read_json
from amplify.results.verdicts import how_many, summary_verdict


def page(results_file: Path, out: Path | None) -> None:
    """Writes report.html and the tables beside the results, or to `out` and its directory."""
    results = read_json(results_file)
    target = out or (
        Path("report.html") if str(results_file) == "-" else results_file.with_name("report.html")
    )
    write_page(results, target)
    write_exports(results, target.parent)
    print_table(results)
    say(summary_verdict(results["estimates"]))
    say(how_many(results["estimates"]))
    say(str(target))
