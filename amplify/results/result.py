"""What a question was answered, as one object: the estimate with its labels, numbers and settings.

Results live outside jit; the estimates in them are the NamedTuples of `amplify.types`, in NumPy.
`results.json` holds what `to_dict` gives, and `from_json` reads it back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from amplify.errors import InputError, MissingExtraError
from amplify.results import records
from amplify.results.calibration import said_of_kind
from amplify.results.comparisons import COMPARISON
from amplify.results.conditions import said_of_condition
from amplify.results.copied import said_of_copies
from amplify.results.fit_inputs import Covariance, Kind, covariance_of, histograms_of, pyhf_of
from amplify.results.labels import checked_labels
from amplify.results.paths import relative_to
from amplify.results.pools import said_of_members
from amplify.results.schema import check, check_own
from amplify.results.table import html_table, text_table
from amplify.results.verdicts import how_many, summary_verdict
from amplify.storage import whole
from amplify.text import harmless, listed, said_of_columns
from amplify.types import AveragingEstimate, DifferentialEstimate
from amplify.version import release

Record = dict[str, Any]  # what results.json says of one region


@dataclass(frozen=True)
class Answer:
    """One estimate, of one method in one summary, and what its numbers belong to.

    Attributes:
        estimate: arrays over regions, NumPy.
        labels: of the regions.
        n_train: training events of the generator; of a differential estimate those in each region.
        n_gen: generated events (averaging: of each member); None where integrals have no noise.
        n_holdout: true events that were compared with; None without a holdout.
        level: confidence level of the two-sided intervals.
        limit_level: of limits, which are one-sided.
        members: trained networks, for averaging.
        summary: what was compared, for differential.
        n_train_region: of averaging at a condition, training events at that of each region.
    """

    estimate: AveragingEstimate | DifferentialEstimate
    labels: tuple[str, ...]
    n_train: Any
    n_gen: int | None
    n_holdout: int | None
    level: float = 0.68
    limit_level: float = 0.95
    members: int | None = None
    summary: str | None = None
    n_train_region: Any = None

    @property
    def method(self) -> Literal["averaging", "differential"]:
        """How it was estimated."""
        return "averaging" if isinstance(self.estimate, AveragingEstimate) else "differential"

    def records(self) -> list[Record]:
        """One record per region, with a verdict in words."""
        if isinstance(self.estimate, AveragingEstimate):
            return records.averaging_records(
                self.estimate,
                self.labels,
                members=self.members,
                n_train=self.n_train,
                n_gen=self.n_gen,
                n_holdout=self.n_holdout,
                level=self.level,
                limit_level=self.limit_level,
                n_train_region=self.n_train_region,
            )
        return records.differential_records(
            self.estimate,
            self.labels,
            summary=self.summary or "summary",
            n_train=self.n_train,
            n_gen=self.n_gen,
            n_holdout=self.n_holdout,
            level=self.level,
            limit_level=self.limit_level,
        )


@dataclass(frozen=True, repr=False)
class Result:
    """Answers to one question, what they were made from, and what is worth a warning.

    Most questions have one answer: `estimate`, `labels`, `n_train`, `level` and so on are those of
    the first. `result["pt > 400"]` is the record of a region.

    Attributes:
        answers: at least one.
        settings: what was asked.
        inputs: files with their digests, or arrays, that were read.
        warnings: one line each; read them before the numbers.
        views: what the pictures show, by its key in results.json (panels, map, resolution, ...).
        command: how to make it again.
        seed: of everything random.
        version: of amplify.
    """

    answers: tuple[Answer, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    views: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    seed: int = 0
    version: str = field(default_factory=release)

    @property
    def estimate(self) -> AveragingEstimate | DifferentialEstimate:
        """Arrays over regions."""
        return self.answers[0].estimate

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the regions."""
        return self.answers[0].labels

    @property
    def members(self) -> int | None:
        """Trained networks, for averaging."""
        return self.answers[0].members

    @property
    def n_train(self) -> Any:
        """Training events; of a differential estimate those in each region."""
        return self.answers[0].n_train

    @property
    def n_gen(self) -> int | None:
        """Generated events, of each member for averaging."""
        return self.answers[0].n_gen

    @property
    def n_holdout(self) -> int | None:
        """True events that were compared with."""
        return self.answers[0].n_holdout

    @property
    def level(self) -> float:
        """Confidence level of the two-sided intervals."""
        return self.answers[0].level

    @property
    def limit_level(self) -> float:
        """Confidence level of limits, which are one-sided."""
        return self.answers[0].limit_level

    @property
    def records(self) -> list[Record]:
        """The `estimates` of results.json: one record per answer and region."""
        return [record for answer in self.answers for record in answer.records()]

    @property
    def verdict(self) -> str:
        """The result in one sentence for each method."""
        return " ".join([*said_of_copies(self.views), summary_verdict(self.records)])

    def __getitem__(self, label: str) -> Record:
        """The record of a region, of the first answer that has it."""
        for record in self.records:
            if record["region"] == label:
                return record
        raise InputError(
            "region", f"one of {listed(self.labels)}", repr(label), "see result.labels"
        )

    def __str__(self) -> str:
        """Verdict, how many events are worth generating, table, warnings."""
        every = self.records
        lines = [text_table(every, self.views.get("truth"), self.views.get("sensitivities"))]
        lines += [self._columns()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [self.verdict, said_of_kind(self.views), *said_of_members(self.views)]
        lines += [said_of_condition({"estimates": every, **self.views})]
        lines += [how_many(every, self.views.get("pooled"))]
        return harmless("\n".join(line for line in lines if line))

    def _columns(self) -> str:
        """Which columns were looked at and which were not, where there were any."""
        return said_of_columns(self.settings)

    def __repr__(self) -> str:
        """One line: `print` shows the table."""
        methods = " and ".join(dict.fromkeys(answer.method for answer in self.answers))
        regions = f"{len(self.labels)} regions"
        return harmless(f"<Result of {methods} in {regions}: {self.verdict}>")

    def _repr_html_(self) -> str:
        """The verdict and the table, for a notebook."""
        return html_table(self.verdict, self.records, self.views.get("truth"))

    def with_command(self, command: str) -> "Result":
        """The same, with how to make it again."""
        return replace(self, command=command)

    def with_labels(self, labels: Mapping[str, Any]) -> "Result":
        """The same, with names and units of columns for its pictures.

        Args:
            labels: for each column a label, in matplotlib's mathematics between dollars, or
                `{"label": "$p_T$", "unit": "GeV"}`.

        Raises:
            InputError: a label that cannot be drawn.
        """
        return replace(self, settings={**self.settings, "labels": checked_labels(labels)})

    def to_dict(self) -> dict[str, Any]:
        """What results.json holds, in types that JSON knows."""
        head = records.environment(self.command, self.seed, self.settings, self.inputs)
        body = {"version": self.version, "warnings": self.warnings, "estimates": self.records}
        return records.finite(head | body | dict(self.views))

    def to_json(self, path: Path | str | None = None) -> str:
        """The text of results.json; written to a file where a path is given, and paths in it are
        then relative to that file.
        """
        contents = self.to_dict()
        if path is not None:
            contents = relative_to(contents, Path(path).parent)
        check_own(contents)
        text = json.dumps(contents, indent=1, allow_nan=False) + "\n"
        if path is not None:
            with whole(Path(path)) as part:
                part.write_text(text)
        return text

    @classmethod
    def from_json(cls, source: Path | str | Mapping[str, Any]) -> "Result":
        """Reads a results.json, its contents, or what - has on standard input.

        The verdicts are in the words of the installed version. What results.json does not hold is
        nan in the estimate: the interval of `n_equiv` where a region is biased, and
        `n_equiv_bias_aware` where it is not.

        Raises:
            InputError: the file is missing, no JSON, or not as the schema says.
        """
        if isinstance(source, Mapping):
            stored: Mapping[str, Any] = source
            check(dict(source), "results")
        else:
            stored = records.read_json(Path(source))
        known = {"schema", "estimates", "settings", "inputs", "warnings", "command", "seed"}
        known |= {"version"}
        common = {
            "settings": stored.get("settings", {}),
            "inputs": tuple(stored.get("inputs", ())),
            "warnings": tuple(stored.get("warnings", ())),
            "views": {key: value for key, value in stored.items() if key not in known},
            "command": stored.get("command", ""),
            "seed": stored.get("seed", 0),
            "version": stored.get("version", ""),
        }
        if stored.get(COMPARISON):
            from amplify.results.comparison import Comparison

            return Comparison(answers=(), rows=tuple(stored["estimates"]), **common)
        answers = records.answers_of(stored["estimates"])
        return cls(answers=tuple(Answer(**fields) for fields in answers), **common)

    def covariance(self) -> Covariance:
        """Covariance of the fractions of one member in the regions of averaging: `model`, what
        training left wrong, and `stat`, of its finite sample.

        Raises:
            InputError: a result of something else, or of more than 250 regions.
        """
        return covariance_of(self.to_dict())

    def to_pyhf(self, kind: Kind = "staterror", events: float | None = None) -> dict[str, Any]:
        """A workspace of pyhf with sigma_model as an uncertainty of the generated sample.

        Args:
            kind: "staterror", independent in each bin; "histosys", correlated as the members are;
                "normsys", a channel for each region.
            events: that fractions are multiplied by; default n_train.

        Raises:
            InputError: a result of something else.
        """
        return pyhf_of(self.to_dict(), kind, events)

    def to_hist(self) -> dict[str, dict[str, Any]]:
        """Histograms by their names, as UHI serialises them: boost-histogram and hist read them.
        Those of the regions have variances sigma_model^2.
        """
        return histograms_of(self.to_dict())

    def to_dataframe(self) -> Any:
        """The records as a pandas DataFrame, one row per answer and region.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            what = "to_dataframe", "the package pandas", "no such package", "pip install pandas"
            raise MissingExtraError(*what) from None
        return pd.DataFrame(self.records)
