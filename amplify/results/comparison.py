"""What a comparison of generators found, as one object: a `Result` whose records are those of
generators and statistics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amplify.errors import InputError
from amplify.results.comparison_table import text_rows
from amplify.results.comparisons import (
    COMPARISON,
    box_words,
    comparison_verdict,
    statistic_verdict,
)
from amplify.results.result import Record, Result
from amplify.text import harmless, listed


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Generators against one holdout: `result["sliced_wasserstein"]` are the records of a
    statistic, one for each generator, `result.view` everything else that was found.

    Attributes:
        rows: what results.json says of each generator in each statistic.
    """

    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def view(self) -> Mapping[str, Any]:
        """Generators, statistics with their resolution, ranking, boxes, copies."""
        return self.views[COMPARISON]

    @property
    def records(self) -> list[Record]:
        """The `estimates` of results.json, with verdicts."""
        rows = [dict(row) for row in self.rows]
        return [row | {"verdict": statistic_verdict(row)} for row in rows]

    @property
    def estimate(self) -> Any:
        """There are no regions.

        Raises:
            InputError: use `records`.
        """
        fix = "use result.records, or result['mean_ks']"
        raise InputError("estimate", "a result by region", "a comparison of generators", fix)

    @property
    def verdict(self) -> str:
        """Each generator in a sentence, and which is closer to the truth."""
        return comparison_verdict(self.records, self.view)

    def __getitem__(self, label: str) -> Any:
        """The records of a statistic, one for each generator in their order."""
        found = [record for record in self.records if record["statistic"] == label]
        if not found:
            known = list(dict.fromkeys(record["statistic"] for record in self.records))
            raise InputError("statistic", f"one of {listed(known, 20)}", repr(label), "choose one")
        return found

    def __str__(self) -> str:
        """Table, places, warnings, verdict."""
        lines = [text_rows(self.records, self.view), self._columns(), *self._places()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [copies["verdict"] for copies in self.view.get("copies") or []]
        lines += [self.verdict]
        return harmless("\n".join(line for line in lines if line))

    def _places(self) -> list[str]:
        """Where each generator is wrong."""
        return [
            f"{local['generator']}, {box_words(box)}"
            for local in self.view.get("local") or []
            for box in local["boxes"]
        ]

    def __repr__(self) -> str:
        """One line: `print` shows the table."""
        generators = len(self.view["generators"])
        statistics = len(self.view["statistics"])
        what = f"{generators} generators in {statistics} statistics"
        return harmless(f"<Comparison of {what}: {self.verdict}>")

    def _repr_html_(self) -> str:
        """The verdict and the table, for a notebook."""
        from markupsafe import escape

        table = text_rows(self.records, self.view)
        return f"<p>{escape(harmless(self.verdict))}</p><pre>{escape(harmless(table))}</pre>"
