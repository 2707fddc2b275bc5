"""`amplify report`: draws the page of a results.json again."""

from pathlib import Path

from amplify.commands.output import print_table, say
from amplify.report.page import write_page
from amplify.report.results import read_json
from amplify.report.verdicts import summary_verdict


def page(results_file: Path, out: Path | None) -> None:
    """Writes report.html beside the results, or to `out`."""
    results = read_json(results_file)
    target = out or results_file.with_name("report.html")
    write_page(results, target)
    print_table(results)
    say(summary_verdict(results["estimates"]))
    say(str(target))
